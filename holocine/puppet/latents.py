"""Latents to train the transformer on: whole scenes, and single frames encoded as single frames.

The first latent frame of a causal VAE codes one picture and the others code four, so a still is a latent of its own
kind: one cut out of the middle of a video would teach the model a wrong first frame.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from holocine.puppet.clips import encode_clip
from holocine.puppet.data import SHARD_SCENES, shard_scenes
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, sample_scene

STILLS_PER_SHOT = 2
_STILLS_SEED = 1_000_000_000  # scenes of which only stills are drawn
STILLS_SCENES = 64


def still_scenes(shard: int) -> list[Scene]:
    first = _STILLS_SEED + shard * STILLS_SCENES
    return [sample_scene(seed) for seed in range(first, first + STILLS_SCENES)]


def _to_video(frames: np.ndarray) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) -> (B, 3, T, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


@torch.no_grad()
def normalised_latents(vae: AutoencoderKLWan, frames: np.ndarray) -> torch.Tensor:
    """Latents (B, z, T, h, w) of unit variance of uint8 clips (B, frames, H, W, 3)."""
    mean, _ = encode_clip(vae, _to_video(frames).to(vae.device))
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    return (mean.cpu() - shift) / scale


def _save(path: Path, **arrays: np.ndarray) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def encode_scenes(vae: AutoencoderKLWan, folder: Path, shard: int, frames: np.ndarray | None = None) -> None:
    """Write `scenes-NNNNN.npz` with `latents` (SHARD_SCENES, z, T, h, w), float16, unless it is there."""
    path = folder / f"scenes-{shard:05d}.npz"
    if path.exists():
        return
    if frames is None:
        frames = np.stack([render(scene)[0] for scene in shard_scenes(shard)])
    latents = torch.cat([normalised_latents(vae, frames[i : i + 2]) for i in range(0, SHARD_SCENES, 2)])
    _save(path, latents=latents.half().numpy())


def encode_stills(vae: AutoencoderKLWan, folder: Path, shard: int) -> None:
    """Write `stills-NNNNN.npz`: `latents` (n, z, 1, h, w), float16, with the `scene` and `shot` of each."""
    path = folder / f"stills-{shard:05d}.npz"
    if path.exists():
        return
    rng = np.random.default_rng((8, shard))
    frames, owners, shots = [], [], []
    for number, scene in enumerate(still_scenes(shard)):
        starts = np.array([0, *scene.cuts])
        for index, (start, shot) in enumerate(zip(starts, scene.shots, strict=True)):
            chosen = start + rng.choice(shot.num_frames, STILLS_PER_SHOT, replace=False)
            frames.append(render(scene, only={int(c) for c in chosen})[0])
            owners += [number] * STILLS_PER_SHOT
            shots += [index] * STILLS_PER_SHOT
    pictures = np.concatenate(frames)[:, None]
    latents = torch.cat([normalised_latents(vae, pictures[i : i + 32]) for i in range(0, len(pictures), 32)])
    _save(path, latents=latents.half().numpy(), scene=np.array(owners), shot=np.array(shots))
