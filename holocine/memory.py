"""What a video takes of a GPU's memory and of the machine's, and how long: told before, without weights or a GPU.

Weights are counted from the model's configuration and from where a preset keeps them. What is computed is counted by
running one layer of the transformer, the steps around it and the decoder of the VAE on tensors without contents
(`holocine.memory_meter`). What no tensor holds, a driver's context and an allocator's gaps, is a stated allowance.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from holocine.cost import HOPPER_RATE, duration
from holocine.memory_meter import bytes_of
from holocine.plan import Plan, aligned
from holocine.presets import PRESETS
from holocine.rehearsal import (
    Loading,
    Size,
    build,
    build_text_encoder,
    build_vae,
    decoding_cost,
    denoising_bytes,
    on_gpu_in_groups,
    reading_bytes,
)
from holocine.timeline import num_frames_of

if TYPE_CHECKING:
    import torch

    from holocine.checkpoints import ModelFacts

GIB = 2**30
ALLOWANCE = 1.0 * GIB  # of a GPU: the driver's context, kernels' workspaces, gaps between tensors
PROCESS = 3.0 * GIB  # of main memory: Python with PyTorch and its CUDA libraries

SUSTAINED = 0.45
# bfloat16 rates that common cards with so many gigabytes are sold with (RTX 4070, 4080 and 4090, L40S, H100), in
# operations a second. An H100 sustained 45 % of its own over a whole step (benchmarks/results/gpu); the others are
# assumed to.
CARDS = {12: ("RTX 4070", 58e12), 16: ("RTX 4080", 97e12), 24: ("RTX 4090", 165e12), 48: ("L40S", 362e12)}
CARDS[80] = ("H100", HOPPER_RATE / SUSTAINED)
LINK_RATE = 20e9  # bytes a second from pinned main memory to a GPU, over PCIe 4.0 x16
CONVOLUTION_SHARE = 0.25  # of the sustained rate, in a VAE of float32; not measured yet


@dataclass(frozen=True)
class Phase:
    """A part of the work: bytes on the GPU of weights, and of what is computed, at most."""

    name: str
    weights: int
    computed: int

    @property
    def total(self) -> int:
        return self.weights + self.computed


@dataclass(frozen=True)
class Memory:
    """What a video takes.

    phases: of the GPU's memory. main: bytes of main memory at most. seconds: of the phases, at the rate of `card`.
    gigabytes: of the GPU that was asked about, None for none. remedies: what would make it fit, where it does not.
    """

    phases: tuple[Phase, ...]
    main: int
    seconds: Mapping[str, float]
    card: str
    gigabytes: int | None = None
    remedies: tuple[str, ...] = ()

    @property
    def peak(self) -> int:
        """Bytes of a GPU's memory that are needed, the allowance included."""
        return round(max(phase.total for phase in self.phases) + ALLOWANCE)

    @property
    def fits(self) -> bool | None:
        """Whether the GPU has so much; None where none was named."""
        return None if self.gigabytes is None else self.peak <= self.gigabytes * GIB

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "phases": {phase.name: {"weights": phase.weights, "computed": phase.computed} for phase in self.phases},
            "peak_bytes": self.peak,
            "main_bytes": self.main,
            "seconds": dict(self.seconds),
            "card": self.card,
            "gigabytes": self.gigabytes,
            "fits": self.fits,
            "remedies": list(self.remedies),
        }


# All together


