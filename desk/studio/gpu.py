"""ZeroGPU: a GPU that a Space borrows for the seconds of one call. Elsewhere nothing of this does anything.

The models are loaded once, in the main process, where `spaces` keeps what is put on the GPU packed until a call borrows
one; the call then runs in a fork of that process. What a visitor may borrow at most is read from HOLOCINE_GPU_SECONDS:
asking for more is refused by ZeroGPU as an illegal duration, so a request that needs more is refused here, before it
waits, with what would fit.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from desk.studio.limits import LimitError
from holocine.plan import Plan, make_plan
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from desk.studio.studio import Settings
    from holocine.checkpoints import ModelFacts

logger = logging.getLogger(__name__)

VARIABLE = "HOLOCINE_GPU_SECONDS"
USUAL = 60  # seconds that visitors without an account may borrow at a time
_LEAST = 10
_FEW_STEPS = 8  # fewer are no remedy
_MOVE_SECONDS, _DECODE_SECONDS = 10, 30  # decoding of 241 frames of 480 x 832
FLOAT8_ABOVE = 60 * 10**9  # bytes of weights that do not fit a borrowed GPU of 70 GB beside what is computed


def on_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and find_spec("spaces") is not None


def most_seconds() -> int | None:
    """How long a GPU may be borrowed at a time; None where it need not be borrowed."""
    if not on_zero_gpu():
        return None
    text = os.environ.get(VARIABLE, "").strip()
    if text.isdecimal() and int(text) >= _LEAST:
        return int(text)
    if text:
        logger.warning("%s is %r, but has to be a whole number from %d: %d is taken", VARIABLE, text, _LEAST, USUAL)
    return USUAL


def load_options(weights: int) -> dict[str, Any]:
    """How to load a model whose files have `weights` bytes; large ones are kept in float8 on a borrowed GPU."""
    return {"layerwise_casting": True} if on_zero_gpu() and weights > FLOAT8_ABOVE else {}


def borrowed(duration: Callable[..., float]) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
    """Decorate a generator that needs the GPU; `duration` gets its arguments and returns seconds.

    `spaces` is imported only where it exists. The generator then runs in another process, so what it gets and yields
    has to be plain data.
    """

    def decorate(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        if not on_zero_gpu():
            return function
        import spaces

        def seconds(*args: Any, **kwargs: Any) -> int:
            return max(_LEAST, min(most_seconds() or USUAL, math.ceil(duration(*args, **kwargs))))

        return spaces.GPU(duration=seconds)(function)

    return decorate


def expected_seconds(storyboard: Storyboard, settings: Settings, facts: ModelFacts) -> float:
    """How long a GPU is needed: the arithmetic of denoising at an H100's rate, and what moving the weights to it and
    decoding take, roughly.
    """
    plan = make_plan(
        storyboard, facts, settings.height, settings.width, settings.attention, settings.steps, settings.guidance
    )
    return _other_seconds(plan) + plan.cost.seconds()


def _other_seconds(plan: Plan) -> float:
    return _MOVE_SECONDS + _DECODE_SECONDS * plan.num_frames * plan.height * plan.width / (241 * 480 * 832)


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
    guided = {steps: facts.guided_steps(steps, settings.guidance) for steps in range(1, settings.steps)}
    costs = {steps: replace(plan.cost, steps=steps, guided=count) for steps, count in guided.items()}
    return max((steps for steps, cost in costs.items() if cost.seconds() <= left), default=0)


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
