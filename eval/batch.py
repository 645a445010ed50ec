"""Scoring of many videos: one after the other or in several processes, keeping what is finished."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from eval.boxes import Boxes, read_boxes
from eval.encoders import Encoders, load_encoders
from eval.encoders.finders import Finder, load_finder, names_finder
from eval.footage import fingerprint
from eval.gathering import (
    Cancelled,
    check_cuts_go_with,
    cut_request,
    own_request,
    prompt_request,
    request_of,
    storyboard_of,
)
from eval.metrics import all_metrics
from eval.request import Request
from eval.scorecard import (
    Scorecard,
    ScorecardError,
    boxes_hash,
    encoder_records,
    examine,
    request_hash,
    where_characters_are,
)
from eval.shots import DETECTORS, ShotDetector, load_detector
from eval.stills import save_stills
from holocine.files import check_writable
from holocine.lazy import without_collection
from holocine.program import ignore_interrupts
from holocine.prompt import parse_prompt
from holocine.storyboard import StoryboardError

logger = logging.getLogger(__name__)

_STORYBOARD_FILES = (".yaml", ".yml", ".json")
# fmt: off
VIDEO_FILES = (
    ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
)
# fmt: on

# Matrix products add up in another order on another number of threads, so that embeddings differ in their last digits:
# values of metrics are equal to this (they differ by 3e-7 at most in what was tried), sums to as much for each thing.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Options:
    """How videos are to be scored.

    storyboard: a file for all videos, or a folder with a file named like each video; None for the one in the video.
    prompt, cuts: HoloCine's prompt string instead, and the frames at which it was to be cut, as far as they are known.
    align, start: as policy and start of `eval.request.Request`. encoders to cache: as for
    `eval.encoders.load_encoders`. out: a folder for scorecards and stills.
    """

    storyboard: str | None = None
    prompt: str | None = None
    cuts: tuple[int, ...] | None = None
    fps: float | None = None
    align: str = "auto"
    start: float = 0.0
    encoders: str = "auto"
    dino: str = "auto"
    aesthetic: str | None = None
    device: str | None = None
    cache: str | None = None
    detector: str = "transnetv2"
    boxes: str | None = None
    out: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A scored video, or the sentence that says why it could not be scored. `kept`: it was finished before."""

    video: str
    scorecard: Scorecard | None = None
    error: str | None = None
    kept: bool = False


Progress = Callable[[str, int, int | None], None]


def score_all(
    videos: Sequence[str], options: Options, jobs: int = 1, progress: Progress | None = None
) -> Iterator[Outcome]:
    """Yield an outcome for every video as it is finished, in order with one job, in any order with more.

    With `options.out`, scorecards are written there as they are finished, and those already there for the same video,
    storyboard, settings and metrics are kept. `progress` (with one job) follows the video that is being scored. No bad
    file ends the others. An interrupt leaves what is finished.

    The processes share the cores among them. Any number of jobs gives the same values within TOLERANCE, and exactly the
    same where OMP_NUM_THREADS is set, which then is the number of threads of each process.
    """
    if jobs == 1 or len(videos) == 1:
        for video in videos:
            yield score_one(video, options, progress)
        return
    context = multiprocessing.get_context("spawn")  # forked copies of a process that has used torch may hang
    waiting = list(videos)
    while waiting:
        yield from _in_processes(waiting, options, min(jobs, len(waiting)), context)


