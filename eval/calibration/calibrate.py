"""How far each metric can be trusted: rendered truth is damaged in known, graded ways and scored like any video.

Every scene of the puppet theatre is scored undamaged and with every damage of `damage` in every strength. What was
scored is kept, one line a video, so the same command goes on where it was stopped, and a larger `--scenes` adds to what
there is. From the values come `CALIBRATION.md`, its pictures and `calibration.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eval.boxes import Box, crop
from eval.calibration.clips import WIDTH
from eval.calibration.damage import CROPS, DAMAGES, Damage
from eval.calibration.footage import FOOTAGE_SCENES, FOOTAGE_VALUES, LEAST_SCENES, Setup, run_footage
from eval.calibration.keeping import Key, Record, arrange, collect_records, keys, score_all
from eval.calibration.reaction import reactions
from eval.encoders import Encoders, load_encoders
from eval.encoders.finders import load_finder
from eval.evidence import Embeddings
from eval.footage import sampled_frames
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.scorecard import encoder_records, examine, measure
from eval.shots import ShotDetector, load_detector
from eval.sighting import given_boxes
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import FrameTruth, render
from holocine.puppet.world import Scene, sample_scene

logger = logging.getLogger(__name__)

FIRST_SEED = 840_000  # calibration scenes: seeds that neither the models nor the metrics were made with
NUM_SCENES, NUM_FRAMES, NUM_SHOTS = 40, 97, 5
HERE = Path(__file__).parents[1]
VALUES = "calibration_values.jsonl"
_DAMAGES = {damage.name: damage for damage in DAMAGES}


def calibration_scenes(count: int, num_frames: int = NUM_FRAMES, num_shots: int = NUM_SHOTS) -> dict[int, Scene]:
    """Scenes with at least two puppets, by seed; always the same ones."""
    scenes: dict[int, Scene] = {}
    seed = FIRST_SEED
    while len(scenes) < count:
        scene = sample_scene(seed, num_frames, num_shots=num_shots)
        if len(scene.puppets) >= 2:
            scenes[seed] = scene
        seed += 1
    return scenes


def truth_boxes(scene: Scene, truths: Sequence[FrameTruth]) -> dict[str, dict[int, tuple[float, ...]]]:
    """Where the puppets are in the frames of a rendered scene, by tag, as `eval.score` takes boxes."""
    boxes: dict[str, dict[int, tuple[float, ...]]] = {f"[character{i + 1}]": {} for i in range(len(scene.puppets))}
    for frame, truth in enumerate(truths):
        for puppet in truth.puppets:
            x0, y0, x1, y1 = puppet.box
            if x1 > x0 and y1 > y0 and not puppet.from_behind:
                boxes[f"[character{puppet.index + 1}]"][frame] = puppet.box
    return boxes


_rendered = lru_cache(maxsize=1)(render)  # a scene is damaged many times in a row


def score_one(scene: Scene, key: Key, encoders: Encoders, detector: ShotDetector) -> Record:
    """Score a scene, undamaged or damaged as `key` says."""
    frames, truths = _rendered(scene)
    _, name, strength = key
    if name is None:
        return Record(key, metric_values(frames, to_storyboard(scene), truth_boxes(scene, truths), encoders, detector))
    damage = _DAMAGES[name]
    damaged = damage.apply(scene, frames, strength, np.random.default_rng((scene.seed, *name.encode())))
    boxes = truth_boxes(scene, truths) if damage.in_place else {}
    return Record(key, damaged and metric_values(*damaged, boxes, encoders, detector))


def metric_values(frames, storyboard, boxes, encoders: Encoders, detector: ShotDetector) -> dict[str, float | None]:
    """Every metric with characters as they are found, and where there are boxes the metrics of `CROPS` on them too."""
    card, evidence = examine(frames, storyboard, encoders=encoders, detector=detector)
    values = {name: record.value for name, record in card.metrics.items()}
    if any(boxes.values()) and encoders.clip is not None:
        sampled = sampled_frames(len(frames), evidence.footage.fps)
        crops = {tag: embedded(frames, of_tag, sampled, encoders.clip) for tag, of_tag in boxes.items()}
        given = replace(
            evidence,
            sightings=given_boxes(boxes, evidence.shots),
            crops={tag: embeddings for tag, embeddings in crops.items() if embeddings is not None},
        )
        for name in CROPS:
            values[name] = measure(all_metrics()[name.removesuffix("@crops")], given).value
    return values


def embedded(frames: np.ndarray, boxes: Mapping[int, Box], wanted: np.ndarray, clip: Any) -> Embeddings | None:
    """CLIP embeddings of what is in a character's box in the wanted frames; None where it is in none of them."""
    parts = {int(n): part for n in wanted if int(n) in boxes and (part := crop(frames[n], boxes[int(n)])) is not None}
    if not parts:
        return None
    vectors = np.concatenate([clip.embed_images(part[None]) for part in parts.values()])
    return Embeddings(clip.id, np.array(list(parts), np.int64), vectors)


def metrics_by_name() -> dict[str, Metric]:
    """All metrics, and those on crops under a name of their own."""
    metrics = all_metrics()
    return {**metrics, **{name: metrics[name.removesuffix("@crops")] for name in CROPS}}


# Running and resuming


@lru_cache(maxsize=1)
def _models(seed: int) -> tuple[Encoders, ShotDetector]:
    import torch

    torch.set_num_threads(1)
    return load_encoders("auto", to_storyboard(sample_scene(seed))), load_detector()


