"""The theatre's locator: where puppets are in a picture and what they look like, by a small convolutional network.

For every place of a grid it says whether the middle of a puppet is there, where that puppet's box ends, whether it is
seen from behind, and how likely each answer to `LOOKS` is. Trained (`locator_training`) on the theatre's own rendering,
where every box is known, damaged as generators and codecs leave pictures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from eval.boxes import Box, overlap
from holocine.puppet.captions import HAT_WORDS
from holocine.puppet.world import BODIES, COLOURS, HATS, HEIGHT, PROPS, SCARVES, WIDTH

LOCATOR_FOLDER = Path(__file__).resolve().parents[1] / "puppet_locator"
WEIGHTS = "puppet_locator.safetensors"
STRIDE = 4  # pixels from one place of the grid to the next
LOOKS = {"colour": tuple(COLOURS), "body": BODIES, "hat": HATS, "prop": PROPS, "scarf": tuple(SCARVES)}
"""What a puppet looks like, as questions with closed answers; the scarf is never described and yet kept."""
DESCRIBED = ("colour", "body", "hat")  # what a description is compared by

_FOUND = 0.35  # of the network's own score between 0 and 1
_SAME_FIGURE = 0.5  # boxes that overlap by more (intersection over union) are one figure
_MOST_FIGURES = 6
_BATCH = 16


class LocatorNetwork(nn.Module):
    """Pictures (B, 3, HEIGHT, WIDTH) in [-1, 1] -> (B, 6 + answers, HEIGHT / 4, WIDTH / 4).

    Channels: logit of a middle; distances to the left, top, right and bottom end of the box, in strides; logit of being
    seen from behind; logits of the answers to `LOOKS`, one question after the other.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (24, 40, 80, 128)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.stem = nn.Sequential(_conv(3, first, 2), _conv(first, second, 2), _Residual(second))
        self.middle = nn.Sequential(_conv(second, third, 2), _Residual(third))
        self.deep = nn.Sequential(_conv(third, fourth, 2), _Residual(fourth))
        self.scene = nn.Linear(fourth, fourth)
        self.from_deep, self.from_middle = nn.Conv2d(fourth, third, 1), nn.Conv2d(third, second, 1)
        self.join_middle, self.join = _conv(third, third), _conv(second, 64)
        self.heads = nn.Conv2d(64, 6 + sum(map(len, LOOKS.values())), 1)
        nn.init.constant_(self.heads.bias[:1], -4.0)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        fine = self.stem(pictures)
        middle = self.middle(fine)
        deep = self.deep(middle)
        deep = deep + self.scene(deep.mean((2, 3)))[:, :, None, None]
        middle = self.join_middle(middle + _twice(self.from_deep(deep)))
        return self.heads(self.join(fine + _twice(self.from_middle(middle))))


