"""Wan's blocks with their element-wise work fused by the compiler, for training in bfloat16.

The same sums as diffusers' blocks under autocast, in about half the time: norms, modulation, rotation and projections
between two attentions are one compiled piece each. Attention itself stays uncompiled. On a CPU it follows the plan of
shots, in plain matrix products: for shots this short PyTorch's own takes twice as long there and back. On a GPU many
small products would wait for one another, so there a batch may mix layouts freely and `Masks` say who sees whom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from torch import nn

from holocine.attention_plan import ItemGroup, padding_bias, padding_terms
from holocine.fusing import rotate, why_not
from holocine.kernels import keys_of_each_group
from holocine.processors import attend_to_text
from holocine.puppet.training.optimisers import fast_bfloat16, working_dtype
from holocine.transformer import HoloCineTransformer3DModel


def fuse(model: HoloCineTransformer3DModel) -> bool:
    """Make the blocks of `model` run fused where that is quicker; returns whether it is.

    It needs quick bfloat16 (in single precision a step takes as long as without) and, on a CPU, a C++ compiler, and it
    takes half a minute at the first steps.
    """
    if not fast_bfloat16(model.device) or why_not(model.device) is not None:
        return False
    for block in model.blocks:
        block.forward = partial(_forward, block)
    return True


@dataclass(frozen=True)
class Masks:
    """Who sees whom in a batch of any layouts, as scores to add: HoloCine's sparse attention and its text windows.

    video: (B, 1, tokens, tokens); a shot sees its own first frame twice, which is ln 2 on its scores. text: (B, 1,
    tokens, rows), of a text that `padded` has given its rows.
    """

    video: torch.Tensor
    text: torch.Tensor

    @classmethod
    def of(cls, shots: torch.Tensor, sees: torch.Tensor, tokens_per_frame: int, text_length: int) -> Masks:
        """shots: (B, T), the shot of each latent frame, counted from 0. sees: (B, used), bit i of which says whether
        shot i sees a row of the text; all rows up to `text_length` are padding that every shot sees.
        """
        dtype = torch.bfloat16
        same = shots[:, :, None] == shots[:, None, :]
        opens = torch.ones_like(shots, dtype=torch.bool)
        opens[:, 1:] = shots[:, 1:] != shots[:, :-1]
        video = torch.full(same.shape, -math.inf, dtype=dtype, device=shots.device)
        video.masked_fill_(same | opens[:, None, :], 0.0)
        video.masked_fill_(same & opens[:, None, :], math.log(2))
        video = video.repeat_interleave(tokens_per_frame, 1).repeat_interleave(tokens_per_frame, 2)
        visible = (sees[:, None, :].int() >> shots[:, :, None].int()) & 1
        text = torch.zeros(visible.shape, dtype=dtype, device=shots.device).masked_fill_(visible == 0, -math.inf)
        padding = torch.tensor(padding_bias(text_length - sees.shape[1], dtype), dtype=dtype, device=shots.device)
        text = torch.cat([text, padding.expand(*text.shape[:2], -1)], -1).repeat_interleave(tokens_per_frame, 1)
        return cls(_aligned(video)[:, None], _aligned(text)[:, None])

    @staticmethod
    def padded(text: torch.Tensor) -> torch.Tensor:
        """The text (B, used, dim) with the rows that stand for all of its padding."""
        return F.pad(text, (0, 0, 0, padding_terms(torch.bfloat16)))


def _aligned(mask: torch.Tensor) -> torch.Tensor:
    """The same mask (B, n, m) with rows that begin where quick kernels want them, which copy a mask that has others."""
    stride = -(-mask.shape[-1] // 16) * 16
    return F.pad(mask, (0, stride - mask.shape[-1]))[..., : mask.shape[-1]]


def run_masked(
    model: HoloCineTransformer3DModel, latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor, masks: Masks
) -> torch.Tensor:
    """The velocity that a fused model predicts for a batch of any layouts, as `WanTransformer3DModel.forward` does.

    timesteps: (B, T), of each latent frame; the model itself would embed one for every token. text: as
    `Masks.padded` returns it.
    """
    batch, _, frames, height, width = latents.shape
    size = model.config.patch_size
    rotary = model.rope(latents)
    hidden = model.patch_embedding(latents).flatten(2).transpose(1, 2).contiguous()
    temb, modulation, text, _ = model.condition_embedder(timesteps.flatten(), text, None)
    modulation = modulation.unflatten(1, (6, -1)).unflatten(0, (batch, frames))
    with model._attention_context.using(masks):
        for block in model.blocks:
            hidden = block(hidden, text, modulation, rotary)
    with torch.autocast(hidden.device.type, enabled=False):
        output = compiled().to_velocity(
            model, hidden, temb.unflatten(0, (batch, frames, 1)), working_dtype(hidden.device)
        )
    output = output.unflatten(2, (*size, -1)).unflatten(1, (frames, height // size[1], width // size[2]))
    return output.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _forward(
    block: WanTransformerBlock, hidden: torch.Tensor, text: torch.Tensor, temb: torch.Tensor, rotary: tuple
) -> torch.Tensor:
    """What `WanTransformerBlock.forward` returns, with a residual stream in float32."""
    plan, pieces = block.attn1.processor.context.plan, compiled()
    dtype = working_dtype(hidden.device)
    if isinstance(plan, Masks):
        attend_to_video, attend_to_words = partial(_masked, plan.video), partial(_masked, plan.text)
    else:
        layer = block.attn1.processor.layer
        attend_to_video = partial(plan.run, _attend_to_video, layer=layer)
        attend_to_words = partial(plan.run, partial(attend_to_text, attend=_attention), layer=layer)
    # Of plans of other mechanisms (`holocine.families`): positions of their own, of video and text, and other layers.
    rotary, text_rotary = getattr(plan, "rotary", None) or rotary, getattr(plan, "text_rotary", None)
    with torch.autocast(hidden.device.type, enabled=False):
        hidden = hidden.float()
        query, key, value = pieces.before_video(block, hidden, temb, *rotary, dtype)
        hidden, query = pieces.between(block, hidden, attend_to_video(query, key, value), temb)
        key, value = pieces.before_text(block, text, dtype)
        if text_rotary is not None:
            query, key = (
                rotate(x.float(), *table).to(dtype) for x, table in zip((query, key), text_rotary, strict=True)
            )
        attended = attend_to_words(query, key, value)
        return pieces.after_text(block, hidden, attended, temb)


def _masked(mask: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


def _attend_to_video(group: ItemGroup, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """What `per_shot` returns."""
    queries = query.split(group.pattern.group_tokens, dim=1)
    keys, values = (keys_of_each_group(x, group.pattern) for x in (key, value))
    shots = zip(queries, keys, values, strict=True)
    return torch.cat([_attention(*(x.transpose(1, 2) for x in qkv)).transpose(1, 2) for qkv in shots], dim=1)


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """What `F.scaled_dot_product_attention` returns: (batch, heads, tokens, head dim)."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return torch.softmax(scores if attn_mask is None else scores + attn_mask, -1) @ value


