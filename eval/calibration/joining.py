"""Scenes of film whose cuts are known exactly: pieces of the shots of several clips, joined in a given order.

Every piece can play on beyond its ends, so that its cuts can be moved and the shots beside it left out. Scenes follow
from the clips and a number, so they are always the same.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from eval.calibration.clips import Clip, FootageError
from eval.request import Request
from eval.scorecard import request_hash
from holocine.storyboard import Storyboard

SHOTS = (3, 4)  # of a scene
LENGTHS = (16, 20)  # frames of a piece, from, to: long enough for its cuts to move by 4 and leave a shot
LEAST_SHOTS = 3  # with fewer, neither could a shot be exchanged nor one be left out
_SHORTEST = 16  # frames of a shot that is used
_HANDLES = 4  # frames that a piece keeps from the ends of its shot, where there is room
_SETTING, _CAPTION = "A film of several shots.", "A shot."  # of clips without captions
_CHARACTER = re.compile(r"\[character(\d+)\]")


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a shot of a clip, from frame `start` of the clip on."""

    clip: Clip
    shot: int
    start: int

    @property
    def taken_from(self) -> tuple[str, int]:
        """Which shot it is of."""
        return self.clip.name, self.shot

    @property
    def caption(self) -> str | None:
        captions = self.clip.notes.captions
        return None if captions is None else captions[self.shot]

    def play(self, first: int, count: int) -> np.ndarray:
        """`count` frames of its shot, from `first` frames after (or, if negative, before) the piece begins.

        Where the shot ends, it runs backwards.
        """
        shot = self.clip.shots[self.shot]
        at = np.arange(self.start - shot.start + first, self.start - shot.start + first + count)
        turn = max(1, 2 * (len(shot) - 1))
        at = np.abs((at + len(shot) - 1) % turn - (len(shot) - 1))
        return self.clip.frames[shot.start + at]


@dataclass(frozen=True, eq=False)
class FilmScene:
    """Pieces joined: `lengths` frames of each. others: for each, a piece that could stand there instead, of another
    clip if there is one; None where there is none that differs from the shots beside it.
    """

    number: int
    pieces: tuple[Piece, ...]
    lengths: tuple[int, ...]
    others: tuple[Piece | None, ...]
    fps: float

    @property
    def cuts(self) -> tuple[int, ...]:
        return tuple(accumulate(self.lengths))[:-1]

    @property
    def shot_ranges(self) -> list[range]:
        return [range(a, b) for a, b in pairwise((0, *accumulate(self.lengths)))]

    @cached_property
    def frames(self) -> np.ndarray:
        """uint8 (T, H, W, 3)."""
        return np.concatenate([piece.play(0, n) for piece, n in zip(self.pieces, self.lengths, strict=True)])

    @property
    def described(self) -> bool:
        """Whether it is known what every shot shows."""
        return all(piece.caption is not None for piece in self.pieces)

    @cached_property
    def request(self) -> Request:
        """What is asked for: exactly these cuts, and the captions of the pieces, if all have one."""
        texts = _texts(self.pieces) if self.described else (_SETTING, [_CAPTION] * len(self.pieces))
        storyboard = Storyboard.from_captions(*texts, sum(self.lengths), self.cuts, fps=min(max(self.fps, 1.0), 240.0))
        return Request(storyboard, fps=self.fps)

    @cached_property
    def sha256(self) -> str:
        """Of the frames, of those that could stand instead, and of the request."""
        digest = hashlib.sha256(request_hash(self.request).encode())
        digest.update(self.frames.tobytes())
        for other, length in zip(self.others, self.lengths, strict=True):
            digest.update(b"none" if other is None else other.play(0, length).tobytes())
        return digest.hexdigest()


