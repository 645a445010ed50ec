"""Suites: versioned sets of storyboards that systems are compared on, one JSON object a line.

The first line says what the suite is and which videos it is meant for; every other line is one storyboard:

    {"format": "holocine-suite/1", "suite": "mine", "version": 1, "description": "…",
     "fps": 15, "num_frames": [241], "size": [832, 480]}
    {"id": "harbour-race", "tags": ["genre:sport"], "sha256": "…", "storyboard": {"global_caption": "…", "shots": […]}}

`sha256` is that of the line's content, so that an edit which nobody meant is noticed; a suite of one's own may leave it
out, and `python -m benchmarks.suites sign FILE` writes it. A line of a world with truth also has its `scene`, from
which the truth is rendered; such worlds `register`. Tags read "kind:value"; a storyboard may have several of one kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from holocine.files import replacing
from holocine.finding import did_you_mean, did_you_mean_file
from holocine.prompt import character_tags
from holocine.storyboard import Storyboard, StoryboardError
from holocine.storyboard_files import parse_json

MOST_TOLD = 10  # bad lines of a suite
FORMAT = "holocine-suite/1"
FOLDER = Path(__file__).parent

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAG = re.compile(r"[a-z][a-z-]*:[^\s:][^:]*")
_HEADER = ("format", "suite", "version", "description", "fps", "num_frames", "size")
_LINE = ("id", "tags", "sha256", "storyboard", "scene")


class SuiteError(ValueError):
    """A suite that cannot be used; the message is one sentence that names file and line."""


class Truth(Protocol):
    """A scene of a world that knows its truth: a dataclass of plain values, and where it is cut."""

    @property
    def cuts(self) -> tuple[int, ...]: ...

    @property
    def num_frames(self) -> int: ...


@dataclass(frozen=True)
class Entry:
    """One storyboard of a suite. `sha256` covers everything here; `scene` is the truth that a world has, else None."""

    id: str
    storyboard: Storyboard
    tags: tuple[str, ...] = ()
    scene: Truth | None = None

    @cached_property
    def sha256(self) -> str:
        return content_hash(_content(self))

    @cached_property
    def shown_sha256(self) -> str:
        """Hash of what its video should show: storyboard and scene; tags are for tables alone."""
        scene = asdict(self.scene) if self.scene is not None else None
        return content_hash([self.storyboard.to_json(), scene])

    def values(self, kind: str) -> tuple[str, ...]:
        """The values of the tags of one kind: of "genre", ("western",) for "genre:western"."""
        return tuple(tag.partition(":")[2] for tag in self.tags if tag.partition(":")[0] == kind)

    @property
    def characters_per_shot(self) -> tuple[int, ...]:
        """How many characters each shot's caption names."""
        return tuple(len(character_tags(caption)) for caption in self.storyboard.captions)


