"""Released HoloCine and Wan files -> one folder in diffusers layout.

HoloCine publishes its two experts as single safetensors files in Wan's original naming; the text encoder and VAE are
Wan's own `.pth` files. Configurations are read off the tensors' shapes, every name and shape is checked against the
model it is for before anything is written, and tensors are copied one shard at a time.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanPipeline
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from holocine.checkpoints import SHIFT, CheckpointError, check_shapes, expected_shapes, first_line
from holocine.files import making_parents, nearest_folder, replacing
from holocine.pipeline import BOUNDARY_RATIO, HoloCinePipeline
from holocine.plurals import are, listed
from holocine.released import (
    TensorFile,
    attention_of,
    open_folder,
    open_tensors,
    rename_text_encoder,
    rename_transformer,
    rename_vae,
    same_names,
    text_encoder_config,
    transformer_config,
    vae_config,
)
from holocine.scheduler import HoloCineScheduler
from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

SHARD_BYTES = 5 * 1024**3
_TOKENIZER = "Wan's folder google/umt5-xxl as --tokenizer"
_PUBLISHED = re.compile("(full|sparse)_(high|low)_noise")  # names of HoloCine's files
_TINY = 1000  # tokens that a text encoder knows, of one for tests


def convert(
    high: str | os.PathLike,
    low: str | os.PathLike,
    vae: str | os.PathLike,
    text_encoder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    tokenizer: str | os.PathLike | None = None,
    dtype: torch.dtype | None = None,
    attention_head_dim: int = 128,
    attention: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write the pipeline made of four released files to the new folder `out`, and return it.

    `high`, `low`: the experts, `.safetensors` or `.pth` in Wan's original naming. `vae`: `Wan2.1_VAE.pth`.
    `text_encoder`: `models_t5_umt5-xxl-enc-bf16.pth`. `tokenizer`: the folder `google/umt5-xxl` of Wan's release;
    without it, it is looked for beside the text encoder. `dtype` casts the weights (norms, time embedder and modulation
    tables stay float32); without it they keep the type of their file. `attention_head_dim` cannot be read off the
    tensors. `attention` is the pipeline's default mode; without it, it is "full" if the experts' file names say so and
    "sparse" otherwise.

    At most `shard_bytes` are held in memory. Raises `CheckpointError`, naming the first missing or misshapen tensors,
    if a file is not what its argument says, and `OSError` if `out` cannot be written; then nothing is left behind.
    """
    out = Path(out)
    check_new(out)
    tokenizer_folder = find_tokenizer(tokenizer, Path(text_encoder))
    experts = [open_tensors(high), open_tensors(low)]
    if "low_noise" in experts[0].path.name and "high_noise" in experts[1].path.name:
        raise CheckpointError(f"{high} is given as --high and {low} as --low: by their names it is the other way round")
    vae_file, text_file = open_tensors(vae), open_tensors(text_encoder)

    configs = [transformer_config(expert, attention_head_dim) for expert in experts]
    if configs[0] != configs[1]:
        different = next(key for key in configs[0] if configs[0][key] != configs[1][key])
        raise CheckpointError(
            f"{experts[0].path} and {experts[1].path} are not a pair: "
            f"{different} is {configs[0][different]} in one and {configs[1][different]} in the other"
        )
    with torch.device("meta"):
        transformers = [HoloCineTransformer3DModel(**config) for config in configs]
    parts = [
        Part("transformer", experts[0], transformers[0], rename_transformer, "diffusion_pytorch_model"),
        Part("transformer_2", experts[1], transformers[1], rename_transformer, "diffusion_pytorch_model"),
        *wan_parts(vae_file, text_file),
    ]
    models = {part.name: part.model for part in parts}
    tokenizer_model = load_tokenizer(tokenizer_folder, models["text_encoder"].config.vocab_size)
    pipeline = HoloCinePipeline(
        tokenizer=tokenizer_model,
        scheduler=HoloCineScheduler(shift=SHIFT),
        boundary_ratio=BOUNDARY_RATIO,
        default_attention=attention or attention_of(experts),
        **models,
    )
    write_pipeline(out, pipeline, parts, dtype, shard_bytes)
    if unknown := [str(expert.path) for expert in experts if not _PUBLISHED.search(expert.path.name)]:
        logger.warning(
            "%s %s not called full_… or sparse_…_noise, as HoloCine's weights are: by names and shapes of the tensors "
            "it could be theirs, but Wan's own are the same",
            listed(unknown),
            are(len(unknown)),
        )
    return out


