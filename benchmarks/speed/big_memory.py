"""Whether a GPU takes the memory that plans tell before: steps of a few layers as presets store them, and decoding.

A part of `--part gpu`. Rows give what was predicted, what the device had in use at most, and their ratio; on a CPU,
which nobody asks for its peak, the tensors that are alive are counted.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from benchmarks.speed.big_attention import MAIN_SHOTS, Sizes
from benchmarks.speed.gpu_clock import Place
from benchmarks.speed.ledger import Ledger, Values
from holocine.checkpoints import GROUPS
from holocine.known import CONFIGS
from holocine.memory_meter import Meter, bytes_of
from holocine.rehearsal import (
    Loading,
    Size,
    build,
    build_vae,
    decoding_cost,
    denoising_bytes,
    make_pictures,
    take_step,
)
from holocine.timeline import num_frames_of

SECTION = "memory, predicted and in use"
LAYERS = 4  # of the transformer: enough for every layer to be fetched while another runs
DECODED_FRAMES = 21  # latent frames: 81 frames
SECONDS = 10.0  # that a row is expected to take at most
STORED: Mapping[str, Mapping[str, Any]] = {
    "as computed": {},
    "in float8": {"layerwise_casting": True},
    "in int8": {"int8": True},
    "with a LoRA of rank 64": {"rank": 64},
    "in float8, fetched layer by layer": {"layerwise_casting": True, "group_offload": True},
}
TINY_VAE = {"base_dim": 8, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}


class MemoryCheck:
    """The measurements of memory, written to one ledger."""

    def __init__(self, sizes: Sizes, place: Place, ledger: Ledger):
        self.sizes, self.place, self.ledger = sizes, place, ledger
        self.dtype = str(place.dtype).removeprefix("torch.")
        self.vae = CONFIGS["vae"] if sizes.dim > 1000 else TINY_VAE

    def measure(self) -> None:
        """A guided step for each way to store the weights, and decoding whole and in tiles."""
        for name, how in STORED.items():
            if how.get("group_offload") and not self.place.on_gpu:
                continue
            run = partial(self.step, Loading(dtype=self.dtype, **how))
            self.ledger.measure(SECTION, f"a guided step of {LAYERS} layers, {name}", run, self.needs)
        for name, tiled in (("whole", False), ("in tiles", True)):
            run = partial(self.decode, Loading(dtype=self.dtype, vae_tiling=tiled))
            self.ledger.measure(SECTION, f"decoding {num_frames_of(self.frames)} frames, {name}", run, self.needs)

    @property
    def needs(self) -> float:
        return SECONDS if self.place.on_gpu else 0.0

    @property
    def frames(self) -> int:
        return DECODED_FRAMES if self.place.on_gpu else 5

    def step(self, loading: Loading) -> Values:
        """One step of a transformer of random weights."""
        config = {
            "num_attention_heads": self.sizes.heads,
            "attention_head_dim": self.sizes.head_dim,
            "ffn_dim": self.sizes.ffn,
            "text_dim": self.sizes.text_dim,
            "freq_dim": 256,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": LAYERS,
        }
        layout = self.sizes.layout(MAIN_SHOTS)
        size = Size(
            shot_lengths=layout.shot_lengths,
            rows=layout.height,
            columns=layout.width,
            patch=(2, 2),
            attention="sparse",
            windows=self.sizes.windows(MAIN_SHOTS),
            text_tokens=self.sizes.used,
            negative_tokens=self.sizes.used // 2,
            text_length=self.sizes.text_tokens,
            guided=True,
        )
        before = self.in_use()
        model = build(config, loading, LAYERS)
        predicted = denoising_bytes(config, loading, size) + (0 if loading.group_offload else bytes_of(model))
        model.to_empty(device="cpu" if loading.group_offload else self.place.device)
        if loading.group_offload:
            from diffusers.hooks import apply_group_offloading

            apply_group_offloading(model, onload_device=self.place.device, **GROUPS)
            with torch.no_grad():
                take_step(model, size, self.place.dtype)  # the order of layers is learnt in the first pass
        return self.compared(predicted, before, model, partial(take_step, model, size, self.place.dtype))

    def decode(self, loading: Loading) -> Values:
        """Decoding with a VAE of random weights."""
        vae, size = build_vae(self.vae, loading), (2 * self.sizes.height, 2 * self.sizes.width)
        predicted = decoding_cost(self.vae, loading, self.frames, size)[0] + bytes_of(vae)
        before = self.in_use()
        vae.to_empty(device=self.place.device)
        return self.compared(predicted, before, vae, partial(make_pictures, vae, self.frames, size))

    def in_use(self) -> int:
        """Bytes of the device's memory that other rows hold."""
        if not self.place.on_gpu:
            return 0
        gc.collect()
        return torch.cuda.memory_allocated(self.place.device)

    def compared(self, predicted: int, before: int, model: torch.nn.Module, run: Callable[[], None]) -> Values:
        """What was predicted and what is in use at most while `run` runs."""
        held = [*model.parameters(), *model.buffers()]
        with torch.no_grad():
            if self.place.on_gpu:
                self.place.reset_peak()
                run()
                self.place.wait()
                used = torch.cuda.max_memory_allocated(self.place.device) - before
            else:
                with Meter("cpu", held) as meter:
                    run()
                used = meter.peak
        return {"predicted GiB": predicted / 2**30, "in use GiB": used / 2**30, "predicted / in use": predicted / used}
