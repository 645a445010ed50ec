"""What a visitor is writing: a draft that need not be valid yet, and what can be said about it at any moment.

The editor in the browser holds a draft as plain JSON. Here it becomes a storyboard, or a sentence that says why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from desk.scene import vocabulary
from desk.studio.limits import LimitError, Limits
from desk.studio.models import Model, import_libraries
from desk.studio.wording import sentence
from holocine.model_card import Doubt
from holocine.plan import Plan, make_plan
from holocine.plurals import counted
from holocine.prompt import PromptTooLong, begins_with_tag, character_descriptions, holds_tag
from holocine.storyboard import Storyboard, StoryboardError
from holocine.storyboard_input import DEFAULT_NUM_FRAMES, is_enclosed
from holocine.timeline import FRAMES_PER_LATENT

Draft = dict[str, Any]
_FIELDS = ("title", "global_caption", "fps", "seed", "negative_prompt")
_KEY = re.compile(r"^[\s\"'-]*[a-z_]+[\"']?\s*:", re.MULTILINE)  # of YAML, at the beginning of a line


class Prose(StoryboardError):
    """A text that may say what a scene shows, but is no storyboard."""


def from_storyboard(storyboard: Storyboard) -> Draft:
    """The draft of a storyboard: its fields as plain JSON. Pictures that it names by files are not in it."""
    shots = [
        {"caption": shot.caption, "num_frames": shot.num_frames} | _enclosed({"image": shot.image})
        for shot in storyboard.shots
    ]
    references = _enclosed(storyboard.references or {})
    return {name: getattr(storyboard, name) for name in _FIELDS} | {"references": references, "shots": shots}


def _enclosed(pictures: Mapping[str, str | None]) -> dict[str, str]:
    return {name: picture for name, picture in pictures.items() if picture is not None and is_enclosed(picture)}


def to_storyboard(draft: Draft, limits: Limits) -> Storyboard:
    """The storyboard that a draft says; raises StoryboardError or LimitError in one sentence.

    A draft comes from a browser, so anything may be in it.
    """
    if not isinstance(draft, dict):
        raise StoryboardError("the storyboard is missing")
    shots = draft.get("shots")
    if not shots or not isinstance(shots, list) or not all(isinstance(shot, dict) for shot in shots):
        raise StoryboardError("the storyboard has no shots; add one")
    if len(shots) > limits.shots:
        raise LimitError(f"the scene has {len(shots)} shots, but this desk makes at most {limits.shots}")
    for number, shot in enumerate(shots, start=1):
        if not str(shot.get("caption") or "").strip():
            raise StoryboardError(f"shot {number} of {len(shots)}: the caption is empty; say what the shot shows")
    if not str(draft.get("global_caption") or "").strip():
        raise StoryboardError("the scene has no description; say where it is set and who is in it")
    fields = {name: draft.get(name) for name in _FIELDS if draft.get(name) not in (None, "")}
    plain = [{name: shot.get(name) for name in ("caption", "num_frames", "image")} for shot in shots]
    storyboard = Storyboard.model_validate({**fields, "shots": plain, "references": draft.get("references") or None})
    limits.check_pictures(storyboard)
    limits.check_storyboard(storyboard)
    storyboard.as_run()
    return storyboard


@dataclass(frozen=True)
class Link:
    """How a draft goes with a finished video: its id, {shot of the draft: shot of the video} and which are locked."""

    video: str | None
    shots: dict[int, int]
    locked: tuple[int, ...]


def link_of(draft: Draft) -> Link:
    """What a draft says about the finished video that it goes with; anything may be in it."""
    shots = draft.get("shots") if isinstance(draft, dict) else None
    rows = [shot if isinstance(shot, dict) else {} for shot in (shots if isinstance(shots, list) else [])]
    origins = {number: row.get("origin") for number, row in enumerate(rows, start=1)}
    origins = {number: origin for number, origin in origins.items() if type(origin) is int and origin >= 1}
    locked = tuple(number for number in origins if rows[number - 1].get("locked") is True)
    return Link(draft.get("made") if isinstance(draft, dict) else None, origins, locked)


def parse(text: str, limits: Limits, frames: int | None = None, usual_fps: float | None = None) -> Storyboard:
    """A storyboard from pasted text: YAML, JSON, or HoloCine's prompt string, whose cuts, where it does not
    say them, are spread evenly over `frames`, or all that the limits allow, at the usual rate.

    Raises StoryboardError or LimitError in one sentence; `Prose` for plain words.
    """
    limits.check_text(text)
    usual = {} if usual_fps is None else {"fps": usual_fps}
    from_prompt = partial(Storyboard.from_prompt, num_frames=min(frames or limits.frames, DEFAULT_NUM_FRAMES), **usual)
    if text.lstrip().startswith("{"):
        storyboard = Storyboard.from_json(text)
    elif begins_with_tag(text):
        storyboard = from_prompt(text)
    elif _KEY.search(text) or not text.strip():
        storyboard = Storyboard.from_yaml(text)
    elif holds_tag(text):
        storyboard = from_prompt(text)
    else:
        raise Prose(
            "these are plain words, not a storyboard, which has a global_caption and shots: take them as the scene's "
            "text, and say shot by shot what is seen"
        )
    limits.check_storyboard(storyboard)
    return storyboard


def parse_more(text: str, film: Storyboard, limits: Limits) -> Storyboard:
    """The storyboard of more shots after those of a film, which may leave out what it has in common with the film's.

    Raises StoryboardError or LimitError in one sentence.
    """
    from holocine import continuing

    limits.check_text(text)
    readable = text.encode("utf-8", "replace").decode()  # a browser may send halves of characters
    return continuing.parse_more(readable, film)


@dataclass(frozen=True)
class Finding:
    """A sentence about the draft.

    kind: "error" (no video can be made) or "warning". shot: from 1, or None. fix: fields of the draft that mend it,
    `lengths` those of its shots in frames, `shots` in place of all of them, and remedy what that is called. words: (one
    that the model does not know, the nearest that it knows).
    """

    kind: str
    text: str
    shot: int | None = None
    fix: dict[str, Any] | None = None
    remedy: str = "Put it right"
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Review:
    """All that is known about a draft.

    storyboard, plan: None if the draft is not valid. characters: tag to description, of the global caption. readings:
    for each shot what the guided picker would show, None where the caption is not in the theatre's words. stage: what
    the global caption says in those words, see `vocabulary.read_stage`.
    """

    findings: tuple[Finding, ...]
    storyboard: Storyboard | None
    plan: Plan | None
    characters: dict[str, str]
    readings: tuple[dict[str, Any] | None, ...] = ()
    stage: dict[str, Any] | None = None

    @property
    def valid(self) -> bool:
        return not any(finding.kind == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """What the editor shows, as plain JSON."""
        plan = self.plan
        return {
            "valid": self.valid,
            "findings": [asdict(finding) for finding in self.findings],
            "characters": self.characters,
            "readings": list(self.readings),
            "stage": self.stage,
            "text_tokens": plan and plan.num_text_tokens,
            "max_text_tokens": plan and plan.max_text_tokens,
        }


def review(draft: Draft, model: Model, limits: Limits, attention: str | None = None) -> Review:
    """Look at a draft: is it a storyboard, what was changed to make it one, and what in it is probably a mistake."""
    caption = draft.get("global_caption") if isinstance(draft, dict) else None
    characters = character_descriptions(caption) if isinstance(caption, str) else {}
    staged = vocabulary.read_stage(caption) if model.theatre and isinstance(caption, str) else None
    try:
        storyboard = to_storyboard(draft, limits)
    except (StoryboardError, LimitError) as error:
        found = _too_long(draft, limits) or _whole_prompt(draft, limits) or _finding("error", str(error))
        return Review((found,), None, None, characters, stage=staged)
    findings = []
    if (card := model.facts.card) is not None:
        foreign = card.foreign(storyboard)
        findings += [_finding("warning", foreign)] if foreign else []
        findings += [_doubt(doubt, storyboard, model) for doubt in card.doubts(storyboard.as_run())]
    findings += [_finding("warning", text, _fix(text, storyboard)) for text in storyboard.as_run().warnings]
    plan = None
    import_libraries()
    try:
        plan = make_plan(storyboard, model.facts, attention=attention)
    except (PromptTooLong, ValueError) as error:
        findings.insert(0, _finding("error", str(error)))
    readings: tuple[dict[str, Any] | None, ...] = ()
    if model.theatre:
        readings = tuple(vocabulary.read_caption(text) for text in storyboard.captions)
    return Review(tuple(findings), storyboard, plan, characters, readings, staged)


def _finding(kind: str, text: str, fix: dict[str, str] | None = None) -> Finding:
    """A finding whose shot is read from how every message about a shot begins."""
    match = re.match(r"shot (\d{1,3}) of \d+: ", text)
    return Finding(kind, sentence(text), int(match[1]) if match else None, fix)


def _fix(text: str, storyboard: Storyboard) -> dict[str, str] | None:
    """What one click can mend: the number of shots that the global caption names."""
    if not text.startswith("the global caption says that the scene contains"):
        return None
    return {"global_caption": storyboard.with_stated_shots().global_caption}


def _doubt(doubt: Doubt, storyboard: Storyboard, model: Model) -> Finding:
    """What a model did not learn; for words of the theatre's model with the nearest that it knows."""
    found = _finding("warning", doubt.text)
    if not (doubt.word and model.theatre):
        return found
    text = storyboard.captions[doubt.shot - 1] if doubt.shot else storyboard.global_caption
    near = {word: vocabulary.nearest_word(word) for word in model.facts.card.unknown_words(text)}
    hints = vocabulary.hints([word for word, known in near.items() if known is None])
    told = " ".join((found.text, *map(sentence, hints)))
    words = tuple((word, known) for word, known in near.items() if known)
    return replace(found, text=told, shot=doubt.shot, words=words)