def _conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(width, width), _conv(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def _twice(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


@dataclass(frozen=True, eq=False)
class Figure:
    """A puppet in a picture. box: pixels of that picture. score: how sure the network is, in [0, 1].

    looks: for each question of `LOOKS` the probabilities of its answers. from_behind: probability in [0, 1].
    """

    box: Box
    score: float
    looks: dict[str, np.ndarray]
    from_behind: float

    def answer(self, trait: str) -> str:
        """The likeliest answer to a question of `LOOKS`."""
        return LOOKS[trait][int(self.looks[trait].argmax())]

    def fit(self, described: Mapping[str, str]) -> float:
        """How well the figure answers a description, in [0, 1]: the mean probability of the traits that it names."""
        return float(np.mean([self.looks[trait][LOOKS[trait].index(value)] for trait, value in described.items()]))

    @property
    def vector(self) -> np.ndarray:
        """Unit vector of its looks: of two figures the cosine is their mean Bhattacharyya coefficient over `LOOKS`.

        So two figures that are read alike are alike, however sure the reading is: blur makes both unsure.
        """
        return np.concatenate([np.sqrt(p / len(LOOKS)) for p in self.looks.values()]).astype(np.float32)


class PuppetLocator:
    """The trained network and what it is."""

    id = "puppet-locator"
    licence = "Apache-2.0"

    def __init__(self, network: LocatorNetwork, sha256: str = "") -> None:
        self.network, self.sha256 = network.eval(), sha256

    def figures(self, pictures: np.ndarray) -> list[list[Figure]]:
        """The puppets in each picture of uint8 (n, H, W, 3), of any size, the surest first."""
        found: list[list[Figure]] = []
        for start in range(0, len(pictures), _BATCH):
            batch = pictures[start : start + _BATCH]
            with torch.inference_mode(), _one_thread():
                maps = self.network(prepared(batch))
            found += _read(maps, batch.shape[1], batch.shape[2])
        return found


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order: a video reads the same in a process of any number of threads, and the network is small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def prepared(pictures: np.ndarray) -> torch.Tensor:
    """Pictures uint8 (n, H, W, 3) at the network's size and range, (n, 3, HEIGHT, WIDTH)."""
    if pictures.shape[1:3] != (HEIGHT, WIDTH):
        pictures = np.stack([cv2.resize(one, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for one in pictures])
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _read(maps: torch.Tensor, height: int, width: int) -> list[list[Figure]]:
    """The figures in maps of the network, their boxes in pixels of pictures of that height and width."""
    scores = maps[:, 0].sigmoid()
    peaks = (scores == F.max_pool2d(scores[:, None], 3, 1, 1)[:, 0]) & (scores >= _FOUND)
    across, down = width / WIDTH, height / HEIGHT
    found = []
    for number in range(len(maps)):
        rows, columns = (places.tolist() for places in torch.nonzero(peaks[number], as_tuple=True))
        figures = [_figure(maps[number, :, y, x], x, y, across, down) for y, x in zip(rows, columns, strict=True)]
        found.append(_apart(sorted(figures, key=lambda figure: -figure.score)))
    return found


def _figure(values: torch.Tensor, x: int, y: int, across: float, down: float) -> Figure:
    left, top, right, bottom = (values[1:5].clamp(min=0) * STRIDE).tolist()
    cx, cy = (x + 0.5) * STRIDE, (y + 0.5) * STRIDE
    box = (
        max(0.0, cx - left) * across,
        max(0.0, cy - top) * down,
        min(float(WIDTH), cx + right) * across,
        min(float(HEIGHT), cy + bottom) * down,
    )
    answers = values[6:].split([len(choices) for choices in LOOKS.values()])
    looks = {name: answer.softmax(0).numpy() for name, answer in zip(LOOKS, answers, strict=True)}
    return Figure(box, float(values[0].sigmoid()), looks, float(values[5].sigmoid()))


def _apart(figures: Sequence[Figure]) -> list[Figure]:
    """Of figures that overlap, the surest."""
    kept: list[Figure] = []
    for figure in figures:
        if all(overlap(figure.box, other.box) < _SAME_FIGURE for other in kept) and len(kept) < _MOST_FIGURES:
            kept.append(figure)
    return kept


def described_looks(description: str) -> dict[str, str]:
    """What a description says of `DESCRIBED`: "a red round puppet with no hat" -> colour, body and hat.

    A trait that it does not name, or names in two ways, is left out.
    """
    text = description.lower()
    words = {
        "colour": {colour: rf"\b{colour}\b" for colour in COLOURS},
        "body": {body: rf"\b{body}\b" for body in BODIES},
        "hat": {hat: rf"\b{re.sub(r'^an? ', '', phrase)}\b" for hat, phrase in HAT_WORDS.items()},
    }
    said = {}
    for trait, patterns in words.items():
        named = [value for value, pattern in patterns.items() if re.search(pattern, text)]
        if len(named) == 1:
            said[trait] = named[0]
    return said


@lru_cache(maxsize=2)
def load_locator(folder: Path = LOCATOR_FOLDER) -> PuppetLocator:
    """The embedded locator, or one that was trained into another folder."""
    path = Path(folder) / WEIGHTS
    network = LocatorNetwork()
    network.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in load_file(path).items()})
    return PuppetLocator(network, hashlib.sha256(path.read_bytes()).hexdigest())
