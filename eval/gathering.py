"""From a video and a storyboard to all that metrics look at: one pass over the frames, with every model looking on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.boxes import Boxes, crop
from eval.encoders.texts import describe_texts
from eval.encoders.theatre import is_of_the_theatre
from eval.evidence import Detection, Embeddings, Evidence, TextEmbeddings
from eval.faces import FaceSearch
from eval.film_terms import asked_angle, asked_scale
from eval.film_words import ANGLE_WORDS, SIZE_WORDS, Opinion, form_opinion
from eval.finding import Search
from eval.footage import MAX_FRAMES, check_fps, observe, sampled_frames
from eval.request import UNWORDED, Asked, Request, place
from eval.sighting import given_boxes, looked_at, settle
from eval.watching import Watcher
from holocine.decoding import VideoError, VideoReader
from holocine.prompt import character_descriptions, character_tags, parse_prompt, split_timeline
from holocine.storyboard import Shot, Storyboard, StoryboardError
from holocine.video import embedded_in

if TYPE_CHECKING:
    from eval.encoders.finders import Finder

logger = logging.getLogger(__name__)

NO_STORYBOARD = "there is no storyboard: none was given, and the video has none in it"

_FACES = 5  # frames of each shot that are searched for faces
Source = str | os.PathLike | np.ndarray


class Cancelled(Exception):
    """Scoring was asked to stop."""


class Stopwatch:
    """Seconds spent, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def storyboard_of(source: Source, storyboard: Storyboard | str | os.PathLike | None = None) -> Storyboard | None:
    """The storyboard that a video was asked to show: given, in a file (YAML, JSON or a video made by holocine), or the
    video's own; None if there is none. Raises `StoryboardError` or `VideoError`.
    """
    if isinstance(storyboard, Storyboard):
        return storyboard.asked
    if storyboard is None and isinstance(source, np.ndarray):
        return None
    path = Path(source if storyboard is None else storyboard)
    if storyboard is not None and path.suffix.lower() in (".json", ".yaml", ".yml"):
        return Storyboard.load(path)
    with VideoReader(path) as reader:
        found = embedded_in(reader).storyboard
    if found is None and storyboard is not None:
        raise StoryboardError(f"{path} has no storyboard in it: give a .yaml or .json file, or a video of holocine")
    return found and found.asked


def request_of(
    source: Source, asked: Request | Storyboard | str | os.PathLike | None = None, **how: Any
) -> Request | None:
    """What a video is to be scored against, from all that `storyboard_of` takes; `how`: fields of `Request`.

    Where a storyboard does not say when its shots begin, a video that was made of it does. Raises `StoryboardError` for
    a start or a policy without a storyboard, which is what they are of, or `VideoError`.
    """
    if isinstance(asked, Request):
        return asked
    storyboard = storyboard_of(source, asked)
    if storyboard is None and (how.get("start") or how.get("policy", "auto") != "auto"):
        raise StoryboardError(
            "nobody said what the video was to show, so there is nothing to align or to begin later: give a storyboard "
            "or cuts, or leave alignment and start as they are"
        )
    if storyboard is not None and not storyboard.timed:
        storyboard = _as_made(source, storyboard)
    return storyboard and Request.of(storyboard, **how)


def _as_made(source: Source, storyboard: Storyboard) -> Storyboard:
    """The storyboard in the video if it has the same captions, or else the one that was given."""
    own = storyboard_of(source)
    words = [(board.global_caption, board.captions) for board in (own, storyboard) if board is not None]
    return own if own is not None and words[0] == words[1] else storyboard


def prompt_request(
    prompt: str, cuts: Sequence[int] | None, source: Source, fps: float | None = None, **how: Any
) -> Request:
    """The request that HoloCine's prompt string is, cut at frames `cuts` of the video, or at those that it says below
    itself; without them it is not timed.

    fps: frames a second of the video, if it does not say so itself. Raises `StoryboardError` or `VideoError`.
    """
    prompt, timeline = split_timeline(prompt)
    cuts = timeline["shot_cut_frames"] if cuts is None and timeline else cuts
    global_caption, captions = parse_prompt(prompt)
    # Lengths are needed to make a storyboard; nobody looks at them.
    shots = [{"caption": caption, "num_frames": 1} for caption in captions]
    storyboard = Storyboard(global_caption=global_caption, shots=shots)
    if cuts is None and len(captions) > 1:
        return Request(storyboard, timed=False, **how)
    return cut_request(storyboard, cuts or (), source, fps, **how)


