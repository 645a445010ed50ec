"""Results of runs, and those of the paper, as tables to sort, plots, and the videos behind a row."""

from __future__ import annotations

from typing import Any

from benchmarks.reporting.charts import distance_lines, intervals, metric_dots, trade_off
from benchmarks.reporting.published import COLUMNS, HEADINGS, TABLE_1, WHAT
from benchmarks.reporting.results import Results, ResultsError
from benchmarks.reporting.summary import Summary
from benchmarks.reporting.tables import ARROWS, cell_text, heading, legend, number, trust_note, trusted
from benchmarks.reporting.verdict import published_verdict, verdict
from benchmarks.systems.catalogue import described
from desk.page.components import served
from desk.tabs.shipped import outdated
from eval.metrics import all_metrics
from holocine.plurals import counted

PAPER = "paper"
_PUBLISHED = (
    "As published in arXiv 2510.20822, measured with ViCLIP and other encoders, on other prompts, with a definition of "
    "cut accuracy that the paper does not give in full. Not comparable with what is measured here."
)

Value = dict[str, Any]


def paper_table() -> Value:
    """HoloCine's Table 1, as the paper has it."""
    metrics = all_metrics()
    columns = [
        {"name": f"{title} {ARROWS[metrics[name].direction]}", "hint": metrics[name].meaning}
        for name, title in zip(COLUMNS, HEADINGS, strict=True)
    ]
    best = [max(value for value in column if value is not None) for column in zip(*TABLE_1.values(), strict=True)]
    rows = [
        {
            "id": None,
            "name": system,
            "what": WHAT[system],
            "kind": "system",
            "cells": [_cell(number(v), v, "", "best" if v == b else "") for v, b in zip(values, best, strict=True)],
        }
        for system, values in TABLE_1.items()
    ]
    told = {"title": "The paper’s Table 1", "verdict": published_verdict(), "note": _PUBLISHED}
    return {**told, "columns": columns, "rows": rows}


def paper_plots() -> str:
    """The columns of the paper's Table 1, a plot each; it gives no errors."""
    drawn = []
    for title, column in zip(HEADINGS, zip(*TABLE_1.values(), strict=True), strict=True):
        values = {system: value for system, value in zip(TABLE_1, column, strict=True) if value is not None}
        best_first = sorted(values.items(), key=lambda item: item[1], reverse=True)
        drawn.append(intervals({system: (value, value, value) for system, value in best_first}, title))
    return f'<div class="plots"><div>{"".join(drawn)}</div></div>'


def run_table(summary: Summary) -> Value:
    """A run: a row a system, the metrics of the paper's table first, then the others that tell most."""
    metrics = [*summary.main, *(m for m in summary.metrics if m not in summary.main and m.name in _MORE)]
    rows = []
    for system in summary.systems:
        cells = [summary.table[metric.name][system] for metric in metrics]
        texts = [cell_text(cell, metric) for cell, metric in zip(cells, metrics, strict=True)]
        rows.append(
            {
                "id": system,
                "name": system,
                "what": described(summary.results.kind(system)),
                "kind": "bound" if system in summary.results.bounds else "system",
                "cells": [
                    _cell(text.text, cell.value, text.hint, text.emphasis or "")
                    for text, cell in zip(texts, cells, strict=True)
                ],
            }
        )
    suite = summary.results.suite
    note = "Value ± standard error over storyboards. Grey rows are bounds: they show what the metrics can tell."
    note = " ".join([note, *(text[0].upper() + text[1:] for text in legend(summary, metrics))])
    note = " ".join([note, *trust_note(summary, metrics)])
    if left_out := outdated(summary.results.info):
        note += f" Left out, since they are measured in another way by now: {', '.join(left_out)}."
    return {
        "title": f"Suite {suite.name} {suite.version}, {counted(len(summary.results.entries), 'storyboard')}",
        "verdict": verdict(summary),
        "note": note,
        "columns": [
            {"name": heading(metric), "hint": f"{metric.meaning} Trust: {trusted(summary, metric)}."}
            for metric in metrics
        ],
        "rows": rows,
    }


_MORE = ("character_margin", "shot_retrieval", "shot_size", "camera_movement")


def _cell(text: str, value: float | None, hint: str, emphasis: str) -> dict[str, Any]:
    return {"text": text, "number": value, "hint": hint, "emphasis": emphasis}


def plots(summary: Summary) -> str:
    """The plots of a run as HTML: cuts against consistency, distance between shots, every metric of the main table."""
    named = {metric.name: metric for metric in summary.metrics}
    large = []
    if {"sca", "character_consistency"} <= set(named):
        large.append(trade_off(summary, named["sca"], named["character_consistency"]))
    large.append(distance_lines(summary))
    small = [metric_dots(summary, metric) for metric in summary.main]
    rows = ("".join(filter(None, drawn)) for drawn in (large, small))
    return '<div class="plots">' + "".join(f"<div>{row}</div>" for row in rows if row) + "</div>"


def behind(results: Results, system: Any) -> Value:
    """What is behind a system's row: a card a storyboard, with its video where it is there, and a note if some
    that were made are not.

    Raises ResultsError for a system that the run does not have.
    """
    if system not in results.systems:
        raise ResultsError(f"this run has no system {str(system)[:40]!r}")
    boards = {entry.id: entry.storyboard for entry in results.entries}
    cards = []
    for item in results.items:
        if item.system != system:
            continue
        scores = item.scorecard or {}
        shown = {name: scores[name].value for name in _SHOWN if name in scores}
        cards.append(
            {
                "id": item.storyboard_id,
                "name": item.storyboard_id,
                "about": boards[item.storyboard_id].captions[0],
                "error": item.error,
                "scores": [
                    {"name": title, "text": number(shown[name]), "number": shown[name]}
                    for name, title in _SHOWN.items()
                    if name in shown
                ],
                "video": served(item.video, f"{item.storyboard_id}_{system}.mp4") if item.video else None,
            }
        )
    made = [card["video"] for card in cards if not card["error"]]
    there = sum(video is not None for video in made)
    few = f"The desk brings {there or 'none'} of these {len(made)} videos along. {_MAKE_SOME}"
    return {"system": system, "cards": cards, "note": "" if there == len(made) else few}


_MAKE_SOME = "A small run below makes some anew, and “Open in Direct” makes one scene yourself."
_SHOWN = {"sca": "cuts", "character_consistency": "characters", "text_shot": "words"}
