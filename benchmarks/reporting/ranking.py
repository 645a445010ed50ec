"""Who is best on a metric, who cannot be told from the best, and whose value only shows that the metric was fooled.

**Ranks** are of the systems that compete and are not fooled: 1 for the best, 2 for the runner-up, none below. Values
that are shown as the same number share their rank, and two that are best leave no runner-up. Where all are the same
number nobody is better than anybody, and none has a rank.

**Like the best** is what is not surely behind the best: a paired test over the storyboards that both have, with Holm's
correction for all systems that are compared with the best. One that is ahead of the best on those storyboards, as
may be where the best has fewer of them, is not behind it either.

**Fooled** is a value that no merit can explain:

* it is surely better than that of `truth`, which is the scene exactly as it was asked for, so that nothing can follow
  the request better; or
* it does not reach that of a degenerate bound (`still`, which never moves; `shuffled`, whose shots come in a wrong
  order) that is surely better than `truth`, or, in a run without truth, than the best system: what the metric rewards
  is then what the bound has, not what was asked for. A bound that is merely better than a poor system fools nobody.

"Surely" is p below LEVEL in the paired test after Holm's correction; where so few storyboards are shared that no test
could decide so many comparisons, it is being better on every single one of at least FEW. A fooled value stays in the
table and is neither best nor runner-up. Why the metric could be fooled is what its calibration knows: `calibrated`.

**Little seen** is a value of less than SEEN of what could be looked at in the system where most could. What is alike in
the few shots that show a character at all says nothing about the others: such a value is not ranked either.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from benchmarks.reporting.significance import LEVEL, Pairing, holm
from eval.metric import Metric

FEW = 3  # storyboards
SEEN = 0.5  # of the largest share that could be looked at
_SAME = 1e-9  # relative: sums of many parts round differently in another order
_RELIABLE = 0.9  # AUC of eval/CALIBRATION.md from which a metric "reacts", and below which it does so "weakly"
_REVERSED = 0.4  # AUC below which a metric gets better from a damage
_DAMAGE_OF = {"still": "frozen", "shuffled": "captions_shuffled"}  # what calibration did that a bound does wholly

Versus = Callable[[str, str], Pairing]


@dataclass(frozen=True)
class Standing:
    """Where a system stands on a metric.

    rank: 1 or 2, None for all others. like_best: whether it is not surely behind the best, None where it does not
    compete, where it is fooled, or where nothing can be tested. fooled_by: the bound that shows that the metric was.
    little: whether too little could be looked at to rank it.
    """

    rank: int | None = None
    like_best: bool | None = None
    fooled_by: str | None = None
    little: bool = False


def standings(
    metric: Metric,
    values: Mapping[str, float | None],
    competing: Sequence[str],
    versus: Versus,
    fooled: Mapping[str, str],
    little: Collection[str] = (),
) -> dict[str, Standing]:
    """The standing of every system of `values`; `versus` pairs two of them.

    fooled, little: as of `fooled_by` and `little_seen`.

    A metric that only describes ranks nobody, and so does one of which fewer than two that compete have a value, or
    all the same.
    """
    found = {system: Standing(fooled_by=fooled.get(system), little=system in little) for system in values}
    measured = [system for system in competing if values[system] is not None]
    if metric.direction == "none" or len(measured) < 2:
        return found
    in_order = sorted(
        (s for s in measured if s not in fooled and s not in little), key=lambda s: _badness(metric, values[s])
    )
    best = [s for s in in_order if _equal(values[s], values[in_order[0]])]
    rest = in_order[len(best) :]
    second = [s for s in rest if len(best) == 1 and _equal(values[s], values[rest[0]])]
    if not best or len(best) == len(in_order) > 1:
        return found
    like = _like_best(metric, best, rest, versus)
    for system in in_order:
        rank = 1 if system in best else 2 if system in second else None
        found[system] = Standing(rank, like.get(system))
    return found


def little_seen(values: Mapping[str, float | None], coverage: Mapping[str, float | None]) -> frozenset[str]:
    """The systems of whose value too little could be looked at, by the share that could be; None for no share."""
    shares = {system: share for system, share in coverage.items() if share is not None and values[system] is not None}
    most = max(shares.values(), default=0.0)
    return frozenset(system for system, share in shares.items() if share < SEEN * most)


def fooled_by(
    metric: Metric,
    values: Mapping[str, float | None],
    competing: Sequence[str],
    kinds: Mapping[str, str],
    versus: Versus,
) -> dict[str, str]:
    """The systems whose value shows that the metric was fooled, each with the bound that shows it.

    kinds: what each bound is, by name: truth, still or shuffled.
    """
    measured = [system for system in competing if values[system] is not None]
    if metric.direction == "none" or not measured:
        return {}
    bounds = [name for name in kinds if values[name] is not None]
    truth = next((name for name in bounds if kinds[name] == "truth"), None)
    found = {}
    if truth is not None:
        found = {system: truth for system, _ in _surely_better(metric, [(s, truth) for s in measured], versus)}
    reference = truth or min(measured, key=lambda system: _badness(metric, values[system]))
    degenerate = [(name, reference) for name in bounds if kinds[name] != "truth"]
    for bound, _ in _surely_better(metric, degenerate, versus):
        for system in measured:
            if system not in found and _badness(metric, values[bound]) < _badness(metric, values[system]):
                found[system] = bound
    return found


def calibrated(metric: Metric, kind: str) -> str:
    """What a metric's calibration knows about being fooled by a bound of a kind, in a few words; "" if nothing."""
    reactions = _reactions().get(metric.id, {})
    damage = reactions.get(_DAMAGE_OF.get(kind, ""))
    if damage is not None and damage["auc"][-1]["value"] <= _REVERSED:
        return f"in its calibration {_titles()[damage['damage']]} better it"
    wanted = [reaction for reaction in reactions.values() if reaction["wanted"]]
    weak = [reaction for reaction in wanted if reaction["auc"][-1]["value"] < _RELIABLE]
    if weak:
        return f"in its calibration it misses or hardly notices {len(weak)} of the {len(wanted)} damages it is for"
    return "" if reactions else "not calibrated in this version"