def check_cuts_go_with(storyboard: Storyboard, called: str) -> Storyboard:
    """The storyboard that cuts are given beside; raises `StoryboardError`, calling it so, if it has its own."""
    if storyboard.timed:
        raise StoryboardError(f"{called} has cuts of its own: leave out these or those that are given beside it")
    return storyboard


def own_request(cuts: Sequence[int], source: Source, fps: float | None = None, **how: Any) -> Request:
    """The request that cuts at frames of one video are, with the texts inside that video, or if it has none without.

    fps, errors: as for `cut_request`.
    """
    storyboard = storyboard_of(source)
    if storyboard is None:
        shots = [Shot(caption=f"Shot {number}", num_frames=1) for number in range(1, len(cuts) + 2)]
        storyboard, how = Storyboard(global_caption="Not said", shots=shots), {**how, "worded": False}
    return cut_request(storyboard, cuts, source, fps, **how)


def cut_request(
    storyboard: Storyboard,
    cuts: Sequence[int],
    source: Source,
    fps: float | None = None,
    start: float = 0.0,
    **how: Any,
) -> Request:
    """The texts of a storyboard, cut at frames `cuts` of one video; the last shot ends with it.

    A video that ends before its last cut is too short, not refused: the shots that it lacks are told and not found.

    fps: frames a second of the video, if it does not say so itself. start: seconds before the first shot. Raises
    `StoryboardError` or `VideoError`.
    """
    rate, num_frames = _rate_and_length(source, None, fps)
    if num_frames < 1:
        raise VideoError(f"{source} has no pictures in it")
    first = round(start * rate)
    if first >= num_frames:
        raise StoryboardError(
            f"the scene was to begin after {start:g} s, but the video ends after {num_frames / rate:.4g} s"
        )
    if cuts and first >= cuts[0] > 0:
        raise StoryboardError(
            f"the scene begins after {start:g} s, on frame {first}, but the first cut is at frame {cuts[0]}: cuts are "
            "counted from the first frame of the video, not of the scene"
        )
    again = Storyboard.from_captions(
        storyboard.global_caption,
        storyboard.captions,
        max(num_frames, *(cut + 1 for cut in cuts)) - first if cuts else max(1, num_frames - first),
        [cut - first for cut in cuts],
        fps=min(max(float(rate), 1.0), 240.0),
    )
    return Request(again, fps=None, start=start, **how)


