"""A run's folder: one item a (system, storyboard, seed), each landing whole or not at all.

    RUN/run.json            suite, systems, model, metrics, seeds
    RUN/suite.jsonl         the suite as it was run
    RUN/items/SYSTEM/STORYBOARD/SEED/record.json, scorecard.json, video.mp4, log.txt

A record's hashes say what its video and its scores depend on, so that whatever has changed since is noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json

from holocine.files import making_parents, replacing

FORMAT = "holocine-run/1"
RECORD, SCORECARD, VIDEO, LOG = "record.json", "scorecard.json", "video.mp4", "log.txt"
REQUEST = "request.json"  # how a video is to be compared with its storyboard, where not as usual
ITEMS, SCRATCH = "items", ".scratch"  # folders of a run
LOCK = ".lock"


class RunError(ValueError):
    """A run that cannot start or go on. The message is one sentence with the remedy."""


@dataclass(frozen=True, order=True)
class Item:
    """One piece of work: a system's video of a storyboard, repetition number `seed`."""

    system: str
    storyboard_id: str
    seed: int

    @property
    def where(self) -> str:
        """Its folder within a run's."""
        return f"{ITEMS}/{self.system}/{self.storyboard_id}/{self.seed}"

    def folder(self, run: Path) -> Path:
        return run / self.where

    def __str__(self) -> str:
        return f"{self.system} {self.storyboard_id} seed {self.seed}"


@dataclass(frozen=True)
class Hashes:
    """SHA-256 of what an item depends on. storyboard: with the scene it stands for. model: None for systems without
    one. system: its definition. metrics: metric versions, encoders and detector.
    """

    storyboard: str
    model: str | None
    system: str
    metrics: str

    def same_video(self, other: Hashes) -> bool:
        """Tell whether nothing has changed that the video depends on."""
        return replace(self, metrics="") == replace(other, metrics="")


