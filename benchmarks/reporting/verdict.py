"""What a table of results says, in a sentence: who is best at what by more than chance, and which metric was fooled.

Every clause is read off the standings of `ranking`, whose tests and levels hold here, too. Where nothing could be
tested the sentence says so, and a value that shows that its metric was fooled is named as that and never as the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reporting.published import COLUMNS, HEADINGS, TABLE_1
from benchmarks.reporting.ranking import number
from benchmarks.reporting.significance import LEVEL, storyboards_needed
from benchmarks.reporting.summary import Cell, Summary
from eval.metric import Metric
from holocine.plurals import counted, listed


@dataclass(frozen=True)
class Finding:
    """What one metric says of the systems that compete.

    best: those with the best value, all where nobody is better than anybody. like: those that are not surely behind it.
    tested: whether all others could be tested against the best. fooled: systems by the bound that shows that the metric
    was fooled. ranked: how many count.
    """

    metric: str
    best: tuple[str, ...]
    like: tuple[str, ...]
    tested: bool
    fooled: Mapping[str, tuple[str, ...]]
    ranked: int


def finding(name: str, row: Mapping[str, Cell], competing: Sequence[str]) -> Finding | None:
    """What a metric, by the name it is to have, says in its row of a table; None if it compares nobody."""
    measured = [system for system in competing if row[system].value is not None]
    fooled: dict[str, tuple[str, ...]] = {}
    for system in measured:
        if (by := row[system].standing.fooled_by) is not None:
            fooled[by] = (*fooled.get(by, ()), system)
    standing = {system: row[system].standing for system in measured}
    counting = [system for system, one in standing.items() if one.fooled_by is None and not one.little]
    best = tuple(system for system in counting if row[system].rank == 1)
    if not best and len(counting) > 1:  # all the same
        best = tuple(counting)
    if not best and not fooled:
        return None
    rest = [system for system in counting if system not in best]
    like = tuple(system for system in rest if row[system].standing.like_best)
    tested = all(row[system].standing.like_best is not None for system in rest)
    return Finding(name, best, like, tested, fooled, len(counting))


def verdict(summary: Summary, metrics: Sequence[Metric] | None = None) -> str:
    """What the main table, or one of these metrics, says: a sentence, and one more where `isolated` cuts better.

    Empty where fewer than two systems compete or no metric ranks any.
    """
    competing = summary.results.competing
    shown = summary.main if metrics is None else metrics
    found = [finding(_title(metric), summary.table[metric.name], competing) for metric in shown]
    kinds = {bound: summary.results.kind(bound) for bound in summary.results.bounds}
    told = in_words([one for one in found if one is not None], len(competing), kinds)
    return " ".join(filter(None, (told, why_isolated_cuts_better(summary) if told else "")))


def in_words(found: Sequence[Finding], systems: int, kinds: Mapping[str, str]) -> str:
    """The findings as one sentence; `kinds` says what each bound is."""
    if systems < 2 or not found:
        return ""
    clauses = [*_surely_best(found), *_not_told_apart(found), *_untested(found), *_fooled(found, kinds)]
    text = "; ".join(clauses)
    return f"Of {counted(systems, 'system')}, {text}." if text else ""


def _surely_best(found: Sequence[Finding]) -> list[str]:
    """Who is ahead of all others by more than chance, grouped by who it is."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        if one.best and one.tested and not one.like and one.ranked > len(one.best):
            groups.setdefault(one.best, []).append(one.metric)
    if not groups:
        return []
    parts = []
    for number_, (best, metrics) in enumerate(groups.items()):
        verb = "" if number_ else " is the best" if len(best) == 1 else " are level and the best"
        parts.append(f"{listed(best)}{verb or (' level' if len(best) > 1 else '')} on {listed(metrics)}")
    return [f"{listed(parts)} by more than chance ({100 * LEVEL:.0f} %, corrected for looking at all)"]


def _not_told_apart(found: Sequence[Finding]) -> list[str]:
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for one in found:
        if one.best and (one.like or one.ranked == len(one.best) > 1):
            groups.setdefault((one.best, one.like), []).append(one.metric)
    clauses = []
    for (best, like), metrics in groups.items():
        leads = f"on {listed(metrics)} {listed(best)} {'lead' if len(best) > 1 else 'leads'}"
        if not like:
            leads = f"on {listed(metrics)} {listed(best)} are level"
        clauses.append(leads + (f", but {listed(like)} cannot be told from {_it(best)}" if like else ""))
    return clauses


