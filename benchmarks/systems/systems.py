"""Systems under test: anything that turns a storyboard into a video, found by name.

A specification reads `[NAME=]SYSTEM[:PATH][@MODEL]`: `holocine`, `kling=folder:videos/kling`,
`retrained=holocine@weights/new`. Its name is what tables call it, and what the folder of its results is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from benchmarks.systems import generation, locked, mechanisms, two_stages
from benchmarks.systems.baselines import BASELINES, SHELF, TWO_STAGES, missing, refused_options, settings_for, title
from benchmarks.systems.folders import Folder, UnknownSystem, read_mapping
from benchmarks.systems.generation import Video
from benchmarks.systems.models import Models, ModelSettings, check_image_to_video, model_sha256
from benchmarks.systems.refusals import FROM_PICTURES, ON_GRID, check_makeable, check_weights, facts_of
from holocine.families import NAMES as FAMILIES
from holocine.families.options import flag
from holocine.families.translation import picture_notes
from holocine.finding import did_you_mean, did_you_mean_file
from holocine.from_pictures import without_pictures
from holocine.puppet.world import WORLD_VERSION
from holocine.unread import unread

if TYPE_CHECKING:
    from benchmarks.suites.suite import Entry, Suite

_SPEC = re.compile(r"(?:(?P<name>[^=:@]*)=)?(?P<kind>[^=:@]+)(?::(?P<path>[^@]+))?(?:@(?P<model>.+))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class System(Protocol):
    """Turns a suite's storyboards into videos; can be sent to another process, where it loads what it needs.

    name: in tables. kind: what it is, such as "holocine". needs: in words, what has to be there. settings: its model
    and how that is run, None for a system without one. version: raised by every change that changes its videos.
    """

    name: str
    kind: str
    needs: str
    settings: ModelSettings | None
    version: int

    def check(self, entry: Entry, seed: int) -> None:
        """Raise ValueError where storyboard and system tell that no video can be made; loads no weights.

        The same comes of `generate`, however often it is tried.
        """

    def generate(self, entry: Entry, seed: int, models: Models) -> Video | Path:
        """Make a video, or name a finished file.

        seed: number of the repetition, from 0; it moves the storyboard's own seed. Raises ValueError or OSError for
        what cannot be made.
        """

    def definition(self, entry: Entry, seed: int) -> dict[str, Any]:
        """What the video depends on beside storyboard, seed and weights, as JSON values."""


@dataclass(frozen=True)
class Generated:
    """A system that runs a model: `make(pipeline, storyboard, settings)` or the like, from `generation`."""

    name: str
    kind: str
    settings: ModelSettings
    make: Callable
    image_to_video: str | None = None
    needs: str = "a model"
    version: int = 1

    def check(self, entry: Entry, seed: int) -> None:
        if self.image_to_video:
            check_weights(self.image_to_video)
        if self.make is two_stages.from_pictures:
            two_stages.planned(entry.storyboard, two_stages.limits_in(self.image_to_video))
        else:
            check_makeable(self.kind, self.settings, entry.storyboard, self.image_to_video)

    def generate(self, entry: Entry, seed: int, models: Models) -> Video:
        self.check(entry, seed)
        storyboard = entry.storyboard
        storyboard = storyboard.model_copy(update={"seed": ((storyboard.seed or 0) + seed) % 2**63})
        options = {"image_to_video": self.image_to_video} if self.image_to_video else {}
        notes: tuple[str, ...] = ()
        if storyboard.has_pictures and self.kind not in (*FROM_PICTURES, *FAMILIES):  # which say so themselves
            notes = tuple(picture_notes(title(self.kind), storyboard))
            storyboard = without_pictures(storyboard)
        if self.kind not in FAMILIES and self.make is not two_stages.from_pictures:  # which say so themselves
            notes += unread(storyboard, facts_of(self.settings.model), self.settings.sampling, title(self.kind))
        if self.kind in ON_GRID:
            notes += generation.moved_notes(title(self.kind), storyboard)
        made = self.make(models, self.settings, storyboard, **options)
        made = made if isinstance(made, Video) else Video(made, storyboard.fps)
        return replace(made, notes=(*notes, *made.notes))

    def definition(self, entry: Entry, seed: int) -> dict[str, Any]:
        animator = {"image_to_video": model_sha256(self.image_to_video)} if self.image_to_video else {}
        return {"kind": self.kind, "version": self.version, **self.settings.definition(), **animator}


@dataclass(frozen=True)
class World:
    """The puppet world's own rendering of a scene, whole or spoilt: bounds that every metric must keep to."""

    name: str
    kind: str
    spoil: Callable[[np.ndarray, tuple[int, ...], int], np.ndarray]
    settings: None = None
    needs: str = "the scene of the puppet world that a storyboard describes"
    version: int = 1

    def check(self, entry: Entry, seed: int) -> None:
        if entry.scene is None:
            raise ValueError(
                f"{self.kind} shows scenes of the puppet world, and storyboard {entry.id} is not one of them: "
                "leave the system out, or take the suite puppet"
            )
        if self.spoil is shuffled and not entry.storyboard.cuts:
            raise ValueError("shuffled needs at least 2 shots, and this storyboard has 1")

    def generate(self, entry: Entry, seed: int, models: Models) -> Video:
        from holocine.puppet.renderer import render

        self.check(entry, seed)
        frames, _ = render(entry.scene)
        return Video(self.spoil(frames, entry.storyboard.cuts, seed), entry.storyboard.fps)

    def definition(self, entry: Entry, seed: int) -> dict[str, Any]:
        return {"kind": self.kind, "version": self.version, "world": WORLD_VERSION}


