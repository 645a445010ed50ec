"""What a video takes of a GPU's memory and of the machine's, and how long: told before, without weights or a GPU.

Weights are counted from the model's configuration and from where a preset keeps them. What is computed is counted by
running one layer of the transformer, the steps around it and the decoder of the VAE on tensors without contents
(`holocine.memory_meter`). What no tensor holds, a driver's context and an allocator's gaps, is a stated allowance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from holocine.cost import HOPPER_RATE, duration
from holocine.plan import Plan, aligned
from holocine.presets import PRESETS
from holocine.prompt import TextWindows

if TYPE_CHECKING:
    import torch

    from holocine.checkpoints import ModelFacts
    from holocine.memory_meter import Meter

GIB = 2**30
ALLOWANCE = 1.0 * GIB  # of a GPU: the driver's context, kernels' workspaces, gaps between tensors
PROCESS = 3.0 * GIB  # of main memory: Python with PyTorch and its CUDA libraries
FRAMES_RUN = 3  # the first and the second latent frame are decoded in ways of their own, all others alike
RANK = 64  # of the published distilled LoRA, and of others whose file is not looked at

# bfloat16 rates that common cards with so many gigabytes are sold with (RTX 4070, 4080 and 4090, L40S, H100), in
# operations a second. An H100 sustained 45 % of its own over a whole step (benchmarks/results/gpu); the others are
# assumed to.
CARDS = {12: ("RTX 4070", 58e12), 16: ("RTX 4080", 97e12), 24: ("RTX 4090", 165e12), 48: ("L40S", 362e12)}
CARDS[80] = ("H100", HOPPER_RATE / 0.45)
SUSTAINED = 0.45
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


@dataclass(frozen=True)
class Loading:
    """How a model is loaded, as far as memory is concerned; names as `load_pipeline` has them.

    prefetch: whether the next layer is fetched while one runs. rank: of LoRAs, 0 for none.
    """

    dtype: str = "bfloat16"
    vae_dtype: str = "float32"
    model_cpu_offload: bool = False
    group_offload: bool = False
    layerwise_casting: bool = False
    int8: bool = False
    vae_tiling: bool = False
    drop_text_encoder: bool = False
    rank: int = 0
    prefetch: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Loading:
        """From the settings of a command line; GGUF files count as 8 bits a weight."""
        names = ("dtype", "vae_dtype", "model_cpu_offload", "group_offload", "layerwise_casting", "int8", "vae_tiling")
        known = {name: settings[name] for name in (*names, "drop_text_encoder") if settings.get(name) is not None}
        if settings.get("gguf"):
            known["int8"] = True
        files = [*(settings.get("lora") or ()), *([settings["distilled"]] if settings.get("distilled") else [])]
        return cls(**known, rank=RANK * len(files))


@dataclass(frozen=True)
class Size:
    """What is denoised: shots in latent frames, tokens down and across a frame, latents down and across a token.

    windows: what of the text each shot sees. text_tokens, negative_tokens: of both prompts, out of `text_length`.
    """

    shot_lengths: tuple[int, ...]
    rows: int
    columns: int
    patch: tuple[int, int]
    attention: str
    windows: TextWindows
    text_tokens: int
    negative_tokens: int
    text_length: int
    guided: bool

    @classmethod
    def of(cls, plan: Plan, patch: tuple[int, int], pixels_per_token: tuple[int, int]) -> Size:
        """Of a plan."""
        return cls(
            shot_lengths=tuple(shot.num_latent_frames for shot in plan.shots),
            rows=plan.height // pixels_per_token[0],
            columns=plan.width // pixels_per_token[1],
            patch=patch,
            attention=plan.attention,
            windows=TextWindows(plan.global_text_window, tuple(shot.text_window for shot in plan.shots)),
            text_tokens=plan.num_text_tokens,
            negative_tokens=plan.num_negative_tokens,
            text_length=plan.max_text_tokens,
            guided=plan.cost.guided > 0,
        )

    @property
    def latent_frames(self) -> int:
        return sum(self.shot_lengths)

    @property
    def latent_size(self) -> tuple[int, int]:
        return self.rows * self.patch[0], self.columns * self.patch[1]


# Weights


def build(config: Mapping[str, Any], loading: Loading, layers: int | None = None) -> torch.nn.Module:
    """A transformer without contents, stored as `loading` says, with its LoRA."""
    import torch

    from holocine.storage import store_in_float8, store_in_int8
    from holocine.transformer import HoloCineTransformer3DModel

    dtype = getattr(torch, loading.dtype)
    config = {**config, **({} if layers is None else {"num_layers": layers})}
    with _without_contents(dtype):
        model = HoloCineTransformer3DModel.from_config(config)
        if loading.rank:
            from peft import LoraConfig

            linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
            model.add_adapter(LoraConfig(r=loading.rank, lora_alpha=loading.rank, target_modules=linear))
    for name, parameter in model.named_parameters():
        if any(kept in name.split(".") for kept in model._keep_in_fp32_modules):
            parameter.data = parameter.data.float()
    if loading.layerwise_casting:
        store_in_float8(model, dtype)
    elif loading.int8:
        store_in_int8(model)
    return model.eval().requires_grad_(False)


def build_vae(config: Mapping[str, Any], loading: Loading) -> torch.nn.Module:
    """A VAE without contents."""
    import torch
    from diffusers import AutoencoderKLWan

    from holocine.checkpoints import VAE_TILES

    with _without_contents(getattr(torch, loading.vae_dtype)):
        vae = AutoencoderKLWan.from_config(dict(config))
    if loading.vae_tiling:
        vae.enable_tiling(**VAE_TILES)
    return vae.eval().requires_grad_(False)


def build_text_encoder(config: Mapping[str, Any], loading: Loading) -> torch.nn.Module:
    """A text encoder without contents."""
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    with _without_contents(getattr(torch, loading.dtype)):
        encoder = UMT5EncoderModel(UMT5Config(**dict(config)))
    return encoder.eval().requires_grad_(False)


@contextmanager
def _without_contents(dtype: torch.dtype) -> Iterator[None]:
    """Inside the block, models are made of tensors of this type that have no contents."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.set_default_dtype(before)


def on_gpu_in_groups(model: torch.nn.Module, prefetch: bool) -> int:
    """The bytes of a model's weights that are on the GPU at once, if each leaf is fetched by itself.

    A leaf and, while it runs, the next; beside them parameters that no leaf holds.
    """
    leaves, loose, counted = [], 0, set()
    for module in model.modules():
        tensors = (*module.parameters(recurse=False), *module.buffers(recurse=False))
        own = sum(t.nbytes for t in tensors if t.untyped_storage()._cdata not in counted)
        counted |= {t.untyped_storage()._cdata for t in tensors}
        if any(True for _ in module.children()):
            loose = max(loose, own)
        elif own:
            leaves.append(own)
    pairs = [a + b for a, b in zip(leaves, leaves[1:], strict=False)] if prefetch else []
    return max([*pairs, *leaves], default=0) + loose


# What is computed


def denoising_bytes(config: Mapping[str, Any], loading: Loading, size: Size) -> int:
    """The bytes that a step allocates at most, beside the weights: one layer and what is around it, guided or not."""
    import torch

    from holocine.attention import AttentionSettings
    from holocine.attention_plan import make_plan, padding_terms
    from holocine.timeline import ShotLayout

    model = build(config, loading, layers=1)
    dtype, meta = getattr(torch, loading.dtype), torch.device("meta")
    layout = ShotLayout(size.shot_lengths, size.rows, size.columns)
    settings = AttentionSettings.parse(size.attention)
    terms = padding_terms(dtype)

    def velocity(latents: torch.Tensor, tokens: int, windows: TextWindows | None) -> torch.Tensor:
        used = min(tokens, size.text_length)
        rows = used + terms if size.text_length - used > terms else size.text_length
        plan = make_plan([layout], [windows], settings, size.text_length, used, meta, dtype)
        return model(
            hidden_states=latents,
            timestep=torch.empty(1, device=meta),
            encoder_hidden_states=torch.empty(1, rows, config["text_dim"], device=meta, dtype=dtype),
            attention_kwargs={"planner": lambda *_: plan},
            return_dict=False,
        )[0]

    with _beside_weights(model, loading) as needed:
        texts = torch.empty(1 + size.guided, size.text_length, config["text_dim"], device=meta, dtype=dtype)
        latents = torch.empty(1, config["in_channels"], size.latent_frames, *size.latent_size, device=meta)
        given = latents.to(dtype, copy=dtype == torch.float32)
        found = velocity(given, size.text_tokens, size.windows)
        if size.guided:
            negative = velocity(given, size.negative_tokens, None)
            found = negative + 5.0 * (found - negative)
        found = found.to(latents.dtype)
        clean, stepped = latents - 0.5 * found, latents + 0.1 * found
        del clean, stepped, texts
    return needed.bytes


def decoding_cost(config: Mapping[str, Any], loading: Loading, frames: int, size: tuple[int, int]) -> tuple[int, int]:
    """The bytes that decoding and making pictures allocate at most, and operations; frames, size: of the latents.

    The decoder itself is run for the first latent frames of a tile; what it needed for the last of these, beside what
    it keeps of the frames before, it needs for all others, while pixels gather.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    vae = build_vae(config, loading)
    decode, calls, work, cache, operations, highest = vae.decoder.forward, 0, 0, 0, 0, 0

    with _beside_weights(vae, loading) as needed:
        meter = needed.meter

        def forward(x, feat_cache=None, feat_idx=(0,), first_chunk=False):
            nonlocal calls, work, cache, operations, highest
            calls += 1
            if calls <= FRAMES_RUN:
                highest = max(highest, meter.peak)
                meter.peak = before = meter.now
                with FlopCounterMode(display=False) as counted:
                    result = decode(x, feat_cache=feat_cache, feat_idx=feat_idx, first_chunk=first_chunk)
                work, operations = meter.peak - before, counted.get_total_flops()
                cache = sum(entry.nbytes for entry in feat_cache if isinstance(entry, torch.Tensor))
                return result
            if not any(isinstance(entry, torch.Tensor) for entry in feat_cache):  # of another tile
                feat_cache[0] = x.new_empty(cache, dtype=torch.uint8)
            x.new_empty(work, dtype=torch.uint8)  # alive for a moment, as the decoder's own tensors are
            scale, channels = vae.spatial_compression_ratio, config.get("out_channels", 3)
            steps = 1 if first_chunk else 2 ** sum(vae.temperal_downsample)
            return x.new_empty(x.shape[0], channels, steps, x.shape[3] * scale, x.shape[4] * scale)

        vae.decoder.forward = forward
        latents = torch.empty(1, config.get("z_dim", 16), frames, *size, device="meta", dtype=vae.dtype)
        video = vae.decode(latents * 2 + 1, return_dict=False)[0]
        del latents
        # as uint8 pictures: see `holocine.pipeline`
        pixels = (video.clamp(-1, 1).float() + 1) * 127.5
        pixels = pixels.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()
        del pixels
    return max(highest - needed.weights, needed.bytes), calls * operations


def reading_bytes(config: Mapping[str, Any], loading: Loading, tokens: int) -> int:
    """The bytes that reading one text of so many tokens, padding included, allocates at most."""
    import torch

    # All layers need the same. A mask that says who sees whom is taken as it is, one of padding would be looked at.
    encoder = build_text_encoder({**config, "num_layers": 2}, loading)
    with _beside_weights(encoder, loading) as needed:
        mask = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device="meta")
        encoder(torch.ones(1, tokens, dtype=torch.long, device="meta"), mask)
    return needed.bytes


@dataclass
class _Needed:
    """The bytes that are alive at most in a block; weights: of those, what the model has that are there throughout."""

    meter: Meter
    weights: int
    bytes: int = 0


@contextmanager
def _beside_weights(model: torch.nn.Module, loading: Loading) -> Iterator[_Needed]:
    """Inside the block, count what a model without contents allocates; of its weights only those that are fetched."""
    from holocine.memory_meter import fetched, simulated

    if loading.group_offload:
        with simulated() as meter, fetched(model, meter, loading.prefetch):
            yield (needed := _Needed(meter, 0))
    else:
        with simulated(held=(*model.parameters(), *model.buffers())) as meter:
            yield (needed := _Needed(meter, meter.now))
    needed.bytes = meter.peak - needed.weights


# All together


def predict(facts: ModelFacts, plan: Plan, loading: Loading, gigabytes: int | None = None) -> Memory:
    """What a video takes of a model loaded so, and whether a GPU of so many gigabytes has it.

    Raises `CheckpointError` if a configuration is missing.
    """
    from holocine.known import config_of

    configs = {name: config_of(facts, name) for name in ("transformer", "vae", "text_encoder")}
    configs["transformer"] = {**transformer_defaults(), **configs["transformer"]}
    patch = tuple(configs["transformer"]["patch_size"][1:])
    size = Size.of(plan, patch, facts.pixels_per_token)
    weights = weights_of(configs, loading)
    experts = facts.num_experts
    resident = 0 if loading.model_cpu_offload or loading.group_offload else weights.expert * experts + weights.vae
    kept_text = weights.text if resident and not loading.drop_text_encoder else 0

    def phase(name: str, whole: int, in_groups: int, computed: int) -> Phase:
        if loading.group_offload:  # what is computed includes the layers that are there meanwhile
            return Phase(name, min(in_groups, computed), computed - min(in_groups, computed))
        there = resident + (weights.text if name == "text" else kept_text)
        return Phase(name, whole if loading.model_cpu_offload else there, computed)

    reading = reading_bytes(configs["text_encoder"], loading, size.text_length)
    denoise = denoising_bytes(configs["transformer"], loading, size)
    decode, operations = decoding_cost(configs["vae"], loading, size.latent_frames, size.latent_size)
    phases = (
        phase("text", weights.text, weights.text_in_groups, reading),
        phase("denoise", weights.expert, weights.expert_in_groups, denoise),
        phase("decode", weights.vae, weights.vae_in_groups, decode),
    )
    card, rate = card_of(gigabytes)
    fetching = weights.expert / LINK_RATE if loading.group_offload else 0.0
    passes = plan.cost.steps + plan.cost.guided
    return Memory(
        phases=phases,
        main=main_bytes(weights, loading, experts, plan),
        # fetching layers hides behind computing where it is shorter
        seconds={
            "denoise": max(plan.cost.seconds(rate), passes * fetching),
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


def weights_of(configs: Mapping[str, Mapping[str, Any]], loading: Loading) -> Weights:
    """The bytes of a model's weights."""
    from holocine.memory_meter import bytes_of

    def expert(loading: Loading) -> tuple[int, torch.nn.Module]:
        """The bytes of a transformer, whose layers are all alike, and one of two layers."""
        one, two = (build(configs["transformer"], loading, layers) for layers in (1, 2))
        layer = bytes_of(two) - bytes_of(one)
        return bytes_of(one) + (configs["transformer"]["num_layers"] - 1) * layer, two

    whole, part = expert(loading)
    file, _ = expert(replace(loading, layerwise_casting=False, int8=False, rank=0))
    vae, text = build_vae(configs["vae"], loading), build_text_encoder(configs["text_encoder"], loading)
    return Weights(
        *(whole, bytes_of(vae), bytes_of(text)),
        *(on_gpu_in_groups(model, loading.prefetch) for model in (part, vae, text)),
        expert_file=file,
    )


