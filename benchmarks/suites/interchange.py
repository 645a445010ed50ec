"""Scripts of other benchmarks -> storyboards: ST-Bench, EntityBench, ViStoryBench, MSVBench.

Read are the scripts' own files, which stay where they are: nothing of them comes with this program. Characters become
tags, introduced in the global caption and named in the captions; a prompt that continues the one before without a cut
becomes part of its shot. These scripts say nothing of time, so every prompt lasts as long as the caller says. What a
script leaves open is told in its notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from benchmarks.suites.checked_json import Value
from benchmarks.suites.suite import Entry, Suite, SuiteError, is_id
from benchmarks.suites.tagging import tagged
from holocine.finding import did_you_mean_file
from holocine.plurals import are, counted, few, listed
from holocine.storyboard import Storyboard, StoryboardError
from holocine.wording import ended

SIZE = (832, 480)
_LOOKED_AT = 100  # files further down than scripts were named to be


@dataclass(frozen=True)
class Prompt:
    """One prompt of a script: the text, what its video is called there, and whether it begins with a cut."""

    text: str
    name: str
    cut: bool = True


@dataclass(frozen=True)
class Script:
    """A story: characters by name with a description, what else is said of the whole, and the prompts in order.

    cast: of each prompt the characters that are to be seen in it. file: that it was read from. names: of other things
    that are described, which stay as they are even where a character's name is part of them. notes: what the script
    leaves open, a sentence each.
    """

    id: str
    title: str | None
    scene: str
    characters: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    cast: tuple[tuple[str, ...], ...]
    file: Path | None = None
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_scripts(format: str, source: Path, language: str | None = None) -> tuple[Script, ...]:
    """Every script in a file or below a folder. Raises SuiteError, naming the file, for what is none of that format.

    language: of a format that has several, one of LANGUAGES; None is English. It is refused for the others.
    """
    if format not in FORMATS:
        raise SuiteError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    if language is not None and format not in BILINGUAL:
        raise SuiteError(
            f"--language {language} is for {listed(BILINGUAL)}, scripts of {format} are in one language: leave it out"
        )
    pattern, read = FORMATS[format]
    files = [source] if source.is_file() else sorted(source.glob(pattern), key=_counting)
    if not source.exists():
        near = did_you_mean_file(source)
        raise SuiteError(f"{source} does not exist{near}: name a script of {format}, or the folder that they lie in")
    below = "" if any(_is_script(path, format) for path in files) else _below(format, source)
    if not files or below:
        raise SuiteError(f"{source} holds no script of {format}: it was looked for as {pattern}{below}")
    scripts = []
    for path in files:
        content = Value.read(path, format, _id(path))
        _check_format(content)
        scripts.append(replace(read(content, language or LANGUAGES[0]), file=path))
    return tuple(scripts)


def _is_script(path: Path, format: str) -> bool:
    """Whether a file has the keys that scripts of a format are known by."""
    try:
        keys = Value.read(path, format, _id(path)).object()
    except SuiteError:
        return False
    return any(key in keys for key in _SIGNS[format])


def _below(format: str, source: Path) -> str:
    """`; name FOLDER, which holds some` where scripts lie further down, "" if none are found."""
    pattern, _ = FORMATS[format]
    looked_at = islice(sorted(source.rglob(pattern)), _LOOKED_AT)
    found = next((path for path in looked_at if _is_script(path, format)), None)
    return f"; name {found.parents[pattern.count('/')]}, which holds some" if found else ""


def _counting(path: Path) -> list[str | int]:
    """What paths are sorted by, so that 2.json comes before 10.json."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split("([0-9]+)", str(path)))]


def _check_format(content: Value) -> None:
    """Fail for a script that has the keys of another format."""
    keys = content.object()
    found = next(((name, key) for name, known in _SIGNS.items() for key in known if key in keys), None)
    if found and found[0] != content.format:
        name, key = found
        content.fail(f"with {key!r} it looks like one of {name}", f"name that format ({name}) in place of this one")


def _id(path: Path) -> str:
    return path.parent.name if path.name == "story.json" else path.stem


def to_storyboard(script: Script, fps: float, seconds: float) -> Storyboard:
    """A script as a storyboard in which every prompt lasts `seconds`. Raises StoryboardError."""
    tags = {name: f"[character{number}]" for number, name in enumerate(script.characters, start=1)}
    spoken = {name: name for name in script.names} | tags
    told = [f"{tags[name]}: {_sentence(description)}" for name, description in script.characters.items() if description]
    unknown = [f"{tags[name]} is {name}." for name, description in script.characters.items() if not description]
    scene = " ".join((*told, *unknown, tagged(script.scene, spoken)))
    captions: list[str] = []
    lengths: list[float] = []
    for prompt, cast in zip(script.prompts, script.cast, strict=True):
        text = tagged(prompt.text, spoken)
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
        global_caption=scene.strip() or _invented(len(captions)),
        fps=fps,
        shots=[
            {"caption": caption, "num_frames": round(fps * length)}
            for caption, length in zip(captions, lengths, strict=True)
        ],
    )


