"""Who sees whom in a multi-shot video: sparse inter-shot self-attention and window cross-attention.

HoloCine (arXiv 2510.20822) changes two attentions of Wan's transformer and adds no weight:

* sparse inter-shot self-attention (section 3.2.2): the tokens of a shot see all tokens of their shot and a summary of
  every shot, the keys and values of its first latent frame after QK-norm and rotary embedding;
* window cross-attention (section 3.2.1): the tokens of a shot see the text of the global caption and of their shot.

Patterns are data: made here once per layout, carried by an `AttentionPlan` for each forward pass, and executed by
`holocine.processors` and `holocine.kernels`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from .kernels import EVERY_GROUP, KERNELS

if TYPE_CHECKING:
    from .prompt import TextWindows
    from .timeline import ShotLayout

MODES = ("full", "sparse", "isolated")
SUMMARIES = ("first", "first+last", "linspace:n", "mean")


@dataclass(frozen=True)
class AttentionSettings:
    """How shots attend to one another and to the text.

    mode: "full" (every token sees every token), "sparse" (own shot and the summaries of all shots) or "isolated"
        (own shot only).
    summary: what a shot shows to all shots in mode "sparse": "first" latent frame (HoloCine), "first+last",
        "linspace:n" (n latent frames spread evenly from the first to the last, each once) or "mean" (one frame, the
        mean over the shot's latent frames of the keys after rotary embedding, and of the values). A shot sees its own
        summary too, beside all of its tokens, so its summary frames weigh double in the softmax, as in HoloCine.
    window: whether a shot sees only its own caption and the global one; never applied to the negative prompt.
    leak_free: drop the extra token that HoloCine shows past the end of each text span.
    kernel: "auto", or one of `holocine.kernels`: "dense", "per-shot", "flex", "flash". The result is the same.
    """

    mode: str = "sparse"
    summary: str = "first"
    window: bool = True
    leak_free: bool = False
    kernel: str = "auto"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"attention mode {self.mode!r} is unknown; choose one of {', '.join(MODES)}")
        if self.summary not in SUMMARIES[:2] + SUMMARIES[3:] and not re.fullmatch(r"linspace:[1-9]\d*", self.summary):
            raise ValueError(
                f"summary {self.summary!r} is unknown; choose one of {', '.join(SUMMARIES)} (n a number of 1 or more)"
            )
        if self.kernel != "auto" and self.kernel not in KERNELS:
            raise ValueError(f"kernel {self.kernel!r} is unknown; choose one of auto, {', '.join(KERNELS)}")

    @classmethod
    def parse(cls, text: str, **fields) -> AttentionSettings:
        """Read "full", "isolated", "sparse" or "sparse:SUMMARY" (as in "sparse:linspace:3"); `fields` set the rest."""
        mode, _, summary = text.partition(":")
        if summary and mode != "sparse":
            raise ValueError(f"attention {text!r}: only mode sparse has a summary; write {mode!r} alone")
        return cls(mode=mode, **({"summary": summary} if summary else {}), **fields)


@dataclass(frozen=True)
class ShotPattern:
    """Which keys each query of the self-attention sees: those of its own group of frames, and all summaries.

    group_lengths: latent frames of each group; a group is a shot, or the whole video in mode "full".
    summaries: for each group the summary frames it shows to all groups, its own included. A summary frame is a tuple of
        latent frames, counted from the group's first, whose keys and values are averaged.
    tokens_per_frame: tokens of one latent frame.
    """

    group_lengths: tuple[int, ...]
    summaries: tuple[tuple[tuple[int, ...], ...], ...]
    tokens_per_frame: int

    @property
    def group_tokens(self) -> list[int]:
        """Tokens of each group."""
        return [length * self.tokens_per_frame for length in self.group_lengths]

    @property
    def num_tokens(self) -> int:
        return sum(self.group_tokens)

    @property
    def num_summary_tokens(self) -> int:
        """Tokens of all summaries together."""
        return sum(map(len, self.summaries)) * self.tokens_per_frame

    @property
    def query_groups(self) -> np.ndarray:
        """The group of each query: int64, shape (num_tokens,)."""
        return np.repeat(np.arange(len(self.group_lengths)), self.group_tokens)

    @property
    def key_groups(self) -> np.ndarray:
        """The group that sees each key when the summaries follow the tokens: shape (num_tokens + num_summary_tokens,).

        A summary has EVERY_GROUP (-1): all groups see it.
        """
        return np.concatenate([self.query_groups, np.full(self.num_summary_tokens, EVERY_GROUP)])


@lru_cache(maxsize=256)
def shot_pattern(layout: ShotLayout, mode: str, summary: str) -> ShotPattern:
    """Return who sees whom for one layout; see `AttentionSettings` for `mode` and `summary`."""
    if mode == "full":
        return ShotPattern((layout.num_latent_frames,), ((),), layout.tokens_per_frame)
    frames = [_summary_frames(summary, length) if mode == "sparse" else () for length in layout.shot_lengths]
    return ShotPattern(layout.shot_lengths, tuple(frames), layout.tokens_per_frame)


def _summary_frames(summary: str, length: int) -> tuple[tuple[int, ...], ...]:
    if summary == "mean":
        return (tuple(range(length)),)
    count = {"first": 1, "first+last": 2}.get(summary) or int(summary.removeprefix("linspace:"))
    return tuple((int(frame),) for frame in np.unique(np.linspace(0, length - 1, count).round()))


def collapse_padding(text: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Join the padding that all items of a batch end with into few rows; return the shorter text and the rows used.

    text: embeddings (batch, length, dim) whose padding is zero rows at the end. Identical keys are one key with the log
    of their number added to its score, so nothing is lost: rows [0, used) stay, the rest become `padding_terms` rows.
    """
    length = text.shape[1]
    filled = (text != 0).any(dim=-1).any(dim=0).nonzero()
    used = int(filled.max()) + 1 if filled.numel() else 0
    terms = padding_terms(compute_dtype(text))
    if length - used <= terms:
        return text, length
    return torch.cat([text[:, :used], text.new_zeros(text.shape[0], terms, text.shape[2])], dim=1), used


def padding_terms(dtype: torch.dtype) -> int:
    """Return how many keys stand for the padding: their rounded biases must add up to the number of padding tokens."""
    return 1 if dtype in (torch.float32, torch.float64) else 3


def padding_bias(count: int, dtype: torch.dtype) -> list[float]:
    """Return biases b, exact in `dtype`, with sum(exp(b)) = count; -inf where nothing is left to add.

    ln(count) alone would be off by up to 1 % of the padding's weight in bfloat16. So all biases but the last are
    rounded down, and each carries what the ones before it left over.
    """
    biases, terms = [], padding_terms(dtype)
    remaining = float(count)
    for term in range(terms):
        if remaining <= 1e-6 * count:
            biases.append(-math.inf)
            continue
        exact = math.log(remaining)
        if term < terms - 1:
            exact -= abs(exact) * torch.finfo(dtype).eps
        biases.append(torch.tensor(exact, dtype=torch.float64).to(dtype).item())
        remaining -= math.exp(biases[-1])
    return biases


def text_bias(visible: np.ndarray, used: int, dtype: torch.dtype) -> np.ndarray:
    """Return the scores to add for each shot and each row of a collapsed text: shape (num_shots, rows), float64.

    visible: who sees what of the whole text, bool (num_shots, length); used: as `collapse_padding` returned it.
    """
    bias = np.where(visible[:, :used], 0.0, -np.inf)
    if used == visible.shape[1]:
        return bias
    padding = np.array([padding_bias(int(count), dtype) for count in visible[:, used:].sum(axis=1)])
    return np.concatenate([bias, padding], axis=1)


@dataclass(frozen=True)
class TextStep:
    """One run of queries and the text it sees.

    num_queries: how many tokens, following those of the step before.
    columns: the text rows they see (int64), None for all; bias: added to their scores, broadcastable to (batch, heads,
    num_queries, columns), None for nothing.
    """

    num_queries: int
    columns: torch.Tensor | None
    bias: torch.Tensor | None


@dataclass(frozen=True)
class ItemGroup:
    """The items of a batch that share a layout; items: their indices (int64), None when that is the whole batch."""

    items: torch.Tensor | None
    pattern: ShotPattern
    text: tuple[TextStep, ...]


@dataclass(frozen=True)
class AttentionPlan:
    """All that the attention processors need to know in one forward pass.

    order: index that sorts the items of the concatenated groups back into the batch.
    """

    groups: tuple[ItemGroup, ...]
    order: torch.Tensor | None
    num_tokens: int
    kernel: str

    def run(self, attend: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Call attend(group, query, key, value) for the items of each group; put the results in batch order."""
        if self.order is None:
            return attend(self.groups[0], query, key, value)
        outputs = [attend(group, *(x[group.items] for x in (query, key, value))) for group in self.groups]
        return torch.cat(outputs)[self.order]


def make_plan(
    layouts: Sequence[ShotLayout],
    windows: Sequence[TextWindows | None],
    settings: AttentionSettings,
    text_length: int,
    used: int,
    device: torch.device,
    dtype: torch.dtype,
) -> AttentionPlan:
    """Plan one forward pass over a batch.

    layouts: one for each item. windows: one for each item, None where all shots see the whole text.
    text_length, used: rows of the text before padding was collapsed, and rows that `collapse_padding` kept.
    dtype: what scores are computed in. Raises ValueError when a window does not fit its layout.
    """
    biases = [
        text_bias(_visible(i, layout, window, settings, text_length), used, dtype)
        for i, (layout, window) in enumerate(zip(layouts, windows, strict=True))
    ]
    members: dict[ShotLayout, list[int]] = {}
    for i, layout in enumerate(layouts):
        members.setdefault(layout, []).append(i)
    whole_batch = len(members) == 1
    groups = []
    for layout, items in members.items():
        bias = torch.from_numpy(np.stack([biases[i] for i in items]))
        steps = _dense_text_steps if settings.kernel == "dense" else _text_steps
        groups.append(
            ItemGroup(
                items=None if whole_batch else torch.tensor(items, device=device),
                pattern=shot_pattern(layout, settings.mode, settings.summary),
                text=steps(layout, bias, device, dtype),
            )
        )
    order = None
    if not whole_batch:
        order = torch.tensor([i for items in members.values() for i in items]).argsort().to(device)
    return AttentionPlan(tuple(groups), order, layouts[0].num_tokens, settings.kernel)


def _visible(
    item: int, layout: ShotLayout, window: TextWindows | None, settings: AttentionSettings, text_length: int
) -> np.ndarray:
    if window is None:
        return np.ones((layout.num_shots, text_length), dtype=bool)
    if len(window.shot_spans) != layout.num_shots:
        raise ValueError(
            f"item {item} of the batch: {len(window.shot_spans)} text windows for a layout of "
            f"{layout.num_shots} shots; give one caption for each shot"
        )
    visible = (replace(window, extra=0) if settings.leak_free else window).visible(text_length)
    for shot, sees in enumerate(visible, start=1):
        if not sees.any():
            raise ValueError(f"item {item} of the batch: shot {shot} sees none of the {text_length} text tokens")
    return visible


def _text_steps(layout: ShotLayout, bias: torch.Tensor, device, dtype) -> tuple[TextStep, ...]:
    """Cut the queries by shot; bias: (items, num_shots, rows)."""
    counts = [length * layout.tokens_per_frame for length in layout.shot_lengths]
    if (bias == bias[:, :1]).all():
        counts, bias = [layout.num_tokens], bias[:, :1]
    steps = []
    for count, scores in zip(counts, bias.unbind(1), strict=True):
        columns = (scores > -math.inf).any(dim=0).nonzero().flatten()
        scores = scores[:, columns]
        steps.append(
            TextStep(
                num_queries=count,
                columns=None if len(columns) == bias.shape[2] else columns.to(device),
                bias=None if not scores.any() else scores[:, None, None].to(device, dtype),
            )
        )
    return tuple(steps)


def _dense_text_steps(layout: ShotLayout, bias: torch.Tensor, device, dtype) -> tuple[TextStep, ...]:
    lengths = torch.tensor(layout.shot_lengths) * layout.tokens_per_frame
    scores = bias.repeat_interleave(lengths, dim=1)[:, None]
    return (TextStep(layout.num_tokens, None, scores.to(device, dtype)),)


def compute_dtype(tensor: torch.Tensor) -> torch.dtype:
    """Return the dtype that attention scores of `tensor` are computed in."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype
