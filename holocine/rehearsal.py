"""Parts of making a video, rehearsed on models without contents: what they have alive of a GPU's memory at most.

The parts themselves (`take_step`, `make_pictures`) run on any device, so that a GPU can be asked whether it is true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from torch.utils.flop_counter import FlopCounterMode
from transformers import UMT5Config, UMT5EncoderModel

from holocine.attention import AttentionSettings
from holocine.attention_plan import make_plan, padding_terms
from holocine.checkpoints import VAE_TILES
from holocine.latent_decoding import decode_in_turn
from holocine.memory_meter import Meter, fetched, simulated
from holocine.plan import Plan
from holocine.prompt import TextWindows
from holocine.storage import store_in_float8, store_in_int8
from holocine.timeline import ShotLayout
from holocine.transformer import HoloCineTransformer3DModel

FRAMES_RUN = 3  # the first and the second latent frame are decoded in ways of their own, all others alike
RANK = 64  # of the published distilled LoRA, and of others whose file is not looked at


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
    with _without_contents(getattr(torch, loading.vae_dtype)):
        vae = AutoencoderKLWan.from_config(dict(config))
    if loading.vae_tiling:
        vae.enable_tiling(**VAE_TILES)
    return vae.eval().requires_grad_(False)


def build_text_encoder(config: Mapping[str, Any], loading: Loading) -> torch.nn.Module:
    """A text encoder without contents."""
    with _without_contents(getattr(torch, loading.dtype)):
        encoder = UMT5EncoderModel(UMT5Config(**dict(config)))
    return encoder.eval().requires_grad_(False)


@contextmanager
def _without_contents(dtype: torch.dtype) -> Iterator[None]:
    """Inside the block, models are made of tensors of this type that have no contents."""
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


def take_step(model: HoloCineTransformer3DModel, size: Size, dtype: torch.dtype) -> None:
    """One step of denoising as the pipeline takes it, guided or not, on the device of the model's inputs."""
    device, config = _device_of(model), model.config
    layout = ShotLayout(size.shot_lengths, size.rows, size.columns)
    settings, terms = AttentionSettings.parse(size.attention), padding_terms(dtype)

    def velocity(latents: torch.Tensor, tokens: int, windows: TextWindows | None) -> torch.Tensor:
        used = min(tokens, size.text_length)
        rows = used + terms if size.text_length - used > terms else size.text_length
        plan = make_plan([layout], [windows], settings, size.text_length, used, device, dtype)
        return model(
            hidden_states=latents,
            timestep=torch.zeros(1, device=device),
            encoder_hidden_states=torch.zeros(1, rows, config.text_dim, device=device, dtype=dtype),
            attention_kwargs={"planner": lambda *_: plan},
            return_dict=False,
        )[0]

    texts = torch.zeros(1 + size.guided, size.text_length, config.text_dim, device=device, dtype=dtype)
    latents = torch.zeros(1, config.in_channels, size.latent_frames, *size.latent_size, device=device)
    given = latents.to(dtype, copy=dtype == torch.float32)
    found = velocity(given, size.text_tokens, size.windows)
    if size.guided:
        negative = velocity(given, size.negative_tokens, None)
        found = negative + 5.0 * (found - negative)
    found = found.to(latents.dtype)
    clean, stepped = latents - 0.5 * found, latents + 0.1 * found
    del clean, stepped, texts


def _device_of(model: torch.nn.Module) -> torch.device:
    """Where a model runs, which group offload knows better than the place of its weights."""
    from diffusers.hooks.group_offloading import _get_group_onload_device, _is_group_offload_enabled

    return _get_group_onload_device(model) if _is_group_offload_enabled(model) else next(model.parameters()).device


def denoising_bytes(config: Mapping[str, Any], loading: Loading, size: Size) -> int:
    """The bytes that a step has alive at most, beside the weights: layers are alike, so that one is run."""
    model = build(config, loading, layers=1)
    with _beside_weights(model, loading) as needed:
        take_step(model, size, getattr(torch, loading.dtype))
    return needed.bytes


def make_pictures(vae: AutoencoderKLWan, frames: int, size: tuple[int, int]) -> None:
    """Decode latents one after the other and make uint8 pictures of them; frames, size: of the latents."""
    for _ in _pictures_in_turn(vae, frames, size):
        pass


def _pictures_in_turn(vae: AutoencoderKLWan, frames: int, size: tuple[int, int]) -> Iterator[None]:
    latents = torch.zeros(1, vae.config.z_dim, frames, *size, device=_device_of(vae), dtype=vae.dtype)
    for video in decode_in_turn(vae, latents * 2 + 1):
        pixels = (video.clamp(-1, 1).float() + 1) * 127.5
        pixels.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()
        yield


def decoding_cost(config: Mapping[str, Any], loading: Loading, frames: int, size: tuple[int, int]) -> tuple[int, int]:
    """The bytes that decoding and making pictures have alive at most, and operations; frames, size: of the latents.

    The first latent frames are decoded, of one tile where there are several: on a GPU only one tile is there with what
    it keeps of the frames before, and beside it the pixels of all tiles of a latent frame.
    """
    vae = build_vae(config, loading)
    least, stride = (
        [side // vae.spatial_compression_ratio for side in sides]
        for sides in (
            (vae.tile_sample_min_height, vae.tile_sample_min_width),
            (vae.tile_sample_stride_height, vae.tile_sample_stride_width),
        )
    )
    tiled = vae.use_tiling and any(side > most for side, most in zip(size, least, strict=True))
    tile = tuple(map(min, size, least)) if tiled else size
    tiles = prod(-(-side // step) for side, step in zip(size, stride, strict=True)) if tiled else 1
    matters = Loading(vae_dtype=loading.vae_dtype, group_offload=loading.group_offload, prefetch=loading.prefetch)
    needed, operations = _decoding(json.dumps(dict(config)), matters, min(frames, FRAMES_RUN), tile)
    of_frame = 2 ** sum(vae.temperal_downsample) * vae.spatial_compression_ratio**2 * vae.config.out_channels
    pixels = of_frame * vae.dtype.itemsize * (tiles * prod(tile) + 2 * prod(size)) if tiled else 0
    latents = 2 * vae.config.z_dim * vae.dtype.itemsize * (frames * prod(size) - min(frames, FRAMES_RUN) * prod(tile))
    return needed + pixels + latents, operations * frames * tiles


@lru_cache(maxsize=64)
def _decoding(config: str, loading: Loading, frames: int, size: tuple[int, int]) -> tuple[int, int]:
    """The bytes that decoding the first latent frames has alive at most, and operations for one that follows.

    config: of the VAE, as JSON. frames, size: of the latents, of one tile.
    """
    vae, operations = build_vae(json.loads(config), loading), [0]
    with _beside_weights(vae, loading) as needed, FlopCounterMode(display=False) as counted:
        for _ in _pictures_in_turn(vae, frames, size):
            operations.append(counted.get_total_flops())
    return needed.bytes, operations[-1] - operations[-2] if frames == FRAMES_RUN else operations[-1] // frames


def reading_bytes(config: Mapping[str, Any], loading: Loading, tokens: int) -> int:
    """The bytes that reading one text of so many tokens, padding included, allocates at most."""
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
    if loading.group_offload:
        with simulated() as meter, fetched(model, meter, loading.prefetch):
            yield (needed := _Needed(meter, 0))
    else:
        with simulated(held=(*model.parameters(), *model.buffers())) as meter:
            yield (needed := _Needed(meter, meter.now))
    needed.bytes = meter.peak - needed.weights
