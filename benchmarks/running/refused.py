"""What of a run is refused, as is known from storyboards and systems before it begins, folded by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from benchmarks.running.items import Item
from benchmarks.running.work import Job
from holocine.plurals import are, counted, kind_of


def refusals(jobs: Iterable[Job]) -> dict[Item, str]:
    """The items of which no video can be made, each with the reason that its record will have."""
    found = {}
    for job in jobs:
        try:
            job.system.check(job.entry, job.item.seed)
        except ValueError as error:
            found[job.item] = " ".join(str(error).split())
    return found


def told(refused: Mapping[Item, str], total: int) -> list[str]:
    """A line for each kind of refusal and system, and one that says what remains of `total` items; none for none."""
    if not refused:
        return []
    kinds: dict[tuple[str, str], list[Item]] = {}
    for item, why in refused.items():
        id = rf"(?<![\w-]){re.escape(item.storyboard_id)}(?![\w-])"
        kinds.setdefault((item.system, kind_of(re.sub(id, "#", why))), []).append(item)
    lines = []
    for (system, _), items in kinds.items():
        others = f" and {counted(len(items) - 1, 'other')} for such a reason" if len(items) > 1 else ""
        lines.append(f"{system} cannot make {items[0].storyboard_id}{others}: {refused[items[0]]}")
    left = total - len(refused)
    remain = f"{left} {'remains' if left == 1 else 'remain'} to be made" if left else "none remains to be made"
    lines.append(f"{len(refused)} of {counted(total, 'item')} {are(len(refused))} recorded as refused, {remain}")
    return lines
