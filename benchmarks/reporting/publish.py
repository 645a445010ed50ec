"""`python -m benchmarks publish`: a run's small results into the repository, and its table into the README.

benchmarks/results/SUITE/   README.md, which says what the other files hold: all of a run but most of its videos
README.md                   the text between `<!-- results of SUITE -->` and `<!-- end of results -->`
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.reporting.again import (
    DIGESTS,
    Need,
    digests,
    has_own_suite,
    needed_part,
    needs,
    portable,
    run_command,
    suite_beside,
)
from benchmarks.reporting.render import markdown
from benchmarks.reporting.report import write_tables
from benchmarks.reporting.results import BOUNDS, Results, load_run
from benchmarks.reporting.summary import Summary, summarise
from benchmarks.reporting.tables import FOOLED, LIKE_BEST, LITTLE, all_tables, heading, main_table, number
from benchmarks.reporting.weights import all_weights
from benchmarks.running.code import code_version
from benchmarks.running.items import ITEMS, RECORD, Item, RunError, RunInfo
from benchmarks.running.progress import duration
from benchmarks.suites.suite import suite_text
from benchmarks.systems.models import model_sha256, transformer_sha256
from eval.metric import Metric
from holocine.files import replacing
from holocine.plurals import listed

FILES = {
    "run.json": "what was run: suite, version and hash; systems; model, hash of its files and of its transformer's "
    "weights; metrics with their versions; version of the puppet world where systems show it; the code; and under "
    "`made` the command and what it needs beside this repository, how many videos, how many failed, when the last one "
    "was finished, seconds of loading models, of making and of scoring them added up over processes, and the detector "
    "and encoders that scored them",
    "table.csv": "the main table: a row a system, value and standard error of each metric, and how it stands (as in "
    "metrics.csv)",
    "metrics.csv": "a row a metric and system, all metrics: version, direction, value, standard error over "
    "storyboards, 95 % interval (`value_low` to `value_high`), rank among the systems that compete (1 and 2 alone, "
    "equal values share it), whether it is not behind the best by more than chance (`like_best`), the bound that shows "
    "its metric to have been fooled (`fooled_by`), storyboards and videos it stands on, and how much of what it is "
    "about could be looked at (`covered` of `of`); how far its calibration lets the metric be trusted (`trust`), and "
    "what else moves it or what it does not notice (`limits`); also as metrics.parquet",
    "tags.csv": "the same by tag of the storyboards, for the metrics of the main table",
    "distances.csv": "a row a system and number of shots between two that show the same character: their similarity",
    "items.parquet": "a row a metric and video: value, and the sums and counts that all other tables are made from",
    "videos.csv": "a row a video: why it failed, if it did, seconds of loading its model, where "
    "that was done for it, of making and of scoring it, and peak memory in MiB",
    "report.md": "all tables to read",
    "table.tex": "the main ones for a paper",
}
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


def readme_part(summary: Summary, out: Path, needed: tuple[Need, ...]) -> str:
    """The main table with how it was made, what that `needed` and what it shows, as Markdown, for the folder `out`."""
    results = summary.results
    table = main_table(summary)
    seconds = sum(sum(item.seconds.values()) for item in results.items if item.seconds)
    made = f"{_size(results)}; making and scoring them took {duration(seconds)} in all, added up over processes:"
    body = markdown(table).split("\n", 2)[2]  # without its title
    words = [f"* {sentence}" for sentence in order_in_words(summary)]
    what = f"This table is of {provenance(results)}."
    command = ["```sh", run_command(results, out), "```", "", *needed_part(needed)]
    return "\n".join([made, "", *command, body, what, "", *words, ""])


def provenance(results: Results) -> str:
    """Which weights, suite, metrics and code a table is of, in words."""
    info, model = results.info, "".join(f"{words}, " for words in _weights(results))
    metrics = sorted(
        {(name, score.version) for item in results.items for name, score in (item.scorecard or {}).items()}
    )
    code = ", ".join(info.code) or f"unknown to the run, published by {code_version()}"
    return (
        f"{model}the suite `{results.suite.name}` {results.suite.version} (sha256 {results.suite.sha256}), the metrics "
        f"{', '.join(f'{name}/{version}' for name, version in metrics)} and the code {code}"
    )


def _weights(results: Results) -> list[str]:
    """The weights that a run's systems show: its model's, and those that systems name for themselves."""
    found = all_weights(results)
    told = []
    for one in found:
        called = listed([f"`{name}`" for name in one.names])
        weights = None if one.own else transformer_of(results.info)
        hashed = f"transformer {weights}" if weights else f"model {one.sha256}"
        for_whom = f" of {listed(one.systems)}" if one.own or len(found) > 1 else ""
        told.append(f"the weights {called}{for_whom} (sha256 of the {hashed})")
    return told


def transformer_of(info: RunInfo) -> str | None:
    """The hash of the weights of a run's transformer; None if the run does not say and the model is not at hand."""
    if found := info.model.get("transformer_sha256"):
        return found
    name = info.model.get("name", "embedded")
    name = None if name == "embedded" else name
    try:
        return transformer_sha256(name) if model_sha256(name) == info.model.get("sha256") else None
    except (ValueError, OSError):
        return None


