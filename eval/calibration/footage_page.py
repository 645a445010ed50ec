"""The calibration on film as people read it: FOOTAGE.md, and footage.json with every number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.calibration.clips import Clip
from eval.calibration.damage.film import FILM_DAMAGES
from eval.calibration.joining import FilmScene
from eval.calibration.tables import (
    HOW_TO_READ,
    plain_damages,
    plain_reactions,
    summary_table,
    unwanted_table,
    wanted_table,
)
from eval.metrics import all_metrics
from eval.trust import Reaction
from holocine.files import replacing
from holocine.plurals import counted

FORMAT = "holocine-footage/1"
PAGE, NUMBERS = "FOOTAGE.md", "footage.json"


@dataclass(frozen=True)
class Calibration:
    """What was found with one choice of encoders.

    spec: the CLIP that was asked for. encoders: id and licence of those that were loaded, by role. reasons: why metrics
    have no value in any undamaged scene, by name.
    """

    spec: str
    encoders: dict[str, str]
    found: list[Reaction]
    reasons: dict[str, str]


def write_footage(
    folder: Path,
    clips: Sequence[Clip],
    scenes: Sequence[FilmScene],
    calibrations: Sequence[Calibration],
    detector: str,
) -> None:
    """Write FOOTAGE.md and footage.json into `folder`; the first of the `calibrations` is shown in full."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / NUMBERS) as temporary:
        plain = _plain(clips, scenes, calibrations, detector)
        temporary.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(footage_page(clips, scenes, calibrations, detector), encoding="utf-8")


def footage_page(
    clips: Sequence[Clip], scenes: Sequence[FilmScene], calibrations: Sequence[Calibration], detector: str
) -> str:
    """The text of FOOTAGE.md."""
    height, width = scenes[0].frames.shape[1:3]
    shots, videos = len(_shots(scenes)), len(scenes) * (1 + sum(len(d.strengths) for d in FILM_DAMAGES))
    parts = [
        "# How far each metric can be trusted on film",
        f"Pieces of {shots} shots of {counted(len(clips), 'clip')} were joined to {len(scenes)} scenes of "
        f"{_span(len(scene.pieces) for scene in scenes)} shots ({_span(len(scene.frames) for scene in scenes)} frames "
        f"of {width}×{height}), so that every cut is known exactly. The scenes were damaged in {len(FILM_DAMAGES)} "
        f"known ways of growing strength and scored like any video: up to {videos:,} videos. A metric is good if it "
        "notices the damage it is for and ignores the rest; rendered truth, with damage to characters and places, is "
        "in [CALIBRATION.md](CALIBRATION.md).",
        HOW_TO_READ,
        "## The clips",
        _clips_table(clips, detector),
    ]
    for number, calibration in enumerate(calibrations):
        parts += _findings(calibration, calibrations[0] if number else None, len(calibrations) > 1)
    parts += [
        f"All numbers, with intervals and for every strength, are in [{NUMBERS}]({NUMBERS}).",
        "## What this does not say",
        "\n".join(f"* {limit}" for limit in _limits(clips, scenes)),
        "## Make it again",
        f"```sh\n{_command(scenes, calibrations)}\n```\n\n`DIR` holds the clips and, if their cuts or captions are "
        "known, `clips.json`: `" + json.dumps({clips[0].name: _said(clips[0])}, ensure_ascii=False) + "`. Values are "
        "kept as they are made, so the command can be stopped and goes on.",
    ]
    return "\n\n".join(parts) + "\n"


def _findings(calibration: Calibration, first: Calibration | None, named: bool) -> list[str]:
    """The tables of one choice of encoders; of what is measured in the same way as with the first, nothing."""
    found = calibration.found if first is None else _other_than(calibration.found, first.found)
    models = [f"{role}: {name}" for role, name in calibration.encoders.items()]
    title = f"With `{calibration.spec}`" if named else "In short"
    return [
        f"## {title}",
        f"Encoders: {'; '.join(models) or 'none'}."
        + ("" if first is None else f" What does not depend on them is as with `{first.spec}`."),
        summary_table(found, FILM_DAMAGES),
        *_absent(calibration, first),
        f"{'###' if named else '##'} Does it notice what it is for?",
        wanted_table(found, FILM_DAMAGES),
        f"{'###' if named else '##'} Does it react to what it should ignore?",
        unwanted_table(found, FILM_DAMAGES),
    ]


def _other_than(found: Sequence[Reaction], first: Sequence[Reaction]) -> list[Reaction]:
    """The reactions of metrics that react in any way other than they do in `first`."""
    names = {reaction.metric for reaction in set(found) - set(first)}
    return [reaction for reaction in found if reaction.metric in names]


