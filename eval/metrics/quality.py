"""How good single frames look: LAION's aesthetic predictor, sharpness and clipped exposure."""

from __future__ import annotations

import numpy as np

from eval.evidence import Evidence
from eval.metric import Measured, Metric


def _over_frames(values: np.ndarray, of: int) -> Measured:
    """The mean of what could be measured of each frame, (n,), in a video of `of`."""
    values = np.asarray(values, np.float64)
    return Measured.mean_of(values[np.isfinite(values)], "no frame could be measured", of=of)


def _aesthetic(evidence: Evidence) -> Measured:
    if evidence.aesthetic is None:
        return Measured.absent(evidence.why("aesthetic"), of=evidence.footage.num_frames)
    return _over_frames(evidence.aesthetic[1], len(evidence.aesthetic[1]))


def _sharpness(evidence: Evidence) -> Measured:
    return _over_frames(_clear(evidence, evidence.footage.sharpness), evidence.footage.num_frames)


def _clipping(evidence: Evidence) -> Measured:
    return _over_frames(100 * _clear(evidence, evidence.footage.clipped), evidence.footage.num_frames)


def _clear(evidence: Evidence, values: np.ndarray) -> np.ndarray:
    """The values (T,) of frames that show one shot; in a dissolve one picture veils the other's lights and edges."""
    values = np.asarray(values, np.float64)
    return np.concatenate([values[shot.start : shot.stop] for shot in evidence.detection.clear_ranges])


METRICS: tuple[Metric, ...] = (
    Metric(
        name="aesthetic",
        version=1,
        group="quality",
        direction="higher",
        range=(None, None),
        source="LAION aesthetic predictor on CLIP ViT-L/14, divided by 10, mean over sampled frames",
        absent_when="CLIP ViT-L/14 or the predictor's weights are not at hand",
        meaning="How well people would like the frames as pictures, as predicted from their ratings of others.",
        measure=_aesthetic,
    ),
    Metric(
        name="sharpness",
        version=3,
        group="quality",
        direction="higher",
        range=(0, None),
        source="ours; deviation of the Laplacian of a Gaussian (Marr and Hildreth, 1980) over that of luma, in the "
        "picture within its bars at 160 lines and without what noise adds, mean over frames outside gradual changes",
        absent_when="no frame has any contrast",
        meaning="How much of the picture's contrast is fine detail, whatever the size of the video; noise is none.",
        measure=_sharpness,
    ),
    Metric(
        name="clipping",
        version=3,
        group="quality",
        direction="lower",
        range=(0, 100),
        source="ours; pixels at the ends of the range, within letterbox and pillarbox bars, mean over frames outside "
        "gradual changes",
        absent_when="the video has no frame that shows one shot",
        meaning="How much of the picture is burnt out or lost in black; black bars around it do not count.",
        measure=_clipping,
        unit="% of pixels",
    ),
)
