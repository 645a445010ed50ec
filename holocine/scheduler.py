"""HoloCine's noise schedule: diffusers' Euler flow-matching steps, spaced as the released checkpoints were run.

Steps can draw fresh noise where there is much of it, which HoloCine's own do not. What no text says but all shots have
to agree on (a scarf, the light) is decided there, by many shots at once and each from a noisy view of the others; a
plain step holds on to what it began with, fresh noise lets shots that disagree decide again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import FlowMatchEulerDiscreteScheduler, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor

__all__ = ["HoloCineScheduler", "SchedulerMixin"]

FRESH_DOWN_TO = 0.6  # sigma; below it details are decided, which fresh noise makes soft


class HoloCineScheduler(FlowMatchEulerDiscreteScheduler):
    """`FlowMatchEulerDiscreteScheduler` whose N steps start at the sigmas linspace(1, 0, N + 1)[:-1], then shifted.

    The parent's own default for N steps is spaced differently (sigmas off by up to 0.07). The shift comes from the
    config: 5 for HoloCine. Timesteps stay float32; HoloCine's code rounds them to bfloat16 before the time embedding.

    With the config's `stochastic_sampling`, as few-step models are run, every step goes to clean latents and from there
    to the next noise level with fresh noise, of the generators of `sampling`.

    pred_original_sample: inside `sampling`, the clean latents that the last step was heading for.
    """

    pred_original_sample: torch.Tensor | None = None
    _eta: float = 0.0
    _generator: torch.Generator | list[torch.Generator] | None = None

    @contextmanager
    def sampling(self, eta: float, generator: torch.Generator | list[torch.Generator] | None) -> Iterator[None]:
        """Inside the block, steps above the sigma `FRESH_DOWN_TO` draw fresh noise, one generator for each sample.

        eta: DDIM's (Song et al., 2021, eq. 16): 0 draws none, with 1 a step adds as much as the noising of training
            would have between its two sigmas. The marginal distributions stay the same.
        """
        self._eta, self._generator = eta, generator
        try:
            yield
        finally:
            self._eta, self._generator, self.pred_original_sample = 0.0, None, None

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
        velocity = model_output.to(sample.dtype)
        if self.config.stochastic_sampling and not args:
            kwargs.setdefault("generator", self._generator)
        result = super().step(velocity, timestep, sample, *args, **kwargs)
        sigma, following = (float(self.sigmas[self.step_index + i]) for i in (-1, 0))
        self.pred_original_sample = sample - sigma * velocity
        fresh = 0.0 if self.config.stochastic_sampling else fresh_noise(self._eta, sigma, following)
        if fresh:
            noise = randn_tensor(sample.shape, self._generator, sample.device, sample.dtype)
            kept = (following**2 - fresh**2) ** 0.5
            stepped = result[0]
            stepped += (kept - following) * (sample + (1 - sigma) * velocity) + fresh * noise
        return result


def fresh_noise(eta: float, sigma: float, following: float) -> float:
    """How much of the noise `following` that a step from `sigma` arrives at is drawn anew (a standard deviation)."""
    if following < FRESH_DOWN_TO:
        return 0.0
    kept = (following / (1 - following)) * ((1 - sigma) / sigma)  # ratio of noise to signal, after and before
    return eta * following * (1 - kept**2) ** 0.5
