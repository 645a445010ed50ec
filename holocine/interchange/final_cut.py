"""FCPXML, which Final Cut Pro and DaVinci Resolve open: a clip a shot with its caption as note and marker.

Written and read here, and tested with OpenTimelineIO's adapter at the rates that it knows: of 23.976 and 29.97 frames a
second it writes what it cannot read back, at 25 it loses frames, and it leaves notes and transitions out.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from holocine.interchange.scene import Found, Media, Reading, enclose, enclosed_in, on_timeline
from holocine.interchange.timebase import Timebase
from holocine.plurals import counted
from holocine.storyboard import Storyboard, StoryboardError

KEY = "holocine.storyboard"
VERSION = "1.8"  # the last with `src` on the asset itself; every later program opens it
_PICTURES = ("asset-clip", "clip", "video", "ref-clip", "sync-clip", "mc-clip", "title")
_TIME = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(?:/(\d{1,15}))?s?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(storyboard: Storyboard, media: Media | None, base: Timebase) -> str:
    """A storyboard as one project of clips of the video; without a video, of gaps that its markers name."""
    spans = on_timeline(storyboard, base)
    name = storyboard.title or (media.name if media else "storyboard")
    root = Element("fcpxml", version=VERSION)
    resources = SubElement(root, "resources")
    kind = SubElement(resources, "format", id="r1", frameDuration=_time(1, base))
    width, height = (media and media.width) or 1920, (media and media.height) or 1080  # a project has to have a size
    kind.set("width", str(width))
    kind.set("height", str(height))
    whole = _time(spans[-1][1], base)
    if media is not None:
        fields = {"id": "r2", "name": media.name, "src": media.url, "start": "0s", "duration": whole, "format": "r1"}
        SubElement(resources, "asset", fields | {"hasVideo": "1"})
    project = SubElement(SubElement(SubElement(root, "library"), "event", name=_xml(name)), "project", name=_xml(name))
    code = "DF" if base.drop else "NDF"
    sequence = SubElement(project, "sequence", format="r1", duration=whole, tcStart="0s", tcFormat=code)
    spine = SubElement(sequence, "spine")
    for number, ((start, stop), shot) in enumerate(zip(spans, storyboard.shots, strict=True), start=1):
        at = {"name": f"Shot {number}", "offset": _time(start, base), "start": _time(start, base)}
        at["duration"] = _time(stop - start, base)
        clip = SubElement(spine, "gap", at) if media is None else SubElement(spine, "asset-clip", at | {"ref": "r2"})
        SubElement(clip, "note").text = _xml(shot.caption)
        one_line = _xml(" ".join(shot.caption.split()))
        SubElement(clip, "marker", start=at["start"], duration=_time(1, base), value=one_line)
    metadata = SubElement(sequence, "metadata")
    SubElement(metadata, "md", key=KEY, value=json.dumps(enclose(storyboard)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{ElementTree.tostring(root, "unicode")}\n'


def read(text: str, rate: str | None = None) -> Reading:
    """The shots of the first project of an FCPXML; `rate` has no meaning here, as it says its own.

    Raises StoryboardError for text that is none.
    """
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, ValueError) as error:
        raise StoryboardError(f"is damaged, or not FCPXML: {error}") from None
    sequence = root.find(".//project/sequence")
    if root.tag != "fcpxml" or sequence is None:
        raise StoryboardError("there is no project in it, which the FCPXML of a film has")
    spine = sequence.find("spine")
    items = [] if spine is None else list(spine)
    shots, notes = _shots_of(items)
    if not shots:
        raise StoryboardError("there is no picture in it: its project has no clips")
    project = root.find(".//project")
    told = next((md.get("value") for md in sequence.iterfind("metadata/md") if md.get("key") == KEY), None)
    enclosed = enclosed_in(told)
    if enclosed is None and not any(_note(item) for item in items):
        marked = any(item.find("marker") is not None for item in items)
        named = "the texts of the markers are taken for captions, the clips' names where there are none"
        notes.insert(0, named if marked else "there are no captions in it: the clips' names stand for them")
    frame = next((f for f in root.iterfind("resources/format") if f.get("id") == sequence.get("format")), None)
    return Reading(tuple(shots), project.get("name") or None, None, None, _fps(frame), enclosed, tuple(notes))


def _shots_of(items: list[Element]) -> tuple[list[Found], list[str]]:
    """The shots of a spine in order. A gap that has a marker or a note is one, as a storyboard without a video has."""
    shots: list[Found] = []
    at, shift, gaps, dissolves = Fraction(0), Fraction(0), 0, 0
    for item in items:
        if item.tag == "transition":  # lies over the cut: half before it, unless its offset says otherwise
            dissolves += 1
            shift = _seconds(item.get("offset"), at) + _seconds(item.get("duration")) / 2 - at
            continue
        seconds = _seconds(item.get("duration"))
        is_shot = item.tag in _PICTURES or (item.tag == "gap" and (_note(item) or item.find("marker") is not None))
        if is_shot and seconds > 0 and item.get("enabled") != "0":
            start = at
            if shift and shots and shots[-1].stop == at and shots[-1].start < at + shift < at + seconds:
                start = at + shift
                shots[-1] = Found(shots[-1].caption, shots[-1].start, start)
            shots.append(Found(_caption(item, len(shots) + 1), start, at + seconds))
        else:
            gaps += seconds > 0
        at, shift = at + seconds, Fraction(0)
    notes = []
    if gaps:
        notes.append(f"a storyboard has no gaps: {counted(gaps, 'gap')} left out")
    if dissolves:
        notes.append(f"a storyboard has cuts only: {counted(dissolves, 'transition')} became a cut in the middle")
    return shots, notes


def _note(item: Element) -> str:
    return (item.findtext("note") or "").strip()


def _caption(item: Element, number: int) -> str:
    marker = item.find("marker")
    texts = (_note(item), (marker.get("value") or "") if marker is not None else "", item.get("name") or "")
    return next((text.strip() for text in texts if text.strip()), f"Shot {number}")


def _time(frames: int, base: Timebase) -> str:
    """Frames of a timeline as FCPXML writes times: a fraction of a second."""
    time = frames / base.rate
    return f"{time.numerator}s" if time.denominator == 1 else f"{time.numerator}/{time.denominator}s"


def _seconds(text: str | None, otherwise: Fraction = Fraction(0)) -> Fraction:
    if text is None:
        return otherwise
    match = _TIME.fullmatch(text.strip())
    if match is None or (match[2] is not None and int(match[2]) == 0):
        raise StoryboardError(f"is damaged: {text[:40]!r} is no time of a film")
    return Fraction(match[1]) / int(match[2] or 1)


def _fps(frame: Element | None) -> float | None:
    length = _seconds(frame.get("frameDuration")) if frame is not None else 0
    return float(1 / length) if length and 1 <= 1 / length <= 240 else None


def _xml(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return _NOT_XML.sub("", text)
