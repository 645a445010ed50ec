"""Plots of a report as SVG text, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.reporting.significance import interval
from benchmarks.reporting.summary import Cell, Summary
from benchmarks.reporting.tables import heading, number
from eval.metric import Metric
from eval.metrics import all_metrics


def metric_dots(summary: Summary, metric: Metric) -> str:
    """One metric: a dot a system with its 95 % interval."""
    row = summary.table[metric.name]
    systems = [system for system in summary.systems if row[system].value is not None]
    if not systems:
        return ""
    ends = [end for system in systems for end in _ends(row[system], metric)]
    left, width, line, top = 118, 340, 20, 26
    ticks = nice_ticks(min(ends), max(ends), 4)
    x = _scale(ticks[0], ticks[-1], left, width - 16)
    bottom = top + line * len(systems)
    parts = [f'<text class="title" x="0" y="12">{escape(heading(metric))}</text>']
    parts += _vertical_grid(ticks, x, top - 6, bottom)
    for i, system in enumerate(systems):
        cell, y = row[system], top + line * i + 8
        low, high = map(x, _ends(cell, metric))
        parts.append(
            f'<text class="name" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(_short(system))}</text>'
        )
        parts.append(f'<line class="bar {_series(summary, system)}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>')
        label = f"{system}: {number(cell.value)}" + ("" if cell.error is None else f" ± {number(cell.error)}")
        parts.append(_dot(x(cell.value), y, _series(summary, system), label))
    return _svg(width, bottom + 20, parts, f"{heading(metric)} of every system")


def trade_off(summary: Summary, across: Metric, up: Metric) -> str:
    """Two metrics against each other, with 95 % intervals: what never cuts is consistent, and follows nothing."""
    a, b = summary.table[across.name], summary.table[up.name]
    systems = [s for s in summary.systems if a[s].value is not None and b[s].value is not None]
    if len(systems) < 2:
        return ""
    width, height, left, top = 520, 340, 62, 16
    x_ticks, y_ticks = (
        nice_ticks(
            min(_ends(row[s], metric)[0] for s in systems),
            max(_ends(row[s], metric)[1] for s in systems),
            5,
        )
        for row, metric in ((a, across), (b, up))
    )
    x, y = _scale(x_ticks[0], x_ticks[-1], left, width - 90), _scale(y_ticks[0], y_ticks[-1], height - 48, top)
    parts = [*_vertical_grid(x_ticks, x, top, height - 48), *_horizontal_grid(y_ticks, y, left, width - 90)]
    taken: list[tuple[float, float]] = []
    for system in systems:
        cx, cy, series = x(a[system].value), y(b[system].value), _series(summary, system)
        left_end, right_end = map(x, _ends(a[system], across))
        low_end, high_end = map(y, _ends(b[system], up))
        parts.append(_line(left_end, cy, right_end, cy, f"bar {series}"))
        parts.append(_line(cx, low_end, cx, high_end, f"bar {series}"))
        parts.append(_dot(cx, cy, series, f"{system}: {number(a[system].value)}, {number(b[system].value)}"))
        ly = cy - 7
        while any(abs(ly - other) < 12 and abs(cx - where) < 80 for where, other in taken):
            ly += 12
        taken.append((cx, ly))
        parts.append(f'<text class="name" x="{cx + 8:.1f}" y="{ly:.1f}">{escape(_short(system))}</text>')
    parts.append(
        f'<text class="axis" x="{width - 90}" y="{height - 10}" text-anchor="end">{escape(heading(across))}</text>'
    )
    parts.append(
        f'<text class="axis" transform="translate(14 {top}) rotate(-90)" text-anchor="end">{escape(heading(up))}</text>'
    )
    return _svg(width, height, parts, f"{heading(up)} against {heading(across)}")


def distance_lines(summary: Summary) -> str:
    """Similarity of shots with the same character by how many shots apart they are, a line a system."""
    found = {system: by for system, by in summary.distances.items() if by}
    if not found:
        return ""
    distances = sorted({distance for by in found.values() for distance in by})
    cells = [cell for by in found.values() for cell in by.values() if cell.value is not None]
    metric = all_metrics()["character_consistency"]
    values = [end for cell in cells for end in _ends(cell, metric)]
    width, height, left, top = 520, 340, 62, 16
    ticks = nice_ticks(min(values), max(values), 5)
    x, y = (
        _scale(distances[0] - 0.2, distances[-1] + 0.2, left, width - 110),
        _scale(ticks[0], ticks[-1], height - 48, top),
    )
    parts = [*_horizontal_grid(ticks, y, left, width - 110)]
    for distance in distances:
        parts.append(
            f'<text class="tick" x="{x(distance):.1f}" y="{height - 30}" text-anchor="middle">{distance}</text>'
        )
    labels = []
    for system, by in found.items():
        series = _series(summary, system)
        points = [(distance, x(distance), y(cell.value), cell) for distance, cell in by.items()]
        path = " ".join(f"{px:.1f},{py:.1f}" for _, px, py, _ in points)
        parts.append(f'<polyline class="line {series}" points="{path}"/>')
        for distance, px, py, cell in points:
            low, high = map(y, _ends(cell, metric))
            parts.append(_line(px, low, px, high, f"bar {series}"))
            parts.append(_dot(px, py, series, f"{system}, {distance} apart: {number(cell.value)}"))
        labels.append((points[-1][2], points[-1][1], system))
    lowest = -math.inf
    for py, px, system in sorted(labels):
        lowest = max(py + 4, lowest + 13)
        parts.append(f'<text class="name" x="{px + 9:.1f}" y="{lowest:.1f}">{escape(_short(system))}</text>')
    parts.append(f'<text class="axis" x="{width - 110}" y="{height - 10}" text-anchor="end">shots apart</text>')
    parts.append(f'<text class="axis" transform="translate(14 {top}) rotate(-90)" text-anchor="end">similarity</text>')
    return _svg(width, max(height, lowest + 10), parts, "Similarity of shots with the same character by distance")


def intervals(rows: Mapping[str, tuple[float, float, float]], title: str) -> str:
    """Values with intervals (value, low, high) by name, best first."""
    left, width, line, top = 118, 420, 20, 26
    ticks = nice_ticks(min(low for _, low, _ in rows.values()), max(high for *_, high in rows.values()), 5)
    x = _scale(ticks[0], ticks[-1], left, width - 16)
    bottom = top + line * len(rows)
    parts = [f'<text class="title" x="0" y="12">{escape(title)}</text>', *_vertical_grid(ticks, x, top - 6, bottom)]
    for i, (name, (value, low, high)) in enumerate(rows.items()):
        y = top + line * i + 8
        parts.append(f'<text class="name" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(_short(name))}</text>')
        parts.append(_line(x(low), y, x(high), y, "bar s0"))
        parts.append(_dot(x(value), y, "s0", f"{name}: {value:.2f} [{low:.2f}, {high:.2f}]"))
    return _svg(width, bottom + 20, parts, title)


def _ends(cell: Cell, metric: Metric) -> tuple[float, float]:
    """The 95 % interval of a cell with a value, within the metric's range; the value itself where it has no error."""
    return interval(cell.value, cell.error, cell.storyboards, metric.range) or (cell.value, cell.value)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from at most `low` to at least `high`."""
    if high - low < 1e-9:
        low, high = low - 0.05 * max(1.0, abs(low)), high + 0.05 * max(1.0, abs(high))
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _scale(low: float, high: float, start: float, end: float):
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _vertical_grid(ticks: Sequence[float], x, top: float, bottom: float) -> list[str]:
    lines = [_line(x(tick), top, x(tick), bottom, "grid") for tick in ticks]
    return lines + [
        f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>' for tick in ticks
    ]


def _horizontal_grid(ticks: Sequence[float], y, left: float, right: float) -> list[str]:
    lines = [_line(left, y(tick), right, y(tick), "grid") for tick in ticks]
    return lines + [
        f'<text class="tick" x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>' for tick in ticks
    ]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, series: str, label: str) -> str:
    return f'<circle class="dot {series}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(label)}</title></circle>'


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _series(summary: Summary, system: str) -> str:
    """The class that colours a system; bounds are grey."""
    if system in summary.results.bounds:
        return "bound"
    return f"s{summary.results.competing.index(system) % 10}"


def _short(name: str) -> str:
    return name if len(name) <= 17 else f"{name[:16]}…"
