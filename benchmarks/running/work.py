"""What a worker does with one item: make the video, score it, and hand the files back to whoever holds the run."""

from __future__ import annotations

import errno
import io
import json
import logging
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.running.items import LOG, RECORD, REQUEST, SCORECARD, VIDEO, Hashes, Item, Record
from benchmarks.running.scoring import Scoring
from benchmarks.suites.suite import Entry
from benchmarks.systems.models import Models
from benchmarks.systems.systems import System, Video

logger = logging.getLogger(__name__)

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Job:
    """An item with all that a worker needs for it.

    kept: files of the item that are still right; with a video among them it is scored only. before: their record.
    """

    item: Item
    entry: Entry
    system: System | None
    hashes: Hashes
    kept: Mapping[str, bytes] = field(default_factory=dict)
    before: Record | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job: the files of the item, or `stop`, a sentence that says why no item can be made.

    seconds: what it took, loading of models included.
    """

    record: Record
    files: Mapping[str, bytes]
    seconds: float
    stop: str | None = None

    @property
    def item(self) -> Item:
        return self.record.item


class Worker:
    """Works on items one after the other, with models that are loaded once."""

    def __init__(self, scoring: Scoring, scratch: Path | None = None) -> None:
        self.scoring, self.scratch = scoring, scratch
        self.models, self.scorer = Models(), None

    def do(self, job: Job) -> Outcome:
        """Work on an item. What goes wrong with it is part of the outcome."""
        if self.scratch is not None:
            self.scratch.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        seconds: dict[str, float] = {}
        files: dict[str, bytes] = {}
        peak = PeakMemory()
        error, stop, refused = None, None, False
        before = job.before if VIDEO in job.kept else None
        notes = list(before.notes if before else ())
        with collected_log() as log, tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            try:
                self._work(job, Path(folder) / VIDEO, seconds, files, notes)
            except Exception as problem:  # any failure is the item's own, and the run goes on
                logger.error("%s", traceback.format_exc().rstrip())
                error = _sentence(problem)
                refused = isinstance(problem, ValueError) and files.get(VIDEO) is None
                stop = _stop(problem)
        if error is not None:
            files.pop(SCORECARD, None)
        record = Record(
            *(job.item.system, job.item.storyboard_id, job.item.seed),
            status="done" if error is None else "failed",
            error=error,
            seconds={**(before.seconds if before else {}), **{name: round(s, 4) for name, s in seconds.items()}},
            peak_mb=_larger(peak.megabytes(), before and before.peak_mb),
            peak_gpu_mb=_larger(peak.gpu_megabytes(), before and before.peak_gpu_mb),
            hashes=job.hashes,
            notes=tuple(notes),
            refused=refused,
        )
        files |= {RECORD: record.to_json().encode(), LOG: job.kept.get(LOG, b"") + log.getvalue().encode()}
        return Outcome(record, files, time.perf_counter() - start, stop)

    def _work(self, job: Job, path: Path, seconds: dict[str, float], files: dict[str, bytes], notes: list[str]) -> None:
        named = VIDEO
        if VIDEO not in job.kept:
            job.system.check(job.entry, job.item.seed)  # which may load a tokenizer
            loaded = self.models.seconds
            try:
                with _timed(seconds, "generate"):
                    made = job.system.generate(job.entry, job.item.seed, self.models)
            finally:
                if loading := self.models.seconds - loaded:
                    seconds["load"], seconds["generate"] = loading, seconds["generate"] - loading
            files[VIDEO] = _as_file(made, path, job)
            named = str(made) if isinstance(made, Path) else VIDEO
            how = job.system.how(job.entry.id, job.item.seed) if isinstance(made, Path) else made.how
            notes += () if isinstance(made, Path) else made.notes
            if how:
                files[REQUEST] = json.dumps(dict(how)).encode()
        else:
            files |= {name: job.kept[name] for name in (VIDEO, REQUEST) if name in job.kept}
            path.write_bytes(files[VIDEO])
        if self.scorer is None:
            self.scorer = self.scoring.load()
        self.scoring.definition(job.entry.storyboard)  # loads the encoders, where they are not yet
        with _timed(seconds, "score"):
            how = json.loads(files.get(REQUEST, b"{}"))
            try:
                files[SCORECARD] = self.scorer(path, job.entry.storyboard, **how).encode()
            except ValueError as error:  # which names the copy that is scored
                raise ValueError(str(error).replace(str(path), named)) from error


def lost(job: Job, reason: str) -> Outcome:
    """The outcome of a job whose workers died."""
    item = job.item
    record = Record(item.system, item.storyboard_id, item.seed, "failed", reason, {}, None, job.hashes)
    return Outcome(record, {RECORD: record.to_json().encode(), LOG: f"{reason}\n".encode()}, 0.0)


def _larger(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _as_file(made: Video | Path, path: Path, job: Job) -> bytes:
    """Write what a system made to `path` as MP4; a finished file is taken over byte by byte."""
    from holocine import write_video

    if isinstance(made, Path):
        content = made.read_bytes()
        path.write_bytes(content)
        return content
    asked = job.entry.storyboard
    run = asked.as_run() if made.storyboard is None else made.storyboard
    count = len(made.frames)
    if made.storyboard is not None and count != run.num_frames:
        raise ValueError(f"{job.item.system} made {count} frames where it was to make {run.num_frames}")
    if made.storyboard is None and count not in (asked.num_frames, run.num_frames):
        raise ValueError(f"{job.item.system} made {count} frames where the storyboard has {asked.num_frames}")
    settings = {"system": job.item.system, "repetition": job.item.seed}
    write_video(path, made.frames, made.fps, run if count == run.num_frames else asked, settings)
    return path.read_bytes()


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def _stop(error: Exception) -> str | None:
    """Why the whole run has to stop, if it has to: where there is no space, no other item can land either."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        where = f" for {error.filename}" if error.filename else ""
        return f"there is no space{where} ({error.strerror}): make room and run the same command again"
    return None


def no_space(error: OSError) -> str:
    """Say that an item could not be written; any other OSError is said as it is."""
    return _stop(error) or f"{error.filename}: {error.strerror}"


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = time.perf_counter() - start


@contextmanager
def collected_log() -> Iterator[io.StringIO]:
    """Collect what is logged and warned inside."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield text
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)


class PeakMemory:
    """Most memory held since it was made; where the system cannot begin anew (Linux can), since the process began."""

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            logger.debug("the peak of memory cannot be reset here")
        if gpu := _gpu():
            gpu.reset_peak_memory_stats()

    def megabytes(self) -> float:
        try:
            status = Path("/proc/self/status").read_text()
            return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)
        except (OSError, IndexError):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)

    def gpu_megabytes(self) -> float | None:
        return round(gpu.max_memory_allocated() / 2**20, 1) if (gpu := _gpu()) else None


def _gpu():
    """CUDA, if this process uses it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
