"""The calibration as people read it: CALIBRATION.md with its pictures, and calibration.json with every number.

Every judgement in the text follows from the numbers by the rules of `eval.calibration.reaction`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from eval.calibration.damage import DAMAGES, Damage
from eval.calibration.pictures import draw_curves, draw_damage, draw_matrix
from eval.calibration.reaction import NOTICED, RELIABLE, ROUNDS, Estimate, Reaction
from eval.metrics import all_metrics
from holocine.files import replacing
from holocine.puppet.world import Scene

FORMAT = "holocine-calibration/1"
PICTURES = "calibration"
_DAMAGES = {damage.name: damage for damage in DAMAGES}
_GROUPS = {
    "transitions": "Transitions",
    "inter-shot": "Between shots",
    "intra-shot": "Within shots",
    "adherence": "Adherence to the text",
    "quality": "Quality of the pictures",
}


def write_calibration(
    folder: Path, found: Sequence[Reaction], scene: Scene, num_scenes: int, footage: Sequence[dict[str, Any]] = ()
) -> None:
    """Write CALIBRATION.md, calibration.json and the pictures into `folder`; `scene` is shown with its damage.

    `footage`: what `eval.calibration.footage.observed` found in other videos. Without any, what an earlier
    calibration.json in the folder has of it is kept.
    """
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    footage = list(footage) or kept_footage(folder / "calibration.json")
    draw_damage(pictures / "damage.png", scene)
    draw_matrix(pictures / "matrix.png", found)
    draw_curves(pictures / "curves.png", found)
    with replacing(folder / "calibration.json") as temporary:
        temporary.write_text(json.dumps(_plain(found, num_scenes, footage), indent=1) + "\n", encoding="utf-8")
    with replacing(folder / "CALIBRATION.md") as temporary:
        temporary.write_text(page(found, num_scenes, footage), encoding="utf-8")


def _plain(found: Sequence[Reaction], num_scenes: int, footage: list[dict[str, Any]]) -> dict[str, Any]:
    rounded = json.loads(
        json.dumps([{**asdict(r), "verdict": r.verdict, "detected_from": r.detected_from()} for r in found]),
        parse_float=lambda text: round(float(text), 4),
    )
    versions = {name: metric.version for name, metric in all_metrics().items()}
    return {
        "format": FORMAT,
        "scenes": num_scenes,
        "metrics": versions,
        "damage": {d.name: {"title": d.title, "unit": d.unit, "strengths": d.strengths} for d in DAMAGES},
        "reactions": rounded,
        "footage": footage,
    }


def kept_footage(path: Path) -> list[dict[str, Any]]:
    """What an earlier calibration.json says of other videos; nothing if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["footage"]
    except (OSError, ValueError, KeyError):
        return []


def page(found: Sequence[Reaction], num_scenes: int, footage: Sequence[dict[str, Any]] = ()) -> str:
    """The text of CALIBRATION.md."""
    videos = num_scenes * (1 + sum(len(damage.strengths) for damage in DAMAGES))
    parts = [
        "# How far each metric can be trusted",
        f"{num_scenes} scenes of the puppet theatre, whose truth is known exactly, were rendered, damaged in "
        f"{len(DAMAGES)} known ways of growing strength, and scored like any video: up to {videos:,} videos. A metric "
        "is good if it notices the damage it is for and ignores the rest.",
        f"![One scene, undamaged and damaged]({PICTURES}/damage.png)",
        _how_to_read(),
        "## In short",
        _summary(found),
        "## Does it notice what it is for?",
        f"![How likely a damaged video scores worse than an undamaged one]({PICTURES}/curves.png)",
        _wanted_table(found),
        "## Does it react to what it should ignore?",
        _unwanted_table(found),
        "## Every metric against every damage",
        f"![AUC at the strongest damage]({PICTURES}/matrix.png)",
        "All numbers, with intervals and for every strength, are in [calibration.json](calibration.json).",
        *_limits(),
        *(["## On generated footage", *map(_footage_text, footage)] if footage else []),
        "## Make it again",
        "```sh\npython -m eval calibrate --scenes "
        f"{num_scenes}\n```\n\nValues are kept as they are made, so the command can be stopped and goes on; with more "
        "scenes it adds to what there is. `--footage VIDEO` reports on other videos as well.",
    ]
    return "\n\n".join(parts) + "\n"


