"""Attention processors that carry out an `AttentionPlan` inside diffusers' Wan blocks.

They keep what diffusers expects of processors: fused projections, attention backends, and Wan's own attention while
there is no plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor, _get_qkv_projections

from .attention_plan import AttentionPlan, ItemGroup
from .fusing import Pieces, rotate
from .kernels import choose_kernel


class AttentionContext:
    """Carries the plan of the forward pass that is running to the attention processors of one transformer.

    pieces: what norms and rotates queries and keys in one go where blocks are fused, None for the layers' own.
    """

    plan: AttentionPlan | None = None
    pieces: Pieces | None = None

    @contextmanager
    def using(self, plan: AttentionPlan | None) -> Iterator[None]:
        """Hold `plan` inside the block and restore what was held before it, also when the block raises."""
        previous, self.plan = self.plan, plan
        try:
            yield
        finally:
            self.plan = previous


class _PlannedAttnProcessor(WanAttnProcessor):
    """Wan's attention, or the plan's while `context` holds a plan; layer: the block that it belongs to, from 0."""

    def __init__(self, context: AttentionContext, layer: int = 0):
        super().__init__()
        self.context, self.layer = context, layer

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        plan = self.context.plan
        if plan is None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        return self.follow(plan, attn, hidden_states, encoder_hidden_states, rotary_emb)


class ShotSelfAttnProcessor(_PlannedAttnProcessor):
    """Self-attention with the plan's pattern of shots."""

    def follow(self, plan: AttentionPlan, attn, hidden_states, encoder_hidden_states, rotary_emb):
        if hidden_states.shape[1] != plan.num_tokens:
            raise ValueError(
                f"{hidden_states.shape[1]} video tokens reached the attention but the layout has {plan.num_tokens}; "
                "diffusers' context parallelism splits the tokens and not the layout: use holocine.sharing instead"
            )
        rotary = plan.rotary or rotary_emb
        if self.context.pieces is None:
            query, key, value = _project(attn, hidden_states, None)
            query, key = (rotate(x, *rotary) for x in (query, key))
        else:
            query, key, value = _get_qkv_projections(attn, hidden_states, None)
            query = self.context.pieces.rotated(query, attn.norm_q.weight, *rotary)
            key = self.context.pieces.rotated(key, attn.norm_k.weight, *rotary)
            value = value.unflatten(2, (attn.heads, -1))

        def attend_all(query, key, value):
            if plan.exchange is not None:
                key, value = plan.exchange(attn, key, value)
            kernel = choose_kernel(plan.kernel, query, value)

            def attend(group: ItemGroup, query, key, value):
                return kernel(query, key, value, group.pattern, self._attention_backend)

            return plan.run(attend, query, key, value, self.layer)

        if plan.share is None:
            return _output(attn, attend_all(query, key, value))
        return _output(attn, plan.share.attended(attend_all, query, key, value))


class WindowCrossAttnProcessor(_PlannedAttnProcessor):
    """Cross-attention through the plan's text windows."""

    def follow(self, plan: AttentionPlan, attn, hidden_states, encoder_hidden_states, rotary_emb):
        query, key, value = _project(attn, hidden_states, encoder_hidden_states, self.context.pieces)
        if plan.text_rotary is not None:
            query, key = (rotate(x, *table) for x, table in zip((query, key), plan.text_rotary, strict=True))
        return _output(attn, plan.run(attend_to_text, query, key, value, self.layer))


def attend_to_text(
    group: ItemGroup,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attend: Callable = F.scaled_dot_product_attention,
) -> torch.Tensor:
    """Attend shot by shot to the text that each sees: (batch, tokens, heads, head dim).

    attend: called as `F.scaled_dot_product_attention` is.
    """
    outputs = []
    queries = query.split([step.num_queries for step in group.text], dim=1)
    for step, shot_query in zip(group.text, queries, strict=True):
        shot_key, shot_value = (x if step.columns is None else x.index_select(1, step.columns) for x in (key, value))
        outputs.append(
            attend(
                *(x.transpose(1, 2) for x in (shot_query, shot_key, shot_value)),
                attn_mask=None if step.bias is None else step.bias.to(query.dtype),
            ).transpose(1, 2)
        )
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def _project(
    attn: WanAttention, hidden_states: torch.Tensor, text: torch.Tensor | None, pieces: Pieces | None = None
) -> tuple[torch.Tensor, ...]:
    """Return normalised query and key, and value: (batch, tokens, heads, head dim) each."""
    query, key, value = _get_qkv_projections(attn, hidden_states, text)
    query = attn.norm_q(query) if pieces is None else pieces.normed(query, attn.norm_q.weight)
    return tuple(x.unflatten(2, (attn.heads, -1)) for x in (query, attn.norm_k(key), value))


def _output(attn: WanAttention, attended: torch.Tensor) -> torch.Tensor:
    projection, dropout = attn.to_out
    return dropout(projection(attended.flatten(2, 3)))
