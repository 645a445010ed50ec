"""Scenes that were not made in one go: what it costs in consistency to keep shots and make others to fit them.

retake      every shot of a finished video made anew once, first to last, the others kept
continue    the scene in two halves: the second sees the last two shots of the first

Each function takes the process's `Models`, the `ModelSettings` and a storyboard with a seed, and returns frames uint8
(num_frames, height, width, 3).
"""

from __future__ import annotations

import numpy as np

from benchmarks.systems.models import Models, ModelSettings
from holocine.continuing import keep_context, parse_context, plan_continuation
from holocine.keeping import keep_shots
from holocine.storyboard import Storyboard


def retaken(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    """Raises ValueError for a scene of one shot, of which nothing could be kept."""
    check_shots(storyboard, "retake")
    pipeline = models.pipeline(settings)
    made = pipeline(storyboard, **settings.sampling)
    for shot in range(1, storyboard.num_shots + 1):
        others = [other for other in range(1, storyboard.num_shots + 1) if other != shot]
        seed = _seed(storyboard, shot)
        made = pipeline(storyboard, seed=seed, keep=keep_shots(made, others), **settings.sampling)
    return made.frames[0]


def continued(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    """Raises ValueError for a scene of one shot, which has no halves."""
    check_shots(storyboard, "continue")
    pipeline, run = models.pipeline(settings), storyboard.as_run()
    half = (run.num_shots + 1) // 2
    first, rest = (run.model_copy(update={"shots": part}) for part in (run.shots[:half], run.shots[half:]))
    begun = pipeline(first, **settings.sampling).frames[0]
    plan = plan_continuation(first, rest, parse_context(None, half))
    spans = first.shot_ranges
    kept = keep_context(plan.context, plan.scene, lambda shot: begun[spans[shot - 1].start : spans[shot - 1].stop])
    seed = _seed(storyboard, 0)
    made = pipeline(plan.scene, seed=seed, keep=kept, **settings.sampling).frames[0]
    return np.concatenate([begun, made[-rest.num_frames :]])


def _seed(storyboard: Storyboard, number: int) -> int:
    """A seed for what is made anew, which is not the storyboard's own."""
    return int(np.random.SeedSequence((storyboard.seed or 0, 1000 + number)).generate_state(1)[0])


def check_shots(storyboard: Storyboard, system: str) -> None:
    """Raise ValueError for a scene of one shot."""
    if storyboard.num_shots < 2:
        raise ValueError(f"{system} needs at least 2 shots, and this storyboard has 1")
