"""Training of the decoder alone: pictures as sharp as the theatre's, from the latents that the encoder makes already.

A decoder that learns values alone answers with the mean of what a latent can stand for, which is soft. Three terms ask
for more than that: as much gradient in every small window and in every clip as the truth has there, the features of
the judge's first layers, and a critic of small patches of video (Isola et al., 2017, section 3.2.2) with a hinge loss
(Lim and Ye, 2017) that tells decoded clips from rendered ones.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from torch import nn

from holocine.puppet.judge import CLIP_FRAMES, Judge, load_judge
from holocine.puppet.training.clips import decode_clip, encode_clip
from holocine.puppet.training.optimisers import autocast, fast_bfloat16
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.training.vae import FrameBank, averaged, channels_last, detail_weight, reconstruction_loss

logger = logging.getLogger(__name__)

# Strongest noise on the latents, relative to their own spread: generated latents are not quite right.
_LATENT_NOISE = 0.1
# How strongly each term pulls at the pixels, where the pull of the values is 1. With 0.6, 0.4 and 0.4 the gradient
# energy of crops stood still at three quarters of the truth's.
_ENERGY, _FEATURES, _CRITIC = 4.0, 0.4, 1.0
_WHOLE = 0.05  # weight of the energy of whole clips beside that of their windows
_CRITIC_HASTE = 3.0  # learning rate over the decoder's: it begins from nothing
_WINDOWS = (3, 7)  # pixels, in which gradients are summed
_CRITIC_RAMP = 0.1  # share of the time in which the critic learns before its full weight counts
# Clips of a step, (count, frames, height, width), and how often they come.
_BATCHES = {
    "cpu": ((0.1, (8, 1, 64, 112)), (0.2, (2, 33, 32, 48)), (0.7, (4, 17, 32, 48))),
    "cuda": ((0.1, (96, 1, 64, 112)), (0.2, (4, 33, 64, 112)), (0.7, (8, 17, 64, 112))),
}


def gradient_magnitudes(video: torch.Tensor, window: int) -> torch.Tensor:
    """Root mean square of the differences of neighbouring pixels in each window of `window` pixels.

    video: (B, 3, T, H, W). Returns (B, 3, T, H - 1, W - 1), windows at the border cut off there.
    """
    down, across = video.diff(dim=-2)[..., :, 1:], video.diff(dim=-1)[..., 1:, :]
    squares = (down.square() + across.square()).flatten(0, 2).unsqueeze(1)
    means = F.avg_pool2d(squares, window, 1, window // 2, count_include_pad=False)
    return (means + 1e-5).sqrt().view(down.shape)


def clip_energies(video: torch.Tensor) -> torch.Tensor:
    """Mean squared differences of neighbouring pixels of each clip: (B, 3, T, H, W) -> (B,)."""
    return sum(video.diff(dim=axis).square().flatten(1).mean(1) for axis in (-2, -1))


def energy_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 between local gradient magnitudes, and between the logarithms of what whole clips (B, 3, T, H, W) have.

    An edge that is a pixel off costs little, one that is washed out much. Windows alone are answered with the median
    of what they may hold, and where detail is sparse that is too little of it in all.
    """
    errors = [(gradient_magnitudes(output, w) - gradient_magnitudes(target, w)).abs().mean() for w in _WINDOWS]
    whole = [(clip_energies(video) + 1e-5).log() for video in (output, target)]
    return torch.stack(errors).mean() + _WHOLE * (whole[0] - whole[1]).abs().mean()


