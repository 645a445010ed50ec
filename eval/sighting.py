"""Who is seen where: the figures that a finder saw in some frames of every shot, given to characters by description.

A finder says of every figure how well it fits each character's description. A figure goes to the character that it fits
best, in doubt to one that its shot asks for; so one whose hat has changed is still that character, and one that is
another character of the scene to the letter is that other one. A character counts as seen in a shot if it is found in a
share of the frames that were looked at, and only if it is seen as described in some shot of the video: strangers who
happen to share two traits out of three with it are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from eval.boxes import Box, Boxes

FRAMES_A_SHOT = 6
SEEN_SHARE = 1 / 3  # of the frames of a shot that were looked at
SURE_SHARE = 1 / 2
_DOUBT = 0.15  # by how much better a figure has to fit somebody whom its shot does not ask for


@dataclass(frozen=True, eq=False)
class Candidate:
    """A figure in a frame. box: pixels of the full-size frame. fits: how well it fits each character, by tag.

    shows_looks: whether its looks can be compared with others', which they cannot from behind. vector: unit vector of
    them (d,), None if nothing has embedded them.
    """

    box: Box
    fits: Mapping[str, float]
    shows_looks: bool = True
    vector: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """What a finder saw: the figures of each frame that it looked at, by frame number.

    tags: the characters that it looked for. seen_from, sure_from: fits from which a figure may be a character, and is
    that character as described.
    """

    finder: str
    tags: tuple[str, ...]
    figures: Mapping[int, Sequence[Candidate]]
    seen_from: float
    sure_from: float


@dataclass(frozen=True, eq=False)
class Sightings:
    """Where the characters of a storyboard are seen.

    finder: what found them. tags: the characters looked for. boxes: by tag and frame, in pixels of the full-size frame,
    of the characters that count as seen. shares: for every requested shot, by tag, in which share of the frames looked
    at it was found; None for a shot of which no frame was looked at. seen: the same as a decision. figures: the boxes
    of all figures of each frame looked at, whoever they are. vectors: unit vectors by tag, (frames, vectors).
    """

    finder: str
    tags: tuple[str, ...]
    boxes: Boxes
    shares: tuple[Mapping[str, float] | None, ...]
    seen: tuple[frozenset[str] | None, ...]
    figures: Mapping[int, Sequence[Box]]
    vectors: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def looked_at(sampled: np.ndarray, shots: Sequence[range], of_each: int = FRAMES_A_SHOT) -> np.ndarray:
    """Of the sampled frames (n,), at most `of_each` of each shot, evenly spread from its first to its last.

    Without shots, a third of them.
    """
    if not shots:
        return sampled[::3]
    chosen: set[int] = set()
    for shot in shots:
        inside = sampled[(sampled >= shot.start) & (sampled < shot.stop)]
        if len(inside):
            places = np.linspace(0, len(inside) - 1, min(of_each, len(inside))).round().astype(int)
            chosen |= set(inside[places].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def settle(look: Look, shots: Sequence[range], asked: Sequence[Sequence[str]]) -> Sightings:
    """Decide who is seen in each of `shots`, which ask for the characters `asked`, from what a finder saw."""
    given = [_given(look, shot, tags) for shot, tags in zip(shots, asked, strict=True)]
    frames = [[frame for frame in look.figures if frame in shot] for shot in shots]
    shares, sure = [], set()
    for found, looked in zip(given, frames, strict=True):
        if not looked:
            shares.append(None)
            continue
        shares.append({tag: len(found[tag]) / len(looked) for tag in look.tags})
        fits = {tag: [figure.fits[tag] for figure in found[tag].values()] for tag in look.tags}
        sure |= {tag for tag in look.tags if sum(f >= look.sure_from for f in fits[tag]) >= SURE_SHARE * len(looked)}
    seen = tuple(
        None if share is None else frozenset(tag for tag in sure if share[tag] >= SEEN_SHARE) for share in shares
    )
    boxes: dict[str, dict[int, Box]] = {tag: {} for tag in look.tags}
    kept: dict[str, list[tuple[int, np.ndarray]]] = {tag: [] for tag in look.tags}
    for found, who in zip(given, seen, strict=True):
        for tag in who or ():
            boxes[tag] |= {frame: figure.box for frame, figure in found[tag].items()}
            kept[tag] += [(frame, f.vector) for frame, f in found[tag].items() if f.vector is not None]
    return Sightings(
        finder=look.finder,
        tags=look.tags,
        boxes={tag: of_tag for tag, of_tag in boxes.items() if of_tag},
        shares=tuple(shares),
        seen=seen,
        figures={frame: [figure.box for figure in figures] for frame, figures in look.figures.items()},
        vectors={
            tag: (np.array([frame for frame, _ in rows], np.int64), np.stack([vector for _, vector in rows]))
            for tag, rows in kept.items()
            if rows
        },
    )


def _given(look: Look, shot: range, asked: Sequence[str]) -> dict[str, dict[int, Candidate]]:
    """By tag and frame, the figure that stands for a character; a figure stands for one, a character has one."""
    found: dict[str, dict[int, Candidate]] = {tag: {} for tag in look.tags}
    for frame, figures in look.figures.items():
        if frame not in shot:
            continue
        claims = sorted(
            (
                (figure.fits[tag] + (_DOUBT if tag in asked else 0.0), number, tag)
                for (number, figure), tag in product(enumerate(figures), look.tags)
                if figure.fits[tag] >= (look.seen_from if tag in asked else look.sure_from)
            ),
            key=lambda claim: (-claim[0], claim[1], claim[2]),
        )
        taken: set[int] = set()
        for _, number, tag in claims:
            if number not in taken and frame not in found[tag]:
                taken.add(number)
                found[tag][frame] = figures[number]
    return found


def given_boxes(boxes: Boxes, shots: Sequence[range]) -> Sightings:
    """Sightings from boxes that were given: a character is seen in the shots in which it has a box."""
    tags = tuple(boxes)
    shares = tuple({tag: float(any(f in shot for f in boxes[tag])) for tag in tags} for shot in shots)
    figures: dict[int, list[Box]] = {}
    for of_tag in boxes.values():
        for frame, box in of_tag.items():
            figures.setdefault(frame, []).append(box)
    seen = tuple(frozenset(tag for tag, share in of_shot.items() if share) for of_shot in shares)
    return Sightings("given boxes", tags, boxes, shares, seen, figures)
