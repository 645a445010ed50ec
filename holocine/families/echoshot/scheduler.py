"""EchoShot's sampler: diffusers' DPM++ 2M on the noise levels and whole timesteps that its code makes."""

from __future__ import annotations

import numpy as np
import torch

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import DPMSolverMultistepScheduler, SchedulerMixin
from diffusers.configuration_utils import register_to_config

from holocine.families.schedules import spaced, truncated

__all__ = ["EchoShotScheduler", "SchedulerMixin"]


class EchoShotScheduler(DPMSolverMultistepScheduler):
    """Second order, midpoint, predicting the clean latents; the first two steps and the last are of first order.

    The first noise level is 1, where the log of the ratio of signal to noise is minus infinity: that makes the second
    step one of first order by itself.
    """

    @register_to_config
    def __init__(self, num_train_timesteps: int = 1000, shift: float = 5.0):
        super().__init__(
            num_train_timesteps=num_train_timesteps,
            solver_order=2,
            prediction_type="flow_prediction",
            algorithm_type="dpmsolver++",
            solver_type="midpoint",
            lower_order_final=True,
            use_flow_sigmas=True,
            flow_shift=1.0,
            final_sigmas_type="zero",
        )

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """Set the steps of one sampling run."""
        super().set_timesteps(num_inference_steps, device=device)
        sigmas = spaced(num_inference_steps, self.config.shift)
        self.timesteps = torch.from_numpy(truncated(sigmas, self.config.num_train_timesteps)).to(device)
        self.sigmas = torch.from_numpy(np.append(sigmas, 0.0).astype(np.float32))
