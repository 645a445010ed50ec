"""Fountain, the screenplay as plain text: the scene heading is the global caption, every paragraph of action a shot.

It is read by fountain-py. That writes screenplays that it has read; of other text it does not mark what would be read
as something else (a caption in capitals, a `#` that begins a line), so action and headings are marked here.
"""

from __future__ import annotations

import json
import re

from holocine.interchange.scene import Found, Media, Reading, enclose, enclosed_in
from holocine.interchange.timebase import Timebase
from holocine.storyboard import Storyboard, StoryboardError

MAX_OPEN = 100  # notes without an end, over which fountain-py takes minutes
_TAG = "holocine "
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON


def write(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """A storyboard as a scene of a screenplay, with a note that holds all of it."""
    title = [f"Title: {' '.join(storyboard.title.split())}"] if (storyboard.title or "").strip() else []
    action = [
        "\n".join("!" + line for line in _escaped(shot.caption).splitlines() if line.strip())
        for shot in storyboard.shots
    ]
    enclosed = _STRING.sub(_unmarked, json.dumps(enclose(storyboard)))
    heading = "." + " ".join(_escaped(storyboard.global_caption).split())
    return "\n\n".join([*title, heading, *action, f"[[{_TAG}{enclosed}]]"]) + "\n"


def read(text: str, rate: str | None = None) -> Reading:
    """The action of a screenplay as shots; what is said goes with the action before it.

    Raises StoryboardError for text without action.
    """
    from fountain import FountainParser
    from fountain.elements import ElementType as Kind

    if (left_open := text.count("[[") - text.count("]]")) > MAX_OPEN:
        raise StoryboardError(f"is damaged, or not Fountain: {left_open} notes begin in it and do not end")
    document = FountainParser().parse(text)
    heading, where, speaker = None, "", ""
    captions: list[str] = []
    enclosed, talk = None, False
    for element in _flat(document.elements):
        said = element.text.strip()
        if element.type is Kind.NOTE:
            enclosed = enclosed or enclosed_in(said.removeprefix("[[").removesuffix("]]").removeprefix(_TAG))
        elif not said:
            continue
        elif element.type is Kind.SCENE_HEADING:
            heading, where = heading or said, f"{said}: " if heading else ""
        elif element.type in (Kind.ACTION, Kind.CENTERED, Kind.LYRICS):
            captions.append(where + said)
            where = ""
        elif element.type is Kind.CHARACTER:
            speaker = said
        elif element.type in (Kind.DIALOGUE, Kind.PARENTHETICAL):
            talk = True
            line = f"{speaker}: {said}" if speaker else said
            speaker = ""
            if where or not captions:
                captions.append(where + line)
                where = ""
            else:
                captions[-1] = f"{captions[-1]} {line}"
    if not captions:
        raise StoryboardError("there is no action in it, or it is not Fountain: a paragraph is a shot")
    notes = ("what is said is part of the shot before it",) if talk else ()
    title = document.metadata.get("title")
    return Reading(tuple(map(Found, captions)), title or None, heading, enclosed=enclosed, notes=notes)


def _flat(elements: list) -> list:
    """The elements with those of two who speak at a time one after the other."""
    from fountain.elements import ElementType as Kind

    flat = []
    for element in elements:
        both = element.dual_dialogue_columns() if element.type is Kind.DUAL_DIALOGUE else ([element],)
        flat += [part for column in both for part in column]
    return flat


def _unmarked(string: re.Match) -> str:
    """A string of JSON without the characters that Fountain has a meaning for."""
    return re.sub(r"\\\\|[*_\]]", lambda mark: f"\\u{ord(mark[0][0]):04x}", string[0])


def _escaped(text: str) -> str:
    """The text with what would be emphasis, and the brackets of a note, marked as themselves."""
    return re.sub(r"([\\*_])", r"\\\1", text).replace("[[", "[ [").replace("]]", "] ]").replace("/\\*", "/ \\*")
