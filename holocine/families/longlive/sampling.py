"""LongLive's sampler: a video in blocks of eight latent frames, each of which sees a few earlier ones.

Keys and values of finished blocks stay, from a pass over the clean block, as long as the window has room. The first
block always does, and of the others the one that opens the present shot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from diffusers import SchedulerMixin

from holocine.attention_plan import compute_dtype
from holocine.families.causal import Memory, predict
from holocine.families.longlive.prompt import FRAMES_PER_BLOCK
from holocine.families.planning import Frames
from holocine.families.rules import Rules
from holocine.families.text import join
from holocine.transformer import HoloCineTransformer3DModel


@dataclass(frozen=True)
class Window:
    """What a block sees.

    blocks: at most so many, with itself. sink: the first blocks of the video, which are always among them.
    keeps_openings: whether the block that opens the present shot is, too.
    """

    blocks: int = 4
    sink: int = 1
    keeps_openings: bool = True

    def seen(self, block: int, openings: Collection[int]) -> tuple[int, ...]:
        """The earlier blocks that `block` sees, in order; openings: the blocks that open a shot, but for the first.

        A block that is new pushes out the oldest one that nothing holds. An opening is held once it is the oldest.
        """
        held: list[int] = []
        opening = None
        for new in range(block + 1):
            if len(held) == self.blocks:
                first = self.sink
                if opening is not None and held.index(opening) == first:
                    first += 1
                del held[first]
            held.append(new)
            if self.keeps_openings and new in openings:
                opening = new
        return tuple(held[:-1])


@torch.no_grad()
def denoise_blocks(
    transformer: HoloCineTransformer3DModel,
    rules: Rules,
    frames: Frames,
    captions: Sequence[torch.Tensor],
    noise: torch.Tensor,
    scheduler: SchedulerMixin,
    steps: int,
    window: Window = Window(),
    step_end: Callable[[int, float, torch.Tensor], None] = lambda step, timestep, latents: None,
    clean_pass: bool = True,
) -> torch.Tensor:
    """Return the latents of a video: (1, channels, latent frames, latent height, latent width), float32.

    frames: of the whole video, whose `captions` say which of `captions`, text-encoder output (tokens, text dim), each
    block reads. noise: what it begins with, in the shape of the result. step_end is called after every step with its
    number, its timestep and the block's latents. clean_pass: False keeps the keys of the last, noisy step instead.
    """
    memory, finished = Memory(), []
    blocks = len(frames.shots) // FRAMES_PER_BLOCK
    openings = {n for n in range(1, blocks) if len(set(frames.shots[FRAMES_PER_BLOCK * n - 1 :][:2])) == 2}
    for block in range(blocks):
        own = slice(FRAMES_PER_BLOCK * block, FRAMES_PER_BLOCK * (block + 1))
        part = frames.part(own.start, own.stop)
        text = join([captions[part.captions[0]]], rules.text_length, rules.padded, compute_dtype(captions[0]))
        part = Frames(part.shots, part.positions, (0,) * FRAMES_PER_BLOCK, part.height, part.width)
        latents, seen = noise[:, :, own], window.seen(block, openings)
        memory.hold(seen)
        scheduler.set_timesteps(steps, device=latents.device)
        for step, timestep in enumerate(scheduler.timesteps):
            last = step == len(scheduler.timesteps) - 1
            exchange = memory.exchange(keep=block if last and not clean_pass else None, sees=seen)
            velocity = predict(transformer, rules, part, text, latents, float(timestep), exchange)
            latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            step_end(steps * block + step, float(timestep), latents)
        if clean_pass and block < blocks - 1:
            predict(transformer, rules, part, text, latents, 0.0, memory.exchange(keep=block, sees=seen))
        finished.append(latents)
    return torch.cat(finished, dim=2)