def gather(
    source: Source,
    request: Request | Storyboard | None,
    encoders: Any,
    detector: Any,
    fps: float | None = None,
    boxes: Boxes | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    stopwatch: Stopwatch | None = None,
    finder: Finder | None = None,
    no_finder: str | None = None,
    most_pixels: int | None = None,
) -> Evidence:
    """Go once over the video and let the models of `encoders` and the shot `detector` look at it.

    Frames of a file of more than `most_pixels` are scaled down first. Characters are in
    `boxes`, or where `finder` finds them; `no_finder` says why there is neither.
    `progress` is called with the stage, what is done of it and its whole (None if unknown). What a model cannot give is
    None with its reason. Raises `VideoError`, `StoryboardError` if the storyboard cannot be this video's, and
    `Cancelled`.
    """
    stopwatch = stopwatch or Stopwatch()
    request = Request.of(request) if isinstance(request, Storyboard) else request
    rate, num_frames = _rate_and_length(source, request, fps)
    expected_shots = _expected_shots(request, num_frames, rate)
    sampled = sampled_frames(MAX_FRAMES, rate, expected_shots)
    lookers = _lookers(encoders, sampled, boxes or {})
    faces = _face_search(request, sampled, expected_shots or (range(num_frames),))
    search = None if boxes else _search(finder, request, looked_at(sampled, expected_shots), encoders)

    def frames_done(done: int, expected: int | None) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("scoring was cancelled")
        if progress is not None:
            progress("frames", done, expected)

    with stopwatch("frames"):
        given = rate if isinstance(source, np.ndarray) else fps  # a file's own times go with its own rate
        watchers = [*lookers.values(), *filter(None, (search, faces))]
        footage = observe(source, given, watchers, frames_done, most_pixels)
    embedding = sum(looker.seconds for looker in lookers.values())
    found_by = [one for one in (search, faces) if one is not None]
    stopwatch.add("frames", -embedding - sum(one.seconds for one in found_by))
    stopwatch.add("embeddings", embedding)
    for one in found_by:
        stopwatch.add("characters", one.seconds)
    times = np.append(footage.times, footage.duration)
    asked = request and place(request, footage.num_frames, footage.fps, times)
    with stopwatch("shots"):
        detection: Detection = detector.detect(footage.thumbnails)
    asked = asked and asked.with_found(detection.shot_ranges)
    with stopwatch("texts"):
        text, no_text = _texts(encoders, asked)
        words, no_words = _words(encoders, asked)

    seen = {name: looker.vectors() for name, looker in lookers.items()}
    sightings, crops = None, {}
    if asked is not None and boxes:
        sightings = given_boxes(boxes, asked.clipped(footage.num_frames))
        crops = {tag: Embeddings(encoders.clip.id, *seen[tag]) for tag in boxes if seen.get(tag)}
    elif asked is not None and search is not None and (look := search.look()) is not None:
        sightings = settle(look, asked.clipped(footage.num_frames), [character_tags(text) for text in asked.captions])
        by = finder.encoder or (encoders.clip.id if encoders.clip is not None else "")
        crops = {tag: Embeddings(by, *vectors) for tag, vectors in sightings.vectors.items()}
    reasons = {
        **encoders.missing,
        **({} if asked is not None else {"asked": NO_STORYBOARD}),
        "text": no_text,
        "words": no_words,
        "faces": faces and faces.problem,
        "sightings": search.problem if search is not None else no_finder,
        **{name: looker.problem for name, looker in lookers.items()},
    }
    return Evidence(
        footage=footage,
        detection=detection,
        asked=asked,
        clip=seen.get("clip") and Embeddings(encoders.clip.id, *seen["clip"]),
        dino=seen.get("dino") and Embeddings(encoders.dino.id, *seen["dino"]),
        text=text,
        sightings=sightings,
        crops=crops,
        aesthetic=seen.get("aesthetic"),
        faces=faces and faces.faces(),
        words=words,
        missing={name: reason for name, reason in reasons.items() if reason},
    )