def check_replaces(results: Results, out: Path) -> None:
    """Raise `RunError` if what is published in the folder `out` is of more, or of later, than a run.

    More storyboards, repetitions, systems or scored videos; a video that was finished later, or a later version of the
    suite or of a metric.
    """
    there = RunInfo.load(out)
    if there is None:
        return
    made = json.loads((out / "run.json").read_text(encoding="utf-8")).get("made", {})
    now = how_it_was_made(results, out)
    sizes = {
        "storyboards": (made.get("storyboards", 0), now["storyboards"]),
        "repetitions": (len(there.seeds), len(results.seeds)),
        "systems": (len(there.systems), len(results.systems)),
        "scored videos": (made.get("videos", 0) - made.get("failed", 0), now["videos"] - now["failed"]),
    }
    worse = [f"{ours:,} {name}, not {theirs:,}" for name, (theirs, ours) in sizes.items() if ours < theirs]
    if now["finished"] < made.get("finished", ""):
        worse.append(f"was finished on {now['finished']}, not on {made['finished']}")
    if results.suite.version < there.suite["version"]:
        worse.append(f"version {results.suite.version} of the suite, not {there.suite['version']}")
    versions = dict(id.split("/") for id in results.info.metrics)
    later = [id for id in there.metrics for name, _, version in [id.partition("/")] if name in versions]
    later = [id for id in later if int(versions[id.partition("/")[0]]) < int(id.partition("/")[2])]
    if later:
        worse.append(f"earlier versions of metrics than {', '.join(later)}")
    if worse:
        raise RunError(
            f"{results.run} is smaller or older than what is published in {out} ({'; '.join(worse)}): "
            "give --replace to put it there all the same"
        )


