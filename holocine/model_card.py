"""What a model learnt from, said in `card.json` beside its weights, and what of a storyboard lies outside of it.

A model shows something for any words and at any size. Where it never saw the like, that is a texture or another scene,
and nothing tells so but this. Models without a card are taken at their word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from holocine.files import replacing
from holocine.plurals import counted
from holocine.prompt import character_tags, clean
from holocine.storyboard import Storyboard

CARD = "card.json"
# A word, a number, or signs that are no punctuation, such as emoji.
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s.,;:!?()\[\]'\"’‘“”…/–—-]+")
_BRACKETED = re.compile(r"\[[^\]]*\](?:['’]s\b)?")
_SHOWN_WORDS = 5
_EMPTY = frozenset({"it", "its", "itself"})  # words that show nothing themselves
_FOREIGN_SHARE = 0.4  # of unknown words, from which a storyboard is of another world


@dataclass(frozen=True)
class Doubt:
    """A sentence about what a model did not learn.

    shot: the one it is about, from 1, or None. word: whether it is about words.
    """

    text: str
    shot: int | None = None
    word: bool = False


@dataclass(frozen=True)
class ModelCard:
    """What a model was trained on.

    world: what it can show, in a few words. sizes: (height, width) in pixels. fps: frames a second. frames, shots: the
    fewest and the most of a scene. shot_frames: the fewest of a shot. characters: the most of a scene;
    shot_characters: of a shot, None for as many. words: all that its captions used, in lower case, numbers too; empty
    for a model that reads any.
    """

    world: str
    sizes: tuple[tuple[int, int], ...]
    fps: tuple[float, ...]
    frames: tuple[int, int]
    shots: tuple[int, int]
    shot_frames: int
    characters: int
    words: frozenset[str] = frozenset()
    shot_characters: int | None = None

    @classmethod
    def read(cls, folder: Path) -> ModelCard | None:
        """The card of a model's folder, None where there is none; raises ValueError for one that is damaged."""
        path = folder / CARD
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read ({error}): put it right, or take it away") from None
        try:
            return cls(
                world=str(plain["world"]),
                sizes=tuple((int(height), int(width)) for height, width in plain["sizes"]),
                fps=tuple(map(float, plain["fps"])),
                frames=_pair(plain["frames"]),
                shots=_pair(plain["shots"]),
                shot_frames=int(plain["shot_frames"]),
                characters=int(plain["characters"]),
                words=frozenset(map(str, plain["words"])),
                shot_characters=None if (most := plain.get("shot_characters")) is None else int(most),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no card of a model ({error!r}): put it right, or take it away") from None

    def write(self, folder: Path) -> None:
        """Write the card into a model's folder."""
        plain = asdict(self) | {"words": sorted(self.words)}
        with replacing(folder / CARD) as path:
            path.write_text(json.dumps(plain) + "\n", encoding="utf-8")

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a caption that the model never saw, each once, as they are written."""
        found = {word.lower(): word for word in reversed(_words(text)) if not self._knows(word)}
        return tuple(reversed(found.values()))

    def _knows(self, word: str) -> bool:
        return not self.words or word.lower() in self.words or word.lower() in _EMPTY

    def doubts(self, storyboard: Storyboard, height: int | None = None, width: int | None = None) -> Iterator[Doubt]:
        """What in a storyboard, at a size in pixels if that is known, the model did not learn."""
        captions = {None: storyboard.global_caption, **dict(enumerate(storyboard.captions, start=1))}
        for shot, caption in captions.items():
            if found := self.unknown_words(caption):
                where = f"shot {shot} of {storyboard.num_shots}" if shot else "the global caption"
                text = f"{where}: the model has never heard of {_listed(found)}; it will show something else"
                yield Doubt(text, shot, word=True)
        for number, shot in enumerate(storyboard.shots, start=1):
            if shot.num_frames < self.shot_frames:
                lasts = counted(shot.num_frames, "frame")
                text = f"lasts {lasts}, but the model learnt from shots of {self.shot_frames} and more: lengthen it"
                yield Doubt(f"shot {number} of {storyboard.num_shots}: {text}", number)
            shown = len(character_tags(shot.caption))
            if self.shot_characters is not None and shown > self.shot_characters:
                text = f"shows {shown} characters, but the model learnt from at most {self.shot_characters} a shot"
                yield Doubt(f"shot {number} of {storyboard.num_shots}: {text}: leave some to other shots", number)
        yield from map(Doubt, self._negative(storyboard))
        yield from map(Doubt, self._numbers(storyboard, height, width))

    def _negative(self, storyboard: Storyboard) -> Iterator[str]:
        if found := self.unknown_words(storyboard.negative_prompt or ""):
            yield f"the negative prompt: the model has never heard of {_listed(found)}; it cannot avoid it"

    def _numbers(self, storyboard: Storyboard, height: int | None, width: int | None) -> Iterator[str]:
        least, most = self.shots
        if not least <= storyboard.num_shots <= most:
            shots, remedy = counted(storyboard.num_shots, "shot"), "fewer" if storyboard.num_shots > most else "more"
            yield f"the scene has {shots}, but the model learnt from {least} to {most}: tell it in {remedy}"
        least, most = self.frames
        if not least <= storyboard.num_frames <= most:
            frames = counted(storyboard.num_frames, "frame")
            remedy = "shorten" if storyboard.num_frames > most else "lengthen"
            yield f"the scene has {frames}, but the model learnt from {least} to {most}: {remedy} its shots"
        if (found := len(character_tags(storyboard.prompt))) > (most := self.characters):
            learnt = f"the model learnt from at most {most} and mixes them up"
            yield f"the scene has {found} characters, but {learnt}: leave some out"
        if storyboard.fps not in self.fps:
            known = " or ".join(f"{rate:g}" for rate in self.fps)
            learnt = f"the model learnt how things move at {known}"
            yield f"the video has {storyboard.fps:g} frames a second, but {learnt}: set fps to that"
        if height and width and (height, width) not in self.sizes:
            known = " or ".join(f"{across}x{down}" for down, across in self.sizes)
            learnt = f"the model learnt from {known}: leave height and width out, or expect patterns"
            yield f"the pictures have {width}x{height} pixels, but {learnt}"

    def foreign(self, storyboard: Storyboard) -> str | None:
        """A sentence if the storyboard is of another world than the model's, by the share of words it never saw."""
        text = " ".join((storyboard.global_caption, *storyboard.captions))
        words = _words(text)
        unknown = [word for word in words if not self._knows(word)]
        if not words or len(unknown) / len(words) < _FOREIGN_SHARE:
            return None
        return (
            f"this model knows {self.world} only, and {len(unknown)} of the {len(words)} words of this storyboard, "
            f"such as {_listed(self.unknown_words(text))}, are not of it: it will show something else; write it in "
            "the words of that world, in English, or name the model that it was written for"
        )

    def warnings(self, storyboard: Storyboard, height: int | None = None, width: int | None = None) -> tuple[str, ...]:
        """The doubts as sentences; of a storyboard from another world, that and not every word."""
        doubts = list(self.doubts(storyboard, height, width))
        if foreign := self.foreign(storyboard):
            return foreign, *(doubt.text for doubt in doubts if not doubt.word)
        return tuple(doubt.text for doubt in doubts)

    def doubts_of_shots(self, storyboard: Storyboard, shots: Collection[int]) -> Iterator[str]:
        """The doubts about some shots (from 1) and the negative prompt as sentences, without words of shots if the
        storyboard is of another world.
        """
        foreign = self.foreign(storyboard)
        yield from [foreign] if foreign else ()
        for doubt in self.doubts(storyboard):
            if doubt.shot in shots and not (foreign and doubt.word):
                yield doubt.text
        yield from self._negative(storyboard)


def _words(text: str) -> list[str]:
    return _WORD.findall(_BRACKETED.sub(" ", clean(text)))


def _listed(words: tuple[str, ...]) -> str:
    more = " and others" if len(words) > _SHOWN_WORDS else ""
    return ", ".join(f"“{word}”" for word in words[:_SHOWN_WORDS]) + more


def _pair(value: list) -> tuple[int, int]:
    least, most = value
    return int(least), int(most)
