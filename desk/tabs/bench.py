"""The tab "Benchmark": published results to sort and look into, and a small run of one's own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from desk.page import components
from desk.scene import draft
from desk.studio.gpu import on_zero_gpu
from desk.studio.jobs import Job
from desk.studio.limits import LimitError
from desk.studio.models import find
from desk.studio.studio import Studio
from desk.studio.wording import sentence
from desk.tabs import league, live_run, shipped
from desk.tabs.versions import VOTES
from desk.tabs.visits import BUSY, IDLE, QUIET, arrival, connect, known

_INTRODUCTION = """
Each row is a system, each column a metric; click a heading to sort and a row to see what is behind it.
"""
_PAPER = "The paper’s Table 1"
_NOTHING = (gr.skip(),) * 4


def build(studio: Studio, visitor: gr.BrowserState, editor: gr.HTML, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """The tab, inside the `gr.Tab` that is open, which is `tab`."""
    choices = _choices(studio, None)
    components.introduction("Which system is better", _INTRODUCTION)
    source = gr.Radio(choices, value=choices[0][1], label="Results", elem_id="results")
    table = components.league({"empty": "The results are being read."})
    reel = components.reel({})
    plots = gr.HTML(apply_default_css=False, elem_classes=["desk"])
    voted = gr.HTML(apply_default_css=False, elem_classes=["desk", "desk-votes"])
    with gr.Accordion("Run a small benchmark now", open=False, elem_classes=["desk-settings"]):
        with gr.Row():
            systems = gr.CheckboxGroup(list(live_run.SYSTEMS), value=list(live_run.USUAL), label="Systems", scale=3)
            count = gr.Slider(1, live_run.MOST_STORYBOARDS, value=2, step=1, label="Storyboards", scale=1)
            steps = gr.Slider(1, 50, value=find().steps, step=1, label="Steps", scale=1, elem_id="run-steps")
        with gr.Row(elem_classes=["desk-actions"]):
            run = gr.Button("Run", variant="primary", size="lg", scale=3, elem_id="run", interactive=not on_zero_gpu())
            stop = gr.Button("Cancel", size="lg", scale=1, interactive=False)
        status = gr.HTML(_status(), apply_default_css=False, elem_classes=["desk"])

    shown = [table, plots, reel]
    there = gr.State(None)  # the results that are shown
    tab.select(lambda visitor: gr.update(choices=_choices(studio, visitor)), visitor, source, **QUIET)
    # The last choice counts, also while the table of an earlier one is still being made.
    gr.on(
        [tab.select, source.change],
        _show(studio),
        [source, there, visitor],
        [*shown, there, voted],
        trigger_mode="always_last",
        **QUIET,
    )
    table.choose(_look(studio), [source, visitor], reel, **QUIET)
    reel.open_scene(_open(studio), [source, visitor], [editor, tabs], **QUIET)
    connect(
        studio,
        visitor,
        run,
        stop,
        begin=_run(studio),
        asked=[systems, count, steps, visitor],
        shown=[status, source],
        # A finished run is among the results to choose from.
        arrive=arrival(studio, "run", partial(_watch, studio), _NOTHING),
    )


def _choices(studio: Studio, visitor: str | None) -> list[tuple[str, str]]:
    """The results to choose from, by what to call them: shipped ones, the paper's, and the visitor's own."""
    ours = [(f"Ours: suite {name.replace('_', ' ')}", name) for name in shipped.shipped()]
    records = studio.outputs.of(visitor) if visitor else []
    own = [
        (f"Yours, {time.strftime('%H:%M', time.localtime(record.created))}: {record.content['title']}", record.id)
        for record in records
        if record.content["kind"] == "run"
    ]
    return [*ours, (_PAPER, league.PAPER), *own]


def _load(studio: Studio, source: Any, visitor: str):
    """The run that a visitor may see under a name: a shipped one, or one of the visitor's own."""
    ours = shipped.shipped()
    if isinstance(source, str) and source in ours:
        return shipped.load(ours[source])
    record = studio.outputs.find(source, known(visitor))
    if record is None or record.content["kind"] != "run":
        raise LimitError("these results are no longer kept")
    return shipped.load(studio.outputs.files / record.id / live_run.RUN)


