"""In the tab "Direct": retakes of a finished video's shots, locked shots, more shots after the last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from desk.page import stage
from desk.scene import draft
from desk.studio import remakes
from desk.studio.jobs import Job
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from desk.studio.outputs import Record
from desk.studio.settings import Settings
from desk.studio.studio import Studio
from desk.tabs.own_scenes import follow, linked
from desk.tabs.visits import known, refusal
from holocine.storyboard import Shot, Storyboard

NOTHING = (gr.skip(),) * 4


def retake(studio: Studio):
    """A listener of the stage: new takes of one shot, same words, another seed."""

    def begin(visitor: str, event: gr.EventData) -> Job:
        source = _open(studio, visitor, event._data.get("id"))
        remake = remakes.retake(source, [event._data.get("shot")])
        settings = remakes.takes(remakes.settings_of(source), event._data.get("takes"))
        return remakes.submit(studio, visitor, remake, settings)

    async def listener(visitor: str, event: gr.EventData) -> AsyncIterator[tuple]:
        async for update in _job(studio, visitor, lambda: begin(known(visitor), event)):
            yield update

    return listener


def retake_changed(studio: Studio):
    """A listener of the editor: the shots whose captions or pictures were changed since the video was made."""

    def begin(written: Any, visitor: str) -> Job:
        link = draft.link_of(written)
        source = _open(studio, visitor, link.video)
        board = draft.to_storyboard(written, _film_limits(source))
        before, now = source.storyboard.shots, board.shots
        changed = {
            origin: now[shot - 1]
            for shot, origin in link.shots.items()
            if origin <= len(before) and not _same(now[shot - 1], before[origin - 1])
        }
        changes = {origin: {"caption": shot.caption, "image": shot.image} for origin, shot in changed.items()}
        remake = remakes.retake(source, list(changed), changes)
        return remakes.submit(studio, visitor, remake, [remakes.settings_of(source)])

    async def listener(written: Any, visitor: str) -> AsyncIterator[tuple]:
        async for update in _job(studio, visitor, lambda: begin(written, known(visitor))):
            yield update

    return listener


def _same(shot: Shot, before: Shot) -> bool:
    return (shot.caption, shot.image) == (before.caption, before.image)


def continue_video(studio: Studio):
    """A listener of the editor: the shots after those of the video, which see its last ones."""

    def begin(written: Any, visitor: str) -> Job:
        source = _open(studio, visitor, draft.link_of(written).video)
        board = draft.to_storyboard(written, _film_limits(source))
        count = source.storyboard.num_shots
        if board.num_shots <= count:
            raise LimitError("there is no new shot to go on with: add one after the last")
        more = board.model_copy(update={"shots": board.shots[count:]})
        settings = remakes.settings_of(source)
        remake = remakes.continuation(source, more, Limits.of(find(settings.model)))
        return remakes.submit(studio, visitor, remake, [settings])

    async def listener(written: Any, visitor: str) -> AsyncIterator[tuple]:
        async for update in _job(studio, visitor, lambda: begin(written, known(visitor))):
            yield update

    return listener


def use_take(studio: Studio):
    """A listener of the stage: a take becomes the video; take 0 is the video as it was before."""

    async def listener(visitor: str, event: gr.EventData) -> AsyncIterator[tuple]:
        record = _record(studio, visitor, event._data.get("id"), "takes")
        take = event._data.get("take")
        if record is not None and take == 0:
            record = _record(studio, visitor, record.content.get("source"), "made")
            if record is not None:
                value = stage.finished(record.content, studio.outputs.files / record.id)
                yield value, *NOTHING[:3], linked(record.id, record.content)
                return
        if record is None:
            gr.Warning("This video is no longer kept.")
            yield gr.skip(), *NOTHING
            return
        async for update in _job(studio, visitor, lambda: remakes.use(studio, known(visitor), record, take)):
            yield update

    return listener


def locked_job(studio: Studio, visitor: str, written: Any, board: Storyboard, settings: Settings) -> Job | None:
    """The job that makes a scene around its locked shots; None if none is locked. Raises as `remakes` does."""
    link = draft.link_of(written)
    if not link.locked:
        return None
    source = _open(studio, visitor, link.video)
    locked = {shot: link.shots[shot] for shot in link.locked}
    known_shots = {shot: origin for shot, origin in link.shots.items() if shot not in locked}
    remakes.check_same(source, settings)
    remake = remakes.around_locked(source, board, locked, known_shots)
    return remakes.submit(studio, visitor, remake, [settings])


async def _job(studio: Studio, visitor: str, begin: Callable[[], Job]) -> AsyncIterator[tuple]:
    try:
        job = begin()
    except (ValueError, OSError) as error:
        yield refusal(error), *NOTHING
        return
    async for update in follow(studio, job, visitor):
        yield update


def _open(studio: Studio, visitor: str, identifier: Any):
    record = _record(studio, visitor, identifier, "made")
    if record is None:
        raise LimitError("this video is no longer kept; make it again")
    path = studio.outputs.files / record.id / record.content["files"]["video"]
    return remakes.open_video(path, Limits.of(find()))


def _record(studio: Studio, visitor: str, identifier: Any, kind: str) -> Record | None:
    record = studio.outputs.find(identifier, known(visitor))
    return record if record is not None and record.content["kind"] == kind else None


def _film_limits(source) -> Limits:
    limits = Limits.of(find(remakes.settings_of(source).model))
    return limits.of_film
