from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLWan

from holocine.puppet.training.clips import decode_clip, encode_clip
from holocine.puppet.training.vae import VAE_CONFIG


@pytest.mark.parametrize("frames", [1, 5, 13])
def test_whole_clips_give_what_chunks_of_four_frames_give(frames: int) -> None:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(**VAE_CONFIG).eval()
    video = torch.rand(2, 3, frames, 32, 48) * 2 - 1
    with torch.no_grad():
        chunked = vae.encode(video).latent_dist.mean
        latents, _ = encode_clip(vae, video)
        torch.testing.assert_close(latents, chunked, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            decode_clip(vae, chunked).clamp(-1, 1), vae.decode(chunked).sample, atol=1e-5, rtol=1e-4
        )


def test_the_vae_is_itself_again_afterwards() -> None:
    vae = AutoencoderKLWan(**VAE_CONFIG).eval()
    video = torch.rand(1, 3, 5, 16, 16)
    with torch.no_grad():
        before = vae.encode(video).latent_dist.mean
        encode_clip(vae, video)
        after = vae.encode(video).latent_dist.mean
    torch.testing.assert_close(before, after, atol=0, rtol=0)
