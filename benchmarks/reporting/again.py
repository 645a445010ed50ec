"""The command that makes published results again, and what it needs that does not come with the program.

A suite of one's own is published beside the results. Models, finished videos and weights are named, with the hash of
each of their files, so that whoever gets them knows that they are the same.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reporting.results import Results
from benchmarks.running.items import RunInfo
from benchmarks.running.scoring import Scoring
from benchmarks.suites.suite import load_suite, suite_names
from benchmarks.systems.baselines import BASELINES, SHELF
from benchmarks.systems.models import file_sha256, folder_sha256, model_digests
from benchmarks.systems.systems import GENERATED, Folder, split_spec
from holocine.finding import is_on_hub
from holocine.plurals import counted, listed

DIGESTS = "needed.sha256"  # as `sha256sum --check` reads it
_ROOT = Path(__file__).parents[2]
_SAMPLING = {
    "--steps": "num_inference_steps",
    "--guidance": "guidance_scale",
    "--guidance-below": "guidance_below",
    "--eta": "eta",
    "--height": "height",
    "--width": "width",
    "--dtype": "dtype",
}


@dataclass(frozen=True)
class Need:
    """Something that a command names and that is not in the repository.

    name: as the command names it. what: it is, in words. files: SHA-256 by path as the command would find it, empty
    where nothing of it is at hand.
    """

    name: str
    what: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"`{self.name}`, {self.what}"


def portable(info: RunInfo) -> RunInfo:
    """What a run.json says, without the folders of the machine that made the run: models and videos by their names."""
    systems = {name: re.sub(r"(?<=[:@])/[^@]*/(?=[^/@])", "", spec) for name, spec in info.systems.items()}
    model = {**info.model, "name": _file_name(info.model["name"])} if info.model else info.model
    scoring = {name: _file_name(value) if value else value for name, value in info.scoring.items()}
    return dataclasses.replace(info, systems=systems, model=model, scoring=scoring)


def _file_name(name: str) -> str:
    """The last part of an absolute path; all of anything else, hub ids among them."""
    return re.sub("^/.*/(?=.)", "", name.rstrip("/") or name)


def suite_beside(out: Path, name: str) -> Path:
    """Where a suite of one's own lies among results that are published in the folder `out`."""
    return out / f"{name}.jsonl"


def has_own_suite(results: Results) -> bool:
    """Whether the suite of a run is none that comes with the program, or is otherwise there by now."""
    name = results.suite.name
    return name not in suite_names() or load_suite(name).sha256 != results.suite.sha256


