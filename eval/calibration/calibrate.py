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
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from eval.boxes import Box, crop
from eval.calibration.damage import CROPS, DAMAGES, Damage
from eval.calibration.reaction import reactions
from eval.encoders import Encoders, load_encoders
from eval.encoders.finders import load_finder
from eval.evidence import Embeddings
from eval.footage import sampled_frames
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.scorecard import examine, measure
from eval.shots import ShotDetector, load_detector
from eval.sighting import given_boxes
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import FrameTruth, render
from holocine.puppet.world import Scene, sample_scene

logger = logging.getLogger(__name__)

FIRST_SEED = 840_000  # calibration scenes: seeds that neither the models nor the metrics were made with
NUM_FRAMES, NUM_SHOTS = 97, 5
HERE = Path(__file__).parents[1]
VALUES = "calibration_values.jsonl"
_DAMAGES = {damage.name: damage for damage in DAMAGES}

Key = tuple[int, str | None, float | None]  # scene, damage, strength; no damage for the undamaged scene


@dataclass(frozen=True)
class Record:
    """The values of all metrics of one video; None for a damage that a scene has no room for."""

    key: Key
    values: dict[str, float | None] | None


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


def keys(seeds: Iterable[int], damages: Iterable[Damage] = DAMAGES) -> list[Key]:
    """Everything that is to be scored, scene by scene."""
    of_a_scene = [(None, None), *((damage.name, strength) for damage in damages for strength in damage.strengths)]
    return [(seed, *which) for seed in seeds for which in of_a_scene]


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
    mark, wanted = fingerprint(), keys(scenes, damages)
    kept = _read(path, mark)
    records = {key: kept[key] for key in wanted if key in kept}
    if progress:
        progress(len(records))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _end_line(file)
        for record in _score_all(scenes, [key for key in wanted if key not in records], jobs):
            records[record.key] = record
            scene, damage, strength = record.key
            line = {"scene": scene, "damage": damage, "strength": strength, "made_with": _made_with(mark, damage)}
            file.write(json.dumps({**line, "values": record.values}).encode() + b"\n")
            file.flush()
            if progress:
                progress(1)
    return records


def _score_all(scenes: dict[int, Scene], wanted: list[Key], jobs: int) -> Iterator[Record]:
    if jobs == 1:
        yield from (_score(scenes[key[0]], key) for key in wanted)
        return
    context = multiprocessing.get_context("spawn")  # forked copies of a process that has used torch may hang
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            for task in as_completed([pool.submit(_score, scenes[key[0]], key) for key in wanted]):
                yield task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_line(file: BinaryIO) -> None:
    """Put an end to a last line that was cut off."""
    if file.seek(0, 2):
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _read(path: Path, mark: str) -> dict[Key, Record]:
    """What was kept and was made in the same way; a last line that was cut off is not there."""
    if not path.exists():
        return {}
    records = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line.get("made_with") == _made_with(mark, line["damage"]):
            key = (line["scene"], line["damage"], line["strength"])
            records[key] = Record(key, line["values"])
    return records


def arrange(records: dict[Key, Record], damages: tuple[Damage, ...] = DAMAGES) -> dict[tuple[str, str], np.ndarray]:
    """Values by metric and damage as arrays (strengths + 1, scenes), NaN where there is none; see `reaction`."""
    clean = {key[0]: record.values for key, record in records.items() if key[1] is None}
    names = list(dict.fromkeys(name for values in clean.values() for name in values))
    arrays = {}
    for damage in damages:
        rows = [[clean[seed] for seed in clean]]
        for strength in damage.strengths:
            found = (records.get((seed, damage.name, strength)) for seed in clean)
            rows.append([(record.values if record else None) or {} for record in found])
        for name in names:
            values = [[np.nan if one.get(name) is None else one[name] for one in row] for row in rows]
            arrays[name, damage.name] = np.array(values, np.float64)
    return arrays


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m eval calibrate`."""
    parser.add_argument("--scenes", type=int, default=40, help="how many scenes to damage (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="scenes that are scored at a time (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder for CALIBRATION.md, calibration.json and pictures"
    )
    parser.add_argument(
        "--values",
        type=Path,
        default=Path("outputs") / VALUES,
        help="file that keeps the value of every metric of every video (default: %(default)s)",
    )
    parser.add_argument(
        "--footage", nargs="*", type=Path, default=[], metavar="VIDEO", help="filmed or generated videos to report on"
    )
    parser.add_argument("--footage-storyboard", type=Path, metavar="FILE", help="what those videos were asked to show")


def run(options: argparse.Namespace) -> None:
    """Score what is missing, then write the tables and pictures."""
    from tqdm import tqdm

    from eval.calibration.page import write_calibration

    if options.scenes < 2:
        raise ValueError(f"--scenes is {options.scenes}, but intervals need at least 2 scenes")
    scenes = calibration_scenes(options.scenes)
    with tqdm(total=len(keys(scenes)), unit="video") as bar:
        records = collect(scenes, options.values, options.jobs, progress=bar.update)
    found = reactions(metrics_by_name(), DAMAGES, arrange(records))
    footage = _look_at(options.footage, options.footage_storyboard)
    write_calibration(options.out, found, next(iter(scenes.values())), len(scenes), footage)
    print(
        f"wrote {options.out / 'CALIBRATION.md'}: {len(found)} reactions of metrics to damage in {len(scenes)} scenes"
    )


def _look_at(videos: Sequence[Path], storyboard: Path | None) -> list[dict[str, Any]]:
    """What the scorer finds in other videos."""
    from tqdm import tqdm

    from eval.calibration.footage import CHANGES, observed

    if not videos:
        return []
    each = 1 + sum(len(damage.strengths) for damage in CHANGES)
    with tqdm(total=len(videos) * each, unit="video") as bar:
        return [observed(video, storyboard, bar.update) for video in videos]
