"""Are characters the same from shot to shot, and different ones different?

HoloCine's inter-shot consistency (arXiv 2510.20822, section 4.2) is the mean cosine over pairs of shots whose captions
share a character tag. It rewards a video that never cuts, whose shots are all alike. So a pair whose two shots lie in
one uncut shot does not count here, the same mean is taken over pairs that share no character, and the margin between
the two says whether characters are told apart.

Where somebody looked for the characters (`eval.sighting`), or their boxes were given, they are compared and not the
frames around them, and only in shots in which they are seen: whether they are is `character_presence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from eval.evidence import Detection, Evidence
from eval.metric import Measured, Metric, Parts
from holocine.prompt import character_tags

SOURCE = "HoloCine (arXiv 2510.20822), section 4.2, with CLIP for ViCLIP; pairs inside one uncut shot excluded: ours"
_UNCUT = "the detector found no cut between them"
_UNSEEN = "nothing of one of them was embedded"
_ABSENT_CHARACTER = "a character that is compared is not seen in both"
_FROM_BEHIND = "a character is seen from behind only"
_NOBODY_LOOKED = "the characters were not looked for, so whole frames are compared"

Shown = Sequence[tuple[str, ...]]  # the tags of the characters that each shot's caption names


@dataclass(frozen=True)
class Pair:
    """Two requested shots, 0-based, and what of them is compared.

    `tags` are the characters compared: those that both shots share, or on crops of two different characters one tag of
    each shot. `alike`: the same character is expected in both. `value`: cosine, None with the reason `problem`.
    """

    shots: tuple[int, int]
    tags: tuple[str, ...]
    alike: bool
    on: str  # "crop" or "frame"
    value: float | None = None
    problem: str | None = None

    @property
    def distance(self) -> int:
        return self.shots[1] - self.shots[0]

    def row(self) -> dict:
        """As plain JSON values; shots are counted from 1."""
        return {
            "shots": [shot + 1 for shot in self.shots],
            "characters": list(self.tags),
            "distance": self.distance,
            "on": self.on,
            "value": self.value,
            **({"reason": self.problem} if self.problem else {}),
        }


def pairs(evidence: Evidence) -> list[Pair]:
    """All pairs of shots with their similarity: on crops if characters were looked for or given, else on whole frames.

    On crops a pair stands for one character, or for two different ones; on frames for all characters that two shots
    share, or for two shots that share none.
    """
    shown = [character_tags(caption) for caption in evidence.asked.captions]
    found = _crop_pairs(shown) if _on_crops(evidence) else _frame_pairs(shown)
    return [_measured(evidence, pair) for pair in found]


def _on_crops(evidence: Evidence) -> bool:
    return bool(evidence.crops) or evidence.sightings is not None


def _frame_pairs(shown: Shown) -> Iterator[Pair]:
    for i, j in combinations(range(len(shown)), 2):
        shared = tuple(tag for tag in shown[i] if tag in shown[j])
        yield Pair((i, j), shared, bool(shared), "frame")


def _crop_pairs(shown: Shown) -> Iterator[Pair]:
    for i, j in combinations(range(len(shown)), 2):
        for a in shown[i]:
            for b in shown[j]:
                yield Pair((i, j), (a,) if a == b else (a, b), a == b, "crop")


def _measured(evidence: Evidence, pair: Pair) -> Pair:
    ranges = [evidence.shots[shot] for shot in pair.shots]
    if in_one_uncut_shot(evidence.detection, *ranges):
        return replace(pair, problem=_UNCUT)
    of_tags = (pair.tags * 2)[:2]
    seen = [evidence.clip] * 2 if pair.on == "frame" else [evidence.crops.get(tag) for tag in of_tags]
    vectors = [one and one.mean_within(where) for one, where in zip(seen, ranges, strict=True)]
    if any(vector is None for vector in vectors):
        return replace(pair, problem=_why_unseen(evidence, pair, of_tags))
    return replace(pair, value=float(np.clip(vectors[0] @ vectors[1], -1, 1)))


def _why_unseen(evidence: Evidence, pair: Pair, of_tags: tuple[str, ...]) -> str:
    if pair.on == "frame" or evidence.sightings is None:
        return _UNSEEN
    seen = [evidence.sightings.seen[shot] for shot in pair.shots]
    if any(who is None for who in seen):
        return _UNSEEN
    return _FROM_BEHIND if all(tag in who for tag, who in zip(of_tags, seen, strict=True)) else _ABSENT_CHARACTER


def in_one_uncut_shot(detection: Detection, first: range, second: range) -> bool:
    """Whether the middles of two ranges of frames lie in one detected shot; False where a range is empty."""
    if not first or not second:
        return False
    middles = sorted((first[len(first) // 2], second[len(second) // 2]))
    return not any(middles[0] < cut <= middles[1] for cut in detection.cuts)


def returns(pair: Pair, shown: Shown) -> bool:
    """Whether the characters that a pair shares come back in its second shot after shots that name none of them."""
    between = shown[pair.shots[0] + 1 : pair.shots[1]]
    return bool(between) and not any(tag in tags for tag in pair.tags for tags in between)


def _why_not(evidence: Evidence) -> str | None:
    """Why no pair of this video can be compared."""
    if evidence.asked is None:
        return evidence.why("asked")
    if evidence.clip is None and not _on_crops(evidence):
        return evidence.why("clip")
    if evidence.asked.num_shots < 2:
        return "the storyboard has one shot: there are no two to compare"
    return None


def _mean_over(evidence: Evidence, chosen: Callable[[Pair, Shown], bool], nothing: str) -> Measured:
    """The mean over the pairs of shots that are `chosen`; `nothing` says why there may be none."""
    if reason := _why_not(evidence):
        return Measured.absent(reason)
    shown = [character_tags(caption) for caption in evidence.asked.captions]
    found = [pair for pair in pairs(evidence) if chosen(pair, shown)]
    if found:
        problems = sorted({pair.problem for pair in found if pair.problem})
        nothing = f"none of {len(found)} pairs of shots can be compared: {'; '.join(problems)}"
    elif not any(shown):
        nothing = "no shot caption names a character by its tag, such as [character1]"
    return Measured.mean_of([pair.value for pair in found], nothing, detail=[pair.row() for pair in found])


def _consistency(evidence: Evidence) -> Measured:
    measured = _mean_over(evidence, lambda pair, _: pair.alike, "no character is named in two shots")
    if not measured.parts:
        return measured
    rows, shown = measured.detail, [character_tags(caption) for caption in evidence.asked.captions]
    back = [pair.row() for pair in pairs(evidence) if pair.alike and returns(pair, shown)]
    detail = (*rows, *_per_character(rows), *_curve(rows), *_curve(back, returning=True))
    note = None if _on_crops(evidence) else _NOBODY_LOOKED
    return replace(measured, parts={**measured.parts, **_at_distances(rows)}, reason=note, detail=detail)


def _per_character(rows: Sequence[dict]) -> Iterator[dict]:
    """What rows of pairs come to for each character."""
    for tag in sorted({tag for row in rows for tag in row["characters"]}):
        values = [row["value"] for row in rows if tag in row["characters"] and row["value"] is not None]
        yield {"character": tag, "pairs": len(values), "value": float(np.mean(values)) if values else None}


def _curve(rows: Sequence[dict], returning: bool = False) -> Iterator[dict]:
    """How similarity falls with the shots in between: the mean over rows of pairs that lie equally far apart."""
    for apart in sorted({row["distance"] for row in rows}):
        values = [row["value"] for row in rows if row["distance"] == apart and row["value"] is not None]
        if values:
            yield {"apart": apart, "returning": returning, "pairs": len(values), "value": float(np.mean(values))}


def _at_distances(rows: Sequence[dict]) -> dict[str, float]:
    """Sums and counts of the pairs that lie equally far apart; those of many videos add up, see `by_distance`."""
    parts: dict[str, float] = {}
    for row in rows:
        if row["value"] is not None:
            for name, amount in (("sum", row["value"]), ("count", 1.0)):
                key = f"{name}_at_{row['distance']}"
                parts[key] = parts.get(key, 0.0) + amount
    return parts


def _different(evidence: Evidence) -> Measured:
    nothing = "every two shots share a character, so nothing says how alike different ones look"
    return _mean_over(evidence, lambda pair, _: not pair.alike, nothing)


def _margin(evidence: Evidence) -> Measured:
    same, other = _consistency(evidence), _different(evidence)
    covered, of, sides = same.covered + other.covered, same.of + other.of, (("same", same), ("other", other))
    for _, side in sides:
        if not side.parts:
            return Measured({}, 0, of, side.reason)
    parts = {f"{side}_{name}": of_side.parts[name] for side, of_side in sides for name in ("sum", "count")}
    return Measured(parts, covered, of)


def _difference(parts: Parts) -> float | None:
    if not parts.get("same_count") or not parts.get("other_count"):
        return None
    return parts["same_sum"] / parts["same_count"] - parts["other_sum"] / parts["other_count"]


def _return(evidence: Evidence) -> Measured:
    measured = _mean_over(
        evidence,
        lambda pair, shown: pair.alike and returns(pair, shown),
        "no character comes back after a shot without it",
    )
    return replace(measured, parts={**measured.parts, **_at_distances(measured.detail)})


def _adjacent(evidence: Evidence) -> Measured:
    nothing = "no character is named in two shots in a row"
    return _mean_over(evidence, lambda pair, _: pair.alike and pair.distance == 1, nothing)


def by_distance(parts: Parts) -> dict[int, float]:
    """Mean similarity by how many shots apart the two are, from the parts of consistency or of returning characters."""
    counts = {int(name.removeprefix("count_at_")): n for name, n in parts.items() if name.startswith("count_at_")}
    return {distance: parts[f"sum_at_{distance}"] / n for distance, n in sorted(counts.items()) if n}


_ABSENT = (
    "no storyboard, nothing that knows what the video shows, or no such pair of shots with a cut between the two in "
    "which the characters are seen"
)

_similarity = partial(
    Metric, group="inter-shot", direction="higher", range=(-1.0, 1.0), source=SOURCE, absent_when=_ABSENT
)

METRICS: tuple[Metric, ...] = (
    _similarity(
        name="character_consistency",
        version=2,
        meaning="How alike a character looks in two shots in which it is seen: 1 is the same picture.",
        measure=_consistency,
    ),
    _similarity(
        name="different_characters",
        version=2,
        direction="none",
        source="ours, after the same formula",
        meaning="How alike different characters look in two shots; what consistency has to be compared with.",
        measure=_different,
    ),
    _similarity(
        name="character_margin",
        version=2,
        range=(-2.0, 2.0),
        source="ours",
        absent_when="one of the two similarities that it compares is absent",
        meaning="How much more alike shots of the same character look than others; 0 is no difference.",
        measure=_margin,
        derive=_difference,
    ),
    _similarity(
        name="character_adjacent",
        version=2,
        meaning="Character consistency from one shot to the very next one.",
        measure=_adjacent,
    ),
    _similarity(
        name="character_return",
        version=2,
        source="ours, after HoloCine's claim of persistence (section 4.4): shots A-B-A",
        absent_when="no character comes back after shots without it, or no storyboard or CLIP model",
        meaning="Character consistency after an absence: the same character before and after shots without it.",
        measure=_return,
    ),
)
