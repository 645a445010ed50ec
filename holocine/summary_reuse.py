"""What kept shots show the others, computed in some steps and used again in those after.

Of a kept shot the others see, in every layer, the keys and values of its summary only. They come from all of its tokens
at the noise level of the step, so exact ones need a pass over the whole video. But they change slowly: with the ones of
a few steps before, a pass needs the tokens of the shots that are made, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from .attention import AttentionSettings, shot_pattern
from .kernels import summaries_of
from .timeline import ShotLayout


class Step(NamedTuple):
    """A step of a run, from 0, and how many the run has, None where nobody says."""

    index: int
    of: int | None = None


Exchange = Callable[[object, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass
class SummaryReuse:
    """The summaries of the kept shots of one layout, by layer and branch of guidance, for one run.

    kept: shots, from 0, that are kept whole; every: how many steps a summary serves on average, its own included: half
    as many in the noisiest, where what shots look like is decided, and half as many again in the last. 1 is exact.
    clean: whether the model sees kept shots without noise. What they show then hardly changes with the steps, and each
    summary serves as many.
    """

    layout: ShotLayout
    kept: frozenset[int]
    every: int
    clean: bool = False
    _shown: dict[tuple[str | None, int], tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict, repr=False)
    _since: dict[tuple[str | None, int], int] = field(default_factory=dict, repr=False)

    @property
    def made(self) -> tuple[int, ...]:
        """The shots, from 0, that are not kept."""
        return tuple(shot for shot in range(self.layout.num_shots) if shot not in self.kept)

    @property
    def made_layout(self) -> ShotLayout:
        """The layout of the shots that are made, without those between them."""
        return ShotLayout(
            tuple(self.layout.shot_lengths[shot] for shot in self.made), self.layout.height, self.layout.width
        )

    @property
    def made_frames(self) -> list[int]:
        """The latent frames of the shots that are made."""
        starts, lengths = self.layout.shot_starts, self.layout.shot_lengths
        return [starts[shot] + frame for shot in self.made for frame in range(lengths[shot])]

    def num_shown(self, settings: AttentionSettings) -> int:
        """Tokens of the summaries of the kept shots."""
        summaries = shot_pattern(self.layout, settings.mode, settings.summary).summaries
        return sum(len(summaries[shot]) for shot in self.kept) * self.layout.tokens_per_frame

    def can_reuse(self, model: object, branch: str | None, step: Step | None, settings: AttentionSettings) -> bool:
        """Whether the summaries of an earlier step serve this one; in mode "isolated" no shot shows any."""
        if settings.mode == "isolated":
            return self.every > 1
        since = self._since.get((branch, id(model)))
        if settings.mode != "sparse" or since is None or step is None:
            return False
        return step.index - since < self._serves(since, step.of)

    def _serves(self, index: int, of: int | None) -> int:
        """How many steps the summary of step `index` serves.

        That of the first step serves no other, unless they are clean: kept shots are pure noise there and show nothing.
        """
        if self.clean:
            return self.every
        if index == 0:
            return 1
        return self.every if of is None else max(1, round(self.every * (0.5 + index / of)))

    def is_renewed(self, index: int, of: int) -> bool:
        """Whether no summary of an earlier step serves step `index`, so that a run can go on there without this."""
        return all(index - since >= self._serves(since, of) for since in self._since.values())

    def keeping(
        self, model: object, branch: str | None, step: Step | None, settings: AttentionSettings
    ) -> Exchange | None:
        """For a pass over the whole video: hand keys and values on as they are and keep the summaries."""
        if self.every == 1 or step is None or settings.mode != "sparse":
            return None
        self._since[branch, id(model)] = step.index
        pattern = shot_pattern(self.layout, settings.mode, settings.summary)

        def keep(layer: object, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            shown = (torch.cat(summaries_of(x, pattern, sorted(self.kept)), dim=1) for x in (key, value))
            # In main memory: those of a large model are gigabytes, and moved in a small part of the time of a pass.
            self._shown[branch, id(layer)] = tuple(x.to("cpu") for x in shown)
            return key, value

        return keep

    def reusing(self, branch: str | None, settings: AttentionSettings) -> Exchange | None:
        """For a pass over the shots that are made: append the summaries of the others to the keys and values."""
        if settings.mode == "isolated":
            return None

        def reuse(layer: object, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            shown = self._shown[branch, id(layer)]
            return tuple(torch.cat([own, other.to(own)], dim=1) for own, other in zip((key, value), shown, strict=True))

        return reuse


def reuse_of(
    layouts: Sequence[ShotLayout], kept: Sequence[frozenset[int]], every: int, clean: bool = False
) -> SummaryReuse | None:
    """The reuse for a batch; None where items differ in layout or in what is kept, or nothing is kept whole."""
    if every == 1 or len(set(layouts)) > 1 or len(set(kept)) > 1 or not kept[0]:
        return None
    return SummaryReuse(layouts[0], kept[0], every, clean)
