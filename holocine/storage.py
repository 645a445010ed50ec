"""Models in less memory: weights stored in float8, int8 or GGUF, and a text encoder that is there only while it reads.

All compute in the type of their input: a layer's weights are widened while the layer runs. Layers of the blocks are
stored so, which are all but a hundredth of a transformer; embedders, norms and the last projection stay as they are.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from holocine.errors import CheckpointError

if TYPE_CHECKING:
    from holocine.transformer import HoloCineTransformer3DModel


class Int8Linear(nn.Linear):
    """A linear layer whose weight is int8 (outputs, inputs), with a float32 scale for each output.

    The largest weight of an output is 127 steps, and each is rounded to the nearest: off by 1/254 of that at most.
    """

    @classmethod
    def of(cls, linear: nn.Linear) -> Int8Linear:
        """The same layer in int8."""
        with torch.device("meta"):
            layer = cls(linear.in_features, linear.out_features, bias=False)
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        layer.weight = nn.Parameter((weight / scale).round_().to(torch.int8), requires_grad=False)
        layer.register_buffer("scale", scale)
        layer.bias = linear.bias
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `nn.Linear` does it; x: (..., inputs)."""
        return F.linear(x, self.weight.to(x.dtype) * self.scale.to(x.dtype), self.bias)


def store_in_int8(expert: nn.Module) -> None:
    """Put `Int8Linear` in place of every linear layer of the blocks; adapters stay as they are."""
    for block in expert.blocks:
        for name, module in list(block.named_modules()):
            if type(module) is nn.Linear and ".lora_" not in name:
                parent, _, last = name.rpartition(".")
                setattr(block.get_submodule(parent), last, Int8Linear.of(module))


def store_in_float8(expert: nn.Module, dtype: torch.dtype) -> None:
    """diffusers' layerwise casting; after adapters, which it leaves alone: PEFT computes in their type."""
    expert.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)


def load_gguf(file: str, folder: Path, subfolder: str, dtype: torch.dtype) -> HoloCineTransformer3DModel:
    """An expert of a GGUF file in Wan's or diffusers' names; its config is that of `subfolder` in the model's folder.

    The file is one that `loading.check_gguf` passes. Raises `CheckpointError` where it does not fit.
    """
    path = Path(file).expanduser()
    from diffusers import GGUFQuantizationConfig

    from holocine.transformer import HoloCineTransformer3DModel

    try:
        return HoloCineTransformer3DModel.from_single_file(
            str(path),
            config=str(folder),
            subfolder=subfolder,
            quantization_config=GGUFQuantizationConfig(compute_dtype=dtype),
            dtype=dtype,
            local_files_only=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # readers and quantisers raise nearly every kind for a file that does not fit
        raise CheckpointError(
            f"{path} does not fit this model's {subfolder}: it is of a model of another kind or size, name a GGUF file "
            "that was made of this one"
        ) from error


@dataclass(frozen=True)
class DroppedTextEncoder:
    """A text encoder that is on disk but while it reads.

    folder: of its weights; dtype: that it computes in; place: puts it to where it runs.
    """

    folder: Path
    dtype: torch.dtype
    place: Callable[[nn.Module], object]

    @contextmanager
    def loaded(self) -> Iterator[nn.Module]:
        """Inside the block the encoder is there; afterwards its memory is free."""
        from transformers import UMT5EncoderModel

        encoder = UMT5EncoderModel.from_pretrained(self.folder, dtype=self.dtype, local_files_only=True).eval()
        self.place(encoder)
        try:
            yield encoder
        finally:
            del encoder
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