def film_scenes(clips: Sequence[Clip], count: int) -> list[FilmScene]:
    """So many scenes, which use the shots of all clips about equally often. Raises `FootageError`."""
    shots = [
        Piece(clip, number, shot.start)
        for clip in clips
        for number, shot in enumerate(clip.shots)
        if len(shot) >= _SHORTEST
    ]
    if len(shots) < LEAST_SHOTS:
        raise FootageError(
            f"the clips have {len(shots)} shots of at least {_SHORTEST} frames, but at least {LEAST_SHOTS} are needed: "
            "add clips"
        )
    fps, used = float(np.median([clip.fps for clip in clips])), Counter()
    return [_scene(number, shots, fps, used) for number in range(count)]


def _scene(number: int, shots: list[Piece], fps: float, used: Counter) -> FilmScene:
    rng = np.random.default_rng((number, len(shots)))
    chosen: list[Piece] = []
    for _ in range(rng.integers(SHOTS[0], SHOTS[1], endpoint=True)):
        before = [piece.taken_from for piece in chosen[-2:]]  # no shot returns at once, so that any can be left out
        free = [shots[i] for i in rng.permutation(len(shots)) if shots[i].taken_from not in before]
        chosen.append(min(free, key=lambda piece: used[piece.taken_from]))
        used[chosen[-1].taken_from] += 1
    lengths = [int(rng.integers(*LENGTHS, endpoint=True)) for _ in chosen]
    lengths = [min(n, len(piece.clip.shots[piece.shot])) for n, piece in zip(lengths, chosen, strict=True)]
    others = _others(chosen, shots, rng)
    return FilmScene(
        number,
        tuple(_placed(piece, n, rng) for piece, n in zip(chosen, lengths, strict=True)),
        tuple(lengths),
        tuple(other and _placed(other, n, rng) for other, n in zip(others, lengths, strict=True)),
        fps,
    )


def _placed(piece: Piece, length: int, rng: np.random.Generator) -> Piece:
    """The piece somewhere in its shot."""
    shot = piece.clip.shots[piece.shot]
    room = max(0, len(shot) - length)
    margin = min(_HANDLES, room // 2)
    return replace(piece, start=shot.start + int(rng.integers(margin, room - margin, endpoint=True)))


def _others(chosen: list[Piece], shots: list[Piece], rng: np.random.Generator) -> list[Piece | None]:
    """For every shot of a scene another one, that is neither beside it nor chosen for those beside it."""
    several = len({piece.clip.name for piece in shots}) > 1
    free = []
    for i, piece in enumerate(chosen):
        near = {one.taken_from for one in chosen[max(0, i - 1) : i + 2]}
        allowed = [one for one in shots if one.taken_from not in near]
        elsewhere = [one for one in allowed if one.clip.name != piece.clip.name]
        free.append(elsewhere if several else allowed)
    found: list[Piece | None] = [None] * len(chosen)
    for i in sorted(range(len(chosen)), key=lambda i: len(free[i])):  # the pickiest first
        beside = {one.taken_from for one in found[max(0, i - 1) : i + 2] if one is not None}
        left = [one for one in free[i] if one.taken_from not in beside]
        found[i] = left[rng.integers(len(left))] if left else None
    return found


def _texts(pieces: Sequence[Piece]) -> tuple[str, list[str]]:
    """What a scene shows in all, and every caption; the characters of each clip have numbers of their own."""
    above, settings, characters = {}, [], 0
    for piece in pieces:
        name, notes = piece.clip.name, piece.clip.notes
        if name not in above:
            above[name] = characters
            characters += _most((notes.prompt, *notes.captions))
            settings.append(_renumbered(notes.prompt, above[name]))
    captions = [_renumbered(piece.caption, above[piece.clip.name]) for piece in pieces]
    return " ".join(filter(None, settings)) or _SETTING, captions


def _most(texts: Sequence[str]) -> int:
    return max((int(number) for text in texts for number in _CHARACTER.findall(text)), default=0)


def _renumbered(text: str, above: int) -> str:
    return _CHARACTER.sub(lambda tag: f"[character{int(tag[1]) + above}]", text)
