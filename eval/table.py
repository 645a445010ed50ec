"""Scorecards as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from eval.combining import Combined
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.scorecard import MetricRecord, Scorecard
from holocine.plurals import counted

_ARROWS = {"higher": "↑", "lower": "↓", "none": " "}
_WIDTH, _MAX_CUTS = 110, 16
_TOGETHER = (
    "A value is of all cuts, shots, pairs or frames of these videos together, so that a video with more of them counts "
    "for more (SCA is one value a video); ± s.e. is over the videos."
)


def number(value: float | None) -> str:
    """A value with three or four digits that tell something; – for None."""
    if value is None:
        return "–"
    if 0 < abs(value) < 5e-5:
        return f"{value:.1e}"
    size = abs(value)
    digits = 4 if 0 < size < 0.005 else 3 if size < 10 else 2 if size < 100 else 1
    return f"{value:.{digits}f}"


def format_scorecard(card: Scorecard) -> str:
    """All of one scorecard: what the video is, its cuts, a line a metric, what to know about it."""
    video = card.video
    lines = [
        f"{video.name}: {counted(video.num_frames, 'frame')}, {video.seconds(video.num_frames):.1f} s at "
        f"{video.fps:.4g} fps, {video.size[0]}x{video.size[1]}",
        f"cuts found: {_frames(boundary.frame for boundary in card.boundaries)} ({card.detector})",
    ]
    if card.shots is not None:
        asked, shots = card.asked, counted(len(card.shots), "shot")
        if asked is not None and asked.cuts is None:
            lines.append(f"cuts asked: {shots}, nobody said where")
        else:
            cuts = asked.cuts if asked is not None else [shot.start for shot in card.shots[1:]]
            lines.append(f"cuts asked: {_frames(cuts)} ({shots})")
            if asked is not None and asked.policy != "frames":
                scale = "" if f"{asked.scale:.4g}" == "1" else f", scale {asked.scale:.4g}"
                lines.append(f"aligned by {asked.policy}{scale}")
    lines += [f"{role}: {encoder.id}" for role, encoder in card.encoders.items()]
    lines += ["", *_metric_lines(card.metrics)]
    if card.notes:
        lines += ["", *(line for note in card.notes for line in _wrapped(f"note: {note}", "      "))]
    return "\n".join(lines)


def format_combined(combined: Mapping[str, Combined], names: Sequence[str]) -> str:
    """A line a metric over several videos, of which `names` are the names, and why values are missing in how many."""
    rows, reasons, limits = [("metric", "", "value", "± s.e.", "videos", "covered", "trust", "")], {}, {}
    for metric in _known(combined):
        row = combined[metric.name]
        error = "" if row.standard_error is None else number(row.standard_error)
        videos, covered = f"{row.videos}/{row.num_videos}", _covered(row.covered, row.of)
        missing = (f"[{reasons.setdefault(why, len(reasons) + 1)}] {count}" for why, count in row.reasons.items())
        last = ", ".join(filter(None, [metric.unit if row.value is not None else "", *missing]))
        trust = _trust(metric, row, limits)
        rows.append((metric.id, _ARROWS[metric.direction], number(row.value), error, videos, covered, trust, last))
    lines = [counted(len(names), "video"), "", *_aligned(rows, (2, 3, 4, 5)), "", *_wrapped(_TOGETHER, "")]
    if reasons:
        lines += ["", "Without a value, in how many videos and why:", *_footnotes(reasons)]
    return "\n".join(lines + _trust_lines(limits))


def format_encoders(encoders: Iterable[Mapping[str, Any]]) -> str:
    """A line an encoder: what for, its name, whether it is here, size, licence, where it comes from."""
    rows = [("for", "--encoders, --dino, --aesthetic", "here", "MB", "licence", "")]
    for one in encoders:
        here = "yes" if one["here"] else "no"
        rows.append((one["role"], one["spec"], here, str(one["megabytes"] or "–"), one["licence"], one["how"]))
    return "\n".join(_aligned(rows, (3,)))


def _metric_lines(records: Mapping[str, MetricRecord]) -> list[str]:
    rows, reasons, limits = [("metric", "", "value", "covered", "trust", "")], {}, {}
    group = None
    for metric in _known(records):
        record = records[metric.name]
        if metric.group != group:
            group = metric.group
            rows.append((group,))
        last = metric.unit if record.value is not None else ""
        if record.reason:
            last = f"{last} [{reasons.setdefault(record.reason, len(reasons) + 1)}]".lstrip()
        covered = _covered(record.covered, record.of)
        trust = _trust(metric, record, limits)
        rows.append((f"  {metric.id}", _ARROWS[metric.direction], number(record.value), covered, trust, last))
    lines = _aligned(rows, (2, 3))
    lines += ["", *_footnotes(reasons)] if reasons else []
    return lines + _trust_lines(limits)


def _trust(metric: Metric, row: MetricRecord | Combined, limits: dict[str, list[str]]) -> str:
    """How far to trust a metric's value, "" where there is none; notes in `limits` under what is to be said of it."""
    if row.value is None or row.trust is None:
        return ""
    if row.trust and row.limits:
        limits.setdefault(f"{row.trust}: {row.limits}", []).append(metric.name)
    return row.trust


def _trust_lines(limits: Mapping[str, Sequence[str]]) -> list[str]:
    """How far to trust which metrics, those of which the same is to be said together."""
    said = [line for limit, names in limits.items() for line in _wrapped(f"{', '.join(names)} {limit}", "      ")]
    return ["", "How far to trust them, by calibration:", *said] if said else []


def _footnotes(reasons: Mapping[str, int]) -> list[str]:
    return [line for reason, n in reasons.items() for line in _wrapped(f"[{n}] {reason}", " " * (3 + len(str(n))))]


def _known(records: Mapping[str, object]) -> Iterable[Metric]:
    return (metric for name, metric in all_metrics().items() if name in records)


def _covered(covered: int, of: int) -> str:
    return f"{covered}/{of}" if of else "–"


def _frames(cuts: Iterable[int]) -> str:
    cuts = list(cuts)
    more = f" and {len(cuts) - _MAX_CUTS} more" if len(cuts) > _MAX_CUTS else ""
    return (", ".join(map(str, cuts[:_MAX_CUTS])) or "none") + more


def _aligned(rows: Sequence[tuple[str, ...]], right: Collection[int]) -> list[str]:
    """Columns of one width each, those in `right` aligned to the right; a row of one cell is a heading."""
    full = [row for row in rows if len(row) > 1]
    widths = [max(len(row[i]) for row in full) for i in range(len(full[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent)
