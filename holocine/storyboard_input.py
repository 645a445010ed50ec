"""What people write for a storyboard -> the fields of `Storyboard`: shots with lengths that make a valid timeline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

from pydantic import BaseModel

from holocine.plurals import counted
from holocine.prompt import parse_prompt, split_timeline, tidy_global_caption
from holocine.timeline import check_cuts, snap, spread_cuts

DEFAULT_NUM_FRAMES = 241
DEFAULT_FPS = 15.0
MAX_NUM_FRAMES = 1_000_000
_WHOLE = 1e-6


class StoryboardError(ValueError):
    """The input is no storyboard; the message says in one sentence where and why."""


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Let every StoryboardError of reading a file name it; one that cannot be read, or is no text, raises one too."""
    try:
        yield
    except OSError as error:
        raise StoryboardError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StoryboardError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except StoryboardError as error:
        raise StoryboardError(f"{path}: {error}") from None


PICTURE_KEYS = ("image", "last_image", "clip")  # paths, of a shot
ENCLOSED = r"data:image/[\w.+-]+;base64"  # how the data URL of a picture begins, as a pattern


def is_enclosed(picture: str) -> bool:
    """Whether a storyboard has a picture in it, as a data URL (RFC 2397), and does not name a file."""
    return picture[:5].lower() == "data:"


_TIMELINE_KEYS = ("num_frames", "shot_cut_frames", "cuts")


