"""LongLive's prompt, a caption a shot with the blocks that it lasts, and what it makes of a storyboard."""

from __future__ import annotations

import json

from holocine.families.translation import Translation, frames_at, latent_frames, nearest_lengths, notes_of
from holocine.storyboard import Storyboard, StoryboardError
from holocine.timeline import FRAMES_PER_LATENT, num_frames_of
from holocine.wording import describe_texts, ended

FPS = 24.0
FRAMES_PER_BLOCK = 8  # latent frames
MOST_BLOCKS = 16  # of a scene, as it is published: 21 seconds
TRANSITION = "The scene transitions. "  # what the caption of a shot's first block begins with


def translate(storyboard: Storyboard) -> Translation:
    """What LongLive makes of a storyboard; raises StoryboardError for more shots than it makes blocks."""
    ends = [latent_frames(end) / FRAMES_PER_BLOCK for end in frames_at(storyboard, FPS)]
    total = min(max(round(ends[-1]), storyboard.num_shots), MOST_BLOCKS)
    scale = min(1.0, MOST_BLOCKS / ends[-1])
    try:
        blocks = nearest_lengths([scale * end for end in ends], total)
    except ValueError:
        raise StoryboardError(
            f"LongLive makes at most {MOST_BLOCKS} blocks of {FRAMES_PER_BLOCK} latent frames, a shot of one or more, "
            f"and this storyboard has {storyboard.num_shots} shots"
        ) from None
    lengths = tuple(FRAMES_PER_BLOCK * n for n in blocks)
    most, block = num_frames_of(MOST_BLOCKS * FRAMES_PER_BLOCK), FRAMES_PER_BLOCK * FRAMES_PER_LATENT
    grid = f"LongLive cuts and ends at frames {block}n - {FRAMES_PER_LATENT - 1}"
    run = storyboard.run_on([num_frames_of(lengths[0]), *(FRAMES_PER_LATENT * n for n in lengths[1:])], FPS, grid)
    texts = describe_texts(storyboard)
    captions = [f"{ended(shot)} {texts.scene}" for shot in texts.shots]
    if ends[-1] > MOST_BLOCKS:
        makes = f"at most {most} frames at {FPS:g} frames a second"
    elif ends[-1] < storyboard.num_shots:
        makes = f"a block of {block} frames or more a shot"
    else:
        makes = f"whole blocks of {block} frames"
    notes = (
        "LongLive has no global caption: it is written after the caption of every shot",
        *notes_of("LongLive", storyboard, run, makes, is_guided=False),
    )
    return Translation(
        storyboard=run,
        captions=(*captions, *(TRANSITION + caption for caption in captions[1:])),
        common=None,
        prompt=json.dumps({"captions": captions, "shot_durations": blocks}, ensure_ascii=False),
        latent_lengths=lengths,
        notes=notes,
    )


def caption_of_each_block(latent_lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Which of the captions of `translate` each block reads: that with the transition where a later shot opens."""
    shots, read = len(latent_lengths), []
    for shot, length in enumerate(latent_lengths):
        blocks = length // FRAMES_PER_BLOCK
        read += [shots + shot - 1 if shot else 0, *[shot] * (blocks - 1)]
    return tuple(read)