def fingerprint() -> str:
    """Of everything that a kept value depends on but the damage: metrics, encoders, detector and the theatre itself."""
    encoders, detector = _models(FIRST_SEED)
    versions = {name: metric.version for name, metric in all_metrics().items()}
    weights = [encoder.sha256 for encoder in (encoders.clip, encoders.dino, encoders.aesthetic) if encoder]
    scene = sample_scene(FIRST_SEED)
    finder, _ = load_finder(None, to_storyboard(scene))
    weights += [finder.sha256] if finder is not None else []
    theatre = hashlib.sha256(render(scene, only=range(0, scene.num_frames, 8))[0].tobytes()).hexdigest()
    text = to_storyboard(scene).prompt
    return hashlib.sha256(json.dumps([versions, weights, detector.name, theatre, text]).encode()).hexdigest()[:16]


def _made_with(mark: str, damage: str | None) -> str:
    """What a kept value says of how it was made: the fingerprint, and the version of the damage."""
    return f"{mark}/{_DAMAGES[damage].version if damage in _DAMAGES else 0}"


def _score(scene: Scene, key: Key) -> Record:
    return score_one(scene, key, *_models(FIRST_SEED))


def collect(
    scenes: dict[int, Scene],
    path: Path,
    jobs: int = 1,
    damages: Iterable[Damage] = DAMAGES,
    progress: Callable[[int], None] | None = None,
) -> dict[Key, Record]:
    """The values of all scenes and damages; those that `path` (JSON lines) lacks are scored and added to it."""
    mark = fingerprint()
    return collect_records(
        keys(scenes, damages),
        path,
        lambda key: _made_with(mark, key[1]),
        lambda missing: score_all(_score, [(scenes[key[0]], key) for key in missing], jobs),
        progress,
    )


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m eval calibrate`."""
    parser.add_argument(
        "--scenes",
        type=int,
        help=f"how many scenes to damage (default: {NUM_SCENES}; of footage {FOOTAGE_SCENES}, at least {LEAST_SCENES})",
    )
    parser.add_argument("--jobs", type=int, default=1, help="videos that are scored at a time (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the page, its numbers and pictures")
    parser.add_argument(
        "--values",
        type=Path,
        help="file that keeps the value of every metric of every video "
        f"(default: {Path('outputs') / VALUES}, or {Path('outputs') / FOOTAGE_VALUES})",
    )
    group = parser.add_argument_group("on clips of your own, and with the encoders that you score with")
    group.add_argument(
        "--footage",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folder of clips, or clips; clips.json in the folder may say where they are cut and what they show",
    )
    group.add_argument(
        "--encoders",
        nargs="+",
        metavar="SPEC",
        help="CLIP models, as `python -m eval score` takes them (default: auto)",
    )
    group.add_argument("--dino", metavar="SPEC", help="DINO model, likewise (default: auto)")
    group.add_argument(
        "--boxes", metavar="owlv2|DIR", help="OWLv2, to find the characters of clips with captions (default: nobody)"
    )
    group.add_argument(
        "--width", type=int, metavar="PIXELS", help=f"clips are reduced to at most this width (default: {WIDTH})"
    )


def run(options: argparse.Namespace) -> None:
    """Score what is missing, then write the tables and pictures."""
    if options.scenes is not None and options.scenes < 2:
        raise ValueError(f"--scenes is {options.scenes}, but intervals need at least 2 scenes")
    if options.footage:
        if options.scenes is not None and options.scenes < LEAST_SCENES:
            raise ValueError(
                f"--scenes is {options.scenes}, but of footage at least {LEAST_SCENES} are needed: with fewer, "
                "differences of any size look as if single videos could be told apart"
            )
        run_footage(
            Setup(
                tuple(options.footage),
                options.scenes or FOOTAGE_SCENES,
                options.width or WIDTH,
                options.dino or "auto",
                finder=options.boxes,
            ),
            tuple(dict.fromkeys(options.encoders or ("auto",))),
            options.out,
            options.values or Path("outputs") / FOOTAGE_VALUES,
            options.jobs,
        )
        return
    for name in ("encoders", "dino", "boxes", "width"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} goes with --footage: the theatre is scored with its own encoders")
    run_theatre(options.scenes or NUM_SCENES, options.out, options.values or Path("outputs") / VALUES, options.jobs)


def run_theatre(num_scenes: int, out: Path, values: Path, jobs: int) -> None:
    """CALIBRATION.md, calibration.json and their pictures."""
    from tqdm import tqdm

    from eval.calibration.page import write_calibration

    scenes = calibration_scenes(num_scenes)
    with tqdm(total=len(keys(scenes, DAMAGES)), unit="video") as bar:
        records = collect(scenes, values, jobs, progress=bar.update)
    found = reactions(metrics_by_name(), DAMAGES, arrange(records, DAMAGES))
    encoders, detector = _models(FIRST_SEED)
    finder, _ = load_finder(None, to_storyboard(sample_scene(FIRST_SEED)))
    ids = {role: record.id for role, record in encoder_records(encoders, finder).items()}
    write_calibration(out, found, next(iter(scenes.values())), len(scenes), ids, detector.name)
    print(f"wrote {out / 'CALIBRATION.md'}: {len(found)} reactions of metrics to damage in {len(scenes)} scenes")
