"""How far the value of a metric can be trusted: a word, and the range in which it holds, from its calibrations.

`python -m eval calibrate` damages videos in known ways and keeps how every metric reacts: `calibration.json` is of the
puppet theatre, `footage.json` of film. A judgement belongs to the version of the metric and to the encoders that it was
made with; for any other there is none. What is measured on film and was calibrated in the theatre alone is untested.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from eval.metric import Metric

NOTICED = 0.6  # AUC from which a reaction counts, if its interval excludes chance
RELIABLE = 0.9  # AUC at which single videos can be told apart
CHANCE = 0.5
NOT_CALIBRATED = "not calibrated in this version"

Word = Literal["good", "limited", "poor", "untested"]
World = Literal["theatre", "film"]

_HERE = Path(__file__).parent
_FILES: dict[World, str] = {"theatre": "calibration.json", "film": "footage.json"}
_NAMED = 3  # damages that limits name
# Metrics whose values depend on which encoder looked. Of all others a calibration holds whatever the encoders were;
# of transitions it holds for one shot detector, whose mistakes are in their values.
_BY_ENCODER = (
    *("character_", "different_characters", "subject_", "background_"),
    *("text_", "shot_retrieval", "aesthetic", "camera_angle"),
)
_DETECTED = "transitions"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def noticed(self) -> bool:
        """Worse than chance alone makes it, and by enough to matter."""
        return self.value >= NOTICED and self.low > CHANCE

    @property
    def reversed(self) -> bool:
        """The same, for scores that get better."""
        return self.value <= 1 - NOTICED and self.high < CHANCE


@dataclass(frozen=True)
class Reaction:
    """How one metric reacts to one damage.

    wanted: True if the metric is for this, False if it should ignore it, None if either is fine. scenes: how many could
    be compared. spearman: mean over scenes of the rank correlation between strength and how bad the score is. auc: by
    strength, how likely a damaged video scores worse than an undamaged one, of whatever scene. paired: the same against
    the undamaged version of the same scene.
    """

    metric: str
    damage: str
    wanted: bool | None
    scenes: int
    strengths: tuple[float, ...]
    spearman: Estimate
    auc: tuple[Estimate, ...]
    paired: tuple[Estimate, ...]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Reaction:
        """A reaction as calibrations keep it, in JSON values."""
        estimates = {name: tuple(Estimate(**one) for one in plain[name]) for name in ("auc", "paired")}
        named = {name: plain[name] for name in ("metric", "damage", "wanted", "scenes")}
        return cls(**named, strengths=tuple(plain["strengths"]), spearman=Estimate(**plain["spearman"]), **estimates)

    def detected_from(self, on: Literal["auc", "paired"] = "auc", least: float = NOTICED) -> float | None:
        """The least strength from which on the damage is noticed at every strength, with at least that AUC."""
        found = None
        for strength, estimate in zip(reversed(self.strengths), reversed(getattr(self, on)), strict=True):
            if not (estimate.noticed and estimate.value >= least):
                break
            found = strength
        return found

    @property
    def verdict(self) -> str:
        """What there is to say of it, in a few words."""
        strongest = self.auc[-1]
        if self.wanted is False:
            worst = max(self.auc, key=lambda estimate: abs(estimate.value - CHANCE))
            if any(estimate.noticed for estimate in self.auc):
                return f"reacts to what it should ignore (AUC {worst.value:.2f})"
            if any(estimate.reversed for estimate in self.auc):
                return f"gets better from what it should ignore (AUC {worst.value:.2f})"
            return "ignores it, as it should"
        if strongest.noticed:
            return "reacts" if strongest.value >= RELIABLE else "reacts weakly"
        if strongest.reversed:
            return "gets better where it should get worse"
        if self.paired[-1].noticed:
            return "reacts only against the same scene undamaged"
        return "does not react"

    @property
    def unwanted(self) -> bool:
        return self.wanted is False and any(estimate.noticed or estimate.reversed for estimate in self.auc)

    @property
    def moved_from(self) -> float | None:
        """The least strength of a damage that the metric should ignore at which it does not; None where it ignores it.

        Below it the metric can be trusted under this damage.
        """
        moved = (s for s, one in zip(self.strengths, self.auc, strict=True) if one.noticed or one.reversed)
        return next(moved, None) if self.unwanted else None

    @property
    def failed(self) -> bool:
        """The metric is for this damage and does not notice it at its strongest."""
        return self.wanted is True and not self.auc[-1].noticed


def judged(reactions: Iterable[Reaction]) -> Word:
    """One word for a metric from its reactions: good, limited, poor, or untested where no damage is for it."""
    reactions = list(reactions)
    wanted = [r for r in reactions if r.wanted]
    if not wanted:
        return "untested"
    failed = [r for r in wanted if r.failed]
    if len(failed) == len(wanted):
        return "poor"
    return "limited" if failed or any(r.unwanted for r in reactions) else "good"


@dataclass(frozen=True)
class Trust:
    """How far to trust a value. limits: a short sentence about where not to, None where nothing is against it."""

    word: Word
    limits: str | None = None

    def __str__(self) -> str:
        return self.word if self.limits is None else f"{self.word}: {self.limits}"


@dataclass(frozen=True)
class _Calibration:
    """What one calibration found. encoders: ids by role, empty where it does not say. damages: titles and units."""

    versions: Mapping[str, int]
    encoders: Mapping[str, str]
    damages: Mapping[str, tuple[str, str]]
    reactions: Mapping[str, Sequence[Reaction]]

    def of(self, metric: Metric) -> Trust | None:
        """What it says of a metric; None if it is of another version, or did not try it."""
        found = self.reactions.get(metric.name)
        if found is None or self.versions.get(metric.name) != metric.version:
            return None
        word = judged(found)
        if word == "untested":
            return Trust(word, "no damage of the calibration is for it")
        return Trust(word, _limits(found, self.damages))

    def others_than(self, looked: Mapping[str, str], metric: Metric) -> list[str]:
        """What it was made with, where something else looked, ids by role, that the metric's values depend on."""
        differ = [role for role, id in looked.items() if self.encoders.get(role, id) != id]
        return [self.encoders[role] for role in differ if _matters(role, metric)]


