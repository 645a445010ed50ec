"""Latents -> pixels -> frames, one latent frame after the other.

Wan's VAE is causal: a latent frame needs of those before it no more than two frames of features in each convolution.
So a video can be decoded while it is written, in memory that does not grow with its length, and the pixels are those of
`AutoencoderKLWan.decode` bit for bit, which keeps all of them until the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, unpatchify


@torch.no_grad()
def decode_in_turn(vae, latents: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the pixels (batch, 3, frames, height, width), -1 to 1, of each latent frame: one of the first, then four.

    latents: (batch, channels, latent frames, height, width), scaled as the VAE has them. A VAE of another class, or one
    that takes a batch apart, yields the whole video at once.
    """
    if not isinstance(vae, AutoencoderKLWan) or (vae.use_slicing and len(latents) > 1):
        yield vae.decode(latents, return_dict=False)[0]
        return
    if (hook := getattr(vae, "_hf_hook", None)) is not None:  # of `decode`, which brings an offloaded VAE to its GPU
        hook.pre_forward(vae)
    grid = _Grid.of(vae, *latents.shape[-2:])
    tiles = [[_Tile(rows, columns) for columns in grid.columns] for rows in grid.rows]
    ready = latents if grid.is_tiled else vae.post_quant_conv(latents)
    for index in range(latents.shape[2]):
        frame = ready[:, :, index : index + 1]
        decoded = [[_decode_tile(vae, frame, tile, index == 0, grid.is_tiled) for tile in row] for row in tiles]
        pixels = grid.joined(vae, decoded) if grid.is_tiled else decoded[0][0]
        if vae.config.patch_size is not None:
            pixels = unpatchify(pixels, patch_size=vae.config.patch_size)
        yield pixels.clamp(-1.0, 1.0)


@dataclass
class _Tile:
    """A part of the picture, in latent pixels, and the features that the next latent frame needs of those before."""

    rows: slice
    columns: slice
    features: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Grid:
    """How `AutoencoderKLWan.tiled_decode` cuts a picture; of a picture that is decoded whole, one tile.

    rows, columns: of each tile, in latent pixels. stride, blend, size: (height, width) in the decoder's pixels of what
    a tile adds to the picture, of its overlap with the one before, and of the picture.
    """

    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    stride: tuple[int, int] = (0, 0)
    blend: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)
    is_tiled: bool = False

    @classmethod
    def of(cls, vae: AutoencoderKLWan, height: int, width: int) -> _Grid:
        scale, patch = vae.spatial_compression_ratio, vae.config.patch_size or 1
        least = [side // scale for side in (vae.tile_sample_min_height, vae.tile_sample_min_width)]
        if not (vae.use_tiling and (height > least[0] or width > least[1])):
            return cls((slice(0, height),), (slice(0, width),))
        strides = vae.tile_sample_stride_height, vae.tile_sample_stride_width
        cuts = [
            tuple(slice(at, at + extent) for at in range(0, side, stride // scale))
            for side, extent, stride in zip((height, width), least, strides, strict=True)
        ]
        stride = tuple(side // patch for side in strides)
        tile = vae.tile_sample_min_height // patch, vae.tile_sample_min_width // patch
        return cls(
            *cuts,
            stride=stride,
            blend=tuple(whole - step for whole, step in zip(tile, stride, strict=True)),
            size=(height * scale // patch, width * scale // patch),
            is_tiled=True,
        )

    def joined(self, vae: AutoencoderKLWan, tiles: list[list[torch.Tensor]]) -> torch.Tensor:
        """The picture of its tiles, each blended with the one above and the one to the left."""
        bands = []
        for i, row in enumerate(tiles):
            for j, tile in enumerate(row):
                if i > 0:  # in place, so that the next tiles see this one blended
                    vae.blend_v(tiles[i - 1][j], tile, self.blend[0])
                if j > 0:
                    vae.blend_h(row[j - 1], tile, self.blend[1])
            bands.append(torch.cat([tile[..., : self.stride[0], : self.stride[1]] for tile in row], dim=-1))
        return torch.cat(bands, dim=-2)[..., : self.size[0], : self.size[1]]


def _decode_tile(vae: AutoencoderKLWan, frame: torch.Tensor, tile: _Tile, first: bool, tiled: bool) -> torch.Tensor:
    """The pixels of one tile of one latent frame."""
    part = frame[..., tile.rows, tile.columns]
    if tiled:
        part = vae.post_quant_conv(part)
    if first:
        tile.features = [None for module in vae.decoder.modules() if isinstance(module, WanCausalConv3d)]
    pixels = vae.decoder(part, feat_cache=tile.features, feat_idx=[0], first_chunk=first)
    if tiled and pixels.device.type != "cpu":
        # Tiles are for GPUs with little memory: there only the one that is decoded has its features.
        tile.features = [x.to("cpu") if isinstance(x, torch.Tensor) else x for x in tile.features]
    return pixels


def to_uint8(video: torch.Tensor) -> np.ndarray:
    """Turn (batch, 3, frames, height, width) in [-1, 1] into uint8 (batch, frames, height, width, 3)."""
    return _levels(video).cpu().numpy()


def _levels(video: torch.Tensor) -> torch.Tensor:
    video = (video.clamp(-1, 1).float() + 1) * 127.5
    return video.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()


def one_ahead(parts: Iterator[torch.Tensor]) -> Iterator[np.ndarray]:
    """Yield `to_uint8` of each part; a GPU is at the next one while a part is read."""
    before = None
    for part in parts:
        if part.device.type != "cuda":
            yield to_uint8(part)
            continue
        frames = _levels(part)
        held = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True).copy_(frames, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        if before is not None:
            yield _when_arrived(*before)
        before = held, arrived
    if before is not None:
        yield _when_arrived(*before)


def _when_arrived(held: torch.Tensor, arrived: torch.cuda.Event) -> np.ndarray:
    arrived.synchronize()
    return held.numpy()