@cache
def compiled() -> SimpleNamespace:
    """The pieces of `PIECES` by name, compiled for batches of any size."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    return SimpleNamespace(**{piece.__name__: torch.compile(piece, dynamic=True) for piece in PIECES})


def before_video(block, hidden, temb, cos, sin, dtype):
    shift, scale, *_ = _modulation(block, temb, hidden)
    attn = block.attn1
    x = (_layer_norm(block.norm1, hidden) * (1 + scale) + shift).to(dtype)
    query, key = _rms_norm(attn.norm_q, _linear(attn.to_q, x)), _rms_norm(attn.norm_k, _linear(attn.to_k, x))
    query, key, value = (y.unflatten(2, (attn.heads, -1)) for y in (query, key, _linear(attn.to_v, x)))
    query, key = (rotate(y.float(), cos, sin).to(dtype) for y in (query, key))
    return query, key, value


def between(block, hidden, attended, temb):
    gate, attn = _modulation(block, temb, hidden)[2], block.attn2
    hidden = hidden + _linear(block.attn1.to_out[0], attended.flatten(2, 3)).float() * gate
    query = _rms_norm(attn.norm_q, _linear(attn.to_q, _layer_norm(block.norm2, hidden).type_as(attended)))
    return hidden, query.unflatten(2, (attn.heads, -1))


def before_text(block, text, dtype):
    attn, text = block.attn2, text.to(dtype)
    key, value = _rms_norm(attn.norm_k, _linear(attn.to_k, text)), _linear(attn.to_v, text)
    return key.unflatten(2, (attn.heads, -1)), value.unflatten(2, (attn.heads, -1))


def after_text(block, hidden, attended, temb):
    _, _, _, shift, scale, gate = _modulation(block, temb, hidden)
    hidden = hidden + _linear(block.attn2.to_out[0], attended.flatten(2, 3)).float()
    x = (_layer_norm(block.norm3, hidden) * (1 + scale) + shift).type_as(attended)
    grow, _, shrink = block.ffn.net
    x = _linear(shrink, F.gelu(_linear(grow.proj, x), approximate=grow.approximate))
    return hidden + x.float() * gate


def to_velocity(model, hidden, temb, dtype):
    shift, scale = _modulation(model, temb, hidden)
    x = _layer_norm(model.norm_out, hidden) * (1 + scale) + shift
    return _linear(model.proj_out, x.to(dtype))


PIECES = (before_video, between, before_text, after_text, to_velocity)


def _modulation(
    layer: WanTransformerBlock | WanTransformer3DModel, temb: torch.Tensor, hidden: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Shifts, scales and gates of each token of `hidden` (B, tokens, width).

    temb: (B, n, width), or (B, spans, n or 1, width) where each of so many equal spans of tokens has its own timestep.
    """
    temb = temb if temb.ndim == 4 else temb[:, None]
    table = layer.scale_shift_table + temb.float()
    tokens = hidden.shape[1] // table.shape[1]
    return tuple(x[:, :, None].expand(-1, -1, tokens, -1).flatten(1, 2) for x in table.unbind(2))


def _linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, layer.weight.type_as(x), None if layer.bias is None else layer.bias.type_as(x))


def _layer_norm(norm: FP32LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _rms_norm(norm: nn.RMSNorm, x: torch.Tensor) -> torch.Tensor:
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + norm.eps) * norm.weight).type_as(x)