def find_videos(places: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """The videos that are meant: files as they are named, and of every folder the videos in it, by name.

    Also returns how many were found in each folder. A folder's own folders are not looked into. Raises ValueError for a
    folder without a video.
    """
    videos, found = [], {}
    for place in places:
        if not Path(place).is_dir():
            videos.append(place)
            continue
        inside = sorted(path for path in Path(place).iterdir() if _is_video(path))
        if not inside:
            raise ValueError(f"{place} holds no video: none of its files is called {', '.join(VIDEO_FILES)}")
        videos += map(str, inside)
        found[place] = len(inside)
    return list(dict.fromkeys(videos)), found


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_FILES and not path.name.startswith(".") and path.is_file()


def score_one(
    video: str,
    options: Options,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Outcome:
    """Score one video; what is wrong with it is told in the outcome."""
    try:
        request = find_request(video, options)
        encoders, detector = _models(options, request)
        storyboard = request and request.written
        boxes, finder, _ = where_characters_are(options.boxes, storyboard, options.device, options.cache)
        if options.out is not None:
            sha256 = fingerprint(video)
            path = Path(options.out) / card_name(video, sha256)
            if kept := _finished(path, sha256, request, encoders, detector, options, boxes, finder):
                return Outcome(video, kept, kept=True)
        scorecard, evidence = examine(
            video,
            request,
            fps=options.fps,
            encoders=encoders,
            detector=detector,
            boxes=finder or boxes,
            progress=progress,
            cancelled=cancelled,
        )
        if options.out is not None:
            save_stills(path.with_suffix(".jpg"), scorecard, evidence.footage.pictures)
            scorecard.save(path)
    except Cancelled:
        raise
    except (ValueError, OSError, MemoryError) as error:
        return Outcome(video, error=_sentence(error))
    except Exception as error:
        logger.exception("scoring %s failed", video)
        return Outcome(video, error=f"scoring failed, {type(error).__name__}: {_sentence(error)}")
    return Outcome(video, scorecard)


def check(options: Options) -> None:
    """Raise for what would fail every video alike, before any work: files that are not there, names of models that do
    not exist, a folder that cannot be written. Makes the folder.
    """
    if options.storyboard is not None and not Path(options.storyboard).is_dir():
        storyboard = storyboard_of("", options.storyboard)
        if options.cuts is not None:
            check_cuts_go_with(storyboard, options.storyboard)
    if names_finder(options.boxes):
        load_finder(options.boxes, None, options.device)
    else:
        read_boxes(options.boxes)
    if options.detector not in DETECTORS:
        raise ValueError(f"the detector is {options.detector!r}, but has to be {' or '.join(DETECTORS)}")
    load_encoders(options.encoders, dino=options.dino, aesthetic=options.aesthetic, device=options.device)
    if options.prompt is not None:
        parse_prompt(options.prompt)
    if options.out is not None:
        if Path(options.out).is_file():
            raise ValueError(f"{options.out} is a file, but scorecards need a folder: name a new one")
        Path(options.out).mkdir(parents=True, exist_ok=True)
        check_writable(Path(options.out) / "scorecard.json")


def find_request(video: str, options: Options) -> Request | None:
    """What to score a video against; raises `StoryboardError` if a storyboard is asked for that is not there."""
    how: dict[str, Any] = {"policy": options.align, "start": options.start}
    if options.prompt is not None:
        return prompt_request(options.prompt, options.cuts, video, options.fps, **how)
    given = options.storyboard
    if given is not None and Path(given).is_dir():
        files = [Path(given) / f"{Path(video).stem}{suffix}" for suffix in _STORYBOARD_FILES]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise StoryboardError(f"{given} has no storyboard for {video}: {files[0].name} is missing")
        given = found
    if options.cuts is None:
        return request_of(video, given, **how)
    if given is None:
        return own_request(options.cuts, video, options.fps, **how)
    storyboard = check_cuts_go_with(storyboard_of(video, given), str(given))
    return cut_request(storyboard, options.cuts, video, options.fps, **how)


def card_name(video: str, sha256: str) -> str:
    """What the scorecard of a video is called in a folder of them: the video's name and the start of its hash."""
    stem = re.sub(r"[^\w.-]+", "_", Path(video).stem)[:80]
    return f"{stem}-{sha256[:8]}.json"


@without_collection()
def _models(options: Options, request: Request | None) -> tuple[Encoders, ShotDetector]:
    encoders = load_encoders(
        options.encoders,
        request and request.written,
        dino=options.dino,
        aesthetic=options.aesthetic,
        device=options.device,
        cache=options.cache,
    )
    return encoders, _detector(options.detector)


@lru_cache(maxsize=1)
def _detector(name: str) -> ShotDetector:
    return load_detector(name)


def _finished(
    path: Path,
    sha256: str,
    request: Request | None,
    encoders: Encoders,
    detector: ShotDetector,
    options: Options,
    boxes: Boxes,
    finder: Finder | None,
) -> Scorecard | None:
    """The scorecard at `path`, if it is what scoring the video now would give."""
    if not path.is_file():
        return None
    try:
        card = Scorecard.load(path)
    except ScorecardError:
        return None
    as_now = (
        card.video.sha256 == sha256
        and card.storyboard_sha256 == (request and request_hash(request))
        and card.encoders == encoder_records(encoders, finder)
        and card.detector == detector.name
        and card.boxes_sha256 == boxes_hash(boxes)
        and card.versions == {name: metric.version for name, metric in all_metrics().items()}
        and options.fps in (None, card.video.fps)
    )
    return card if as_now else None


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "there is not enough memory to score it"
    return " ".join(str(error).split())


# Several processes

_stop: Any = None


def _prepare(stop: Any, threads: int | None) -> None:
    """Ready a process for its videos, with `threads` threads if they are not the environment's choice.

    An interrupt is the parent's business, which then asks for a stop.
    """
    global _stop
    _stop = stop
    ignore_interrupts()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _work(video: str, options: Options) -> Outcome:
    return score_one(video, options, cancelled=_stop.is_set)


def _in_processes(waiting: list[str], options: Options, jobs: int, context: Any) -> Iterator[Outcome]:
    """Outcomes from a pool; `waiting` keeps the videos that have none.

    A process that dies takes its pool along: the videos it may have died of are told, the others are left waiting.
    """
    threads = None if os.environ.get("OMP_NUM_THREADS") else max(1, (os.cpu_count() or 1) // jobs)
    stop = context.Event()
    pool = ProcessPoolExecutor(jobs, context, _prepare, (stop, threads))
    running: dict[Future, str] = {}
    queue = list(waiting)
    try:
        while queue or running:
            # No more than the processes can run are handed out, so that a death concerns few.
            while queue and len(running) < jobs:
                video = queue.pop(0)
                running[pool.submit(_work, video, options)] = video
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                video = running.pop(future)
                outcome = future.result()
                waiting.remove(video)
                yield outcome
    except BrokenProcessPool:
        for lost in {video, *running.values()}:
            waiting.remove(lost)
            yield Outcome(lost, error="the process that scored it, or one beside it, died; score it again by itself")
    finally:
        stop.set()  # what still runs is not waited for by anybody
        pool.shutdown(wait=True, cancel_futures=True)
