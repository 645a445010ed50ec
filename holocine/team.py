"""The processes that torchrun started for one video: the first writes and speaks, and when one ends, all do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holocine.program import Terminated, UsageError

if TYPE_CHECKING:
    from holocine.sharing import Team

SPLITS = ("auto", "tokens", "guidance")
_WAIT = 0.5  # seconds that the first process has to say what happened to another, before others say it
_FIRST = 20.0  # seconds that it has where all processes find the same fault before they work together


class TeamError(ValueError):
    """A process of several was lost. The message is one sentence."""


def rank() -> int:
    """Which of the processes this one is, from 0; 0 for one alone."""
    return int(os.environ.get("RANK", "0")) if size() > 1 else 0


def size() -> int:
    """How many processes torchrun started, 1 where it did not start this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def hush() -> None:
    """Let only the first process speak."""
    if rank():
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  for the rest of the process


def let_first_speak() -> None:
    """Wait in another process than the first that found a fault before they were joined: the first finds it, too.

    When one process ends, torchrun ends all, the first even before it has said why; and this one when the first ends.
    """
    if rank() and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        time.sleep(_FIRST)


def device_here(device: str | None) -> str | None:
    """The device of this process: of several with GPUs, each has its own."""
    if size() == 1 or device == "cpu":
        return device
    import torch

    if not torch.cuda.is_available():
        return device
    if device not in (None, "cuda"):
        raise UsageError(f"--device {device} is for one process, but {size()} were started: leave it out")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


@contextmanager
def joined(split: str, guided: bool) -> Iterator[Team | None]:
    """The team of this process, while the block runs; None for one alone.

    split: what the processes share: the "tokens" of every forward pass; "guidance", where each half of them computes
    one of its branches, sharing the tokens; or "auto", which is guidance where there is any and halves are. guided:
    whether there is guidance. What is raised in one process ends all, and one of them says why. Raises `TeamError`
    where another process was lost.
    """
    if size() == 1:
        if split != "auto":
            raise UsageError(f"--split {split} is for several processes: start them with torchrun --nproc-per-node N")
        yield None
        return
    if split == "guidance" and (size() % 2 or not guided):
        why = "there is no guidance" if not guided else f"{size()} processes cannot be halved"
        raise UsageError(f"--split guidance: {why}; take --split tokens")
    import torch
    import torch.distributed as dist

    from holocine.sharing import Team

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield Team.of_all(split_guidance=guided and size() % 2 == 0 and split != "tokens")
    except BaseException as error:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, which would end this before it is said why
        lost = isinstance(error, Terminated) or _is_of_another(error, dist)
        speaks = _speaks(dist, at_once=not (rank() and lost))
        sys.stderr = sys.__stderr__ if speaks else open(os.devnull, "w")  # noqa: SIM115  as in `hush`
        if lost:
            raise TeamError(f"one of the {size()} processes ended, so all of them do") from None
        raise
    dist.destroy_process_group()  # after an error it might wait for those that are gone


def _is_of_another(error: BaseException, dist) -> bool:
    """Whether an error says that another process cannot be reached."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        isinstance(error, dist.DistError) or any(word in text for word in ("gloo", "nccl", "closed by peer"))
    )


def _speaks(dist, at_once: bool) -> bool:
    """Whether this process is the first that has something to say of the end of all."""
    if not at_once:
        time.sleep(_WAIT)
    try:
        return dist.distributed_c10d._get_default_store().add("holocine/said", 1) == 1
    except (RuntimeError, AttributeError):  # the store was in a process that is gone
        return rank() == 1