def whole(frames: np.ndarray, cuts: tuple[int, ...], seed: int) -> np.ndarray:
    """The rendering as it is: the upper bound."""
    return frames


def frozen(frames: np.ndarray, cuts: tuple[int, ...], seed: int) -> np.ndarray:
    """The first frame all the time: most consistent, and nothing that was asked for."""
    return np.repeat(frames[:1], len(frames), axis=0)


def shuffled(frames: np.ndarray, cuts: tuple[int, ...], seed: int) -> np.ndarray:
    """Every shot, of at least two, as it should be and none in its place; so the cuts fall on other frames too."""
    shots = np.split(frames, cuts)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shots))
    while (order == np.arange(len(shots))).any():
        order = rng.permutation(len(shots))
    return np.concatenate([shots[i] for i in order])


GENERATED = {
    "holocine": generation.holocine,
    "holocine-full": generation.holocine_full,
    "isolated": generation.isolated,
    "no-window": generation.no_window,
    "single-prompt": generation.single_prompt,
    "independent-shots": generation.independent_shots,
    "keyframe": generation.keyframe,
    "retake": locked.retaken,
    "continue": locked.continued,
    "phases": mechanisms.phases,
    "block-mask": mechanisms.block_mask,
    "causal": mechanisms.causal,
    **BASELINES,
}
WORLDS = {"truth": whole, "still": frozen, "shuffled": shuffled}
KINDS = (*(f"{kind}@MODEL" if kind in BASELINES else kind for kind in GENERATED), "folder:PATH", *WORLDS)


