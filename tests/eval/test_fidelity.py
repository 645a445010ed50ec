"""Sharpness and the Fréchet distance on pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from eval.encoders import load_encoders
from eval.fidelity import Pictures, frechet_distance, gradient_energy, sharpness, sum_pictures
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene


class Vectors:
    """An encoder that says the same vectors of whatever it sees."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def embed_images(self, pictures: np.ndarray) -> np.ndarray:
        return self.vectors[: len(pictures)]


def seen_as(vectors: np.ndarray) -> Pictures:
    """What is summed of pictures that are embedded as these vectors (n, d)."""
    return sum_pictures([np.zeros((4 * len(vectors), 2, 2, 3), np.uint8)], Vectors(vectors))


def test_the_distance_of_gaussians_along_axes_is_what_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    standard = rng.standard_normal((4000, 3))
    wide = standard * (2.0, 1.0, 3.0) + (1.0, 0.0, 0.0)
    # |m - n|² + the sum of (sigma - tau)²
    assert frechet_distance(seen_as(wide), seen_as(standard)) == pytest.approx(1 + 1 + 0 + 4, rel=0.05)


def test_the_distance_of_rotated_gaussians_needs_the_root_of_a_product() -> None:
    """Closed form for two dimensions: tr (C D)^½ = (tr CD + 2 (det CD)^½)^½."""
    rng = np.random.default_rng(1)
    one, two = (rng.standard_normal((500, 2)) @ rng.standard_normal((2, 2)) for _ in range(2))
    (m, c), (n, d) = (seen_as(vectors).gaussian for vectors in (one, two))
    root = np.sqrt(np.trace(c @ d) + 2 * np.sqrt(np.linalg.det(c @ d)))
    expected = np.square(m - n).sum() + np.trace(c) + np.trace(d) - 2 * root
    assert frechet_distance(seen_as(one), seen_as(two)) == pytest.approx(expected)
    assert frechet_distance(seen_as(two), seen_as(one)) == pytest.approx(expected)
    assert frechet_distance(seen_as(one), seen_as(one)) == pytest.approx(0, abs=1e-9)


def test_gradient_energy_is_the_sum_of_squared_steps() -> None:
    frames = np.zeros((2, 3, 4, 3), np.uint8)
    frames[0, :, 2:, 0] = 255  # one edge of three rows, in one channel of one frame
    assert gradient_energy(frames) == pytest.approx(3.0)


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(2)
    videos = rng.integers(0, 256, (3, 9, 4, 5, 3), dtype=np.uint8)

    class Pixels:
        def embed_images(self, pictures: np.ndarray) -> np.ndarray:
            return pictures.reshape(len(pictures), -1)[:, :4].astype(np.float32)

    whole = sum_pictures(videos, Pixels())
    parts = sum_pictures(videos[:1], Pixels()) + sum_pictures(videos[1:], Pixels())
    assert whole.frames == parts.frames == 9
    assert parts.energy == pytest.approx(whole.energy)
    np.testing.assert_allclose(parts.products, whole.products)


def test_nothing_to_compare_is_no_number() -> None:
    some = seen_as(np.eye(3))
    assert (sharpness(some, Pictures()), sharpness(Pictures(), some)) == (None, None)
    assert (frechet_distance(some, Pictures()), frechet_distance(Pictures(), some)) == (None, None)


def test_the_softer_pictures_are_the_less_sharp_and_the_farther_from_the_truth() -> None:
    clip = load_encoders("puppet").clip
    truth = [render(sample_scene(seed))[0] for seed in range(4)]

    def blurred(sigma: float) -> Pictures:
        return sum_pictures(
            [np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in video]) for video in truth], clip
        )

    reference = sum_pictures(truth, clip)
    assert sharpness(reference, reference) == 1.0
    soft, softer = blurred(0.6), blurred(1.5)
    assert 1 > sharpness(soft, reference) > sharpness(softer, reference) > 0
    assert 0 < frechet_distance(soft, reference) < frechet_distance(softer, reference)