class JudgeFeatures(nn.Module):
    """What the first stages of the judge make of a clip (B, 3, T, H, W) in [-1, 1]: a list of feature maps."""

    def __init__(self, judge: Judge, stages: int = 3) -> None:
        super().__init__()
        self.judge, self.stages = judge, stages
        self.eval().requires_grad_(False)

    def forward(self, clip: torch.Tensor) -> list[torch.Tensor]:
        chosen = np.round(np.linspace(0, clip.shape[2] - 1, CLIP_FRAMES)).astype(int)
        pictures = (clip[:, :, chosen].permute(0, 2, 3, 4, 1) + 1) / 2
        return self.judge.features(pictures)[: self.stages]

    def difference(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean error of the features, relative to their size."""
        with torch.no_grad():
            wanted = self(target)
        pairs = zip(self(output), wanted, strict=True)
        return torch.stack([(a - b).abs().mean() / b.abs().mean().clamp(min=1e-3) for a, b in pairs]).mean()


class Critic(nn.Module):
    """Clips (B, 3, T, H, W) in [-1, 1] -> a number for every patch of them, high for what looks rendered."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()

        def conv(inside: int, out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> nn.Module:
            padding = tuple((k - 1) // 2 for k in kernel)
            return nn.Conv3d(inside, out, kernel, stride, padding)

        self.layers = nn.Sequential(
            conv(3, width, (1, 4, 4), (1, 2, 2)),
            nn.LeakyReLU(0.2),
            conv(width, 2 * width, (3, 4, 4), (2, 2, 2)),
            nn.LeakyReLU(0.2),
            conv(2 * width, 2 * width, (3, 3, 3), (1, 1, 1)),
            nn.LeakyReLU(0.2),
            conv(2 * width, 1, (1, 3, 3), (1, 1, 1)),
        )

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        # Rendered pictures have whole numbers for values; that is not what they are to be told apart by.
        return self.layers(clips + 0.02 * torch.randn_like(clips))


def hinge_loss(rendered: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Loss of a critic that gave these numbers: it wants 1 and more for rendered patches, -1 and less for decoded."""
    return F.relu(1 - rendered).mean() + F.relu(1 + decoded).mean()


def pull(output: torch.Tensor, losses: list[tuple[float, torch.Tensor]]) -> torch.Tensor:
    """Gradient of a sum of losses at `output`, each scaled to pull as hard as its number times the first one does.

    The first loss keeps its own size, so the shares hold whatever units the others are in. output: a leaf that they
    were computed from.
    """
    total, size = None, None
    for share, loss in losses:
        (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
        if total is None:
            total, size = share * gradient, gradient.norm()
        else:
            total = total + share * size / gradient.norm().clamp(min=1e-12) * gradient
    return total


def train_decoder(
    folder: Path,
    frames: Path,
    minutes: float,
    start: Path,
    judge: Path,
    lr: float = 1e-3,
    most_steps: int | None = None,
    device: str | torch.device = "cpu",
    batch_scale: int = 1,
) -> None:
    """Train until `minutes` of compute are used in all, resuming from `folder`/state.pt, or else from the VAE `start`.

    The encoder, and so the latent space, stays as it is. judge: weights of the judge whose features are compared.
    `most_steps` ends this call early, as if it had been interrupted. `batch_scale`: how many times the batch that suits
    one core.
    """
    device = torch.device(device)
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKLWan.from_pretrained(start, torch_dtype=torch.float32)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    critic, features = Critic().to(device), JudgeFeatures(load_judge(judge)).to(device)
    vae.to(device)
    if fast_bfloat16(device):
        channels_last(vae)
        channels_last(critic)
    trainer = Trainer(vae, minutes, lr, folder / "state.pt", most_steps)
    rival = Trainer(critic, minutes, _CRITIC_HASTE * lr, folder / "critic.pt", most_steps)
    bank = FrameBank(frames, np.random.default_rng(), device)
    std = torch.tensor(vae.config.latents_std, device=device).view(1, -1, 1, 1, 1)
    seen: list[torch.Tensor] = []

    def save() -> None:
        bank.refresh()
        rival.save()
        averaged(vae, trainer.average).save_pretrained(folder / "model")

    for step in trainer.steps(save):
        shares, sizes = zip(*_BATCHES[device.type], strict=True)
        count, *size = sizes[bank.rng.choice(len(sizes), p=shares)]
        video = bank.clips(count * batch_scale, *size)
        with torch.no_grad(), autocast(device):
            mu, _ = encode_clip(vae, video)
        strength = _LATENT_NOISE * torch.rand(mu.shape[0], 1, 1, 1, 1, device=device)
        with autocast(device):
            decoded = decode_clip(vae, mu + torch.randn_like(mu) * strength * std).float()
        pixels = decoded.detach().requires_grad_()
        ramp = min(trainer.progress / _CRITIC_RAMP, 1.0)
        values, energy = reconstruction_loss(pixels, video, detail_weight(video)), energy_loss(pixels, video)
        losses, doubt = [(1.0, values), (_ENERGY, energy)], values.new_zeros(())
        if video.shape[2] > 1:
            difference = features.difference(pixels, video)
            critic.requires_grad_(False)
            losses += [(_FEATURES, difference), (_CRITIC * ramp, -critic(pixels).mean())]
            critic.requires_grad_(True)
            push = pull(pixels, losses)
            doubt = hinge_loss(critic(video), critic(pixels.detach()))
            rival.step(doubt)
        else:
            push = pull(pixels, losses)
        trainer.step((decoded * push).sum())
        with torch.no_grad():
            error = (pixels.clamp(-1, 1) - video).square().mean() / 4
            sharp = (pixels.diff(dim=-1).square().sum() / video.diff(dim=-1).square().sum()).clamp(max=9)
            seen.append(torch.stack([error.log10() * -10, sharp, values, energy, doubt]))
        if step % 25 == 0:
            means = torch.stack(seen).mean(0).tolist()
            logger.info(
                "decoder step %d, %.1f min: PSNR %.2f dB, sharpness %.3f, values %.4f, energy %.4f, critic %.3f",
                step,
                trainer.spent_minutes,
                *means,
            )
            seen.clear()
