"""ZeroGPU: a GPU that a Space borrows for the seconds of one call. Elsewhere nothing of this does anything.

The models are loaded once, in the main process, where `spaces` keeps what is put on the GPU packed until a call borrows
one; the call then runs in a fork of that process. What a visitor may borrow at most is read from HOLOCINE_GPU_SECONDS:
asking for more is refused by ZeroGPU as an illegal duration, so a request that needs more is refused here, before it
waits, with what would fit. `spaces` lends half of an H200 ("large"), or a whole one ("xlarge"), whose seconds count
twice: HOLOCINE_GPU_SIZE chooses.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

VARIABLE = "HOLOCINE_GPU_SECONDS"
USUAL = 60  # seconds that visitors without an account may borrow at a time
SIZE_VARIABLE = "HOLOCINE_GPU_SIZE"
COMPILE_VARIABLE = "HOLOCINE_COMPILE"
_YES, _NO = ("1", "t", "true", "yes", "on"), ("", "0", "f", "false", "no", "off")
_LEAST = 10
_COMPILING = 300  # seconds that the Space itself borrows a GPU for at its start


@dataclass(frozen=True)
class Size:
    """A GPU that can be borrowed: the bytes of weights that fit beside what is computed, and its share of an H100's
    132 multiprocessors.
    """

    weights: int
    share: float


# An H200 has 141 GB and, as the whole of it, 132 multiprocessors; half of it 70 GB and 60 of them.
SIZES = {"large": Size(60 * 10**9, 60 / 132), "xlarge": Size(125 * 10**9, 1.0)}


def on_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and find_spec("spaces") is not None


def most_seconds() -> int | None:
    """How long a GPU may be borrowed at a time; None where it need not be borrowed."""
    if not on_zero_gpu():
        return None
    return _seconds(os.environ.get(VARIABLE, "").strip())


@cache  # so that what is wrong is said once
def _seconds(text: str) -> int:
    if text.isdecimal() and int(text) >= _LEAST:
        return int(text)
    if text:
        logger.warning("%s is %r, but has to be a whole number from %d: %d is taken", VARIABLE, text, _LEAST, USUAL)
    return USUAL


def size() -> str:
    """Which GPU is borrowed: a name of `SIZES`."""
    return _size(os.environ.get(SIZE_VARIABLE, "").strip())


@cache
def _size(text: str) -> str:
    usual, name = next(iter(SIZES)), text.lower()
    if name and name not in SIZES:
        logger.warning("%s is %r, but has to be %s: %s is taken", SIZE_VARIABLE, text, " or ".join(SIZES), usual)
    return name if name in SIZES else usual


def load_options(weights: int) -> dict[str, Any]:
    """How to load a model whose files have `weights` bytes; those that do not fit a borrowed GPU are kept in float8.

    Its blocks are fused where HOLOCINE_COMPILE says so; on ZeroGPU that is for `compile_ahead`.
    """
    if not on_zero_gpu():
        return {"compile": True} if compiles() else {}
    return {"layerwise_casting": True} if weights > SIZES[size()].weights else {}


def compiles() -> bool:
    """Whether HOLOCINE_COMPILE asks for fused blocks."""
    return _compiling() in _YES


def knows_compiling() -> bool:
    """Whether HOLOCINE_COMPILE is unset, or says one of yes and no."""
    return _compiling() in (*_YES, *_NO)


def _compiling() -> str:
    return os.environ.get(COMPILE_VARIABLE, "").strip().lower()


def compile_ahead(experts: Sequence[HoloCineTransformer3DModel]) -> None:
    """On ZeroGPU, where HOLOCINE_COMPILE says so: let the experts run by pieces that are compiled here, once.

    A call there runs in a process of its own, which would compile for a minute each time. Where compiling fails the
    experts run as they are, and it is said.
    """
    if not (on_zero_gpu() and compiles()):
        return
    import spaces

    from holocine.fusing import exported_pieces, fuse, pieces_ahead

    @spaces.GPU(duration=_COMPILING, size=size())
    def compiled() -> Iterator[tuple[str, Any]]:
        for name, program in exported_pieces(experts[0]).items():
            yield name, spaces.aoti_compile(program)

    try:
        ahead = dict(compiled())
    except Exception as error:  # a compiler, a driver or the lender; a Space without it is slower, and whole
        logger.warning("nothing was compiled ahead of time, as it failed: %s", error)
        return
    for expert in experts:
        fuse(expert, pieces_ahead(expert, ahead))


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

        return spaces.GPU(duration=seconds, size=size())(function)

    return decorate
