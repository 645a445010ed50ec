"""What there is to know of a family before any weights are loaded: rules, limits, defaults, and where it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from holocine.families.rules import Rules
from holocine.families.translation import Translation, left_out
from holocine.storyboard import Storyboard


@dataclass(frozen=True)
class Origin:
    """Where a family comes from, and on what terms.

    paper: arXiv number. code, commit: repository and the commit that was read. weights: hub id; file: in it. base: the
    hub id that the rest of the model comes from. licence: what was found, in words, of code and weights.
    """

    paper: str
    code: str
    commit: str
    weights: str
    file: str
    base: str
    licence: str


@dataclass(frozen=True)
class Family:
    """A kind of multi-shot model on Wan's transformer.

    title: as its authors write it. translate: a storyboard into what the model can make of it. height, width: pixels
    that it was trained at; fps: of its videos. steps, guidance: its defaults; fixed_steps: whether it was distilled for
    these alone. causal: whether "shots" or "blocks" are made one after the other, each from what is finished. decodes:
    whether the video autoencoder sees the "whole" video or "each" shot by itself.
    """

    name: str
    title: str
    rules: Rules
    translate: Callable[[Storyboard], Translation]
    origin: Origin
    steps: int
    guidance: float
    negative_prompt: str
    decodes: Literal["whole", "each"]
    fixed_steps: bool = False
    causal: Literal["shots", "blocks"] | None = None
    height: int = 480
    width: int = 832
    fps: float = 16.0

    def check_call(
        self,
        height: int | None,
        width: int | None,
        steps: int | None,
        guidance: float | None,
        own: tuple[int, int],
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Raise ValueError for options of a call that it does not take; None is its default.

        own: (height, width) of the model. names: what options are called, as the caller has them.
        """
        self.check_size((height, width), own)
        names = names or {}
        if self.fixed_steps and steps not in (None, self.steps):
            name = names.get("num_inference_steps", "num_inference_steps")
            raise ValueError(f"{self.title} takes {self.steps} steps, not {steps}: leave {name} out")
        if self.fixed_steps and guidance not in (None, 1):
            name = names.get("guidance_scale", "guidance_scale")
            raise ValueError(f"{self.title} has no guidance ({name} is {guidance:g}): leave it out")

    def left_out(self, storyboard: Storyboard) -> tuple[str, ...]:
        """What of a storyboard it is not given at all, a sentence each; these are among the notes of `translate`."""
        return tuple(left_out(self.title, storyboard, is_guided=not self.fixed_steps))

    def check_size(self, size: tuple[int | None, int | None], own: tuple[int, int]) -> None:
        """Raise ValueError for another (height, width) than a model's own; None is that."""
        for name, value, of_model in zip(("height", "width"), size, own, strict=True):
            if value not in (None, of_model):
                raise ValueError(f"{self.title} was trained at one size: {name} is {value}, but has to be {of_model}")