@cache
def _calibration() -> dict[str, Any]:
    path = files("eval") / "calibration.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def _reactions() -> dict[str, dict[str, Any]]:
    """Reactions of calibration by metric id and damage."""
    versions = _calibration().get("metrics", {})
    found: dict[str, dict[str, Any]] = {}
    for reaction in _calibration().get("reactions", ()):
        name = reaction["metric"]
        found.setdefault(f"{name}/{versions.get(name)}", {})[reaction["damage"]] = reaction
    return found


def _titles() -> dict[str, str]:
    return {name: damage["title"] for name, damage in _calibration()["damage"].items()}


def _like_best(metric: Metric, best: Sequence[str], rest: Iterable[str], versus: Versus) -> dict[str, bool]:
    """Whether each is not surely behind any of the best; those that cannot be tested are left out."""
    pairs = [(one, system) for system in rest for one in best]
    compared = [pair for pair in pairs if versus(*pair).comparison is not None]
    sure = set(_surely_better(metric, compared, versus, always=False))
    tested = [pair for pair in compared if pair in sure or versus(*pair).comparison.is_decidable(len(compared))]
    found = {system: False for _, system in tested}
    for one, system in tested:
        found[system] |= (one, system) not in sure
    return {**found, **dict.fromkeys(best if tested else (), True)}


def _surely_better(
    metric: Metric, pairs: Sequence[tuple[str, str]], versus: Versus, always: bool = True
) -> list[tuple[str, str]]:
    """Those of the pairs whose first is better than its second by more than chance, all of them being looked at.

    always: whether being better on every storyboard will do where no test can decide.
    """
    pairings = [versus(*pair) for pair in pairs]
    tested = [pairing.comparison for pairing in pairings if pairing.comparison is not None]
    corrected = iter(holm([comparison.p for comparison in tested]))
    sign = -1 if metric.direction == "lower" else 1
    found = []
    for pair, pairing in zip(pairs, pairings, strict=True):
        comparison = pairing.comparison
        sure = comparison is not None and next(corrected) < LEVEL and sign * comparison.difference > 0
        if always and (comparison is None or not comparison.is_decidable(len(tested))):
            sure |= pairing.always == sign and pairing.pairs >= FEW
        found += [pair] if sure else []
    return found


def _badness(metric: Metric, value: float) -> float:
    return value if metric.direction == "lower" else -value


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME) or number(one) == number(other)


def number(value: float) -> str:
    """A value as tables show it: four decimals as in the paper, fewer for large numbers."""
    return f"{value:.{4 if abs(value) < 10 else 2 if abs(value) < 1000 else 0}f}"
