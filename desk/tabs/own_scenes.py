"""A visitor's own scenes in the tab "Direct": their list, the one on the stage, and one that is being made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from desk.page import stage
from desk.studio.jobs import Job
from desk.studio.outputs import Record
from desk.studio.studio import Studio
from desk.tabs.visits import watch

KINDS = ("made", "takes")  # of records that the list has
NO_VIDEO: dict[str, Any] = {}  # for the editor; Gradio sends no None


def own(records: list[Record]) -> list[Record]:
    """Those of a visitor's records that the list has."""
    return [record for record in records if record.content["kind"] in KINDS]


def listed(records: list[Record]) -> dict[str, Any]:
    """What the list of scenes shows."""
    scenes = [stage.scene_card(record) for record in own(records)]
    return {"title": "Your scenes", "empty": "What you make is listed here, for you alone.", "scenes": scenes}


def linked(identifier: str | None, content: dict[str, Any] | None) -> Any:
    """An update of the editor: the video that its shots may be kept of, or none."""
    made = content is not None and content["kind"] == "made"
    return gr.update(made={"id": identifier, **scene_of(content, content["storyboard"])} if made else NO_VIDEO)


def scene_of(content: dict[str, Any], board: dict[str, Any]) -> dict[str, Any]:
    """What the editor compares its scene with: that of a video, from its storyboard as plain JSON, and its seed."""
    shots = [
        {"caption": shot["caption"], "num_frames": shot["last"] + 1 - shot["first"], "image": asked.get("image")}
        for shot, asked in zip(content["shots"], board["shots"], strict=True)
    ]
    scene = {"global_caption": board["global_caption"], "references": board.get("references")}
    return scene | {"fps": content["fps"], "seed": content["settings"]["seed"], "shots": shots}


async def follow(studio: Studio, job: Job, visitor: str) -> AsyncIterator[tuple]:
    """Updates of stage, list, the two buttons and the editor while a job goes on."""
    async for value, buttons in watch(studio, job):
        mine = editor = gr.skip()
        if not job.live:
            mine = listed(studio.outputs.of(visitor))
        if job.state == "done" and job.result["kind"] == "made":
            editor = linked(job.id, job.result)
        yield value, mine, buttons["run"], buttons["stop"], editor