def _how_to_read() -> str:
    return (
        "* **AUC**: how likely a damaged video scores worse than an undamaged one of any scene: 0.5 is chance, 1 is "
        f"always. With 95 % interval from {ROUNDS:,} bootstrap rounds over scenes.\n"
        f"* **detected from**: the least strength from which on AUC is at least {NOTICED} and its interval lies above "
        f"chance. A metric *reacts* with an AUC of {RELIABLE} or more at the strongest damage, below that *weakly*.\n"
        "* **same scene**: how likely a damaged video scores worse than the undamaged version of the same scene. This "
        "is what counts where systems are compared on the same storyboards.\n"
        "* **Spearman**: rank correlation of strength and score within a scene, mean over scenes; 1 if every stronger "
        "damage scores worse.\n"
        "* Names that end in **@crops** are measured on true boxes, the others on those that the locator finds."
    )


def _by_metric(found: Sequence[Reaction]) -> dict[str, list[Reaction]]:
    metrics: dict[str, list[Reaction]] = {}
    for reaction in found:
        metrics.setdefault(reaction.metric, []).append(reaction)
    return metrics


def _group(name: str) -> str:
    return all_metrics()[name.removesuffix("@crops")].group


def trust(reactions: Sequence[Reaction]) -> str:
    """One word for a metric from its reactions: good, limited, poor, or untested where no damage is for it."""
    wanted = [r for r in reactions if r.wanted]
    if not wanted:
        return "untested"
    failed = [r for r in wanted if r.failed]
    if len(failed) == len(wanted):
        return "poor"
    return "limited" if failed or any(r.unwanted for r in reactions) else "good"


def _summary(found: Sequence[Reaction]) -> str:
    lines = ["| metric | trust | notices | misses | wrongly moved by |", "|---|---|---|---|---|"]
    for group, title in _GROUPS.items():
        rows = {name: rs for name, rs in _by_metric(found).items() if _group(name) == group}
        if rows:
            lines.append(f"| **{title}** | | | | |")
        for name, reactions in rows.items():
            noticed = [_since(r) for r in reactions if r.wanted and not r.failed]
            missed = [_title(r) for r in reactions if r.failed]
            moved = [_title(r) for r in reactions if r.unwanted]
            cells = ("; ".join(cell) or "–" for cell in (noticed, missed, moved))
            lines.append(f"| `{name}` | {trust(reactions)} | {' | '.join(cells)} |")
    absent = [name for name in all_metrics() if name not in _by_metric(found)]
    if absent:
        listed = ", ".join(f"`{name}`" for name in absent)
        lines.append(f"\nNot measured here, because it has no value on these videos: {listed}.")
    return "\n".join(lines)


def _title(reaction: Reaction) -> str:
    return _DAMAGES[reaction.damage].title


def _amount(damage: Damage, strength: float) -> str:
    return f"{strength:g} {damage.unit.removesuffix('s') if strength == 1 else damage.unit}"


