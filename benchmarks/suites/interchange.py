"""Scripts of other benchmarks -> storyboards: ST-Bench, EntityBench, ViStoryBench, MSVBench.

Read are the scripts' own files, which stay where they are: nothing of them comes with this program. Characters become
tags, introduced in the global caption and named in the captions; a prompt that continues the one before without a cut
becomes part of its shot. These scripts say nothing of time, so every prompt lasts as long as the caller says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.suites.suite import Entry, Suite, SuiteError
from holocine.storyboard import Storyboard, StoryboardError

SIZE = (832, 480)


@dataclass(frozen=True)
class Prompt:
    """One prompt of a script: the text, what its video is called there, and whether it begins with a cut."""

    text: str
    name: str
    cut: bool = True


@dataclass(frozen=True)
class Script:
    """A story: characters by name with a description, what else is said of the whole, and the prompts in order.

    cast: of each prompt the characters that are to be seen in it.
    """

    id: str
    title: str | None
    scene: str
    characters: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    cast: tuple[tuple[str, ...], ...]


def read_scripts(format: str, source: Path, language: str = "en") -> tuple[Script, ...]:
    """Every script in a file or below a folder. Raises SuiteError, naming the file, for what is none of that format.

    language: of ViStoryBench, "en" or "ch".
    """
    if format not in FORMATS:
        raise SuiteError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    pattern, read = FORMATS[format]
    files = [source] if source.is_file() else sorted(source.glob(pattern))
    if not files:
        raise SuiteError(f"{source} holds no script of {format}: it was looked for as {pattern}")
    scripts = []
    for path in files:
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            scripts.append(read(content, path, language))
        except (OSError, ValueError) as error:
            raise SuiteError(f"{path}: cannot be read: {error}") from None
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise SuiteError(f"{path}: is no script of {format}: {why}") from None
    return tuple(scripts)


def to_storyboard(script: Script, fps: float, seconds: float) -> Storyboard:
    """A script as a storyboard in which every prompt lasts `seconds`. Raises StoryboardError."""
    tags = {name: f"[character{number}]" for number, name in enumerate(script.characters, start=1)}
    told = [f"{tags[name]}: {_sentence(description)}" for name, description in script.characters.items() if description]
    unknown = [f"{tags[name]} is {name}." for name, description in script.characters.items() if not description]
    scene = " ".join((*told, *unknown, _tagged(script.scene, tags)))
    captions: list[str] = []
    lengths: list[float] = []
    for prompt, cast in zip(script.prompts, script.cast, strict=True):
        text = _tagged(prompt.text, tags)
        absent = [tags[name] for name in cast if name in tags and tags[name] not in text]
        if absent:
            text = f"{_sentence(text)} With {', '.join(absent)}."
        if prompt.cut or not captions:
            captions.append(text)
            lengths.append(seconds)
        else:
            captions[-1] = f"{_sentence(captions[-1])} {text}"
            lengths[-1] += seconds
    return Storyboard(
        title=script.title,
        global_caption=scene.strip() or f"A story in {len(captions)} shots.",
        fps=fps,
        shots=[
            {"caption": caption, "num_frames": round(fps * length)}
            for caption, length in zip(captions, lengths, strict=True)
        ],
    )


def to_suite(format: str, scripts: Sequence[Script], name: str, fps: float = 16.0, seconds: float = 5.0) -> Suite:
    """Scripts as a suite. Raises SuiteError, naming the script, for one that is no storyboard."""
    entries = []
    for script in scripts:
        try:
            storyboard = to_storyboard(script, fps, seconds)
        except StoryboardError as error:
            raise SuiteError(f"{script.id}: {error}") from None
        tags = (f"benchmark:{format}", f"shots:{storyboard.num_shots}", f"characters:{len(script.characters)}")
        entries.append(Entry(script.id, storyboard, tags))
    lengths = tuple(sorted({entry.storyboard.num_frames for entry in entries}))
    description = f"{len(entries)} scripts of {format}, {seconds:g} s a prompt"
    return Suite(name, 1, fps, lengths, SIZE, tuple(entries), description)


# The formats


def _st_bench(content: Any, path: Path, language: str) -> Script:
    """ST-Bench (StoryMem, arXiv 2512.19539): scenes of prompts, each with or without a cut before it."""
    prompts = tuple(_scene_prompts(content, "video_prompts"))
    return Script(path.stem, content.get("story_name"), content["story_overview"], {}, prompts, ((),) * len(prompts))


def _entitybench(content: Any, path: Path, language: str) -> Script:
    """EntityBench (arXiv 2605.15199): ST-Bench's shape, with characters, places and objects of every prompt."""
    schedule = content["entity_schedule"]
    described = {one["name"]: one.get("description", "") for one in content["entity_descriptions"].values()}
    prompts = tuple(_scene_prompts(content, "action_descriptions"))
    keys = [f"{int(scene)}:{int(number)}" for scene, number in (prompt.name.split("_") for prompt in prompts)]
    cast = tuple(tuple(schedule.get(key, {}).get("characters", ())) for key in keys)
    places = _once(name for key in keys for name in schedule.get(key, {}).get("places", ()))
    told = (f"{name}: {_sentence(described[name])}" for name in places if described.get(name))
    return Script(
        path.stem,
        None,
        " ".join((*told, content["story_overview"])),
        {name: described.get(name, "") for name in _once(name for names in cast for name in names)},
        prompts,
        cast,
    )


