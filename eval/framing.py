"""How close a shot of real people is, in film's terms, from how many heads high the picture is at their distance.

Film names shots by where the frame cuts a person: close-up at the shoulders, medium close-up at the chest, medium at
the waist, medium wide at the knees, wide with the whole figure, extreme wide with a small one; in an extreme close-up
not even the face fits (Bordwell and Thompson, Film Art, ch. 5; Bowen, Grammar of the Shot, ch. 1). Heads are what
people of any height share: of a body of H, the head is 0.130 H, and shoulders, hips and knees lie 0.182, 0.470 and
0.715 H below its top (Drillis and Contini, 1966): 1.4, 3.6 and 5.5 heads. With half a head of air above, frames cut
there are 1.9, 4.1 and 6 heads high, and the chest, halfway down to the hips, gives 3; the bounds lie between these.
"""

from __future__ import annotations

import numpy as np

from eval.boxes import Box
from eval.film_terms import SCALE

# Heights of the picture in heads between the terms of SCALE, from the closest to the widest. A face that reaches from
# the lower to the upper edge is a head of 1.2 pictures; a figure of less than 30 % of the picture is a small one.
_BOUNDS = (0.8, 2.4, 3.5, 5.0, 7.0, 25.0)
_HEAD_OF_FACE = 1.5  # a head, hair left out, in faces as they are found, from brow to chin; by eye on photographs
_HEADS_HIGH = 7.7  # a standing figure
_HEADS_WIDE = 2.3  # its shoulders, 0.259 H, and some of its arms
_EDGE = 0.02  # of the picture's height: what comes closer to an edge is cut by it


def term_of(heads: float) -> str:
    """The term, of `SCALE`, of a picture that is so many heads high."""
    return SCALE[::-1][int(np.digitize(heads, _BOUNDS))]


def heads_by_face(face: Box, size: tuple[int, int]) -> float:
    """How many heads high a picture of (width, height) is in which a face has this box."""
    return size[1] / (_HEAD_OF_FACE * (face[3] - face[1]))


def heads_by_figure(figure: Box, size: tuple[int, int]) -> float | None:
    """How many heads high a picture of (width, height) is in which a figure has this box.

    A figure that is there as a whole is measured by its height: no shot of it is closer than wide. Of one that the
    frame cuts only the width is known, so one that reaches from side to side says nothing (None).
    """
    width, height = size
    margin = _EDGE * height
    if figure[1] > margin and figure[3] < height - margin:
        return _HEADS_HIGH * height / (figure[3] - figure[1])
    if figure[0] <= margin and figure[2] >= width - margin:
        return None
    across = _HEADS_WIDE * height / (figure[2] - figure[0])
    return min(across, _BOUNDS[4] - 0.1)  # a cut figure is not a whole one