def _since(reaction: Reaction) -> str:
    damage, strength = _DAMAGES[reaction.damage], reaction.detected_from()
    weakly = "" if reaction.auc[-1].value >= RELIABLE else ", weakly"
    return f"{damage.title} (from {_amount(damage, strength)}{weakly})"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _wanted_table(found: Sequence[Reaction]) -> str:
    lines = [
        "| metric | damage | scenes | Spearman | AUC, weakest | strongest | detected from | same scene | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, reactions in _by_metric(found).items():
        for r in reactions:
            if r.wanted:
                damage, strength = _DAMAGES[r.damage], r.detected_from()
                since = "–" if strength is None else _amount(damage, strength)
                cells = (f"`{name}`", damage.title, str(r.scenes), _interval(r.spearman), _interval(r.auc[0]))
                cells += (_interval(r.auc[-1]), since, f"{r.paired[-1].value:.2f}", r.verdict)
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _unwanted_table(found: Sequence[Reaction]) -> str:
    ignored = [r for r in found if r.wanted is False]
    moved = [r for r in ignored if r.unwanted]
    text = (
        f"{len(ignored)} pairs of a metric and a damage that it should ignore were tried; {len(moved)} of them react."
    )
    if not moved:
        return text
    lines = [text, "", "| metric | damage | Spearman | AUC by strength | verdict |", "|---|---|---|---|---|"]
    for r in sorted(moved, key=lambda r: -max(abs(e.value - 0.5) for e in r.auc)):
        damage = _DAMAGES[r.damage]
        by_strength = ", ".join(
            f"{strength:g}: {estimate.value:.2f}" for strength, estimate in zip(r.strengths, r.auc, strict=True)
        )
        unit = damage.unit
        lines.append(f"| `{r.metric}` | {damage.title} | {r.spearman.value:.2f} | {by_strength} {unit} | {r.verdict} |")
    return "\n".join(lines)


def _limits() -> tuple[str, ...]:
    return (
        "## What this does not say",
        "* The theatre's pictures are flat and clean. That a metric notices noise or a changed hat here is no proof "
        "that it would on film; that it fails here is a reason not to trust it there.\n"
        "* Text and similarity are measured with the theatre's own CLIP. Another encoder has to be calibrated anew.\n"
        "* `shot_size` is known to work in the theatre only and is not measured elsewhere.\n"
        "* No metric is for an arrangement of the background that changes between shots: whoever reacts to it does so "
        "because whole frames are compared.",
    )


def _footage_text(seen: dict[str, Any]) -> str:
    video = seen["video"]
    width, height = video["size"]
    found = [boundary["frame"] for boundary in seen["boundaries"]]
    kinds = sorted({boundary["kind"] for boundary in seen["boundaries"]})
    text = (
        f"**{video['name']}**: {video['num_frames']} frames of {width}×{height} at {video['fps']:g} a second. "
        f"{seen['detector']} finds {_counted(found, kinds)}"
    )
    if seen["requested"] is not None:
        same = found == seen["requested"]
        asked = ", ".join(map(str, seen["requested"])) or "none"
        text += f"; asked for: {asked}, which is {'exactly what it finds' if same else 'not the same'}"
    lines = [text + ".", "", "| metric | value | covers |", "|---|---|---|"]
    absent: dict[str, list[str]] = {}
    for name, record in seen["metrics"].items():
        if record["value"] is None:
            absent.setdefault(record["reason"], []).append(f"`{name}`")
        else:
            lines.append(f"| `{name}` | {record['value']:.4g} | {record['covered']} of {record['of']} |")
    lines += ["", *(f"* Not measured: {', '.join(names)}: {reason}." for reason, names in absent.items())]
    lines += [f"* {note}." for note in seen["notes"]]
    return "\n".join([*lines, *_footage_damage(seen)]).rstrip()


def _footage_damage(seen: dict[str, Any]) -> list[str]:
    """What damage to the pictures does there to the metrics that are for it, and to the cuts that are found."""
    lines = ["", "The same video with its pictures damaged:", ""]
    lines += [
        "| damage | metric | undamaged | by strength | every step worse | cuts found |",
        "|---|---|---|---|---|---|",
    ]
    clean = [boundary["frame"] for boundary in seen["boundaries"]]
    for name, rows in seen["damaged"].items():
        damage = _DAMAGES[name]
        lost = [f"{row['strength']:g}" for row in rows if row["cuts"] != clean]
        cuts = "the same" if not lost else f"others at {', '.join(lost)} {damage.unit}"
        for metric in damage.moves:
            before = seen["metrics"].get(metric, {}).get("value")
            values = [row["values"].get(metric) for row in rows]
            if before is None or None in values:
                continue
            sign = 1 if all_metrics()[metric].direction == "lower" else -1
            steps = [sign * (b - a) > 0 for a, b in pairwise((before, *values))]
            strengths = ", ".join(f"{row['strength']:g}: {value:.3g}" for row, value in zip(rows, values, strict=True))
            verdict = "yes" if all(steps) else "no"
            cells = (damage.title, f"`{metric}`", f"{before:.3g}", f"{strengths} {damage.unit}", verdict, cuts)
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _counted(frames: Sequence[int], kinds: Sequence[str]) -> str:
    if not frames:
        return "no change of shot"
    what = {"cut": "cut", "gradual": "gradual change"}.get(kinds[0] if len(kinds) == 1 else "", "change of shot")
    return f"{len(frames)} {what}{'s'[: len(frames) > 1]}, at frame {', '.join(map(str, frames))}"
