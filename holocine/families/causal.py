"""One pass of a model that makes a video part by part and keeps the keys and values of the parts that are finished."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch

from holocine.families.planning import Frames, planner
from holocine.families.rules import Rules
from holocine.families.text import Text
from holocine.transformer import HoloCineTransformer3DModel

Pair = tuple[torch.Tensor, torch.Tensor]


class Memory:
    """Keys and values of finished parts, layer by layer, after rotary embedding; parts are numbered by who uses it."""

    def __init__(self) -> None:
        self._kept: dict[torch.nn.Module, dict[int, Pair]] = {}

    def exchange(self, keep: int | None = None, sees: Collection[int] | None = None) -> Callable[..., Pair]:
        """What an `AttentionPlan` calls in a layer: its keys and values follow those of the parts that it sees.

        keep: the number under which those of this pass stay, None for not at all. sees: numbers of parts, None for all.
        """

        def join(attn: torch.nn.Module, key: torch.Tensor, value: torch.Tensor) -> Pair:
            kept = self._kept.setdefault(attn, {})
            parts = [pair for part, pair in kept.items() if part != keep and (sees is None or part in sees)]
            if keep is not None:
                kept[keep] = key, value
            if not parts:
                return key, value
            return tuple(torch.cat(own, dim=1) for own in zip(*parts, (key, value), strict=True))

        return join

    def hold(self, parts: Collection[int]) -> None:
        """Let go of all parts but these."""
        for kept in self._kept.values():
            for part in [part for part in kept if part not in parts]:
                del kept[part]


@torch.no_grad()
def predict(
    transformer: HoloCineTransformer3DModel,
    rules: Rules,
    frames: Frames,
    text: Text,
    latents: torch.Tensor,
    timestep: float,
    exchange: Callable[..., Pair],
) -> torch.Tensor:
    """The velocity of `latents` (1, channels, frames, …), in their type, all at one `timestep` from 0 to 1000."""
    plan = planner(rules, frames, {"cond": text}, transformer.config.attention_head_dim, exchange=exchange)
    with transformer.cache_context("cond"):
        velocity = transformer(
            latents.to(transformer.dtype),
            torch.tensor([timestep], dtype=torch.float32, device=latents.device),
            text.rows.to(transformer.dtype),
            attention_kwargs={"planner": plan},
            return_dict=False,
        )[0]
    return velocity.to(latents.dtype)
