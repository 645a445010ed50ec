"""What is known of a model without its weights, from its configs, and what follows for a storyboard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.cost import TransformerShape
from holocine.errors import CheckpointError
from holocine.timeline import check_positions, check_size

if TYPE_CHECKING:
    from holocine.model_card import ModelCard
    from holocine.storyboard import Storyboard

SHOT_GUIDANCE_ABOVE = 0.9  # the noise level down to which shots decide what they have in common


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model without its weights: folder, defaults, and the pixels (down, across) of a token.

    steps, guidance, guidance_below, shot_guidance, shot_guidance_above, distilled_below, negative_prompt: the defaults
    of denoising; shift: of its noise schedule.
    guidance_2: of the low-noise expert where it has a default of its own, which runs below the noise level `boundary`.
    scheduler: the class of its noise schedule.
    max_positions: latent frames, rows and columns of tokens that it can tell apart, each.
    family: of another model than HoloCine's or Wan's, else None. pipeline: the class that the folder names.
    """

    folder: Path
    height: int
    width: int
    pixels_per_token: tuple[int, int]
    max_sequence_length: int
    attention: str
    steps: int
    guidance: float
    guidance_below: float
    negative_prompt: str
    shift: float
    transformer: TransformerShape
    guidance_2: float | None = None
    boundary: float = 0.0
    distilled_below: float = 1.0
    shot_guidance: float = 1.0
    shot_guidance_above: float = SHOT_GUIDANCE_ABOVE
    num_experts: int = 1
    max_positions: int = 1024
    scheduler: str = "HoloCineScheduler"
    family: str | None = None
    pipeline: str = "HoloCinePipeline"
    expand_timesteps: bool = False  # as Wan2.2-TI2V-5B does
    card: ModelCard | None = None  # what it was trained on, if it says so

    @property
    def is_wan(self) -> bool:
        """Whether it is a text-to-video model of Wan's own."""
        return self.pipeline == "WanPipeline"

    def token_grid(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Rows and columns of tokens in a latent frame.

        Raises `CheckpointError` if the pixels make no whole tokens, and ValueError for more than it has positions for.
        """
        height, width = height or self.height, width or self.width
        for name, value, step in zip(("height", "width"), (height, width), self.pixels_per_token, strict=True):
            if value <= 0 or value % step:
                nearest = max(step, round(value / step) * step)
                raise CheckpointError(f"{name} is {value} pixels, but has to be a multiple of {step}: take {nearest}")
        check_size(height, width, self.pixels_per_token, self.max_positions)
        return height // self.pixels_per_token[0], width // self.pixels_per_token[1]

    def check_positions(self, storyboard: Storyboard, height: int | None = None, width: int | None = None) -> None:
        """Raise ValueError for a storyboard or a size in pixels that the model cannot be given, as `token_grid` does.

        Frames are those of the storyboard as run; a family has rules of its own for these.
        """
        self.token_grid(height, width)
        if self.family is None:
            check_positions(storyboard.as_run().num_frames, self.max_positions)

    def doubts(self, storyboard: Storyboard, height: int | None = None, width: int | None = None) -> tuple[str, ...]:
        """What of a storyboard, at a size in pixels or the model's own, lies outside of what the model learnt from."""
        if self.is_wan:
            from holocine.wan import beyond_limits, limits_of

            return tuple(beyond_limits(storyboard, limits_of(self.expand_timesteps)))
        if self.card is None:
            return ()
        return self.card.warnings(storyboard, height or self.height, width or self.width)

    def with_settings(self, settings: Mapping[str, Any]) -> ModelFacts:
        """The same with other defaults, those of a preset; what it leaves out or has None for stays the model's."""
        names = {
            "num_inference_steps": "steps",
            "guidance_scale": "guidance",
            "guidance_scale_2": "guidance_2",
            "guidance_below": "guidance_below",
            "shot_guidance": "shot_guidance",
            "shot_guidance_above": "shot_guidance_above",
            "distilled_below": "distilled_below",
            "shift": "shift",
        }
        return replace(self, **{names[name]: x for name, x in settings.items() if name in names and x is not None})

    def guided_steps(self, steps: int, guidance: float, distilled_below: float | None = None) -> int:
        """How many of so many steps are guided: those not noisier than `guidance_below`, by an expert that is.

        distilled_below: the noise level from which on a step-distilled LoRA takes the steps, without guidance; the
        model's own if None.
        """
        distilled_below = self.distilled_below if distilled_below is None else distilled_below
        unguided_below = self.boundary if self.guidance_2 == 1 else 0.0
        least = max(unguided_below, math.nextafter(distilled_below, 1.0) if distilled_below < 1 else 0.0)
        return sum(least <= sigma <= self.guidance_below for sigma in self._noise(steps)) if guidance > 1 else 0

    def moved_steps(self, steps: int) -> int:
        """How many of so many steps of a scene of several shots are guided by the other shots, with a pass more."""
        if self.shot_guidance == 1:
            return 0
        least = max(self.shot_guidance_above, self.distilled_below if self.distilled_below < 1 else 0.0)
        return sum(sigma > least for sigma in self._noise(steps))

    def _noise(self, steps: int) -> list[float]:
        """The noise level sigma of each of so many steps."""
        levels = (1 - step / steps for step in range(steps))
        return [self.shift * level / (1 + (self.shift - 1) * level) for level in levels]
