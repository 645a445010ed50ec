"""StoryMem's sampler: memory frames and a part of a shot denoised together, with two experts and guidance.

Memory frames lie before the part in time, at latent frames of their own, and are noise as it is. What they show comes
in as a condition beside the latents, as in Wan2.2-I2V: a mask of four channels and the latents of what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers import SchedulerMixin

from holocine.attention_plan import compute_dtype
from holocine.families.planning import Frames, planner
from holocine.families.rules import Rules
from holocine.families.text import join
from holocine.timeline import FRAMES_PER_LATENT
from holocine.transformer import HoloCineTransformer3DModel

BOUNDARY = 0.9  # noise level from which on the first expert runs
OPENING_BOUNDARY, OPENING_SHIFT = 0.875, 12.0  # of the first shot, which has no memory: Wan2.2-T2V-A14B

Experts = Sequence[HoloCineTransformer3DModel]


def condition(memory: torch.Tensor, video: torch.Tensor, carried: int = 0) -> torch.Tensor:
    """What is known, beside the latents: (1, 4 + channels, memory + latent frames, latent height, latent width).

    memory: latents of the memory frames, each encoded by itself; video: of the part's frames, those that are not known
    zeros; both (1, channels, …). carried: how many frames of the part are known, from its first on.
    """
    known = (torch.arange(FRAMES_PER_LATENT * (video.shape[2] - 1) + 1) < carried).float()
    # The first latent frame is one frame, which stands in all four channels.
    known = torch.cat([known[:1].expand(FRAMES_PER_LATENT), known[1:]]).unflatten(0, (-1, FRAMES_PER_LATENT)).T
    known = torch.cat([torch.ones(FRAMES_PER_LATENT, memory.shape[2]), known], dim=1)
    mask = known[None, :, :, None, None].expand(-1, -1, -1, *video.shape[3:]).to(video)
    return torch.cat([mask, torch.cat([memory, video], dim=2)], dim=1)


@torch.no_grad()
def denoise_part(
    experts: Experts,
    rules: Rules,
    caption: torch.Tensor,
    negative: torch.Tensor | None,
    noise: torch.Tensor,
    known: torch.Tensor | None,
    scheduler: SchedulerMixin,
    steps: int,
    guidance: float,
    boundary: float = BOUNDARY,
    step_end: Callable[[int, float, torch.Tensor], None] = lambda step, timestep, latents: None,
) -> torch.Tensor:
    """Return the latents of the memory frames and the part: in the shape of `noise`, float32.

    experts: that of more noise first. caption, negative: text-encoder output (tokens, text dim); without a negative
    prompt nothing is guided. noise: (1, channels, latent frames, latent height, latent width). known: see `condition`;
    None for the opening, whose experts have no place for it. step_end is called after every step with its number, its
    timestep and the latents.
    """
    given = {"cond": caption} if negative is None else {"cond": caption, "uncond": negative}
    dtype = compute_dtype(caption)
    texts = {branch: join([text], rules.text_length, rules.padded, dtype) for branch, text in given.items()}
    config = experts[0].config
    down, across = (side // patch for side, patch in zip(noise.shape[3:], config.patch_size[1:], strict=True))
    plan = planner(rules, Frames.of((noise.shape[2],), down, across), texts, config.attention_head_dim)

    def velocity(branch: str, latents: torch.Tensor, timestep: float) -> torch.Tensor:
        expert = experts[0] if timestep >= boundary * scheduler.config.num_train_timesteps else experts[-1]
        seen = latents if known is None else torch.cat([latents, known.to(latents)], dim=1)
        with expert.cache_context(branch):
            return expert(
                seen.to(expert.dtype),
                torch.tensor([timestep], dtype=torch.float32, device=latents.device),
                texts[branch].rows.to(expert.dtype),
                attention_kwargs={"planner": plan},
                return_dict=False,
            )[0].to(latents.dtype)

    latents = noise
    scheduler.set_timesteps(steps, device=noise.device)
    for step, timestep in enumerate(scheduler.timesteps):
        made = velocity("cond", latents, float(timestep))
        if negative is not None:
            against = velocity("uncond", latents, float(timestep))
            made = against + guidance * (made - against)
        latents = scheduler.step(made, timestep, latents, return_dict=False)[0]
        step_end(step, float(timestep), latents)
    return latents