def run_command(results: Results, out: Path) -> str:
    """The command that makes such a run, without folders of the machine that made it.

    out: where the results are published, with the suite if it is one of one's own.
    """
    info, suite = portable(results.info), results.suite
    named = _from_root(suite_beside(out, suite.name)) if has_own_suite(results) else suite.name
    words = ["python", "-m", "benchmarks", "run", "--suite", named, "--systems", ",".join(info.systems.values())]
    if (model := info.model.get("name", "embedded")) != "embedded":
        words += ["--model", model]
    usual = Scoring().plain()
    asked = {flag: info.model.get(name) for flag, name in _SAMPLING.items()}
    asked |= {f"--{name}": value for name, value in info.scoring.items() if value != usual.get(name)}
    for flag, value in asked.items():
        if value is not None:
            words += [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    if len(results.entries) < len(suite):
        words += ["--limit", str(len(results.entries))]
    if len(results.seeds) > 1:
        words += ["--seeds", str(len(results.seeds))]
    return shlex.join([*words, "--out", f"runs/{suite.name}"])


def _from_root(path: Path) -> str:
    """A path as commands in the root of the repository name it; of one elsewhere the name alone."""
    path = path.resolve()
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name


def needs(results: Results, out: Path) -> tuple[Need, ...]:
    """What the command of `run_command` names and the repository does not have, as it is when this is asked."""
    beside = suite_beside(out, results.suite.name)
    suite = [Need(_from_root(beside), "the suite, which lies beside these results")] if has_own_suite(results) else []
    found = (*suite, *_models(results), *_videos(results), *_weights(results.info))
    return tuple(found)


def digests(found: tuple[Need, ...]) -> str:
    """The hashes of all files of what is needed, as `sha256sum --check` reads them where the command is run."""
    return "".join(f"{sha256}  {path}\n" for need in found for path, sha256 in need.files.items())


def needed_part(found: tuple[Need, ...]) -> list[str]:
    """What the command needs, as lines of Markdown; none where it needs nothing."""
    if not found:
        return []
    check = f"`sha256sum --check {DIGESTS}`, in the folder where the command is run, tells whether they are the same."
    has_files = any(need.files for need in found)
    return ["It needs, beside this repository:", "", *(f"* {need}" for need in found), ""] + [check, ""] * has_files


def _models(results: Results) -> Iterator[Need]:
    users: dict[str, list[str]] = {}
    animators: dict[str, list[str]] = {}
    for system in results.systems:
        _, kind, path, model = split_spec(results.info.systems.get(system, system))
        if kind not in GENERATED:
            continue
        named = model or (str(SHELF / kind) if kind in BASELINES else results.info.model.get("name", "embedded"))
        if named != "embedded":
            users.setdefault(named, []).append(system)
        if path:
            animators.setdefault(path, []).append(system)
    recorded = {item.system: item.hashes.model for item in results.items if item.hashes is not None}
    for name, systems in users.items():
        yield _model(name, "model", systems, recorded.get(systems[0]))
    for name, systems in animators.items():
        yield _model(name, "image-to-video model", systems, None)


def _model(name: str, what: str, systems: list[str], recorded: str | None) -> Need:
    """A model that systems run; recorded: the hash of its files in the run."""
    folder, called = Path(name).expanduser(), _file_name(name)
    here = folder.is_dir()
    kind = f"the {what} of the hub" if not here and is_on_hub(name) else f"the folder of the {what}"
    its = folder_sha256(folder) if here else None
    hashed = f" (sha256 of its files {recorded or its})" if recorded or its else ""
    get = ": `python -m benchmarks systems` says how it is got" if Path(name).parent == SHELF else ""
    same = here and recorded in (None, its)
    files = {f"{called}/{path}": sha256 for path, sha256 in model_digests(folder).items()} if same else {}
    return Need(called, f"{kind}, run by {listed(systems)}{hashed}{get}", files)


def _videos(results: Results) -> Iterator[Need]:
    """The finished videos of systems that are folders, under the names by which they are found there."""
    for system in results.systems:
        _, kind, path, _ = split_spec(results.info.systems.get(system, system))
        if kind != "folder" or not path:
            continue
        folder, called = Folder(system, path), _file_name(path)
        root, base = (folder.mapping.parent, called) if folder.mapping.is_file() else (Path(path), called)
        if Path(path).is_file():
            base = str(Path(called).parent)
        files = {}
        if folder.mapping.is_file():
            files[_joined(base, folder.mapping.name)] = file_sha256(folder.mapping)
        count = 0
        for item in results.items:
            if item.system == system and item.video is not None:
                count += 1
                files[_joined(base, _place(folder, root, item.storyboard_id, item.seed))] = file_sha256(item.video)
        what = "the list of finished videos" if Path(path).suffix == ".json" else "the folder of finished videos"
        yield Need(called, f"{what} of {system} ({counted(count, 'file')})", files)


def _place(folder: Folder, root: Path, storyboard_id: str, seed: int) -> str:
    """Where a finished video lies in its folder; by the name that it may have there if it is not at hand."""
    try:
        found = folder.find(storyboard_id, seed)
        return found.relative_to(root).as_posix()
    except ValueError:
        return f"{storyboard_id}/{seed}.mp4" if seed else f"{storyboard_id}.mp4"


def _joined(base: str, name: str) -> str:
    return (Path(base) / name).as_posix()


def _weights(info: RunInfo) -> Iterator[Need]:
    """Files and folders of one's own that score."""
    usual = Scoring().plain()
    for name, value in info.scoring.items():
        if not value or value == usual.get(name):
            continue
        path, called = Path(value).expanduser(), _file_name(value)
        if path.is_file():
            yield Need(called, f"the weights of --{name} (sha256 {file_sha256(path)})", {called: file_sha256(path)})
        elif path.is_dir():
            inside = (one for one in sorted(path.rglob("*")) if one.is_file())
            files = {_joined(called, one.relative_to(path).as_posix()): file_sha256(one) for one in inside}
            yield Need(called, f"the folder of the encoder of --{name}", files)
        elif value.startswith("/"):
            yield Need(called, f"what --{name} was given, which was not at hand when this was published")
