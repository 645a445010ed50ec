"""Rules, latent frames and a text -> the attention plan of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

import torch

from holocine.attention import RunPattern, ShotPattern, first_frame_pattern, shot_pattern
from holocine.attention_plan import AttentionPlan, ItemGroup, TextStep, compute_dtype
from holocine.families.rotary import phase_table, video_table
from holocine.families.rules import Rules
from holocine.families.text import PADDING, Text, Texts
from holocine.timeline import ShotLayout


@dataclass(frozen=True)
class Frames:
    """The latent frames of a forward pass, in order.

    shots: the shot that each is of, which moves its phase. positions: its temporal position before that. captions: the
    caption that it reads. height, width: tokens of a latent frame.
    """

    shots: tuple[int, ...]
    positions: tuple[int, ...]
    captions: tuple[int, ...]
    height: int
    width: int

    @classmethod
    def of(cls, lengths: Sequence[int], height: int, width: int) -> Frames:
        """Shots of these latent frames, one after the other: shot i reads caption i."""
        shots = tuple(shot for shot, length in enumerate(lengths) for _ in range(length))
        return cls(shots, tuple(range(len(shots))), shots, height, width)

    def part(self, start: int, stop: int) -> Frames:
        """The latent frames from `start` to `stop`, at the positions that they have here."""
        return Frames(
            *(values[start:stop] for values in (self.shots, self.positions, self.captions)), self.height, self.width
        )

    @property
    def tokens_per_frame(self) -> int:
        return self.height * self.width

    @property
    def num_tokens(self) -> int:
        return len(self.shots) * self.tokens_per_frame

    @property
    def layout(self) -> ShotLayout:
        """Runs of frames of the same shot."""
        return ShotLayout(tuple(len(list(run)) for _, run in groupby(self.shots)), self.height, self.width)


def make_plan(
    rules: Rules,
    frames: Frames,
    text: Text | Texts,
    head_dim: int,
    device: torch.device,
    dtype: torch.dtype,
    common: int | None = None,
    masked: bool = True,
    exchange: Callable | None = None,
    pattern: RunPattern | None = None,
) -> AttentionPlan:
    """Plan a forward pass of one video, or of several of the same frames whose texts are `Texts`.

    common: the caption that every frame reads beside its own, if there is one. masked: False lets everything see
    everything, whatever the rules say. exchange: see `AttentionPlan`. pattern: who sees whom, in place of what the
    rules say of it. dtype: what scores are computed in.
    """
    everything = _group(frames, text, None, "all", device, dtype)
    captions = frames.captions if masked and rules.reads == "own" else None
    group = _group(frames, text, captions, rules.sees if masked else "all", device, dtype, common)
    group = group if pattern is None else replace(group, pattern=pattern)
    return AttentionPlan(
        groups=(group,),
        order=None,
        num_tokens=frames.num_tokens,
        # The other kernels take as many keys as queries, and shots.
        kernel="auto" if exchange is None and pattern is None else "per-shot",
        layers=rules.layers(),
        outside=(everything,),
        rotary=_video_table(rules, frames, head_dim, device),
        text_rotary=None if rules.text_phase is None else _text_tables(rules, frames, text, head_dim, device),
        exchange=exchange,
    )


def planner(
    rules: Rules,
    frames: Frames,
    texts: Mapping[str, Text | Texts],
    head_dim: int,
    common: int | None = None,
    exchange: Callable | None = None,
    pattern: RunPattern | None = None,
) -> Callable[[str | None, torch.Tensor], AttentionPlan]:
    """A function that plans a forward pass, for `attention_kwargs["planner"]` of the transformer.

    texts: for the branches of guidance, "cond" and "uncond". A plan is made once for each branch, device and type.
    """

    @lru_cache
    def plan(branch: str, device: torch.device, dtype: torch.dtype) -> AttentionPlan:
        masked = branch == "cond" or rules.masks_negative
        return make_plan(rules, frames, texts[branch], head_dim, device, dtype, common, masked, exchange, pattern)

    return lambda branch, latents: plan(branch or "cond", latents.device, compute_dtype(latents))


def _group(
    frames: Frames,
    text: Text | Texts,
    captions: tuple[int, ...] | None,
    sees: str,
    device: torch.device,
    dtype: torch.dtype,
    common: int | None = None,
) -> ItemGroup:
    pattern, bias = _pattern(frames.layout, sees), torch.atleast_2d(text.bias(dtype))
    if captions is None:
        return ItemGroup(None, pattern, (_step(frames.num_tokens, bias, None, device, dtype),))
    owners = torch.tensor(text.captions)
    steps = []
    for caption, run in groupby(captions):
        read = (owners == caption) | (owners == PADDING)
        if common is not None:
            read |= owners == common
        steps.append(_step(len(list(run)) * frames.tokens_per_frame, bias, read, device, dtype))
    return ItemGroup(None, pattern, tuple(steps))


def _pattern(layout: ShotLayout, sees: str) -> ShotPattern:
    if sees == "own and the first frame":
        return first_frame_pattern(layout)
    return shot_pattern(layout, {"all": "full", "own": "isolated"}[sees], "first")


def _step(num_queries: int, bias: torch.Tensor, read: torch.Tensor | None, device, dtype) -> TextStep:
    there = (bias > -math.inf).any(dim=0)
    columns = (there if read is None else read & there).nonzero().flatten()
    scores = bias[:, columns]
    return TextStep(
        num_queries=num_queries,
        columns=None if len(columns) == bias.shape[1] else columns.to(device),
        bias=scores[:, None, None].to(device, dtype) if scores.any() else None,
    )


def _video_table(rules: Rules, frames: Frames, head_dim: int, device: torch.device):
    moved = zip(frames.positions, frames.shots, strict=True)
    positions = [position + rules.frames_per_shot * shot for position, shot in moved]
    phases = [rules.radians_per_shot * shot for shot in frames.shots]
    return video_table(head_dim, positions, phases, frames.height, frames.width, device)


def _text_tables(rules: Rules, frames: Frames, text: Text | Texts, head_dim: int, device: torch.device):
    of_shots = [rules.text_phase * shot for shot in frames.shots for _ in range(frames.tokens_per_frame)]
    padding = text.num_captions - 1 + rules.padding_phase
    of_rows = [padding if caption == PADDING else rules.text_phase * caption for caption in text.captions]
    return phase_table(head_dim, of_shots, device), phase_table(head_dim, of_rows, device)
