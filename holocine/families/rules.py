"""What a family's transformer does otherwise than Wan's, as data: rotary phases, who sees whom, how text is laid out.

A model of a family is Wan's transformer with other weights; everything else that tells it where a shot ends is here.
`holocine.families.planning` turns rules into the attention plan of a forward pass. A rule that is changed is
`dataclasses.replace(rules, …)`, which is how a mechanism is left out to see what it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rules:
    """Rules of one family; the defaults are Wan's own.

    frames_per_shot: latent frames by which the temporal position of shot i is moved, i times.
    radians_per_shot: added i times to the angle of every temporal pair of the rotary embedding, whatever its frequency.
    text_phase: the phase of caption i, and of the queries of shot i that look at text, is i times this one, in a rotary
        embedding over the whole head; None rotates no text.
    padding_phase: where text is rotated, the phase of the padding beyond the number of the last shot (not multiplied).
    text_length: tokens that a text is padded to. Padding is seen: it is never masked.
    padded: whether every caption is padded for itself ("each") or all of them together, at the end ("together").
    reads: what a latent frame sees of the text: "all" of it, or its "own" caption, and with it the common one if there
        is one.
    sees: what a latent frame sees of the video: "all" of it, its "own" shot, or its "own and the first frame", that is
        the first latent frame of the whole video.
    masked_layers: first and last block, from 0, in which `reads` and `sees` hold; in the others all sees all. None: in
        every block they hold.
    masks_negative: whether the pass of the negative prompt follows these rules as well.
    """

    frames_per_shot: int = 0
    radians_per_shot: float = 0.0
    text_phase: int | None = None
    padding_phase: int = 0
    text_length: int = 512
    padded: Literal["each", "together"] = "each"
    reads: Literal["all", "own"] = "all"
    sees: Literal["all", "own", "own and the first frame"] = "all"
    masked_layers: tuple[int, int] | None = None
    masks_negative: bool = True

    def layers(self) -> range | None:
        """The blocks in which masks hold, None for all."""
        return None if self.masked_layers is None else range(self.masked_layers[0], self.masked_layers[1] + 1)
