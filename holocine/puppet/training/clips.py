"""Whole-clip passes through Wan's causal VAE, for training.

diffusers encodes and decodes four frames at a time and hands features over in caches. For a clip that fits in memory
the same numbers come from one pass over the whole clip, which is faster and easier to differentiate: the causal
convolutions see zeros before the first frame, and the temporal resamplers leave the first frame alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanResample, patchify, unpatchify


def _conv(self: WanCausalConv3d, x: torch.Tensor, cache_x: torch.Tensor | None = None) -> torch.Tensor:
    if x.shape[2] == 1 and self._padding[4] > 0 and self.stride[0] == 1:
        # A lone first frame has only zeros before it: the last temporal tap is all there is.
        flat = F.conv2d(x.squeeze(2), self.weight[:, :, -1], self.bias, padding=self._padding[2:0:-2])
        return flat.unsqueeze(2)
    return F.conv3d(F.pad(x, self._padding), self.weight, self.bias, self.stride)


def _resample(self: WanResample, x: torch.Tensor, feat_cache=None, feat_idx=None) -> torch.Tensor:
    batch, channels = x.shape[:2]
    if self.mode == "upsample3d" and x.shape[2] > 1:
        first, rest = x[:, :, :1], self.time_conv(x[:, :, 1:])
        pairs = rest.reshape(batch, 2, channels, *rest.shape[2:]).permute(0, 2, 3, 1, 4, 5)
        x = torch.cat([first, pairs.reshape(batch, channels, -1, *rest.shape[3:])], 2)
    frames = x.shape[2]
    flat = self.resample(x.transpose(1, 2).flatten(0, 1))
    x = flat.unflatten(0, (batch, frames)).transpose(1, 2)
    if self.mode == "downsample3d" and frames > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], 2)
    return x


@contextmanager
def whole_clips() -> Iterator[None]:
    """Within this context Wan's VAE layers treat their input as a whole clip rather than as a chunk."""
    conv, resample = WanCausalConv3d.forward, WanResample.forward
    WanCausalConv3d.forward, WanResample.forward = _conv, _resample
    try:
        yield
    finally:
        WanCausalConv3d.forward, WanResample.forward = conv, resample


def encode_clip(vae: AutoencoderKLWan, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior mean and log variance (B, z, latent frames, h, w) of clips (B, 3, 4t+1, H, W) in [-1, 1]."""
    with whole_clips():
        moments = vae.quant_conv(vae.encoder(patchify(video, vae.config.patch_size or 1)))
    mean, logvar = moments.float().chunk(2, 1)
    return mean, logvar.clamp(-30, 20)


def decode_clip(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Clips (B, 3, 4t+1, H, W) of latents, not clamped."""
    with whole_clips():
        return unpatchify(vae.decoder(vae.post_quant_conv(latents), first_chunk=True), vae.config.patch_size or 1)


@torch.no_grad()
def reconstruct(vae: AutoencoderKLWan, frames: np.ndarray) -> np.ndarray:
    """What a VAE makes of a video, uint8 (4t + 1 frames, H, W, 3) like it."""
    video = torch.from_numpy(frames).to(vae.device).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    output = decode_clip(vae, encode_clip(vae, video)[0])[0].clamp(-1, 1)
    return ((output.permute(1, 2, 3, 0) + 1) * 127.5).round().byte().cpu().numpy()
