"""Wan's blocks with their element-wise work fused by the compiler.

Norms, modulation, rotation and residuals, one operation after the other as diffusers' blocks do them, are 28 % of a
sparse block's time on an H100 (`benchmarks/results/gpu`, the profile). Fused, they read and write the tokens a few
times only. Attention and linear layers stay calls of their modules: no layout of shots, no format of weights and no
adapter is part of what is compiled. So one compilation serves every storyboard, and it can be made ahead of time. The
sums are the same, of which fewer are rounded to half precision in between.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from diffusers.models.transformers.transformer_wan import WanTransformerBlock

_EXPORTED_TOKENS = 384  # of the example that an export is traced with; any number runs


@dataclass(frozen=True)
class Pieces:
    """What runs between linear layers and attention.

    x, added: (batch, tokens, width); shift, scale, gate: (batch, 1 or tokens, width), float32; weight, bias: (width,);
    cos, sin: (1, tokens, 1, head dim).

    modulated(x, scale, shift): the norm of x, scaled and shifted.
    gated(x, added, gate): x and what a branch adds.
    gated_and_normed(x, added, gate, weight, bias): that, and its norm.
    added_and_modulated(x, added, scale, shift): x and what a branch adds without a gate, and that norm, modulated.
    normed(x, weight): divided by its root mean square.
    rotated(x, weight, cos, sin): that, in heads and rotated: (batch, tokens, heads, head dim).
    """

    modulated: Callable
    gated: Callable
    gated_and_normed: Callable
    added_and_modulated: Callable
    normed: Callable
    rotated: Callable

    @classmethod
    def made(cls, make: Callable[[str, Callable], Callable], eps: float) -> Pieces:
        """make: turns a piece, given by name and as a plain function, into what is called."""
        plain = plain_pieces(eps)
        return cls(**{piece.name: make(piece.name, getattr(plain, piece.name)) for piece in fields(cls)})


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Apply Wan's rotary embedding to (batch, tokens, heads, head dim).

    By one complex product, in a small part of the time that the sums take, where no compiler is to fuse them.
    """
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    if torch.compiler.is_compiling():
        x1, x2 = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((x1 * cos - x2 * sin, x1 * sin + x2 * cos), dim=-1).flatten(-2).type_as(x)
    wide, cos, sin = (t.to(torch.promote_types(t.dtype, torch.float32)) for t in (x, cos, sin))
    pairs, turn = torch.view_as_complex(wide.unflatten(-1, (-1, 2))), torch.complex(cos, sin)
    pairs = pairs * turn if wide is x else pairs.mul_(turn)  # a copy that is there needs no other
    return torch.view_as_real(pairs).flatten(-2).type_as(x)


@cache
def plain_pieces(eps: float) -> Pieces:
    """The pieces as they are, uncompiled; eps: of the norms."""

    def modulated(x, scale, shift):
        return (F.layer_norm(x.float(), x.shape[-1:], eps=eps) * (1 + scale) + shift).type_as(x)

    def gated(x, added, gate):
        return (x.float() + added.float() * gate).type_as(x)

    def gated_and_normed(x, added, gate, weight, bias):
        x = gated(x, added, gate)
        return x, F.layer_norm(x.float(), x.shape[-1:], weight.float(), bias.float(), eps).type_as(x)

    def added_and_modulated(x, added, scale, shift):
        x = x + added
        return x, modulated(x, scale, shift)

    def normed(x, weight):
        return F.rms_norm(x, x.shape[-1:], weight, eps)

    def rotated(x, weight, cos, sin):
        return rotate(normed(x, weight).unflatten(-1, (-1, cos.shape[-1])), cos, sin)

    return Pieces(modulated, gated, gated_and_normed, added_and_modulated, normed, rotated)


@cache
def compiled_pieces(eps: float) -> Pieces:
    """The pieces, each compiled when it is first called, for any number of tokens."""
    return Pieces.made(lambda name, piece: torch.compile(piece, dynamic=True), eps)


def fuse(model: nn.Module, pieces: Pieces | None = None) -> None:
    """Let a `HoloCineTransformer3DModel` run by `pieces`, which are compiled when they are first called unless given.

    Not with weights that are fetched layer by layer: those of norms would not be there.
    """
    pieces = pieces or compiled_pieces(model.config.eps)
    model._attention_context.pieces = pieces
    for block in model.blocks:
        block.forward = partial(_forward, block, pieces)


def unfuse(model: nn.Module) -> None:
    """Let the blocks of `model` run as diffusers has them."""
    model._attention_context.pieces = None
    for block in model.blocks:
        block.__dict__.pop("forward", None)


