"""Damage to scenes joined from pieces of film: what needs no truth but that of the cuts.

A damage is a pure function of a scene, its frames, a strength and a random generator, and returns the frames and the
request to score, or None where a scene has no room for it. Where the puppet theatre knows the same damage, metrics have
to notice and to ignore the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

import cv2
import numpy as np

from eval.calibration.damage import DAMAGES, Damage
from eval.calibration.damage.content import exchange_captions
from eval.calibration.damage.cuts import MIN_FRAMES, dissolved
from eval.calibration.damage.pictures import Change
from eval.calibration.joining import FilmScene, Piece
from eval.request import Request

DamagedFilm = tuple[np.ndarray, Request]
ApplyToFilm = Callable[[FilmScene, np.ndarray, float, np.random.Generator], DamagedFilm | None]

_BOX = 0.5  # of a picture's width and height
_IN_THEATRE = {damage.name: damage for damage in DAMAGES}


def _joined(parts: Sequence[tuple[Piece, int, int]]) -> np.ndarray:
    return np.concatenate([piece.play(first, count) for piece, first, count in parts])


def move_joins(scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> DamagedFilm | None:
    """Every cut comes `strength` frames early or late; the shots beside it end or begin there."""
    signs = rng.choice((-1, 1), len(scene.cuts))
    bounds = np.array([0, *scene.cuts, len(frames)])
    moved = bounds + np.array([0, *(int(sign * strength) for sign in signs), 0])
    lengths = np.diff(moved)
    if lengths.min() < MIN_FRAMES:
        return None
    firsts = moved[:-1] - bounds[:-1]
    return _joined(list(zip(scene.pieces, firsts.tolist(), lengths.tolist(), strict=True))), scene.request


def drop_pieces(scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> DamagedFilm | None:
    """`strength` shots never come: the shot before goes on instead."""
    orders = list(permutations(range(1, len(scene.pieces))))
    fitting = [orders[i] for i in rng.permutation(len(orders)) if _can_be_dropped(scene, orders[i])]
    if not fitting or len(fitting[0]) < strength:
        return None
    dropped, parts = fitting[0][: int(strength)], []
    for index, (piece, length) in enumerate(zip(scene.pieces, scene.lengths, strict=True)):
        if index in dropped:
            before, first, count = parts[-1]
            parts[-1] = (before, first, count + length)
        else:
            parts.append((piece, 0, length))
    return _joined(parts), scene.request


def _can_be_dropped(scene: FilmScene, order: Sequence[int]) -> bool:
    """Whether shots can be dropped one after the other without ever joining two pieces of the same shot."""
    for count in range(1, len(order) + 1):
        left = [piece.taken_from for i, piece in enumerate(scene.pieces) if i not in order[:count]]
        if any(a == b for a, b in zip(left, left[1:], strict=False)):
            return False
    return True


def insert_pieces(
    scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator
) -> DamagedFilm | None:
    """`strength` of the longest shots cut to a piece of another one half-way."""
    there = [i for i, other in enumerate(scene.others) if other is not None and scene.lengths[i] >= 2 * MIN_FRAMES]
    chosen = sorted(there, key=lambda i: -scene.lengths[i])[: int(strength)]
    if len(chosen) < strength:
        return None
    frames = frames.copy()
    for i in chosen:
        shot = scene.shot_ranges[i]
        half = shot.start + len(shot) // 2
        frames[half : shot.stop] = scene.others[i].play(0, shot.stop - half)
    return frames, scene.request


def exchange_shots(
    scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator
) -> DamagedFilm | None:
    """`strength` shots are of another clip, cut at the same frames."""
    there = [i for i, other in enumerate(scene.others) if other is not None]
    chosen = [there[i] for i in rng.permutation(len(there))[: int(strength)]]
    if len(chosen) < strength:
        return None
    frames = frames.copy()
    for i in chosen:
        shot = scene.shot_ranges[i]
        frames[shot.start : shot.stop] = scene.others[i].play(0, len(shot))
    return frames, scene.request


def dissolve_joins(scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> DamagedFilm:
    """Every cut becomes a dissolve of `strength` frames."""
    return dissolved(frames, scene.cuts, int(strength)), scene.request


def exchange_texts(
    scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator
) -> DamagedFilm | None:
    """`strength` captions change places; a scene without captions has none to exchange."""
    storyboard = exchange_captions(scene.request.storyboard, int(strength), rng) if scene.described else None
    return storyboard and (frames, replace(scene.request, storyboard=storyboard))


def recolour(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """In every other shot a box of half the width and height has its hues turned by `strength` degrees.

    Luma (ITU-R BT.601) stays as it is, but where the new colour does not exist.
    """
    height, width = frames.shape[1:3]
    h, w = round(_BOX * height), round(_BOX * width)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    changed, first = frames.copy(), int(rng.integers(2))
    for shot in shots[first::2]:
        for i in shot:
            changed[i, top : top + h, left : left + w] = turned(frames[i, top : top + h, left : left + w], strength)
    return changed


def relight(scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> DamagedFilm | None:
    """The last shot of a clip that is shown more than once is `strength` per cent redder and less blue."""
    names = [piece.clip.name for piece in scene.pieces]
    again = [i for i, name in enumerate(names) if name in names[:i]]
    if not again:
        return None
    frames, shot = frames.copy(), scene.shot_ranges[again[-1]]
    gain = 1 + strength / 100 * np.array((1, 0, -1))
    frames[shot.start : shot.stop] = (frames[shot.start : shot.stop] * gain).round().clip(0, 255)
    return frames, scene.request


def turned(picture: np.ndarray, degrees: float) -> np.ndarray:
    """A picture uint8 (H, W, 3) in RGB with its hues turned and its luma kept."""
    luma, *chroma = np.moveaxis(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YCrCb), -1, 0)
    red, blue = (plane.astype(np.float32) - 128 for plane in chroma)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    planes = [cosine * red + sine * blue + 128, cosine * blue - sine * red + 128]
    rotated = [plane.round().clip(0, 255).astype(np.uint8) for plane in planes]
    return cv2.cvtColor(np.stack([luma, *rotated], axis=-1), cv2.COLOR_YCrCb2RGB)


def of_film(change: Change) -> ApplyToFilm:
    """Damage to pictures as damage to a scene."""

    def apply(scene: FilmScene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> DamagedFilm:
        return change(frames, scene.shot_ranges, strength, rng), scene.request

    return apply


# Scenes of film are scored with large encoders and are many: three strengths have to do.
# Damage that the theatre knows as well: its name there, title, unit, strengths, and the function that does it to film.
_AS_IN_THEATRE: tuple[tuple[str, str, str, tuple[float, ...], ApplyToFilm], ...] = (
    ("cuts_moved", "cuts come early or late", "frames", (1, 2, 4), move_joins),
    ("cuts_dropped", "shots that never come", "shots", (1, 2), drop_pieces),
    ("cuts_added", "cuts that nobody asked for", "cuts", (1, 2), insert_pieces),
    ("cuts_dissolved", "dissolves in place of cuts", "frames", (2, 4, 8), dissolve_joins),
    ("shots_replaced", "shots of another clip", "shots", (1, 2), exchange_shots),
    ("captions_shuffled", "captions exchanged between shots", "captions", (2, 3), exchange_texts),
)
# A piece of film that goes on does so at its own pace, as the theatre's shots do not.
_ALSO_KEEPS = {"cuts_dropped": ("motion_smoothness",)}
_RELIT = _IN_THEATRE["light_changed"]
# A box is no character, so nothing has to notice its colours; what is for colours may.
_MAY_NOTICE_COLOURS = ("look_consistency",)

FILM_DAMAGES: tuple[Damage, ...] = (
    *(
        replace(
            _IN_THEATRE[name],
            title=title,
            unit=unit,
            strengths=strengths,
            keeps=_IN_THEATRE[name].keeps + _ALSO_KEEPS.get(name, ()),
            apply=apply,
        )
        for name, title, unit, strengths, apply in _AS_IN_THEATRE
    ),
    *(
        replace(damage, strengths=damage.strengths[:1] + damage.strengths[2:], apply=of_film(damage.change))
        for damage in DAMAGES
        if damage.change is not None
    ),
    replace(
        _RELIT,
        title="another light when a clip is shown again",
        unit="% redder and less blue",
        strengths=(5, 15, 30),
        apply=relight,
    ),
    Damage(
        name="recoloured",
        title="a region in other colours in every other shot",
        unit="degrees of hue",
        strengths=(30, 90, 180),
        moves=(),
        keeps=tuple(name for name in _IN_THEATRE["colour_changed"].keeps if name not in _MAY_NOTICE_COLOURS),
        apply=of_film(recolour),
        change=recolour,
    ),
)
