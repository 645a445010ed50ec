"""The tab "Score": bring a video, see what was asked for against what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from desk.page import components, stage
from desk.scene import draft
from desk.studio import screening
from desk.studio.jobs import Job
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from desk.studio.outputs import Record
from desk.studio.studio import Studio
from desk.tabs.visits import QUIET, arrival, connect, known, refusal, watch
from holocine.prompt import ascii_tags
from holocine.storyboard import Storyboard, StoryboardError

if TYPE_CHECKING:
    from eval.request import Request

_INTRODUCTION = """
Bring any video and see where it cuts, how steady it is, and whether it shows what was asked for. A video that was made
here has its storyboard inside. For others, paste theirs: YAML, JSON, HoloCine’s prompt string, or only its cuts.
"""
_NOTHING = (gr.skip(),) * 5
_SAMPLE = "[global caption] … [per shot caption] … [shot cut] …"


def build(studio: Studio, visitor: gr.BrowserState, editor: gr.HTML, tabs: gr.Tabs) -> None:
    """The tab, inside the `gr.Tab` that is open. "Edit this scene" puts a storyboard into `editor` and opens Direct."""
    limits = Limits.of(find())
    with gr.Row(equal_height=False, elem_classes=["desk-columns"]):
        with gr.Column(scale=6, min_width=320):
            components.introduction("Score a video", _INTRODUCTION)
            upload = gr.File(
                label=f"Video: at most {limits.upload_bytes // 2**20} MB and {limits.upload_seconds:g} seconds",
                file_types=["video"],
                height=150,
                elem_id="upload",
            )
            text = gr.Textbox(
                label="Its storyboard, unless it is inside", lines=5, max_lines=14, placeholder=_SAMPLE, elem_id="asked"
            )
            cuts = gr.Textbox(
                label="For a prompt string, or alone: the first frame of each new shot, if you know it",
                placeholder="21, 45",
            )
            with gr.Row():
                align = gr.Dropdown(
                    label="Compare shots",
                    choices=[
                        ("as fits the video", "auto"),
                        ("by seconds", "seconds"),
                        ("by frames", "frames"),
                        ("by their share of the length", "share"),
                    ],
                    value="auto",
                    elem_id="align",
                )
                start = gr.Number(0, label="The scene begins after so many seconds", minimum=0, elem_id="start")
            with gr.Row(elem_classes=["desk-actions"]):
                run = gr.Button("Score", variant="primary", size="lg", scale=3, elem_id="score")
                stop = gr.Button("Cancel", size="lg", scale=1, interactive=False)
        with gr.Column(scale=7, min_width=320, elem_classes=["stage-column"]):
            screen = components.stage({"state": "empty", "text": "Your video and its scores will appear here."})
            edit = gr.Button("Edit this scene", visible=False, elem_id="edit-scene")
    scene = gr.State(None)
    connect(
        studio,
        visitor,
        run,
        stop,
        begin=_score(studio, limits),
        asked=[upload, text, cuts, align, start, visitor],
        shown=[screen, scene, edit],
        arrive=arrival(studio, "score", partial(_watch, studio), _NOTHING, partial(_kept, studio)),
    )
    edit.click(lambda written: (written, gr.Tabs(selected="direct")), scene, [editor, tabs], **QUIET)


def read_request(
    text: str, cuts: str, upload: Path, limits: Limits, align: str = "auto", start: float | None = 0.0
) -> Request | None:
    """What a visitor says that a video was to show; None for nothing.

    A prompt without cuts says how many shots there are, not where they begin; cuts without a prompt are of the texts
    that the video has inside, or of none. align, start: as policy and start of
    `eval.request.Request`.

    Raises StoryboardError, VideoError or LimitError in one sentence.
    """
    from eval.gathering import check_cuts_go_with, cut_request, own_request, prompt_request, request_of

    text, how = str(text or "").strip(), {"policy": align, "start": float(start or 0)}
    words = str(cuts or "").replace(",", " ").split()
    if not all(word.isdecimal() and len(word) < 9 for word in words):
        raise StoryboardError(f"the cuts are {cuts[:60]!r}, but have to be frame numbers such as 21, 45")
    frames = [int(word) for word in words]
    if not text:
        if frames:
            return own_request(frames, upload, **how)
        return None if (align, how["start"]) == ("auto", 0) else request_of(upload, **how)
    limits.check_text(text)
    if not ascii_tags(text).lower().startswith("[global caption]"):
        board = Storyboard.from_json(text) if text.startswith("{") else Storyboard.from_yaml(text)
        if frames:
            return cut_request(check_cuts_go_with(board, "the storyboard"), frames, upload, **how)
        return request_of(upload, board, **how)
    return prompt_request(text, frames or None, upload, **how)


def _score(studio: Studio, limits: Limits):
    async def score(
        upload: str | None, text: str, cuts: str, align: str, start: float | None, visitor: str
    ) -> AsyncIterator[tuple]:
        try:
            if not upload:
                raise LimitError("there is no video yet; drop one, or choose a file")
            path = Path(upload)
            screening.check_upload(path, limits)
            request = read_request(text, cuts, path, limits, align, start)
            job = screening.submit(studio, known(visitor), path, path.name, request, limits)
        except (ValueError, OSError) as error:
            yield refusal(error), *_NOTHING[1:]
            return
        async for update in _watch(studio, job):
            yield update

    return score


def _kept(studio: Studio, record: Record) -> tuple:
    value = stage.finished(record.content, studio.outputs.files / record.id)
    return *_shown(value), gr.skip(), gr.skip()


async def _watch(studio: Studio, job: Job) -> AsyncIterator[tuple]:
    async for value, buttons in watch(studio, job):
        yield *_shown(value), buttons["run"], buttons["stop"]


def _shown(value: stage.Value) -> tuple:
    """The stage, the scene that can be edited, and whether the button for that is there.

    Until there is a new one, the stage shows what was scored before, and so its scene can still be edited.
    """
    if value.get("state") != "done":
        return value, gr.skip(), gr.skip()
    storyboard = value.get("storyboard")
    scene = None if storyboard is None else draft.from_storyboard(Storyboard.model_validate(storyboard))
    return value, scene, gr.update(visible=scene is not None)