def notes_of(script: Script, storyboard: Storyboard) -> tuple[str, ...]:
    """What a script leaves open, a sentence each, and what its storyboard has in its place."""
    notes = list(script.notes)
    if nameless := [name for name, description in script.characters.items() if not description.strip()]:
        notes.append(f"{listed(nameless)} {are(len(nameless))} not described: the global caption has the name alone")
    if storyboard.global_caption == _invented(storyboard.num_shots):
        notes.append(f"nothing is said of the whole: its global caption is {storyboard.global_caption!r}")
    return tuple(notes)


def _invented(shots: int) -> str:
    return f"A story in {counted(shots, 'shot')}."


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
    description = f"{counted(len(entries), 'script')} of {format}, {seconds:g} s a prompt"
    return Suite(name, 1, fps, lengths, SIZE, tuple(entries), description)


# The formats


def _st_bench(content: Value, language: str) -> Script:
    """ST-Bench (StoryMem, arXiv 2512.19539): scenes of prompts, each with or without a cut before it."""
    title, overview = content.get("story_name"), content["story_overview"].text()
    prompts = tuple(_scene_prompts(content, "video_prompts"))
    scenes = content["scenes"].items()
    notes = (*_gaps(scenes, "scene_num"), *_without(scenes, "video_prompts"))
    return Script(content.story, title and title.text(), overview, {}, prompts, ((),) * len(prompts), notes=notes)


def _entitybench(content: Value, language: str) -> Script:
    """EntityBench (arXiv 2605.15199): ST-Bench's shape, with characters, places and objects of every prompt."""
    schedule = dict(content["entity_schedule"].entries())
    entries = [(one["name"].text(), one) for _, one in content["entity_descriptions"].entries()]
    described = {name: _text(one, "description") for name, one in entries}
    prompts = tuple(_scene_prompts(content, "action_descriptions"))
    keys = [f"{int(scene)}:{int(number)}" for scene, number in (prompt.name.split("_") for prompt in prompts)]

    def scheduled(key: str, kind: str) -> tuple[str, ...]:
        names = schedule[key].get(kind) if key in schedule else None
        return tuple(name.text() for name in names.items()) if names else ()

    cast = tuple(scheduled(key, "characters") for key in keys)
    places = _once(name for key in keys for name in scheduled(key, "places"))
    told = (f"{name}: {_sentence(described[name])}" for name in places if described.get(name))
    entities = {name for key in keys for kind in ("characters", "places", "objects") for name in scheduled(key, kind)}
    objects = _once(name for key in keys for name in scheduled(key, "objects"))
    notes = [
        ("entity_schedule has no {}: who is to be seen there is not known", [k for k in keys if k not in schedule]),
        ("there is no prompt for {} of entity_schedule", [key for key in schedule if key not in keys]),
        ("{} of entity_schedule has no description", [name for name in places if not described.get(name)]),
        ("{} of entity_descriptions is in no schedule: the name stays", [n for n in described if n not in entities]),
        ("objects are told by their names alone, without descriptions: {}", [n for n in objects if described.get(n)]),
    ]
    return Script(
        content.story,
        None,
        " ".join((*told, content["story_overview"].text())),
        {name: described.get(name, "") for name in _once(name for names in cast for name in names)},
        prompts,
        cast,
        names=tuple(described),
        notes=(
            *_gaps(content["scenes"].items(), "scene_num"),
            *_without(content["scenes"].items(), "action_descriptions"),
            *_again(entries),
            *(note.format(listed(of)) for note, of in notes if of),
        ),
    )


def _scene_prompts(content: Value, key: str) -> Iterator[Prompt]:
    for number, scene in _in_order(content["scenes"].items(), "scene_num"):
        texts, cuts = scene[key].items(), scene["cut"].items()
        if len(texts) != len(cuts):
            scene.fail(
                f"{scene.where} of story {content.story} has {len(texts)} in {key!r} and {len(cuts)} in 'cut'",
                "give a cut for each",
            )
        for shot, (text, cut) in enumerate(zip(texts, cuts, strict=True), start=1):
            yield Prompt(_said(text), f"{number:03d}_{shot:03d}", cut.flag())


def _in_order(items: Sequence[Value], key: str) -> list[tuple[int, Value]]:
    """Items with their numbers, from the first to the last; of a list without numbers their places, from 1.

    Fails for a number that is there twice, and for an item without one.
    """
    if not any(item.get(key) for item in items):
        return list(enumerate(items, start=1))
    return sorted(_unique(items, key, Value.number).items(), key=lambda pair: pair[0])


def _unique(items: Sequence[Value], key: str, read: Callable[[Value], Any]) -> dict[Any, Value]:
    """Items by what `read` makes of what they have under `key`; fails for what is there twice."""
    found: dict[Any, Value] = {}
    for item in items:
        if (id := read(item[key])) in found:
            again = f"{key} {id}, as {found[id].where} has"
            item.fail(f"{item.where} of story {item.story} has {again}", "give each its own")
        found[id] = item
    return found


def _again(named: Iterable[tuple[str, Value]]) -> Iterator[str]:
    """A sentence for each name that several things have."""
    places: dict[str, str] = {}
    for name, one in named:
        if name in places:
            yield f"{one.where} is called {name} as {places[name]} is: they are one, and the last description is taken"
        places[name] = one.where