def _show(studio: Studio):
    def show(source: str, there: str | None, visitor: str) -> tuple:
        votes = _votes(studio)
        if source == there:  # who comes back to the tab finds it as it was left
            return *(gr.skip(),) * 4, votes
        if source == league.PAPER:
            return league.paper_table(), league.paper_plots(), {}, source, votes
        try:
            summary = _load(studio, source, visitor)
        except (ValueError, OSError) as error:
            return {"empty": sentence(str(error))}, "", {}, None, votes
        return league.run_table(summary), league.plots(summary), {}, source, votes

    return show


def _look(studio: Studio):
    def look(source: str, visitor: str, event: gr.EventData) -> dict[str, Any]:
        return league.behind(_load(studio, source, visitor).results, event._data.get("id"))

    return look


def _open(studio: Studio):
    def open_scene(source: str, visitor: str, event: gr.EventData) -> tuple:
        boards = {entry.id: entry.storyboard for entry in _load(studio, source, visitor).results.entries}
        board = boards.get(str(event._data.get("id")))
        if board is None:
            return gr.skip(), gr.skip()
        return draft.from_storyboard(board), gr.Tabs(selected="direct")

    return open_scene


def _run(studio: Studio):
    async def run(systems: list[str], count: float, steps: float, visitor: str) -> AsyncIterator[tuple]:
        try:
            job = live_run.submit(studio, known(visitor), find(), list(systems), int(count), int(steps))
        except (ValueError, OSError) as error:
            yield _status(sentence(str(error)), wrong=True), *_NOTHING[1:]
            return
        async for update in _watch(studio, job):
            yield update

    return run


async def _watch(studio: Studio, job: Job) -> AsyncIterator[tuple]:
    async for now in studio.jobs.follow(job):
        buttons = BUSY if now.live else IDLE
        source = gr.skip()
        if now.state == "done":
            source = gr.update(choices=_choices(studio, job.visitor), value=job.id)
        yield _job_status(studio, now), source, buttons["run"], buttons["stop"]


def _job_status(studio: Studio, job: Job) -> str:
    told = job.progress
    if job.state == "waiting":
        return _status(f"{studio.jobs.place(job)} before yours.")
    if job.state == "running":
        left = f", about {told['seconds_left']:.0f} s left" if told.get("seconds_left") else ""
        text = f"{told.get('done', 0)} of {told.get('total', '?')} done{left}. {told.get('current', '')}"
        return _status(text, share=told.get("done", 0) / max(1, told.get("total", 1)))
    return _status("Done; the results are shown above." if job.state == "done" else sentence(job.message))


def _status(text: str = "", share: float | None = None, wrong: bool = False) -> str:
    bar = "" if share is None else f'<i class="bar"><b style="width:{100 * share:.0f}%"></b></i>'
    return f'<div class="run-status{" wrong" if wrong else ""}">{bar}<p>{escape(text)}</p></div>'


def _votes(studio: Studio) -> str:
    """What visitors preferred in blind comparisons of versions so far, a table for each group of versions that were
    compared with one another; nothing without votes.
    """
    from benchmarks.reporting.bradley_terry import strengths_by_group
    from benchmarks.reporting.page import table_html
    from benchmarks.reporting.preference import preference_table
    from benchmarks.reporting.votes import read_choices, read_picks

    file = studio.outputs.folder / VOTES
    groups = strengths_by_group([*read_choices(file), *read_picks(file)])
    tables = [table_html(preference_table(group)) for group in groups]
    return f"<h2>What visitors prefer</h2>{''.join(tables)}" if tables else ""
