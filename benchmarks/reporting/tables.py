"""The tables of a report, ready to be written as Markdown, LaTeX, HTML or plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from benchmarks.reporting import ranking
from benchmarks.reporting.published import CAVEAT, COLUMNS, HEADINGS, TABLE_1
from benchmarks.reporting.ranking import FEW, SEEN, calibrated
from benchmarks.reporting.results import Results
from benchmarks.reporting.significance import LEVEL, MIN_PAIRS, in_words, interval, storyboards_needed
from benchmarks.reporting.summary import Cell, Summary
from benchmarks.reporting.told import not_expressed
from benchmarks.reporting.verdict import verdict
from benchmarks.reporting.weights import all_weights
from benchmarks.systems.catalogue import described
from benchmarks.systems.embedded import embedded_note, runs_embedded
from eval.metric import Metric
from eval.trust import Trust, Word, trust_in
from holocine.plurals import counted, of_all

NONE = "–"
LIKE_BEST, FOOLED, LITTLE = "≈", "fooled", "little seen"
MENTIONED = 0.95  # coverage below this stands beside the number
TOLD = "What systems cannot express of their storyboards:"  # above the lines `told` of a table
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}


@dataclass(frozen=True)
class Text:
    """What stands in one place of a table. emphasis: "best", "second" or none; hint: more, for those who ask."""

    text: str
    emphasis: str | None = None
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts under a head; the first column names the row. `lead` stands above it and says what it shows, `note`
    below, and under that `told`, what systems cannot express, a line each. `lines` stand above rows by number. `paper`:
    the note of a paper, without what is for those who run the program; None is `note`.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    note: str = ""
    lines: Mapping[int, str] | None = None
    lead: str = ""
    told: tuple[str, ...] = ()
    paper: str | None = None


def heading(metric: Metric) -> str:
    """A metric's name for the head of a table: the paper's where it has one, and which way is better."""
    name = dict(zip(COLUMNS, HEADINGS, strict=True)).get(metric.name, metric.name.replace("_", " "))
    return f"{name} {ARROWS[metric.direction]}".rstrip()


def number(value: float | None) -> str:
    """Four decimals as in the paper, fewer for large numbers; – for None."""
    return NONE if value is None else ranking.number(value)


def cell_text(cell: Cell, metric: Metric | None = None) -> Text:
    """`0.9837 ± 0.0021†≈`, how much could be looked at where that is little: `(87 %)`, and `fooled` where that is so.

    With the metric, the hint has the 95 % interval, which stays within the metric's range.
    """
    if cell.value is None:
        return Text(NONE, hint=f"no value for any of {counted(cell.num_videos, 'video')}")
    text = number(cell.value)
    if cell.error is not None:
        text += f" ± {number(cell.error)}"
    if is_different(cell):
        text += "†"
    if cell.standing.like_best and cell.rank != 1:
        text += LIKE_BEST
    share = [cell.coverage] if cell.coverage is not None else []
    share.append(cell.videos / cell.num_videos if cell.num_videos else 1.0)
    if min(share) < MENTIONED:
        text += f" ({percent(min(share))})"
    if cell.standing.fooled_by is not None:
        text += f" {FOOLED}"
    elif cell.standing.little:
        text += f" {LITTLE}"
    hint = f"{cell.videos} of {counted(cell.num_videos, 'video')}, {counted(cell.storyboards, 'storyboard')}"
    if cell.of:
        hint += f"; looked at {cell.covered:,} of {cell.of:,}"
    if metric is not None and (ends := interval(cell.value, cell.error, cell.storyboards, metric.range)):
        hint += f"; 95 % interval {number(ends[0])} to {number(ends[1])}"
    return Text(text, {1: "best", 2: "second"}.get(cell.rank), hint)


def legend(summary: Summary, metrics: Sequence[Metric], cells: Sequence[Cell] | None = None) -> list[str]:
    """What the marks of `cell_text` mean, a sentence each, as far as these cells of the metrics have them.

    cells: by default those over all storyboards.
    """
    rows = [(metric, summary.table[metric.name]) for metric in metrics]
    every = [cell for _, row in rows for cell in row.values()] if cells is None else cells
    found = _baseline_marks(summary, every)
    tested = [cell.storyboards for cell in every if cell.standing.like_best is not None]
    if any(cell.standing.like_best and cell.rank != 1 for cell in every):
        found.append(
            f"{LIKE_BEST} not behind the best by more than chance ({in_words(tested)} over the storyboards that both "
            f"have, {100 * LEVEL:.0f} %, Holm)."
        )
    untested = [cell for cell in every if cell.rank is not None and cell.standing.like_best is None]
    if untested and not any(cell.standing.like_best for cell in every):
        found.append(
            f"With fewer than {storyboards_needed(len(summary.results.competing) - 1)} storyboards it cannot be tested "
            "who is behind the best."
        )
    if why := [sentence for metric, row in rows for sentence in _why_fooled(summary, metric, row)]:
        found.append(
            f"{FOOLED}: not ranked, as the value shows that the metric was misled: it is better than that of truth, "
            "the scene exactly as asked, or does not reach that of a degenerate bound which is better than truth, by "
            f"more than chance (the same test; with too few storyboards for it, on each of at least {FEW}). "
            f"{'; '.join(why)}."
        )
    if any(cell.standing.little for cell in every):
        found.append(
            f"{LITTLE}: not ranked, as less than {percent(SEEN)} could be looked at of what could where most could."
        )
    if not why and summary.results.competing and "truth" not in map(summary.results.kind, summary.results.bounds):
        found.append("This run has no truth beside the systems, which would show where a metric was misled.")
    return found


def _baseline_marks(summary: Summary, cells: Iterable[Cell]) -> list[str]:
    """How it was tested which cells differ from the baseline, also where none does, in a sentence."""
    if summary.baseline is None:
        return []
    compared = [cell.comparison for cell in cells if cell.comparison is not None]
    if not compared:
        return [f"Nothing here was compared with {summary.baseline}."]
    comparisons = len(summary.systems) - 1
    what = f"{in_words([one.pairs for one in compared])}, {100 * LEVEL:.0f} %"
    corrected = "Holm's correction for the systems of a metric, not for the number of metrics"
    found = [f"† differs from {summary.baseline} ({what}, {corrected})."]
    if not any(one.is_decidable(comparisons) for one in compared):
        found.append(f"It takes {storyboards_needed(comparisons)} storyboards to tell so many differences from chance.")
    return found


def trusted(summary: Summary, metric: Metric) -> Trust:
    """How far the values of a metric can be trusted on the storyboards of a run, by its calibration.

    Where several encoders or detectors looked, as far as that of them which can be trusted least.
    """
    world = "theatre" if summary.results.in_theatre else "film"
    found = [trust_in(metric, world, looked) for looked in summary.results.looked or ({},)]
    return min(found, key=lambda trust: get_args(Word)[::-1].index(trust.word))


def trust_note(summary: Summary, metrics: Sequence[Metric]) -> list[str]:
    """How far to trust these metrics, and where not to, in a sentence; none for no metrics."""
    named = "; ".join(f"{heading(metric).rstrip(' ↑↓')} {trusted(summary, metric)}" for metric in metrics)
    return [f"How far to trust them, by calibration: {named}."] if named else []


def _why_fooled(summary: Summary, metric: Metric, row: Mapping[str, Cell]) -> list[str]:
    """By which bound a metric was shown to be fooled, by whom, and what its calibration has to say of it."""
    bounds: dict[str, list[str]] = {}
    for system, cell in row.items():
        if (by := cell.standing.fooled_by) is not None:
            bounds.setdefault(by, []).append(system)
    sentences = []
    for bound, systems in bounds.items():
        kind = summary.results.kind(bound)
        who = "all" if len(systems) == len(summary.results.competing) > 1 else ", ".join(systems)
        known = calibrated(metric, kind)
        where = f"better than {bound}" if kind == "truth" else f"not as good as {bound}"
        sentences.append(f"{heading(metric)}: {who} {where}{f' ({known})' if known else ''}")
    return sentences


def is_different(cell: Cell) -> bool:
    """Whether a system differs from the baseline by more than chance."""
    return cell.comparison is not None and cell.comparison.holm is not None and cell.comparison.holm < LEVEL


def percent(share: float) -> str:
    """A share in whole per cent, never rounded up to all nor down to nothing."""
    return f"{min(99, max(1, round(100 * share)))} %" if 0 < share < 1 else f"{100 * share:.0f} %"


def all_tables(summary: Summary) -> list[Table]:
    """Every table of a report, the paper's first."""
    found = [main_table(summary), comparisons(summary), by_distance(summary), every_metric(summary), what_ran(summary)]
    return [table for table in (*found, *by_tag(summary), failures(summary)) if table is not None and table.rows]