def check_new(out: Path) -> None:
    """Raise `CheckpointError` unless `out` is a new or an empty folder, `OSError` unless it can be below a folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} already exists: give a new folder, or remove it first")
    nearest_folder(out)


def open_vae(path: str | os.PathLike) -> TensorFile:
    """Wan's video autoencoder: its file, or a folder in diffusers layout; raises as `open_tensors`."""
    return open_folder(path) if Path(path).is_dir() else open_tensors(path)


def wan_parts(vae_file: TensorFile, text_file: TensorFile) -> list[Part]:
    """Wan's video autoencoder and text encoder, which all models here have in common."""
    folder = vae_file.path if vae_file.path.is_dir() else None
    with torch.device("meta"):
        if folder is None:
            vae_model = AutoencoderKLWan(**vae_config(vae_file))
        else:
            vae_model = AutoencoderKLWan.from_config(AutoencoderKLWan.load_config(folder))
        text_model = UMT5EncoderModel(UMT5Config(**text_encoder_config(text_file)))
    return [
        Part("vae", vae_file, vae_model, rename_vae if folder is None else same_names, "diffusion_pytorch_model"),
        Part("text_encoder", text_file, text_model, rename_text_encoder, "model"),
    ]


def write_pipeline(
    out: Path, pipeline: WanPipeline, parts: Sequence[Part], dtype: torch.dtype | None, shard_bytes: int
) -> None:
    """Write a pipeline of empty models to the new folder `out`, with the tensors of its parts; all or nothing.

    Folders above `out` that are missing are made.

    Raises `CheckpointError`, naming the first missing or misshapen tensors, before anything is written.
    """
    text, first = (next(part for part in parts if part.name == name) for name in ("text_encoder", "transformer"))
    width, takes = text.model.config.d_model, first.model.config.text_dim
    if width != takes:
        raise CheckpointError(
            f"{text.file.path} gives text of width {width}, but {first.file.path} takes width {takes}"
        )
    renamed = [part.names() for part in parts]
    _check_space(out, sum(part.num_bytes(dtype) for part in parts))
    with making_parents(out), replacing(out) as folder:
        folder.mkdir()
        pipeline.save_config(folder)
        pipeline.scheduler.save_pretrained(folder / "scheduler")
        pipeline.tokenizer.save_pretrained(folder / "tokenizer")
        for part, names in zip(parts, renamed, strict=True):
            part.write(folder / part.name, names, dtype, shard_bytes)


