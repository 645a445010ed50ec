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

from holocine.puppet.renderer import FrameTruth, render, trace
from holocine.puppet.training.clips import encode_clip
from holocine.puppet.training.data import SHARD_SCENES, STILLS_PER_SHOT, shard_scenes, still_frames, still_scenes
from holocine.puppet.training.optimisers import autocast
from holocine.puppet.world import HEIGHT, WIDTH, Scene

GRID = (4, 7)  # tokens of a latent frame, rows by columns


@torch.no_grad()
def normalised_latents(vae: AutoencoderKLWan, frames: np.ndarray) -> torch.Tensor:
    """Latents (B, z, T, h, w) of unit variance, where the VAE is, of uint8 clips (B, frames, H, W, 3)."""
    pixels = torch.from_numpy(frames).to(vae.device)
    with autocast(vae.device):
        mean, _ = encode_clip(vae, pixels.permute(0, 4, 1, 2, 3).float() / 127.5 - 1)
    statistics = (vae.config.latents_mean, vae.config.latents_std)
    shift, scale = (torch.tensor(v, device=vae.device).view(1, -1, 1, 1, 1) for v in statistics)
    return (mean - shift) / scale


def puppet_map(truth: FrameTruth) -> np.ndarray:
    """Which of the scene's puppets each token shows in its middle, -1 for none: int8 (GRID)."""
    cell_y, cell_x = HEIGHT / GRID[0], WIDTH / GRID[1]
    y, x = (np.arange(GRID[0])[:, None] + 0.5) * cell_y, (np.arange(GRID[1]) + 0.5) * cell_x
    found = np.full(GRID, -1, np.int8)
    for puppet in truth.puppets:  # in the order in which they are drawn
        x0, y0, x1, y1 = puppet.box
        # A puppet smaller than a token still has one: the box is at least a cell wide.
        wide, high = max(0.0, cell_x - (x1 - x0)) / 2, max(0.0, cell_y - (y1 - y0)) / 2
        found[(y >= y0 - high) & (y < y1 + high) & (x >= x0 - wide) & (x < x1 + wide)] = puppet.index
    return found


def scene_maps(scene: Scene) -> np.ndarray:
    """Puppet maps of a scene's latent frames (T, GRID): of the first frame, then of every group of four."""
    truths = trace(scene)
    return np.stack([puppet_map(truths[frame]) for frame in (0, *range(2, len(truths), 4))])


def render_stills(shard: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Stills of a shard's scenes, uint8 (shots, STILLS_PER_SHOT, H, W, 3) each, and their puppet maps."""
    pictures, maps = [], []
    for scene, chosen in zip(still_scenes(shard), still_frames(shard), strict=True):
        found, truths = render(scene, only=set(chosen.flatten().tolist()))
        pictures.append(found.reshape(*chosen.shape, *found.shape[1:]))
        maps.append(np.stack([puppet_map(truth) for truth in truths]).reshape(*chosen.shape, *GRID))
    return pictures, maps


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file; complete or absent."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def encode_scenes(vae: AutoencoderKLWan, folder: Path, shard: int, frames: np.ndarray | None = None) -> None:
    """Write `scenes-NNNNN.npz` unless it is there: `latents` (scenes, z, T, h, w), float16, `who` (scenes, T, GRID)."""
    path = folder / f"scenes-{shard:05d}.npz"
    if path.exists():
        return
    scenes = shard_scenes(shard)
    if frames is None:
        frames = np.stack([render(scene)[0] for scene in scenes])
    latents = torch.cat([normalised_latents(vae, frames[i : i + 2]).cpu() for i in range(0, SHARD_SCENES, 2)])
    save_arrays(path, latents=latents.half().numpy(), who=np.stack([scene_maps(scene) for scene in scenes]))


def encode_stills(vae: AutoencoderKLWan, folder: Path, shard: int) -> None:
    """Write `stills-NNNNN.npz`: `latents` (n, z, 1, h, w), float16, with the `who` (GRID), `scene`, `shot` of each."""
    path = folder / f"stills-{shard:05d}.npz"
    if path.exists():
        return
    pictures, maps = render_stills(shard)
    shots = [len(found) for found in pictures]
    clips = np.concatenate([found.reshape(-1, 1, *found.shape[2:]) for found in pictures])
    latents = torch.cat([normalised_latents(vae, clips[i : i + 32]).cpu() for i in range(0, len(clips), 32)])
    save_arrays(
        path,
        latents=latents.half().numpy(),
        who=np.concatenate([found.reshape(-1, *GRID) for found in maps]),
        scene=np.repeat(np.arange(len(shots)), np.array(shots) * STILLS_PER_SHOT),
        shot=np.concatenate([np.repeat(np.arange(count), STILLS_PER_SHOT) for count in shots]),
    )
