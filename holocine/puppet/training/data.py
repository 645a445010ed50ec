"""Training data: shards of rendered scenes, each shard one timeline, so that a batch shares its shot layout.

A shard is `NNNNN.npy`, uint8 (SHARD_SCENES, frames, HEIGHT, WIDTH, 3); everything else about it follows from its
number alone, so any number of processes may render different numbers at any time. Stills are drawn from scenes of their
own: few pictures of many scenes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from holocine.puppet.renderer import render
from holocine.puppet.world import MIN_SHOT_FRAMES, MOST_SHOTS, Scene, sample_lengths, sample_scene

SHARD_SCENES = 16
TRAINING_SEED = 1_000_000  # scenes with seeds below are never trained on
STILLS_PER_SHOT = 2
STILLS_SCENES = 64
_STILLS_SEED = 1_000_000_000  # scenes of which only stills are drawn
FRAME_COUNTS = (33, 49, 65, 65, 65, 65, 81, 97)


def shard_lengths(shard: int) -> tuple[int, ...]:
    """The shot lengths shared by a shard's scenes."""
    rng = np.random.default_rng((9, shard))
    num_frames = int(rng.choice(FRAME_COUNTS))
    longest = min((num_frames - 1) // MIN_SHOT_FRAMES, MOST_SHOTS)
    return sample_lengths(rng, int(rng.integers(min(2, longest), longest + 1)), num_frames)


def shard_scenes(shard: int) -> list[Scene]:
    first = TRAINING_SEED + shard * SHARD_SCENES
    return [sample_scene(seed, lengths=shard_lengths(shard)) for seed in range(first, first + SHARD_SCENES)]


def render_shard(folder: Path, shard: int) -> Path:
    """Render a shard unless it is there already; complete or absent."""
    path = folder / f"{shard:05d}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        frames = np.stack([render(scene)[0] for scene in shard_scenes(shard)])
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as file:
            np.save(file, frames)
        os.replace(temporary, path)
    return path


def still_scenes(shard: int) -> list[Scene]:
    first = _STILLS_SEED + shard * STILLS_SCENES
    return [sample_scene(seed) for seed in range(first, first + STILLS_SCENES)]


def still_frames(shard: int) -> list[np.ndarray]:
    """Which frames of each of a shard's scenes are its stills: int64 (shots, STILLS_PER_SHOT), in order of time."""
    rng, chosen = np.random.default_rng((8, shard)), []
    for scene in still_scenes(shard):
        starts = (0, *scene.cuts)
        picks = [rng.choice(shot.num_frames, STILLS_PER_SHOT, replace=False) for shot in scene.shots]
        chosen.append(np.stack([start + np.sort(pick) for start, pick in zip(starts, picks, strict=True)]))
    return chosen
