"""A family's published file, with Wan's own, -> one folder in diffusers layout that says which family it is.

EchoShot, ShotStream and LongLive publish whole transformers, CineTrans a LoRA on Wan2.1-T2V-1.3B that is merged here,
one tensor at a time: W + up · down. StoryMem's, which takes more than a file, is in its own folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from holocine.checkpoints import CheckpointError
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
from holocine.families.family import Family
from holocine.families.pipeline import FamilyPipeline
from holocine.families.samplers import scheduler_of
from holocine.plurals import listed
from holocine.released import PUBLISHED_LAYERS, TensorFile, open_tensors, rename_transformer, some, transformer_config
from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

# What the weights lie under in files that training wrote, and what their names begin with.
_INSIDE = {
    "echoshot": (),
    "cinetrans": ("ema", "model"),
    "shotstream": ("generator",),
    "longlive": ("generator", "model"),
}
_PREFIX = {"shotstream": "model.", "longlive": "model."}
_LORAS = ("cinetrans",)  # the others publish whole transformers
_RANK = 64  # of that
_WIDTH = {"echoshot": 1536, "cinetrans": 1536, "shotstream": 1536, "longlive": 3072}
_ADAPTED = tuple(f"{part}.{name}" for part in ("self_attn", "cross_attn") for name in "qkvo") + ("ffn.0", "ffn.2")
DOWN, UP, _ORIGINAL = ".lora_down.weight", ".lora_up.weight", ".orig."


def convert_family(
    family: str,
    weights: str | os.PathLike,
    vae: str | os.PathLike,
    text_encoder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    base: str | os.PathLike | None = None,
    tokenizer: str | os.PathLike | None = None,
    dtype: torch.dtype | None = None,
    attention_head_dim: int = 128,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write the pipeline of a family to the new folder `out`, and return it.

    weights: the file that the family publishes. base: the transformer that a LoRA is for, Wan2.1-T2V-1.3B's
    `diffusion_pytorch_model.safetensors`; needed for cinetrans and for it alone. vae: as of
    `holocine.conversion.convert` or, for longlive, the folder `vae` of Wan2.2-TI2V-5B in diffusers layout. The rest,
    and what is raised, as there. Another model's weights of the same names and shapes cannot be told from the family's:
    where the file has another name than the published one, that is logged as a warning.
    """
    known, out = find_family(family), Path(out)
    if family not in _INSIDE:
        raise CheckpointError(f"{known.title} is made of more files: take holocine.families.{family}.conversion")
    check_new(out)
    with _of(known):
        prefix = _PREFIX.get(family, "")
        found = open_tensors(weights, _INSIDE[family])
        if prefix and not any(name.startswith(prefix) for name in found.shapes):
            raise CheckpointError(
                f"{found.path} has no tensors called {prefix}…, as {_file_of(known)} has; it has {some(found.shapes)}"
            )
        published = found.renamed(lambda name: name.removeprefix(prefix))
        tokenizer_folder = find_tokenizer(tokenizer, Path(text_encoder))
        transformer_file = _with_base(published, base, known) if family in _LORAS else published
        if base is not None and family not in _LORAS:
            raise CheckpointError(f"{published.path} holds a whole transformer: leave --base out")
        config = transformer_config(transformer_file, attention_head_dim)
        _check_width(known, published.path, config)
        with torch.device("meta"):
            transformer = HoloCineTransformer3DModel(**config)
        parts = [
            Part("transformer", transformer_file, transformer, rename_transformer, "diffusion_pytorch_model"),
            *wan_parts(open_vae(vae), open_tensors(text_encoder)),
        ]
        models = {part.name: part.model for part in parts}
        makes, takes = models["vae"].config.z_dim, transformer.config.in_channels
        if makes != takes:
            raise CheckpointError(
                f"{vae} has {makes} latent channels, but {published.path} takes {takes}: give the video autoencoder of "
                f"{known.origin.base}"
            )
        pipeline = FamilyPipeline(
            tokenizer=load_tokenizer(tokenizer_folder, models["text_encoder"].config.vocab_size),
            scheduler=scheduler_of(family),
            family=family,
            **models,
        )
        write_pipeline(out, pipeline, parts, dtype, shard_bytes)
    tell_doubt(known, published.path)
    return out


def _check_width(family: Family, path: Path, config: dict[str, Any]) -> None:
    """Raise `CheckpointError` for a transformer of one of Wan's sizes that is not the family's."""
    width, own = config["num_attention_heads"] * config["attention_head_dim"], _WIDTH[family.name]
    if width in PUBLISHED_LAYERS and width != own:
        raise CheckpointError(
            f"{path} is of another model: it is {width:,} wide, and {family.title} is {own:,} wide; give "
            f"{_file_of(family)}"
        )


def tell_doubt(family: Family, path: Path) -> None:
    """Warn of a file or folder that is called otherwise than the published one, as nothing in it says what it is."""
    if path.name != family.origin.file:
        logger.warning(
            "%s is not called %s, as %s's weights are: by names and shapes of its tensors it could be theirs, but "
            "other models have the same",
            *(path, family.origin.file, family.title),
        )