def main_table(summary: Summary) -> Table:
    """The layout of the paper's Table 1: a row a system, bounds below a line, published rows below another."""
    published = [COLUMNS.index(metric.name) for metric in summary.main]
    rows, lines = [], {}
    for group, caption in (
        (summary.results.competing, ""),
        (summary.results.bounds, "Bounds: they show what the metrics can tell, and do not compete."),
    ):
        if group and (rows or caption):
            lines[len(rows)] = caption
        for system in group:
            cells = (cell_text(summary.table[metric.name][system], metric) for metric in summary.main)
            name = Text(system, hint=described(summary.results.kind(system)))
            rows.append((name, Text(_videos(summary, system)), *cells))
    if summary.published and published:
        lines[len(rows)] = CAVEAT
        for system, values in TABLE_1.items():
            rows.append((Text(system), Text(""), *(Text(number(values[i])) for i in published)))
    notes = [
        "Value ± standard error over storyboards (jackknife); best in bold, runner-up underlined; equal values share "
        "their rank."
    ]
    notes += legend(summary, summary.main) + trust_note(summary, summary.main)
    notes.append(f"In brackets the share that could be looked at, where it is below {percent(MENTIONED)}.")
    paper, notes = (
        " ".join([*notes, *_not_measured(summary, with_remedies), *_embedded(summary.results)])
        for with_remedies in (False, True)
    )
    head = ("system", "videos", *(heading(metric) for metric in summary.main))
    suite = summary.results.suite
    title = f"Suite {suite.name} {suite.version}, {of_all(len(summary.results.entries), len(suite), 'storyboard')}"
    told = not_expressed(summary.results)
    return Table("main", title, head, tuple(rows), notes, lines, verdict(summary), told, paper)


