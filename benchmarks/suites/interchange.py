"""Scripts of other benchmarks -> storyboards: ST-Bench, EntityBench, ViStoryBench, MSVBench.

Read are the scripts' own files, which stay where they are: nothing of them comes with this program. Characters become
tags, introduced in the global caption and named in the captions; a prompt that continues the one before without a cut
becomes part of its shot. These scripts say nothing of time, so every prompt lasts as long as the caller says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.suites.checked_json import Value
from benchmarks.suites.suite import Entry, Suite, SuiteError, is_id
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

    cast: of each prompt the characters that are to be seen in it. file: that it was read from.
    """

    id: str
    title: str | None
    scene: str
    characters: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    cast: tuple[tuple[str, ...], ...]
    file: Path | None = None


def read_scripts(format: str, source: Path, language: str = "en") -> tuple[Script, ...]:
    """Every script in a file or below a folder. Raises SuiteError, naming the file, for what is none of that format.

    language: of ViStoryBench, "en" or "ch".
    """
    if format not in FORMATS:
        raise SuiteError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    pattern, read = FORMATS[format]
    files = [source] if source.is_file() else sorted(source.glob(pattern))
    if not files:
        if not source.exists():
            raise SuiteError(f"{source} does not exist: name a script of {format}, or the folder that they lie in")
        raise SuiteError(f"{source} holds no script of {format}: it was looked for as {pattern}")
    return tuple(replace(read(Value.read(path, format, _id(path)), language), file=path) for path in files)


def _id(path: Path) -> str:
    return path.parent.name if path.name == "story.json" else path.stem


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
    """Scripts as a suite. Raises SuiteError, naming file and story, for one that is no storyboard."""
    entries, seen = [], set()
    for script in scripts:
        story = f"{script.file}: story {script.id}" if script.file else f"story {script.id}"
        if not script.prompts:
            raise SuiteError(f"{story}: shots is empty, as it has no prompts: add some, or take the file away")
        try:
            storyboard = to_storyboard(script, fps, seconds)
        except StoryboardError as error:
            raise SuiteError(f"{story}: {error}") from None
        if not is_id(script.id):
            raise SuiteError(
                f"{story}: a story is called by its file or folder, up to 100 letters, digits, '.', '_' "
                "and '-': rename it"
            )
        if script.id.lower() in seen:
            raise SuiteError(f"{story}: another file is called so: rename one")
        seen.add(script.id.lower())
        tags = (f"benchmark:{format}", f"shots:{storyboard.num_shots}", f"characters:{len(script.characters)}")
        entries.append(Entry(script.id, storyboard, tags))
    lengths = tuple(sorted({entry.storyboard.num_frames for entry in entries}))
    description = f"{len(entries)} scripts of {format}, {seconds:g} s a prompt"
    return Suite(name, 1, fps, lengths, SIZE, tuple(entries), description)


# The formats


def _st_bench(content: Value, language: str) -> Script:
    """ST-Bench (StoryMem, arXiv 2512.19539): scenes of prompts, each with or without a cut before it."""
    title, overview = content.get("story_name"), content["story_overview"].text()
    prompts = tuple(_scene_prompts(content, "video_prompts"))
    return Script(content.story, title and title.text(), overview, {}, prompts, ((),) * len(prompts))


def _entitybench(content: Value, language: str) -> Script:
    """EntityBench (arXiv 2605.15199): ST-Bench's shape, with characters, places and objects of every prompt."""
    schedule = dict(content["entity_schedule"].entries())
    described = {one["name"].text(): _text(one, "description") for _, one in content["entity_descriptions"].entries()}
    prompts = tuple(_scene_prompts(content, "action_descriptions"))
    keys = [f"{int(scene)}:{int(number)}" for scene, number in (prompt.name.split("_") for prompt in prompts)]

    def scheduled(key: str, kind: str) -> tuple[str, ...]:
        names = schedule[key].get(kind) if key in schedule else None
        return tuple(name.text() for name in names.items()) if names else ()

    cast = tuple(scheduled(key, "characters") for key in keys)
    places = _once(name for key in keys for name in scheduled(key, "places"))
    told = (f"{name}: {_sentence(described[name])}" for name in places if described.get(name))
    return Script(
        content.story,
        None,
        " ".join((*told, content["story_overview"].text())),
        {name: described.get(name, "") for name in _once(name for names in cast for name in names)},
        prompts,
        cast,
    )


