"""Training of the theatre's VAE, a small AutoencoderKLWan: 8x space, 4x time, causal."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan

from holocine.puppet.training.clips import decode_clip, encode_clip
from holocine.puppet.training.optimisers import Average, autocast, fast_bfloat16
from holocine.puppet.training.trainer import Trainer

logger = logging.getLogger(__name__)

LATENT_CHANNELS = 16
VAE_CONFIG = {
    "base_dim": 16,
    "decoder_base_dim": 24,
    "z_dim": LATENT_CHANNELS,
    "dim_mult": [1, 2, 2],
    "num_res_blocks": 1,
    "temperal_downsample": [True, True],
    "is_residual": True,
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 8,
    "latents_mean": [0.0] * LATENT_CHANNELS,
    "latents_std": [1.0] * LATENT_CHANNELS,
}
_KL_WEIGHT = 1e-4
# Strongest noise on the latents that the decoder learns from, relative to their own spread. It will meet latents that
# are not quite right; and an encoder that has to survive noise arranges its latents so that a diffusion model learns
# them more easily.
_LATENT_NOISE = 0.2
# HoloCine's sparse attention does not show a shot how the one before it ended, so a shot's latents should not depend on
# that either: how much the difference counts between openings that follow different shots, and in which share of the
# batches of clips two shots are joined to measure it.
_OPENING_WEIGHT, _JOINED_SHARE = 0.5, 0.5
# How much more a pixel counts where the picture is busiest: small puppets, not the sky.
_DETAIL_WEIGHT = 4.0
_LOOK_SECONDS = 20  # between looks for new shards
_KEPT_SHARDS = 240  # on a GPU
# Clips of a step, (count, frames, height, width): single frames, long clips, clips. A core sees crops, so that a batch
# shows many scenes.
_BATCHES = {
    "cpu": ((12, 1, 64, 112), (2, 33, 32, 48), (4, 17, 32, 48)),
    "cuda": ((96, 1, 64, 112), (4, 33, 64, 112), (8, 17, 64, 112)),
}
_BUSY = 0.12  # mean step to the next pixel, of values in [-1, 1]


class FrameBank:
    """Random frames and clips from the shards rendered so far; a GPU keeps the shards it has seen."""

    def __init__(self, folder: Path, rng: np.random.Generator, device: torch.device) -> None:
        self.folder, self.rng, self.device = folder, rng, device
        self.kept: dict[Path, torch.Tensor] = {}
        self.refresh()

    def refresh(self) -> None:
        """Notice shards that have been rendered since."""
        self.paths, self.looked = sorted(self.folder.glob("*.npy")), time.monotonic()
        if self.device.type == "cuda":
            self.paths = self.paths[:_KEPT_SHARDS]
        if not self.paths:
            raise FileNotFoundError(f"{self.folder} holds no rendered shards: run the render stage first")

    def _shard(self, path: Path) -> torch.Tensor | np.ndarray:
        if self.device.type != "cuda":
            return np.load(path, mmap_mode="r")
        if path not in self.kept:
            self.kept[path] = torch.from_numpy(np.load(path)).to(self.device)
        return self.kept[path]

    def clips(self, count: int, frames: int, height: int, width: int) -> torch.Tensor:
        """Clips (count, 3, frames, height, width) in [-1, 1], each a random crop in space and time.

        A clip of several frames starts at a multiple of four, so that a cut falls between two latent frames in it just
        as in the whole video: the decoder need not learn to part two shots that share a latent frame.
        """
        if time.monotonic() - self.looked > _LOOK_SECONDS:
            self.refresh()
        found = []
        while len(found) < count:
            shard = self._shard(self.paths[self.rng.integers(len(self.paths))])
            if shard.shape[1] < frames:
                continue
            scene, stride = self.rng.integers(shard.shape[0]), 4 if frames > 1 else 1
            start = stride * self.rng.integers((shard.shape[1] - frames) // stride + 1)
            y = self.rng.integers(0, shard.shape[2] - height + 1)
            x = self.rng.integers(0, shard.shape[3] - width + 1)
            found.append(shard[scene, start : start + frames, y : y + height, x : x + width])
        pixels = torch.from_numpy(np.stack(found)) if self.device.type != "cuda" else torch.stack(found)
        return pixels.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """L1 on values and on their differences along rows, columns and time: edges and motion count.

    weight: of each pixel, (B, 1, T, H, W); all alike if None.
    """
    error = output - target
    weight = torch.ones_like(error[:, :1]) if weight is None else weight / weight.mean()
    loss = (error.abs() * weight).mean() + 0.5 * (error.square() * weight).mean()
    for axis in (-1, -2, 2):
        if error.shape[axis] > 1:
            here = weight.narrow(axis, 1, weight.shape[axis] - 1)
            loss = loss + 0.5 * (error.diff(dim=axis).abs() * here).mean()
    return loss


def detail_weight(video: torch.Tensor) -> torch.Tensor:
    """How much each pixel of `video` (B, 3, T, H, W) counts, (B, 1, T, H, W): most within two pixels of edges."""
    grey, steps = video.mean(1), torch.zeros_like(video[:, 0])
    steps[..., 1:, :] += grey.diff(dim=-2).abs()
    steps[..., :, 1:] += grey.diff(dim=-1).abs()
    busy = F.avg_pool2d(F.pad(steps, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return (1 + _DETAIL_WEIGHT * (busy / _BUSY).clamp(max=1)).unsqueeze(1)


def psnr(output: torch.Tensor, target: torch.Tensor) -> float:
    """dB, for values in [-1, 1]."""
    return float(-10 * torch.log10((output.clamp(-1, 1) - target).square().mean() / 4))


def join_shots(clips: torch.Tensor, cut: int) -> torch.Tensor:
    """Clips (B, C, T, H, W), B a multiple of four, that all have a cut at frame `cut`: what comes after it is another
    clip's, and the same in every pair of neighbours.
    """
    count = len(clips)
    after = (torch.arange(count, device=clips.device) // 2 * 2 + count // 2) % count
    return torch.cat([clips[:, :, :cut], clips[after, :, cut:]], 2)


def opening_difference(mu: torch.Tensor, cut: int) -> torch.Tensor:
    """Share of the variance of the first two latents from frame `cut` (4t+1) on that is owed to what came before it.

    mu: of clips from `join_shots`, (B, z, T, h, w).
    """
    opening = mu[:, :, (cut - 1) // 4 + 1 :][:, :, :2]
    return 0.5 * (opening[0::2] - opening[1::2]).square().mean() / opening.var((0, 2, 3, 4)).mean()


def _next_batch(bank: FrameBank, progress: float, batch_scale: int) -> torch.Tensor:
    """Single frames first; then mostly clips."""
    stills, long, clips = _BATCHES[bank.device.type]
    if progress < 0.22 or bank.rng.random() < 0.12:
        count, *size = stills
    else:
        count, *size = long if bank.rng.random() < 0.2 else clips
    return bank.clips(count * batch_scale, *size)


def train_vae(
    folder: Path,
    frames: Path,
    minutes: float,
    lr: float = 2e-3,
    most_steps: int | None = None,
    start: Path | None = None,
    device: str | torch.device = "cpu",
    batch_scale: int = 1,
) -> None:
    """Train until `minutes` of compute are used in all, resuming from `folder`/state.pt, or else from `start`.

    `most_steps` ends this call early, as if it had been interrupted. `batch_scale`: how many times the batch that suits
    one core.
    """
    device = torch.device(device)
    folder.mkdir(parents=True, exist_ok=True)
    vae = (
        AutoencoderKLWan.from_pretrained(start, torch_dtype=torch.float32) if start else AutoencoderKLWan(**VAE_CONFIG)
    )
    vae.to(device)
    if fast_bfloat16(device):
        channels_last(vae)
    trainer = Trainer(vae, minutes, lr, folder / "state.pt", most_steps)
    bank = FrameBank(frames, np.random.default_rng(), device)
    errors: list[torch.Tensor] = []
    differences: list[torch.Tensor] = []

    def save() -> None:
        bank.refresh()
        _save_model(vae, trainer.average, folder, bank)

    for step in trainer.steps(save):
        video, cut = _next_batch(bank, 1.0 if start else trainer.progress, batch_scale), None
        if len(video) % 4 == 0 and video.shape[2] > 1 and bank.rng.random() < _JOINED_SHARE:
            cut = 4 * int(bank.rng.integers(video.shape[2] // 4)) + 1
            video = join_shots(video, cut)
        with autocast(device):
            mu, logvar = encode_clip(vae, video)
        # Not detached: against noise of a fixed size, louder latents would pay.
        spread = mu.std((0, 2, 3, 4), keepdim=True)
        strength = _LATENT_NOISE * torch.rand(mu.shape[0], 1, 1, 1, 1, device=device)
        latents = mu + torch.randn_like(mu) * strength * spread
        loss = _KL_WEIGHT * 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
        if cut:
            difference = opening_difference(mu, cut)
            loss = loss + _OPENING_WEIGHT * difference
            differences.append(difference.detach())
        with autocast(device):
            output = decode_clip(vae, latents).float()
        trainer.step(loss + reconstruction_loss(output, video, detail_weight(video)))
        errors.append((output.detach().clamp(-1, 1) - video).square().mean())
        if step % 50 == 0:
            kind = f"{video.shape[2]} frames"
            logger.info(
                "vae step %d, %.1f min, %s, PSNR %.2f dB, latent std %.2f, %s of an opening owed to the shot before",
                step,
                trainer.spent_minutes,
                kind,
                float(-10 * (torch.stack(errors) / 4).log10().mean()),
                float(mu.detach().std()),
                f"{float(torch.stack(differences).mean()):.4f}" if differences else "-",
            )
            errors.clear()
            differences.clear()


def channels_last(vae: AutoencoderKLWan) -> None:
    """Lay the kernels out as the quick bfloat16 convolutions want them."""
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)


def averaged(vae: AutoencoderKLWan, average: Average) -> AutoencoderKLWan:
    """A copy of the model with the averages of its parameters."""
    model = AutoencoderKLWan(**{k: v for k, v in vae.config.items() if not k.startswith("_")}).to(vae.device)
    model.load_state_dict(vae.state_dict())
    average.copy_to(model)
    return model


def _save_model(vae: AutoencoderKLWan, average: Average, folder: Path, bank: FrameBank) -> None:
    """Save the averaged model, with the latents' own statistics in its config."""
    model = averaged(vae, average)
    with torch.no_grad():
        video = bank.clips(6, 33, 64, 112)
        mu, _ = encode_clip(model, video)
        model.register_to_config(latents_mean=mu.mean((0, 2, 3, 4)).tolist(), latents_std=mu.std((0, 2, 3, 4)).tolist())
        logger.info("vae saved: PSNR of whole 33-frame clips %.2f dB", psnr(decode_clip(model, mu), video))
    model.save_pretrained(folder / "model")
