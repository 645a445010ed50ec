"""The same items on a Ray cluster: one actor a worker, results sent back to the process that holds the run's folder.

Nodes share no file system with it but need the same code and packages, and model folders under the same names.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path

from benchmarks.running.items import Item, RunError
from benchmarks.running.local_engine import ATTEMPTS, THREADS
from benchmarks.running.work import Job, Outcome, Worker, lost

logger = logging.getLogger(__name__)


def run_ray(
    jobs: Iterable[Job],
    make_worker: Callable[[Path | None], Worker],
    workers: int = 1,
    address: str | None = None,
    gpus: float | None = None,
    scratch: Path | None = None,
    begun: Callable[[Item], None] = lambda item: None,
) -> Generator[Outcome]:
    """Yield what comes of each job, in the order in which they end; see `run_local`.

    scratch is left to local runs: each node has temporary files of its own.

    address: of a cluster ("auto", "ray://HOST:10001"); None starts one on this machine. gpus: of each worker, below 1
    where several share one; None shares those of the cluster among the workers, at most one for each. An actor that
    dies is replaced and its item tried once more. Raises `RunError` without Ray or the cluster, and for more GPUs than
    that has, which Ray would wait for.
    """
    try:
        import ray
    except ImportError:
        raise RunError('--engine ray needs Ray: pip install "ray>=2.60"') from None
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address, workers)
    start = partial(_start, ray, make_worker, _gpus_of_each(gpus, workers, ray.cluster_resources().get("GPU", 0)))
    waiting, again = iter(jobs), deque()
    idle, busy = [], {}
    try:
        while True:
            while idle or len(busy) < workers:
                job, attempt = again.popleft() if again else (next(waiting, None), 1)
                if job is None:
                    break
                actor = idle.pop() if idle else start()
                busy[actor.do.remote(job)] = actor, job, attempt
                begun(job.item)
            if not busy:
                return
            done, _ = ray.wait(list(busy), num_returns=1)
            actor, job, attempt = busy.pop(done[0])
            try:
                outcome = ray.get(done[0])
            except ray.exceptions.RayActorError:
                logger.warning("the worker of %s died, attempt %d", job.item, attempt)
                if attempt < ATTEMPTS:
                    again.append((job, attempt + 1))
                else:
                    yield lost(job, f"the worker died {ATTEMPTS} times on the cluster; its log says why")
                continue
            idle.append(actor)
            if isinstance(outcome, Exception):
                raise RunError(f"a worker could not start: {outcome}") from outcome
            yield outcome
    finally:
        for actor in (*idle, *(actor for actor, _, _ in busy.values())):
            ray.kill(actor)
        if ours:
            ray.shutdown()


def _gpus_of_each(asked: float | None, workers: int, there: float) -> float:
    """How many GPUs each worker has, of so many in the cluster."""
    if asked is None:
        return min(1.0, there / workers)
    if asked * workers > there:
        raise RunError(
            f"{workers} workers of {asked:g} GPUs each need {asked * workers:g}, and the cluster has {there:g}: take "
            "fewer, or a part of a GPU for each"
        )
    return asked


def _connect(ray, address: str | None, workers: int) -> None:
    if address is not None:
        _check_reachable(address)
    root = str(Path(__file__).parents[2])
    options = {"runtime_env": {"env_vars": {**THREADS, "PYTHONPATH": root}}, "log_to_driver": False}
    if address is None:
        options |= {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(address=address, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises nearly every kind, the bare one among them
        where = f"the Ray cluster {address}" if address else "Ray on this machine"
        raise RunError(f"{where} cannot be reached or started: {str(error).strip().splitlines()[0]}") from None


def _check_reachable(address: str) -> None:
    """Raise `RunError` where nobody answers: Ray itself would go on asking for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise RunError(
            f"the Ray cluster {address} cannot be reached ({error.strerror or error}): check the address, or leave "
            "--address out to start Ray on this machine"
        ) from None


def _start(ray, make_worker: Callable[[Path | None], Worker], gpus: float):
    class Actor:
        def __init__(self) -> None:
            try:
                self.worker, self.error = make_worker(None), None
            except Exception as error:  # told with the first job: an actor that cannot be made dies without a word
                self.worker, self.error = None, RuntimeError(str(error))

        def do(self, job: Job) -> Outcome | Exception:
            return self.error or self.worker.do(job)

    return ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(Actor).remote()
