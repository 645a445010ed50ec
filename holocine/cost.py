"""What making a video costs, from the shapes of a model and a storyboard alone: arithmetic, and time at a stated rate.

Arithmetic is counted as profilers count it: a multiplication and an addition are two operations, and only products of
matrices count. Nothing of it needs weights or a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from holocine.timeline import ShotLayout

HOPPER_RATE = 450e12  # operations a second that an H100 sustains in bfloat16 over a whole step


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of a Wan transformer that its arithmetic follows from; patch: of latents, (frames, rows, columns)."""

    layers: int
    width: int
    ffn: int
    text_dim: int
    in_channels: int
    out_channels: int
    frequencies: int
    patch: tuple[int, int, int] = (1, 2, 2)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> TransformerShape:
        """From a transformer's config.json; what is not in it has diffusers' defaults, which are those of Wan's 14B."""
        return cls(
            layers=config.get("num_layers", 40),
            width=config.get("num_attention_heads", 40) * config.get("attention_head_dim", 128),
            ffn=config.get("ffn_dim", 13_824),
            text_dim=config.get("text_dim", 4096),
            in_channels=config.get("in_channels", 16),
            out_channels=config.get("out_channels", 16),
            frequencies=config.get("freq_dim", 256),
            patch=tuple(config.get("patch_size", (1, 2, 2))),
        )


@dataclass(frozen=True)
class PassCost:
    """Operations of one forward pass of a transformer, by what they are spent on."""

    linear: int
    self_attention: int
    cross_attention: int

    @property
    def total(self) -> int:
        return self.linear + self.self_attention + self.cross_attention


@dataclass(frozen=True)
class RunCost:
    """Operations of denoising a video: of a pass that sees the prompt, of one that sees the negative prompt, and of one
    whose shots do not see one another.

    steps: passes of the first kind. guided: passes of the second. moved: passes of the third.
    """

    prompted: PassCost
    negative: PassCost
    apart: PassCost
    steps: int
    guided: int
    moved: int

    @property
    def total(self) -> int:
        return self.steps * self.prompted.total + self.guided * self.negative.total + self.moved * self.apart.total

    @property
    def passes(self) -> int:
        return self.steps + self.guided + self.moved

    def seconds(self, rate: float = HOPPER_RATE) -> float:
        """How long it takes at `rate` operations a second."""
        return self.total / rate


def pass_cost(shape: TransformerShape, num_tokens: int, pairs: int, text_tokens: int, text_pairs: int) -> PassCost:
    """The arithmetic of one forward pass of one video.

    num_tokens: of the video. pairs: of a query and a key that it sees, in the self-attention of one layer. text_tokens:
    that the text has in the pass, and text_pairs: of a video token and a text token that it sees.
    """
    width, voxels = shape.width, shape.patch[0] * shape.patch[1] * shape.patch[2]
    video = 6 * width**2 + 2 * width * shape.ffn  # q, k, v, out; q and out of cross-attention; feed-forward
    text = 2 * width**2  # k and v of cross-attention
    inside = shape.layers * (num_tokens * video + text_tokens * text)
    ends = num_tokens * voxels * (shape.in_channels + shape.out_channels) * width
    ends += text_tokens * (shape.text_dim + width) * width + (shape.frequencies + 7 * width) * width
    return PassCost(
        linear=2 * (inside + ends),
        self_attention=4 * shape.layers * width * pairs,
        cross_attention=4 * shape.layers * width * text_pairs,
    )


def run_cost(
    shape: TransformerShape,
    layout: ShotLayout,
    pairs: int,
    visible: np.ndarray,
    negative_tokens: int,
    steps: int,
    guided: int,
    moved: int = 0,
) -> RunCost:
    """The arithmetic of denoising one video.

    pairs: as in `pass_cost`. steps, guided, moved: see `RunCost`.
    visible: which text tokens each shot sees, bool (shots, text tokens), padding as one token. negative_tokens: of the
    negative prompt, which all shots see.
    """
    of_shots = np.array(layout.shot_lengths) * layout.tokens_per_frame
    text_pairs = int((visible.sum(axis=1) * of_shots).sum())
    tokens = layout.num_tokens
    return RunCost(
        prompted=pass_cost(shape, tokens, pairs, visible.shape[1], text_pairs),
        negative=pass_cost(shape, tokens, pairs, negative_tokens, tokens * negative_tokens),
        apart=pass_cost(shape, tokens, int((of_shots**2).sum()), visible.shape[1], text_pairs),
        steps=steps,
        guided=guided,
        moved=moved,
    )


def amount(operations: float) -> str:
    """A number of operations in words: 4.3 PFLOP."""
    for unit, size in (("PFLOP", 1e15), ("TFLOP", 1e12)):
        if operations >= size:
            return f"{operations / size:.3g} {unit}"
    return f"{operations / 1e9:.3g} GFLOP"


def duration(seconds: float) -> str:
    """A time in words: 0.4 s, 95 s, 12 min."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.1 else "less than 0.1 s"
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.0f} min"
