"""Which GPUs each worker of one machine has: its own, so that as many items are made at a time as there are."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.running.items import RunError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; CUDA itself is not started."""
    if (named := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def gpus_of_workers(workers: int, each: float | None, visible: list[str]) -> list[list[str] | None]:
    """The GPUs of each worker; None for those that nothing is said of.

    each: how many a worker has; below 1, several share one. None is one for each as far as they go, then again from the
    first; and nothing where there is one worker, or no more than one GPU. Raises `RunError` where they are not enough.
    """
    if each is None:
        if workers == 1 or len(visible) < 2:
            return [None] * workers
        return [[visible[worker % len(visible)]] for worker in range(workers)]
    if each == 0:
        return [[] for _ in range(workers)]
    if each > 1 and each != int(each):
        raise RunError(f"{each:g} GPUs for each worker: give a whole number, or a part of one")
    if each < 1:
        shared = int(1 / each + 1e-9)  # workers on each
        firsts, count = [worker // shared for worker in range(workers)], 1
    else:
        firsts, count = [worker * int(each) for worker in range(workers)], int(each)
    needed = firsts[-1] + count
    if needed > len(visible):
        raise RunError(
            f"{workers} workers of {each:g} GPUs each need {needed}, and there are {len(visible)}: take fewer, or "
            "a part of a GPU for each"
        )
    return [visible[first : first + count] for first in firsts]
