"""What a call of a pipeline is given, checked before anything runs, and how it is timed and stopped."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback

from .keeping import KeepError
from .storyboard import Storyboard


class Cancelled(Exception):
    """Generation was stopped from a callback; raise it there, or return {"cancel": True}."""


def storyboards_of(
    storyboard: Storyboard | Sequence[Storyboard] | None,
    prompt: str | None,
    shot_cut_frames: Sequence[int] | None,
    num_frames: int | None,
) -> list[Storyboard]:
    """The storyboards of a call, as run, of the same length; raises ValueError for none, and for both ways at once."""
    if (storyboard is None) == (prompt is None):
        raise ValueError("give either a storyboard or a prompt with shot_cut_frames")
    if prompt is not None:
        frames = {} if num_frames is None else {"num_frames": num_frames}
        return [Storyboard.from_prompt(prompt, shot_cut_frames, **frames).as_run()]
    if shot_cut_frames is not None or num_frames is not None:
        raise ValueError("shot_cut_frames and num_frames belong to a prompt; a storyboard has its own")
    storyboards = [board.as_run() for board in ([storyboard] if isinstance(storyboard, Storyboard) else storyboard)]
    if not storyboards:
        raise ValueError("the list of storyboards is empty")
    if any(board.has_pictures for board in storyboards):
        raise KeepError(
            "the storyboard names picture files, which a pipeline does not open: open them with "
            "holocine.from_pictures.open_pictures and call run_with_pictures"
        )
    lengths = [board.num_frames for board in storyboards]
    if len(set(lengths)) > 1:
        raise ValueError(f"storyboards of one batch must have the same num_frames, not {lengths}; run them one by one")
    return storyboards


def with_seed(storyboard: Storyboard, seed: int | None) -> Storyboard:
    """The storyboard with this seed, else its own, else one that is drawn."""
    if seed is None:
        seed = storyboard.seed
    if seed is None:
        seed = secrets.randbelow(2**32)
    return storyboard.model_copy(update={"seed": seed})


def check_tensor(name: str, tensor: torch.Tensor | None, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless the tensor is None, or finite and of the given shape, where None is any size."""
    if tensor is None:
        return
    given = tuple(tensor.shape)
    if len(given) != len(shape) or any(want not in (None, size) for want, size in zip(shape, given, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} has the shape {given} but must have ({wanted})")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds values that are not finite")


def check_denoised(latents: torch.Tensor) -> None:
    """Raise ValueError if there are values in what was denoised that are not finite, of which no picture can be made.

    A single sum is asked, which is finite only if all are.
    """
    if not torch.isfinite(latents.float().abs().mean()):
        raise ValueError(
            "the model computed values that are not finite, so that there is no video: take another dtype (bfloat16 or "
            "float32), or leave out or scale down a LoRA"
        )


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_scale(name: str, value: Any) -> None:
    """Raise ValueError unless a scale of guidance is a finite number of 0 or more."""
    if not is_number(value) or value < 0:
        raise ValueError(f"{name} {value} is not a finite number of 0 or more; 1 switches guidance off")


def check_share(name: str, value: Any, remedy: str) -> None:
    """Raise ValueError with the remedy unless a value is a number from 0 to 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} {value} is not a number from 0 to 1; {remedy}")


def is_count(value: Any) -> bool:
    """Whether a value is a whole number of 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def cancellable(callback: Callable | None) -> Callable | None:
    """Wrap a diffusers callback so that it may return nothing, or {"cancel": True}."""
    if callback is None:
        return None

    def step_end(pipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]) -> dict:
        result = callback(pipeline, step, timestep, tensors) or {}
        if result.pop("cancel", False):
            raise Cancelled
        return result

    return step_end


def callback_tensors(callback: Callable | None, names: list[str] | None) -> list[str]:
    """The tensors that a diffusers callback is given."""
    if isinstance(callback, PipelineCallback | MultiPipelineCallbacks):
        return callback.tensor_inputs
    return ["latents"] if names is None else names


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block takes to those of `name`."""
    start = time.perf_counter()
    yield
    timings[name] = timings.get(name, 0.0) + time.perf_counter() - start
