"""CineTrans's prompt, one caption a shot and a general one last, and what it makes of a storyboard."""

from __future__ import annotations

import json

from holocine.families.translation import Translation, frames_at, latent_frames, nearest_lengths, notes_of
from holocine.storyboard import Storyboard, StoryboardError
from holocine.timeline import FRAMES_PER_LATENT, num_frames_of, num_latent_frames
from holocine.wording import describe_texts

FPS = 16.0
NUM_FRAMES = 81


def translate(storyboard: Storyboard) -> Translation:
    """What CineTrans makes of a storyboard; raises StoryboardError for more shots than it has latent frames."""
    total = num_latent_frames(NUM_FRAMES)
    ends = frames_at(storyboard, FPS)
    scale = min(1.0, NUM_FRAMES / ends[-1])
    try:
        lengths = nearest_lengths([latent_frames(scale * end) for end in ends], total)
    except ValueError as error:
        raise StoryboardError(f"CineTrans makes {NUM_FRAMES} frames: {error}") from None
    grid = f"CineTrans makes {NUM_FRAMES} frames and cuts at {FRAMES_PER_LATENT}t + 1"
    run = storyboard.run_on([num_frames_of(lengths[0]), *(FRAMES_PER_LATENT * n for n in lengths[1:])], FPS, grid)
    texts = describe_texts(storyboard)
    captions = (*texts.shots, texts.scene)
    return Translation(
        storyboard=run,
        captions=captions,
        common=len(texts.shots),
        prompt=json.dumps(captions, ensure_ascii=False),
        latent_lengths=lengths,
        notes=tuple(notes_of("CineTrans", storyboard, run, f"{NUM_FRAMES} frames a scene at {FPS:g} frames a second")),
    )
