"""Items on local processes, one thread each, so that the number of processes changes no result.

Only the process that holds the run's folder writes into it: workers hand files back. A worker that dies (killed, out of
memory) is replaced and its item tried once more; workers whose parent dies end themselves.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.running.gpus import VISIBLE
from benchmarks.running.items import Item, RunError
from benchmarks.running.work import Job, Outcome, Worker, lost
from holocine.program import ignore_interrupts

logger = logging.getLogger(__name__)

ATTEMPTS = 2
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} | {
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass
class _Slot:
    """A worker process, and the job it is at with the number of the attempt; place: which of the workers it is."""

    process: Any
    connection: Connection
    place: int
    job: Job | None = None
    attempt: int = 0


def run_local(
    jobs: Iterable[Job],
    make_worker: Callable[[Path | None], Worker],
    workers: int = 1,
    scratch: Path | None = None,
    begun: Callable[[Item], None] = lambda item: None,
    gpus: Sequence[list[str] | None] | None = None,
) -> Generator[Outcome]:
    """Yield what comes of each job, in the order in which they end.

    gpus: those that each worker sees, see `gpus_of_workers`; None leaves them all that there are.
    make_worker: called in each worker process with `scratch`, a folder for its temporary files; has to be importable.
    begun: called when a worker takes an item. Raises `RunError` if workers cannot start.
    """
    gpus = [None] * workers if gpus is None else gpus
    waiting = iter(jobs)
    again: deque[tuple[Job, int]] = deque()
    slots: list[_Slot] = []
    try:
        while True:
            while len(slots) < workers or any(slot.job is None for slot in slots):
                job, attempt = again.popleft() if again else (next(waiting, None), 1)
                if job is None:
                    break
                idle = next((slot for slot in slots if slot.job is None), None)
                if idle is None:
                    free = min(set(range(workers)) - {slot.place for slot in slots})
                    slots.append(idle := _start(make_worker, scratch, free, gpus[free]))
                idle.job, idle.attempt = job, attempt
                try:
                    idle.connection.send(job)
                except OSError:  # it died while it was idle; found below
                    logger.debug("process %s was gone before it got %s", idle.process.pid, job.item)
                begun(job.item)
            busy = [slot for slot in slots if slot.job is not None]
            if not busy:
                return
            wait([end for slot in busy for end in (slot.connection, slot.process.sentinel)])
            for slot in busy:
                outcome = _received(slot)
                if outcome is not None:
                    slot.job = None
                    yield outcome
                elif not slot.process.is_alive():
                    slots.remove(slot)
                    yield from _died(slot, again)
    finally:
        for slot in slots:
            slot.process.kill()
        for slot in slots:
            slot.process.join()
            slot.connection.close()


def _start(
    make_worker: Callable[[Path | None], Worker], scratch: Path | None, place: int, gpus: list[str] | None
) -> _Slot:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_worker, scratch), daemon=True)
    with _environment(THREADS if gpus is None else THREADS | {VISIBLE: ",".join(gpus)}):
        process.start()
    theirs.close()
    return _Slot(process, ours, place)


def _received(slot: _Slot) -> Outcome | None:
    try:
        if not slot.connection.poll():
            return None
        outcome = slot.connection.recv()
    except (EOFError, OSError):
        slot.process.join()  # the pipe closes a moment before the process is gone
        return None
    if isinstance(outcome, Exception):
        raise RunError(f"a worker could not start: {outcome}") from outcome
    return outcome


def _died(slot: _Slot, again: deque[tuple[Job, int]]) -> Iterator[Outcome]:
    code = slot.process.exitcode
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    slot.connection.close()
    logger.warning("the worker of %s died (%s), attempt %d", slot.job.item, how, slot.attempt)
    if slot.attempt < ATTEMPTS:
        again.append((slot.job, slot.attempt + 1))
    else:
        yield lost(slot.job, f"the worker died {ATTEMPTS} times, at last by {how}; SIGKILL often is a lack of memory")


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables, for the processes started inside: libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, make_worker: Callable[[Path | None], Worker], scratch: Path | None) -> None:
    """A worker process: take jobs until the parent closes the pipe or is gone."""
    ignore_interrupts()  # they reach the parent too, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Workers are killed in the end; the semaphore that progress bars share with other processes would be left behind.
    tqdm.set_lock(threading.RLock())
    try:
        worker = make_worker(scratch)
    except Exception as error:
        connection.send(RuntimeError(str(error)))
        return
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(worker.do(job))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
