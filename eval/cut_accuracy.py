"""Requested and detected cuts one to one, and Shot Cut Accuracy.

Shot Cut Accuracy is HoloCine's measure (arXiv 2510.20822, section 4.2): SCA = exp(-NSD) with NSD = (E_matched +
E_penalty) / F_total. The paper gives neither the matching nor the penalty. `sca/1` takes the one-to-one matching of
least cost: a pair costs the frames between its two cuts and may be at most half the mean requested shot length apart,
and each cut without a partner, missed or extra, costs the mean requested shot length F_total / N. So a video of N
requested shots that never cuts has NSD = (N - 1) / N.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class CutPlan(Protocol):
    """Where cuts were asked for: a storyboard, or a request on the frames of a video (`eval.request.Asked`)."""

    cuts: tuple[int, ...]
    num_frames: int
    num_shots: int


@dataclass(frozen=True)
class Matching:
    """Requested and detected cuts one to one: `pairs` and what is left of both, all frame numbers in order."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def deviations(self) -> tuple[int, ...]:
        """Detected minus requested frame of each pair: positive where the cut came late."""
        return tuple(detected - requested for requested, detected in self.pairs)


def match(requested: Sequence[int], detected: Sequence[int], gate: float, penalty: float = math.inf) -> Matching:
    """The one-to-one matching of least cost: deviations of pairs plus `penalty` for each cut without a partner.

    Pairs are at most `gate` frames apart, and no further than two cuts without a partner cost. With an infinite penalty
    as many pairs as possible are made, and among those matchings the one of least deviation is taken. Of equal ones,
    the one of the most even deviations, in which pairs never cross.
    """
    if not requested or not detected:
        return Matching((), tuple(requested), tuple(detected))
    from scipy.optimize import linear_sum_assignment

    apart = np.abs(np.subtract.outer(np.asarray(requested, float), np.asarray(detected, float)))
    # Nothing else than a tie is decided by the small convex term: costs differ by 1 / N or not at all.
    even = 1e-6 * (apart / max(gate, 1)) ** 2
    alone = 2 * penalty if math.isfinite(penalty) else 1 + (gate + 1) * min(apart.shape)
    in_reach = (apart <= gate) & (apart <= 2 * penalty)
    pairs = [
        (requested[i], detected[j])
        for i, j in zip(*linear_sum_assignment(np.where(in_reach, apart + even, alone)), strict=True)
        if in_reach[i, j]
    ]
    met, found = ({pair[side] for pair in pairs} for side in range(2))
    return Matching(
        tuple(sorted(pairs)),
        tuple(cut for cut in requested if cut not in met),
        tuple(cut for cut in detected if cut not in found),
    )


def mean_shot_length(plan: CutPlan) -> float:
    """Mean length of the requested shots, in frames."""
    return plan.num_frames / plan.num_shots


def match_cuts(plan: CutPlan, detected: Sequence[int]) -> Matching:
    """The matching of sca/1."""
    length = mean_shot_length(plan)
    return match(plan.cuts, detected, length / 2, length)


def shot_cut_accuracy(plan: CutPlan, detected: Sequence[int]) -> float:
    """sca/1 of one video, in (0, 1]."""
    matching = match_cuts(plan, detected)
    alone = len(matching.missed) + len(matching.extra)
    error = sum(map(abs, matching.deviations)) + alone * mean_shot_length(plan)
    return math.exp(-error / plan.num_frames)