def _scene_prompts(content: Value, key: str) -> Iterator[Prompt]:
    numbers: set[int] = set()
    for index, scene in enumerate(content["scenes"].items(), start=1):
        number = named.number() if (named := scene.get("scene_num")) else index
        if number in numbers:
            scene.fail(f"{scene.where} of story {content.story} has scene_num {number} again", "number scenes apart")
        numbers.add(number)
        texts, cuts = scene[key].items(), scene["cut"].items()
        if len(texts) != len(cuts):
            scene.fail(
                f"{scene.where} of story {content.story} has {len(texts)} in {key!r} and {len(cuts)} in 'cut'",
                "give a cut for each",
            )
        for shot, (text, cut) in enumerate(zip(texts, cuts, strict=True), start=1):
            yield Prompt(_said(text), f"{number:03d}_{shot:03d}", cut.flag())


def _vistorybench(content: Value, language: str) -> Script:
    """ViStoryBench (arXiv 2505.24862): shots with setting, camera, what is seen and who, in two languages."""
    characters = {}
    for key, one in content["Characters"].entries() if content.get("Characters") else ():
        characters[_text(one, f"name_{language}") or key] = _text(one, f"prompt_{language}")
    prompts, cast = [], []
    for index, shot in enumerate(content["Shots"].items()):
        seen = [
            _text(shot[key], language)
            for key in ("Shot Perspective Design", "Static Shot Description", "Setting Description")
        ]
        prompts.append(Prompt(" ".join(_sentence(text) for text in seen if text), f"shot_{index:02d}"))
        cast.append(tuple(name.text() for name in shot["Characters Appearing"][language].items()))
    # Somebody who appears and is not described is a character all the same.
    characters |= {name: "" for name in _once(name for names in cast for name in names) if name not in characters}
    return Script(content.story, None, "", characters, tuple(prompts), tuple(cast))


def _msvbench(content: Value, language: str) -> Script:
    """MSVBench (arXiv 2602.23969): scenes of clips in environments, with characters by number."""

    def described(one: Value) -> str:
        return next((text for key in ("description", "prompt", "short") if (text := _text(one, key))), "")

    people = content["characters"].items()
    names = {person["id"].name(): person["name"].text() for person in people}
    environments = content.get("environments")
    places = {place["id"].name(): place for place in environments.items()} if environments else {}
    prompts, cast = [], []
    for scene in content["script"].items():
        where = ""
        if named := scene.get("environment"):
            place = places[_known(named, places, "environments")]
            where = described(place) or _text(place, "name")
        for clip in scene["clips"].items():
            camera = ", ".join(text for key in ("shot_distance", "camera_angle") if (text := _text(clip, key)))
            texts = (camera, _said(clip["description"]), where)
            prompts.append(Prompt(" ".join(_sentence(text) for text in texts if text), f"{len(prompts) + 1:02d}"))
            seen = clip.get("characters")
            cast.append(tuple(names[_known(who, names, "characters")] for who in seen.items()) if seen else ())
    characters = {person["name"].text(): described(person) for person in people}
    return Script(content.story, None, "", characters, tuple(prompts), tuple(cast))


def _known(reference: Value, there: Mapping[str, Any], key: str) -> str:
    """The id that is referred to; fails for one that is not `there`."""
    id = reference.name()
    if id not in there:
        reference.fail(
            f"{reference.where} of story {reference.story} is {id!r}, which is not in {key!r} "
            f"({', '.join(there) or 'there are none'})",
            f"take one of these ids, or add it to {key!r}",
        )
    return id


def _said(text: Value) -> str:
    """The text of a prompt, which may not be empty."""
    said = text.text()
    if not said.strip():
        text.fail(f"{text.where} of story {text.story} is empty", "say what is to be seen")
    return said


def _text(one: Value, key: str) -> str:
    """A text that may be absent."""
    return found.text() if (found := one.get(key)) else ""


Reader = Callable[[Value, str], Script]
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
