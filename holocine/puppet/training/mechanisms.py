"""Batches for training the theatre's transformer with what tells shots apart in another family, on the same latents.

What a batch is drawn from, its words and its noise are those of HoloCine's training; texts and attention are the
mechanism's. A causal model is trained as it is run: on one shot of a scene in blocks, after frames of the shots before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from holocine.families.mechanisms import Mechanism, block_lengths, context_of, teacher_forcing
from holocine.families.planning import Frames, planner
from holocine.families.shotstream.context import NUM_CONTEXT, spread
from holocine.families.shotstream.sampling import frames_of
from holocine.puppet.training.batches import Batch, LatentBank
from holocine.puppet.training.optimisers import fast_bfloat16
from holocine.puppet.world import Scene
from holocine.timeline import ShotLayout


class MechanismBank(LatentBank):
    """`LatentBank` for a `mechanism`, which is to be set, with the head dim and the number of blocks of the model."""

    mechanism: Mechanism
    head_dim: int
    num_layers: int

    def follow(self, mechanism: Mechanism, head_dim: int, num_layers: int) -> MechanismBank:
        """Make batches for this mechanism from now on."""
        self.mechanism, self.head_dim, self.num_layers = mechanism, head_dim, num_layers
        return self

    def single_frames(self, most: int) -> Batch:
        """As of `LatentBank`; of a causal mechanism so many fewer scenes that a step has as many tokens."""
        return super().single_frames(max(most // 2, 1) if self.mechanism.causal else most)

    def _batch(self, scenes: list[Scene], latents: torch.Tensor, who: torch.Tensor, layout: ShotLayout) -> Batch:
        batch = super()._batch(scenes, latents, who, layout)
        rules, shots = self.mechanism.rules(self.num_layers), layout.num_shots
        items = [
            self.mechanism.captions(text[: int((text != 0).any(-1).sum())], windows, shots)
            for text, windows in zip(batch.text, batch.windows, strict=True)
        ]
        dtype = torch.bfloat16 if fast_bfloat16(batch.text.device) else torch.float32
        texts = {"cond": self.mechanism.joined(items, dtype)}
        pattern = None
        if self.mechanism.causal:
            batch, frames = _one_shot(batch, layout.shot_lengths, int(self.rng.integers(shots)))
            frames, pattern = teacher_forcing(frames)
        else:
            frames = Frames.of(layout.shot_lengths, layout.height, layout.width)
        plan = planner(rules, frames, texts, self.head_dim, self.mechanism.common(shots), pattern=pattern)
        return replace(batch, text=texts["cond"].rows, planner=plan)


def _one_shot(batch: Batch, lengths: Sequence[int], shot: int) -> tuple[Batch, Frames]:
    """Context, one clean shot and the same shot to be denoised, of every scene; and the frames of context and shot."""
    start, places = sum(lengths[:shot]), spread(lengths[:shot])
    own = slice(start, start + lengths[shot])
    latents = batch.latents
    who = batch.who.unsqueeze(1)
    parts = [context_of(latents, lengths, places), latents[:, :, own], latents[:, :, own]]
    shown = [context_of(who, lengths, places) if places else _nobody(who), who[:, :, own], who[:, :, own]]
    context = torch.tensor([number for number, _ in places] or [0] * NUM_CONTEXT)
    numbers = torch.cat([context, torch.full((2 * lengths[shot],), shot)]).to(batch.shots.device)
    given = NUM_CONTEXT + lengths[shot]
    blocks = [block for block, length in enumerate(block_lengths(lengths[shot])) for _ in range(length)]
    causal = replace(
        batch,
        latents=torch.cat(parts, dim=2),
        who=torch.cat(shown, dim=2).squeeze(1),
        shots=numbers.expand(len(latents), -1),
        blocks=torch.tensor([-1] * given + blocks, device=latents.device),
    )
    return causal, frames_of(shot, *who.shape[-2:], num_frames=lengths[shot])


def _nobody(who: torch.Tensor) -> torch.Tensor:
    return torch.full_like(who[:, :, :1], -1).expand(-1, -1, NUM_CONTEXT, -1, -1)
