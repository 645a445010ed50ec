"""What CLIP calls a shot in the words of film: which of several terms fits it best, and whether that says anything.

A term is the mean of a few wordings. CLIP likes some texts better than others whatever it sees, and one of them always
fits best, so both are measured on pictures without any content (noise of many grains), as language models are
calibrated on empty input (Zhao et al., ICML 2021): what a term fits them by is taken off, and a lead counts only if it
is larger than on every one of them, which happens by chance once in NEUTRAL + 1 times. So the margin belongs to the
encoder at hand, and weights that know nothing have no opinion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NEUTRAL = 19
_SIDE = 224  # pixels
_WORDINGS = ("{}", "{} of a person", "a film still, {}", "a photo, {}")
SIZE_WORDS = {"wide": "a wide shot", "medium": "a medium shot", "close-up": "a close-up"}
ANGLE_WORDS = {
    "eye level": "an eye-level shot",
    "low angle": "a low angle shot from below",
    "high angle": "a high angle shot from above",
    "overhead": "an overhead shot straight down",
    "over the shoulder": "an over-the-shoulder shot",
    "dutch angle": "a tilted Dutch angle shot",
}


@dataclass(frozen=True, eq=False)
class Opinion:
    """What an encoder says of film terms.

    terms: (n,). vectors: unit vectors (n, d). usual: how well each fits pictures of nothing, (n,). margin: the lead of
    the best term over the next from which it counts.
    """

    encoder: str
    terms: tuple[str, ...]
    vectors: np.ndarray
    usual: np.ndarray
    margin: float

    def of(self, vector: np.ndarray) -> tuple[str | None, float]:
        """The term for a picture's unit vector (d,), None if none stands out; and the lead of the best."""
        lead, best = _leads((self.vectors @ vector - self.usual)[None])
        return (self.terms[best[0]] if lead[0] > self.margin else None), float(lead[0])


def form_opinion(clip: Any, phrases: Mapping[str, str]) -> Opinion:
    """Ask an encoder what the terms of `phrases`, each in its words, look like to it."""
    texts = [wording.format(words) for words in phrases.values() for wording in _WORDINGS]
    vectors = np.asarray(clip.embed_texts(texts), np.float64).reshape(len(phrases), len(_WORDINGS), -1).mean(1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fits = np.asarray(clip.embed_images(neutral_pictures()), np.float64) @ vectors.T
    if not np.isfinite(fits).all():
        raise ValueError("its result is not a finite number")
    usual = fits.mean(0)
    return Opinion(clip.id, tuple(phrases), vectors, usual, float(_leads(fits - usual)[0].max()))


def neutral_pictures() -> np.ndarray:
    """Pictures that show nothing: coloured noise of fine to coarse grain, uint8 (NEUTRAL, 224, 224, 3)."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(NEUTRAL):
        cells = 2 ** (1 + number % 7)
        noise = rng.normal(rng.uniform(70, 190, 3), rng.uniform(10, 60), (cells, cells, 3))
        places = np.arange(_SIDE) * cells // _SIDE
        pictures.append(np.clip(noise, 0, 255).astype(np.uint8)[places][:, places])
    return np.stack(pictures)


def _leads(fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of fits (pictures, terms), how far the best is ahead of the next and which it is, (pictures,) each."""
    ordered = np.sort(fits, axis=1)
    return ordered[:, -1] - ordered[:, -2], fits.argmax(1)