@dataclass(frozen=True)
class Record:
    """What became of an item.

    error: one line, None when done. seconds: of "load" (models, where some were loaded for this item), "generate" and
    "score", those that were reached, none within another. peak_mb: most main memory that the process held while it
    worked on the item, MiB; peak_gpu_mb: the same of a GPU, None without one. notes: what the system could not express
    of the storyboard, a sentence each. refused: of an item that failed, whether its video cannot be made at all, so
    that the same comes of another attempt.
    """

    system: str
    storyboard_id: str
    seed: int
    status: Literal["done", "failed"]
    error: str | None
    seconds: Mapping[str, float]
    peak_mb: float | None
    hashes: Hashes
    peak_gpu_mb: float | None = None
    notes: tuple[str, ...] = ()
    refused: bool = False

    @property
    def item(self) -> Item:
        return Item(self.system, self.storyboard_id, self.seed)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Raises ValueError for anything that `to_json` has not written."""
        try:
            plain = from_json(text)
            notes = tuple(plain.get("notes", ()))
            record = cls(**{**plain, "hashes": Hashes(**plain["hashes"]), "notes": notes})
        except (TypeError, KeyError) as error:
            raise ValueError(f"is no record of an item ({error})") from None
        if record.status not in ("done", "failed"):
            raise ValueError(f"is no record of an item (status {record.status!r})")
        return record


@dataclass(frozen=True)
class RunInfo:
    """What run.json says.

    suite: name, version and sha256. systems: names to specifications. model: name, sha256 of all its files and of its
    transformer's weights, how it is sampled; empty where no system has one. metrics: ids. scoring: encoders and
    detector as they were asked for. seeds: repetitions. world: version of the puppet world where systems show it, else
    None. code: of all commands that worked on it, see `code_version`.
    """

    suite: Mapping[str, Any]
    systems: Mapping[str, str]
    model: Mapping[str, Any]
    metrics: tuple[str, ...]
    scoring: Mapping[str, Any]
    seeds: tuple[int, ...]
    world: int | None = None
    format: str = FORMAT
    code: tuple[str, ...] = ()

    @classmethod
    def load(cls, run: Path) -> RunInfo | None:
        """What run.json of a run says, None if there is none yet; raises `RunError` if it is damaged.

        What else it holds, as that of published results does, is left alone.
        """
        path = run / "run.json"
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            known = {one.name: plain[one.name] for one in fields(cls) if one.name in plain}
            info = cls(**{**known, "metrics": tuple(plain["metrics"]), "seeds": tuple(plain["seeds"])})
            info = replace(info, code=tuple(info.code))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"{path} is damaged ({error}): delete it; the items stay, and the run writes it again"
            ) from None
        if info.format != FORMAT:
            raise RunError(f"{path} is of format {info.format!r}, but this program reads {FORMAT}")
        return info

    def worked_on_by(self, *codes: str) -> RunInfo:
        """The same, with the code of more commands."""
        return replace(self, code=tuple(dict.fromkeys((*self.code, *codes))))

    def save(self, run: Path) -> None:
        with replacing(run / "run.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def existing(run: Path) -> RunInfo:
    """What run.json of a run says; raises `RunError` if there is none or it is damaged."""
    info = RunInfo.load(run)
    if info is None:
        raise RunError(f"{run} holds no run: {'it has no run.json' if run.is_dir() else 'there is no such folder'}")
    return info


def items_in(run: Path) -> Iterator[Item]:
    """All items that have landed in a run, in order."""
    root = f"{run}/{ITEMS}"  # plain text from here on: ten thousand items are a hundred thousand paths
    for system in _folders(root):
        for storyboard_id in _folders(f"{root}/{system}"):
            for seed in _folders(f"{root}/{system}/{storyboard_id}"):
                if seed.isdigit():
                    yield Item(system, storyboard_id, int(seed))


def _folders(path: str) -> list[str]:
    """The names of the folders in a folder, but for hidden ones; none if there is no such folder."""
    try:
        with os.scandir(path) as found:
            return sorted(one.name for one in found if not one.name.startswith(".") and one.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_record(run: Path, item: Item) -> Record | None:
    """The record of an item, None if it has not landed or is damaged."""
    try:
        with open(f"{run}/{item.where}/{RECORD}", "rb") as file:
            record = Record.from_json(file.read())
    except (OSError, ValueError):
        return None
    return record if record.item == item else None


def land(run: Path, item: Item, files: Mapping[str, bytes]) -> None:
    """Put an item's files in place, all or none; what was there before goes. Raises OSError."""
    folder = item.folder(run)
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.old")
    with replacing(folder) as temporary:
        temporary.mkdir()
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(folder, old)
    shutil.rmtree(old, ignore_errors=True)


def remove(run: Path, item: Item) -> None:
    """Take an item out of a run."""
    shutil.rmtree(item.folder(run), ignore_errors=True)


def sweep(run: Path) -> None:
    """Remove what killed processes left behind; only under the lock."""
    shutil.rmtree(run / SCRATCH, ignore_errors=True)
    for leftover in (*run.glob(".run.json.*"), *run.glob(".suite.jsonl.*"), *(run / ITEMS).glob("*/*/.*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run's folder for this process alone, and make it if need be; raises `RunError` naming who holds it.

    The lock is the operating system's and ends with the process that holds it, however it ends; the file stays, but
    where the block fails before there is anything of a run, and then a folder that was made for it goes, too.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(making_parents(run / LOCK))
            file = stack.enter_context(open(run / LOCK, "a+", encoding="utf-8"))
        except OSError as error:
            where = f"{error.filename}: " if error.filename != str(run / LOCK) else ""
            raise RunError(f"{run} cannot hold a run: {where}{error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink == 0:  # its last holder has just removed it
                raise BlockingIOError
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise RunError(
                f"{run} is in use by {holder}: wait for it, or choose another folder and merge the two"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
        file.flush()
        try:
            yield
        except BaseException:
            if os.listdir(run) == [LOCK]:
                (run / LOCK).unlink()
            raise
