"""StoryMem's LoRA, with both of Wan2.2-A14B's models and CLIP's image encoder -> one folder in diffusers layout."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from math import sqrt
from pathlib import Path

import torch

from holocine.checkpoints import CheckpointError, first_line
from holocine.conversion import (
    SHARD_BYTES,
    Part,
    check_new,
    find_tokenizer,
    load_tokenizer,
    open_vae,
    wan_parts,
    write_pipeline,
)
from holocine.families import find_family
from holocine.families.conversion import DOWN, UP, check_adapted, merged, tell_doubt
from holocine.families.storymem.pipeline import StoryMemPipeline
from holocine.families.storymem.scheduler import StoryMemScheduler
from holocine.released import (
    TensorFile,
    open_folder,
    open_tensors,
    rename_transformer,
    same_names,
    some,
    transformer_config,
)
from holocine.transformer import HoloCineTransformer3DModel

# Wan2.2's folders of its experts, StoryMem's files for them.
_FOLDERS = ("high_noise_model", "low_noise_model")
_FILES = ("backbone_high_noise.pth", "backbone_low_noise.pth")
_PREFIX, _ADAPTER = "base_model.model.", ".default."  # of names that peft writes
_MASK = 4  # channels of the condition beside its latents


def convert_storymem(
    weights: str | os.PathLike,
    vae: str | os.PathLike,
    text_encoder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    base: str | os.PathLike,
    opening: str | os.PathLike,
    image_encoder: str | os.PathLike,
    tokenizer: str | os.PathLike | None = None,
    dtype: torch.dtype | None = None,
    attention_head_dim: int = 128,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write StoryMem's pipeline to the new folder `out`, and return it.

    weights: its folder `Wan2.2-MM2V-A14B`, with a LoRA for each expert of `base`, the folder of Wan2.2-I2V-A14B.
    opening: the folder of Wan2.2-T2V-A14B. image_encoder: that of CLIP ViT-B/32 as transformers loads it. The rest, and
    what is raised, as of `holocine.conversion.convert`.
    """
    out = Path(out)
    check_new(out)
    for name, folder in (("weights", weights), ("base", base), ("opening", opening), ("image-encoder", image_encoder)):
        if not Path(folder).is_dir():
            raise CheckpointError(f"--{name} {folder} is no folder: give the one that StoryMem's card names")
    tokenizer_folder = find_tokenizer(tokenizer, Path(text_encoder))
    loras = [scaled_lora(open_tensors(Path(weights) / name)) for name in _FILES]
    bases = [open_folder(Path(base) / name) for name in _FOLDERS]
    for lora, of in zip(loras, bases, strict=True):
        # Which layers it adapts is read off the file: those that it has of any block it has of all.
        layers = {found[1] for name in lora.shapes if (found := re.fullmatch(rf"blocks\.\d+\.(.*)({DOWN}|{UP})", name))}
        check_adapted(lora, of, sorted(layers), "the folder Wan2.2-MM2V-A14B of Kevin-thu/StoryMem")
    experts = [merged(of, lora) for lora, of in zip(loras, bases, strict=True)]
    openings = [open_folder(Path(opening) / name) for name in _FOLDERS]
    common = wan_parts(open_vae(vae), open_tensors(text_encoder))
    channels = next(part.model.config.z_dim for part in common if part.name == "vae")
    parts = [
        *_transformers(("transformer", "transformer_2"), experts, attention_head_dim, 2 * channels + _MASK),
        *_transformers(("opening", "opening_2"), openings, attention_head_dim, channels),
        _eye(image_encoder),
        *common,
    ]
    models = {part.name: part.model for part in parts}
    pipeline = StoryMemPipeline(
        tokenizer=load_tokenizer(tokenizer_folder, models["text_encoder"].config.vocab_size),
        scheduler=StoryMemScheduler(),
        **models,
    )
    write_pipeline(out, pipeline, parts, dtype, shard_bytes)
    tell_doubt(find_family("storymem"), Path(weights))
    return out


def scaled_lora(file: TensorFile) -> TensorFile:
    """A LoRA that peft wrote, under the names that `merged` knows, with its scale in it.

    It was trained with alpha = rank and rank-stabilised scaling, alpha / sqrt(rank): that is sqrt(rank), where the
    usual scaling would be 1. Raises `CheckpointError` for what is no such LoRA.
    """

    def renamed(name: str) -> str:
        name = name.removeprefix(_PREFIX).replace(_ADAPTER, ".")
        return name.replace(".lora_A.weight", DOWN).replace(".lora_B.weight", UP)

    lora = file.renamed(renamed)
    if not any(name.endswith(DOWN) for name in lora.shapes):
        raise CheckpointError(
            f"{file.path} holds no LoRA: give the folder Wan2.2-MM2V-A14B of Kevin-thu/StoryMem; names as "
            f"{_PREFIX}blocks.0.self_attn.q.lora_A.default.weight are expected, and it has {some(file.shapes)}"
        )

    def read(name: str) -> torch.Tensor:
        tensor = lora.read(name)
        return tensor.float() * sqrt(tensor.shape[1]) if name.endswith(UP) else tensor

    return replace(lora, read=read)


def _transformers(names: tuple[str, str], files: list[TensorFile], head_dim: int, takes: int) -> list[Part]:
    configs = [transformer_config(file, head_dim) for file in files]
    for file, config in zip(files, configs, strict=True):
        if config["in_channels"] != takes:
            raise CheckpointError(
                f"{file.path} takes {config['in_channels']} channels instead of {takes}: Wan2.2-I2V-A14B is the base "
                "and Wan2.2-T2V-A14B the opening"
            )
    if configs[0] != configs[1]:
        raise CheckpointError(f"{files[0].path} and {files[1].path} are not a pair: their shapes differ")
    with torch.device("meta"):
        models = [HoloCineTransformer3DModel(**config) for config in configs]
    return [
        Part(name, file, model, rename_transformer, "diffusion_pytorch_model")
        for name, file, model in zip(names, files, models, strict=True)
    ]


def _eye(folder: str | os.PathLike) -> Part:
    """CLIP's image encoder, which is small enough to be loaded."""
    from transformers import CLIPVisionModelWithProjection

    try:
        model = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder} has no image encoder that can be loaded ({first_line(error)}): give the folder of "
            "openai/clip-vit-base-patch32"
        ) from None
    state = model.state_dict()
    file = TensorFile(
        Path(folder),
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tensor.dtype for name, tensor in state.items()},
        state.__getitem__,
    )
    return Part("image_encoder", file, model, same_names, "model")
