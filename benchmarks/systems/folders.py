"""Finished videos as a system: a folder of files, or a mapping that names them."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.systems.models import file_sha256
from eval.request import POLICIES
from holocine.finding import did_you_mean
from holocine.plurals import few
from holocine.storyboard_files import json_expected

if TYPE_CHECKING:
    from benchmarks.suites.suite import Entry
    from benchmarks.systems.models import Models

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
MAPPING = "videos.json"


class UnknownSystem(ValueError):
    """A system that does not exist or cannot be run as it was named. The message is one sentence."""


@dataclass(frozen=True)
class Folder:
    """Finished videos of any model.

    path: a folder of files called by storyboard id (`ID.mp4`; of several seeds `ID/SEED.mp4`), or with a mapping
    `videos.json` in it, or such a mapping itself: {"ID": "file"} or {"ID": ["file of seed 0", …]}, relative to it. In
    place of a file there may be {"file": …} with "cuts" (frames of the video), "fps" (its rate), "start" (seconds
    before the scene) and "align" of its own, see `eval.request`.
    """

    name: str
    path: str
    kind: str = "folder"
    settings: None = None
    needs: str = "a video file for each storyboard"
    version: int = 1

    def check(self, entry: Entry, seed: int) -> None:
        self.find(entry.id, seed)

    def generate(self, entry: Entry, seed: int, models: Models) -> Path:
        return self.find(entry.id, seed)

    def definition(self, entry: Entry, seed: int) -> dict[str, Any]:
        try:
            content = file_sha256(self.find(entry.id, seed))
        except (OSError, ValueError):
            content = None  # generate says why
        how = self.how(entry.id, seed)
        return {"kind": self.kind, "version": self.version, "file": content} | ({"how": how} if how else {})

    def how(self, storyboard_id: str, seed: int) -> dict[str, Any]:
        """What the mapping says of a video beside its file."""
        named = self._named(storyboard_id, seed)
        return {key: value for key, value in named.items() if key != "file"} if named else {}

    def unknown(self, ids: Collection[str]) -> str | None:
        """What to say of videos, and of names in a mapping, that are of none of `ids`; None where there is nothing."""
        named = read_mapping(self.mapping) if self.mapping.is_file() else {}
        told = []
        if names := [name for name in named if name not in ids]:
            told.append(
                f"{self.mapping} names {few([*map(repr, names)], 3)}, not in the suite: what it says of "
                f"{'it' if len(names) == 1 else 'them'} is left out{did_you_mean(names[0], ids)}"
            )
        if unused := self._unused(ids, named):
            those = "it is" if len(unused) == 1 else "they are"
            told.append(
                f"{self.path} holds {few(unused, 3)}, which no storyboard of the suite is called: {those} left out"
                f"{did_you_mean(Path(unused[0]).parts[0].partition('.')[0], ids)}"
            )
        return "; ".join(told) or None

    def _unused(self, ids: Collection[str], named: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
        """The videos in the folder, relative to it, that belong to no id and that a mapping does not name."""
        root = Path(self.path)
        if not root.is_dir():
            return []
        mapped = {(root / video["file"]).resolve() for videos in named.values() for video in videos}
        alone = [path for path in root.glob("*") if path.stem not in ids]
        in_folders = [path for path in root.glob("*/*") if path.parent.name not in ids]
        return [
            path.relative_to(root).as_posix()
            for path in sorted([*alone, *in_folders])
            if path.suffix in VIDEO_SUFFIXES and path.is_file() and path.resolve() not in mapped
        ]

    @property
    def mapping(self) -> Path:
        """The file that names its videos, which need not exist."""
        root = Path(self.path)
        return root if root.is_file() else root / MAPPING

    def _named(self, storyboard_id: str, seed: int) -> dict[str, Any] | None:
        if not self.mapping.is_file():
            return None
        return next(iter(read_mapping(self.mapping).get(storyboard_id, [])[seed : seed + 1]), None)

    def find(self, storyboard_id: str, seed: int) -> Path:
        """The file of a storyboard; raises ValueError that says where it was looked for."""
        root = Path(self.path)
        mapping = self.mapping
        named = self._named(storyboard_id, seed)
        if named:
            candidates = [mapping.parent / named["file"]]
        elif root.is_file():
            candidates = []
        else:
            names = [f"{storyboard_id}/{seed}", *([storyboard_id] if seed == 0 else [])]
            candidates = [root / (name + suffix) for name in names for suffix in VIDEO_SUFFIXES]
        for path in candidates:
            if path.is_file():
                return path
        if mapping.is_file() and (named or root.is_file()):
            named = f"; {candidates[0]} does not exist" if candidates else ""
            raise ValueError(f"{mapping} names no file for storyboard {storyboard_id}, seed {seed}{named}")
        raise ValueError(
            f"{root} holds no video for storyboard {storyboard_id}, seed {seed}: call it "
            f"{storyboard_id}.mp4 or {storyboard_id}/{seed}.mp4, or name the files in {mapping}"
        )


_HOW = {"file": str, "cuts": list, "fps": (int, float), "start": (int, float), "align": str}


def read_mapping(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What a mapping says of the videos of every storyboard, one a seed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UnknownSystem(f"{path} is not JSON in {where}: {json_expected(error)}") from None
    except ValueError as error:
        raise UnknownSystem(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UnknownSystem(f'{path} has to map storyboard ids to files: {{"ID": "file.mp4", …}}')
    return {id: [_video(path, id, v) for v in (of if isinstance(of, list) else [of])] for id, of in content.items()}


def _video(path: Path, id: str, value: Any) -> dict[str, Any]:
    value = {"file": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or not isinstance(value.get("file"), str):
        raise UnknownSystem(
            f"{path}, {id}: {value!r} names no file; storyboard ids are mapped to a file's name or to "
            '{"file": "NAME.mp4", …}'
        )
    for key, of in value.items():
        if key not in _HOW:
            raise UnknownSystem(f"{path}, {id}: {key!r} is not known; a video has {', '.join(_HOW)}")
        good = not isinstance(of, bool) and isinstance(of, _HOW[key])
        match key:
            case "cuts":
                good = good and all(type(cut) is int and cut > 0 for cut in of)
            case "fps":
                good = good and 0 < of <= 1000
            case "start":
                good = good and 0 <= of < math.inf
            case "align":
                good = of in POLICIES
        if not good:
            raise UnknownSystem(f"{path}, {id}: {key} is {of!r}, but has to be {_SAID[key]}")
    return value


_SAID = {
    "file": "a file name",
    "cuts": "a list of frame numbers such as [24, 48]",
    "fps": "a number of frames a second, above 0 and at most 1000",
    "start": "a number of seconds from 0 up",
    "align": "auto, seconds, frames or share",
}