def _videos(summary: Summary, system: str) -> str:
    """How many videos of a system were scored, of all that there should be."""
    results = summary.results
    scored = sum(item.system == system and item.scorecard is not None for item in results.items)
    return f"{scored} of {len(results.entries) * len(results.seeds)}"


def _embedded(results: Results) -> list[str]:
    """Which systems are the embedded model's, and what that means for these storyboards, in a sentence."""
    specs = {name: results.info.systems.get(name, name) for name in results.systems}
    note = embedded_note(runs_embedded(specs, results.info.model.get("name")), results.entries)
    return [f"{note}."] if note else []


def _not_measured(summary: Summary, with_remedies: bool) -> list[str]:
    """The columns of the paper that no video has, and what most scorecards give as the reason, a remedy with it."""
    missing: dict[str, list[str]] = {}
    for name, title in zip(COLUMNS, HEADINGS, strict=True):
        scores = [item.scorecard[name] for item in summary.results.items if name in (item.scorecard or {})]
        if all(score.value is None for score in scores):
            reasons = Counter(score.reason for score in scores if score.reason)
            reason = reasons.most_common(1)[0][0] if reasons else "no scorecard has it"
            reason = reason if with_remedies else reason.partition(";")[0].partition(" (")[0]
            missing.setdefault(reason, []).append(title)
    return [f"Not measured: {', '.join(titles)} ({reason})." for reason, titles in missing.items()]


def comparisons(summary: Summary) -> Table | None:
    """Every system against the baseline, on the metrics of the main table."""
    if summary.baseline is None:
        return None
    rows, lines, pairs = [], {}, []
    for metric in summary.main:
        found = {system: cell.comparison for system, cell in summary.table[metric.name].items() if cell.comparison}
        if found and rows:
            lines[len(rows)] = ""
        for system, one in found.items():
            cell = summary.table[metric.name][system]
            pairs.append(one.pairs)
            worse = is_different(cell) and (one.difference > 0) == (metric.direction == "lower")
            verdict = "" if not is_different(cell) else "worse" if worse else "better"
            interval = NONE if one.low is None else f"[{one.low:+.4f}, {one.high:+.4f}]"
            texts = (heading(metric), system, f"{one.difference:+.4f}", interval, _p(one.holm), str(one.pairs), verdict)
            rows.append(tuple(map(Text, texts)))
    note = (
        f"Difference from {summary.baseline} with its 95 % interval over the storyboards that both have (pairs); p of "
        f"a {in_words(pairs)} after Holm's correction for all systems of a metric; better or worse where it is below "
        f"{LEVEL}. Systems with fewer than {MIN_PAIRS} pairs are not compared."
    )
    head = ("metric", "system", "difference", "95 % interval", "p", "pairs", "so it is")
    return Table("comparisons", f"Against {summary.baseline}", head, tuple(rows), note, lines)


