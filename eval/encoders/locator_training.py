"""The recipe of the theatre's locator: rendered scenes with their true boxes, damaged as generators leave pictures.

A middle is learned as CenterNet does (Zhou et al., arXiv 1904.07850: a Gaussian bump per box, penalty-reduced focal
loss), boxes as FCOS does (Tian et al., arXiv 1904.01355: distances to the four ends, IoU loss), looks by cross entropy
at the places around a middle. Pictures are shifted, soft, noisy, compressed, too bright or dark, tinted, and some of
them have been through the theatre's VAE with noise on their latents: a generated puppet is never as crisp as a rendered
one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from eval.encoders.puppet_locator import LOOKS, STRIDE, WEIGHTS, LocatorNetwork, prepared
from holocine.files import replacing
from holocine.puppet.renderer import FrameTruth, render
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.world import COLOURS, HEIGHT, WIDTH, Scene, sample_scene

logger = logging.getLogger(__name__)

_FIRST_SEED = 5_000_000_000  # scenes made up for this model alone
_MOST_PICTURES = 40_000  # held in memory: 0.9 GB
_FRAMES_A_SHOT = 2
_SMALLEST = 8  # pixels of a side; less of a puppet is not asked for
_NEAR = 1.5  # strides from a middle within which a place has to know box and looks
_SOFT_SHARE = 0.25  # of a batch: pictures that have been through the VAE
_EMPTY_SHARE = 0.05  # of a batch: pictures of nothing that is a puppet
_LATENT_NOISE = 0.45  # of the latents' standard deviation, at most
_UNKNOWN = -100


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame uint8 (HEIGHT, WIDTH, 3) and its puppets: boxes (n, 4) in pixels, looks (n, questions) as indices."""

    frame: np.ndarray
    boxes: np.ndarray
    looks: np.ndarray
    behind: np.ndarray


def truth_of(frame: np.ndarray, scene: Scene, truth: FrameTruth) -> Picture:
    boxes = np.array([puppet.box for puppet in truth.puppets], np.float32).reshape(-1, 4)
    of = [scene.puppets[puppet.index] for puppet in truth.puppets]
    looks = [[choices.index(getattr(puppet, name)) for name, choices in LOOKS.items()] for puppet in of]
    behind = np.array([puppet.from_behind for puppet in truth.puppets], np.float32)
    return Picture(frame, boxes, np.array(looks, np.int64).reshape(-1, len(LOOKS)), behind)


class _Pictures:
    """A growing store of rendered pictures: new ones are added while training goes on, the oldest give way."""

    def __init__(self, rng: np.random.Generator, first_seed: int) -> None:
        self.rng, self.next_seed = rng, first_seed
        self.crisp: list[Picture] = []
        self.soft: list[Picture] = []

    def scene(self, frames: int | None = None) -> tuple[Scene, int]:
        seed, self.next_seed = self.next_seed, self.next_seed + 1
        return sample_scene(seed, num_frames=frames or int(self.rng.choice((33, 49, 65, 81)))), seed

    def add(self, count: int) -> None:
        """Render some frames of every shot of `count` new scenes."""
        for _ in range(count):
            scene, _seed = self.scene()
            chosen = [
                start + self.rng.choice(shot.num_frames, _FRAMES_A_SHOT, replace=False)
                for start, shot in zip((0, *scene.cuts), scene.shots, strict=True)
            ]
            frames, truths = render(scene, only=set(np.concatenate(chosen).tolist()))
            self.crisp += [truth_of(f, scene, t) for f, t in zip(frames, truths, strict=True)]
        del self.crisp[:-_MOST_PICTURES]

    @torch.inference_mode()
    def add_soft(self, count: int, vae: torch.nn.Module) -> None:
        """The same of scenes that have been through the VAE, with noise on their latents."""
        for _ in range(count):
            scene, seed = self.scene(33)
            frames, truths = render(scene)
            video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
            latents = vae.encode(video).latent_dist.mean
            noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
            latents = latents + _LATENT_NOISE * float(self.rng.random()) * latents.std() * noise
            decoded = vae.decode(latents).sample[0].permute(1, 2, 3, 0)
            softened = ((decoded + 1) * 127.5).round().clamp(0, 255).byte().numpy()
            kept = self.rng.choice(len(softened), 16, replace=False)
            self.soft += [truth_of(softened[i], scene, truths[i]) for i in kept]

    def batch(self, size: int) -> list[Picture]:
        """Damaged pictures: crisp ones, soft ones and some of nothing."""
        soft = int(size * _SOFT_SHARE) if self.soft else 0
        empty = int(self.rng.binomial(size, _EMPTY_SHARE))
        pictures = [self.soft[i] for i in self.rng.integers(len(self.soft), size=soft)] if soft else []
        pictures += [_nothing(self.rng) for _ in range(empty)]
        pictures += [self.crisp[i] for i in self.rng.integers(len(self.crisp), size=size - len(pictures))]
        return [damaged(picture, self.rng) for picture in pictures]


