"""Captions that were encoded one by one, joined into the text of one forward pass.

Wan's padding is seen: every padding token passes the text embedding and becomes the same key. So n of them are one key
whose score is raised by ln n, and a text that is padded to thousands of tokens stays as short as its captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from holocine.attention_plan import padding_bias, padding_terms

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


def join(
    captions: Sequence[torch.Tensor], length: int, padded: Literal["each", "together"], dtype: torch.dtype
) -> Text:
    """Join captions (tokens, text dim) without padding into a text that was padded to `length` tokens.

    padded: whether each caption was, or all of them together. dtype: what attention is computed in. Raises ValueError
    if there are more tokens than that.
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
        missing = length - sum(map(len, group))
        if missing < 0:
            raise ValueError(f"the text has {length - missing} tokens and the model reads {length}: shorten it")
        if missing:
            terms = padding_terms(dtype)
            rows.append(group[0].new_zeros(terms, group[0].shape[1]))
            owners += [PADDING if padded == "together" else number - 1] * terms
            padding += [missing] * terms
    return Text(torch.cat(rows)[None], tuple(owners), tuple(padding), number)
