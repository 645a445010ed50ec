"""How long a whole video takes here, all counted: learnt from those that were made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from holocine.plan import make_plan
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from desk.studio.settings import Settings
    from holocine.checkpoints import ModelFacts

_REMEMBERED = 8  # videos; the first of them loaded the model too


@dataclass
class Pace:
    """Seconds of denoising by its arithmetic, and of all the rest (reading, decoding, files, scores) by pixels."""

    _denoising: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _rest: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def learn(
        self, storyboard: Storyboard, settings: Settings, facts: ModelFacts, seconds: float, denoising: float
    ) -> None:
        """Remember a video that took so many seconds in all, and of these so many for denoising."""
        self._denoising.append(denoising / _work(storyboard, settings, facts))
        self._rest.append((seconds - denoising) / _pixels(storyboard, settings))

    def seconds(self, storyboard: Storyboard, settings: Settings, facts: ModelFacts) -> float | None:
        """How long a video will take from its turn to its scores; None before the first was made."""
        rest = self.rest(storyboard, settings)
        return None if rest is None else rest + median(self._denoising) * _work(storyboard, settings, facts)

    def rest(self, storyboard: Storyboard, settings: Settings) -> float | None:
        """How long all but denoising takes; None before the first video was made."""
        return median(self._rest) * _pixels(storyboard, settings) if self._rest else None


def _work(storyboard: Storyboard, settings: Settings, facts: ModelFacts) -> float:
    asked = (settings.height, settings.width, settings.attention, settings.steps, settings.guidance)
    return make_plan(storyboard, facts, *asked).cost.total


def _pixels(storyboard: Storyboard, settings: Settings) -> int:
    return storyboard.as_run().num_frames * settings.height * settings.width
