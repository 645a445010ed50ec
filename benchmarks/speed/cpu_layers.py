"""Attention, blocks and steps on a CPU: full against sparse, at growing numbers of shots and lengths, taking turns.

"of full" is the time over that of full attention on as many tokens in the same run. An exponent is the slope of a line
through the logarithms of the number of shots, all of the same length, and of the time: 1 is linear.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.big_attention import Attention, Sizes
from benchmarks.speed.big_model import Model
from benchmarks.speed.gpu_clock import Place
from benchmarks.speed.ledger import Ledger, Values
from benchmarks.speed.streaming import with_peak
from holocine.attention import shot_pattern
from holocine.kernels import per_shot
from holocine.timeline import ShotLayout

MODES = ("full", "sparse")
TARGET_EXPONENT, EXPONENTS = 1.1, "exponents in the number of shots"
ENOUGH, MOST = 1.5, 7  # seconds of rounds that are enough, and how many there are at most


@dataclass(frozen=True)
class Scope:
    """What is measured of a transformer with random weights.

    name: of the transformer, in headings. fps: frames a second that lengths are told in. attention, block, step: the
    frames of the videos that each is measured at, rising. shots: numbers of shots that divide them evenly; few: those
    for blocks and steps. counts: numbers of shots of `shot_frames` latent frames each that exponents are fitted to, of
    the parts in `grown`.
    """

    name: str
    sizes: Sizes
    fps: int
    shots: tuple[int, ...]
    few: tuple[int, ...]
    attention: tuple[int, ...]
    block: tuple[int, ...]
    step: tuple[int, ...]
    shot_frames: int
    counts: tuple[int, ...]
    grown: tuple[str, ...]

    def length(self, frames: int) -> str:
        """Seconds of a video in words."""
        return f"{frames / self.fps:.0f} s"

    def equal_shots(self, count: int) -> ShotLayout:
        """So many shots of the same length."""
        return ShotLayout((self.shot_frames,) * count, self.sizes.height, self.sizes.width)


def in_turns(place: Place, runs: Mapping[str, Callable[[], Any]], enough: float = ENOUGH) -> dict[str, float]:
    """Seconds of each call: the median of rounds in which all take their turn, after one that does not count.

    Turns spread over all of them what else a machine does.
    """
    with torch.no_grad():
        began = time.perf_counter()
        for run in runs.values():
            place.once(run)
        rounds = min(MOST, max(1, round(enough / max(time.perf_counter() - began, 1e-6))))
        times = [{name: place.once(run) for name, run in runs.items()} for _ in range(rounds)]
    return {name: statistics.median(turn[name] for turn in times) for name in runs}


def exponent(counts: Sequence[int], amounts: Sequence[float]) -> float:
    """The power of the count that amounts grow with, by least squares over logarithms."""
    return float(np.polyfit(np.log(counts), np.log(amounts), 1)[0])


class Layers:
    """The measurements of one scope, written to one ledger. rate: operations a second of the machine's matrices."""

    def __init__(self, scope: Scope, place: Place, ledger: Ledger, rate: float | None):
        self.scope, self.place, self.ledger = scope, place, ledger
        self.attention = Attention(scope.sizes, place, ledger, rate)
        self.model = Model(scope.sizes, place, ledger, self.attention)
        self._whole = None

    def measure(self) -> None:
        """Everything, the parts first."""
        scope = self.scope
        for part, lengths in (("attention", scope.attention), ("block", scope.block), ("step", scope.step)):
            for frames in lengths:
                self.lengths(part, frames)
        for part in scope.grown:
            self.growth(part)
        self._whole = self.model._one_layer = None

    def section(self, part: str) -> str:
        return f"{part}, {self.scope.name}"

    def lengths(self, part: str, frames: int) -> None:
        """Full attention and every number of shots at one length, beside each other."""
        scope = self.scope
        shots = scope.shots if part == "attention" else scope.few
        ways = {"full": (scope.sizes.layout(1, frames), "full")}
        ways |= {_shots(count): (scope.sizes.layout(count, frames), "sparse") for count in shots}
        names = {way: f"{scope.length(frames)}, {way}" for way in ways}

        def run() -> dict[str, Values]:
            found = self.timed(part, ways)
            return {names[way]: values for way, values in found.items()}

        self.ledger.measure_together(self.section(part), list(names.values()), run)

    def timed(self, part: str, ways: Mapping[str, tuple[ShotLayout, str]]) -> dict[str, Values]:
        """Time and rate of each way, and how it stands to the way "full" in time and in arithmetic."""
        prepare, cost = self._kinds()[part]
        seconds = in_turns(self.place, {way: prepare(*given) for way, given in ways.items()})
        operations = {way: cost(*given) for way, given in ways.items()}
        found = {}
        for way, (layout, _) in ways.items():
            share, ratio = (x[way] / x["full"] for x in (operations, seconds))
            found[way] = {"tokens": layout.num_tokens, "ms": seconds[way] * 1e3, "arithmetic of full": share}
            found[way] |= {"of full": ratio, "over share": ratio / share}
            found[way] |= self.model.rated(seconds[way], operations[way])
        if part == "step":
            for way, given in ways.items():
                with torch.no_grad():
                    found[way] |= with_peak(prepare(*given))[1]
        return found

    def growth(self, part: str) -> None:
        """Shots of the same length, more and more of them, full and sparse; then the exponents."""
        scope, section = self.scope, f"{self.section(part)}: shots of {self.scope.shot_frames} latent frames each"
        prepare, cost = self._kinds()[part]

        def name(count: int, mode: str) -> str:
            return f"{_shots(count)}, {mode}"

        def at(count: int) -> dict[str, Values]:
            layout = scope.equal_shots(count)
            seconds = in_turns(self.place, {mode: prepare(layout, mode) for mode in MODES})
            return {
                name(count, mode): {
                    "tokens": layout.num_tokens,
                    "ms": seconds[mode] * 1e3,
                    **self.model.rated(seconds[mode], cost(layout, mode)),
                }
                for mode in MODES
            }

        def fitted(mode: str) -> Values:
            times = [self.ledger.values(section, name(count, mode))["ms"] for count in scope.counts]
            arithmetic = [cost(scope.equal_shots(count), mode) for count in scope.counts]
            found = {"exponent": exponent(scope.counts, times), "of arithmetic": exponent(scope.counts, arithmetic)}
            return found | ({"target": TARGET_EXPONENT} if mode == "sparse" else {})

        for count in scope.counts:
            self.ledger.measure_together(section, [name(count, mode) for mode in MODES], partial(at, count))
        for mode in MODES:
            self.ledger.compute(EXPONENTS, f"{self.section(part)}, {mode}", partial(fitted, mode))

    def _kinds(self) -> dict[str, tuple[Callable[[ShotLayout, str], Callable], Callable[[ShotLayout, str], int]]]:
        """For each part, what prepares a call and what counts its operations, of a layout and a mode."""
        return {
            "attention": (self._attention, self._attention_cost),
            "block": (self.model.block_run, self.model.block_cost),
            "step": (self._step, self._step_cost),
        }

    def _attention(self, layout: ShotLayout, mode: str) -> Callable:
        return partial(per_shot, *self.attention.qkv(layout.num_tokens), shot_pattern(layout, mode, "first"))

    def _attention_cost(self, layout: ShotLayout, mode: str) -> int:
        return 4 * shot_pattern(layout, mode, "first").num_pairs * self.scope.sizes.dim

    def _step(self, layout: ShotLayout, mode: str) -> Callable:
        """One pass of all layers, which an unguided step is."""
        return self.model.forward(self.whole, layout, mode)

    def _step_cost(self, layout: ShotLayout, mode: str) -> int:
        return self.model.cost(layout, mode, self.scope.sizes.layers)

    @property
    def whole(self):
        """The transformer with all its layers."""
        if self._whole is None:
            self._whole = self.model.build(self.scope.sizes.layers)
        return self._whole

    def counted(self, frames: int) -> None:
        """The arithmetic of one step, computed from its shapes and counted by PyTorch while it runs."""
        layout = self.scope.sizes.layout(self.scope.few[-1], frames)

        def run() -> Values:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                self._step(layout, "sparse")()
            computed, counted = self._step_cost(layout, "sparse"), counter.get_total_flops()
            return {"GFLOP computed": computed / 1e9, "GFLOP counted": counted / 1e9, "ratio": computed / counted}

        name = f"a step, {self.scope.name}, {self.scope.length(frames)}, {_shots(layout.num_shots)}"
        self.ledger.measure("arithmetic", name, run)


def at_full_size(ledger: Ledger, model: Model, shot_frames: int, counts: Iterable[int]) -> None:
    """The exponents of the arithmetic of a whole pass at a transformer's full size, where nothing is timed."""
    counts, sizes = list(counts), model.sizes

    def run(mode: str) -> Values:
        layouts = [ShotLayout((shot_frames,) * count, sizes.height, sizes.width) for count in counts]
        return {"of arithmetic": exponent(counts, [model.cost(layout, mode, sizes.layers) for layout in layouts])}

    for mode in MODES:
        name = f"a pass of the 14B at full size, shots of {shot_frames} latent frames, {mode}"
        ledger.compute(EXPONENTS, name, partial(run, mode))


def _shots(count: int) -> str:
    return "1 shot" if count == 1 else f"{count} shots"
