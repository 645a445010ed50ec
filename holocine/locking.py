"""Latent frames that stay what they are while the others are denoised around them.

At every noise level sigma a locked latent frame is (1 - sigma) * clean + sigma * noise, on the straight path that flow
matching trains on, with one noise for the whole run: the noise that the run began with. So the model sees kept and new
frames at the same level, as it does in training, and at sigma 0 the kept ones are exact. A model that was trained with
a noise level for each shot may see them clean throughout instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from .keeping import KeepError, Placed

LEVELS = ("same", "clean")


@dataclass
class LatentLock:
    """The locked latent frames of a batch.

    clean: (batch, channels, latent frames, latent height, latent width), anything where nothing is locked; locked: bool
    (batch, 1, latent frames, 1, 1). level: "same" noise as all other frames, or "clean".
    """

    clean: torch.Tensor
    locked: torch.Tensor
    level: str = "same"
    noise: torch.Tensor | None = field(default=None, repr=False)

    def begin(self, noise: torch.Tensor, sigma: float) -> torch.Tensor:
        """Take the noise of the run and return the latents that it starts from, at the level sigma."""
        self.clean, self.locked = (x.to(noise.device) for x in (self.clean, self.locked))
        self.noise = noise.clone()
        return self.at(noise, sigma)

    def go_on(self, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Take the noise that a run began with and return its latents of now, which are locked already."""
        self.clean, self.locked, self.noise = (x.to(latents.device) for x in (self.clean, self.locked, noise))
        return latents

    def at(self, latents: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return `latents` with the locked frames at the noise level sigma, or clean."""
        if self.level == "clean":
            return self.finished(latents)
        return torch.where(self.locked, ((1 - sigma) * self.clean + sigma * self.noise).to(latents.dtype), latents)

    @property
    def clean_frames(self) -> torch.Tensor | None:
        """Which latent frames have no noise: bool (batch, latent frames); None where all have the same."""
        return self.locked[:, 0, :, 0, 0] if self.level == "clean" else None

    def finished(self, latents: torch.Tensor) -> torch.Tensor:
        """Return `latents` with the locked frames as they were given."""
        return torch.where(self.locked.to(latents.device), self.clean.to(latents), latents)


def lock_latents(
    placed: Sequence[Sequence[Placed]],
    shape: Sequence[int],
    encode: Callable[[Sequence[Placed]], list[torch.Tensor]],
    level: str = "same",
) -> LatentLock:
    """Lock what is kept of each item of a batch.

    shape: of the run's latents. encode: the latents of what is kept as frames alone, each as `Kept.latents`.
    """
    clean, locked = torch.zeros(tuple(shape)), torch.zeros(shape[0], 1, shape[2], 1, 1, dtype=torch.bool)
    for item, places in enumerate(placed):
        pictures = [place for place in places if place.kept.latents is None]
        encoded = dict(zip(map(id, pictures), encode(pictures), strict=True)) if pictures else {}
        for place in places:
            latents = encoded.get(id(place), place.kept.latents)
            if not torch.isfinite(latents).all():
                raise KeepError(f"shot {place.kept.shot}: the kept latents hold values that are not finite")
            span = slice(place.latent_frames.start, place.latent_frames.stop)
            clean[item, :, span] = latents.to("cpu", torch.float32)
            locked[item, :, span] = True
    return LatentLock(clean, locked, level)


def check_scheduler(scheduler) -> None:
    """Raise `KeepError` unless the scheduler's noise levels are those of flow matching, sigma from 1 to 0."""
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler) or scheduler.config.get("use_flow_sigmas"):
        return
    raise KeepError(f"keep needs a scheduler of flow matching, not {type(scheduler).__name__}; use HoloCineScheduler")


def locking(lock: LatentLock, callback: Callable | None) -> Callable:
    """Wrap a callback_on_step_end of diffusers so that after each step, and after `callback`, locked frames are held.

    The callback has to be given "latents"; `callback` sees them held, and the clean estimate of `HoloCineScheduler`.
    """

    def step_end(pipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
        sigma = float(pipeline.scheduler.sigmas[step + 1])
        tensors["latents"] = lock.at(tensors["latents"], sigma)
        estimate = getattr(pipeline.scheduler, "pred_original_sample", None)
        if estimate is not None:
            pipeline.scheduler.pred_original_sample = lock.finished(estimate)
        result = callback(pipeline, step, timestep, tensors) if callback else {}
        result["latents"] = lock.at(result["latents"], sigma) if "latents" in result else tensors["latents"]
        return result

    return step_end
