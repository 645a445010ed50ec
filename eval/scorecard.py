"""The scorecard of a video: every metric with its sums, counts and coverage, and what it was measured with."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from eval.boxes import Boxes, read_boxes
from eval.encoders.loading import PUPPET_ID
from eval.encoders.theatre import is_of_the_theatre
from eval.evidence import Boundary, Evidence, Footage
from eval.gathering import Cancelled, Source, Stopwatch, gather, request_of
from eval.metric import Measured, Metric
from eval.metrics import all_metrics
from eval.request import Request
from eval.trust import Word, trust_in
from holocine.files import replacing
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from eval.encoders.finders import Finder

logger = logging.getLogger(__name__)

FORMAT = "holocine-scorecard/1"
MAX_SIMILARITY = 100  # shots in the matrix of similarities
_DETAIL_DIGITS = 6
# Cosine between the embedded CLIP's mean frame and the whole text, below which it sees nothing of a scene. Films have
# -0.25 to -0.06 with a puppets' storyboard, other scenes of puppets up to 0.01, a still of the right one 0.42.
_NOTHING_OF_IT = 0.1


class ScorecardError(ValueError):
    """A file that is no scorecard, or scorecards that cannot be combined. The message is one sentence."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoRecord(_Record):
    name: str = Field(description="File name, or the name given for an array of frames.")
    sha256: str = Field(description="Of the file, or of an array's shape and bytes.")
    num_frames: int = Field(ge=1)
    fps: FiniteFloat = Field(gt=0, description="Frames per second; the average where the rate varies.")
    size: tuple[int, int] = Field(description="Width and height in pixels, upright.")
    times: tuple[FiniteFloat, ...] | None = Field(
        None,
        description="Seconds at which each frame is shown and, last, at which the last one is over, where the rate "
        "varies; None where frames come at the constant rate fps.",
    )

    def seconds(self, frame: int) -> float:
        """When a frame is shown; of `num_frames`, when the video is over."""
        return frame / self.fps if self.times is None else self.times[frame]


class BoundaryRecord(_Record):
    frame: int = Field(ge=0, description="First frame of the new shot, 0-based.")
    score: FiniteFloat = Field(description="The detector's confidence, in its own units.")
    kind: Literal["cut", "gradual"]
    start: int = Field(description="First frame of a gradual change; equal to frame for a cut.")
    stop: int = Field(description="The frame after its last one; equal to frame for a cut.")


class EncoderRecord(_Record):
    id: str
    sha256: str = Field(description="Of the weights.")
    licence: str


class MetricRecord(_Record):
    version: int = Field(description="A change of the definition that moves any score raises it.")
    value: FiniteFloat | None = Field(description="None if it could not be measured.")
    parts: dict[str, FiniteFloat] = Field(description="The sums and counts that the value is derived from.")
    covered: int = Field(description="How many of the things that the metric is about it could look at.")
    of: int = Field(description="How many there are.")
    reason: str | None = Field(description="Why the value is None, or what it leaves out.")
    trust: Word | None = Field(
        None, description="How far to trust the value, by the metric's calibration; None of before it was said."
    )
    limits: str | None = Field(None, description="Where not to trust it: what else moves it, what it does not notice.")
    detail: tuple[dict[str, Any], ...] = Field(description="Per shot, per pair, per cut or per frame.")


class AskedRecord(_Record):
    """How the request was put on the frames of this video; see `eval.request`."""

    policy: Literal["seconds", "frames", "share"] | None = Field(description="None if nobody said where shots begin.")
    scale: FiniteFloat = Field(description="Seconds of the video for one second of the request.")
    start: int = Field(description="Frame at which the first shot was to begin.")
    num_frames: int = Field(description="Frames that were asked for, in frames of the video.")
    cuts: tuple[int, ...] | None = Field(description="Frame at which each shot but the first was to begin.")
    shots: tuple[tuple[int, int], ...] = Field(description="Frames of each shot, half-open, as far as they are there.")


