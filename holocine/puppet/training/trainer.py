"""A training run that can stop at any time: optimisers, learning rate over time, moving average, checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from holocine.files import replacing
from holocine.puppet.training.optimisers import Average, build_optimisers, compute_seconds, trapezoid

_SAVE_SECONDS = 240


class Trainer:
    """Trains `model` in place for `minutes` of compute, counted over every run that resumes from the checkpoint.

    checkpoint: file to resume from and to save to; None for a run too short to be resumed. most_steps: ends this run
    early, as if it had been interrupted. not_muon: parameters whose name contains one of these words go to AdamW.
    decay: of the moving average.
    """

    def __init__(
        self,
        model: nn.Module,
        minutes: float,
        lr: float,
        checkpoint: Path | None = None,
        most_steps: int | None = None,
        not_muon: tuple[str, ...] = (),
        decay: float = 0.998,
    ) -> None:
        self.model, self.minutes, self.lr = model, minutes, lr
        self.checkpoint, self.most_steps = checkpoint, most_steps
        self.optimisers, self.average = build_optimisers(model, lr, not_muon), Average(model, decay)
        self.step_count, before = 0, 0.0
        if checkpoint and checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True, map_location=next(model.parameters()).device)
            model.load_state_dict(state["model"])
            self.average.values, self.average.steps = state["average"], state["step"]
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            before, self.step_count = state["spent"], state["step"]
        self._begun = compute_seconds() - before

    @property
    def spent(self) -> float:
        """Seconds of compute so far, earlier runs included."""
        return compute_seconds() - self._begun

    @property
    def spent_minutes(self) -> float:
        return self.spent / 60

    @property
    def progress(self) -> float:
        """How much of the time is used, in [0, 1]."""
        return min(self.spent_minutes / self.minutes, 1.0) if self.minutes else 1.0

    def steps(self, on_save: Callable[[], None] | None = None) -> Iterator[int]:
        """Numbers of the steps to do, from 1, while time is left; `step` is to be called in each.

        Every few minutes and at the end the checkpoint is written and `on_save` is called.
        """
        done, saved_at = 0, time.monotonic()
        while self.progress < 1 and (self.most_steps is None or done < self.most_steps):
            yield self.step_count + 1
            done += 1
            if time.monotonic() - saved_at > _SAVE_SECONDS:
                self.save(on_save)
                saved_at = time.monotonic()
        self.save(on_save)

    def step(self, loss: torch.Tensor) -> None:
        """Update the model, at the learning rate of this moment, to lower `loss`."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.lr * trapezoid(self.progress)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.average.update(self.model)
        self.step_count += 1

    def save(self, on_save: Callable[[], None] | None = None) -> None:
        """Write the checkpoint, then call `on_save`."""
        if self.checkpoint:
            state = {
                "model": self.model.state_dict(),
                "average": self.average.values,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "spent": self.spent,
                "step": self.step_count,
            }
            with replacing(self.checkpoint) as temporary:
                torch.save(state, temporary)
        if on_save:
            on_save()