def _absent(calibration: Calibration, first: Calibration | None) -> list[str]:
    """Which metrics have no value, and why; not said again of those of which it was said of the first encoders."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in calibration.reasons.items():
        if first is None or first.reasons.get(name) != reason:
            by_reason.setdefault(reason, []).append(f"`{name}`")
    lines = [f"* {', '.join(names)}: {reason}." for reason, names in by_reason.items()]
    return ["Without a value:", "\n".join(lines)] if lines else []


def _clips_table(clips: Sequence[Clip], detector: str) -> str:
    lines = ["| clip | what it is | frames | size | a second | cut at | captions |", "|---|---|---|---|---|---|---|"]
    for clip in clips:
        how = "said" if clip.known else f"found by {detector}"
        frames = str(len(clip.frames)) + ("" if clip.whole else ", the first of more")
        cells = (clip.name, clip.notes.about or "–", frames, f"{clip.size[0]}×{clip.size[1]}", f"{clip.fps:.4g}")
        cells += (f"{', '.join(map(str, clip.cuts)) or 'nothing'} ({how})", "yes" if clip.notes.captions else "no")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _limits(clips: Sequence[Clip], scenes: Sequence[FilmScene]) -> list[str]:
    """What such a table cannot tell, a sentence or more each."""
    shots, described = len(_shots(scenes)), sum(scene.described for scene in scenes)
    found = [clip.name for clip in clips if not clip.known]
    limits = [
        f"The {len(scenes)} scenes share {shots} shots of {counted(len(clips), 'clip')}: they are not "
        f"{len(scenes)} films. Intervals are about these scenes, and too narrow for film in general. A metric that is "
        "good here may fail on other footage; one that fails here is a reason not to trust it on footage like this.",
        "Every cut joins shots of different clips or of different places, which is easier to see than a cut from shot "
        "to reverse shot.",
        "Nobody knows where characters are, or which places, light, cameras and shot sizes are meant: whether a "
        "metric tells one person from another is not tried. The region in other colours is a box, not a character.",
        f"Shots are {_span(n for scene in scenes for n in scene.lengths)} frames long and play at "
        f"{scenes[0].fps:.4g} frames a second whatever their own rate; one that has to go on beyond its end runs "
        "backwards.",
        "Damage is done to decoded pictures of this size; what compression or another size would do is not tried, and "
        "clips bring noise and blur of their own.",
    ]
    if described < len(scenes):
        limits.append(
            f"{len(scenes) - described} of {len(scenes)} scenes hold shots that nobody described: nothing that needs "
            "words was measured there, and no captions could be exchanged."
        )
    if found:
        limits.append(
            f"The cuts of {', '.join(found)} were found, not said: a cut that the detector misses there is not known "
            "to be one."
        )
    return limits


def _plain(
    clips: Sequence[Clip], scenes: Sequence[FilmScene], calibrations: Sequence[Calibration], detector: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clips": [
            {
                "name": clip.name,
                "about": clip.notes.about,
                "num_frames": len(clip.frames),
                "size": clip.size,
                "fps": round(clip.fps, 4),
                "shots": [[shot.start, shot.stop] for shot in clip.shots],
                "known": clip.known,
                "captions": clip.notes.captions is not None,
            }
            for clip in clips
        ],
        "scenes": [
            {
                "fps": round(scene.fps, 4),
                "size": scene.frames.shape[2:0:-1],
                "pieces": [
                    {"clip": piece.clip.name, "start": piece.start, "num_frames": length}
                    for piece, length in zip(scene.pieces, scene.lengths, strict=True)
                ],
            }
            for scene in scenes
        ],
        "detector": detector,
        "metrics": {name: metric.version for name, metric in all_metrics().items()},
        "damage": plain_damages(FILM_DAMAGES),
        "calibrations": [
            {
                "encoders": {"asked": one.spec, **one.encoders},
                "absent": one.reasons,
                "reactions": plain_reactions(one.found),
            }
            for one in calibrations
        ],
    }


def _command(scenes: Sequence[FilmScene], calibrations: Sequence[Calibration]) -> str:
    specs = " ".join(one.spec for one in calibrations)
    return f"python -m eval calibrate --footage DIR --scenes {len(scenes)} --encoders {specs}"


def _said(clip: Clip) -> dict[str, Any]:
    """The entry of a clip in clips.json, as it could be."""
    captions = clip.notes.captions or [f"Shot {number + 1}." for number in range(len(clip.shots))]
    return {"cuts": list(clip.cuts), "captions": list(captions), "about": clip.notes.about}


def _shots(scenes: Sequence[FilmScene]) -> set[tuple[str, int]]:
    return {piece.taken_from for scene in scenes for piece in scene.pieces}


def _span(numbers: Any) -> str:
    numbers = sorted(set(numbers))
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