class Scorecard(_Record):
    """All metrics of one video. Plain JSON on disk; equal inputs give equal scorecards up to `seconds`."""

    format: Literal["holocine-scorecard/1"] = FORMAT
    video: VideoRecord
    storyboard: dict[str, Any] | None = Field(
        description="What the video was scored against, as a storyboard file, as it was asked for; shots have no "
        "length where nobody said where they begin."
    )
    storyboard_sha256: str | None = Field(description="Of the storyboard and, where not the usual, how it was aligned.")
    asked: AskedRecord | None = Field(None, description="The storyboard on the frames of this video.")
    detector: str = Field(description="Name and version of the shot detector.")
    boundaries: tuple[BoundaryRecord, ...] = Field(description="The changes of shot that it found.")
    encoders: dict[str, EncoderRecord] = Field(description="By role: clip, dino, aesthetic, finder.")
    boxes_sha256: str | None = Field(description="Of the boxes that showed where characters are; None without any.")
    metrics: dict[str, MetricRecord]
    similarity: tuple[tuple[FiniteFloat | None, ...], ...] | None = Field(
        description="CLIP cosine of every two shots, requested ones or without a storyboard detected ones; at most "
        f"{MAX_SIMILARITY} of them; None without CLIP."
    )
    notes: tuple[str, ...] = Field(description="What a reader should know about this video's scores; sentences.")
    seconds: dict[str, FiniteFloat] = Field(description="Time spent, by stage.")

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises `ScorecardError`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ScorecardError(f"is no scorecard: {where + ': ' if where else ''}{first['msg']}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write the scorecard as JSON; the file appears complete or not at all."""
        with replacing(path) as temporary:
            temporary.write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a scorecard file; raises `ScorecardError` that names it."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ScorecardError(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ScorecardError(f"{path} is no scorecard: it is not UTF-8 text") from None
        except ScorecardError as error:
            raise ScorecardError(f"{path} {error}") from None

    @property
    def versions(self) -> dict[str, int]:
        """The version of every metric, by name."""
        return {name: record.version for name, record in self.metrics.items()}

    @property
    def shots(self) -> tuple[range, ...] | None:
        """The requested shots as frame ranges, clipped to the video; None without a storyboard."""
        if self.asked is not None:
            return tuple(range(start, stop) for start, stop in self.asked.shots)
        if self.storyboard is None:
            return None
        last, ends = self.video.num_frames, accumulate(shot["num_frames"] for shot in self.storyboard["shots"])
        return tuple(range(min(a, last), min(b, last)) for a, b in pairwise((0, *ends)))  # a card of before `asked`


def score(
    video: Source,
    storyboard: Request | Storyboard | str | os.PathLike | None = None,
    *,
    fps: float | None = None,
    encoders: Any = "auto",
    detector: Any = "transnetv2",
    boxes: str | os.PathLike | Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Scorecard:
    """Score a video file, or frames uint8 (T, H, W, 3), on every metric in one pass.

    `storyboard`: what was asked for, or a `Request` that also says how to align it; by default the storyboard that
    videos made by holocine carry. `fps`: frames a second of bare frames, the storyboard's by default. `encoders`,
    `detector`: names, or loaded ones for many videos. `boxes`: where characters are, see `eval.boxes`, or "owlv2", its
    id or folder, or a loaded finder; in the theatre the embedded locator looks for them by default. `progress(stage,
    done, whole)` is called as it goes, and scoring stops with `Cancelled` when `cancelled()` is true.

    Raises `VideoError` for what is no video, `StoryboardError` for a storyboard of another video. A metric that fails
    is None in the scorecard, with the reason.
    """
    return examine(
        video,
        storyboard,
        fps=fps,
        encoders=encoders,
        detector=detector,
        boxes=boxes,
        progress=progress,
        cancelled=cancelled,
    )[0]


def examine(
    video: Source,
    storyboard: Request | Storyboard | str | os.PathLike | None = None,
    *,
    fps: float | None = None,
    encoders: Any = "auto",
    detector: Any = "transnetv2",
    boxes: str | os.PathLike | Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    most_pixels: int | None = None,
) -> tuple[Scorecard, Evidence]:
    """Like `score`, and the evidence that the metrics looked at; a file's frames of more than `most_pixels`, if that is
    given, are scaled down while they are read, which a note says.
    """
    from eval.encoders import load_encoders
    from eval.shots import load_detector

    stopwatch = Stopwatch()
    with stopwatch("loading"):
        request = request_of(video, storyboard)
        found_boxes, finder, no_finder = where_characters_are(boxes, request and request.written)
        if isinstance(encoders, str):
            encoders = load_encoders(encoders, storyboard=request and request.written)
        if isinstance(detector, str):
            detector = load_detector(detector)
    evidence = gather(
        video,
        request,
        encoders,
        detector,
        fps,
        found_boxes,
        progress,
        cancelled,
        stopwatch,
        finder,
        no_finder,
        most_pixels,
    )
    with stopwatch("metrics"):
        metrics = measure_all(evidence, progress, cancelled)
    asked = evidence.asked
    scorecard = Scorecard(
        video=VideoRecord(
            name="array" if isinstance(video, np.ndarray) else Path(video).name,
            sha256=evidence.footage.sha256,
            num_frames=evidence.footage.num_frames,
            fps=evidence.footage.fps,
            size=evidence.footage.size,
            times=varying_times(evidence.footage),
        ),
        storyboard=plain_request(request) if request and request.worded else None,
        storyboard_sha256=request and request_hash(request),
        asked=asked and _asked(evidence),
        detector=evidence.detection.detector,
        boundaries=tuple(map(_boundary, evidence.detection.boundaries)),
        encoders=encoder_records(encoders, finder),
        boxes_sha256=boxes_hash(found_boxes),
        metrics=metrics,
        similarity=shot_similarity(evidence),
        notes=(
            *evidence.footage.notes,
            *(asked.notes + asked.storyboard.mistakes if asked else ()),
            *_doubts_about_the_world(evidence),
        ),
        seconds={stage: round(seconds, 4) for stage, seconds in stopwatch.seconds.items()},
    )
    return scorecard, evidence


def measure_all(
    evidence: Evidence,
    progress: Callable[[str, int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, MetricRecord]:
    """Every metric on the same evidence, by name, each with how far it can be trusted there."""
    records = {}
    metrics = all_metrics()
    world = "theatre" if evidence.asked and is_of_the_theatre(evidence.asked.storyboard) else "film"
    looked = {
        role: embeddings.encoder
        for role, embeddings in (("clip", evidence.clip), ("dino", evidence.dino))
        if embeddings is not None
    } | {"detector": evidence.detection.detector}
    for number, (name, metric) in enumerate(metrics.items()):
        if cancelled is not None and cancelled():
            raise Cancelled("scoring was cancelled")
        trust = trust_in(metric, world, looked)
        record = measure(metric, evidence)
        records[name] = record.model_copy(update={"trust": trust.word, "limits": trust.limits})
        if progress is not None:
            progress("metrics", number + 1, len(metrics))
    return records


def measure(metric: Metric, evidence: Evidence) -> MetricRecord:
    """One metric; a failure of its own, or a number that is none, is a value of None with the reason."""
    try:
        measured = metric.measure(evidence)
        parts = {name: float(part) for name, part in measured.parts.items()}
        value = metric.value_of(parts)
        wrong = [name for name, part in (*parts.items(), ("value", value or 0.0)) if not math.isfinite(part)]
        if wrong:
            raise ValueError(f"its {wrong[0]} is not a finite number")
    except Exception as error:
        logger.warning("metric %s failed", metric.id, exc_info=True)
        measured, parts, value = Measured.absent(f"{metric.id} failed: {error or type(error).__name__}"), {}, None
    reason = measured.reason if value is not None else measured.reason or f"nothing to measure: {metric.absent_when}"
    return MetricRecord(
        version=metric.version,
        value=None if value is None else float(value),
        parts=parts,
        covered=int(measured.covered),
        of=int(measured.of),
        reason=reason,
        detail=tuple(plain(entry) for entry in measured.detail),
    )


def shot_similarity(evidence: Evidence) -> list[list[float | None]] | None:
    """Cosine between the mean CLIP vectors of every two shots (N, N); None for a shot of which nothing was embedded."""
    if evidence.clip is None:
        return None
    shots = (evidence.shots or evidence.detection.shot_ranges)[:MAX_SIMILARITY]
    means = [evidence.clip.mean_within(shot) for shot in shots]
    return [[None if a is None or b is None else plain(float(np.clip(a @ b, -1, 1))) for b in means] for a in means]


def varying_times(footage: Footage) -> tuple[float, ...] | None:
    """The times of frames and the end of the last one, in seconds; None if they follow from the rate."""
    if np.array_equal(footage.times, np.arange(footage.num_frames) / footage.fps):
        return None
    return tuple(round(float(time), _DETAIL_DIGITS) for time in (*footage.times, footage.duration))


def storyboard_hash(storyboard: Storyboard) -> str:
    """SHA-256 in hex of the storyboard's JSON."""
    return hashlib.sha256(storyboard.to_json(indent=None).encode()).hexdigest()


def request_hash(request: Request) -> str:
    """SHA-256 in hex of all that a request says; of a storyboard that is aligned as usual, that of the storyboard."""
    storyboard = storyboard_hash(request.storyboard)
    if request == Request.of(request.storyboard):
        return storyboard
    how = {"timed": request.timed, "fps": request.fps, "start": request.start, "policy": request.policy}
    how |= {} if request.worded else {"worded": False}
    return hashlib.sha256(json.dumps([storyboard, how], sort_keys=True).encode()).hexdigest()


def plain_request(request: Request) -> dict[str, Any]:
    """The storyboard of a request as JSON values, without lengths where nobody said where shots begin."""
    plain = json.loads(request.storyboard.to_json())
    if not request.timed:
        plain["shots"] = [{"caption": caption} for caption in request.storyboard.captions]
    return plain


def boxes_hash(boxes: Boxes) -> str | None:
    """SHA-256 in hex of what `read_boxes` gave; None for no boxes."""
    return hashlib.sha256(json.dumps(boxes, sort_keys=True).encode()).hexdigest() if boxes else None


def plain(value: Any) -> Any:
    """Any nesting of numbers, arrays and texts as JSON values; what is not finite is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | range):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, _DETAIL_DIGITS) if math.isfinite(value) else None
    return value


def _doubts_about_the_world(evidence: Evidence) -> Iterator[str]:
    """What is to be said where the theatre's encoders look, by the storyboard's words, and see nothing of it."""
    if evidence.clip is None or evidence.text is None or evidence.clip.encoder != PUPPET_ID:
        return
    alike = float((evidence.clip.vectors @ evidence.text.whole).mean())
    if alike < _NOTHING_OF_IT:
        yield (
            "the storyboard has the words of the puppet theatre, whose own encoders looked, but hardly anything of it "
            f"is seen (cosine {alike:.2f}): if this is no video of the theatre, what they say of characters, texts and "
            "consistency means nothing; name others with --encoders, --dino and --boxes"
        )


def _asked(evidence: Evidence) -> AskedRecord:
    asked = evidence.asked
    return AskedRecord(
        policy=asked.policy,
        scale=asked.scale,
        start=asked.start,
        num_frames=asked.num_frames,
        cuts=asked.cuts,
        shots=tuple((shot.start, shot.stop) for shot in evidence.shots),
    )


def _boundary(boundary: Boundary) -> BoundaryRecord:
    return BoundaryRecord(
        frame=int(boundary.frame),
        score=float(boundary.score),
        kind=boundary.kind,
        start=int(boundary.start),
        stop=int(boundary.stop),
    )


def where_characters_are(
    boxes: Any, storyboard: Storyboard | None, device: Any = None, cache: str | os.PathLike | None = None
) -> tuple[Boxes, Finder | None, str | None]:
    """What `boxes` of `score` means: boxes, or what finds them, or neither and the reason.

    device, cache: as for `eval.encoders.load_encoders`. Raises `BoxError` or `EncoderError`.
    """
    from eval.encoders.finders import load_finder, names_finder

    if hasattr(boxes, "candidates"):
        return {}, boxes, None
    if boxes and not names_finder(boxes):
        return read_boxes(boxes), None, "the boxes that were given are of nobody"
    return {}, *load_finder(boxes or None, storyboard, device, cache)


def encoder_records(encoders: Any, finder: Finder | None = None) -> dict[str, EncoderRecord]:
    """What a scorecard says of `eval.encoders.Encoders`, and of what looks for the characters."""
    roles = {role: getattr(encoders, role) for role in ("clip", "dino", "aesthetic")} | {"finder": finder}
    return {
        role: EncoderRecord(id=encoder.id, sha256=encoder.sha256, licence=encoder.licence)
        for role, encoder in roles.items()
        if encoder is not None
    }
