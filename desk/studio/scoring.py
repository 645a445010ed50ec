"""Scores a video as part of a job, and puts its scorecard into plain words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk.studio.models import import_libraries
from desk.studio.wording import sentence
from holocine.files import replacing
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from eval.evidence import Evidence
    from eval.request import Request
    from eval.scorecard import MetricRecord, Scorecard

logger = logging.getLogger(__name__)

LOOKED_AT_PIXELS = 1920 * 1080  # of a frame; larger ones are scaled down to so many while they are read
SCORECARD, REPORT, STILLS = "scorecard.json", "report.html", "scorecard.jpg"


class Scorer:
    """Scores videos with a detector and encoders that stay loaded. Used by the worker alone, so it needs no lock."""

    def __init__(self) -> None:
        self._detector: Any = None
        self._encoders: dict[str, Any] = {}

    def score(
        self,
        video: Path,
        request: Request | Storyboard | None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[Scorecard, Evidence]:
        """Score a video file; raises `VideoError` or `StoryboardError` in a sentence, and `eval.Cancelled`."""
        import_libraries()
        from eval.scorecard import examine
        from eval.shots import load_detector

        self._detector = self._detector or load_detector()
        storyboard = request if isinstance(request, Storyboard | None) else request.storyboard
        return examine(
            video,
            request,
            encoders=self._encoders_for(storyboard),
            detector=self._detector,
            cancelled=cancelled,
            most_pixels=LOOKED_AT_PIXELS,
        )

    def _encoders_for(self, storyboard: Storyboard | None) -> Any:
        """Encoders for the world of a storyboard, loaded once for each world."""
        from eval.encoders import is_of_the_theatre, load_encoders

        world = "none" if storyboard is None else "theatre" if is_of_the_theatre(storyboard) else "other"
        if world not in self._encoders:
            self._encoders[world] = load_encoders("auto", storyboard=storyboard)
        return self._encoders[world]


def write_scorecard(folder: Path, card: Scorecard, evidence: Evidence) -> dict[str, str]:
    """Write scorecard and report into a folder; return their names by what they are."""
    from eval.report.page import page
    from eval.stills import save_stills

    card.save(folder / SCORECARD)
    save_stills(folder / STILLS, card, evidence.footage.pictures)
    with replacing(folder / REPORT) as temporary:
        temporary.write_text(page({folder / SCORECARD: card}), encoding="utf-8")
    return {"scorecard": SCORECARD, "report": REPORT}


# In plain words


def shown_scores(card: Scorecard) -> dict[str, Any]:
    """What the stage shows of a scorecard: detected cuts, rows in plain words, and notes."""
    return {
        "detected": [boundary.frame for boundary in card.boundaries],
        "scorecard": plain_rows(card),
        "score_notes": [sentence(note) for note in card.notes],
    }


_NAMES = {
    "sca": "Cuts",
    "character_presence": "Who is there",
    "character_consistency": "Characters",
    "character_return": "Coming back",
    "shot_retrieval": "Words",
    "shot_size": "Shot sizes",
    "camera_movement": "Camera",
    "camera_angle": "Camera angle",
    "subject_consistency": "Steady subject",
    "background_consistency": "Steady picture",
    "motion_smoothness": "Motion",
    "flicker": "Flicker",
    "aesthetic": "Beauty",
}
_BETTER = {"higher": "Higher is better.", "lower": "Lower is better.", "none": ""}


def plain_rows(card: Scorecard) -> list[dict[str, Any]]:
    """The scores that matter most, for the stage: {name, value, verdict, meaning, measured}, in plain words.

    What could not be measured has no value, and says why.
    """
    from eval.metrics import all_metrics
    from eval.table import number

    metrics = all_metrics()
    rows = []
    for name, title in _NAMES.items():
        record, metric = card.metrics[name], metrics[name]
        missing = record.value is None
        if missing and name in ("aesthetic", "character_return", "camera_angle"):
            continue
        about = f"{metric.meaning} {_BETTER[metric.direction]}".strip()
        if metric.unit:
            about += f" In {metric.unit}."
        about += f" Looked at {record.covered} of {record.of}."
        if not missing and record.trust is not None:
            about += f" {_trust(record)}"
        rows.append(
            {
                "name": title,
                "metric": name,
                "value": number(record.value),
                "number": record.value,
                "direction": metric.direction,
                "verdict": _why_not(record) if missing else _verdict(name, card),
                "meaning": about,
                "measured": not missing,
                "trust": None if missing else record.trust,
            }
        )
    return rows


def _verdict(name: str, card: Scorecard) -> str:
    record = card.metrics[name]
    if name == "sca":
        return _cuts(card)
    if name == "character_consistency":
        margin = card.metrics["character_margin"].value
        if margin is None:
            return "how alike a character looks from shot to shot"
        return f"a character looks {abs(margin):.2f} {'more' if margin > 0 else 'less'} like itself than like others"
    if name == "character_presence":
        return f"{_share(record, 'sum')} appearances that were asked for are there"
    if name == "shot_retrieval":
        return f"{_share(record, 'right')} shots fit their own caption best"
    if name == "shot_size":
        return f"{_share(record, 'sum')} shots as wide or close as asked"
    if name == "camera_movement":
        return f"{_share(record, 'sum')} cameras move as asked"
    if name == "camera_angle":
        return f"{_share(record, 'sum')} shots from the angle that was asked for"
    return ""


def _why_not(record: MetricRecord) -> str:
    """Why a score is missing, in words that a visitor can act on, who has no command line here."""
    reason = record.reason or "could not be measured"
    if "--download" in reason:
        return (
            "This desk has no model that knows real footage. On your own machine `python -m eval score VIDEO "
            "--download` gets one and measures this; whoever runs the desk can name one in HOLOCINE_ENCODERS."
        )
    if "owlv2" in reason:
        return (
            "Nobody looked for the characters: this desk knows those of the puppet theatre alone. On your own machine "
            "`python -m eval score VIDEO --boxes owlv2` finds others by their descriptions."
        )
    return sentence(reason)


def _trust(record: MetricRecord) -> str:
    """How far calibration found that a score can be trusted."""
    word = {"good": "can be trusted"}.get(record.trust, f"trust in it is {record.trust}")
    word = "nobody has tested how far to trust it" if record.trust == "untested" else word
    return sentence(f"by calibration {word}" if record.limits is None else f"by calibration {word}: {record.limits}")


def _share(record: MetricRecord, part: str) -> str:
    return f"{record.parts[part]:g} of {record.parts['count']:g}"


def _cuts(card: Scorecard) -> str:
    """How the cuts came out, within two frames of where they were asked for."""
    parts = card.metrics["cut_f1_2"].parts
    asked = len(card.shots) - 1
    extra = int(parts.get("false_positives", 0))
    if not asked:
        return "no cut was asked for, and none is there" if not extra else f"{extra} that nobody asked for"
    hit = int(parts["true_positives"])
    return f"{hit} of {asked} came where they were asked for" + (
        f", and {extra} that nobody asked for" if extra else ""
    )
