"""The files that HoloCine and Wan released: opened, recognised by their tensors, renamed."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
from safetensors import safe_open

from holocine.checkpoints import CheckpointError, Shapes, first_line

if TYPE_CHECKING:
    from torch import Tensor

_CHECKED_AT_ONCE = 16 << 20  # bytes


@dataclass(frozen=True)
class TensorFile:
    """The tensors of one file by name: shapes at once, values when asked for."""

    path: Path
    shapes: Shapes
    dtypes: dict[str, torch.dtype]
    read: Callable[[str], Tensor]

    def renamed(self, rename: Callable[[str], str]) -> TensorFile:
        """The same tensors under other names: those that `rename` makes of theirs."""
        names = {rename(name): name for name in self.shapes}
        return TensorFile(
            self.path,
            {new: self.shapes[old] for new, old in names.items()},
            {new: self.dtypes[old] for new, old in names.items()},
            lambda name: self.read(names[name]),
        )


def open_tensors(path: str | os.PathLike, inside: Iterable[str] = ()) -> TensorFile:
    """Open a `.safetensors` or `.pth` file; raises `CheckpointError` if it is missing, damaged or anything else.

    inside: names that the tensors may lie under in a `.pth` of a training run; the first that is there is taken, and
    one has to be.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is a folder, a file is needed" if path.is_dir() else f"{path} does not exist")
    try:
        return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path, tuple(inside))
    except CheckpointError:
        raise
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # of a file that is none of the kind, readers raise nearly every kind
        # What PyTorch says of a file is advice to programmers, and some of it is to let the file run code.
        reason = f" ({first_line(error)})" if path.suffix == ".safetensors" else ""
        raise CheckpointError(f"{path} is damaged or cut short, download it again{reason}") from None


def open_folder(path: str | os.PathLike) -> TensorFile:
    """Open a model's folder in diffusers layout, one or more `.safetensors`; raises as `open_tensors`."""
    path = Path(path)
    files = [open_tensors(file) for file in sorted(path.glob("*.safetensors"))]
    if not files or not (path / "config.json").is_file():
        raise CheckpointError(f"{path} is no model in diffusers layout: it needs config.json and .safetensors files")
    home = {name: file for file in files for name in file.shapes}
    return TensorFile(
        path,
        {name: file.shapes[name] for name, file in home.items()},
        {name: file.dtypes[name] for name, file in home.items()},
        lambda name: home[name].read(name),
    )


def same_names(names: Iterable[str]) -> dict[str, str]:
    """For a model whose tensors have diffusers' names already."""
    return {name: name for name in names}


def _open_safetensors(path: Path) -> TensorFile:
    file = safe_open(path, framework="pt")
    names = list(file.keys())
    slices = {name: file.get_slice(name) for name in names}
    shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    dtypes = {name: _SAFETENSORS_DTYPES[part.get_dtype()] for name, part in slices.items()}
    return TensorFile(path, shapes, dtypes, file.get_tensor)


_SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
}


def _open_pickle(path: Path, inside: tuple[str, ...]) -> TensorFile:
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles of other kinds, which are refused
            # Only what is a zip archive can be read tensor by tensor; files of old are not.
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError:
        if not _is_pickle(path):
            raise
        raise CheckpointError(
            f"{path} is not a file of tensors only, so it was not opened: it could run code; use the published file"
        ) from None
    under = ""
    if inside and isinstance(tensors, dict):
        name = next((name for name in inside if name in tensors), None)
        if name is None:
            raise CheckpointError(
                f"{path} has no {' or '.join(map(repr, inside))}, which its tensors are expected under; it has "
                f"{some(tensors)}: use the published file"
            )
        tensors, under = tensors[name], f" under {name!r}"
    if not isinstance(tensors, dict):
        raise CheckpointError(
            f"{path} holds something else than named tensors{under}: a {type(tensors).__name__}; use the published file"
        )
    if other := [name for name, tensor in tensors.items() if not isinstance(tensor, torch.Tensor)]:
        raise CheckpointError(
            f"{path} holds something else than named tensors{under}: {some(other)}; use the published file"
        )
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors{under}: use the published file")
    _check_sums(path)
    return TensorFile(
        path,
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        {name: tensor.dtype for name, tensor in tensors.items()},
        tensors.__getitem__,
    )


def _check_sums(path: Path) -> None:
    """Raise `CheckpointError` if a part of an archive is not what its checksum is of; PyTorch reads it all the same."""
    if not is_zipfile(path):
        return
    with ZipFile(path) as archive:
        for part in archive.infolist():
            if part.CRC == 0:  # written without one
                continue
            try:
                with archive.open(part) as data:
                    while data.read(_CHECKED_AT_ONCE):
                        pass
            except BadZipFile:
                raise CheckpointError(
                    f"{path} is damaged, download it again: its part {part.filename} has another checksum"
                ) from None


def _is_pickle(path: Path) -> bool:
    """Whether a file is what `torch.save` writes, now or in the past, and not something else of that name."""
    with open(path, "rb") as file:
        return is_zipfile(path) or file.read(1) == b"\x80"


# Configurations, read off the shapes

PUBLISHED_LAYERS = {1536: 30, 3072: 30, 5120: 40}  # of Wan's transformers by their width: 1.3B, 5B, 14B