def trust_in(
    metric: Metric, world: World, encoders: Mapping[str, str] | None = None, folder: str | Path = _HERE
) -> Trust:
    """How far the values of a metric can be trusted in a world, if `encoders`, ids by role, looked, a "detector" too.

    folder: where calibration.json and footage.json are; both may be absent.
    """
    at_hand = _calibrations(str(folder))
    fits = [one for one in at_hand[world] if not one.others_than(encoders or {}, metric)]
    found = next((trust for one in fits if (trust := one.of(metric)) is not None), None)
    if found is not None and (world == "theatre" or found.word != "untested"):
        return found
    others = [one for one in at_hand[world] if one not in fits and one.of(metric) is not None]
    if others:
        names = ", ".join(others[0].others_than(encoders or {}, metric))
        kind = "another detector" if metric.group == _DETECTED else "other encoders"
        return Trust("untested", f"calibrated with {kind} ({names})")
    if world == "film":
        elsewhere = next((trust for one in at_hand["theatre"] if (trust := one.of(metric)) is not None), None)
        if elsewhere is not None:
            if elsewhere.word == "untested":
                return elsewhere
            there = f"{elsewhere.word} there{_more(elsewhere)}"
            return Trust("untested", f"calibrated in the puppet theatre alone, {there}")
    return found or Trust("untested", NOT_CALIBRATED)


def _more(trust: Trust) -> str:
    return "" if trust.limits is None else f" ({trust.limits})"


def _matters(role: str, metric: Metric) -> bool:
    return metric.group == _DETECTED if role == "detector" else metric.name.startswith(_BY_ENCODER)


def amount(strength: float, unit: str) -> str:
    """A strength of damage in words: 1 shot, 2 shots, 40 % brighter."""
    return f"{strength:g} {unit.removesuffix('s') if strength == 1 else unit}"


def _limits(reactions: Sequence[Reaction], damages: Mapping[str, tuple[str, str]]) -> str | None:
    """What a metric is wrongly moved by, and from which strength on, and what it misses."""
    moved = [f"{damages[r.damage][0]} (from {amount(r.moved_from, damages[r.damage][1])})" for r in _mildest(reactions)]
    missed = [damages[r.damage][0] for r in reactions if r.failed]
    said = [f"also moved by: {_some(moved)}"] * bool(moved) + [f"does not notice: {_some(missed)}"] * bool(missed)
    return "; ".join(said) or None


def _mildest(reactions: Sequence[Reaction]) -> list[Reaction]:
    """Those that should not be there, first those that begin at the least of the strengths that were tried."""
    moved = [reaction for reaction in reactions if reaction.moved_from is not None]
    return sorted(moved, key=lambda reaction: reaction.strengths.index(reaction.moved_from))


def _some(titles: Sequence[str]) -> str:
    more = len(titles) - _NAMED
    return ", ".join(titles[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@cache
def _calibrations(folder: str) -> dict[World, tuple[_Calibration, ...]]:
    """The calibrations in a folder, by the world they are of; one for each choice of encoders."""
    return {world: tuple(_read(Path(folder) / name)) for world, name in _FILES.items()}


def _read(path: Path) -> Iterable[_Calibration]:
    if not path.is_file():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    damages = {name: (damage["title"], damage["unit"]) for name, damage in content["damage"].items()}
    for one in content.get("calibrations") or [content]:  # the theatre has one choice of encoders
        reactions: dict[str, list[Reaction]] = {}
        for plain in one["reactions"]:
            reactions.setdefault(plain["metric"], []).append(Reaction.from_plain(plain))
        # Of film, an encoder is kept with its licence in brackets.
        encoders = {role: id.partition(" (")[0] for role, id in one.get("encoders", {}).items() if role != "asked"}
        if "detector" in content:
            encoders["detector"] = content["detector"]
        yield _Calibration(content["metrics"], encoders, damages, reactions)
