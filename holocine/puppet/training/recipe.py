"""The whole training recipe, stage by stage, resumable from its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine.checkpoints import find_device
from holocine.puppet.training.amounts import Recipe
from holocine.puppet.training.assemble import assemble
from holocine.puppet.training.data import render_shard
from holocine.puppet.training.decoder import train_decoder
from holocine.puppet.training.judge import train_judge
from holocine.puppet.training.latents import encode_scenes, encode_stills
from holocine.puppet.training.preparation import start_preparing
from holocine.puppet.training.resident import ResidentBank
from holocine.puppet.training.text import train_text_encoder, train_tokenizer
from holocine.puppet.training.transformer import train_transformer
from holocine.puppet.training.vae import train_vae

logger = logging.getLogger(__name__)

_FIRST_SHARDS = 150  # that a GPU waits for
_GPU_TOKENS = 95_000  # of a step: an H100 computes as long as a processor needs to tell it what


def run(
    folder: Path, recipe: Recipe, out: Path, start: Path | None = None, progress: Callable[[str], None] = logger.info
) -> None:
    """Train everything and write the pipeline folder `out`. What is complete in `folder` is not done again.

    folder: gets `frames`, `vae`, `decoder`, `text`, `latents` (or `notes`, on a GPU), `transformer` and
        `judge.safetensors`.
    start: a pipeline folder to go on from. Its language is taken over, its VAE and transformer are trained further.
    """
    frames = folder / "frames"
    recipe = replace(recipe, device=str(find_device(None if recipe.device == "auto" else recipe.device)))
    machine = {"device": recipe.device, "batch_scale": recipe.batch_scale}
    if start:
        take_over(start, folder)
    if not (folder / "text" / "text_encoder" / "config.json").exists():
        progress("training the text encoder")
        train_text_encoder(train_tokenizer(), recipe.text, folder / "text", device=recipe.device)
    on_gpu = torch.device(recipe.device).type == "cuda"
    if on_gpu:
        progress("rendering goes on beside the training")
        tokenizer = folder / "text" / "tokenizer"
        preparing = start_preparing(folder, tokenizer, recipe.scene_shards, recipe.still_shards)
        _wait_for_shards(frames, min(recipe.scene_shards, _FIRST_SHARDS), preparing)
    else:
        for shard in range(recipe.scene_shards):
            progress(f"rendering: shard {shard + 1} of {recipe.scene_shards}")
            render_shard(frames, shard)
    progress("training the VAE")
    train_vae(folder / "vae", frames, recipe.vae, start=start and start / "vae", **machine)
    judge = folder / "judge.safetensors"
    if not judge.exists():
        progress("training the judge")
        train_judge(frames, recipe.judge, judge, device=recipe.device)
    progress("training the VAE's decoder")
    train_decoder(folder / "decoder", frames, recipe.decoder, folder / "vae" / "model", judge, **machine)
    bank = resident_bank(folder, recipe.device) if on_gpu else None
    if bank:
        progress("encoding scenes and stills")
        bank.refresh()
    else:
        encode(folder, recipe, progress)
    progress("training the transformer")
    train_transformer(
        folder / "transformer",
        folder / "latents",
        folder / "text",
        recipe.transformer,
        still_share=0.0 if start else 0.22,
        start=start and start / "transformer",
        bank=bank,
        **machine,
    )
    assemble(folder / "text", folder / "decoder" / "model", folder / "transformer" / "model", out)


def _wait_for_shards(frames: Path, count: int, preparing: list[BaseProcess]) -> None:
    while len(list(frames.glob("*.npy"))) < count:
        if not any(process.is_alive() for process in preparing):
            raise OSError(f"rendering into {frames} stopped before {count} shards were there")
        time.sleep(0.5)


def resident_bank(folder: Path, device: str) -> ResidentBank:
    """Batches on a GPU from what is prepared in `folder`, with its finished encoder."""
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model", torch_dtype=torch.float32).to(device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "text" / "tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(folder / "text" / "text_encoder", dtype=torch.float32).to(device)
    return ResidentBank(folder, vae, tokenizer, encoder, _GPU_TOKENS)


def take_over(start: Path, folder: Path) -> None:
    """Copy the tokenizer and the text encoder of a pipeline folder, in single precision, unless there."""
    if not (folder / "text").exists():
        encoder = UMT5EncoderModel.from_pretrained(start / "text_encoder", dtype=torch.float32)
        encoder.save_pretrained(folder / "text" / "text_encoder")
        PreTrainedTokenizerFast.from_pretrained(start / "tokenizer").save_pretrained(folder / "text" / "tokenizer")


def encode(folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Encode scenes and stills with the finished encoder."""
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model", torch_dtype=torch.float32).eval().to(recipe.device)
    latents = folder / "latents"
    latents.mkdir(parents=True, exist_ok=True)
    for shard in range(recipe.still_shards):
        progress(f"encoding stills: shard {shard + 1} of {recipe.still_shards}")
        encode_stills(vae, latents, shard)
    for shard in range(recipe.scene_shards):
        progress(f"encoding scenes: shard {shard + 1} of {recipe.scene_shards}")
        encode_scenes(vae, latents, shard)
