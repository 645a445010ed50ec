"""Are characters the same from shot to shot, and different ones different?

HoloCine's inter-shot consistency (arXiv 2510.20822, section 4.2) is the mean cosine over pairs of shots whose captions
share a character tag. It rewards a video that never cuts, whose shots are all alike. So a pair whose two shots lie in
one uncut shot does not count here, the same mean is taken over pairs that share no character, and the margin between
the two says whether characters are told apart.
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
    """All pairs of shots with their similarity: on crops if the evidence has any, else on whole frames.

    On crops a pair stands for one character, or for two different ones; on frames for all characters that two shots
    share, or for two shots that share none.
    """
    shown = [character_tags(caption) for caption in evidence.asked.captions]
    found = _crop_pairs(shown) if evidence.crops else _frame_pairs(shown)
    return [_measured(evidence, pair) for pair in found]


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
        return replace(pair, problem=_UNSEEN)
    return replace(pair, value=float(np.clip(vectors[0] @ vectors[1], -1, 1)))


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
    if evidence.clip is None and not evidence.crops:
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
    if measured.reason:
        return measured
    return replace(measured, detail=(*measured.detail, *_per_character(measured.detail)))


def _per_character(rows: Sequence[dict]) -> Iterator[dict]:
    """What rows of pairs come to for each character."""
    for tag in sorted({tag for row in rows for tag in row["characters"]}):
        values = [row["value"] for row in rows if tag in row["characters"] and row["value"] is not None]
        yield {"character": tag, "pairs": len(values), "value": float(np.mean(values)) if values else None}


def _different(evidence: Evidence) -> Measured:
    nothing = "every two shots share a character, so nothing says how alike different ones look"
    return _mean_over(evidence, lambda pair, _: not pair.alike, nothing)


def _margin(evidence: Evidence) -> Measured:
    same, other = _consistency(evidence), _different(evidence)
    covered, of = same.covered + other.covered, same.of + other.of
    for side in (same, other):
        if side.reason:
            return Measured({}, 0, of, side.reason)
    parts = {f"same_{name}": value for name, value in same.parts.items()}
    return Measured(parts | {f"other_{name}": value for name, value in other.parts.items()}, covered, of)


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
    parts = dict(measured.parts)
    for row in measured.detail:
        if row["value"] is not None:
            for name, amount in (("sum", row["value"]), ("count", 1.0)):
                key = f"{name}_at_{row['distance']}"
                parts[key] = parts.get(key, 0.0) + amount
    return replace(measured, parts=parts)


def _adjacent(evidence: Evidence) -> Measured:
    nothing = "no character is named in two shots in a row"
    return _mean_over(evidence, lambda pair, _: pair.alike and pair.distance == 1, nothing)


def by_distance(parts: Parts) -> dict[int, float]:
    """Mean similarity of returning characters by how many shots apart the two are, from the parts of that metric."""
    counts = {int(name.removeprefix("count_at_")): n for name, n in parts.items() if name.startswith("count_at_")}
    return {distance: parts[f"sum_at_{distance}"] / n for distance, n in sorted(counts.items()) if n}


_ABSENT = "no storyboard, no CLIP model that knows the video, or no such pair of shots with a cut between the two"

_similarity = partial(
    Metric, group="inter-shot", direction="higher", range=(-1.0, 1.0), source=SOURCE, absent_when=_ABSENT
)

METRICS: tuple[Metric, ...] = (
    _similarity(
        name="character_consistency",
        version=1,
        meaning="How alike two shots look that show the same character: 1 is the same picture.",
        measure=_consistency,
    ),
    _similarity(
        name="different_characters",
        version=1,
        direction="none",
        source="ours, after the same formula",
        meaning="How alike two shots look that share no character; what consistency has to be compared with.",
        measure=_different,
    ),
    _similarity(
        name="character_margin",
        version=1,
        range=(-2.0, 2.0),
        source="ours",
        absent_when="one of the two similarities that it compares is absent",
        meaning="How much more alike shots of the same character look than others; 0 is no difference.",
        measure=_margin,
        derive=_difference,
    ),
    _similarity(
        name="character_adjacent",
        version=1,
        meaning="Character consistency from one shot to the very next one.",
        measure=_adjacent,
    ),
    _similarity(
        name="character_return",
        version=1,
        source="ours, after HoloCine's claim of persistence (section 4.4): shots A-B-A",
        absent_when="no character comes back after shots without it, or no storyboard or CLIP model",
        meaning="Character consistency after an absence: the same character before and after shots without it.",
        measure=_return,
    ),
)
