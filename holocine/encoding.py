"""Pictures -> latents: what is kept of a video, through the VAE that decodes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import torch
from diffusers.utils.torch_utils import get_module_execution_device

from .keeping import Placed
from .timeline import num_frames_of

# Latent frames of the still that a causal VAE sees before pictures that do not begin the video: their own first
# picture, held. What was before the cut would leave its traces in the latents, and is to be made anew.
LEAD = 2
FINGERPRINTED = ("quant_conv", "post_quant_conv", "decoder.conv_in", "decoder.conv_out")


@torch.no_grad()
def encode_frames(vae, frames: np.ndarray) -> torch.Tensor:
    """The normalised latents (channels, latent frames, height, width), on the CPU, of uint8 (4t + 1, H, W, 3)."""
    device = get_module_execution_device(vae)
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None]
    mean = vae.encode((pixels.float() / 127.5 - 1).to(device, vae.dtype)).latent_dist.mode().float().cpu()
    shift, scale = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    return ((mean - shift) / scale)[0]


def encode_pictures(vae, places: Sequence[Placed]) -> list[torch.Tensor]:
    """The latents of the pictures of each place, those that follow one another in one go.

    places: in the order of the video, as `holocine.keeping.placed` returns them.
    """
    runs: list[list[Placed]] = []
    for place in places:
        if runs and runs[-1][-1].latent_frames.stop == place.latent_frames.start:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [latents for run in runs for latents in _encode_run(vae, run)]


def _encode_run(vae, run: Sequence[Placed]) -> list[torch.Tensor]:
    frames = np.concatenate([place.pictures for place in run])
    lead = LEAD if run[0].latent_frames.start else 0
    if lead:
        still = np.repeat(frames[:1], num_frames_of(lead), axis=0)
        frames = np.concatenate([still, frames])
    latents = encode_frames(vae, frames)[:, lead:]
    return list(latents.split([len(place.latent_frames) for place in run], dim=1))


def vae_fingerprint(vae) -> str:
    """What tells the latents of one VAE from those of another: 16 hexadecimal digits, the same in every dtype."""
    config = {name: vae.config.get(name) for name in ("z_dim", "latents_mean", "latents_std", "scale_factor_spatial")}
    digest = hashlib.sha256(json.dumps(config, default=list).encode())
    for name in FINGERPRINTED:
        for parameter in vae.get_submodule(name).parameters():
            if not parameter.is_meta:  # as an offloaded module's may be
                digest.update(parameter.detach().to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]