def transformer_config(file: TensorFile, attention_head_dim: int) -> dict:
    """The configuration of a Wan transformer in original naming; raises `CheckpointError` if it is none."""
    shape = _shapes_of(file, "a Wan transformer in original naming", prefix="model.diffusion_model.")
    dim, in_channels, *patch_size = shape("patch_embedding.weight", 5)
    num_layers = _num_blocks(file)
    if num_layers != PUBLISHED_LAYERS.get(dim, num_layers):
        raise CheckpointError(
            f"{file.path} has {num_layers} blocks, but a Wan transformer of width {dim} has {PUBLISHED_LAYERS[dim]}: "
            "it is not complete, download it again"
        )
    if dim % attention_head_dim:
        raise CheckpointError(
            f"{file.path} is {dim} wide, which attention heads of {attention_head_dim} do not divide: "
            "give their width with --attention-head-dim"
        )
    return {
        "patch_size": tuple(patch_size),
        "num_attention_heads": dim // attention_head_dim,
        "attention_head_dim": attention_head_dim,
        "in_channels": in_channels,
        "out_channels": shape("head.head.weight", 2)[0] // torch.Size(patch_size).numel(),
        "text_dim": shape("text_embedding.0.weight", 2)[1],
        "freq_dim": shape("time_embedding.0.weight", 2)[1],
        "ffn_dim": shape("blocks.0.ffn.0.weight", 2)[0],
        "num_layers": num_layers,
    }


def vae_config(file: TensorFile) -> dict:
    """The configuration of Wan 2.1's VAE (8x in space, 4x in time) of any width."""
    shape = _shapes_of(file, "Wan 2.1's VAE")
    z_dim = shape("conv2.weight", 5)[0]
    if z_dim != 16:
        raise CheckpointError(
            f"{file.path} has {z_dim} latent channels, but HoloCine uses Wan2.1_VAE.pth, which has 16"
        )
    base_dim, in_channels = shape("encoder.conv1.weight", 5)[:2]
    return {
        "base_dim": base_dim,
        "z_dim": z_dim,
        "in_channels": in_channels,
        "out_channels": shape("decoder.head.2.weight", 5)[0],
    }


def text_encoder_config(file: TensorFile) -> dict:
    """The configuration of a UMT5 encoder in Wan's naming."""
    shape = _shapes_of(file, "Wan's UMT5 text encoder")
    vocab_size, d_model = shape("token_embedding.weight", 2)
    num_buckets, num_heads = shape("blocks.0.pos_embedding.embedding.weight", 2)
    return {
        "vocab_size": vocab_size,
        "d_model": d_model,
        "d_kv": shape("blocks.0.attn.q.weight", 2)[0] // num_heads,
        "d_ff": shape("blocks.0.ffn.fc1.weight", 2)[0],
        "num_layers": _num_blocks(file),
        "num_heads": num_heads,
        "relative_attention_num_buckets": num_buckets,
    }


def _shapes_of(file: TensorFile, what: str, prefix: str = "") -> Callable[[str, int], tuple[int, ...]]:
    def shape(name: str, ndim: int) -> tuple[int, ...]:
        found = file.shapes.get(name) or file.shapes.get(prefix + name)
        if found is None:
            raise CheckpointError(f"{file.path} is not {what}: {name} is missing; it has {some(file.shapes)}")
        if len(found) != ndim:
            raise CheckpointError(
                f"{file.path} is not {what}: {name} has shape {found}, which is not {ndim}-dimensional"
            )
        return found

    return shape


def _num_blocks(file: TensorFile) -> int:
    numbers = {name.split("blocks.", 1)[1].split(".")[0] for name in file.shapes if "blocks." in name}
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)


def some(names: Iterable[str]) -> str:
    """The first of many names, in words."""
    first = list(map(str, names))
    return ", ".join(first[:3]) + ", …" * (len(first) > 3) if first else "nothing"


# Names


def rename_transformer(names: Iterable[str]) -> dict[str, str]:
    """diffusers' name -> Wan's name, by diffusers' own converter."""
    return convert_wan_transformer_to_diffusers({name: name for name in names})


def rename_vae(names: Iterable[str]) -> dict[str, str]:
    """diffusers' name -> Wan's name, by diffusers' own converter."""
    return convert_wan_vae_to_diffusers({name: name for name in names})


_TEXT_ENCODER_NAMES = {
    "token_embedding.": "shared.",
    "blocks.": "encoder.block.",
    ".norm1.": ".layer.0.layer_norm.",
    ".attn.": ".layer.0.SelfAttention.",
    ".pos_embedding.embedding.": ".layer.0.SelfAttention.relative_attention_bias.",
    ".norm2.": ".layer.1.layer_norm.",
    ".ffn.gate.0.": ".layer.1.DenseReluDense.wi_0.",
    ".ffn.fc1.": ".layer.1.DenseReluDense.wi_1.",
    ".ffn.fc2.": ".layer.1.DenseReluDense.wo.",
}


def rename_text_encoder(names: Iterable[str]) -> dict[str, str]:
    """transformers' name -> Wan's name."""
    renamed = {}
    for name in names:
        new = "encoder.final_layer_norm.weight" if name == "norm.weight" else name
        for theirs, ours in _TEXT_ENCODER_NAMES.items():
            new = new.replace(theirs, ours)
        renamed[new] = name
    return renamed


def attention_of(experts: Iterable[TensorFile]) -> str:
    """The attention that released experts were trained with, which their file names say: `full_…` or `sparse_…`."""
    return "full" if all("full" in expert.path.name for expert in experts) else "sparse"