@dataclass(frozen=True)
class Suite:
    """A named, versioned set of storyboards.

    fps, num_frames (the lengths that occur, in frames) and size (width, height in pixels) say which videos it is meant
    for: the loader holds storyboards to the first two, systems read the size.
    """

    name: str
    version: int
    fps: float
    num_frames: tuple[int, ...]
    size: tuple[int, int]
    entries: tuple[Entry, ...]
    description: str = ""

    @cached_property
    def sha256(self) -> str:
        """Changes with any storyboard, tag, scene or fact of the suite, and with nothing else."""
        return content_hash([_header(self), *(entry.sha256 for entry in self.entries)])

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.entries)

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that occurs, sorted."""
        return tuple(sorted({tag for entry in self.entries for tag in entry.tags}))

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, id: str) -> Entry:
        """The entry with an id. Raises SuiteError, naming the closest ids, if there is none."""
        for entry in self.entries:
            if entry.id == id:
                return entry
        from difflib import get_close_matches

        near = get_close_matches(id, self.ids, n=3) or self.ids[:3]
        raise SuiteError(f"suite {self.name} has no storyboard {id!r}; among its {len(self)} are {', '.join(near)}")


def content_hash(content: Any) -> str:
    """SHA-256 of plain JSON values, whatever the order of their keys and however they were written."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def suite_names() -> tuple[str, ...]:
    """The names of the suites that come with the program."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.jsonl")))


@dataclass(frozen=True)
class World:
    """A world with truth: how its suite is built, and how a scene is read from the plain JSON of a line.

    read_scene: raises TypeError or KeyError for what is no scene of this world.
    """

    name: str
    build: Callable[[], Suite]
    read_scene: Callable[[Any], Truth]


WORLDS: dict[str, World] = {}


def register(world: World) -> None:
    """Let suites have scenes of a world, and its own suite be built by `python -m benchmarks.suites build-NAME`."""
    WORLDS[world.name] = world


def load_suite(suite: str | Path, verify: bool = True) -> Suite:
    """Load a suite that comes with the program by its name, or any .jsonl file by its path.

    verify: hold every line to its sha256.
    Raises SuiteError, naming the file and the line, for anything in it that is not a valid storyboard with an id of its
    own, and, naming the suites there are, for an unknown name.
    """
    return _parse(suite_path(suite), verify)


def suite_path(suite: str | Path) -> Path:
    """The file of a suite given by name or by path. Raises SuiteError, naming the suites there are."""
    text = str(suite)
    if isinstance(suite, Path) or text.endswith(".jsonl") or "/" in text or "\\" in text:
        return Path(suite)
    if text not in suite_names():
        raise SuiteError(
            f"there is no suite {text!r}{did_you_mean(text, suite_names())}; there are {', '.join(suite_names())}, "
            "and a suite of your own is given by the path of its .jsonl file"
        )
    return FOLDER / f"{text}.jsonl"


def write_suite(path: str | Path, suite: Suite) -> None:
    """Write a suite with the hash of every line; the file appears complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(suite_text(suite), encoding="utf-8")


def suite_text(suite: Suite) -> str:
    """What the file of a suite holds, with the hash of every line."""
    lines = [_header(suite)]
    for entry in suite.entries:
        content = _content(entry)
        hashed = {"id": content["id"], "tags": content["tags"], "sha256": entry.sha256}
        lines.append({**hashed, **content})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _header(suite: Suite) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "suite": suite.name,
        "version": suite.version,
        "description": suite.description,
        "fps": suite.fps,
        "num_frames": list(suite.num_frames),
        "size": list(suite.size),
    }


def _content(entry: Entry) -> dict[str, Any]:
    content = {"id": entry.id, "tags": list(entry.tags), "storyboard": json.loads(entry.storyboard.to_json())}
    return {**content, "scene": asdict(entry.scene)} if entry.scene else content


def _parse(path: Path, verify: bool) -> Suite:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read: {error.strerror}{did_you_mean_file(path)}") from None
    except UnicodeDecodeError as error:
        raise SuiteError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not numbered:
        raise SuiteError(f"{path}: is empty; its first line says what the suite is: {_EXAMPLE}")
    with _at(path, numbered[0][0]):
        facts = _read_header(_object(numbered[0][1]))
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    wrong: list[str] = []
    for number, line in numbered[1:]:
        try:
            with _at(path, number):
                entry = _read_entry(_object(line), facts, verify)
                # Results lie in folders named after ids, and some file systems do not tell a from A.
                first = seen.setdefault(entry.id.lower(), number)
                if first != number:
                    raise SuiteError(f"the id {entry.id!r} is already that of line {first}; ids are unique")
                entries.append(entry)
        except SuiteError as error:
            wrong.append(str(error))
    if wrong:
        more = f"\nand {len(wrong) - MOST_TOLD} more lines like these" if len(wrong) > MOST_TOLD else ""
        raise SuiteError("\n".join(wrong[:MOST_TOLD]) + more)
    if not entries:
        raise SuiteError(f"{path}: has no storyboards; each line after the first is one")
    return Suite(**facts, entries=tuple(entries))


class _at:
    """Put file and line in front of the message of what goes wrong inside."""

    def __init__(self, path: Path, line: int) -> None:
        self.where = f"{path}, line {line}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SuiteError | StoryboardError):
            raise SuiteError(f"{self.where}: {error}") from None


_EXAMPLE = (
    '{"format": "holocine-suite/1", "suite": "mine", "version": 1, "fps": 15, "num_frames": [241], "size": [832, 480]}'
)