def publish(summary: Summary, folder: Path, videos: int, replace: bool = False) -> str:
    """Write the small results of a run into the folder of results, and return what stands in its README.md.

    videos: of how many storyboards, the suite's first, the videos come along. replace: put it in the place of more or
    later results, too, which else raises `RunError`.
    """
    out = folder / summary.results.suite.name
    if not replace:
        check_replaces(summary.results, out)
    out.mkdir(parents=True, exist_ok=True)
    main, *others = all_tables(summary)
    made = f"Of {provenance(summary.results).replace('`', '')}."
    main = dataclasses.replace(main, note=f"{main.note} {made}", paper=f"{main.paper} {made}")
    write_tables(summary, [main, *others], out)
    needed = needs(summary.results, out)
    with replacing(out / "run.json") as temporary:
        made = {**how_it_was_made(summary.results, out), "needs": [str(need) for need in needed]}
        content = {**asdict(portable(summary.results.info)), "made": made}
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    files = dict(FILES)
    suite, hashes = suite_beside(out, summary.results.suite.name).name, digests(needed)
    for name, text, what in (
        (suite, suite_text(summary.results.suite) if has_own_suite(summary.results) else "", "the suite"),
        (DIGESTS, hashes, "the hashes of the files that the command needs beside this repository"),
    ):
        (out / name).unlink(missing_ok=True)  # of an earlier run
        if text:
            files[name] = what
            with replacing(out / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    if _publish_videos(summary.results, out, videos):
        files[ITEMS] = "videos of the first storyboards, SYSTEM/STORYBOARD/REPETITION/video.mp4"
    part = readme_part(summary, out, needed)
    files = "\n".join(f"| [{name}]({name}) | {what} |" for name, what in files.items())
    with replacing(out / "README.md") as temporary:
        title = f"# Results of the suite {summary.results.suite.name}"
        temporary.write_text(f"{title}\n\n{part}\n| file | holds |\n| --- | --- |\n{files}\n", encoding="utf-8")
    return part


def _size(results: Results) -> str:
    done, there = len(results.entries), len(results.suite)
    return (
        f"{f'All {there}' if done == there else f'{done} of the {there}'} storyboards of `{results.suite.name}`, "
        f"{len(results.systems)} systems, {len(results.items)} videos"
        f"{f' ({len(results.failures)} failed)' if results.failures else ''}"
    )


_MARKS = (
    f"Value ± standard error over storyboards; best in bold, runner-up underlined, {LIKE_BEST} not behind the best by "
    f"more than chance, {FOOLED}: the value shows that the metric was misled, {LITTLE}: too little of the videos could "
    "be looked at, in brackets how much."
)


def front_page_part(summary: Summary, details: str) -> str:
    """What a front page has of published results, as Markdown: the verdict, the main table and what its marks mean.

    details: where all the rest is.
    """
    body = markdown(dataclasses.replace(main_table(summary), note="", told=())).split("\n", 2)[2].strip()
    told = f"[How they were made, all metrics, and what fooled which]({details})"
    return f"{_size(summary.results)}. {body}\n\n{_MARKS} {told}.\n"


def _publish_videos(results: Results, out: Path, storyboards: int) -> bool:
    """Put the videos of the first storyboards, in the first repetition, in the place of those of an earlier run.

    They lie as in the run's folder. Returns whether there are any.
    """
    shutil.rmtree(out / ITEMS, ignore_errors=True)
    first = {entry.id for entry in results.entries[:storyboards]}
    chosen = [one for one in results.items if one.video and one.storyboard_id in first and one.seed == results.seeds[0]]
    for one in chosen:
        place = out / one.video.relative_to(results.run)
        place.parent.mkdir(parents=True)
        with replacing(place) as temporary:
            shutil.copyfile(one.video, temporary)
    return bool(chosen)


def how_it_was_made(results: Results, out: Path) -> dict[str, Any]:
    """What run.json says of published results beyond that of a run, as JSON values."""
    spent = {
        stage: [item.seconds[stage] for item in results.items if stage in (item.seconds or {})]
        for stage in ("load", "generate", "score")
    }
    seconds = {stage: round(sum(of), 1) if of else None for stage, of in spent.items()}
    return {
        "command": run_command(results, out),
        "storyboards": len(results.entries),
        "videos": len(results.items),
        "failed": len(results.failures),
        "seconds": seconds,
        "measured_with": sorted({one for item in results.items for one in item.measured_with}),
        "finished": _finished(results),
        "transformer_sha256": transformer_of(results.info),
        "published_with": code_version(),
    }


def _finished(results: Results) -> str:
    """When the last item of a run landed, in UTC."""
    items = (Item(one.system, one.storyboard_id, one.seed).folder(results.run) / RECORD for one in results.items)
    last = max((path.stat().st_mtime for path in items if path.is_file()), default=0.0)
    return datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def around(readme: Path, name: str) -> tuple[str, str]:
    """The text before and after the results of a suite, its marks included; raises `RunError` for a file without."""
    text, begin = readme.read_text(encoding="utf-8"), _BEGIN.format(name)
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(_END)
    if not found or not ended:
        raise RunError(f"{readme} has no place for the table: put the lines {begin} and {_END} where it belongs")
    return f"{before}{begin}\n", f"{_END}{after}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks publish`."""
    from holocine.program import count

    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--baseline", metavar="SYSTEM", help="compare every other system with this one")
    parser.add_argument(
        "--replace", action="store_true", help="in the place of results of more storyboards or of later ones, too"
    )
    default = Path(__file__).parents[1] / "results"
    parser.add_argument("--results", type=Path, default=default, metavar="DIR", help="folder of results (%(default)s)")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="put the table into this file too")
    parser.add_argument(
        "--videos", type=count, default=3, metavar="N", help="with those of the first N storyboards (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Publish a run."""
    results = load_run(options.run_folder)
    place = around(options.readme, results.suite.name) if options.readme else None
    if not options.replace:
        check_replaces(results, options.results / results.suite.name)
    summary = summarise(results, options.baseline, published=False)
    part = publish(summary, options.results, options.videos, options.replace)
    if place:
        folder = os.path.relpath(options.results / results.suite.name, options.readme.parent)
        front = front_page_part(summary, f"{Path(folder).as_posix()}/README.md")
        with replacing(options.readme) as temporary:
            temporary.write_text(front.join(place), encoding="utf-8")
    print(part)
    return 0
