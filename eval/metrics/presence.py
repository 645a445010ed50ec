"""Who is there: characters that a shot asks for and shows, and characters that it shows unasked.

Presence comes first, as EntityBench gates fidelity: how alike a character looks from shot to shot says something only
where it is to be seen, so `character_consistency` counts those pairs of shots and no others.
"""

from __future__ import annotations

from functools import partial

from eval.evidence import Evidence
from eval.metric import Measured, Metric
from eval.request import UNWORDED
from holocine.prompt import character_tags

SOURCE = "ours, after the presence gate of EntityBench"


def _asked(evidence: Evidence) -> list[tuple[str, ...]]:
    return [character_tags(caption) for caption in evidence.asked.captions]


def _why_not(evidence: Evidence) -> str | None:
    if evidence.asked is None:
        return evidence.why("asked")
    if not evidence.asked.request.worded:
        return UNWORDED
    if not any(_asked(evidence)):
        return "no shot caption names a character by its tag, such as [character1]"
    if evidence.sightings is None:
        return evidence.why("sightings")
    return None


def _pairs(evidence: Evidence, wanted: list[tuple[str, ...]]) -> tuple[list[dict], int]:
    """A row for every (shot, character) of `wanted` that was looked for, and how many there are in all."""
    sightings, rows = evidence.sightings, []
    for index, tags in enumerate(wanted):
        share, seen = sightings.shares[index], sightings.seen[index]
        rows += [
            {"shot": index + 1, "character": tag, "share": share[tag], "value": float(tag in seen)}
            for tag in tags
            if share is not None and tag in share
        ]
    return rows, sum(map(len, wanted))


def _mean(rows: list[dict], of: int, nothing: str) -> Measured:
    return Measured.mean_of([row["value"] for row in rows], nothing, of, rows)


def _presence(evidence: Evidence) -> Measured:
    if reason := _why_not(evidence):
        return Measured.absent(reason)
    rows, of = _pairs(evidence, _asked(evidence))
    return _mean(rows, of, "none of the characters asked for was looked for: they are not described, or not shown")


def _intruders(evidence: Evidence) -> Measured:
    if reason := _why_not(evidence):
        return Measured.absent(reason)
    asked = _asked(evidence)
    everybody = sorted(
        {*character_tags(evidence.asked.storyboard.global_caption), *(t for tags in asked for t in tags)}
    )
    others = [tuple(tag for tag in everybody if tag not in tags) for tags in asked]
    rows, of = _pairs(evidence, others)
    shown, _ = _pairs(evidence, asked)
    if not any(row["value"] for row in shown):
        return Measured.absent(
            "none of the characters is seen where it was asked for: nothing can be said of others", of
        )
    return _mean(rows, of, "every character that was looked for is asked for in every shot")


_share = partial(Metric, group="inter-shot", range=(0, 1), source=SOURCE)

METRICS: tuple[Metric, ...] = (
    _share(
        name="character_presence",
        version=1,
        direction="higher",
        absent_when="no storyboard, no caption with a character's tag, or nothing that finds such characters",
        meaning="Share of the characters asked for, shot by shot, that are seen there.",
        measure=_presence,
    ),
    _share(
        name="character_intruders",
        version=1,
        direction="lower",
        absent_when="as character_presence, every character is asked for everywhere, or none is seen as asked",
        meaning="Share of the characters not asked for, shot by shot, that are seen all the same.",
        measure=_intruders,
    ),
)
