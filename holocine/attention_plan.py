"""The plan of one forward pass: which queries see which keys and which text, as indices and biases of one batch.

Patterns of `holocine.attention` and the windows of `holocine.prompt` become tensors here, once a pass; the padding that
a text ends with is joined into few keys on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .attention import AttentionSettings, ShotPattern, shot_pattern
from .timeline import ShotLayout

if TYPE_CHECKING:
    from .prompt import TextWindows
    from .sharing import Share
    from .summary_reuse import SummaryReuse


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

    order: index that sorts the items of the concatenated groups back into the batch. num_tokens: of the queries.
    rotary: the rotary embedding of the queries' tokens where it is not the model's own, None for that. exchange: called
        in self-attention with the layer and its keys and values, returns those to attend to.
    layers: the blocks that `groups` are for, None for all; outside: the groups of the other blocks, like `groups` but
        for pattern and text. text_rotary: rotates the queries and the keys of cross-attention, None for neither.
    share: the part of the tokens that this process has, None for all; then all is of that part but the patterns.
    """

    groups: tuple[ItemGroup, ...]
    order: torch.Tensor | None
    num_tokens: int
    kernel: str
    rotary: tuple[torch.Tensor, torch.Tensor] | None = None
    exchange: Callable | None = None
    layers: range | None = None
    outside: tuple[ItemGroup, ...] = ()
    text_rotary: tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None
    share: Share | None = None

    def run(
        self, attend: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layer: int = 0
    ) -> torch.Tensor:
        """Call attend(group, query, key, value) for the items of each group; put the results in batch order."""
        groups = self.groups if self.layers is None or layer in self.layers else self.outside
        if self.order is None:
            return attend(groups[0], query, key, value)
        outputs = [attend(group, *(x[group.items] for x in (query, key, value))) for group in groups]
        return torch.cat(outputs)[self.order]

    def of_share(self, share: Share) -> AttentionPlan:
        """The plan of a process's part: its text windows and rotary embeddings, and the patterns of the whole."""
        text_rotary = self.text_rotary and (tuple(map(share.of, self.text_rotary[0])), self.text_rotary[1])
        return replace(
            self,
            groups=tuple(_group_of_span(group, share.span) for group in self.groups),
            outside=tuple(_group_of_span(group, share.span) for group in self.outside),
            num_tokens=len(share.span),
            rotary=self.rotary and tuple(map(share.of, self.rotary)),
            text_rotary=text_rotary,
            share=share,
        )


def _group_of_span(group: ItemGroup, span: range) -> ItemGroup:
    """The group with the text windows of some of the queries, and the pattern of all."""
    steps, end = [], 0
    for step in group.text:
        begin, end = end, end + step.num_queries
        start, stop = max(span.start, begin), min(span.stop, end)
        if start < stop:
            bias = step.bias
            if bias is not None and bias.shape[-2] > 1:  # of each query
                bias = bias[..., start - begin : stop - begin, :]
            steps.append(TextStep(stop - start, step.columns, bias))
    return replace(group, text=tuple(steps))


def make_plan(
    layouts: Sequence[ShotLayout],
    windows: Sequence[TextWindows | None],
    settings: AttentionSettings,
    text_length: int,
    used: int,
    device: torch.device,
    dtype: torch.dtype,
    reuse: SummaryReuse | None = None,
) -> AttentionPlan:
    """Plan one forward pass over a batch.

    layouts: one for each item. windows: one for each item, None where all shots see the whole text.
    text_length, used: rows of the text before padding was collapsed, and rows that `collapse_padding` kept.
    dtype: what scores are computed in. reuse: given, only the shots that it makes are queries, and the summaries of the
    others are keys from outside. Raises ValueError when a window does not fit its layout.
    """
    visible = [
        _visible(i, layout, window, settings, text_length)
        for i, (layout, window) in enumerate(zip(layouts, windows, strict=True))
    ]
    num_outside = 0
    if reuse is not None:
        visible = [sees[list(reuse.made)] for sees in visible]
        layouts, num_outside = [reuse.made_layout] * len(layouts), reuse.num_shown(settings)
    biases = [text_bias(sees, used, dtype) for sees in visible]
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
                pattern=replace(shot_pattern(layout, settings.mode, settings.summary), num_outside=num_outside),
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