def _nothing(rng: np.random.Generator) -> Picture:
    """A picture without a puppet: patches, stripes and shapes, some in the puppets' own colours."""
    grid = rng.integers(0, 256, (int(rng.integers(1, 9)), int(rng.integers(1, 14)), 3)).astype(np.uint8)
    frame = cv2.resize(grid, (WIDTH, HEIGHT), interpolation=int(rng.choice((cv2.INTER_NEAREST, cv2.INTER_CUBIC))))
    palette = [*COLOURS.values(), (34, 28, 36), (255, 255, 255)]
    for _ in range(int(rng.integers(0, 7))):
        colour = palette[int(rng.integers(len(palette)))] if rng.random() < 0.6 else rng.integers(0, 256, 3).tolist()
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        size = int(rng.integers(3, 30))
        if rng.random() < 0.5:
            cv2.ellipse(frame, centre, (size, int(size * rng.uniform(0.3, 1.2))), 0, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            points = (np.array(centre) + rng.uniform(-size, size, (int(rng.integers(3, 6)), 2))).astype(np.int32)
            cv2.fillPoly(frame, [points], colour, cv2.LINE_AA)
    none = np.zeros((0, 4), np.float32)
    return Picture(frame, none, np.zeros((0, len(LOOKS)), np.int64), np.zeros(0, np.float32))


def damaged(picture: Picture, rng: np.random.Generator) -> Picture:
    """A picture as generators, enlargements, light and codecs leave it, with its boxes moved along."""
    frame, boxes = picture.frame, picture.boxes.copy()
    if rng.random() < 0.7:
        h, w = (int(side * rng.uniform(0.8, 1.0)) for side in (HEIGHT, WIDTH))
        top, left = int(rng.integers(HEIGHT - h + 1)), int(rng.integers(WIDTH - w + 1))
        frame = cv2.resize(frame[top : top + h, left : left + w], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        boxes = (boxes - (left, top, left, top)) * (WIDTH / w, HEIGHT / h, WIDTH / w, HEIGHT / h)
    if rng.random() < 0.2:
        scale = rng.uniform(0.4, 1.0)
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    values = frame.astype(np.float32)
    if rng.random() < 0.5:
        gain = np.exp(rng.uniform(-0.6, 0.6)) * (1 + 0.06 * rng.standard_normal(3))
        values = values * gain.astype(np.float32)
        values = values.clip(0, 255)
    if rng.random() < 0.2:
        grey = values.mean(-1, keepdims=True)
        values = grey + (values - grey) * np.float32(rng.uniform(0.6, 1.15))
        values = 128 + (values - 128) * np.float32(rng.uniform(0.7, 1.15))
    if rng.random() < 0.6:
        values = cv2.GaussianBlur(values, (0, 0), float(np.exp(rng.uniform(np.log(0.3), np.log(4.2)))))
    if rng.random() < 0.5:
        values += np.float32(22 * rng.random() ** 2) * rng.standard_normal(values.shape, np.float32)
    frame = values.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        frame = cv2.imdecode(cv2.imencode(".jpg", frame, quality)[1], cv2.IMREAD_COLOR)
    return Picture(frame, boxes.clip((0, 0, 0, 0), (WIDTH, HEIGHT, WIDTH, HEIGHT)), picture.looks, picture.behind)


@dataclass(frozen=True, eq=False)
class Targets:
    """What the network should say of a batch, on its grid (B, h, w).

    middles: bumps in [0, 1], 1 at a middle. known: places that have to know the box around them: boxes (B, h, w, 4) as
    distances in strides, looks (B, h, w, questions) as indices, behind in {0, 1}.
    """

    middles: torch.Tensor
    known: torch.Tensor
    boxes: torch.Tensor
    looks: torch.Tensor
    behind: torch.Tensor


def targets(pictures: list[Picture]) -> Targets:
    rows, columns = HEIGHT // STRIDE, WIDTH // STRIDE
    ys, xs = np.mgrid[:rows, :columns] + 0.5
    middles = np.zeros((len(pictures), rows, columns), np.float32)
    known = np.zeros(middles.shape, bool)
    boxes = np.zeros((*middles.shape, 4), np.float32)
    looks = np.full((*middles.shape, len(LOOKS)), _UNKNOWN, np.int64)
    behind = np.zeros(middles.shape, np.float32)
    for i, picture in enumerate(pictures):
        for box, answers, back in zip(picture.boxes / STRIDE, picture.looks, picture.behind, strict=True):
            width, height = box[2] - box[0], box[3] - box[1]
            if min(width, height) * STRIDE < _SMALLEST:
                continue
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            spread = (max(0.7, width / 8), max(0.7, height / 8))
            bump = np.exp(-0.5 * (((xs - x) / spread[0]) ** 2 + ((ys - y) / spread[1]) ** 2)).astype(np.float32)
            bump[min(int(y), rows - 1), min(int(x), columns - 1)] = 1.0
            middles[i] = np.maximum(middles[i], bump)
            near = (np.abs(xs - x) < _NEAR) & (np.abs(ys - y) < _NEAR)
            known[i] |= near
            ends = np.stack([xs - box[0], ys - box[1], box[2] - xs, box[3] - ys], -1)
            boxes[i][near], looks[i][near], behind[i][near] = ends[near], answers, back
    return Targets(*map(torch.from_numpy, (middles, known, boxes, looks, behind)))


def losses(maps: torch.Tensor, wanted: Targets) -> dict[str, torch.Tensor]:
    maps = maps.permute(0, 2, 3, 1).float()
    logits, known = maps[..., 0], wanted.known
    is_middle = wanted.middles == 1
    score = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    missed = (1 - score) ** 2 * score.log() * is_middle
    invented = (1 - wanted.middles) ** 4 * score**2 * (1 - score).log() * ~is_middle
    found = maps[known]
    answers = found[:, 6:].split([len(choices) for choices in LOOKS.values()], -1)
    said = [F.cross_entropy(one, wanted.looks[known][:, i]) for i, one in enumerate(answers)]
    return {
        "middles": -(missed.sum() + invented.sum()) / is_middle.sum().clamp(min=1),
        "boxes": _box_loss(found[:, 1:5], wanted.boxes[known]),
        "behind": 0.3 * F.binary_cross_entropy_with_logits(found[:, 5], wanted.behind[known]),
        "looks": sum(said),
    }


def _box_loss(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """1 - IoU of boxes given by distances from the same place (n, 4), and a little of their plain difference."""
    inside = found.clamp(min=0)
    shared = torch.minimum(inside, true).clamp(min=0)
    both = (shared[:, 0] + shared[:, 2]) * (shared[:, 1] + shared[:, 3])
    areas = sum((b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3]) for b in (inside, true))
    return (1 - both / (areas - both).clamp(min=1e-3)).mean() + 0.2 * F.smooth_l1_loss(found, true)


def write_locator(network: LocatorNetwork, folder: Path) -> None:
    """Write the weights in half precision; the file is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {n: (t.half() if t.is_floating_point() else t).contiguous() for n, t in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(state, temporary)


def train_locator(
    folder: str | os.PathLike,
    minutes: float,
    out: str | os.PathLike,
    batch: int = 32,
    lr: float = 3e-3,
    progress: Callable[[str], None] = logger.info,
    most_steps: int | None = None,
    start: str | os.PathLike | None = None,
    soft_scenes: int = 40,
) -> None:
    """Train for `minutes` of compute in all and write the weights to `out`; the same call goes on where it stopped.

    folder: holds the checkpoint. soft_scenes: scenes that are sent through the theatre's VAE before training starts.
    start: a folder written before, whose weights a new training begins with. most_steps: stop early.
    """
    folder, out = Path(folder), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    network = LocatorNetwork()
    if start:
        network.load_state_dict({n: t.float() for n, t in load_file(Path(start) / WEIGHTS).items()}, strict=True)
    network.to(memory_format=torch.channels_last).train()
    trainer = Trainer(network, minutes, lr, folder / "checkpoint.pt", most_steps, not_muon=("heads", "scene"))
    rng = np.random.default_rng((8, trainer.step_count))
    pictures = _Pictures(rng, _FIRST_SEED + trainer.step_count * 1000)
    if soft_scenes:
        from holocine import load_pipeline

        pictures.add_soft(soft_scenes, load_pipeline().vae)
    pictures.add(4 * batch)
    for step in trainer.steps(lambda: write_locator(network, out)):
        pictures.add(1)
        chosen = pictures.batch(batch)
        maps = network(prepared(np.stack([one.frame for one in chosen])).to(memory_format=torch.channels_last))
        terms = losses(maps, targets(chosen))
        trainer.step(sum(terms.values()))
        if step % 25 == 0:
            said = ", ".join(f"{name} {float(value.detach()):.3f}" for name, value in terms.items())
            progress(f"step {step}, {trainer.spent_minutes:.1f} of {minutes:g} min: {said}")
