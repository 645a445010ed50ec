"""The tables of a calibration, whatever was damaged: what a metric notices, misses, and is wrongly moved by.

Every judgement follows from the numbers by the rules of `eval.calibration.reaction`. `damages` are those that the
reactions are to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eval.calibration.damage import Damage
from eval.calibration.reaction import ROUNDS
from eval.metrics import all_metrics
from eval.trust import NOTICED, RELIABLE, Estimate, Reaction, amount, judged

_GROUPS = {
    "transitions": "Transitions",
    "inter-shot": "Between shots",
    "intra-shot": "Within shots",
    "adherence": "Adherence to the text",
    "quality": "Quality of the pictures",
}
HOW_TO_READ = (
    "* **AUC**: how likely a damaged video scores worse than an undamaged one of any scene: 0.5 is chance, 1 is "
    f"always. With 95 % interval from {ROUNDS:,} bootstrap rounds over scenes.\n"
    f"* **detected from**: the least strength from which on AUC is at least {NOTICED} and its interval lies above "
    f"chance. A metric *reacts* with an AUC of {RELIABLE} or more at the strongest damage, below that *weakly*.\n"
    "* **same scene**: how likely a damaged video scores worse than the undamaged version of the same scene. This "
    "is what counts where systems are compared on the same storyboards.\n"
    "* **Spearman**: rank correlation of strength and score within a scene, mean over scenes; 1 if every stronger "
    "damage scores worse."
)


def plain_reactions(found: Sequence[Reaction]) -> list[dict[str, Any]]:
    """Reactions as JSON values, rounded."""
    plain = [{**asdict(r), "verdict": r.verdict, "detected_from": r.detected_from()} for r in found]
    return json.loads(json.dumps(plain), parse_float=lambda text: round(float(text), 4))


def plain_damages(damages: Sequence[Damage]) -> dict[str, Any]:
    """What was damaged, by name, as JSON values."""
    return {d.name: {"title": d.title, "unit": d.unit, "strengths": d.strengths} for d in damages}


def absent_metrics(found: Sequence[Reaction]) -> list[str]:
    """The metrics that have no value on the videos of a calibration."""
    return [name for name in all_metrics() if name not in _by_metric(found)]


def _by_metric(found: Sequence[Reaction]) -> dict[str, list[Reaction]]:
    metrics: dict[str, list[Reaction]] = {}
    for reaction in found:
        metrics.setdefault(reaction.metric, []).append(reaction)
    return metrics


def _group(name: str) -> str:
    return all_metrics()[name.removesuffix("@crops")].group


def summary_table(found: Sequence[Reaction], damages: Sequence[Damage]) -> str:
    """A row for every metric: how far to trust it, and why."""
    by_name = {damage.name: damage for damage in damages}
    lines = ["| metric | trust | notices | misses | wrongly moved by |", "|---|---|---|---|---|"]
    for group, title in _GROUPS.items():
        rows = {name: rs for name, rs in _by_metric(found).items() if _group(name) == group}
        if rows:
            lines.append(f"| **{title}** | | | | |")
        for name, reactions in rows.items():
            noticed = [_since(r, by_name[r.damage]) for r in reactions if r.wanted and not r.failed]
            missed = [by_name[r.damage].title for r in reactions if r.failed]
            moved = [_beginning(by_name[r.damage], r.moved_from) for r in reactions if r.unwanted]
            cells = ("; ".join(cell) or "–" for cell in (noticed, missed, moved))
            lines.append(f"| `{name}` | {judged(reactions)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _amount(damage: Damage, strength: float) -> str:
    return amount(strength, damage.unit)


def _beginning(damage: Damage, strength: float) -> str:
    return f"{damage.title} (from {_amount(damage, strength)})"


def _since(reaction: Reaction, damage: Damage) -> str:
    weakly = "" if reaction.auc[-1].value >= RELIABLE else ", weakly"
    return f"{damage.title} (from {_amount(damage, reaction.detected_from())}{weakly})"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def wanted_table(found: Sequence[Reaction], damages: Sequence[Damage]) -> str:
    """A row for every metric and every damage that it is for."""
    by_name = {damage.name: damage for damage in damages}
    lines = [
        "| metric | damage | scenes | Spearman | AUC, weakest | strongest | detected from | same scene | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, reactions in _by_metric(found).items():
        for r in reactions:
            if r.wanted:
                damage, strength = by_name[r.damage], r.detected_from()
                since = "–" if strength is None else _amount(damage, strength)
                cells = (f"`{name}`", damage.title, str(r.scenes), _interval(r.spearman), _interval(r.auc[0]))
                cells += (_interval(r.auc[-1]), since, f"{r.paired[-1].value:.2f}", r.verdict)
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def unwanted_table(found: Sequence[Reaction], damages: Sequence[Damage]) -> str:
    """A row for every metric and every damage that it reacts to and should ignore."""
    by_name = {damage.name: damage for damage in damages}
    ignored = [r for r in found if r.wanted is False]
    moved = [r for r in ignored if r.unwanted]
    text = (
        f"{len(ignored)} pairs of a metric and a damage that it should ignore were tried; {len(moved)} of them react."
    )
    if not moved:
        return text
    lines = [text, "", "| metric | damage | Spearman | AUC by strength | verdict |", "|---|---|---|---|---|"]
    for r in sorted(moved, key=lambda r: -max(abs(e.value - 0.5) for e in r.auc)):
        damage = by_name[r.damage]
        by_strength = ", ".join(
            f"{strength:g}: {estimate.value:.2f}" for strength, estimate in zip(r.strengths, r.auc, strict=True)
        )
        unit = damage.unit
        lines.append(f"| `{r.metric}` | {damage.title} | {r.spearman.value:.2f} | {by_strength} {unit} | {r.verdict} |")
    return "\n".join(lines)
