"""HoloCine's noise schedule: diffusers' Euler flow-matching steps, spaced as the released checkpoints were run."""

from __future__ import annotations

import numpy as np
import torch

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import FlowMatchEulerDiscreteScheduler, SchedulerMixin

__all__ = ["HoloCineScheduler", "SchedulerMixin"]


class HoloCineScheduler(FlowMatchEulerDiscreteScheduler):
    """`FlowMatchEulerDiscreteScheduler` whose N steps start at the sigmas linspace(1, 0, N + 1)[:-1], then shifted.

    The parent's own default for N steps is spaced differently (sigmas off by up to 0.07). The shift comes from the
    config: 5 for HoloCine. Timesteps stay float32; HoloCine's code rounds them to bfloat16 before the time embedding.
    """

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """Set the steps of one sampling run; give `sigmas` or `timesteps` to choose them freely."""
        if sigmas is None and timesteps is None:
            sigmas = np.linspace(1, 0, num_inference_steps + 1)[:-1]
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)

    def step(self, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor, *args, **kwargs):
        """Take one Euler step in the precision of `sample`, not in that of a half-precision `model_output`."""
        return super().step(model_output.to(sample.dtype), timestep, sample, *args, **kwargs)