def transformer_defaults() -> dict[str, Any]:
    """The values that diffusers' class has for what a transformer's config leaves out."""
    return {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 40,
        "attention_head_dim": 128,
        "in_channels": 16,
        "out_channels": 16,
        "text_dim": 4096,
        "freq_dim": 256,
        "ffn_dim": 13_824,
        "num_layers": 40,
    }


def main_bytes(weights: Weights, loading: Loading, experts: int, plan: Plan) -> int:
    """Main memory at most: while loading, all weights as they are read; while running, those that are not on the GPU.

    Then the pictures: as the VAE gives them and as uint8, twice, which is how they are handed on and written.
    """
    text = 0 if loading.drop_text_encoder else weights.text
    read = experts * weights.expert_file + weights.vae + text
    kept = experts * weights.expert + weights.vae + text if loading.model_cpu_offload or loading.group_offload else 0
    frames = plan.num_frames * plan.height * plan.width * 3
    return round(PROCESS) + max(read, kept + max(2 * frames, weights.text if loading.drop_text_encoder else 0))


def card_of(gigabytes: int | None) -> tuple[str, float]:
    """The card that times are given for, and the operations a second that it sustains."""
    if gigabytes is None:
        return "H100", HOPPER_RATE
    name, rate = CARDS[min(CARDS, key=lambda size: abs(size - gigabytes))]
    return name, SUSTAINED * rate


# What would make it fit


def remedies(facts: ModelFacts, plan: Plan, loading: Loading, gigabytes: int) -> tuple[str, ...]:
    """What would make a video fit a GPU: other ways to load the model, fewer frames, smaller pictures."""
    found = []
    for preset in sorted((p for p in PRESETS.values() if p.gigabytes), key=lambda p: -p.gigabytes):
        stored = Loading.of({**preset.settings, "dtype": loading.dtype, "vae_dtype": loading.vae_dtype})
        other = replace(stored, rank=loading.rank, prefetch=loading.prefetch)
        other = replace(other, layerwise_casting=other.layerwise_casting or loading.layerwise_casting)
        if other != loading and predict(facts, plan, other, gigabytes).fits:
            found.append(f"load it as --preset {preset.name} does")
            break
    fits = partial(_fits, facts, plan, loading, gigabytes)
    least, most = 0.0, 1.0  # shares of the frames, of which the first fits and the second does not
    for _ in range(5):
        middle = (least + most) / 2
        least, most = (middle, most) if fits(frames=middle) else (least, middle)
    if least:
        frames = sum(_lengths(plan, least)) * 4 - 3
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
    other = replace(plan, shots=shots, height=height, width=width, num_frames=4 * sum(lengths) - 3)
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
            f"time: {spent}, on a {memory.card}, at {SUSTAINED:.0%} of the rate that it is sold with",
            *remedy,
            "All of this is arithmetic that has not yet been run on a GPU.",
        ]
    )
