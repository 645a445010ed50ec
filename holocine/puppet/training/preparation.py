"""What processors do while a GPU trains: render shards, and write down all that training will ask about them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from itertools import zip_longest
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from holocine.prompt import clean, text_windows
from holocine.puppet.captions import to_storyboard
from holocine.puppet.training import reader
from holocine.puppet.training.data import render_shard, shard_lengths, shard_scenes, still_scenes
from holocine.puppet.training.latents import render_stills, save_arrays, scene_maps
from holocine.puppet.world import Scene

WORDINGS = 4  # of every scene
TEXT_ROWS = 221  # more than the longest prompt; with the three rows that stand for padding a multiple of eight


def describe(scenes: list[Scene], tokenizer: PreTrainedTokenizerFast, seed: int) -> dict[str, np.ndarray]:
    """What is asked about scenes, and their captions in several wordings.

    looks, facts: as `reader` asks about them. ids: (scenes, WORDINGS, TEXT_ROWS), int16, 0 after the prompt. sees:
    the same shape, uint8, bit i of which says whether shot i sees a token.
    """
    rng = np.random.default_rng((10, seed))
    ids = np.zeros((len(scenes), WORDINGS, TEXT_ROWS), np.int16)
    sees = np.zeros(ids.shape, np.uint8)
    for number, scene in enumerate(scenes):
        for wording in range(WORDINGS):
            prompt = clean(to_storyboard(scene, wording=int(rng.integers(2**31))).prompt)
            tokens = tokenizer(prompt)["input_ids"]
            if len(tokens) >= TEXT_ROWS:
                raise ValueError(f"a prompt of {len(tokens)} tokens; raise TEXT_ROWS ({TEXT_ROWS})")
            ids[number, wording, : len(tokens)] = tokens
            visible = text_windows(prompt, tokenizer).visible(TEXT_ROWS)
            sees[number, wording] = (visible << np.arange(len(visible))[:, None]).sum(0)
    return {"looks": reader.looks(scenes), "facts": reader.facts(scenes), "ids": ids, "sees": sees}


def prepare_scenes(folder: Path, shard: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Render a shard into `frames` and write `notes/scenes-NNNNN.npz`: who, shots (T), and what `describe` returns."""
    path = folder / "notes" / f"scenes-{shard:05d}.npz"
    if not path.exists():
        render_shard(folder / "frames", shard)
        scenes, lengths = shard_scenes(shard), shard_lengths(shard)
        shots = np.repeat(np.arange(len(lengths)), lengths)[::4]
        maps = np.stack([scene_maps(scene) for scene in scenes])
        save_arrays(path, who=maps, shots=shots, **describe(scenes, tokenizer, shard))


def prepare_stills(folder: Path, shard: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write `notes/stills-N-NNNNN.npz` for each number N of shots: pictures, who, and what `describe` returns."""
    scenes = still_scenes(shard)
    counts = np.array([len(scene.shots) for scene in scenes])
    if all((folder / "notes" / f"stills-{n}-{shard:05d}.npz").exists() for n in np.unique(counts)):
        return
    pictures, maps = render_stills(shard)
    for n in np.unique(counts):
        chosen = np.flatnonzero(counts == n)
        save_arrays(
            folder / "notes" / f"stills-{n}-{shard:05d}.npz",
            pictures=np.stack([pictures[i] for i in chosen]),
            who=np.stack([maps[i] for i in chosen]),
            **describe([scenes[i] for i in chosen], tokenizer, 1_000_000 + shard),
        )


def start_preparing(
    folder: Path, tokenizer: Path, scenes: Sequence[int], stills: Sequence[int], workers: int | None = None
) -> list[BaseProcess]:
    """Prepare shards of these numbers in processes of their own, scenes and stills in turn; they end with this one."""
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    workers = workers or max(1, (os.cpu_count() or 2) - 2)
    context = multiprocessing.get_context("spawn")
    started = [
        context.Process(target=_prepare, args=(folder, tokenizer, scenes[i::workers], stills[i::workers]), daemon=True)
        for i in range(workers)
    ]
    for process in started:
        process.start()
    return started


def _prepare(folder: Path, tokenizer: Path, scenes: Sequence[int], stills: Sequence[int]) -> None:
    import cv2

    cv2.setNumThreads(1)
    os.nice(10)  # the process that feeds the GPU comes first
    language = PreTrainedTokenizerFast.from_pretrained(tokenizer)
    for scene, still in zip_longest(scenes, stills):
        if still is not None:
            prepare_stills(folder, still, language)
        if scene is not None:
            prepare_scenes(folder, scene, language)
