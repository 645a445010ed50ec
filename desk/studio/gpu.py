"""ZeroGPU: a GPU that a Space borrows for the seconds of one call. Elsewhere nothing of this does anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

LONGEST = 300  # seconds that ZeroGPU is asked for at most


def on_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and find_spec("spaces") is not None


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
            return max(10, min(LONGEST, round(duration(*args, **kwargs))))

        return spaces.GPU(duration=seconds)(function)

    return decorate