def canonical(data: Any, field_names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of Storyboard for any accepted input, every shot with its length in frames.

    Raises StoryboardError if captions and timeline do not make shots; the other fields pass through unchecked.
    """
    if not isinstance(data, Mapping):
        raise StoryboardError(f"a storyboard is a mapping with global_caption and shots, not {described(data)}")
    known = (*field_names, *_TIMELINE_KEYS, "prompt")
    for key in data:
        if key not in known:
            raise StoryboardError(f"unknown key {short(key)}; the keys of a storyboard are {', '.join(known)}")
    data = _with_own_timeline(data)
    fields = {key: data[key] for key in field_names if key in data}
    if data.get("prompt") is not None or ("prompt" in data and "shots" not in data):
        fields["global_caption"], captions = _from_string(data)
        lengths = None
    else:
        captions, lengths = _from_list(data.get("shots"), data.get("fps", DEFAULT_FPS))
    frames = [length and length.frames for length in lengths] if lengths else None
    num_frames, cuts = _timeline(data, len(captions), frames)
    check_cuts(cuts, num_frames)
    shot_lengths = [end - start for start, end in pairwise((0, *cuts, num_frames))]
    fields["shots"] = tuple(
        _Made(caption=caption, num_frames=length) for caption, length in zip(captions, shot_lengths, strict=True)
    )
    for made, shot in zip(fields["shots"], data.get("shots") or (), strict=False):
        given = dict(shot) if isinstance(shot, Mapping | BaseModel) else {}
        made.update({key: given[key] for key in PICTURE_KEYS if given.get(key) is not None})
    if lengths and any(length.fractional for length in lengths):  # cuts are rounded: all shots' lengths change
        for shot, length in zip(fields["shots"], lengths, strict=True):
            shot["seconds"] = length.frames / data.get("fps", DEFAULT_FPS) if length.seconds is None else length.seconds
    if isinstance(fields.get("global_caption"), str):
        fields["global_caption"] = tidy_global_caption(fields["global_caption"], len(captions))
    return fields


def says_when(data: Any) -> bool:
    """Whether the data of a storyboard say when its shots begin, by lengths or by cuts."""
    if not isinstance(data, Mapping):
        return True
    data = _with_own_timeline(data)
    if any(data.get(key) is not None for key in ("cuts", "shot_cut_frames")):
        return True
    shots = data.get("shots")
    if shots is None:
        return False
    lengths = ("num_frames", "seconds")
    return any(dict(s).get(key) is not None for s in shots if isinstance(s, Mapping | BaseModel) for key in lengths)


def with_defaults(data: Any, defaults: Mapping[str, Any]) -> Any:
    """The data of a storyboard with `defaults` for fields that it does not have; a prompt has its global caption."""
    if not isinstance(data, Mapping):
        return data
    said = ("global_caption",) if data.get("prompt") is not None else ()
    missing = {key: value for key, value in defaults.items() if data.get(key) is None and key not in said}
    return {**data, **missing}


def _with_own_timeline(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data with the length, rate and cuts that its prompt says below itself, unless there are cuts beside it."""
    if not isinstance(data.get("prompt"), str):
        return data
    prompt, timeline = split_timeline(data["prompt"])
    if timeline is None or any(data.get(key) is not None for key in ("cuts", "shot_cut_frames")):
        return {**data, "prompt": prompt}
    return {**data, "prompt": prompt, **timeline}


class _Made(dict):
    """The fields of a shot that `canonical` made: may have seconds and the frames that follow from them."""


class _Length(NamedTuple):
    """Of a shot: in frames, not rounded where it was given in seconds that are no whole frames, and those seconds."""

    frames: float
    seconds: float | None = None

    @property
    def fractional(self) -> bool:
        return self.frames != round(self.frames)


def _from_string(data: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    for key in ("global_caption", "shots"):
        if data.get(key) is not None:
            raise StoryboardError(f"give either prompt or {key}, not both")
    if not isinstance(data["prompt"], str):
        raise StoryboardError(f"prompt should be text, not {described(data['prompt'])}")
    return parse_prompt(data["prompt"])


def _from_list(shots: Any, fps: Any) -> tuple[list[Any], list[_Length] | None]:
    """Return the caption of every shot, and the length of every shot or None if none has one."""
    if shots is None:
        raise StoryboardError("shots is missing: list at least one shot, each with a caption")
    shots = _listed(shots, "shots")
    if not shots:
        raise StoryboardError("shots is empty: a storyboard has at least 1 shot")
    captions, lengths = zip(
        *(_caption_and_length(shot, i, len(shots), fps) for i, shot in enumerate(shots, 1)), strict=True
    )
    if None in lengths and any(lengths):
        raise StoryboardError(
            f"shot {lengths.index(None) + 1} of {len(shots)}: has no length, but other shots have; "
            "give every shot a length, or none and the num_frames of the whole video"
        )
    return list(captions), None if None in lengths else list(lengths)


def _caption_and_length(shot: Any, position: int, num_shots: int, fps: Any) -> tuple[Any, _Length | None]:
    where = f"shot {position} of {num_shots}"
    if isinstance(shot, str):
        return shot, None
    if isinstance(shot, BaseModel | _Made):
        shot = dict(shot)
        if shot.get("seconds") is not None:
            del shot["num_frames"]
    if not isinstance(shot, Mapping):
        raise StoryboardError(
            f"{where}: should be a caption, or a mapping with caption and num_frames, not {described(shot)}"
        )
    for key in shot:
        if key not in ("caption", "num_frames", "seconds", *PICTURE_KEYS):
            raise StoryboardError(
                f"{where}: unknown key {short(key)}; the keys of a shot are caption, num_frames, seconds, "
                f"{', '.join(PICTURE_KEYS)} (put quotes around a caption with a colon)"
            )
    if "caption" not in shot:
        raise StoryboardError(f"{where}: caption is missing")
    if shot.get("num_frames") is not None and shot.get("seconds") is not None:
        raise StoryboardError(f"{where}: give either num_frames or seconds, not both")
    if shot.get("seconds") is not None:
        seconds = _number(shot["seconds"], f"{where}: seconds")
        frames = seconds * _number(fps, "fps")
        if abs(frames - round(frames)) < _WHOLE:  # frames say it as well
            frames = round(frames)
        return shot["caption"], _Length(frames, seconds)
    if shot.get("num_frames") is not None:
        return shot["caption"], _Length(_whole(shot["num_frames"], f"{where}: num_frames", least=1))
    return shot["caption"], None


def _timeline(data: Mapping[str, Any], num_shots: int, lengths: list[float] | None) -> tuple[int, tuple[int, ...]]:
    """Return the number of frames and the cuts as they were asked for."""
    asked_frames, asked_cuts = data.get("num_frames"), data.get("shot_cut_frames")
    if data.get("cuts") is not None:
        if asked_cuts is not None:
            raise StoryboardError("give either cuts or shot_cut_frames, not both")
        asked_cuts = data["cuts"]
    if asked_frames is not None:
        asked_frames = _whole(asked_frames, "num_frames", least=1)
    if lengths is not None:
        if asked_cuts is not None:
            raise StoryboardError("give either cuts or the length of every shot, not both")
        *cuts, num_frames = (round(end) for end in accumulate(lengths))
        if asked_frames is not None and asked_frames not in (num_frames, snap(num_frames)):
            raise StoryboardError(f"num_frames is {asked_frames}, but the shots together have {num_frames} frames")
        return _whole(num_frames, "the length of all shots", least=1), tuple(cuts)
    num_frames = DEFAULT_NUM_FRAMES if asked_frames is None else asked_frames
    if asked_cuts is None:
        return num_frames, spread_cuts(num_shots, num_frames)
    cuts = tuple(_whole(cut, "a cut") for cut in _listed(asked_cuts, "shot_cut_frames"))
    if len(cuts) < num_shots - 1:
        raise StoryboardError(f"shot {len(cuts) + 2} of {num_shots}: has no cut; {_needs(num_shots)}, not {len(cuts)}")
    if len(cuts) > num_shots - 1:
        raise StoryboardError(
            f"the cut at frame {cuts[num_shots - 1]} begins shot {num_shots + 1}, which has no caption; "
            f"{_needs(num_shots)}, not {len(cuts)}"
        )
    return num_frames, cuts


def _needs(num_captions: int) -> str:
    if num_captions == 1:
        return "1 caption needs no cuts"
    return f"{num_captions} captions need {counted(num_captions - 1, 'cut')}"


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise StoryboardError(f"{name} should be a list, not {described(value)}")
    return list(value)


def _whole(value: Any, name: str, least: int | None = None) -> int:
    """Return `value` as a whole number of frames."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise StoryboardError(f"{name} should be a whole number of frames, not {described(value)}")
    value = value.__index__()
    if least is not None and value < least:
        raise StoryboardError(f"{name} should be at least {least}, not {value}")
    if abs(value) > MAX_NUM_FRAMES:
        raise StoryboardError(f"{name} should be at most {MAX_NUM_FRAMES:,} frames, not {short(value)}")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MAX_NUM_FRAMES:
        raise StoryboardError(f"{name} should be a positive number, not {described(value)}")
    return float(value)


def described(value: Any) -> str:
    """Name a wrong value in an error message, briefly however large it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (put quotes around text)"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return short(value)
