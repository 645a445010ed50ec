"""The part "gpu" of `benchmarks.speed`: the 14B transformer's layers and steps at full size, with random weights.

Times do not depend on weights, so none are downloaded. Rows are in order of what they tell for their time; what
compiles comes last. Computed rows follow from measured ones and say so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.speed.big_attention import (
    MAIN_SHOTS,
    SIZES,
    Attention,
    Sizes,
    backend_context,
    text_rows,
)
from benchmarks.speed.big_memory import MemoryCheck
from benchmarks.speed.gpu_clock import Place, copy_rate, matrix_rate
from benchmarks.speed.ledger import Ledger, Values
from holocine.attention import AttentionSettings, shot_pattern
from holocine.attention_plan import AttentionPlan, collapse_padding, make_plan
from holocine.cost import TransformerShape, pass_cost
from holocine.fusing import fuse, unfuse
from holocine.scheduler import HoloCineScheduler
from holocine.timeline import ShotLayout
from holocine.transformer import HoloCineTransformer3DModel

CHANNELS, FREQUENCIES = 16, 256
SHIFT, FAST_STEPS, GUIDED_STEPS = 5.0, 4, 50
COMPILING = 25.0  # seconds that a compilation is expected to take
PROFILED = 14  # kernels that the profile names


def measure_all(
    out: Path,
    seconds: float = 110.0,
    size: str = "14B",
    device: str = "cuda",
    dtype: str = "bfloat16",
    compiling: bool = True,
    steps: int = FAST_STEPS,
    start: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Ledger:
    """Measure everything that there is time for and return the rows, which are in `out` as gpu.json and gpu.md.

    start: on the clock `time.monotonic`, when the time began that `seconds` are counted in. compiling: also what has
    to be compiled. steps: of the whole model that are run, of the `FAST_STEPS` that a fast video takes. ValueError if
    the device is not there.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not there: PyTorch finds no CUDA GPU; give --device cpu --size tiny")
    place, sizes = Place(torch.device(device), getattr(torch, dtype)), SIZES[size]
    machine = {"command": " ".join(["python -m benchmarks.speed", *sys.argv[1:]]), "sizes": size, **place.describe()}
    start = time.monotonic() if start is None else start
    ledger = Ledger(out, "gpu", seconds, machine, start, place.tidy, say)
    ledger.measure("the machine", "what went before the first row", lambda: {"s": time.monotonic() - start})
    rate = ledger.measure("the machine", "matrix product", partial(matrix_rate, place, sizes.matrix))
    ledger.measure("the machine", "copy", partial(copy_rate, place, sizes.copied // place.dtype.itemsize))
    attention = Attention(sizes, place, ledger, rate and rate["TFLOP/s"] * 1e12)
    attention.measure()
    model = Model(sizes, place, ledger, attention)
    model.linear()
    model.block()
    model.computed()
    attention.dense_mask()
    MemoryCheck(sizes, place, ledger).measure()
    model.whole(steps)
    if compiling:
        attention.flex()
        model.compiled()
    ledger.measure("the machine", "matrix product, after all this", partial(matrix_rate, place, sizes.matrix))
    return ledger


@dataclass(frozen=True)
class BlockInput:
    """What one block is called with, and the plan it follows meanwhile."""

    arguments: tuple[Any, ...]
    plan: AttentionPlan


def _as_it_is(block: Any) -> Any:
    return block


class Model:
    """The measurements of layers and of the whole transformer, written to one ledger."""

    def __init__(self, sizes: Sizes, place: Place, ledger: Ledger, attention: Attention):
        self.sizes, self.place, self.ledger, self.attention = sizes, place, ledger, attention
        self.kernel, self.backend = attention.best_sparse
        self.shape = TransformerShape(
            sizes.layers, sizes.dim, sizes.ffn, sizes.text_dim, CHANNELS, CHANNELS, FREQUENCIES
        )
        self._one_layer: HoloCineTransformer3DModel | None = None

    def build(self, layers: int) -> HoloCineTransformer3DModel:
        """A transformer of so many layers with random weights, in the types that a loaded one has."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.place.dtype)
        try:
            with self.place.device:
                model = HoloCineTransformer3DModel(
                    num_attention_heads=self.sizes.heads,
                    attention_head_dim=self.sizes.head_dim,
                    in_channels=CHANNELS,
                    out_channels=CHANNELS,
                    text_dim=self.sizes.text_dim,
                    freq_dim=FREQUENCIES,
                    ffn_dim=self.sizes.ffn,
                    num_layers=layers,
                )
        finally:
            torch.set_default_dtype(before)
        for name, parameter in model.named_parameters():
            if any(kept in name.split(".") for kept in model._keep_in_fp32_modules):
                parameter.data = parameter.data.float()
        return model.eval().requires_grad_(False)

    @property
    def one_layer(self) -> HoloCineTransformer3DModel:
        if self._one_layer is None:
            self._one_layer = self.build(1)
        return self._one_layer

    def layout(self, frames: int, shots: int = MAIN_SHOTS) -> ShotLayout:
        return self.sizes.layout(shots, frames)

    def settings(self, mode: str) -> AttentionSettings:
        """Full attention has one call for all tokens, which is what a loop over its one group makes."""
        return AttentionSettings(mode, kernel=self.kernel if mode == "sparse" else "per-shot")

    def context(self, mode: str):
        """Inside, the backend that was fastest for this mode is preferred."""
        return backend_context(self.backend if mode == "sparse" else self.attention.best_full)

    def latents(self, layout: ShotLayout) -> torch.Tensor:
        size = (layout.num_latent_frames, 2 * layout.height, 2 * layout.width)
        return self.place.normal(1, CHANNELS, *size, dtype=torch.float32)

    def cost(self, layout: ShotLayout, mode: str, layers: int) -> int:
        """Operations of one forward pass with text windows."""
        pairs = shot_pattern(layout, mode, "first").num_pairs
        visible = self.sizes.windows(layout.num_shots).visible(self.sizes.text_tokens)[:, : self.sizes.used]
        text_pairs = int((visible.sum(axis=1) * [shot.stop - shot.start for shot in layout.token_slices]).sum())
        shape = TransformerShape(**{**vars(self.shape), "layers": layers})
        return pass_cost(shape, layout.num_tokens, pairs, self.sizes.used, text_pairs).total

    def rated(self, seconds: float, operations: int) -> Values:
        """A rate, and what part of the machine's it is."""
        values = {"TFLOP/s": operations / seconds / 1e12}
        return values | ({"of matrix rate": operations / seconds / self.attention.rate} if self.attention.rate else {})

    def needs(self, operations: float, calls: float) -> float:
        """Seconds expected, at half of the machine's rate."""
        return calls * operations / (self.attention.rate / 2) if self.attention.rate else 0.0

    def linear(self) -> None:
        """The linear layers of a block by themselves, at the longest video."""
        tokens, dim, ffn = self.layout(self.sizes.frames[-1]).num_tokens, self.sizes.dim, self.sizes.ffn
        for name, inside, outside in (
            ("q, k, v, out", dim, dim),
            ("q, k and v in one", dim, 3 * dim),
            ("feed-forward, first", dim, ffn),
            ("feed-forward, second", ffn, dim),
        ):

            def run(inside=inside, outside=outside) -> Values:
                x, weight = self.place.normal(tokens, inside), self.place.normal(outside, inside, seed=1)
                call = partial(F.linear, x, weight, self.place.normal(outside, seed=2))
                seconds = self.place.seconds(call)
                return {"ms": seconds * 1e3, **self.rated(seconds, 2 * tokens * inside * outside)}

            self.ledger.measure(f"linear layers, {tokens:,} tokens", name, run)

    def input(self, layout: ShotLayout, mode: str) -> BlockInput:
        """What the transformer calls its blocks with."""
        with torch.no_grad():
            text, used = collapse_padding(text_rows(self.sizes, self.place))
            place = (self.place.device, self.place.dtype)
            windows = [self.sizes.windows(layout.num_shots)]
            plan = make_plan([layout], windows, self.settings(mode), self.sizes.text_tokens, used, *place)
            rotary = self.one_layer.rope(self.latents(layout))
            hidden = self.place.normal(1, layout.num_tokens, self.sizes.dim)
            words = self.one_layer.condition_embedder.text_embedder(text)
            temb = self.place.normal(1, 6, self.sizes.dim)
        return BlockInput((hidden, words, temb, rotary), plan)

    def block_run(
        self, layout: ShotLayout, mode: str, prepare: Callable[[Any], Callable[..., Any]] = _as_it_is
    ) -> Callable[[], Any]:
        """One block over the shots of a layout, ready to be called again and again."""
        block, given = prepare(self.one_layer.blocks[0]), self.input(layout, mode)

        def run() -> None:
            with self.one_layer._attention_context.using(given.plan), self.context(mode):
                block(*given.arguments)

        return run

    def block_cost(self, layout: ShotLayout, mode: str) -> int:
        """Operations of one block."""
        return self.cost(layout, mode, 2) - self.cost(layout, mode, 1)

    def block_values(self, frames: int, mode: str, prepare: Callable[[Any], Callable[..., Any]] = _as_it_is) -> Values:
        """One block: how long, at which rate, in how much memory."""
        layout = self.layout(frames)
        run = self.block_run(layout, mode, prepare)
        self.place.reset_peak()
        seconds = self.place.seconds(run)
        return {"ms": seconds * 1e3, **self.rated(seconds, self.block_cost(layout, mode)), **self.place.peak()}

    def block(self) -> None:
        """One block with each attention at each length, then one transformer of one layer, and what a block does."""
        for frames in reversed(self.sizes.frames):
            for mode in ("full", "sparse"):
                layout = self.layout(frames)
                needs = self.needs(self.cost(layout, mode, 1), 5)
                run = partial(self.block_values, frames, mode)
                self.ledger.measure(self.of_block, f"{frames} frames, {mode}", run, needs)
        layout = self.layout(self.sizes.frames[-1])
        needs = self.needs(self.cost(layout, "sparse", 1), 5)
        self.ledger.measure("ends", "a transformer of one layer, sparse", partial(self.one_pass, layout), needs)
        self.ledger.measure("profile of a block, sparse, ms by kernel", "block", self.profile)

    @property
    def of_block(self) -> str:
        return f"one block, {MAIN_SHOTS} shots, kernel {self.kernel} ({self.backend})"

    def one_pass(self, layout: ShotLayout) -> Values:
        """A forward pass of the transformer that has one layer."""
        seconds = self.place.seconds(self.forward(self.one_layer, layout))
        return {"ms": seconds * 1e3}

    def forward(
        self, model: HoloCineTransformer3DModel, layout: ShotLayout, mode: str = "sparse"
    ) -> Callable[..., torch.Tensor]:
        """One pass as the pipeline makes it; called with latents and a timestep, both of which may be left out."""
        text, noise = text_rows(self.sizes, self.place), self.latents(layout)
        attention = {
            "layouts": [layout],
            "windows": [self.sizes.windows(layout.num_shots)],
            "settings": self.settings(mode),
        }

        def run(latents: torch.Tensor = noise, timestep: float = 999.0) -> torch.Tensor:
            with self.context(mode), model.cache_context("cond"):
                return model(
                    hidden_states=latents.to(self.place.dtype),
                    timestep=torch.full((1,), timestep, device=self.place.device),
                    encoder_hidden_states=text,
                    attention_kwargs=attention,
                    return_dict=False,
                )[0]

        return run

    def profile(self) -> Values:
        """Milliseconds of one block by the kernels that take most, the slowest first."""
        from torch.profiler import ProfilerActivity, profile

        given = self.input(self.layout(self.sizes.frames[-1]), "sparse")
        kinds = [ProfilerActivity.CUDA] if self.place.on_gpu else [ProfilerActivity.CPU]
        block = self.one_layer.blocks[0]
        with self.one_layer._attention_context.using(given.plan), self.context("sparse"), torch.no_grad():
            block(*given.arguments)
            self.place.wait()
            with profile(activities=kinds) as recorded:
                block(*given.arguments)
                self.place.wait()
        name = "self_device_time_total" if self.place.on_gpu else "self_cpu_time_total"
        events = sorted(recorded.key_averages(), key=lambda event: -getattr(event, name))
        times = [(f"{event.key[:70]} x{event.count}", getattr(event, name) / 1e3) for event in events]
        return dict(times[:PROFILED]) | {"all others": sum(ms for _, ms in times[PROFILED:])}

    def computed(self) -> None:
        """Steps and videos, from one block and what a transformer does beside its blocks."""
        layers, longest = self.sizes.layers, self.sizes.frames[-1]

        def seconds(frames: int, mode: str) -> Values:
            block = self.ledger.values(self.of_block, f"{frames} frames, {mode}")["ms"] / 1e3
            whole = self.ledger.values("ends", "a transformer of one layer, sparse")["ms"] / 1e3
            sparse = self.ledger.values(self.of_block, f"{longest} frames, sparse")["ms"] / 1e3
            ends = max(whole - sparse, 0.0) * frames / longest
            one = layers * block + ends
            return {
                f"s a pass of {layers} layers": one,
                f"s for {GUIDED_STEPS} guided steps (2 passes each)": 2 * GUIDED_STEPS * one,
                f"s for {FAST_STEPS} steps without guidance": FAST_STEPS * one,
            }

        for frames in reversed(self.sizes.frames):
            for mode in ("full", "sparse"):
                run = partial(seconds, frames, mode)
                self.ledger.compute("denoising, from one block", f"{frames} frames, {mode}", run)

    def whole(self, steps: int) -> None:
        """All layers: built on the device, then steps of a fast video one after another, and their memory."""
        self._one_layer, layout = None, self.layout(self.sizes.frames[-1])
        self.place.tidy()
        section = f"the whole transformer, {self.sizes.frames[-1]} frames, sparse, {self.kernel} ({self.backend})"
        held: dict[str, Any] = {}
        operations = self.cost(layout, "sparse", self.sizes.layers)
        needs = self.needs(operations, 1)

        def make() -> Values:
            self.place.reset_peak()
            started = time.perf_counter()
            model = self.build(self.sizes.layers)
            self.place.wait()
            scheduler = HoloCineScheduler(shift=SHIFT)
            scheduler.set_timesteps(FAST_STEPS, device=self.place.device)
            held.update(forward=self.forward(model, layout), latents=self.latents(layout), scheduler=scheduler)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            return {"s": time.perf_counter() - started, "billion parameters": parameters / 1e9, **self.place.peak()}

        def step(number: int) -> Values:
            scheduler: HoloCineScheduler = held["scheduler"]
            timestep = scheduler.timesteps[number]

            def run() -> None:
                velocity = held["forward"](held["latents"], float(timestep))
                held["latents"] = scheduler.step(velocity, timestep, held["latents"], return_dict=False)[0]

            self.place.reset_peak()
            with torch.no_grad():
                seconds = self.place.once(run)
            finite = bool(held["latents"].isfinite().all())
            return {"s": seconds, **self.rated(seconds, operations), **self.place.peak(), "all finite": finite}

        if self.ledger.measure(section, "built with random weights", make, needs + 5) is None:
            return
        names = [f"step {number} of {FAST_STEPS}, guidance off" for number in range(1, FAST_STEPS + 1)]
        for number, name in enumerate(names[:steps]):
            self.ledger.measure(section, name, partial(step, number), needs)

        def together() -> Values:
            return {"s": sum(self.ledger.values(section, name)["s"] for name in names)}

        self.ledger.compute(section, f"{FAST_STEPS} steps together, their sum", together)

    def compiled(self) -> None:
        """One block with its element-wise work fused, which serves any layout, and one compiled as a whole."""
        longest, needs = self.sizes.frames[-1], COMPILING if self.place.on_gpu else 0.0

        def fused() -> Values:
            fuse(self.one_layer)
            try:
                return self.block_values(longest, "sparse")
            finally:
                unfuse(self.one_layer)

        self.ledger.measure(self.of_block, f"{longest} frames, sparse, element-wise work fused", fused, needs)
        run = partial(self.block_values, longest, "sparse", torch.compile)
        self.ledger.measure(self.of_block, f"{longest} frames, sparse, compiled", run, needs)
