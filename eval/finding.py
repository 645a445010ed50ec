"""Looking for characters while the frames of a video go by: what a finder saw, and what its figures look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.boxes import crop
from eval.sighting import Candidate, Look
from eval.watching import Watcher

if TYPE_CHECKING:
    from eval.encoders.finders import Finder


class Search(Watcher):
    """A watcher that shows a finder the wanted frames, and CLIP what it found if the finder does not tell looks."""

    FAILED = "looking for characters failed"

    def __init__(
        self,
        finder: Finder,
        descriptions: Mapping[str, str],
        wanted: np.ndarray,
        embed: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        super().__init__(wanted)
        self.finder = finder
        self.descriptions = finder.known(descriptions)
        self.embed = embed if finder.encoder is None else None
        self.problem = None if self.descriptions else "no character is described in words that can be looked for"
        self._figures: dict[int, list[Candidate]] = {}

    def look_at(self, numbers: list[int], pictures: np.ndarray) -> None:
        found = self.finder.candidates(pictures, self.descriptions)
        for number, picture, figures in zip(numbers, pictures, found, strict=True):
            self._figures[number] = [self._with_looks(picture, figure) for figure in figures]

    def _with_looks(self, picture: np.ndarray, figure: Candidate) -> Candidate:
        if not figure.shows_looks:
            return replace(figure, vector=None)
        if self.embed is None:
            return figure
        part = crop(picture, figure.box)
        vector = None if part is None else np.asarray(self.embed(part[None]))[0]
        return replace(figure, vector=vector if vector is not None and np.isfinite(vector).all() else None)

    def look(self) -> Look | None:
        """What was seen; None if the finder failed or could look for nobody."""
        if self.problem:
            return None
        finder: Any = self.finder
        return Look(finder.id, tuple(self.descriptions), self._figures, finder.seen_from, finder.sure_from)
