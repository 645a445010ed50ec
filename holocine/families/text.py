"""Captions that were encoded one by one, joined into the text of one forward pass.

Wan's padding is seen: every padding token passes the text embedding and becomes the same key. So n of them are one key
whose score is raised by ln n, and a text that is padded to thousands of tokens stays as short as its captions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from holocine.attention_plan import padding_bias, padding_terms
from holocine.prompt import check_length

PADDING = -1


@dataclass(frozen=True, eq=False)
class Text:
    """The text of a forward pass.

    rows: (1, num_rows, text dim). captions: of each row the caption that it belongs to, PADDING for padding that is
    common to all. padding: of each row how many padding tokens it stands for together with the rows of its kind, 0 for
    a token of a caption. num_captions: how many were joined.
    """

    rows: torch.Tensor
    captions: tuple[int, ...]
    padding: tuple[int, ...]
    num_captions: int

    def bias(self, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores of each row, float64 (num_rows,): of padding the log of its number."""
        values: list[float] = []
        while len(values) < len(self.padding):
            count = self.padding[len(values)]
            values += padding_bias(count, dtype) if count else [0.0]
        return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Texts:
    """The texts of a batch, whose captions lie in the same rows.

    rows: (items, num_rows, text dim). captions, num_captions: as of a `Text`. scores: float64 (items, num_rows), what
    is added to the scores of each row, -inf of one that an item does not have.
    """

    rows: torch.Tensor
    captions: tuple[int, ...]
    scores: torch.Tensor
    num_captions: int

    def bias(self, dtype: torch.dtype) -> torch.Tensor:
        """What is added to the scores of each row, of attention in the type that they were joined for."""
        return self.scores


def batched(texts: Sequence[Text], dtype: torch.dtype) -> Texts:
    """The texts of several items, of as many captions each, as those of a batch; dtype: what they were joined for."""
    spans = [[_places(text.captions, text.padding, n) for n in range(text.num_captions)] for text in texts]
    rows, scores, owners = [], [], []
    for caption in range(texts[0].num_captions):
        for kind in (0, 1):  # its own tokens, then its padding
            own = [of_item[caption][kind] for of_item in spans]
            _append(rows, scores, texts, own, dtype)
            owners += [caption] * max(map(len, own))
    common = [[row for row, owner in enumerate(text.captions) if owner == PADDING] for text in texts]
    _append(rows, scores, texts, common, dtype)
    owners += [PADDING] * max(map(len, common))
    return Texts(torch.cat(rows, dim=1), tuple(owners), torch.cat(scores, dim=1), texts[0].num_captions)


def _places(captions: Sequence[int], padding: Sequence[int], caption: int) -> tuple[list[int], list[int]]:
    """The rows of a caption's tokens, and those of the padding that is its own."""
    rows = [row for row, owner in enumerate(captions) if owner == caption]
    return [row for row in rows if not padding[row]], [row for row in rows if padding[row]]


def _append(rows: list, scores: list, texts: Sequence[Text], places: Sequence[Sequence[int]], dtype) -> None:
    """Add these rows of each text, as many as the most that one has."""
    most = max(map(len, places))
    part = texts[0].rows.new_zeros(len(texts), most, texts[0].rows.shape[2])
    added = torch.full((len(texts), most), -math.inf, dtype=torch.float64)
    for item, (text, own) in enumerate(zip(texts, places, strict=True)):
        part[item, : len(own)] = text.rows[0, list(own)]
        added[item, : len(own)] = text.bias(dtype)[list(own)]
    rows.append(part)
    scores.append(added)


def join(
    captions: Sequence[torch.Tensor], length: int, padded: Literal["each", "together"], dtype: torch.dtype
) -> Text:
    """Join captions (tokens, text dim) without padding into a text that was padded to `length` tokens.

    padded: whether each caption was, or all of them together. dtype: what attention is computed in. Raises
    `PromptTooLong` if there are more tokens than that.
    """
    groups = [list(captions)] if padded == "together" else [[caption] for caption in captions]
    rows: list[torch.Tensor] = []
    owners: list[int] = []
    padding: list[int] = []
    number = 0
    for group in groups:
        for caption in group:
            rows.append(caption)
            owners += [number] * len(caption)
            padding += [0] * len(caption)
            number += 1
        tokens = sum(map(len, group))
        check_length(tokens, length)
        missing = length - tokens
        if missing:
            terms = padding_terms(dtype)
            rows.append(group[0].new_zeros(terms, group[0].shape[1]))
            owners += [PADDING if padded == "together" else number - 1] * terms
            padding += [missing] * terms
    return Text(torch.cat(rows)[None], tuple(owners), tuple(padding), number)