def _untested(found: Sequence[Finding]) -> list[str]:
    """Who has the best value where nothing, or not everything, could be tested."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        if one.best and not one.tested and not one.like:
            groups.setdefault(one.best, []).append(one.metric)
    if not groups:
        return []
    parts = [
        f"{listed(best)} {'have' if len(best) > 1 else 'has'} the best value on {listed(metrics)}"
        for best, metrics in groups.items()
    ]
    needed = storyboards_needed(max(one.ranked for one in found) - 1)
    return [f"{listed(parts)}, which fewer than {needed} shared storyboards cannot tell from chance"]


def _fooled(found: Sequence[Finding], kinds: Mapping[str, str]) -> list[str]:
    """Which metrics were fooled, by whom, and how one knows; grouped where all of that is the same."""
    groups: dict[tuple, list[str]] = {}
    for one in found:
        for bound, systems in one.fooled.items():
            everyone = one.ranked == 0 and len(one.fooled) == 1 and len(systems) > 1
            groups.setdefault((bound, "every system" if everyone else systems), []).append(one.metric)
    clauses = []
    for (bound, who), metrics in groups.items():
        where = "better than" if kinds.get(bound) == "truth" else "not as good as"
        one = who == "every system" or len(who) == 1
        clauses.append(
            f"{listed(metrics)} {'was' if len(metrics) == 1 else 'were'} fooled by "
            f"{who if isinstance(who, str) else listed(who)} ({where} {bound}), "
            f"{'which is' if one else 'which are'} not ranked there"
        )
    alone = [one for one in found if one.fooled and one.ranked == 1]
    clauses += [f"on {one.metric} only {listed(one.best)} is left to rank" for one in alone]
    return clauses


def why_isolated_cuts_better(summary: Summary) -> str:
    """A sentence for a table in which isolated shots cut more accurately than HoloCine's own; else nothing."""
    kinds = {summary.results.kind(system): system for system in reversed(summary.results.competing)}
    row = summary.table.get("sca")
    if row is None or not {"isolated", "holocine"} <= set(kinds):
        return ""
    alone, ours = kinds["isolated"], kinds["holocine"]
    if any(row[name].value is None or row[name].standing.fooled_by for name in (alone, ours)):
        return ""
    if row[alone].value <= row[ours].value or number(row[alone].value) == number(row[ours].value):
        return ""
    if all(row[name].rank == 1 or row[name].standing.like_best for name in (alone, ours)) and row[alone].rank != 1:
        return ""  # neither can be told from a third, so that there is nothing to explain
    price = _price(summary.table.get("character_consistency"), alone, ours)
    return (
        f"{alone} is above {ours} on SCA ({number(row[alone].value)}, {number(row[ours].value)}"
        f"{_chance(row, alone, ours)}), since its shots see nothing of one another, so that no picture is carried over "
        f"a cut{price}."
    )


def _chance(row: Mapping[str, Cell], better: str, other: str) -> str:
    """Whether a difference is more than chance, as far as the row has it tested."""
    tested = row[better].comparison or row[other].comparison
    if row[better].rank == 1 and row[other].standing.like_best is not None:
        sure = not row[other].standing.like_best
    elif tested is not None and tested.holm is not None and None in (row[better].comparison, row[other].comparison):
        sure = tested.holm < LEVEL
    else:
        return ""
    return "" if sure else ", which may be chance"


def _price(row: Mapping[str, Cell] | None, alone: str, ours: str) -> str:
    """What isolated shots lose, where the numbers have it."""
    if row is None or any(row[name].value is None or row[name].standing.fooled_by for name in (alone, ours)):
        return ""
    if row[alone].value >= row[ours].value:
        return ""
    values = f"{number(row[alone].value)}, {number(row[ours].value)}{_chance(row, ours, alone)}"
    return f", and neither is a character: inter-shot is lower ({values})"


def published_verdict() -> str:
    """What the paper's own table says, which has values and no errors."""
    groups: dict[str, list[str]] = {}
    for title, column in zip(HEADINGS, zip(*TABLE_1.values(), strict=True), strict=True):
        best = max(value for value in column if value is not None)
        for system, value in zip(TABLE_1, column, strict=True):
            if value == best:
                groups.setdefault(system, []).append(title)
    parts = [f"{system} has the best value on {listed(metrics)}" for system, metrics in groups.items()]
    return f"In the paper {listed(parts)}; it gives no errors, so nobody can tell what of this is chance."


def _it(best: Sequence[str]) -> str:
    return "it" if len(best) == 1 else "them"


def _title(metric: Metric) -> str:
    return dict(zip(COLUMNS, HEADINGS, strict=True)).get(metric.name, metric.name.replace("_", " "))
