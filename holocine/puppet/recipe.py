"""The whole training recipe, stage by stage, resumable from its folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan

from holocine.puppet.assemble import assemble
from holocine.puppet.data import render_shard
from holocine.puppet.judge import train_judge
from holocine.puppet.latents import encode_scenes, encode_stills
from holocine.puppet.text import train_text_encoder, train_tokenizer
from holocine.puppet.train_transformer import train_transformer
from holocine.puppet.train_vae import train_vae

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Minutes of computing for every trained part, and how much data they are given."""

    scene_shards: int = 300
    still_shards: int = 80
    vae: float = 240
    decoder: float = 240
    text: float = 15
    judge: float = 10
    transformer: float = 480


def run(folder: Path, recipe: Recipe, out: Path, progress: Callable[[str], None] = logger.info) -> None:
    """Train everything and write the pipeline folder `out`. What is complete in `folder` is not done again.

    folder: gets `frames`, `vae`, `decoder`, `text`, `latents`, `transformer` and `judge.safetensors`.
    """
    frames, latents = folder / "frames", folder / "latents"
    for shard in range(recipe.scene_shards):
        progress(f"rendering: shard {shard + 1} of {recipe.scene_shards}")
        render_shard(frames, shard)
    progress("training the VAE")
    train_vae(folder / "vae", frames, recipe.vae)
    train_vae(folder / "decoder", frames, recipe.decoder, decoder_only=True)
    if not (folder / "text" / "text_encoder" / "config.json").exists():
        progress("training the text encoder")
        train_text_encoder(train_tokenizer(), recipe.text, folder / "text")
    if not (folder / "judge.safetensors").exists():
        progress("training the judge")
        train_judge(frames, recipe.judge, folder / "judge.safetensors")
    encode(folder, recipe, progress)
    progress("training the transformer")
    train_transformer(folder / "transformer", latents, folder / "text", recipe.transformer)
    assemble(folder / "text", folder / "decoder" / "model", folder / "transformer" / "model", out)


def encode(folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Encode scenes and stills with the finished encoder."""
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model", torch_dtype=torch.float32).eval()
    latents = folder / "latents"
    latents.mkdir(parents=True, exist_ok=True)
    for shard in range(recipe.still_shards):
        progress(f"encoding stills: shard {shard + 1} of {recipe.still_shards}")
        encode_stills(vae, latents, shard)
    for shard in range(recipe.scene_shards):
        progress(f"encoding scenes: shard {shard + 1} of {recipe.scene_shards}")
        encode_scenes(vae, latents, shard)
