"""The pictures of the calibration: what the damage looks like, and how metrics react to it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from eval.calibration.damage import DAMAGES, Damage
from eval.calibration.damage.scenes import shot_ranges
from eval.metrics import all_metrics
from eval.trust import CHANCE, NOTICED, Reaction
from holocine.files import replacing
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene

_INK, _SOFT, _PAPER = "#22252b", "#8a8f99", "#ffffff"
_COLOURS = ("#2f6db5", "#d9652b", "#3f9b5f", "#a13d8f", "#c4a01f", "#4bb3c9", "#8c564b", "#5b5f97", "#22252b")
_COLUMNS = 3  # of the curves
_DPI = 110


def empty_figure(width: float, height: float):
    """An empty matplotlib figure (inches) that belongs to no window."""
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rcParams.update({"font.size": 9, "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _SOFT})
    rcParams.update({"xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(width, height), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path: Path) -> None:
    """Write a figure as PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, bbox_inches="tight", facecolor=_PAPER)


def draw_damage(path: Path, scene: Scene, damages: Sequence[Damage] = DAMAGES) -> None:
    """A sheet of one scene: a row undamaged, then a row for each damage at its strongest possible, a column a shot."""
    frames = render(scene)[0]
    rows: list[tuple[str, np.ndarray]] = [("undamaged", frames)]
    for damage in damages:
        if damage.name == "captions_shuffled":  # the pictures stay as they are
            continue
        for strength in reversed(damage.strengths):
            damaged = damage.apply(scene, frames, strength, np.random.default_rng((scene.seed, *damage.name.encode())))
            if damaged is not None:
                rows.append((f"{damage.title}\n{strength:g} {damage.unit}", damaged[0]))
                break
    shots = shot_ranges(scene)
    chosen = [i for shot in shots for i in (shot.start + len(shot) // 4, shot.stop - 2)]
    height, width = frames.shape[1:3]
    gap = 2
    figure = empty_figure(13, 13 * len(rows) * (height + gap) / (len(chosen) * (width + gap)) * 0.8)
    axes = figure.add_axes((0.2, 0, 0.8, 1))
    sheet = np.full((len(rows) * (height + gap), len(chosen) * (width + gap), 3), 255, np.uint8)
    for row, (_, video) in enumerate(rows):
        for column, frame in enumerate(chosen):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = video[frame]
    axes.imshow(sheet, interpolation="lanczos", aspect="auto")
    for row, (title, _) in enumerate(rows):
        axes.text(-12, row * (height + gap) + height / 2, title, ha="right", va="center", fontsize=8.5)
    for cut in range(1, len(shots)):
        axes.axvline(2 * cut * (width + gap) - gap / 2 - 0.5, color=_INK, lw=1)
    axes.set_axis_off()
    save_figure(figure, path)


def draw_matrix(path: Path, found: Sequence[Reaction]) -> None:
    """AUC of every metric (rows) for every damage (columns) at its strongest; what a metric is for is framed."""
    from matplotlib.patches import Rectangle

    names = list(dict.fromkeys(r.metric for r in found))
    order = {name: i for i, name in enumerate(all_metrics())}
    names.sort(key=lambda name: (order[name.removesuffix("@crops")], name))
    damages = [damage for damage in DAMAGES if any(r.damage == damage.name for r in found)]
    values = np.full((len(names), len(damages)), np.nan)
    cells = {(r.metric, r.damage): r for r in found}
    for i, name in enumerate(names):
        for j, damage in enumerate(damages):
            if (name, damage.name) in cells:
                values[i, j] = cells[name, damage.name].auc[-1].value
    figure = empty_figure(2.6 + 0.46 * len(damages), 1.6 + 0.27 * len(names))
    axes = figure.add_axes((0, 0, 1, 1))
    image = axes.imshow(values, cmap="RdBu_r", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        reaction = cells.get((names[i], damages[j].name))
        if reaction is None:
            axes.text(j, i, "–", ha="center", va="center", color=_SOFT, fontsize=7)
            continue
        dark = abs(value - 0.5) > 0.33
        axes.text(j, i, f"{value:.2f}".removeprefix("0")[:3], ha="center", va="center", fontsize=7,
                  color="white" if dark else _INK)  # fmt: skip
        if reaction.wanted:
            axes.add_patch(Rectangle((j - 0.47, i - 0.46), 0.94, 0.92, fill=False, ec=_INK, lw=1.6))
        elif reaction.unwanted:
            axes.plot(j + 0.38, i - 0.32, marker="o", ms=3.2, color="#e0a800", mec=_INK, mew=0.4)
    axes.set_xticks(range(len(damages)), [d.name.replace("_", " ") for d in damages], rotation=45, ha="left")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.018, pad=0.015)
    bar.outline.set_visible(False)
    bar.set_label("how likely a damaged video scores worse (AUC)")
    axes.set_xlabel("framed: the metric is for this damage    dot: it should ignore the damage, but reacts", labelpad=8)
    axes.xaxis.set_label_position("bottom")
    save_figure(figure, path)


def draw_curves(path: Path, found: Sequence[Reaction]) -> None:
    """For every damage, AUC over strength of the metrics that are for it, with intervals."""
    damages = [d for d in DAMAGES if any(r.damage == d.name and r.wanted for r in found)]
    rows = -(-len(damages) // _COLUMNS)
    figure = empty_figure(4.9 * _COLUMNS, 2.7 * rows)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    figure.subplots_adjust(hspace=0.55, wspace=1.15)
    for axes in grid.flat[len(damages) :]:
        axes.set_axis_off()
    for axes, damage in zip(grid.flat, damages, strict=False):
        axes.axhspan(1 - NOTICED, NOTICED, color="#f0f1f4", lw=0)
        axes.axhline(CHANCE, color=_SOFT, lw=0.8, ls=(0, (4, 3)))
        wanted = [r for r in found if r.damage == damage.name and r.wanted]
        for colour, r in zip(cycle(_COLOURS), wanted, strict=False):
            at = [damage.strengths.index(strength) for strength in r.strengths]
            axes.fill_between(at, [e.low for e in r.auc], [e.high for e in r.auc], color=colour, alpha=0.13, lw=0)
            axes.plot(at, [e.value for e in r.auc], color=colour, lw=1.8, marker="o", ms=3.5, label=r.metric)
        axes.set_ylim(0.0, 1.03)
        axes.set_xlim(-0.25, len(damage.strengths) - 0.75)
        axes.set_xticks(range(len(damage.strengths)), [f"{s:g}" for s in damage.strengths])
        axes.set_xlabel(damage.unit, labelpad=1)
        axes.set_title(damage.title, fontsize=10, loc="left", pad=8)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    for row in grid:
        row[0].set_ylabel("AUC")
    save_figure(figure, path)
