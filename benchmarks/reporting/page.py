"""A report as one HTML page: tables, plots, and the videos of each storyboard side by side, played together.

Style, script and data are inside the page. Videos are links relative to it, or inside it for chosen storyboards.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.reporting.charts import distance_lines, metric_dots, trade_off
from benchmarks.reporting.results import ResultsError
from benchmarks.reporting.summary import Summary
from benchmarks.reporting.tables import TOLD, Table, Text, all_tables
from benchmarks.reporting.weights import all_weights
from holocine.plurals import counted

_ASSETS = Path(__file__).with_name("assets")


def report_page(summary: Summary, folder: Path, embed: Collection[str] = (), preference: str = "") -> str:
    """The page, to be written into `folder`.

    embed: ids of storyboards whose videos go into the page. preference: HTML of what people prefer. Raises
    `ResultsError` for an id that the run does not have.
    """
    for id in embed:
        if id not in {entry.id for entry in summary.results.entries}:
            raise ResultsError(f"the run has no videos of storyboard {id!r} to put into the page")
    tables = {table.name: table for table in all_tables(summary)}
    suite = summary.results.suite
    title = f"{suite.name} {suite.version}: {counted(len(summary.systems), 'system')}"
    sections = [
        ("results", "Results", tables["main"].title, table_html(tables["main"])),
        ("against", "Against the baseline", "", table_html(tables.get("comparisons"))),
        ("plots", "Plots", "Dots with 95 % intervals; grey are bounds.", _plots(summary)),
        ("side-by-side", "Videos", "", _VIEWER.replace("{seeds}", _seeds(summary))),
        ("preference", "What people prefer", "", preference),
        ("by-tag", "By tag", "", _tags([table for name, table in tables.items() if name.startswith("tags-")])),
        ("by-distance", "By shot distance", "", table_html(tables.get("distance"))),
        ("metrics", "All metrics", "", table_html(tables["metrics"])),
        ("systems", "What ran", "", table_html(tables["systems"])),
        ("failed", "Failed", "", table_html(tables.get("failures"))),
    ]
    sections = [section for section in sections if section[3]]
    links = "".join(f'<a href="#{id}">{escape(name)}</a>' for id, name, _, _ in sections)
    body = "".join(
        f'<section id="{id}"><h2>{escape(name)}</h2>{f"<p>{escape(lead)}</p>" if lead else ""}{content}</section>'
        for id, name, lead, content in sections
    )
    data = json.dumps(_data(summary, folder, embed), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_asset('report.css')}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="faint">{escape(_about(summary))}</p><nav>{links}</nav></header>'
        f'<main>{body}</main><script type="application/json" id="run">{data}</script>'
        f"<script>{_asset('report.js')}</script></body></html>\n"
    )


def _about(summary: Summary) -> str:
    """One paragraph: what was run on what."""
    results = summary.results
    suite, weights = results.suite, all_weights(results)
    parts = [
        f"{suite.description or suite.name}.",
        f"{len(results.entries)} of {counted(len(suite), 'storyboard')}, {counted(len(results.items), 'item')},",
        f"suite {suite.sha256[:12]}.",
    ]
    if weights:
        parts.append(f"Model{'s' * (len(weights) > 1)}: {'; '.join(map(str, weights))}.")
    used = sorted({one for item in results.items for one in item.measured_with})
    if used:
        parts.append(f"Measured with {', '.join(used)}.")
    return " ".join(parts)


def table_html(table: Table | None) -> str:
    """A table as HTML; nothing for None."""
    if table is None:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = []
    for number, row in enumerate(table.rows):
        if number in (table.lines or {}):
            rows.append(f'<tr class="line"><td colspan="{len(row)}">{escape(table.lines[number])}</td></tr>')
        rows.append(f"<tr>{''.join(map(_cell, row))}</tr>")
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    if table.told:
        note += f'<div class="note">{TOLD}<ul>{"".join(f"<li>{escape(line)}</li>" for line in table.told)}</ul></div>'
    lead = f'<p class="verdict">{escape(table.lead)}</p>' if table.lead else ""
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    # Where it is wider than the window it is scrolled, by keys too.
    return f'{lead}<div class="scroll" tabindex="0" role="region" aria-label="Table">{body}</div>{note}'


def _cell(text: Text) -> str:
    kind = text.emphasis or (text.text if text.text in ("better", "worse") else "")
    inner = f'<span class="{kind}">{escape(text.text)}</span>' if kind else escape(text.text)
    hint = f' title="{escape(text.hint)}"' if text.hint else ""
    wrap = ' class="wrap"' if len(text.text) > 70 else ""
    return f"<td{hint}{wrap}>{inner}</td>"


def _plots(summary: Summary) -> str:
    named = {metric.name: metric for metric in summary.metrics}
    large = [distance_lines(summary)]
    if {"sca", "character_consistency"} <= set(named):
        large.insert(0, trade_off(summary, named["sca"], named["character_consistency"]))
    small = [metric_dots(summary, metric) for metric in summary.main]
    rows = ("".join(filter(None, plots)) for plots in (large, small))
    return "".join(f'<div class="plots">{row}</div>' for row in rows if row)


def _tags(tables: list[Table]) -> str:
    if not tables:
        return ""
    options = "".join(f'<option value="{table.name}">{escape(table.title)}</option>' for table in tables)
    blocks = "".join(f'<div class="tags" id="{table.name}">{table_html(table)}</div>' for table in tables)
    return f'<div class="controls"><label>Metric <select id="tag-metric">{options}</select></label></div>{blocks}'


_VIEWER = """
<div class="controls">
<label>Filter <input type="search" id="filter" placeholder="words or tags"></label>
<label>Storyboard <select id="storyboard"></select></label> <span class="faint" id="found"></span>
<button type="button" id="previous">Previous</button><button type="button" id="next">Next</button>
<label>Seed <select id="seed">{seeds}</select></label>
</div>
<p class="faint" id="global"></p><p class="note" id="tags"></p>
<div id="timeline"></div><input type="range" id="seek" min="0" max="1" step="0.001" value="0" aria-label="Time">
<div class="controls">
<button type="button" id="play">Play all</button>
<button type="button" id="back" aria-label="One frame back">−1 frame</button>
<button type="button" id="forward" aria-label="One frame on">+1 frame</button>
<label>Speed <select id="speed"><option value="0.25">¼</option><option value="0.5">½</option>
<option value="1" selected>1</option></select></label>
<label><input type="checkbox" id="loop" checked> Again and again</label>
<span class="faint" id="clock"></span>
</div>
<p id="caption"></p><div id="videos"></div>
"""


def _seeds(summary: Summary) -> str:
    return "".join(f'<option value="{seed}">{seed}</option>' for seed in summary.results.seeds)


def _data(summary: Summary, folder: Path, embed: Collection[str]) -> dict[str, Any]:
    """What the page's script reads."""
    results = summary.results
    names = [metric.name for metric in summary.main]
    items, embedded = {}, {}
    for item in results.items:
        key = f"{item.system}/{item.storyboard_id}/{item.seed}"
        entry: dict[str, Any] = {"video": item.video is not None}
        if item.scorecard is not None:
            entry["scores"] = [
                _rounded(item.scorecard[name].value) if name in item.scorecard else None for name in names
            ]
        else:
            entry["error"] = item.error
        items[key] = entry
        if item.storyboard_id in embed and item.video is not None:
            embedded[key] = f"data:video/mp4;base64,{base64.b64encode(item.video.read_bytes()).decode()}"
    return {
        "root": f"{Path(os.path.relpath(results.run, folder)).as_posix()}/",
        "systems": summary.systems,
        "seeds": results.seeds,
        "size": results.suite.size,
        "metrics": [metric.name.replace("_", " ") for metric in summary.main],
        "storyboards": [
            {
                "id": entry.id,
                "title": entry.storyboard.title,
                "global": entry.storyboard.global_caption,
                "captions": entry.storyboard.captions,
                "cuts": entry.storyboard.cuts,
                "frames": entry.storyboard.num_frames,
                "fps": entry.storyboard.fps,
                "tags": entry.tags,
            }
            for entry in results.entries
        ],
        "items": items,
        "embedded": embedded,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
