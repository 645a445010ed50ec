"""Names -> folders: the embedded model, a folder here, or a hub id."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from holocine.errors import CheckpointError, first_line
from holocine.hub import cached_file, hub_problem

EMBEDDED = Path(__file__).parent / "puppet" / "weights"
SHELF = Path("models")  # where folders of models lie by custom
# What a download of a known repository takes; others are described without a size.
HUB_SIZES = {"Wan-AI/Wan2.2-T2V-A14B-Diffusers": "about 126 GB"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_INDEX = "model_index.json"
_ALIKE = 0.7  # of 1, how much of a mistyped name has to be right


def find_model(model: str | os.PathLike | None = None) -> Path:
    """The folder that a model's name stands for; a hub id is downloaded, unless it is in the hub's cache.

    Raises `CheckpointError` for what is neither. A name whose first part is a folder here, or `models`, is a path and
    no hub id, and refused without asking the hub.
    """
    if model is None:
        if not (EMBEDDED / _INDEX).is_file():
            raise CheckpointError(
                f"the embedded model is not in {EMBEDDED}: get it with a complete clone of this repository, "
                "train it with `python -m holocine.puppet train`, or name another model"
            )
        return EMBEDDED
    name, path = str(model), Path(model).expanduser()
    if path.is_dir():
        if not (path / _INDEX).is_file() and (inside := list(map(str, _models_in(path)))):
            raise CheckpointError(f"{path} is a folder of models: name one of them, {', '.join(inside)}")
        return path
    if path.exists():
        raise CheckpointError(
            f"{path} is a file, but a model is a folder: turn released files into one with `python -m holocine convert`"
        )
    if "@" in name:
        raise CheckpointError(
            f"the model {name!r} does not exist: SYSTEM@FOLDER names a system of `python -m benchmarks run`, a model "
            f"is the folder alone: {name.partition('@')[2]}"
        )
    if is_on_hub(name):
        return _from_hub(name)
    raise CheckpointError(f"the model {name!r} does not exist: {_remedy(name, path)}")


def is_on_hub(name: str) -> bool:
    """Whether a model that is no folder here is looked for on the hub."""
    if not _HUB_ID.fullmatch(name):
        return False
    parent = Path(name).parent
    return cached_file(name, (_INDEX,)) is not None or not (parent.is_dir() or parent == SHELF)


def _remedy(name: str, path: Path) -> str:
    if near := _near(path):
        return f"did you mean {' or '.join(near)}?"
    if not _HUB_ID.fullmatch(name):
        return "it is neither a folder here nor a hub id like 'owner/name'"
    if path.parent != SHELF:
        return (
            f"there is a folder {path.parent} here, so that it is looked for there and not on the hub; from there it "
            f"comes with `hf download {name} --local-dir {path}`"
        )
    others = ", ".join(map(str, _models_in(SHELF)))
    return f"there is no such folder here; there is {others}" if others else "there is no such folder here"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean …?)` for the closest of some names, "" if none is close."""
    return _asked(_closest(name, names))


def did_you_mean_file(path: Path) -> str:
    """The same for files and folders beside a path that does not exist; "" if it does."""
    try:
        there = {other.name: str(other) for other in path.parent.iterdir()}
    except OSError:
        return ""
    return "" if path.name in there else _asked(there[name] for name in _closest(path.name, there))


def _asked(near: Iterable[str]) -> str:
    return f" (did you mean {said}?)" if (said := " or ".join(near)) else ""


def _closest(name: str, names: Iterable[str]) -> list[str]:
    """At most three names like this one, whatever their case, the most alike first."""
    by_lower = {other.lower(): other for other in names}
    return [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=_ALIKE)]


def _near(path: Path) -> list[str]:
    """Models with a name like that of `path`, in its folder and on the shelf."""
    there = {str(found): found.name.lower() for parent in (path.parent, SHELF) for found in _models_in(parent)}
    names = get_close_matches(path.name.lower(), there.values(), n=3, cutoff=_ALIKE)
    return [found for found, name in there.items() if name in names][:3]


def _models_in(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(index.parent for index in folder.glob(f"*/{_INDEX}"))
    except OSError:
        return


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    reason = None if cached_file(name, (_INDEX,)) else hub_problem()
    try:
        if reason is None:
            hf_hub_download(name, _INDEX)
            return Path(snapshot_download(name, allow_patterns=["*.json", "*/*.json", "*/*.safetensors", "*/*.model"]))
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):
            raise CheckpointError(
                f"{name} on the hub is not a pipeline in diffusers layout: "
                "download its files and turn them into one with `python -m holocine convert`"
            ) from None
        reason = first_line(error)
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = first_line(error)
    near = _asked(_near(Path(name)))
    raise CheckpointError(
        f"{name!r} is no folder here, and the hub did not give it ({reason}): check the name{near}, or where there is "
        f"a network run `hf download {name} --local-dir FOLDER` ({HUB_SIZES.get(name, 'size unknown')}) "
        "and name that folder instead"
    )
