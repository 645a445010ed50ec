"""StoryMem's script, prompts with `cut`, and what it makes of a storyboard: a shot in parts of 81 frames."""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil

from holocine.families.translation import Translation, frames_at, notes_of
from holocine.plurals import few
from holocine.storyboard import Storyboard
from holocine.timeline import num_latent_frames
from holocine.wording import describe_texts, ended

FPS = 16.0
FRAMES_PER_PART = 81
CARRIED = 5  # frames of the part before that a part without a cut begins with, and that are dropped


def parts_of(num_frames: int) -> tuple[int, ...]:
    """How many new frames each part of a shot of `num_frames` makes; what is beyond these is cut off."""
    later = ceil(max(0, num_frames - FRAMES_PER_PART) / (FRAMES_PER_PART - CARRIED))
    return FRAMES_PER_PART, *[FRAMES_PER_PART - CARRIED] * later


def translate(storyboard: Storyboard) -> Translation:
    """What StoryMem makes of a storyboard: each shot opens with a cut, a long one continues without."""
    bounds = [round(end) for end in (0.0, *frames_at(storyboard, FPS))]
    frames = [max(1, b - a) for a, b in pairwise(bounds)]
    run = storyboard.run_on(frames, FPS, "StoryMem makes whole frames")
    texts = describe_texts(storyboard)
    captions = tuple(f"{ended(shot)} {texts.scene}" for shot in texts.shots)
    parts = [parts_of(n) for n in frames]
    notes = [
        "StoryMem has no global caption: it is written after the caption of every shot",
        "StoryMem remembers pictures that HPSv3 finds good; that model is not here, so all of them pass",
        *notes_of("StoryMem", storyboard, run, "whole frames"),
    ]
    continued = [f"shot {n} in {len(made)}" for n, made in enumerate(parts, start=1) if len(made) > 1]
    if continued:
        notes.append(
            f"StoryMem makes {FRAMES_PER_PART} frames at once: {few(continued)} parts, each from the last "
            f"{CARRIED} frames of the one before"
        )
    return Translation(
        storyboard=run,
        captions=captions,
        common=None,
        prompt=json.dumps(_script(storyboard.title, texts.scene, captions, parts), ensure_ascii=False),
        latent_lengths=tuple(num_latent_frames(FRAMES_PER_PART) * len(made) for made in parts),
        notes=tuple(notes),
    )


def _script(title: str | None, scene: str, captions: tuple[str, ...], parts: list[tuple[int, ...]]) -> dict:
    """One scene of ST-Bench's: a prompt for every part, `cut` where a shot begins."""
    of_parts = [(text, part == 0) for text, made in zip(captions, parts, strict=True) for part in range(len(made))]
    return {
        "story_name": title or "",
        "story_overview": scene,
        "scenes": [
            {
                "scene_num": 1,
                "video_prompts": [text for text, _ in of_parts],
                "cut": [cut for _, cut in of_parts],
            }
        ],
    }