def _object(line: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except StoryboardError as error:
        raise SuiteError(str(error).replace(" in line 1, column", " in column")) from None
    if not isinstance(value, dict):
        raise SuiteError(f"a line of a suite is a JSON object, not {_short(value)}")
    return value


def _read_header(line: Mapping[str, Any]) -> dict[str, Any]:
    if line.get("format") != FORMAT:
        raise SuiteError(f"the first line of a suite says what it is, for example {_EXAMPLE}")
    _check_keys(line, _HEADER, required=("suite", "version", "fps", "num_frames", "size"))
    name, version, frames, size = line["suite"], line["version"], line["num_frames"], line["size"]
    if not is_id(name):
        raise SuiteError(f"suite is {_short(name)}, but a name is letters, digits, '.', '_' and '-'")
    if not (_whole(version) and version >= 1):
        raise SuiteError(f"version is {_short(version)}, but has to be a whole number from 1 up")
    if isinstance(line["fps"], bool) or not (isinstance(line["fps"], int | float) and 1 <= line["fps"] <= 240):
        raise SuiteError(f"fps is {_short(line['fps'])}, but has to be a number between 1 and 240")
    if not (isinstance(frames, list) and frames and all(_whole(n) and n >= 1 for n in frames)):
        raise SuiteError(f"num_frames is {_short(frames)}, but has to list the lengths that occur, such as [241]")
    if not (isinstance(size, list) and len(size) == 2 and all(_whole(n) and 16 <= n <= 8192 for n in size)):
        raise SuiteError(f"size is {_short(size)}, but has to be [width, height] in pixels, such as [832, 480]")
    return {
        "name": name,
        "version": version,
        "description": str(line.get("description", "")),
        "fps": float(line["fps"]),
        "num_frames": tuple(frames),
        "size": (size[0], size[1]),
    }


def is_id(text: Any) -> bool:
    """Whether a storyboard or a suite may be called so."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def _read_entry(line: Mapping[str, Any], facts: Mapping[str, Any], verify: bool) -> Entry:
    _check_keys(line, _LINE, required=("id", "storyboard"))
    id, tags = line["id"], line.get("tags") or []
    if not is_id(id):
        raise SuiteError(f"id is {_short(id)}, but an id is up to 100 letters, digits, '.', '_' and '-'")
    if not isinstance(tags, list):
        raise SuiteError(f"{id}: tags should be a list, not {_short(tags)}")
    for tag in tags:
        if not (isinstance(tag, str) and _TAG.fullmatch(tag)):
            raise SuiteError(f"{id}: {_short(tag)} is no tag; a tag reads kind:value, such as genre:western")
    try:
        storyboard = Storyboard.model_validate(line["storyboard"])
    except StoryboardError as error:
        raise SuiteError(f"{id}: {error}") from None
    if storyboard.fps != facts["fps"]:
        raise SuiteError(f"{id}: is at {storyboard.fps:g} fps, but the suite is meant for {facts['fps']:g}")
    if storyboard.num_frames not in facts["num_frames"]:
        lengths = ", ".join(map(str, facts["num_frames"]))
        raise SuiteError(f"{id}: has {storyboard.num_frames} frames, but the suite is meant for {lengths}")
    entry = Entry(id, storyboard, tuple(tags), _read_scene(line["scene"], storyboard, id) if "scene" in line else None)
    if verify and "sha256" in line and line["sha256"] != entry.sha256:
        raise SuiteError(
            f"{id}: its content is not what its sha256 says, so it was edited; if that was meant, "
            "run python -m benchmarks.suites sign on the file"
        )
    return entry


def _read_scene(plain: Any, storyboard: Storyboard, id: str) -> Truth:
    for world in WORLDS.values():
        try:
            scene = world.read_scene(plain)
            break
        except (TypeError, KeyError) as error:
            refused = f"scene is no scene of the {world.name} world ({error})"
    else:
        raise SuiteError(f"{id}: {refused}")
    if (scene.cuts, scene.num_frames) != (storyboard.cuts, storyboard.num_frames):
        raise SuiteError(
            f"{id}: its scene is cut at {list(scene.cuts)} of {scene.num_frames} frames, "
            f"but its storyboard at {list(storyboard.cuts)} of {storyboard.num_frames}"
        )
    return scene


def _check_keys(line: Mapping[str, Any], known: Sequence[str], required: Iterable[str]) -> None:
    for key in line:
        if key not in known:
            raise SuiteError(f"unknown key {_short(key)}; the keys of this line are {', '.join(known)}")
    for key in required:
        if key not in line:
            raise SuiteError(f"{key} is missing")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
