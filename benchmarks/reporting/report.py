"""`python -m benchmarks report`: from a run's folder to tables, files and a page.

OUT/report.html            tables, plots, videos side by side
OUT/report.md, table.tex   for a repository, for a paper
OUT/*.csv, items.parquet   the same numbers for everyone's own analysis
OUT/hub/SYSTEM/            results.json, .eval_results/SUITE.yaml
"""

from __future__ import annotations

import argparse
import gc
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks.reporting.frames import distance_frame, item_frame, main_frame, metric_frame, tag_frame, video_frame
from benchmarks.reporting.hub import write_hub
from benchmarks.reporting.page import report_page, table_html
from benchmarks.reporting.preference import preference_plot, preference_table, preferences
from benchmarks.reporting.render import latex, markdown, plain
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import Summary, summarise
from benchmarks.reporting.tables import Table, all_tables
from holocine.files import replacing

_IN_LATEX = ("main", "comparisons", "distance")


def write_report(
    summary: Summary, out: Path, embed: Collection[str] = (), hub_dataset: str | None = None
) -> list[Table]:
    """Write every file of a report into the folder `out`, and return its tables, that of votes included."""
    out.mkdir(parents=True, exist_ok=True)
    tables = all_tables(summary)
    found = preferences(summary.results.run)
    preference = ""
    if found:
        tables.insert(1, preference_table(found))
        preference = f'<div class="plots">{preference_plot(found)}</div>{table_html(tables[1])}'
    _write(out / "report.html", report_page(summary, out, embed, preference))
    write_tables(summary, tables, out)
    write_hub(summary, out / "hub", hub_dataset)
    return tables


def write_tables(summary: Summary, tables: Sequence[Table], out: Path) -> None:
    """Write the tables as text, and their numbers, into the folder `out`."""
    _write(out / "report.md", "\n".join(markdown(table, 1 if table.name == "main" else 2) for table in tables))
    _write(out / "table.tex", "\n".join(latex(table) for table in tables if table.name in _IN_LATEX))
    frames = {
        "table": main_frame(summary),
        "metrics": metric_frame(summary),
        "tags": tag_frame(summary),
        "distances": distance_frame(summary),
        "videos": video_frame(summary.results),
    }
    for name, frame in frames.items():
        with replacing(out / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    with replacing(out / "metrics.parquet") as temporary:
        frames["metrics"].to_parquet(temporary, index=False)
    with replacing(out / "items.parquet") as temporary:
        item_frame(summary.results).to_parquet(temporary, index=False)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks report`."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--baseline", metavar="SYSTEM", help="compare every other system with this one")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the report (RUN/report)")
    parser.add_argument("--embed", metavar="ID,ID,…", help="put the videos of these storyboards into the page itself")
    parser.add_argument("--no-published", action="store_true", help="leave out the rows of the paper")
    parser.add_argument(
        "--hub-dataset", type=_dataset, metavar="OWNER/NAME", help="benchmark on the hub, for .eval_results files"
    )


def _dataset(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no data set on the hub, which are called OWNER/NAME")
    return text


def run(options: argparse.Namespace) -> int:
    """Write the report and print its first tables."""
    out = options.out or options.run_folder / "report"
    results = load_run(options.run_folder)
    gc.freeze()  # scorecards stay to the end: not to be looked through for garbage again and again
    summary = summarise(results, options.baseline, published=not options.no_published)
    embed = options.embed.split(",") if options.embed else ()
    tables = write_report(summary, out, embed, options.hub_dataset)
    for table in tables:
        if table.name in ("main", "preference", "systems"):
            print(plain(table))
    print(f"{out / 'report.html'}, report.md, table.tex, *.csv, *.parquet, hub/")
    return 0