def _whole_prompt(draft: Draft, limits: Limits) -> Finding | None:
    """What to say where the field of the scene or of a shot holds a prompt with its tags: how it is divided."""
    if not isinstance(draft, dict) or not isinstance(draft.get("shots"), list):
        return None
    rows = [shot if isinstance(shot, dict) else {} for shot in draft["shots"]]
    texts = {None: draft.get("global_caption"), **{number: row.get("caption") for number, row in enumerate(rows, 1)}}
    held = ((shot, text) for shot, text in texts.items() if isinstance(text, str) and holds_tag(text))
    shot, text = next(held, (None, ""))
    if not text:
        return None
    where = f"the caption of shot {shot}" if shot else "the scene"
    try:
        whole = from_storyboard(parse(text, limits).as_run())
    except (StoryboardError, LimitError):
        said = f"{where} holds [global caption], [per shot caption] or [shot cut]: take these tags out"
        return Finding("error", sentence(said), shot)
    fix = {name: whole[name] for name in ("global_caption", "shots")}
    said = f"{where} holds a prompt of {counted(len(whole['shots']), 'shot')} with its tags"
    return Finding("error", sentence(said), shot, fix, "Divide it into scene and shots")


def _too_long(draft: Draft, limits: Limits) -> Finding | None:
    """What to say of a scene that is valid but for having too many frames: how long its shots may be."""
    shots = draft.get("shots") if isinstance(draft, dict) else None
    lengths = [shot.get("num_frames") for shot in shots] if isinstance(shots, list) else []
    if not lengths or not all(type(length) is int and length > 0 for length in lengths) or len(lengths) > limits.shots:
        return None
    frames, most = sum(lengths), limits.frames
    if frames <= most:
        return None
    latents = [max(1, -(-length // FRAMES_PER_LATENT)) for length in lengths]
    room = (most - 1) // FRAMES_PER_LATENT + 1
    if len(latents) > room:
        return None
    shares = [length * room / sum(latents) for length in latents]
    fitted = [max(1, int(share)) for share in shares]
    while sum(fitted) > room:  # shots of one latent frame take more than their share
        fitted[fitted.index(max(fitted))] -= 1
    for index in sorted(range(len(shares)), key=lambda index: fitted[index] - shares[index])[: room - sum(fitted)]:
        fitted[index] += 1
    lasts = sum(fitted) * FRAMES_PER_LATENT - 3
    text = (
        f"the scene has {frames} frames, but this desk makes at most {most}: its {counted(len(lengths), 'shot')} fit "
        f"with {lasts} frames, about {lasts / len(lengths):.0f} each"
    )
    fix = {"lengths": [FRAMES_PER_LATENT * length for length in fitted]}
    return Finding("error", sentence(text), fix=fix, remedy="Shorten all shots")