def parse_systems(specs: Sequence[str], settings: ModelSettings) -> tuple[System, ...]:
    """Systems of specifications; raises `UnknownSystem` for one that does not exist, or two of the same name."""
    if not specs:
        raise UnknownSystem(f"no system was named; choose from {', '.join(KINDS)}")
    systems = tuple(parse_system(spec, settings) for spec in specs)
    names = [system.name for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise UnknownSystem(f"two systems are called {name!r}: give one another name, as in NAME={name}")
    return systems


def unread_options(systems: Sequence[System], settings: ModelSettings) -> tuple[str, ...]:
    """What systems are run without of the options of sampling that were given, as others of them take these.

    Raises `UnknownSystem`, naming the option, for one that none of the systems takes.
    """
    with_models = [system for system in systems if system.settings is not None]
    refused = {}
    for one in with_models:
        kind = TWO_STAGES if one.make is two_stages.from_pictures else one.kind
        refused[one.name] = refused_options(kind, one.settings.model, settings)
    notes = []
    for name in settings.sampling:
        reasons = {system: sentences[name] for system, sentences in refused.items() if name in sentences}
        if len(reasons) == len(with_models):
            alone = f"none of the systems runs a model: leave {flag(name)} out"
            raise UnknownSystem(next(iter(reasons.values()), alone))
        for system, why in reasons.items():
            reason = "" if "run without" in why else f" ({why.rpartition(': ')[0]})"
            notes.append(f"{system} is run without {flag(name)}{reason}")
    return tuple(notes)


def unknown_videos(systems: Sequence[System], suite: Suite) -> tuple[str, ...]:
    """What mappings of finished videos name that is not in the suite, a sentence each."""
    found = (system.unknown(suite.ids) for system in systems if isinstance(system, Folder))
    return tuple(filter(None, found))


def split_spec(spec: str) -> tuple[str | None, str, str | None, str | None]:
    """Name, kind, path and model of a specification, None for what it does not name."""
    match = _SPEC.fullmatch(spec.strip())
    if not match:
        raise UnknownSystem(f"the system {spec!r} does not read [NAME=]SYSTEM[:PATH][@MODEL]")
    return match["name"], match["kind"], match["path"], match["model"]


def parse_system(spec: str, settings: ModelSettings) -> System:
    """The system of one specification; `settings` are for its model, unless it names one of its own."""
    name, kind, path, model = split_spec(spec)
    if kind not in (*GENERATED, *WORLDS, "folder"):
        near = did_you_mean(kind, (*GENERATED, *WORLDS, "folder"))
        raise UnknownSystem(f"the system {kind!r} is unknown{near}; choose from {', '.join(KINDS)}")
    if path and kind not in ("folder", "keyframe"):
        raise UnknownSystem(f"the system {spec!r} names a path, but only folder:PATH and keyframe:MODEL take one")
    if model and kind not in GENERATED:
        raise UnknownSystem(f"the system {spec!r} names a model, but {kind} runs none")
    for named in (path if kind == "keyframe" else None, model):
        if named in GENERATED and not Path(named).exists():
            raise UnknownSystem(
                f"the system {spec!r} names {named}, a system, where the folder of a model belongs, such as "
                f"{SHELF / named}"
            )
    if name is None:
        name = Path(path).stem if kind == "folder" and path else kind
    if not _NAME.fullmatch(name):
        raise UnknownSystem(f"the name {name!r} of a system may have letters, digits, dots, dashes and underscores")
    if kind == "folder":
        return _folder(name, path)
    if kind in WORLDS:
        return World(name, kind, WORLDS[kind])
    if kind in BASELINES:
        if why := missing(kind, model):
            raise UnknownSystem(f"the system {why}")
        settings = settings_for(kind, model or str(SHELF / kind), settings)
    else:
        settings = replace(settings, model=model) if model else settings
    make = GENERATED[kind]
    if path and Path(path).expanduser().is_dir():
        check_image_to_video(Path(path).expanduser())
    if kind == "keyframe" and two_stages.draws_pictures(settings.model):
        if not path:
            raise UnknownSystem(
                f"the system {spec!r} has a text-to-image model, which draws first frames only: name an image-to-video "
                f"model as well, keyframe:FOLDER@{settings.model}"
            )
        make = two_stages.from_pictures
    elif kind not in BASELINES and settings.model is not None:
        _check_own(kind, settings.model)
    return Generated(name, kind, settings, make, image_to_video=path)


def _check_own(kind: str, model: str) -> None:
    """Raise `UnknownSystem` for a folder of another family or kind; what is not here is left until it is needed."""
    from holocine.checkpoints import CheckpointError, describe

    if not Path(model).expanduser().is_dir():
        return
    try:
        family = describe(model).family
    except CheckpointError as error:
        raise UnknownSystem(f"the system {kind}: {error}") from None
    if family:
        raise UnknownSystem(
            f"the system {kind} cannot be run with {model}, which is a model of {family}: name it as {family}@{model}"
        )


def _folder(name: str, path: str | None) -> Folder:
    if not path or not Path(path).exists():
        near = did_you_mean_file(Path(path)) if path else ""
        raise UnknownSystem(
            f"the system folder:{path or ''} needs a folder of videos, or a mapping file, that exists{near}"
        )
    folder = Folder(name, path)
    if Path(path).is_file():
        read_mapping(Path(path))
    return folder
