"""How much generated pictures are pictures of the theatre: as sharp as the truth, and spread like it.

Neither number looks at what a picture shows. Sharpness is the energy of the gradient over that of the truth: soft
pictures have less, noise and stripes more. The Fréchet distance (Heusel et al., 2017, eq. 6, there on Inception)
compares Gaussians that are fitted to embeddings of frames; 0 is alike, more is seen beside the other columns.
Both come from sums over frames, so parts add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

SHARPNESS = "sharpness (gradient energy to that of truth)"
DISTANCE = "Fréchet distance to truth (embeddings of frames)"
_STEP = 4  # of the frames that are looked at: those between are almost the same


class Encoder(Protocol):
    """Anything that embeds pictures uint8 (n, H, W, 3) as vectors (n, d)."""

    def embed_images(self, pictures: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Pictures:
    """Sums over frames: how many, gradient energy, embeddings (d,) and their outer products (d, d)."""

    frames: int = 0
    energy: float = 0.0
    vectors: np.ndarray | float = 0.0
    products: np.ndarray | float = 0.0

    def __add__(self, other: Pictures) -> Pictures:
        return Pictures(
            self.frames + other.frames,
            self.energy + other.energy,
            self.vectors + other.vectors,
            self.products + other.products,
        )

    @property
    def gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) of the embeddings."""
        mean = self.vectors / self.frames
        return mean, self.products / self.frames - np.outer(mean, mean)


def sum_pictures(videos: Iterable[np.ndarray], encoder: Encoder) -> Pictures:
    """Look at every fourth frame of videos uint8 (frames, H, W, 3)."""
    total = Pictures()
    for video in videos:
        frames = video[::_STEP]
        vectors = encoder.embed_images(frames).astype(np.float64)
        total += Pictures(len(frames), gradient_energy(frames), vectors.sum(0), vectors.T @ vectors)
    return total


def gradient_energy(frames: np.ndarray) -> float:
    """Squared differences of neighbouring pixels, down and across, summed over frames uint8 (n, H, W, 3)."""
    pixels = frames.astype(np.float64) / 255
    return float(sum(np.square(np.diff(pixels, axis=axis)).sum() for axis in (1, 2)))


def sharpness(pictures: Pictures, truth: Pictures) -> float | None:
    """Mean gradient energy of a frame over that of the truth; None where there is nothing to compare."""
    if not pictures.frames or not truth.energy:
        return None
    return (pictures.energy / pictures.frames) / (truth.energy / truth.frames)


def frechet_distance(pictures: Pictures, truth: Pictures) -> float | None:
    """|m - n|² + tr(C + D - 2 (C D)^½) of the Gaussians (m, C) and (n, D); None where there is nothing to compare."""
    if not pictures.frames or not truth.frames:
        return None
    (mean, covariance), (true_mean, true_covariance) = pictures.gaussian, truth.gaussian
    values, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(values.clip(0)) @ axes.T
    # C D has the eigenvalues of C^½ D C^½, which is symmetric.
    overlap = np.sqrt(np.linalg.eigvalsh(root @ true_covariance @ root).clip(0)).sum()
    distance = np.square(mean - true_mean).sum() + np.trace(covariance) + np.trace(true_covariance) - 2 * overlap
    return max(float(distance), 0.0)