def _gaps(items: Sequence[Value], key: str) -> Iterator[str]:
    """A sentence for each number that is missing between two others, and one for numbers that are not in order."""
    in_order = [item for _, item in _in_order(items, key)]
    yield from _reordered(items, in_order, key)
    for (before, _), (after, _) in pairwise(_in_order(items, key)):
        if after > before + 1:
            yield f"{key} {after} follows {before}: what was between them is missing"


def _reordered(items: Sequence[Value], in_order: Sequence[Value], key: str) -> Iterator[str]:
    """A sentence for items that are taken in another order than they are listed in."""
    if list(items) != list(in_order):
        listed_as = few([str(item[key].content) for item in items])
        yield f"{items[0].where.partition('[')[0]} are listed as {key} {listed_as}: they are taken in its order"


def _without(scenes: Sequence[Value], key: str) -> Iterator[str]:
    """A sentence for each scene without prompts."""
    for scene in scenes:
        if not scene[key].items():
            yield f"{scene.where} has nothing in {key}: it is left out"


def _vistorybench(content: Value, language: str) -> Script:
    """ViStoryBench (arXiv 2505.24862): shots with setting, camera, what is seen and who, in two languages."""
    characters, notes = {}, list(_gaps(content["Shots"].items(), "index"))
    people = list(content["Characters"].entries()) if content.get("Characters") else []
    notes += _again((name, one) for _, one in people if (name := _text(one, f"name_{language}")))
    for key, one in people:
        if not (name := _text(one, f"name_{language}")):
            notes.append(f"Characters.{key} has no name_{language}: it is called {key}")
        characters[name or key] = _text(one, f"prompt_{language}")
    prompts, cast = [], []
    for index, (_, shot) in enumerate(_in_order(content["Shots"].items(), "index")):
        seen = [
            shot[key][language].text()
            for key in ("Shot Perspective Design", "Static Shot Description", "Setting Description")
        ]
        prompts.append(Prompt(" ".join(_sentence(text) for text in seen if text), f"shot_{index:02d}"))
        cast.append(tuple(name.text() for name in shot["Characters Appearing"][language].items()))
    # Somebody who appears and is not described is a character all the same.
    characters |= {name: "" for name in _once(name for names in cast for name in names) if name not in characters}
    return Script(content.story, None, "", characters, tuple(prompts), tuple(cast), notes=tuple(notes))


def _msvbench(content: Value, language: str) -> Script:
    """MSVBench (arXiv 2602.23969): scenes of clips in environments, with characters by number."""

    def described(one: Value) -> str:
        return next((text for key in ("description", "prompt", "short") if (text := _text(one, key))), "")

    people = content["characters"].items()
    names = {id: person["name"].text() for id, person in _unique(people, "id", Value.name).items()}
    environments = content.get("environments")
    places = _unique(environments.items(), "id", Value.name) if environments else {}
    scenes = content["script"].items()
    notes = [*_reordered(scenes, _numbered(scenes, "scene"), "scene"), *_without(scenes, "clips")]
    prompts, cast = [], []
    for scene in _numbered(scenes, "scene"):
        where = ""
        if named := scene.get("environment"):
            place = places[_known(named, places, "environments")]
            where = described(place) or _text(place, "name")
        clips = scene["clips"].items()
        notes += _reordered(clips, _numbered(clips, "id"), "id")
        for clip in _numbered(clips, "id"):
            camera = ", ".join(text for key in ("shot_distance", "camera_angle") if (text := _text(clip, key)))
            texts = (camera, _said(clip["description"]), where)
            prompts.append(Prompt(" ".join(_sentence(text) for text in texts if text), f"{len(prompts) + 1:02d}"))
            seen = clip.get("characters")
            cast.append(tuple(names[_known(who, names, "characters")] for who in seen.items()) if seen else ())
    characters = {person["name"].text(): described(person) for person in people}
    others = tuple(name for place in places.values() if (name := _text(place, "name")))
    notes += _again((person["name"].text(), person) for person in people)
    return Script(content.story, None, "", characters, tuple(prompts), tuple(cast), names=others, notes=tuple(notes))


def _numbered(items: Sequence[Value], key: str) -> list[Value]:
    """Items by the last number in what they are called: scene_2 before scene_10; as listed where one has none."""
    found = [re.findall("[0-9]+", named.name()) if (named := item.get(key)) else [] for item in items]
    if not all(found):
        return list(items)
    return [item for _, item in sorted(zip(found, items, strict=True), key=lambda pair: int(pair[0][-1]))]


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
LANGUAGES = ("en", "ch")
BILINGUAL = ("vistorybench",)
# Keys by which a script is known, looked for in this order: EntityBench's scripts have those of ST-Bench as well.
_SIGNS = {
    "entitybench": ("entity_schedule", "entity_descriptions"),
    "vistorybench": ("Shots",),
    "msvbench": ("script",),
    "st-bench": ("scenes",),
}


def _sentence(text: str) -> str:
    return ended(text.strip())


def _once(names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
