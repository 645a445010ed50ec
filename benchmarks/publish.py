"""`python -m benchmarks publish`: a run's small results into the repository, and its table into the README.

benchmarks/results/SUITE/   README.md, report.md, table.tex, *.csv, *.parquet, run.json: all but the videos
README.md                   the text between `<!-- results of SUITE -->` and `<!-- end of results -->`
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import duration
from benchmarks.items import RunError
from benchmarks.render import markdown
from benchmarks.report import write_tables
from benchmarks.results import BOUNDS, Results, load_run
from benchmarks.summary import Summary, summarise
from benchmarks.tables import all_tables, heading, main_table, number
from eval.metric import Metric
from holocine.files import replacing

_BEGIN, _END = "<!-- results of {} -->", "<!-- end of results -->"


def order_in_words(summary: Summary) -> list[str]:
    """For every metric of the main table whether it puts truth above all models and these above still and shuffled.

    Sentences as Markdown, from the numbers alone; none if the run has no truth, or no model.
    """
    results = summary.results
    by_kind = {kind: [s for s in results.bounds if results.kind(s) == kind] for kind in BOUNDS}
    truths, low = by_kind["truth"], by_kind["still"] + by_kind["shuffled"]
    if not truths or not results.competing:
        return []
    agree, sentences = [], []
    for metric in summary.main:
        wrong = _disorder(summary, metric, truths[0], low)
        if wrong:
            sentences.append(f"**{heading(metric)}** disagrees: {'; '.join(wrong)}.")
        else:
            agree.append(heading(metric))
    wanted = f"{truths[0]} above every model{', every model above ' + ' and '.join(low) if low else ''}"
    kept = f"In the order that should be ({wanted}) are: {', '.join(agree)}." if agree else ""
    return [kept or f"No metric keeps to the order that should be ({wanted}).", *sentences]


def _disorder(summary: Summary, metric: Metric, truth: str, low: Sequence[str]) -> list[str]:
    """What of the order a metric does not keep to, in words; systems without a value cannot break it."""
    row = summary.table[metric.name]
    values = {system: cell.value for system, cell in row.items() if cell.value is not None}
    sign = -1 if metric.direction == "lower" else 1
    models = [system for system in summary.results.competing if system in values]
    found = []
    if truth in values:
        over = [
            system for system in (*models, *low) if system in values and sign * (values[system] - values[truth]) > 0
        ]
        if over:
            found.append(f"above {_valued(truth, values)} {'is' if len(over) == 1 else 'are'} {_listed(over, values)}")
    for bound in low:
        if bound in values:
            under = [system for system in models if sign * (values[bound] - values[system]) >= 0]
            if under:
                which = "all models" if len(under) == len(models) > 1 else _listed(under, values)
                found.append(f"{_valued(bound, values)} is not below {which}")
    return found


def _valued(system: str, values: dict[str, float]) -> str:
    return f"{system} ({number(values[system])})"


def _listed(systems: Sequence[str], values: dict[str, float]) -> str:
    return ", ".join(_valued(system, values) for system in systems)


def run_command(results: Results) -> str:
    """The command that makes such a run, without folders of the machine that made it."""
    info, suite = results.info, results.suite
    words = ["python", "-m", "benchmarks", "run", "--suite", suite.name, "--systems", ",".join(info.systems.values())]
    if (model := info.model.get("name", "embedded")) != "embedded":
        words += ["--model", Path(model).name]
    if len(results.entries) < len(suite):
        words += ["--limit", str(len(results.entries))]
    if len(results.seeds) > 1:
        words += ["--seeds", str(len(results.seeds))]
    return shlex.join([*words, "--out", f"runs/{suite.name}"])


def readme_part(summary: Summary) -> str:
    """The main table with how it was made and what it shows, as Markdown."""
    results = summary.results
    table = main_table(summary)
    seconds = sum(sum(item.seconds.values()) for item in results.items if item.seconds)
    made = (
        f"{len(results.entries)} of the {len(results.suite)} storyboards of `{results.suite.name}`, "
        f"{len(results.systems)} systems, {len(results.items)} videos"
        f"{f' ({len(results.failures)} failed)' if results.failures else ''}; making and scoring them took "
        f"{duration(seconds)} in all, added up over processes:"
    )
    body = markdown(table).split("\n", 2)[2]  # without its title
    words = [f"* {sentence}" for sentence in order_in_words(summary)]
    return "\n".join([made, "", "```sh", run_command(results), "```", "", body, *words, ""])


def publish(summary: Summary, folder: Path) -> str:
    """Write the small results of a run into the folder of results, and return what stands in its README.md."""
    out = folder / summary.results.suite.name
    out.mkdir(parents=True, exist_ok=True)
    write_tables(summary, all_tables(summary), out)
    shutil.copyfile(summary.results.run / "run.json", out / "run.json")
    part = readme_part(summary)
    with replacing(out / "README.md") as temporary:
        text = f"# Results of the suite {summary.results.suite.name}\n\n{part}\nAll tables: [report.md](report.md).\n"
        temporary.write_text(text, encoding="utf-8")
    return part


def put_into(readme: Path, name: str, part: str) -> None:
    """Replace what stands between the marks for the results of a suite; raises `RunError` for a file without them."""
    text, begin = readme.read_text(encoding="utf-8"), _BEGIN.format(name)
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(_END)
    if not found or not ended:
        raise RunError(f"{readme} has no place for the table: put the lines {begin} and {_END} where it belongs")
    with replacing(readme) as temporary:
        temporary.write_text(f"{before}{begin}\n{part}{_END}{after}", encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks publish`."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--baseline", metavar="SYSTEM", help="compare every other system with this one")
    default = Path(__file__).with_name("results")
    parser.add_argument("--results", type=Path, default=default, metavar="DIR", help="folder of results (%(default)s)")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the table into this file too")


def run(options: argparse.Namespace) -> int:
    """Publish a run."""
    results = load_run(options.run_folder)
    part = publish(summarise(results, options.baseline, published=False), options.results)
    if options.readme:
        put_into(options.readme, results.suite.name, part)
    print(part)
    return 0
