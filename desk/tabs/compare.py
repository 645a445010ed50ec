"""The tab "Compare": versions of the scene in Direct, side by side, with their scores, and blind if so wished; and the
arena, where two unknown systems are compared on a storyboard of a suite.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from desk.page import components, stage
from desk.scene import draft
from desk.studio.jobs import Job
from desk.studio.limits import Limits
from desk.studio.models import find, model_names
from desk.studio.outputs import Record
from desk.studio.settings import ATTENTION, MOST_SEED, Settings
from desk.studio.studio import Studio
from desk.studio.wording import sentence
from desk.tabs import arena, own_scenes, versions
from desk.tabs.direct import ATTENTION_WORDS, DirectTab, fields_of
from desk.tabs.visits import BUSY, IDLE, QUIET, arrival, connect, known, read_seed, refusal
from holocine.plurals import counted
from holocine.storyboard import Storyboard, StoryboardError

_INTRODUCTION = """
The scene that is open in Direct, made two to four times. All versions start from the same noise unless you give them
seeds of their own, so what differs is what you changed.
"""
_SCENE, _ARENA = "Versions of my scene", "Arena: two unknown systems"
_NOTHING = (gr.skip(),) * 4
_FIELDS = ("model", "attention", "steps", "seed")


def build(studio: Studio, visitor: gr.BrowserState, direct: DirectTab, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """The tab, inside the `gr.Tab` that is open, which is `tab`."""
    what = gr.Radio(
        [_SCENE, _ARENA], value=_SCENE, label="What to compare", show_label=False, container=False, elem_id="comparing"
    )
    with gr.Column() as of_scene:
        _build_versions(studio, visitor, direct, tabs, tab)
    with gr.Column(visible=False) as in_arena:
        arena.build(studio, visitor, what, _ARENA)
    what.change(
        lambda chosen: [gr.update(visible=chosen == name) for name in (_SCENE, _ARENA)],
        what,
        [of_scene, in_arena],
        trigger_mode="multiple",
        **QUIET,
    )


def _build_versions(studio: Studio, visitor: gr.BrowserState, direct: DirectTab, tabs: gr.Tabs, tab: gr.Tab) -> None:
    model, editor = find(), direct.editor
    with gr.Row(equal_height=False, elem_classes=["desk-columns"]):
        with gr.Column(scale=4, min_width=320):
            components.introduction("Compare versions", _INTRODUCTION)
            scene = gr.HTML(apply_default_css=False, elem_classes=["desk"])
            count = gr.Radio([2, 3, 4], value=2, label="Versions", elem_id="versions")
            rows = [_row(index, model, Limits.of(model)) for index in range(versions.MOST)]
            blind = gr.Checkbox(False, label="Blind: hide which is which until I have voted", elem_id="blind")
            with gr.Row(elem_classes=["desk-actions"]):
                run = gr.Button("Make them", variant="primary", size="lg", scale=3, elem_id="compare")
                stop = gr.Button("Cancel", size="lg", scale=1, interactive=False)
        with gr.Column(scale=8, min_width=320, elem_classes=["stage-column"]):
            screen = components.comparison({"state": "empty"})
    current = gr.State(None)
    fields = [field for _, parts in rows for field in parts]
    count.change(
        lambda n: [gr.update(visible=i < n) for i in range(versions.MOST)], count, [row for row, _ in rows], **QUIET
    )
    for event in (tab.select, direct.changed.then):
        event(_describe, editor, scene, trigger_mode="always_last", **QUIET)
    connect(
        studio,
        visitor,
        run,
        stop,
        begin=_compare(studio),
        asked=[editor, count, blind, visitor, *fields],
        shown=[screen, current],
        arrive=arrival(studio, "compare", partial(_watch, studio), _NOTHING, partial(_kept, studio)),
    )
    screen.vote(_vote(studio), [current, visitor], screen, **QUIET)
    taken = [direct.editor, tabs, direct.stage, direct.history, direct.model, *direct.settings]
    screen.use(_use(studio), [current, visitor], taken, **QUIET)


def _row(index: int, model: Any, limits: Limits) -> tuple[gr.Row, list]:
    attention = ATTENTION[index % len(ATTENTION)]
    steps = model.steps if index < len(ATTENTION) else max(1, model.steps // 2)  # so that no two rows are the same
    names = model_names()
    with gr.Row(visible=index < versions.FEWEST, elem_classes=["version-row"]) as row:
        parts = [
            gr.Dropdown(
                list(names),
                value=names[0],
                label=f"{versions.LETTERS[index]}: model",
                visible=len(names) > 1,
                min_width=110,
            ),
            gr.Dropdown(
                [(ATTENTION_WORDS[mode].partition(":")[0], mode) for mode in ATTENTION],
                value=attention,
                label=f"{versions.LETTERS[index]}: attention",
                min_width=110,
            ),
            gr.Number(steps, label="Steps", precision=0, minimum=1, maximum=limits.steps, min_width=70),
            gr.Textbox("", label="Seed", placeholder="shared", max_lines=1, min_width=80),
        ]
    return row, parts


def _describe(written: dict[str, Any]) -> str:
    try:
        board = draft.to_storyboard(written, Limits.of(find()))
    except ValueError as error:
        return f'<p class="error">{escape(sentence(str(error)))}</p>'
    title = escape(board.title or "Untitled scene")
    shots = counted(board.num_shots, "shot")
    return f'<p class="scene-line"><b>{title}</b> {shots}, {board.seconds:.1f} s</p>'


def _compare(studio: Studio):
    async def listener(
        written: dict[str, Any], count: int, blind: bool, visitor: str, *fields: Any
    ) -> AsyncIterator[tuple]:
        try:
            asked = [
                dict(zip(_FIELDS, fields[i : i + len(_FIELDS)], strict=True))
                for i in range(0, len(fields), len(_FIELDS))
            ]
            board, settings = read_versions(written, asked[: int(count)])
            job = versions.submit(studio, known(visitor), board, settings, bool(blind))
        except (ValueError, OSError) as error:
            yield refusal(error), *_NOTHING[1:]
            return
        async for update in _watch(studio, job):
            yield update

    return listener


def _kept(studio: Studio, record: Record) -> tuple:
    value = versions.shown(record.id, record.content, studio.outputs.files / record.id)
    return value, record.id, gr.skip(), gr.skip()


async def _watch(studio: Studio, job: Job) -> AsyncIterator[tuple]:
    async for now in studio.jobs.follow(job):
        buttons = BUSY if now.live else IDLE
        current = job.id if now.state == "done" else gr.skip()  # until then the earlier one is shown, and can be used
        yield versions.of_job(now, studio.jobs, studio.outputs.files), current, buttons["run"], buttons["stop"]


def read_versions(written: dict[str, Any], asked: list[dict[str, Any]]) -> tuple[Any, list[Settings]]:
    """The storyboard and the settings of each version; those without a seed share one.

    Raises StoryboardError, LimitError or ValueError in one sentence.
    """
    limits = Limits.of(find())
    board = draft.to_storyboard(written, limits)
    shared = board.seed if board.seed is not None else secrets.randbelow(MOST_SEED)
    settings = []
    for version in asked:
        model = find(version["model"])
        review = draft.review(written, model, Limits.of(model), version["attention"])
        if not review.valid:
            raise StoryboardError(review.findings[0].text)
        seed = read_seed(version["seed"])
        seed = shared if seed is None else seed
        settings.append(Settings.of(model, Limits.of(model), board, version["attention"], version["steps"], seed=seed))
    return board, settings


def _vote(studio: Studio):
    def vote(identifier: str | None, visitor: str, event: gr.EventData) -> Any:
        record = studio.outputs.find(identifier, known(visitor))
        if record is None or record.content["kind"] != "compared":
            gr.Warning("These versions are no longer kept.")
            return gr.skip()
        record = versions.vote(studio.outputs, record, visitor, event._data.get("choice"))
        return versions.shown(record.id, record.content, studio.outputs.files / record.id)

    return vote


def _use(studio: Studio):
    """A listener: takes a version's video, storyboard and settings to the tab "Direct"."""

    def use(identifier: str | None, visitor: str, event: gr.EventData) -> Any:
        record = studio.outputs.find(identifier, known(visitor))
        own = record and versions.take_over(studio.outputs, record, visitor, event._data.get("letter"))
        if own is None:
            gr.Warning("This version is no longer kept, or not yet to be seen.")
            return gr.skip()
        made, settings = own.content, own.content["settings"]
        scene = draft.from_storyboard(Storyboard.model_validate(made["storyboard"])) | {"seed": settings["seed"]}
        return (
            {**own_scenes.linked(own.id, made), "value": scene},
            gr.Tabs(selected="direct"),
            stage.finished(made, studio.outputs.files / own.id),
            own_scenes.listed(studio.outputs.of(visitor)),
            settings["model"],
            *fields_of(settings),
        )

    return use
