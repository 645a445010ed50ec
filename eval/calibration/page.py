"""The calibration as people read it: CALIBRATION.md with its pictures, and calibration.json with every number.

Every judgement in the text follows from the numbers by the rules of `eval.calibration.reaction`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.calibration.damage import DAMAGES
from eval.calibration.pictures import draw_curves, draw_damage, draw_matrix
from eval.calibration.tables import (
    HOW_TO_READ,
    absent_metrics,
    plain_damages,
    plain_reactions,
    summary_table,
    unwanted_table,
    wanted_table,
)
from eval.metrics import all_metrics
from eval.trust import Reaction
from holocine.files import replacing
from holocine.puppet.world import Scene

FORMAT = "holocine-calibration/1"
PICTURES = "calibration"
_CROPS = "* Names that end in **@crops** are measured on true boxes, the others on those that the locator finds."


def write_calibration(
    folder: Path,
    found: Sequence[Reaction],
    scene: Scene,
    num_scenes: int,
    encoders: Mapping[str, str] | None = None,
    detector: str | None = None,
) -> None:
    """Write CALIBRATION.md, calibration.json and the pictures into `folder`; `scene` is shown with its damage.

    encoders: ids of those that looked, by role; detector: name of what found the shots.
    """
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    draw_damage(pictures / "damage.png", scene)
    draw_matrix(pictures / "matrix.png", found)
    draw_curves(pictures / "curves.png", found)
    with replacing(folder / "calibration.json") as temporary:
        temporary.write_text(
            json.dumps(_plain(found, num_scenes, encoders or {}, detector), indent=1) + "\n", encoding="utf-8"
        )
    with replacing(folder / "CALIBRATION.md") as temporary:
        temporary.write_text(page(found, num_scenes), encoding="utf-8")


def _plain(
    found: Sequence[Reaction], num_scenes: int, encoders: Mapping[str, str], detector: str | None
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "scenes": num_scenes,
        "encoders": dict(encoders),
        **({} if detector is None else {"detector": detector}),
        "metrics": {name: metric.version for name, metric in all_metrics().items()},
        "damage": plain_damages(DAMAGES),
        "reactions": plain_reactions(found),
    }


def page(found: Sequence[Reaction], num_scenes: int) -> str:
    """The text of CALIBRATION.md."""
    videos = num_scenes * (1 + sum(len(damage.strengths) for damage in DAMAGES))
    parts = [
        "# How far each metric can be trusted",
        f"{num_scenes} scenes of the puppet theatre, whose truth is known exactly, were rendered, damaged in "
        f"{len(DAMAGES)} known ways of growing strength, and scored like any video: up to {videos:,} videos. A metric "
        "is good if it notices the damage it is for and ignores the rest.",
        f"![One scene, undamaged and damaged]({PICTURES}/damage.png)",
        f"{HOW_TO_READ}\n{_CROPS}",
        "## In short",
        summary_table(found, DAMAGES),
        *_absent(found),
        "## Does it notice what it is for?",
        f"![How likely a damaged video scores worse than an undamaged one]({PICTURES}/curves.png)",
        wanted_table(found, DAMAGES),
        "## Does it react to what it should ignore?",
        unwanted_table(found, DAMAGES),
        "## Every metric against every damage",
        f"![AUC at the strongest damage]({PICTURES}/matrix.png)",
        "All numbers, with intervals and for every strength, are in [calibration.json](calibration.json).",
        *_limits(),
        "## Make it again",
        "```sh\npython -m eval calibrate --scenes "
        f"{num_scenes}\n```\n\nValues are kept as they are made, so the command can be stopped and goes on; with more "
        "scenes it adds to what there is.",
    ]
    return "\n\n".join(parts) + "\n"


def _absent(found: Sequence[Reaction]) -> list[str]:
    listed = ", ".join(f"`{name}`" for name in absent_metrics(found))
    return [f"Not measured here, because it has no value on these videos: {listed}."] if listed else []


def _limits() -> tuple[str, ...]:
    return (
        "## What this does not say",
        "* The theatre's pictures are flat and clean. That a metric notices noise or a changed hat here is no proof "
        "that it would on film; that it fails here is a reason not to trust it there.\n"
        "* Text and similarity are measured with the theatre's own CLIP. For another encoder, and for film, "
        "`python -m eval calibrate --footage DIR --encoders SPEC` makes the same table from clips of your own.\n"
        "* `shot_size` is measured in another way on film, by faces and figures in heads, and `camera_angle` on film "
        "alone: neither is tried here.\n"
        "* No metric is for an arrangement of the background that changes between shots: whoever reacts to it does so "
        "because whole frames are compared.",
    )