def _scene_prompts(content: Any, key: str) -> Iterator[Prompt]:
    for index, scene in enumerate(content["scenes"], start=1):
        number = int(scene.get("scene_num", index))
        for shot, (text, cut) in enumerate(zip(scene[key], scene["cut"], strict=True), start=1):
            yield Prompt(text, f"{number:03d}_{shot:03d}", cut if isinstance(cut, bool) else str(cut) == "True")


def _vistorybench(content: Any, path: Path, language: str) -> Script:
    """ViStoryBench (arXiv 2505.24862): shots with setting, camera, what is seen and who, in two languages."""

    def said(shot: Mapping[str, Any], key: str) -> Any:
        return shot[key][language]

    names = {key: one.get(f"name_{language}") or key for key, one in content.get("Characters", {}).items()}
    prompts, cast = [], []
    for index, shot in enumerate(content["Shots"]):
        seen = (
            said(shot, key) for key in ("Shot Perspective Design", "Static Shot Description", "Setting Description")
        )
        prompts.append(Prompt(" ".join(_sentence(text) for text in seen if text), f"shot_{index:02d}"))
        cast.append(tuple(said(shot, "Characters Appearing")))
    descriptions = {name: content["Characters"][key].get(f"prompt_{language}", "") for key, name in names.items()}
    id = path.parent.name if path.stem == "story" else path.stem
    return Script(id, None, "", descriptions, tuple(prompts), tuple(cast))


def _msvbench(content: Any, path: Path, language: str) -> Script:
    """MSVBench (arXiv 2602.23969): scenes of clips in environments, with characters by number."""

    def described(one: Mapping[str, Any]) -> str:
        return next((one[key] for key in ("description", "prompt", "short") if one.get(key)), "")

    names = {str(one["id"]): one["name"] for one in content["characters"]}
    places = {str(one["id"]): one for one in content.get("environments", ())}
    prompts, cast = [], []
    for scene in content["script"]:
        place = places.get(str(scene.get("environment")), {})
        where = described(place) or place.get("name", "")
        for clip in scene["clips"]:
            camera = ", ".join(clip[key] for key in ("shot_distance", "camera_angle") if clip.get(key))
            texts = (camera, clip["description"], where)
            prompts.append(Prompt(" ".join(_sentence(text) for text in texts if text), f"{len(prompts) + 1:02d}"))
            cast.append(tuple(names[str(id)] for id in clip.get("characters", ())))
    characters = {one["name"]: described(one) for one in content["characters"]}
    return Script(path.stem, None, "", characters, tuple(prompts), tuple(cast))


Reader = Callable[[Any, Path, str], Script]
FORMATS: dict[str, tuple[str, Reader]] = {
    "st-bench": ("*.json", _st_bench),
    "entitybench": ("*.json", _entitybench),
    "vistorybench": ("*/story.json", _vistorybench),
    "msvbench": ("*.json", _msvbench),
}


def _tagged(text: str, tags: Mapping[str, str]) -> str:
    """Text with names replaced by tags, the longest first, and never within a word."""
    for name in sorted(tags, key=len, reverse=True):
        edge = r"\w" if name.isascii() else r"(?!)"
        text = re.sub(rf"(?<!{edge}){re.escape(name)}(?!{edge})", tags[name], text)
    return text


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "。", "！", "？")) else f"{text}."


def _once(names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
