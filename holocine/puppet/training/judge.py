"""Training of the judge, on pictures blurred and noised so that it does not live on details a generator may miss.

With a VAE a third of the clips are what it makes of rendered scenes: pictures that a generator can make, with answers
that are known.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

from holocine.puppet.facts import FACTS, shot_answers, shot_facts
from holocine.puppet.judge import WEIGHTS, Judge, clip_frames, load_judge, read_shots
from holocine.puppet.renderer import render
from holocine.puppet.training.clips import reconstruct
from holocine.puppet.training.data import TRAINING_SEED, shard_scenes
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.world import Scene, sample_scene

logger = logging.getLogger(__name__)

_FIRST_SEED = 3_000_000_000  # scenes made up for the judge alone
_BLUR, _DECODED_BLUR = 1.4, 0.7  # pixels: of rendered clips, and of those that a VAE has softened already
_MOST_DECODED = 3_000  # shots kept, the newest: 0.5 GB
_DECODED_SHARE = 0.4  # of the steps that wait for one scene more

_scenes = lru_cache(maxsize=None)(shard_scenes)


class _Shots:
    """Clips of shots with their answers: from the rendered shards, from a VAE and of scenes made up on the spot.

    Without shards, or without a VAE, scenes made up on the spot take their place.
    """

    def __init__(self, frames: Path, rng: np.random.Generator, vae: AutoencoderKLWan | None = None) -> None:
        self.rng = rng
        self.paths = sorted(frames.glob("*.npy"))
        self.seeds = itertools.count(_FIRST_SEED)
        self.vae = vae
        self.decoded: deque[tuple[np.ndarray, list[int]]] = deque(maxlen=_MOST_DECODED)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        clips, answers = [], []
        for clip, answer in self._decoded(count // 3):
            clips.append(_degrade(_shifted(clip, self.rng), self.rng, _DECODED_BLUR))
            answers.append(answer)
        half = (len(clips) + count) // 2  # of what is left
        while self.paths and len(clips) < half:
            path = self.paths[self.rng.integers(len(self.paths))]
            shard, scenes = np.load(path, mmap_mode="r"), _scenes(int(path.stem))
            for number in self.rng.choice(len(scenes), 4, replace=False):
                self._add(clips, answers, scenes[number], lambda chosen, n=number, s=shard: s[n][chosen])
        while len(clips) < count:
            scene = sample_scene(next(self.seeds))
            self._add(clips, answers, scene, lambda chosen, s=scene: _rendered(s, chosen))
        return torch.from_numpy(np.stack(clips)), torch.tensor(answers)

    def _add(self, clips: list, answers: list, scene: Scene, frames: Callable[[np.ndarray], np.ndarray]) -> None:
        """Add a random shot of a scene."""
        index = int(self.rng.integers(len(scene.shots)))
        clip = frames(_chosen(scene, index))
        clips.append(_degrade(_shifted(clip, self.rng), self.rng, _BLUR))
        answers.append(shot_facts(scene, index))

    def _decoded(self, count: int) -> list[tuple[np.ndarray, list[int]]]:
        """Some of the shots that the VAE has made, now and then after one scene more: it takes longer than a step."""
        if self.vae is None:
            return []
        if not self.decoded or self.rng.random() < _DECODED_SHARE:
            scene = sample_scene(next(self.seeds))
            frames = reconstruct(self.vae, render(scene)[0])
            self.decoded.extend((frames[_chosen(scene, i)], shot_facts(scene, i)) for i in range(len(scene.shots)))
        return [self.decoded[i] for i in self.rng.integers(len(self.decoded), size=count)]


def _chosen(scene: Scene, index: int) -> np.ndarray:
    return clip_frames((0, *scene.cuts)[index], scene.shots[index].num_frames)


def _rendered(scene: Scene, chosen: np.ndarray) -> np.ndarray:
    return render(scene, only=set(chosen.tolist()))[0]


def _shifted(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The clip moved by a few pixels as a whole, its border repeated."""
    dy, dx = int(rng.integers(-3, 4)), int(rng.integers(-10, 11))
    rows = np.clip(np.arange(clip.shape[1]) + dy, 0, clip.shape[1] - 1)
    columns = np.clip(np.arange(clip.shape[2]) + dx, 0, clip.shape[2] - 1)
    return clip[:, rows][:, :, columns]


def _degrade(clip: np.ndarray, rng: np.random.Generator, blur: float) -> np.ndarray:
    """Blur, noise and a slight change of gain: what a decoder may do to a picture without changing what it shows.

    clip: uint8 (frames, H, W, 3); returns float32 of the same shape in [0, 1]. blur: the strongest, in pixels (sigma).
    """
    flat = np.ascontiguousarray(clip.transpose(1, 2, 0, 3)).reshape(*clip.shape[1:3], -1)
    if rng.random() < 0.7:
        flat = cv2.GaussianBlur(flat, (0, 0), float(rng.uniform(0.3, blur)))
    flat = flat.astype(np.float32) * np.float32((1 + 0.06 * rng.standard_normal()) / 255)
    flat += np.float32(0.04 * rng.random()) * rng.standard_normal(flat.shape, np.float32)
    return flat.reshape(*clip.shape[1:3], len(clip), 3).transpose(2, 0, 1, 3).clip(0, 1)


def train_judge(
    frames: Path,
    minutes: float,
    path: Path = WEIGHTS,
    batch: int = 48,
    lr: float = 2e-3,
    device: str | torch.device = "cpu",
    vae: Path | None = None,
) -> Judge:
    """Train for `minutes` of compute, from `path` if it is there; save half-precision weights to it.

    frames: folder of rendered shards. vae: folder of a VAE whose pictures are to be read, too.
    """
    rng = np.random.default_rng()
    decoder = AutoencoderKLWan.from_pretrained(vae, torch_dtype=torch.float32).eval().to(device) if vae else None
    judge, shots = load_judge(path) if path.exists() else Judge(), _Shots(frames, rng, decoder)
    judge.to(device).train()
    trainer = Trainer(judge, minutes, lr, not_muon=("heads",))
    for step in trainer.steps():
        clips, answers = (x.to(device) for x in shots.batch(batch))
        losses = [F.cross_entropy(x, answers[:, i]) for i, x in enumerate(judge(clips).values())]
        loss = torch.stack(losses).mean()
        trainer.step(loss)
        if step % 50 == 0:
            logger.info("judge step %d, %.1f min: loss %.4f", step, trainer.spent_minutes, float(loss.detach()))
    judge.cpu().eval()
    save_file({n: t.half().contiguous() if t.is_floating_point() else t for n, t in judge.state_dict().items()}, path)
    return judge


def check_judge(judge: Judge, num_scenes: int = 100, first_seed: int = 700_000) -> dict[str, float]:
    """Share of shots that the judge reads rightly on rendered scenes it has not seen, fact by fact."""
    assert first_seed + num_scenes <= TRAINING_SEED
    right = {name: [] for name in FACTS}
    for seed in range(first_seed, first_seed + num_scenes):
        scene: Scene = sample_scene(seed)
        for index, seen in enumerate(read_shots(judge, render(scene)[0], scene.cuts)):
            for name, answer in shot_answers(scene, index).items():
                right[name].append(seen[name] == answer)
    return {name: float(np.mean(values)) for name, values in right.items()}
