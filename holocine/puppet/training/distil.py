"""Few steps without guidance instead of many with it: distribution matching distillation (Yin et al., 2024a and b).

The student starts as the teacher and is run as it will be: from noise to clean latents at each level of the sampler,
with fresh noise in between (2405.14867, section 4.4). What it makes is noised anew, and it learns from two opinions on
where that came from: the teacher's, with guidance, and that of a critic which is trained all the while on nothing but
the student's own scenes (2311.18828, equations 3 and 7). In some scenes shots are given and stay clean, so that the
student can make one shot beside others that are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from holocine.attention import AttentionSettings
from holocine.puppet.training.batches import Batch, LatentBank
from holocine.puppet.training.fused import fuse
from holocine.puppet.training.resident import ResidentBank
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.training.transformer import NOT_MUON, SHIFT, add_noise, kept_shots, predict, save_averaged, shifted
from holocine.scheduler import HoloCineScheduler
from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

STEP_COUNTS = (4, 6, 6, 8)  # that the student is run with, each as often as it stands here
GUIDANCE, GUIDANCE_BELOW = 3.0, 0.93  # of the teacher
_CRITIC_STEPS = 3  # for each of the student's, the last of them on the same scenes
_CRITIC_HASTE = 2.0  # its learning rate over the student's
_KEPT_SHARE = 0.25  # of the batches
_LEVELS = (0.02, 0.98)  # between which the two opinions are asked, before the shift
_LOG_STEPS = 10

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of noisy latents at levels (B, T)


def sampler_levels(steps: int) -> list[float]:
    """The noise levels of a run of so many steps, from 1; 0 at the end."""
    scheduler = HoloCineScheduler(shift=SHIFT)
    scheduler.set_timesteps(steps)
    return scheduler.sigmas.tolist()


def clean_estimate(velocity: Velocity, noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    return noisy - levels[:, None, :, None, None] * velocity(noisy, levels)


def make(velocity: Velocity, given: torch.Tensor, made: torch.Tensor, levels: list[float], last: int) -> torch.Tensor:
    """Scenes as a student makes them in its steps 0 to `last`, the only one that gradients flow through.

    given: latents (B, z, T, h, w) of what is kept; made: bool (B, T), which latent frames are not.
    """
    place, clean = made[:, None, :, None, None], torch.zeros_like(given)
    for step in range(last + 1):
        at = levels[step] * made
        with torch.set_grad_enabled(step == last):
            noisy, _ = add_noise(torch.where(place, clean, given), at)
            clean = clean_estimate(velocity, noisy, at)
    return torch.where(place, clean, given)


def direction(
    teacher: Velocity, critic: Velocity, scenes: torch.Tensor, made: torch.Tensor, levels: torch.Tensor
) -> torch.Tensor:
    """Where `scenes` should move, were they the student's parameters: down this gradient, of size about 1.

    levels: (B, T), at which the two are asked. Equations 7 and 8 of 2311.18828.
    """
    with torch.no_grad():
        noisy, _ = add_noise(scenes, levels)
        wanted, expected = clean_estimate(teacher, noisy, levels), clean_estimate(critic, noisy, levels)
        there = made[:, None, :, None, None].float()
        size = ((scenes - wanted).abs() * there).sum((1, 2, 3, 4)) / there.expand_as(scenes).sum((1, 2, 3, 4))
        return (expected - wanted) * there / size.clamp(min=1e-3)[:, None, None, None, None]


def guided(told: Velocity, untold: Velocity) -> Velocity:
    """The teacher as it is sampled: guided below a noise level."""

    def velocity(noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        with_text, without = told(noisy, levels), untold(noisy, levels)
        scale = torch.where(levels.amax(1) <= GUIDANCE_BELOW, GUIDANCE, 1.0)[:, None, None, None, None]
        return without + scale * (with_text - without)

    return velocity


def asked_levels(made: torch.Tensor) -> torch.Tensor:
    """Random noise levels (B, T), one for each scene, 0 where `made` (B, T) is not."""
    low, high = _LEVELS
    level = low + (high - low) * torch.rand(len(made), 1, device=made.device)
    return shifted(level) * made


def distil(
    folder: Path,
    teacher: Path,
    bank: LatentBank | ResidentBank,
    minutes: float,
    lr: float = 2e-4,
    most_steps: int | None = None,
    settings: AttentionSettings | None = None,
    device: str | torch.device = "cpu",
) -> None:
    """Train until `minutes` of compute are used in all, resuming from `folder`; writes `folder`/model.

    teacher: a transformer's folder. `most_steps` ends this call early, as if it had been interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings, bank.empty_share = settings or AttentionSettings(), 0.0
    load = partial(HoloCineTransformer3DModel.from_pretrained, teacher, torch_dtype=torch.float32)
    master, student, critic = models = [load().to(device) for _ in range(3)]
    runs = [sampler_levels(count) for count in STEP_COUNTS]
    master.requires_grad_(False)
    if isinstance(bank, ResidentBank):
        for model in models:
            fuse(model)
    own = Trainer(student, minutes, lr, folder / "state.pt", most_steps, not_muon=NOT_MUON, decay=0.99)
    rival = Trainer(critic, minutes, _CRITIC_HASTE * lr, folder / "critic.pt", not_muon=NOT_MUON)

    def scenes() -> tuple[Batch, torch.Tensor, list[float], int]:
        """A batch, which of its latent frames are made, and the levels and the last of the steps in which they are."""
        batch = bank.next_batch(stills=False)
        made = torch.ones_like(batch.shots, dtype=torch.bool)
        if bank.rng.random() < _KEPT_SHARE:
            made = ~kept_shots(batch.shots)
        levels = runs[bank.rng.integers(len(runs))]
        return batch, made, levels, int(bank.rng.integers(len(levels) - 1))

    def save_model() -> None:
        rival.save()
        save_averaged(student, own.average, folder / "model")

    def velocity_of(model: HoloCineTransformer3DModel, batch: Batch) -> Velocity:
        return partial(predict, model, batch, settings=settings)

    def learn_from(batch: Batch, found: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """A step of the critic."""
        loss = critic_loss(velocity_of(critic, batch), found, made)
        rival.step(loss)
        return loss.detach()

    seen: list[torch.Tensor] = []
    for step in own.steps(save_model):
        for _ in range(_CRITIC_STEPS - 1):
            batch, made, levels, last = scenes()
            with torch.no_grad():
                found = make(velocity_of(student, batch), batch.latents, made, levels, last)
            learn_from(batch, found, made)
        batch, made, levels, last = scenes()
        found = make(velocity_of(student, batch), batch.latents, made, levels, last)
        blind = bank.untold(batch)
        opinion = guided(velocity_of(master, batch), velocity_of(master, blind))
        push = direction(opinion, velocity_of(critic, batch), found.detach(), made, asked_levels(made))
        # A loss whose gradient at the scenes is `push`, averaged over their places.
        own.step((found * push).sum() / made.sum() / found[:, :, 0].numel() * len(found))
        loss = learn_from(batch, found.detach(), made)
        seen.append(torch.stack([push.square().mean().sqrt(), loss]))
        if step % _LOG_STEPS == 0:
            push_size, critic_error = torch.stack(seen[-50:]).mean(0).tolist()
            logger.info(
                "distillation step %d, %.1f min: push %.4f, loss of the critic %.4f (%d shards)",
                step,
                own.spent_minutes,
                push_size,
                critic_error,
                len(bank),
            )


def critic_loss(critic: Velocity, scenes: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Squared error of the velocity, on scenes of the student."""
    levels = asked_levels(made)
    noisy, noise = add_noise(scenes, levels)
    error = (critic(noisy, levels) - (noise - scenes)).square() * made[:, None, :, None, None]
    return error.mean() / made.float().mean()