def why_not(device: torch.device) -> str | None:
    """What is missing to compile for a device, None if nothing is."""
    if device.type == "cuda":
        return None if find_spec("triton") else "the package triton"
    return None if any(map(shutil.which, ("c++", "g++", "clang++"))) else "a C++ compiler"


def _forward(
    block: WanTransformerBlock,
    pieces: Pieces,
    hidden_states: torch.Tensor,
    encoder_hidden_states: torch.Tensor,
    temb: torch.Tensor,
    rotary_emb: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """What `WanTransformerBlock.forward` returns."""
    table = block.scale_shift_table + temb.float()  # (batch, 6, width), or (batch, tokens, 6, width)
    shift, scale, gate, text_shift, text_scale, text_gate = (
        x.squeeze(-2) if temb.ndim == 4 else x for x in table.chunk(6, dim=-2)
    )
    x = hidden_states
    attended = block.attn1(pieces.modulated(x, scale, shift), None, None, rotary_emb)
    if isinstance(block.norm2, nn.Identity):
        x = normed = pieces.gated(x, attended, gate)
    else:
        x, normed = pieces.gated_and_normed(x, attended, gate, block.norm2.weight, block.norm2.bias)
    attended = block.attn2(normed, encoder_hidden_states, None, None)
    x, normed = pieces.added_and_modulated(x, attended, text_scale, text_shift)
    return pieces.gated(x, block.ffn(normed), text_gate)


class _AsModule(nn.Module):
    """A piece as what `torch.export` takes."""

    def __init__(self, piece: Callable):
        super().__init__()
        self.piece = piece

    def forward(self, *arguments: torch.Tensor):
        return self.piece(*arguments)


def exported_pieces(model: nn.Module) -> dict[str, torch.export.ExportedProgram]:
    """The pieces by name, for one video of any number of tokens and one timestep, in the model's types."""
    plain, examples, tokens = plain_pieces(model.config.eps), _examples(model), torch.export.Dim("tokens", min=2)
    return {
        name: torch.export.export(
            _AsModule(getattr(plain, name)),
            arguments,
            dynamic_shapes={"arguments": tuple({axis: tokens for axis in _token_axes(x)} for x in arguments)},
        )
        for name, arguments in examples.items()
    }


def pieces_ahead(model: nn.Module, ahead: Mapping[str, Callable]) -> Pieces:
    """Pieces that were compiled ahead of time from `exported_pieces`, by name.

    What they were not compiled for, a batch of several videos or a timestep for each token, is left to the plain ones.
    """
    examples = _examples(model)

    def made(name: str, plain: Callable) -> Callable:
        if name not in ahead:
            return plain
        shapes = [_shape(x) for x in examples[name]]

        def piece(*arguments: torch.Tensor):
            if [_shape(x, of) for x, of in zip(arguments, examples[name], strict=True)] != shapes:
                return plain(*arguments)
            return ahead[name](*(x.contiguous() for x in arguments))

        return piece

    return Pieces.made(made, model.config.eps)


def _examples(model: nn.Module) -> dict[str, tuple[torch.Tensor, ...]]:
    """What the pieces are called with, by name; without those that the model does not call."""
    block, config, device = model.blocks[0], model.config, model.device
    width, dtype = config.num_attention_heads * config.attention_head_dim, block.attn1.norm_q.weight.dtype
    # No tensor twice: an export would take the two for one.
    tokens = partial(torch.zeros, 1, _EXPORTED_TOKENS, width, device=device, dtype=dtype)
    of_all = partial(torch.zeros, 1, 1, width, device=device)
    table = partial(torch.zeros, 1, _EXPORTED_TOKENS, 1, config.attention_head_dim, device=device)
    examples = {
        "modulated": (tokens(), of_all(), of_all()),
        "gated": (tokens(), tokens(), of_all()),
        "added_and_modulated": (tokens(), tokens(), of_all(), of_all()),
        "normed": (tokens(), block.attn2.norm_q.weight.detach()),
        "rotated": (tokens(), block.attn1.norm_q.weight.detach(), table(), table()),
    }
    if not isinstance(block.norm2, nn.Identity):
        weights = block.norm2.weight.detach(), block.norm2.bias.detach()
        examples["gated_and_normed"] = (tokens(), tokens(), of_all(), *weights)
    return examples


def _token_axes(example: torch.Tensor) -> tuple[int, ...]:
    """The axes of an example that are as long as there are tokens."""
    return (1,) if example.ndim > 2 and example.shape[1] == _EXPORTED_TOKENS else ()


def _shape(x: torch.Tensor, example: torch.Tensor | None = None) -> tuple[Any, ...]:
    """Type and shape of `x`, without the axes that are free in `example`, which is x itself unless given."""
    free = _token_axes(x if example is None else example)
    return (x.dtype, *(None if axis in free else length for axis, length in enumerate(x.shape)))