class _Looker(Watcher):
    """A watcher that shows a model the wanted frames, or what lies in a character's box of them."""

    FAILED = "the encoder failed"

    def __init__(self, look: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray, boxes: dict | None = None) -> None:
        super().__init__(wanted if boxes is None else np.array([n for n in wanted if int(n) in boxes], dtype=np.int64))
        self.look, self.boxes = look, boxes
        self._frames: list[int] = []
        self._seen: list[np.ndarray] = []

    def look_at(self, numbers: list[int], pictures: np.ndarray) -> None:
        for batch, shown in self._batches(numbers, pictures):
            seen = np.asarray(self.look(shown))
            if not np.isfinite(seen).all():
                raise ValueError(f"its result for frame {batch[0]} or a later one is not a finite number")
            self._frames.extend(batch)
            self._seen.append(seen)

    def _batches(self, numbers: list[int], pictures: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
        if self.boxes is None:
            yield numbers, pictures
            return
        for number, picture in zip(numbers, pictures, strict=True):
            if (part := crop(picture, self.boxes[number])) is not None:
                yield [number], part[None]

    def vectors(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Frame numbers (n,) and what the model gave for them (n, …); None if it failed or saw nothing."""
        if self.problem or not self._seen:
            return None
        return np.array(self._frames, dtype=np.int64), np.concatenate(self._seen)


def _lookers(encoders: Any, wanted: np.ndarray, boxes: Boxes) -> dict[str, _Looker]:
    lookers = {}
    if encoders.clip is not None:
        lookers["clip"] = _Looker(encoders.clip.embed_images, wanted)
        lookers |= {tag: _Looker(encoders.clip.embed_images, wanted, of_tag) for tag, of_tag in boxes.items()}
    if encoders.dino is not None:
        lookers["dino"] = _Looker(encoders.dino.embed_images, wanted)
    if encoders.aesthetic is not None:
        lookers["aesthetic"] = _Looker(encoders.aesthetic.rate_images, wanted)
    return lookers


def _search(finder: Finder | None, request: Request | None, wanted: np.ndarray, encoders: Any) -> Search | None:
    """The search for all characters that the request describes; None if nobody is to look for them."""
    if finder is None or request is None:
        return None
    described = character_descriptions(request.storyboard.global_caption)
    return Search(finder, described, wanted, encoders.clip and encoders.clip.embed_images)


def _texts(encoders: Any, asked: Asked | None) -> tuple[TextEmbeddings | None, str | None]:
    """The embeddings of a storyboard's texts, or None and the reason."""
    if asked is None:
        return None, NO_STORYBOARD
    if not asked.request.worded:
        return None, UNWORDED
    if encoders.clip is None:
        return None, encoders.missing.get("clip")
    try:
        texts = describe_texts(asked.storyboard)
        vectors = np.asarray(encoders.clip.embed_texts([texts.whole, *texts.shots]))
        if not np.isfinite(vectors).all():
            raise ValueError("its result is not a finite number")
    except Exception as error:
        logger.warning("the text encoder failed", exc_info=True)
        return None, f"the text encoder failed: {error or type(error).__name__}"
    return TextEmbeddings(encoders.clip.id, vectors[0], vectors[1:]), None


def _face_search(request: Request | None, wanted: np.ndarray, shots: Sequence[range]) -> FaceSearch | None:
    """The search for faces in shots that are to be of a size; None in the theatre, or if no caption asks for one.

    shots: as far as it is known where they lie, or else the whole video.
    """
    if request is None or is_of_the_theatre(request.storyboard):
        return None
    sized = [asked_scale(caption) is not None for caption in request.storyboard.captions]
    if not any(sized):
        return None
    if not request.timed:  # where its shots lie is not known yet
        return FaceSearch(looked_at(wanted, shots, _FACES * len(sized)))
    asking = [shot for shot, is_sized in zip(shots, sized, strict=True) if is_sized]
    return FaceSearch(looked_at(wanted, asking, _FACES))


def _words(encoders: Any, asked: Asked | None) -> tuple[dict[str, Opinion], str | None]:
    """What CLIP makes of film's words that captions ask for on real footage; the reason if something is missing."""
    if asked is None or is_of_the_theatre(asked.storyboard):
        return {}, None
    kinds = {"size": (asked_scale, SIZE_WORDS), "angle": (asked_angle, ANGLE_WORDS)}
    wanted = {
        kind: phrases
        for kind, (asks, phrases) in kinds.items()
        if any(asks(caption) is not None for caption in asked.captions)
    }
    if not wanted or encoders.clip is None:
        return {}, encoders.missing.get("clip")
    try:
        return {kind: form_opinion(encoders.clip, phrases) for kind, phrases in wanted.items()}, None
    except Exception as error:
        logger.warning("film's words failed", exc_info=True)
        return {}, f"the encoder failed at film's words: {error or type(error).__name__}"


def _rate_and_length(source: Source, request: Request | None, fps: float | None) -> tuple[float, int]:
    """Frames a second as said, by the file's times, or of the storyboard for bare frames; and how many there are.

    The file is opened once, and nothing of it is decoded.
    """
    if isinstance(source, np.ndarray):
        rate, num_frames = fps or (request and request.fps), len(source)
    else:
        with VideoReader(source, fps) as reader:
            rate, num_frames = reader.rate_and_length()
    check_fps(rate, _called(source))
    return rate, num_frames


def _called(source: Source) -> str:
    """What errors call a video."""
    return "an array of frames" if isinstance(source, np.ndarray) else str(source)


def _expected_shots(request: Request | None, num_frames: int, fps: float) -> tuple[range, ...]:
    """Where the shots will lie as far as can be told before the frames are read; some of each are to be embedded."""
    if request is None or not request.timed:
        return ()
    return place(request, max(1, num_frames), fps).shot_ranges
