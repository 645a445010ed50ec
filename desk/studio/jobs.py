"""One queue for the model: visitors' jobs, done one after the other by one worker thread.

A job belongs to a visitor. It can be waited for from anywhere and stops within one step when it is cancelled, when it
takes too long, or, while it waits, when nobody has looked at it for a while. If the worker thread dies, the job that it
was at fails with a sentence and a new worker goes on with the next.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)

ABANDONED_AFTER = 60.0  # seconds without anybody looking, after which a waiting job is given up
WORKER_IDLE = 30.0  # seconds; a worker without work wakes up this often
LIVE = ("waiting", "running")


class QueueFull(ValueError):
    """No job is accepted now; the message says why and what to do."""


class Stopped(Exception):
    """Raised inside a job that has to end; the message is a sentence for the visitor."""


@dataclass(eq=False)
class Job:
    """One piece of work, of a `kind` that its visitor knows it by.

    `state` is "waiting", "running", "done", "failed" or "cancelled".

    `progress` is what the work last said about itself and `result` what it returned, both plain JSON; `message` says in
    a sentence why it failed or was cancelled. `version` grows with every change.
    """

    visitor: str
    work: Callable[[Job], Any]
    most_seconds: float
    kind: str = "video"
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "waiting"
    progress: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    message: str = ""
    version: int = 0
    created: float = field(default_factory=time.monotonic)
    started: float | None = None
    finished: float | None = None
    seen: float = field(default_factory=time.monotonic)
    _stop: str | None = None
    _stoppers: list[Callable[[], Any]] = field(default_factory=list)
    _context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def say(self, **progress: Any) -> None:
        """Add to `progress`; raises Stopped if the job has to end. Call it at every step."""
        self.check()
        self.progress = {**self.progress, **progress}
        self.version += 1

    def check(self) -> None:
        """Raise Stopped if the job was cancelled or has taken too long."""
        if self._stop is not None:
            raise Stopped(self._stop)
        if self.started is not None and time.monotonic() - self.started > self.most_seconds:
            raise Stopped(f"This took longer than the {self.most_seconds:g} seconds that a job may take.")

    @property
    def reason(self) -> str:
        """Why the job has to end, as a sentence."""
        try:
            self.check()
        except Stopped as stop:
            return str(stop)
        return "Cancelled."

    @property
    def stopping(self) -> bool:
        return self._stop is not None

    def stop(self, message: str = "Cancelled.") -> None:
        """Ask the job to end: at once while it waits, at its next step while it runs."""
        self._stop = self._stop or message
        self.version += 1
        for stopper in tuple(self._stoppers):
            stopper()

    @contextmanager
    def stopped_by(self, stopper: Callable[[], Any]) -> Iterator[None]:
        """Inside the block, have `stopper` called as soon as the job is asked to end, at once if it already is."""
        self._stoppers.append(stopper)
        if self.stopping:
            stopper()
        try:
            yield
        finally:
            self._stoppers.remove(stopper)

    def _end(self, state: str, message: str = "", result: Any = None) -> None:
        self.message, self.result, self.finished = message, result, time.monotonic()
        self.state = state  # after what belongs to it: other threads look at any time
        self.version += 1


class JobQueue:
    """Jobs in the order in which they came; at most `most_waiting` of them wait, and one a visitor is live."""

    def __init__(self, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False
        self._last_seconds: deque[float] = deque(maxlen=8)

    def submit(
        self,
        visitor: str,
        work: Callable[[Job], Any],
        most_seconds: float,
        kind: str = "video",
        progress: Mapping[str, Any] | None = None,
    ) -> Job:
        """Queue `work(job)` for a visitor; raises QueueFull, in one sentence, if there is no room.

        progress: what is known of the job while it waits.
        """
        with self._changed:
            if self._closed:
                raise QueueFull("This desk is closing; please come back in a minute.")
            if self.of(visitor) is not None:
                raise QueueFull("Your last scene is still being made; wait for it, or cancel it first.")
            if len(self._waiting) >= self.most_waiting:
                raise QueueFull(
                    f"{len(self._waiting)} scenes are waiting already, which is all that this desk takes; "
                    "please try again in a minute."
                )
            job = Job(visitor, work, most_seconds, kind, progress=dict(progress or {}))
            self._waiting.append(job)
            self._changed.notify_all()
        self._mind_worker()
        return job

    def of(self, visitor: str) -> Job | None:
        """The visitor's live job."""
        with self._changed:
            jobs = [self._running, *self._waiting] if self._running else list(self._waiting)
            return next((job for job in jobs if job.visitor == visitor and job.live), None)

    def place(self, job: Job) -> int:
        """How many jobs come before `job`, the running one included; 0 for one that does not wait."""
        with self._changed:
            if job not in self._waiting:
                return 0
            return list(self._waiting).index(job) + (self._running is not None)

    def seconds_before(self, job: Job) -> float | None:
        """An estimate of how long `job` will still wait; None before the first job has ended."""
        if not self._last_seconds or job.state != "waiting":
            return None
        usual = sum(self._last_seconds) / len(self._last_seconds)
        running = self._running
        left = max(0.0, usual - (time.monotonic() - running.started)) if running and running.started else 0.0
        return left + usual * max(0, self.place(job) - 1)

    def cancel(self, job: Job, message: str = "Cancelled.") -> None:
        """End a job: at once if it waits, within one of its steps if it runs."""
        with self._changed:
            job.stop(message)
            if job in self._waiting:
                self._waiting.remove(job)
                job._end("cancelled", message)

    async def follow(self, job: Job, every: float = 0.1) -> AsyncIterator[Job]:
        """Yield `job` whenever something about it changed, until it has ended (then once more)."""
        seen = None
        while True:
            job.seen = time.monotonic()
            self._mind_worker()
            live = job.live  # as the reader is about to see it: it may end while the reader is busy
            now = (job.version, job.state, self.place(job))
            if now != seen:
                seen = now
                yield job
            if not live:
                return
            await asyncio.sleep(every)

    def close(self) -> None:
        """Take no more jobs, end those that there are, and let the worker go."""
        with self._changed:
            self._closed = True
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                self.cancel(job, "This desk is closing; please come back in a minute.")
            self._changed.notify_all()

    def _mind_worker(self) -> None:
        """Start the worker if there is none, and fail the job that a dead one left behind."""
        with self._changed:
            if self._closed or (self._worker is not None and self._worker.is_alive()):
                return
            if self._running is not None and self._running.live:
                self._running._end("failed", "The making of this scene was interrupted; please try again.")
            self._running = None
            self._worker = threading.Thread(target=self._work, name="desk-worker", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while True:
            job = self._next()
            if job is None:
                return
            try:
                job._context.run(self._do, job)
            finally:
                with self._changed:
                    if job.live:  # the thread is being ended from outside
                        job._end("failed", "The making of this scene was interrupted; please try again.")
                    self._running = None

    def _next(self) -> Job | None:
        with self._changed:
            while not self._closed:
                self._drop_abandoned()
                if self._waiting:
                    self._running = job = self._waiting.popleft()
                    job.state, job.started = "running", time.monotonic()
                    job.version += 1
                    return job
                self._changed.wait(WORKER_IDLE)
            return None

    def _drop_abandoned(self) -> None:
        now = time.monotonic()
        for job in [job for job in self._waiting if now - job.seen > ABANDONED_AFTER]:
            self.cancel(job, "Nobody was waiting for this scene any more.")

    def _do(self, job: Job) -> None:
        try:
            result = job.work(job)
        except Stopped as stop:
            job._end("cancelled", str(stop))
        except (ValueError, OSError) as error:
            job._end("failed", str(error))
        except Exception:
            logger.exception("a job failed")
            job._end("failed", "Something went wrong while this scene was made; the server's log says what.")
        else:
            self._last_seconds.append(time.monotonic() - job.started)
            job._end("done", result=result)
