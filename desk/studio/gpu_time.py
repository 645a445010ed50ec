"""How long a GPU is needed for a video, and what would fit into the time that one may be borrowed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from desk.studio.gpu import SIZES, size
from desk.studio.limits import LimitError
from holocine.cost import HOPPER_RATE
from holocine.plan import Plan, make_plan
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from desk.studio.settings import Settings
    from holocine.checkpoints import ModelFacts

_MOVE_SECONDS, _DECODE_SECONDS = 10, 30  # of weights to the GPU; of 241 frames of 480 x 832 on an H100
_FEW_STEPS = 8  # fewer are no remedy


def expected_seconds(storyboard: Storyboard, settings: Settings, facts: ModelFacts) -> float:
    """How long a borrowed GPU is needed: the arithmetic of denoising at its share of an H100's rate, and roughly what
    moving the weights to it and decoding take.
    """
    plan = make_plan(
        storyboard, facts, settings.height, settings.width, settings.attention, settings.steps, settings.guidance
    )
    return _other_seconds(plan) + plan.cost.seconds(_rate())


def _rate() -> float:
    return HOPPER_RATE * SIZES[size()].share


def _other_seconds(plan: Plan) -> float:
    decoding = _DECODE_SECONDS * plan.num_frames * plan.height * plan.width / (241 * 480 * 832)
    return _MOVE_SECONDS + decoding / SIZES[size()].share


def check_time(storyboard: Storyboard, settings: Settings, facts: ModelFacts, seconds: float) -> None:
    """Raise LimitError, with what would fit, if a video needs a GPU for longer than `seconds`."""
    needed = expected_seconds(storyboard, settings, facts)
    if needed <= seconds:
        return
    few = replace(settings, steps=min(settings.steps, _FEW_STEPS))
    if (steps := _most_steps(storyboard, settings, facts, seconds)) >= few.steps:
        remedy = f"{steps} steps would fit"
    elif frames := _most_frames(storyboard, few, facts, seconds):
        remedy = f"about {frames} frames in {few.steps} steps would fit"
    else:
        remedy = "take a smaller size, and fewer frames and steps"
    raise LimitError(
        f"this video takes a GPU for about {needed:.0f} s, but this Space may borrow one for {seconds:.0f} s: {remedy}"
    )


def _most_steps(storyboard: Storyboard, settings: Settings, facts: ModelFacts, seconds: float) -> int:
    plan = make_plan(storyboard, facts, settings.height, settings.width, settings.attention)
    left = seconds - _other_seconds(plan)
    costs = {
        steps: replace(
            plan.cost,
            steps=steps,
            guided=facts.guided_steps(steps, settings.guidance),
            moved=facts.moved_steps(steps) if plan.cost.moved else 0,
        )
        for steps in range(1, settings.steps)
    }
    return max((steps for steps, cost in costs.items() if cost.seconds(_rate()) <= left), default=0)


def _most_frames(storyboard: Storyboard, settings: Settings, facts: ModelFacts, seconds: float) -> int:
    for share in (0.8, 0.65, 0.5, 0.35, 0.25, 0.15):
        shorter = _shortened(storyboard, share)
        with suppress(ValueError):  # too short for its shots
            if expected_seconds(shorter, settings, facts) <= seconds:
                return shorter.num_frames
    return 0


def _shortened(storyboard: Storyboard, share: float) -> Storyboard:
    """The storyboard with every shot at `share` of its length."""
    lengths = [max(1, round(share * shot.num_frames)) for shot in storyboard.shots]
    shots = [shot.model_copy(update={"num_frames": n}) for shot, n in zip(storyboard.shots, lengths, strict=True)]
    return storyboard.model_copy(update={"shots": tuple(shots)})