def by_distance(summary: Summary) -> Table | None:
    """How alike shots with the same character are, by how many shots apart they are."""
    distances = sorted({distance for found in summary.distances.values() for distance in found})
    if not distances:
        return None
    rows = []
    for system, found in summary.distances.items():
        cells = (_distance_text(found[d]) if d in found else Text(NONE) for d in distances)
        rows.append((Text(system), *cells))
    head = ("system", *(f"{distance} apart" for distance in distances))
    note = "Mean similarity of two shots that show the same character ± standard error, and on how many storyboards."
    return Table("distance", "Consistency by shot distance", head, tuple(rows), note)


def every_metric(summary: Summary) -> Table:
    """All metrics, one a row, under the names of their groups."""
    rows, lines, group = [], {}, None
    for metric in summary.metrics:
        if metric.group != group:
            group = lines[len(rows)] = metric.group
        unit = f" ({metric.unit})" if metric.unit else ""
        hint = f"{metric.meaning} Trust: {trusted(summary, metric)}."
        name = Text(f"{metric.id} {ARROWS[metric.direction]}".rstrip() + unit, hint=hint)
        row = summary.table[metric.name]
        rows.append((name, *(cell_text(row[system], metric) for system in summary.systems)))
    note = " ".join(legend(summary, summary.metrics))
    return Table("metrics", "All metrics", ("metric", *summary.systems), tuple(rows), note, lines)


def by_tag(summary: Summary) -> list[Table]:
    """The metrics of the main table by tag, a table each."""
    tables = []
    for metric in summary.main:
        rows, lines, kind, every = [], {}, None, []
        for tag, found in summary.tags.items():
            if tag.partition(":")[0] != kind:
                kind = tag.partition(":")[0]
                lines[len(rows)] = ""
            cells = [found[metric.name][system] for system in summary.systems]
            if any(cell.value is not None for cell in cells):
                every += cells
                count = max(cell.storyboards for cell in cells)
                rows.append((Text(f"{tag} ({count})"), *(cell_text(cell, metric) for cell in cells)))
        lines = {row: text for row, text in lines.items() if 0 < row < len(rows)}
        title = f"{heading(metric)} by tag (number of storyboards)"
        note = " ".join(legend(summary, [metric], every))
        tables.append(Table(f"tags-{metric.name}", title, ("tag", *summary.systems), tuple(rows), note, lines))
    return tables


def what_ran(summary: Summary) -> Table:
    """How many videos each system made, and what they cost; below it what each system is."""
    results = summary.results
    expected = len(results.entries) * len(results.seeds)
    rows = []
    for system in summary.systems:
        items = [item for item in results.items if item.system == system]
        failed = sum(item.scorecard is None for item in items)
        costs = [
            _mean(item.seconds[stage] for item in items if item.seconds and stage in item.seconds)
            for stage in ("generate", "score")
        ]
        memory = max((item.peak_mb for item in items if item.peak_mb is not None), default=None)
        numbers = (f"{len(items) - failed} of {expected}", str(failed), str(expected - len(items)))
        seconds = [NONE if cost is None else f"{cost:.1f}" for cost in costs]
        texts = (*numbers, *seconds, NONE if memory is None else f"{memory:,.0f}")
        rows.append((Text(system), *map(Text, texts)))
    head = ("system", "scored", "failed", "not run", "s to make one", "s to score one", "peak memory, MiB")
    told = ((system, described(results.kind(system))) for system in summary.systems)
    notes = ["; ".join(f"{system}: {what}" for system, what in told if what)]
    if weights := all_weights(results):
        notes.append(f"The weights are {'; '.join(map(str, weights))}")
    if loading := sum((item.seconds or {}).get("load", 0.0) for item in results.items):
        notes.append(f"Loading models took {loading:.1f} s in all, which are in none of these seconds")
    note = " ".join(f"{sentence}." for sentence in notes if sentence)
    return Table("systems", "What ran", head, tuple(rows), note)


def failures(summary: Summary) -> Table | None:
    """The items without a scorecard, and why."""
    rows = [
        (Text(item.system), Text(item.storyboard_id), Text(str(item.seed)), Text(item.error or "unknown"))
        for item in summary.results.failures
    ]
    return Table("failures", "Failed", ("system", "storyboard", "seed", "why"), tuple(rows)) if rows else None


def _distance_text(cell: Cell) -> Text:
    error = "" if cell.error is None else f" ± {number(cell.error)}"
    return Text(f"{number(cell.value)}{error} ({cell.storyboards})")


def _p(p: float | None) -> str:
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _mean(values: Iterable[float]) -> float | None:
    found: Sequence[float] = list(values)
    return sum(found) / len(found) if found else None
