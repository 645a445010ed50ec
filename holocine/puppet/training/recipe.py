"""The whole training recipe, stage by stage, resumable from its folder."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan

from holocine.checkpoints import find_device
from holocine.puppet.judge import WEIGHTS as JUDGE
from holocine.puppet.training.amounts import Recipe
from holocine.puppet.training.assemble import assemble
from holocine.puppet.training.batches import LatentBank
from holocine.puppet.training.data import render_shard
from holocine.puppet.training.decoder import train_decoder
from holocine.puppet.training.distil import distil
from holocine.puppet.training.judge import train_judge
from holocine.puppet.training.latents import encode_scenes, encode_stills
from holocine.puppet.training.preparation import start_preparing
from holocine.puppet.training.resident import ResidentBank
from holocine.puppet.training.text import load_language, train_text_encoder, train_tokenizer
from holocine.puppet.training.transformer import train_transformer
from holocine.puppet.training.vae import train_vae

logger = logging.getLogger(__name__)

_FIRST_SHARDS = 40  # that a GPU waits for
# Of a step: an H100 computes for longer than a processor needs to tell it what. A step of the distillation has four
# models' passes in it, and learns more from many steps than from large ones.
_GPU_TOKENS, _GPU_TOKENS_DISTILLED = 95_000, 32_000
_FIRST_SECONDS = 20  # of encoding before the transformer's training begins, which then takes in more
# Shares of stills in the training from nothing: first of all, and then among whole scenes.
_STILLS = {"cpu": (0.22, 0.6), "cuda": (0.06, 0.3)}


def run(
    folder: Path,
    recipe: Recipe,
    out: Path,
    start: Path | None = None,
    fresh_transformer: bool = False,
    progress: Callable[[str], None] = logger.info,
) -> None:
    """Train everything and write the pipeline folder `out`. What is complete in `folder` is not done again.

    folder: gets `frames`, `vae`, `text`, `latents` (or `notes`, on a GPU), `transformer`, `student`, `decoder` and
        `judge.safetensors`.
    start: a pipeline folder to go on from. Its language and the judge are taken over, its VAE is trained further, and
        so is its transformer unless a fresh one is asked for.
    """
    frames = folder / "frames"
    recipe = replace(recipe, device=str(find_device(None if recipe.device == "auto" else recipe.device)))
    machine = {"device": recipe.device, "batch_scale": recipe.batch_scale}
    if start:
        take_over(start, folder)
    if not (folder / "text" / "text_encoder" / "config.json").exists():
        progress("training the text encoder")
        train_text_encoder(train_tokenizer(), recipe.text, folder / "text", device=recipe.device)
    kind = torch.device(recipe.device).type
    on_gpu = kind == "cuda"
    if on_gpu:
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
        progress("rendering goes on beside the training")
        tokenizer = folder / "text" / "tokenizer"
        preparing = start_preparing(folder, tokenizer, recipe.scenes, recipe.stills)
        _wait_for_shards(frames, min(recipe.scene_shards, _FIRST_SHARDS), preparing)
    else:
        for i, shard in enumerate(recipe.scenes, 1):
            progress(f"rendering: shard {i} of {recipe.scene_shards}")
            render_shard(frames, shard)
    progress("training the VAE")
    train_vae(folder / "vae", frames, recipe.vae, start=start and start / "vae", **machine)
    if on_gpu:
        progress("encoding scenes and stills")
        bank = resident_bank(folder, recipe.device)
        bank.refresh(_FIRST_SECONDS)
    else:
        encode(folder, recipe, progress)
        bank = LatentBank.open(folder / "latents", folder / "text", recipe.device, recipe.batch_scale)
    progress("training the transformer")
    first_stills, mixed_stills = _STILLS[kind]
    begin = start / "transformer" if start and not fresh_transformer else None
    train_transformer(
        folder / "transformer",
        bank,
        recipe.transformer,
        still_share=0.0 if begin else first_stills,
        mixed_stills=mixed_stills,
        start=begin,
        device=recipe.device,
    )
    student = folder / "student"
    if recipe.distillation:
        progress("distilling the transformer to few steps")
        if on_gpu:
            bank.tokens = _GPU_TOKENS_DISTILLED
        distil(student, folder / "transformer" / "model", bank, recipe.distillation, device=recipe.device)
    judge = folder / "judge.safetensors"
    if not judge.exists():
        progress("training the judge")
        train_judge(frames, recipe.judge, judge, device=recipe.device, vae=folder / "vae" / "model")
    progress("training the VAE's decoder")
    train_decoder(folder / "decoder", frames, recipe.decoder, folder / "vae" / "model", judge, **machine)
    assemble_folder(folder, out)


def assemble_folder(folder: Path, out: Path) -> None:
    """Write the pipeline folder `out` from what has been trained so far."""
    vae = folder / ("decoder" if (folder / "decoder" / "model").exists() else "vae") / "model"
    student = folder / "student" / "model"
    parts = (folder / "text", vae, folder / "transformer" / "model")
    assemble(*parts, out, student=student if student.exists() else None)


def _wait_for_shards(frames: Path, count: int, preparing: list[BaseProcess]) -> None:
    while len(list(frames.glob("*.npy"))) < count:
        if not any(process.is_alive() for process in preparing):
            raise OSError(f"rendering into {frames} stopped before {count} shards were there")
        time.sleep(0.5)


def resident_bank(folder: Path, device: str) -> ResidentBank:
    """Batches on a GPU from what is prepared in `folder`, with its finished encoder."""
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model", torch_dtype=torch.float32).to(device)
    return ResidentBank(folder, vae, *load_language(folder / "text", device), _GPU_TOKENS)


def take_over(start: Path, folder: Path) -> None:
    """Copy the judge and a pipeline folder's tokenizer and text encoder, in single precision, unless there."""
    if not (folder / "judge.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(JUDGE, folder / "judge.safetensors")
    if not (folder / "text").exists():
        tokenizer, encoder = load_language(start, "cpu")
        encoder.save_pretrained(folder / "text" / "text_encoder")
        tokenizer.save_pretrained(folder / "text" / "tokenizer")


def encode(folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Encode scenes and stills with the finished encoder."""
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model", torch_dtype=torch.float32).eval().to(recipe.device)
    latents = folder / "latents"
    latents.mkdir(parents=True, exist_ok=True)
    for i, shard in enumerate(recipe.stills, 1):
        progress(f"encoding stills: shard {i} of {recipe.still_shards}")
        encode_stills(vae, latents, shard)
    for i, shard in enumerate(recipe.scenes, 1):
        progress(f"encoding scenes: shard {i} of {recipe.scene_shards}")
        encode_scenes(vae, latents, shard)