@dataclass(frozen=True)
class Part:
    """One component of the pipeline: the file it comes from and the (empty) model that its tensors have to fit."""

    name: str
    file: TensorFile
    model: torch.nn.Module
    rename: Callable[[Iterable[str]], dict[str, str]]
    stem: str

    def names(self) -> dict[str, str]:
        """The model's name -> the file's name of every tensor, checked to be complete and in the model's shapes."""
        names = self.rename(self.file.shapes)
        found = {new: self.file.shapes[old] for new, old in names.items()}
        check_shapes(expected_shapes(self.model), found, str(self.file.path), shown_as=names)
        return names

    def _dtype(self, name: str, source: torch.dtype, dtype: torch.dtype | None) -> torch.dtype:
        """What the model runs in float32 keeps the precision of its file."""
        sensitive = getattr(self.model, "_keep_in_fp32_modules", None) or ()
        return source if dtype is None or any(word in name.split(".") for word in sensitive) else dtype

    def num_bytes(self, dtype: torch.dtype | None) -> int:
        """The size on disk that the part will have, to the nearest few kilobytes."""
        return sum(
            torch.Size(shape).numel() * max((dtype or self.file.dtypes[name]).itemsize, 1)
            for name, shape in self.file.shapes.items()
        )

    def write(self, folder: Path, names: dict[str, str], dtype: torch.dtype | None, shard_bytes: int) -> None:
        """Write config and weights to `folder`, reading one shard's tensors at a time."""
        folder.mkdir()
        if isinstance(self.model, PreTrainedModel):
            self.model.config.architectures = [type(self.model).__name__]
            self.model.config.save_pretrained(folder)
        else:
            self.model.save_config(folder)
        dtypes = {new: self._dtype(new, self.file.dtypes[old], dtype) for new, old in names.items()}
        sizes = {new: torch.Size(self.file.shapes[old]).numel() * dtypes[new].itemsize for new, old in names.items()}
        shards = _split(sizes, shard_bytes)
        weight_map = {}
        for number, shard in enumerate(shards, start=1):
            suffix = f"-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
            file_name = f"{self.stem}{suffix}.safetensors"
            logger.info("%s: writing file %d of %d", self.name, number, len(shards))
            tensors = {name: self.file.read(names[name]).to(dtypes[name]).contiguous() for name in shard}
            try:
                save_file(tensors, folder / file_name, metadata={"format": "pt"})
            except SafetensorError as error:
                raise CheckpointError(f"{self.name}/{file_name} cannot be written: {first_line(error)}") from None
            weight_map |= dict.fromkeys(shard, file_name)
        if len(shards) > 1:
            index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
            (folder / f"{self.stem}.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _split(sizes: dict[str, int], limit: int) -> list[list[str]]:
    """Names in order, in groups of at most `limit` bytes (or one tensor, if it alone is larger)."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


# Tokenizer and disk


def find_tokenizer(folder: str | os.PathLike | None, text_encoder: Path) -> Path:
    """The tokenizer's folder: as given, or where Wan's release has it, `google/umt5-xxl` beside the text encoder."""
    path = Path(folder) if folder is not None else text_encoder.parent / "google" / "umt5-xxl"
    if not path.is_dir():
        where = f"{path} is not a folder" if folder is not None else f"there is no tokenizer in {path}"
        raise CheckpointError(
            f"{where}: download the folder google/umt5-xxl of Wan-AI/Wan2.2-T2V-A14B (23 MB) and give it as --tokenizer"
        )
    return path


def load_tokenizer(folder: Path, vocab_size: int) -> PreTrainedTokenizerFast:
    """The tokenizer in `folder`; it must know character offsets (text windows need them) and fit the text encoder."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # readers raise nearly every kind for a file that is not theirs
        raise CheckpointError(
            f"{folder} has no tokenizer that can be loaded ({first_line(error)}): give {_TOKENIZER}"
        ) from None
    if not tokenizer.is_fast:
        raise CheckpointError(f"{folder} has no tokenizer.json, which text windows need: give {_TOKENIZER}")
    if len(tokenizer) > vocab_size:
        raise CheckpointError(
            f"{folder} has {len(tokenizer)} tokens, but the text encoder knows only {vocab_size}: give {_TOKENIZER}"
        )
    if 2 * len(tokenizer) < vocab_size and vocab_size > _TINY:
        raise CheckpointError(
            f"{folder} has {len(tokenizer)} tokens, but the text encoder knows {vocab_size}: give {_TOKENIZER}"
        )
    if (tokenizer.pad_token, tokenizer.eos_token) != ("<pad>", "</s>"):
        raise CheckpointError(
            f"{folder} is not UMT5's tokenizer: padding is {tokenizer.pad_token} and the end {tokenizer.eos_token} "
            f"instead of <pad> and </s>; give {_TOKENIZER}"
        )
    return tokenizer


def _check_space(out: Path, needed: int) -> None:
    free = shutil.disk_usage(nearest_folder(out)).free
    if free < needed:
        raise CheckpointError(f"{out} will need {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free there")
