"""ShotStream's sampler: a shot in blocks of three latent frames, four steps a block, from context and earlier blocks.

Keys and values of what is finished stay in a `Memory`: of the context frames, which see only one another, then of
each block, from a pass over the clean block. No block sees a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from holocine.attention_plan import compute_dtype
from holocine.families.causal import Memory, predict
from holocine.families.planning import Frames
from holocine.families.rules import Rules
from holocine.families.schedules import shifted
from holocine.families.shotstream.context import NUM_CONTEXT, flags
from holocine.families.text import join
from holocine.transformer import HoloCineTransformer3DModel

FRAMES_PER_BLOCK = 3
NUM_FRAMES = 21  # latent frames of a shot
NUM_BLOCKS = NUM_FRAMES // FRAMES_PER_BLOCK
STEPS = (1000, 740, 500, 260)  # of a table of 1000, counted from its end

Noise = Callable[[int, int], torch.Tensor]


def sigmas(shift: float) -> np.ndarray:
    """The noise levels of the four steps and 0, float64; timesteps are a thousand times these, not rounded."""
    table = shifted(np.linspace(1, 0, 1001)[:-1], shift)
    return np.append(table[[1000 - step for step in STEPS]], 0.0)


def frames_of(finished: int, height: int, width: int, num_frames: int = NUM_FRAMES) -> Frames:
    """The context frames and the new ones of the shot after `finished` others; height, width: tokens of a latent frame.

    num_frames: latent frames of the shot. The context lies at positions 0 to 5 and the new frames from 6 on, in every
    shot. Each reads the caption of its shot; the first shot has one caption for all.
    """
    context, new = flags(finished)
    total = NUM_CONTEXT + num_frames
    captions = (*context, *[finished] * num_frames) if finished else (0,) * total
    return Frames((*context, *[new] * num_frames), tuple(range(total)), captions, height, width)


@torch.no_grad()
def denoise_shot(
    transformer: HoloCineTransformer3DModel,
    rules: Rules,
    frames: Frames,
    captions: Sequence[torch.Tensor],
    context: torch.Tensor | None,
    noise: torch.Tensor,
    fresh: Noise,
    shift: float,
    step_end: Callable[[int, float, torch.Tensor], None] = lambda step, timestep, latents: None,
    clean_pass: bool = True,
) -> torch.Tensor:
    """Return the latents of the next shot: (1, channels, 21, latent height, latent width), float32.

    frames: see `frames_of`. captions: text-encoder output (tokens, text dim) of every shot up to this one. context:
    latents of the six context frames, zeros for the first shot; None shows it none. noise: what the shot begins with,
    in the shape of the result; fresh(block, step): the noise of each step but the first, (1, channels, 3, …). step_end
    is called after every step with its number, its timestep and the block's clean latents so far. clean_pass: False
    keeps the keys of the last, noisy step instead.
    """
    text = join(captions, rules.text_length, rules.padded, compute_dtype(captions[0]))
    levels = sigmas(shift)
    memory = Memory()

    def run(part: tuple[int, int], latents: torch.Tensor, sigma: float, keep: int | None = None) -> torch.Tensor:
        exchange = memory.exchange(keep)
        return predict(transformer, rules, frames.part(*part), text, latents, 1000 * sigma, exchange)

    if context is not None:
        run((0, NUM_CONTEXT), context, 0.0, keep=-1)
    finished = []
    for block in range(NUM_BLOCKS):
        part = tuple(NUM_CONTEXT + FRAMES_PER_BLOCK * n for n in (block, block + 1))
        latents = noise[:, :, FRAMES_PER_BLOCK * block : FRAMES_PER_BLOCK * (block + 1)]
        for step, (sigma, following) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
            last = step == len(STEPS) - 1
            velocity = run(part, latents, float(sigma), keep=block if last and not clean_pass else None)
            latents = latents - float(sigma) * velocity
            step_end(len(STEPS) * block + step, 1000 * float(sigma), latents)
            if not last:
                latents = (1 - float(following)) * latents + float(following) * fresh(block, step).to(latents)
        if clean_pass and block < NUM_BLOCKS - 1:
            run(part, latents, 0.0, keep=block)
        finished.append(latents)
    return torch.cat(finished, dim=2)