def predict(
    facts: ModelFacts,
    plan: Plan,
    loading: Loading,
    gigabytes: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Memory:
    """What a video takes of a model loaded so, and whether a GPU of so many gigabytes has it.

    tell: called with what is rehearsed, before it is, as that takes seconds for a large model. Raises `CheckpointError`
    if a configuration is missing.
    """
    from holocine.known import CONFIGS, config_of

    configs = {name: config_of(facts, name) for name in ("transformer", "vae", "text_encoder")}
    # What a transformer's config leaves out is what diffusers' class has for it, and that is Wan's 14B.
    configs["transformer"] = {**CONFIGS["transformer"], **configs["transformer"]}
    patch = tuple(configs["transformer"]["patch_size"][1:])
    size = Size.of(plan, patch, facts.pixels_per_token)
    tell("how the weights are stored")
    weights = weights_of(json.dumps(configs), loading)
    experts = facts.num_experts
    resident = 0 if loading.model_cpu_offload or loading.group_offload else weights.expert * experts + weights.vae
    kept_text = weights.text if resident and not loading.drop_text_encoder else 0

    def phase(name: str, whole: int, in_groups: int, computed: int) -> Phase:
        if loading.group_offload:  # what is computed includes the layers that are there meanwhile
            return Phase(name, min(in_groups, computed), computed - min(in_groups, computed))
        there = resident + (weights.text if name == "text" else kept_text)
        return Phase(name, whole if loading.model_cpu_offload else there, computed)

    tell("reading the text")
    reading = reading_bytes(configs["text_encoder"], loading, size.text_length)
    tell(f"a step of denoising, of {plan.num_tokens:,} tokens")
    denoise = denoising_bytes(configs["transformer"], loading, size)
    tell(f"decoding, of {plan.num_frames:,} frames of {plan.width}x{plan.height} pixels")
    decode, operations = decoding_cost(configs["vae"], loading, size.latent_frames, size.latent_size)
    phases = (
        phase("text", weights.text, weights.text_in_groups, reading),
        phase("denoise", weights.expert, weights.expert_in_groups, denoise),
        phase("decode", weights.vae, weights.vae_in_groups, decode),
    )
    card, rate = card_of(gigabytes)
    fetching = weights.expert / LINK_RATE if loading.group_offload else 0.0
    return Memory(
        phases=phases,
        main=main_bytes(weights, loading, experts),
        # fetching layers hides behind computing where it is shorter
        seconds={
            "denoise": max(plan.cost.seconds(rate), plan.cost.passes * fetching),
            "decode": operations / (CONVOLUTION_SHARE * rate),
        },
        card=card,
        gigabytes=gigabytes,
    )


@dataclass(frozen=True)
class Weights:
    """Bytes of the models as stored, of what is on the GPU of them in groups, and of an expert as it is read."""

    expert: int
    vae: int
    text: int
    expert_in_groups: int
    vae_in_groups: int
    text_in_groups: int
    expert_file: int


@lru_cache(maxsize=16)
def weights_of(configs: str, loading: Loading) -> Weights:
    """The bytes of a model's weights; configs: of its parts, by name, as JSON."""
    parts = json.loads(configs)

    def expert(loading: Loading) -> tuple[int, torch.nn.Module]:
        """The bytes of a transformer, whose layers are all alike, and one of two layers."""
        one, two = (build(parts["transformer"], loading, layers) for layers in (1, 2))
        layer = bytes_of(two) - bytes_of(one)
        return bytes_of(one) + (parts["transformer"]["num_layers"] - 1) * layer, two

    whole, part = expert(loading)
    file, _ = expert(replace(loading, layerwise_casting=False, int8=False, rank=0))
    vae, text = build_vae(parts["vae"], loading), build_text_encoder(parts["text_encoder"], loading)
    return Weights(
        *(whole, bytes_of(vae), bytes_of(text)),
        *(on_gpu_in_groups(model, loading.prefetch) for model in (part, vae, text)),
        expert_file=file,
    )


def main_bytes(weights: Weights, loading: Loading, experts: int) -> int:
    """Main memory at most: while loading, all weights as they are read; while running, those that are not on the GPU.

    Pictures take next to nothing: they are written while they are decoded.
    """
    text = 0 if loading.drop_text_encoder else weights.text
    read = experts * weights.expert_file + weights.vae + text
    kept = experts * weights.expert + weights.vae if loading.model_cpu_offload or loading.group_offload else 0
    return round(PROCESS) + max(read, kept + weights.text)


def card_of(gigabytes: int | None) -> tuple[str, float]:
    """The card that times are given for, and the operations a second that it sustains."""
    if gigabytes is None:
        return "H100", HOPPER_RATE
    name, rate = CARDS[min(CARDS, key=lambda size: abs(size - gigabytes))]
    return name, SUSTAINED * rate


# What would make it fit


def remedies(facts: ModelFacts, plan: Plan, loading: Loading, memory: Memory) -> tuple[str, ...]:
    """What would make a video fit a GPU: another way to load the model, fewer frames, smaller pictures.

    memory: what was predicted of it, with the gigabytes of the GPU.
    """
    found, gigabytes = [], memory.gigabytes
    for preset in sorted((p for p in PRESETS.values() if p.gigabytes), key=lambda p: -p.gigabytes):
        stored = Loading.of({**preset.settings, "dtype": loading.dtype, "vae_dtype": loading.vae_dtype})
        other = replace(stored, rank=loading.rank, prefetch=loading.prefetch)
        other = replace(other, layerwise_casting=other.layerwise_casting or loading.layerwise_casting)
        if other != loading and predict(facts, plan, other, gigabytes).fits:
            found.append(f"load it as --preset {preset.name} does")
            break
    if any(phase.weights + ALLOWANCE > gigabytes * GIB for phase in memory.phases):
        return tuple(found)  # of the weights alone there are too many, whatever is made
    fits = partial(_fits, facts, plan, loading, gigabytes)
    least, most = 0.0, 1.0  # shares of the frames, of which the first fits and the second does not
    for _ in range(5):
        middle = (least + most) / 2
        least, most = (middle, most) if fits(frames=middle) else (least, middle)
    if least:
        frames = num_frames_of(sum(_lengths(plan, least)))
        found.append(f"make about {frames} frames of {plan.width}x{plan.height} pixels instead of {plan.num_frames}")
    for share in (0.75, 2 / 3, 0.5):
        smaller = _smaller(facts, plan, share)
        if fits(pixels=smaller):
            found.append(f"make pictures of --width {smaller[1]} --height {smaller[0]}")
            break
    return tuple(found)


def _fits(
    facts: ModelFacts,
    plan: Plan,
    loading: Loading,
    gigabytes: int,
    frames: float = 1.0,
    pixels: tuple[int, int] | None = None,
) -> bool:
    """Whether a share of the frames would fit, or pictures of other pixels (down, across)."""
    lengths = _lengths(plan, frames)
    shots = tuple(replace(shot, num_latent_frames=n) for shot, n in zip(plan.shots, lengths, strict=True))
    height, width = pixels or (plan.height, plan.width)
    other = replace(plan, shots=shots, height=height, width=width, num_frames=num_frames_of(sum(lengths)))
    return bool(predict(facts, other, loading, gigabytes).fits)


def _lengths(plan: Plan, share: float) -> list[int]:
    """The latent frames of the shots at a share of their length."""
    return [max(1, round(share * shot.num_latent_frames)) for shot in plan.shots]


def _smaller(facts: ModelFacts, plan: Plan, share: float) -> tuple[int, int]:
    """Pixels down and across at a share of each, in whole tokens."""
    sides = zip((plan.height, plan.width), facts.pixels_per_token, strict=True)
    return tuple(max(step, round(share * side / step) * step) for side, step in sides)


def format_memory(memory: Memory) -> str:
    """The prediction for a terminal."""

    def size(count: float) -> str:
        return f"{count / GIB:.1f} GiB" if count >= 0.1 * GIB else f"{count / 2**20:.1f} MiB"

    rows = [(phase.name, *map(size, (phase.weights, phase.computed, phase.total))) for phase in memory.phases]
    table = aligned([("memory of the GPU", "weights", "computed", "together"), *rows])
    verdict = ""
    if memory.gigabytes is not None:
        verdict = f" of {memory.gigabytes} GiB: it {'fits' if memory.fits else 'does not fit'}"
    spent = ", ".join(f"{name} {duration(s)}" for name, s in memory.seconds.items())
    remedy = [f"to make it fit: {'; or '.join(memory.remedies)}"] if memory.remedies else []
    return "\n".join(
        [
            *table,
            f"at most {size(memory.peak)}{verdict} (with {size(ALLOWANCE)} for the driver and gaps)",
            f"main memory: at most {size(memory.main)}",
            f"time: {spent} ({memory.card}, at {SUSTAINED:.0%} of the rate that it is sold with)",
            *remedy,
            "All of this is arithmetic that has not yet been run on a GPU.",
        ]
    )
