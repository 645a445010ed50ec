"""Storyboards: one scene as a global caption and shots, the one type that every part of the program speaks.

A storyboard is made from YAML or JSON, from HoloCine's prompt string with its cuts, or from captions alone. It keeps
the shots as they were asked for, at any frame or second; `as_run` moves them to the frames that a video autoencoder can
cut at. What cannot be a video is a `StoryboardError`, so an invalid storyboard does not exist.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from holocine.files import replacing
from holocine.plurals import are, counted, few
from holocine.prompt import (
    character_tags,
    clean,
    format_prompt,
    holds_tag,
    misspelt_tags,
    state_shots,
    stated_shots,
    tidy_caption,
)
from holocine.storyboard_files import file_schema, parse_json, parse_yaml, write_yaml
from holocine.storyboard_input import (
    DEFAULT_FPS,
    DEFAULT_NUM_FRAMES,
    PICTURE_KEYS,
    StoryboardError,
    canonical,
    described,
    errors_name,
    is_enclosed,
    says_when,
    with_defaults,
)
from holocine.timeline import ShotLayout, check_cuts, snap

MAX_TRAINED_SHOTS = 13
WRITTEN = (".yaml", ".yml", ".json")  # names of files that storyboards are written to
_MOVED_SINGLY = 3  # cuts that are told one by one when they are moved


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half a character (a lone surrogate) at position {error.start}") from None
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_encodable)]
Path_ = Annotated[str, Field(strict=True, min_length=1), AfterValidator(_encodable)]


class _Frozen(BaseModel):
    """A frozen model whose every constructor raises StoryboardError, in one sentence, for bad input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise StoryboardError(_sentence(error)) from None

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Self:
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            raise StoryboardError(_sentence(error)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the fields in `update` changed, validated like any other."""
        return type(self).model_validate({**dict(self), **(update or {})})


class Shot(_Frozen):
    """One shot: what it shows, and for how many frames."""

    caption: Text = Field(description="What this shot shows; refers to characters by tag, such as [character1].")
    num_frames: Annotated[int, Field(strict=True, ge=1, description="Length of the shot, in frames.")]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Length of the shot in seconds, where no whole number of frames says it."
    )

    image: Path_ | None = Field(None, description="Picture that the shot begins from: a file, or a data URL.")
    last_image: Path_ | None = Field(None, description="Picture that the shot ends with, likewise.")
    clip: Path_ | None = Field(None, description="Video file that the shot is, in place of being made.")

    @field_validator("caption")
    @classmethod
    def _check_caption(cls, text: str) -> str:
        return _checked(tidy_caption(text))

    @model_validator(mode="after")
    def _check_pictures(self) -> Self:
        if self.clip is not None and (self.image is not None or self.last_image is not None):
            raise ValueError("give either clip, which is the whole shot, or image and last_image")
        return self

    @property
    def has_pictures(self) -> bool:
        """Whether it begins from, ends with or is a file."""
        return not (self.image is None and self.last_image is None and self.clip is None)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the fields in `update` changed; another number of frames is not the old seconds."""
        changed = dict(update or {})
        if changed.get("num_frames", self.num_frames) != self.num_frames:
            changed.setdefault("seconds", None)
        return super().model_copy(update=changed, deep=deep)


def _characters(references: dict[str, str]) -> dict[str, str]:
    """The references by the names of their characters, without brackets."""
    return {name.strip().strip("[]").lower(): path for name, path in references.items()}


References = Annotated[dict[str, Path_], Field(min_length=1), AfterValidator(_characters)]


class Storyboard(_Frozen):
    """One scene: a global caption and shots in order. Frozen, hashable, and valid by construction.

    `shots` may also be given as captions alone: then they are cut at `shot_cut_frames` (the first frame of every shot
    but the first), or evenly, over `num_frames` frames. A shot's length may be given in `seconds`, and `prompt`
    (HoloCine's string) stands for `global_caption` and `shots`.

    Raises StoryboardError for anything else.
    """

    title: Text | None = Field(None, description="Name of the scene; not shown to the model.")
    global_caption: Text = Field(
        description="Setting, style and characters, each introduced once with a tag: [character1] is … "
        "The sentence 'This scene contains N shots.' is added when the prompt is made."
    )
    fps: Annotated[float, Field(strict=True, ge=1, le=240, allow_inf_nan=False)] = Field(
        DEFAULT_FPS, description="Frames per second of the video."
    )
    shots: tuple[Shot, ...] = Field(min_length=1, description="The shots, in order.")
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] | None = Field(
        None, description="Seed of the noise; the same seed gives the same video on one machine."
    )
    negative_prompt: Text | None = Field(
        None, description="What the video should not show; the model's own default if absent."
    )

    references: References | None = Field(
        None,
        description="Picture of each character, a file or a data URL: {character1: hero.png}. All shots see them; none "
        "shows them.",
    )

    _asked: tuple[Shot, ...] | None = PrivateAttr(None)  # of a storyboard that `as_run` or `run_on` made
    _grid: str | None = PrivateAttr(None)  # where the model of `run_on` cuts
    _timed: bool = PrivateAttr(True)

    @field_validator("global_caption")
    @classmethod
    def _check_global_caption(cls, text: str) -> str:
        return _checked(text.strip())

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        for name in self.references or {}:
            if not re.fullmatch(r"character\d+", name):
                raise ValueError(f"references: {name!r} is no character; write character1, character2, …")
            if f"[{name}]" not in character_tags(" ".join((self.global_caption, *self.captions))):
                raise ValueError(f"references: no caption names [{name}]; introduce it, or leave its picture out")
        return self

    @property
    def has_pictures(self) -> bool:
        """Whether it names picture files, which have to be opened before it is run (`holocine.from_pictures`)."""
        return bool(self.references) or any(shot.has_pictures for shot in self.shots)

    @model_validator(mode="wrap")
    @classmethod
    def _complete(cls, data: Any, handler: Any) -> Storyboard:
        if isinstance(data, cls):
            return data
        if isinstance(data, Mapping) and isinstance(data.get("shots"), Iterator):
            data = {**data, "shots": list(data["shots"])}  # looked at twice
        fields = canonical(data, tuple(cls.model_fields))
        try:
            storyboard = handler(fields)
            storyboard._timed = len(fields["shots"]) == 1 or says_when(data)
            return storyboard
        except ValidationError as error:
            raise ValueError(_sentence(error, len(fields["shots"]))) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Storyboard) and dict(self) == dict(other)

    def __hash__(self) -> int:
        fields = dict(self) | {"references": tuple((self.references or {}).items())}
        return hash(tuple(fields.values()))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a storyboard with the fields in `update` changed, validated like any other."""
        copy = super().model_copy(update=update, deep=deep)
        if not {"shots", "num_frames", "cuts", "shot_cut_frames"} & set(update or ()):
            copy._asked, copy._timed, copy._grid = self._asked, self._timed, self._grid
        return copy

    def with_stated_shots(self) -> Self:
        """Return the storyboard with the right number where its global caption says how many shots there are."""
        return self.model_copy(update={"global_caption": state_shots(self.global_caption, self.num_shots)})

    @classmethod
    def from_captions(
        cls,
        global_caption: str,
        captions: Iterable[str],
        num_frames: int = DEFAULT_NUM_FRAMES,
        shot_cut_frames: Sequence[int] | None = None,
        **fields: Any,
    ) -> Self:
        """Make a storyboard from one caption a shot, cut at `shot_cut_frames` (frames) or evenly."""
        timeline = {"num_frames": num_frames, "shot_cut_frames": shot_cut_frames}
        return cls.model_validate({"global_caption": global_caption, "shots": captions, **timeline, **fields})

    @classmethod
    def from_prompt(
        cls,
        prompt: str,
        shot_cut_frames: Sequence[int] | None = None,
        num_frames: int = DEFAULT_NUM_FRAMES,
        **fields: Any,
    ) -> Self:
        """Make a storyboard from HoloCine's prompt string, cut at `shot_cut_frames` (frames) or evenly.

        Lines below it that say its length and cuts (see `prompt.with_timeline`) count, unless cuts are given. A ` |` at
        the end of a shot, as many users write it, is left out.
        """
        return cls.model_validate(
            {"prompt": prompt, "num_frames": num_frames, "shot_cut_frames": shot_cut_frames, **fields}
        )

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Make a storyboard from YAML text."""
        return cls.model_validate(parse_yaml(text))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make a storyboard from JSON text."""
        return cls.model_validate(parse_json(text))

    @classmethod
    def load(cls, path: str | Path, defaults: Mapping[str, Any] | None = None) -> Self:
        """Read a storyboard from a .yaml, .yml or .json file, or HoloCine's prompt from a .txt.

        Paths of pictures are seen from the file's folder. defaults: fields for those that the file does not have. Every
        StoryboardError names the file.
        """
        path = Path(path)
        readers = {".json": parse_json, ".yaml": parse_yaml, ".yml": parse_yaml, ".txt": lambda text: {"prompt": text}}
        if path.suffix.lower() not in readers:
            raise StoryboardError(f"{path}: a storyboard file ends in {', '.join(readers)}")
        with errors_name(path):
            data = with_defaults(readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig")), defaults or {})
            return cls.model_validate(_with_paths(data, lambda picture: str(path.parent / picture)))

    def save(self, path: str | Path) -> None:
        """Write a .yaml, .yml or .json file, which `load` turns back into an equal storyboard.

        Paths of pictures are written as seen from the file's folder. Raises StoryboardError for another suffix, and
        OSError.
        """
        path = Path(path)
        if path.suffix.lower() not in WRITTEN:
            raise StoryboardError(f"{path}: a storyboard is written to a file that ends in {', '.join(WRITTEN)}")
        plain = _with_paths(self._plain(), lambda picture: os.path.relpath(picture, path.parent))
        as_json = path.suffix.lower() == ".json"
        text = json.dumps(plain, ensure_ascii=False, indent=2) + "\n" if as_json else write_yaml(plain)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def to_yaml(self) -> str:
        """Return the storyboard as YAML, which `from_yaml` turns back into an equal one."""
        return write_yaml(self._plain())

    def to_json(self, indent: int | None = 2) -> str:
        """Return the storyboard as JSON, which `from_json` turns back into an equal one."""
        return json.dumps(self._plain(), ensure_ascii=False, indent=indent)

    def _plain(self) -> dict[str, Any]:
        plain = self.model_dump(exclude_none=True, mode="json")
        for shot in plain["shots"]:
            if "seconds" in shot:
                del shot["num_frames"]
        return plain

    def as_run(self) -> Storyboard:
        """The storyboard on the frames that Wan's video autoencoder can cut at: frame count and cuts are 4t + 1.

        `asked` of it is this one, and `moved` says what was moved. Raises StoryboardError if two cuts meet there.
        """
        num_frames, cuts = snap(self.num_frames), tuple(map(snap, self.cuts))
        if (num_frames, cuts) == (self.num_frames, self.cuts):
            if self.timed:
                return self
            run = self.model_copy()
            run._timed = True  # a model is told so
            return run
        try:
            check_cuts(cuts, num_frames)
        except ValueError as error:
            ends = zip((*self.cuts, self.num_frames), (*cuts, num_frames), strict=True)
            rounded = ", ".join(f"{old} to {new}" for old, new in ends if old != new)
            told = f"{error}; cuts and ends are rounded to 4t + 1, here {rounded}: make the shots longer"
            raise StoryboardError(told) from None
        lengths = (end - start for start, end in pairwise((0, *cuts, num_frames)))
        shots = tuple(
            s.model_copy(update={"num_frames": n, "seconds": None}) for s, n in zip(self.shots, lengths, strict=True)
        )
        run = self.model_copy(update={"shots": shots})
        run._asked = self.shots
        return run

    def run_on(self, lengths: Sequence[int], fps: float | None = None, grid: str | None = None) -> Storyboard:
        """The storyboard on the frames that some model makes of it: `lengths` for its shots, at `fps` (None: its own).

        grid: where that model cuts, in words, which `moved` says. `asked` of it is this one; at another rate every shot
        of that has the seconds that it has here. Raises StoryboardError if a shot is shorter than a frame at that rate.
        """
        asked = self
        if fps is not None and fps != self.fps:
            told = [shot.model_dump(exclude={"num_frames", "seconds"}) for shot in self.shots]  # captions and pictures
            shots = [{**shot, "seconds": t} for shot, t in zip(told, self.shot_seconds, strict=True)]
            asked = self.model_copy(update={"fps": fps, "shots": shots})
        shots = tuple(Shot(caption=s.caption, num_frames=n) for s, n in zip(self.shots, lengths, strict=True))
        run = asked.model_copy(update={"shots": shots})
        if run.shots != asked.shots:
            run._asked, run._grid = asked.shots, grid
        return run

    @property
    def asked(self) -> Storyboard:
        """The storyboard as it was asked for, of one that `as_run` or `run_on` made; any other is itself."""
        if self._asked is None:
            return self
        asked = self.model_copy(update={"shots": self._asked})
        asked._timed = self._timed
        return asked

    @property
    def timed(self) -> bool:
        """Whether somebody said when the shots begin. Else they are even, on frames that a model can cut at."""
        return self._timed

    @property
    def grid(self) -> str | None:
        """Where the model cuts whose frames `run_on` put the storyboard on, in words; None if that was not said."""
        return self._grid

    @property
    def moved(self) -> tuple[str, ...]:
        """What `as_run` or `run_on` moved, a sentence each; of more than three cuts one sentence."""
        asked, changes = self.asked, []

        def why(old: int, new: int) -> str:
            if self.grid is not None:
                return self.grid
            return "the nearest 4t + 1" if new == snap(old) else "what the model can make"

        pairs = enumerate(zip(asked.cuts, self.cuts, strict=True), start=2)
        cuts = [(shot, old, new) for shot, (old, new) in pairs if old != new]
        if len(cuts) > _MOVED_SINGLY:
            _, before, after = (few([*map(str, frames)]) for frames in zip(*cuts, strict=True))
            reasons = ", ".join(dict.fromkeys(why(old, new) for _, old, new in cuts))
            changes.append(f"{len(cuts)} cuts at frames {before} were moved to frames {after} ({reasons})")
        else:
            for shot, old, new in cuts:
                where = f"shot {shot} of {self.num_shots}"
                changes.append(f"{where}: cut at frame {old} was moved to frame {new} ({why(old, new)})")
        if asked.num_frames != self.num_frames:
            counts = asked.num_frames, self.num_frames
            changes.append(f"num_frames {counts[0]} was changed to {counts[1]} ({why(*counts)})")
        return tuple(changes)

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the JSON Schema of storyboard files, with every accepted way to give the shots."""
        return file_schema(super().model_json_schema(*args, **kwargs))

    @property
    def num_shots(self) -> int:
        return len(self.shots)

    @property
    def captions(self) -> tuple[str, ...]:
        return tuple(shot.caption for shot in self.shots)

    @property
    def num_frames(self) -> int:
        """Frames of the whole video."""
        return sum(shot.num_frames for shot in self.shots)

    @property
    def seconds(self) -> float:
        """Length of the whole video in seconds."""
        return self.num_frames / self.fps

    @property
    def cuts(self) -> tuple[int, ...]:
        """The first frame (0-based) of every shot but the first."""
        return tuple(accumulate(shot.num_frames for shot in self.shots[:-1]))

    @property
    def shot_seconds(self) -> tuple[float, ...]:
        """The length of every shot in seconds, as it was asked for."""
        return tuple(shot.num_frames / self.fps if shot.seconds is None else shot.seconds for shot in self.shots)

    @property
    def shot_ranges(self) -> tuple[range, ...]:
        """The frames of each shot."""
        return tuple(range(start, end) for start, end in pairwise((0, *self.cuts, self.num_frames)))

    @property
    def prompt(self) -> str:
        """HoloCine's prompt string; together with `cuts` and `num_frames` it is the whole scene."""
        return format_prompt(self.global_caption, self.captions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What in the storyboard probably is a mistake or too much, and what `as_run` moved; one sentence each."""
        trained = f"{self.num_shots} shots: HoloCine was trained on scenes of at most {MAX_TRAINED_SHOTS}"
        return (*self.moved, *self.mistakes, *([trained] if self.num_shots > MAX_TRAINED_SHOTS else []))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What in the storyboard probably is a mistake, whatever the model; one sentence each."""
        return tuple(_doubts(self))

    def layout(self, height: int, width: int) -> ShotLayout:
        """Return the shots in latent frames and tokens, where a latent frame is `height` x `width` tokens."""
        return ShotLayout.from_cuts(self.num_frames, self.cuts, height, width)


def _with_paths(data: Any, seen: Callable[[str], str]) -> Any:
    """The data of a storyboard file with every path in it as `seen` makes it; pictures that are in it stay."""

    def path_seen(path: Any) -> Any:
        return seen(path) if isinstance(path, str) and path and not is_enclosed(path) else path

    def shot_seen(shot: Any) -> Any:
        if not isinstance(shot, Mapping):
            return shot
        return {key: path_seen(value) if key in PICTURE_KEYS else value for key, value in shot.items()}

    if not isinstance(data, Mapping):
        return data
    data = dict(data)
    if isinstance(data.get("shots"), list):
        data["shots"] = [shot_seen(shot) for shot in data["shots"]]
    if isinstance(data.get("references"), Mapping):
        data["references"] = {name: path_seen(path) for name, path in data["references"].items()}
    return data


def _checked(caption: str) -> str:
    if not clean(caption):
        raise ValueError("is empty: say what is to be seen")
    if holds_tag(caption):
        raise ValueError(
            "holds [global caption], [per shot caption] or [shot cut], which separate captions in a prompt string; "
            "make each shot a caption of its own, or give the whole string as prompt"
        )
    return caption


def _sentence(error: ValidationError, num_shots: int | None = None) -> str:
    """Turn the first of pydantic's errors into a sentence that names the shot, the key and the value."""
    first = error.errors(include_url=False)[0]
    location = list(first["loc"])
    shot = ""
    if num_shots is not None and location[:1] == ["shots"] and len(location) > 1:
        shot = f"shot {location[1] + 1} of {num_shots}: "
        location = location[2:]
    key = ".".join(map(str, location))
    match first["type"]:
        case "value_error":
            problem = str(first["ctx"]["error"])
        case "missing":
            problem = "is missing"
        case "extra_forbidden":
            problem = "is not a known key"
        case _:
            problem = f"{first['msg'].replace('Input ', '', 1)}, not {described(first['input'])}"
    return f"{shot}{key} {problem}" if key else f"{shot}{problem}"


def _doubts(storyboard: Storyboard) -> Iterable[str]:
    """Yield what in a valid storyboard probably is a mistake."""
    n = storyboard.num_shots
    introduced = character_tags(storyboard.global_caption)
    for shot, caption in enumerate(storyboard.captions, start=1):
        for tag in character_tags(caption):
            if tag not in introduced:
                yield f"shot {shot} of {n}: {tag} is not introduced in the global caption"
    texts = {"the global caption": storyboard.global_caption}
    texts |= {f"shot {shot} of {n}": caption for shot, caption in enumerate(storyboard.captions, start=1)}
    for where, text in texts.items():
        for written, meant in misspelt_tags(text).items():
            yield f"{where}: {written} is no character's tag: write {meant}"
    stated = stated_shots(storyboard.global_caption)
    if stated is not None and stated != n:
        yield f"the global caption says that the scene contains {counted(stated, 'shot')}, but there {are(n)} {n}"
