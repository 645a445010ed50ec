"""ShotStream's prompt, JSON of a global caption and `shot1`, `shot2`, …, and what it makes of a storyboard."""

from __future__ import annotations

import json
from itertools import pairwise

from holocine.families.translation import Translation, frames_at, notes_of
from holocine.storyboard import Storyboard
from holocine.timeline import num_latent_frames
from holocine.wording import describe_texts

FPS = 16.0
FRAMES_PER_SHOT = 81


def shot_text(global_caption: str, caption: str, index: int) -> str:
    """What ShotStream reads for shot `index`, from 0: nothing lies between the parts."""
    return f"{global_caption}shot{index}:{caption}"


def translate(storyboard: Storyboard) -> Translation:
    """What ShotStream makes of a storyboard: 81 frames a shot, of which those beyond what was asked are cut off."""
    bounds = [round(end) for end in (0.0, *frames_at(storyboard, FPS))]
    frames = [min(max(1, b - a), FRAMES_PER_SHOT) for a, b in pairwise(bounds)]
    run = storyboard.run_on(frames, FPS, f"ShotStream makes at most {FRAMES_PER_SHOT} frames a shot")
    texts = describe_texts(storyboard)
    content = {"global_caption": texts.scene} | {f"shot{i}": text for i, text in enumerate(texts.shots, start=1)}
    makes = f"at most {FRAMES_PER_SHOT} frames a shot"
    return Translation(
        storyboard=run,
        captions=tuple(shot_text(texts.scene, text, index) for index, text in enumerate(texts.shots)),
        common=None,
        prompt=json.dumps(content, ensure_ascii=False),
        latent_lengths=(num_latent_frames(FRAMES_PER_SHOT),) * storyboard.num_shots,
        notes=tuple(notes_of("ShotStream", storyboard, run, makes, is_guided=False)),
    )
