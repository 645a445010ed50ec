"""CineTrans's sampler: diffusers' UniPC on the noise levels and whole timesteps that its code makes."""

from __future__ import annotations

import numpy as np
import torch

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import SchedulerMixin, UniPCMultistepScheduler
from diffusers.configuration_utils import register_to_config

from holocine.families.schedules import spaced, truncated

__all__ = ["CineTransScheduler", "SchedulerMixin"]

FIRST_SIGMA = 0.999  # before the shift; Wan's own UniPC never begins at pure noise


class CineTransScheduler(UniPCMultistepScheduler):
    """Second order with the B2(h) form, predicting the clean latents."""

    @register_to_config
    def __init__(self, num_train_timesteps: int = 1000, shift: float = 8.0):
        super().__init__(
            num_train_timesteps=num_train_timesteps,
            solver_order=2,
            prediction_type="flow_prediction",
            solver_type="bh2",
            lower_order_final=True,
            use_flow_sigmas=True,
            flow_shift=1.0,
            final_sigmas_type="zero",
        )

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """Set the steps of one sampling run."""
        super().set_timesteps(num_inference_steps, device=device)
        sigmas = spaced(num_inference_steps, self.config.shift, FIRST_SIGMA)
        self.timesteps = torch.from_numpy(truncated(sigmas, self.config.num_train_timesteps)).to(device)
        self.sigmas = torch.from_numpy(np.append(sigmas, 0.0).astype(np.float32))
