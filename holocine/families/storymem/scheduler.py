"""StoryMem's sampler: Wan's UniPC, as CineTrans has it, with another shift."""

from __future__ import annotations

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import SchedulerMixin
from diffusers.configuration_utils import register_to_config

from holocine.families.cinetrans.scheduler import CineTransScheduler

__all__ = ["SchedulerMixin", "StoryMemScheduler"]


class StoryMemScheduler(CineTransScheduler):
    """Second order with the B2(h) form, predicting the clean latents."""

    @register_to_config
    def __init__(self, num_train_timesteps: int = 1000, shift: float = 4.0):
        super().__init__(num_train_timesteps=num_train_timesteps, shift=shift)
