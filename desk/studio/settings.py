"""How a video is made, as a visitor asks for it: complete, checked, with the model's defaults filled in."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import holocine.settings
from desk.studio.limits import LimitError, Limits
from desk.studio.models import EMBEDDED_NAME, Model, find
from holocine.settings import SETTINGS
from holocine.storyboard import Storyboard

ATTENTION = ("sparse", "full", "isolated")
MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Settings:
    """How a video is made; complete, with the model's defaults filled in."""

    model: str
    attention: str
    steps: int
    guidance: float
    seed: int
    height: int
    width: int

    @classmethod
    def of(
        cls,
        model: Model,
        limits: Limits,
        storyboard: Storyboard,
        attention: str | None = None,
        steps: float | None = None,
        guidance: float | None = None,
        seed: float | None = None,
        height: float | None = None,
        width: float | None = None,
    ) -> Settings:
        """Check what was asked for and fill in the rest; a seed is drawn if neither this nor the storyboard has one.

        Raises LimitError or ValueError in one sentence.
        """
        attention = attention or model.facts.attention
        if attention not in (*ATTENTION, model.facts.attention):
            raise LimitError(f"the attention {attention!r} is unknown; choose one of {', '.join(ATTENTION)}")
        seed = storyboard.seed if seed is None else seed
        seed = secrets.randbelow(MOST_SEED) if seed is None else seed
        settings = cls(
            model=model.name,
            attention=attention,
            steps=_whole(model.steps if steps is None else steps, "steps"),
            guidance=_number(model.guidance if guidance is None else guidance, "guidance"),
            seed=_whole(seed, "seed"),
            height=_whole(height or model.facts.height, "height"),
            width=_whole(width or model.facts.width, "width"),
        )
        if settings.seed < 0:
            raise LimitError(f"the seed is {settings.seed}, but has to be 0 or more")
        limits.check_settings(settings.steps, settings.guidance, settings.height, settings.width)
        model.facts.token_grid(settings.height, settings.width)
        return settings


def as_made(settings: Settings, defaults: Mapping[str, Any], size: tuple[int, int] | None) -> dict[str, Any]:
    """What a video is to remember of how it was made, as the command line writes it; see `holocine.settings.as_made`.

    defaults: those of the pipeline; size: (width, height) that the video was enlarged to, None for not at all.
    """
    given = {
        "model": None if settings.model == EMBEDDED_NAME else settings.model,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "attention": settings.attention,
    }
    chosen = {**dict.fromkeys(SETTINGS), **find(settings.model).settings, **given}
    return holocine.settings.as_made(chosen, defaults, (settings.height, settings.width), size)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**64:
        raise LimitError(f"the {name} is {repr(value)[:40]}, but has to be a number of usual size")
    return float(value)


def _whole(value: Any, name: str) -> int:
    if _number(value, name) != int(value):
        raise LimitError(f"the {name} is {value!r}, but has to be a whole number")
    return int(value)
