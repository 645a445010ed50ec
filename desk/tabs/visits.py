"""What all tabs need of a visit: who it is, what was typed into a field, and how a job is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from desk.page import stage
from desk.studio.jobs import Job, QueueFull
from desk.studio.limits import LimitError
from desk.studio.outputs import Record
from desk.studio.studio import Studio

IDLE = {"run": gr.update(interactive=True), "stop": gr.update(interactive=False)}
KEPT = {"compare": "compared", "score": "scored", "run": "run"}  # a record's kind by its job's
BUSY = {"run": gr.update(interactive=False), "stop": gr.update(interactive=True)}
QUIET = {"show_progress": "hidden", "api_visibility": "private"}  # a listener: the page says itself how far it is
# One that begins a job and goes on until it ends. By default Gradio drops a press in silence while the page has not yet
# heard that the listener has ended, which is after it has shown the job's end; here the queue answers each press.
LASTING = {"concurrency_limit": None, "trigger_mode": "multiple", **QUIET}


def known(visitor: Any) -> str:
    """The secret that a visitor's browser keeps; raises LimitError if it has none."""
    if not isinstance(visitor, str) or not 16 <= len(visitor) <= 200:
        raise LimitError("your browser keeps no data of this page; allow it, or reload the page")
    return visitor


def read_size(size: str) -> tuple[int, int]:
    """Width and height of "112 x 64"; raises LimitError for anything else."""
    width, _, height = str(size).partition(" x ")
    if not (width.isdecimal() and height.isdecimal()):
        raise LimitError(f"the size {size!r} is not one; choose one such as 112 x 64")
    return int(width), int(height)


def read_seed(text: str | None) -> int | None:
    """The seed that a visitor wrote, None for nothing; raises LimitError for what is no whole number."""
    text = str(text or "").strip()
    if text and not (text.isdecimal() and len(text) < 19):
        raise LimitError(f"the seed is {text[:40]!r}, but has to be a whole number of 0 or more")
    return int(text) if text else None


async def watch(studio: Studio, job: Job) -> AsyncIterator[tuple[stage.Value, dict[str, Any]]]:
    """What the stage shows while a job goes on, and how its two buttons are."""
    async for now in studio.jobs.follow(job):
        yield stage.of_job(now, studio.jobs, studio.outputs.files), BUSY if now.live else IDLE


def unfinished(studio: Studio, visitor: Any, kind: str) -> tuple[Job | None, Record | None]:
    """What a page that opens finds again in the tab of a kind: the visitor's live job, and what was kept last."""
    try:
        visitor = known(visitor)
    except LimitError:
        return None, None
    job = studio.jobs.of(visitor)
    kept = next((record for record in studio.outputs.of(visitor) if record.content["kind"] == KEPT[kind]), None)
    return job if job is not None and job.kind == kind else None, kept


def told_all(value: dict[str, Any]) -> dict[str, Any]:
    """A screen's value, or update, that says as well that the page has been told all."""
    return {**(value if "__type__" in value else gr.update(value=value)), "arrived": True}


def copied(update: tuple) -> tuple:
    """To send in place of an update that is to be sent again: Gradio takes the values out of what it is given."""
    return tuple(dict(part) if isinstance(part, dict) else part for part in update)


def arrival(
    studio: Studio,
    kind: str,
    watched: Callable[[Job], AsyncIterator[tuple]],
    nothing: tuple,
    kept: Callable[[Record], tuple] | None = None,
):
    """A listener for the page's opening: shows what was kept last, and goes on with the visitor's live job of a kind.

    watched: the tab's updates while a job goes on. nothing: one that changes nothing. kept: that for a finished job, of
    a tab whose first component is its screen; None for a tab without one.

    Its last update says all that counts. A page sends for several listeners at once when it opens; if it is slow to
    read that they were begun, it is given their updates together, of each listener the last in the place of all (Gradio
    sends differences, which change an earlier update where it stands before the page has looked at it).
    """

    async def listener(visitor: str | None) -> AsyncIterator[tuple]:
        job, record = unfinished(studio, visitor, kind)
        update = nothing if kept is None or record is None else kept(record)
        if job is not None:
            yield copied(update)
            async for update in watched(job):
                yield copied(update)
        yield update if kept is None else (told_all(update[0]), *update[1:])

    return listener


def connect(
    studio: Studio,
    visitor: gr.BrowserState,
    run: gr.Button,
    stop: gr.Button,
    begin: Callable[..., AsyncIterator[tuple]],
    asked: list,
    shown: list,
    arrive: Callable[[str | None], AsyncIterator[tuple]],
) -> None:
    """`run` begins a job with what is `asked`, `stop` ends it, and a page that opens goes on as `arrival` says.

    `begin` and `arrive` yield updates of `shown` and of the two buttons.
    """
    seen = [*shown, run, stop]
    run.click(begin, asked, seen, **LASTING)
    stop.click(cancel(studio), visitor, None, queue=False, **QUIET)
    gr.context.Context.root_block.load(arrive, visitor, seen, concurrency_limit=None, **QUIET)


def refusal(error: Exception) -> stage.Value:
    """What the stage shows when no job was begun; a full queue is said in a message, and the stage stays as it is."""
    if isinstance(error, QueueFull):
        gr.Warning(str(error))
        return gr.skip()
    return stage.failed(str(error))


def cancel(studio: Studio):
    """A listener that ends the visitor's job after the step that is running."""

    def listener(visitor: str) -> None:
        if job := studio.jobs.of(known(visitor)):
            studio.jobs.cancel(job)

    return listener