def _file_of(family: Family) -> str:
    return f"{family.origin.file} of {family.origin.weights}"


@contextmanager
def _of(family: Family) -> Iterator[None]:
    """Name the family in what is said of its files."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{family.title}: {error}") from None


def _with_base(lora: TensorFile, base: str | os.PathLike | None, family: Family) -> TensorFile:
    """A family's LoRA merged into the transformer that it is for."""
    file = _file_of(family)
    if not any(name.endswith((DOWN, UP)) for name in lora.shapes):
        raise CheckpointError(
            f"{lora.path} holds no LoRA: names as blocks.0.{_ADAPTED[0]}{DOWN} are expected, and it has "
            f"{some(lora.shapes)}; give {file}"
        )
    if base is None:
        raise CheckpointError(
            f"{lora.path} holds a LoRA: give the transformer that it is for, diffusion_pytorch_model.safetensors "
            f"of {family.origin.base}, with --base"
        )
    transformer = open_tensors(base)
    check_rank(lora, transformer, family)
    made = merged(transformer, lora)
    check_adapted(lora, transformer, _ADAPTED, file)
    return made


def check_rank(lora: TensorFile, base: TensorFile, family: Family) -> None:
    """Raise `CheckpointError` for a LoRA on one of Wan's transformers that is of another rank than the family's."""
    ranks = {shape[0] for name, shape in lora.shapes.items() if name.endswith(DOWN)}
    if base.shapes.get("patch_embedding.weight", (0,))[0] in PUBLISHED_LAYERS and ranks != {_RANK}:
        raise CheckpointError(
            f"{lora.path} holds a LoRA of rank {listed(map(str, sorted(ranks)))}, and {family.title}'s has {_RANK}: "
            f"give {_file_of(family)}"
        )


def check_adapted(lora: TensorFile, base: TensorFile, adapted: Iterable[str], file: str) -> None:
    """Raise `CheckpointError` unless a LoRA has both its tensors for these layers of every block; file: what has."""
    blocks = sorted({int(found[1]) for name in base.shapes if (found := re.match(r"blocks\.(\d+)\.", name))})
    layers = tuple(adapted)
    wanted = [f"blocks.{block}.{layer}{end}" for block in blocks for layer in layers for end in (DOWN, UP)]
    missing = [name for name in wanted if name not in lora.shapes]
    if missing:
        found = sum(name.endswith((DOWN, UP)) for name in lora.shapes)
        raise CheckpointError(
            f"{lora.path} is not complete: of the {len(wanted)} tensors of a LoRA for the {len(blocks)} blocks of "
            f"{base.path} it has {found}, {some(missing)} {'are' if len(missing) > 1 else 'is'} missing; give {file}"
        )


def merged(base: TensorFile, lora: TensorFile) -> TensorFile:
    """A transformer with a LoRA of scale 1 added to it: tensors are merged in float32 when they are read.

    Tensors that the LoRA's file holds itself (`….q.orig.weight`, or under the base's own name) take the place of the
    base's. Raises `CheckpointError` where the two do not fit.
    """
    targets = {name.removesuffix(DOWN): name for name in lora.shapes if name.endswith(DOWN)}
    for target in targets:
        weight, down, up = f"{target}.weight", target + DOWN, target + UP
        if weight not in base.shapes:
            raise CheckpointError(f"{lora.path} is not a LoRA for {base.path}, which has no {weight}")
        if up not in lora.shapes:
            raise CheckpointError(f"{lora.path} is not complete: {up} is missing")
        expected = (lora.shapes[up][0], lora.shapes[down][-1])
        if expected != base.shapes[weight] or lora.shapes[up][-1] != lora.shapes[down][0]:
            raise CheckpointError(
                f"{lora.path} is not a LoRA for {base.path}: {target} is {base.shapes[weight]} there, and "
                f"{lora.shapes[up]} times {lora.shapes[down]} here"
            )
    own = {name.replace(_ORIGINAL, "."): name for name in lora.shapes if not re.search(r"\.lora_(down|up)\.", name)}
    replaced = {name: old for name, old in own.items() if name in base.shapes}
    for name, old in replaced.items():
        if lora.shapes[old] != base.shapes[name]:
            raise CheckpointError(
                f"{lora.path} is not a LoRA for {base.path}: {name} is {base.shapes[name]} there and "
                f"{lora.shapes[old]} here"
            )

    def read(name: str) -> torch.Tensor:
        tensor = lora.read(replaced[name]) if name in replaced else base.read(name)
        target = name.removesuffix(".weight")
        if not name.endswith(".weight") or target not in targets:
            return tensor
        down, up = (lora.read(target + end).float() for end in (DOWN, UP))
        return (tensor.float() + up @ down).to(base.dtypes[name])

    return TensorFile(base.path, base.shapes, base.dtypes, read)
