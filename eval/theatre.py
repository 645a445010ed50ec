"""The puppet theatre, where the truth is known: how good its model is, and how well its cuts are found.

Generated videos of storyboards that the model never met are compared with the world's truth. Cuts are found by a shot
detector at its published threshold, everything else is read by the judge, whose own error on rendered truth stands
beside each number; how much the pictures are like the truth's is said by `eval.fidelity`. Counts are stored and shares
derived, so results add up.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.cut_accuracy import shot_cut_accuracy
from eval.fidelity import DISTANCE, SHARPNESS, Pictures, frechet_distance, sharpness, sum_pictures
from eval.shots import DETECTORS, ShotDetector, load_detector, thumbnails
from eval.tally import Tally
from eval.theatre_references import WITH, WITHOUT, compare_references
from eval.theatre_retakes import ONE_GO, WAYS, compare_ways
from holocine.files import check_writable, replacing
from holocine.program import add_command
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import FACTS, LOOKS, shot_answers
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, sample_scene

if TYPE_CHECKING:
    from PIL import Image

    from eval.encoders.models import ClipEncoder
    from holocine.puppet.judge import Judge

FIRST_SEED = 800_000  # measured scenes: seeds that training never uses
GENERATED, THROUGH_VAE, TRUTH = "generated", "truth through the VAE", "truth"
_TOGETHER = 4  # scenes measured in one go


def measured_scenes(count: int = 100, num_frames: int = 65, first: int = 0) -> list[Scene]:
    """Scenes that no model was trained on, from number `first` on; always the same ones."""
    return [sample_scene(FIRST_SEED + first + i, num_frames=num_frames) for i in range(count)]


def measure(videos: Iterable[tuple[Scene, np.ndarray]], judge: Judge, detector: ShotDetector | None = None) -> Tally:
    """Compare videos, uint8 (frames, H, W, 3), with the scenes they were asked to show."""
    from holocine.puppet.judge import read_shots

    detector, tally = detector or load_detector(), Tally()
    for scene, frames in videos:
        found = set(detector.detect(thumbnails(frames)).cuts)
        tally.add("cut on the requested frame", [cut in found for cut in scene.cuts])
        tally.add("video without an extra cut", [found <= set(scene.cuts)])
        seen = read_shots(judge, frames, scene.cuts)
        looks: dict[int, list[dict[str, str]]] = {}
        for index, shot in enumerate(scene.shots):
            truth = shot_answers(scene, index)
            answers = {name: seen[index][name] == truth[name] for name in FACTS}
            slots = range(len(shot.who))
            tally.add("setting", [answers["setting"]])
            tally.add("size", [answers["size"]])
            tally.add("action", [answers["action"]])
            tally.add("camera", [answers["camera"]])
            tally.add("framing", [answers["framing"]])
            tally.add("lanterns (dark, coming on or lit)", [answers["lanterns"]] if scene.lanterns else [])
            for trait in (*LOOKS, "prop"):
                tally.add(trait, [answers[f"{trait}{slot}"] for slot in slots])
            puppets = all(answers[f"{trait}{slot}"] for slot in slots for trait in LOOKS)
            tally.add("puppets (colour, body and hat of each)", [puppets])
            tally.add("puppets and setting", [puppets and answers["setting"]])
            for slot, who in enumerate(shot.who):
                looks.setdefault(who, []).append({t: seen[index][f"{t}{slot}"] for t in (*LOOKS, "scarf")})
        for appearances in looks.values():
            pairs = list(combinations(appearances, 2))
            tally.add("same puppet, same looks across shots", [a == b for a, b in pairs])
            tally.add("same puppet, same scarf across shots", [a["scarf"] == b["scarf"] for a, b in pairs])
        tally.add("same light across shots", [a["light"] == b["light"] for a, b in combinations(seen, 2)])
    return tally


def generated(
    pipeline, scenes: list[Scene], batch: int = 4, first: int = 0, **settings
) -> Iterable[tuple[Scene, np.ndarray]]:
    """Videos of the scenes by a pipeline, scene number i with seed `first` + i."""
    for start in range(0, len(scenes), batch):
        chosen = scenes[start : start + batch]
        boards = [to_storyboard(scene, seed=first + start + i) for i, scene in enumerate(chosen)]
        yield from zip(chosen, pipeline(storyboard=boards, **settings).frames, strict=True)


def rendered(scenes: list[Scene]) -> Iterable[tuple[Scene, np.ndarray]]:
    """The world's own rendering: what a perfect model would score, so the judge's own error."""
    return ((scene, render(scene)[0]) for scene in scenes)


def reconstructed(vae, scenes: list[Scene]) -> Iterable[tuple[Scene, np.ndarray]]:
    """The world's rendering after the VAE: what a perfect transformer would score."""
    from holocine.puppet.training.clips import reconstruct

    return ((scene, reconstruct(vae, frames)) for scene, frames in rendered(scenes))


def comparison_sheet(pipeline, scenes: list[Scene], columns: int = 8, **settings) -> Image.Image:
    """Rows in pairs: the world's rendering, then the model's video of the same storyboard, in evenly spread frames."""
    from PIL import Image

    rows = []
    for scene, video in generated(pipeline, scenes, **settings):
        truth = render(scene)[0]
        chosen = np.round(np.linspace(0, len(truth) - 1, columns)).astype(int)
        rows += [np.concatenate(list(frames[chosen]), 1) for frames in (truth, video)]
    sheet = Image.fromarray(np.concatenate(rows))
    return sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST)


def compare_pictures(pictures: dict[str, Pictures]) -> dict[str, dict[str, float | None]]:
    """How the pictures of every column compare with those of `TRUTH`: measure -> column -> number."""
    truth = pictures.get(TRUTH, Pictures())
    measures = {SHARPNESS: sharpness, DISTANCE: frechet_distance}
    return {name: {c: of(seen, truth) for c, seen in pictures.items()} for name, of in measures.items()}


def table(columns: dict[str, Tally], measures: dict[str, dict[str, float | None]] | None = None) -> str:
    """Markdown: one row a question, one column a tally, share and count; then a row for each of `measures`."""
    questions = list(dict.fromkeys(q for tally in columns.values() for q in tally.asked))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for question in questions:
        cells = []
        for tally in columns.values():
            share = tally.share(question)
            cells.append(
                "–" if share is None else f"{100 * share:.1f} % ({tally.right[question]}/{tally.asked[question]})"
            )
        lines.append(f"| {question} | " + " | ".join(cells) + " |")
    for name, values in (measures or {}).items():
        cells = ["–" if values.get(column) is None else f"{values[column]:.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save_tallies(
    columns: dict[str, Tally], path: Path, measures: dict[str, dict[str, float | None]] | None = None
) -> None:
    """The counts as JSON, and what else was measured."""
    content = {name: {"right": t.right, "asked": t.asked} for name, t in columns.items()}
    for name, values in (measures or {}).items():
        for column, value in values.items():
            content[column].setdefault("measures", {})[name] = value
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


@dataclass(frozen=True)
class CutCheck:
    """How a detector reads the cuts of rendered scenes: counts of cuts, and Shot Cut Accuracy summed over scenes."""

    wanted: int = 0
    exact: int = 0
    extra: int = 0
    accuracy: float = 0.0
    scenes: int = 0
    missed: tuple[tuple[int, int], ...] = ()  # seed that the scene was sampled with, frame of the cut

    def __add__(self, other: CutCheck) -> CutCheck:
        return CutCheck(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def exact_share(self) -> float | None:
        """Share of the cuts that were found on their frame."""
        return self.exact / self.wanted if self.wanted else None

    @property
    def mean_accuracy(self) -> float | None:
        """Mean Shot Cut Accuracy of a scene."""
        return self.accuracy / self.scenes if self.scenes else None


def check_cuts(seed: int, num_frames: int, detector: ShotDetector) -> CutCheck:
    """Compare the cuts that a detector finds in the rendering of the scene with this seed with those that are there."""
    scene = sample_scene(seed, num_frames)
    found = detector.detect(thumbnails(render(scene)[0])).cuts
    missed = sorted(set(scene.cuts) - set(found))
    return CutCheck(
        wanted=len(scene.cuts),
        exact=len(scene.cuts) - len(missed),
        extra=len(set(found) - set(scene.cuts)),
        accuracy=shot_cut_accuracy(to_storyboard(scene), found),
        scenes=1,
        missed=tuple((seed, cut) for cut in missed),
    )


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m eval theatre`."""
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    check = add_command(commands, "measure", "score a model on unseen storyboards against the world's truth")
    check.add_argument("--scenes", type=int, default=100, help="how many (default: %(default)s)")
    check.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    check.add_argument("--out", type=Path, help="write the table (.md) and the counts (.json) with this stem")
    check.set_defaults(work=_measure)
    sheet = add_command(commands, "sheet", "a picture of generated scenes beside the world's own rendering")
    sheet.add_argument("out", type=Path, help="PNG to write")
    sheet.add_argument("--scenes", type=int, default=6, help="how many (default: %(default)s)")
    sheet.set_defaults(work=_sheet)
    for command in (check, sheet):
        command.add_argument("--model", help="pipeline folder (default: the embedded one)")
        command.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
        command.add_argument("--guidance", type=float, help="guidance scale (default: the model's)")
        command.add_argument("--guidance-below", type=float, help="no guidance in noisier steps than this")
        command.add_argument("--shot-guidance", type=float, help="guidance by the other shots (default: the model's)")
        command.add_argument("--shot-guidance-above", type=float, help="that only in noisier steps than this")
        command.add_argument("--eta", type=float, help="fresh noise, 0 to 1 (default: the model's)")
        command.add_argument("--distilled", metavar="HIGH,LOW", help="step-distilled LoRA pair")
        command.add_argument("--distilled-below", type=float, help="no such LoRA in noisier steps than this")
        command.add_argument("--shift", type=float, help="of the noise levels, as the LoRA was distilled for")
    retake = add_command(commands, "retake", "whether a shot that is made anew agrees with the shots that are kept")
    retake.add_argument("--scenes", type=int, default=100, help="how many (default: %(default)s)")
    retake.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    retake.add_argument("--model", help="pipeline folder (default: the embedded one)")
    ways = [way.name for way in WAYS]
    named = ", ".join(f"'{way}'" for way in ways)
    retake.add_argument(
        "--ways", nargs="+", metavar="WAY", choices=ways, help=f"of keeping shots: {named}, or several (default: all)"
    )
    retake.add_argument("--out", type=Path, help="write the table (.md) and the counts (.json) with this stem")
    retake.set_defaults(work=_retake)
    known = add_command(commands, "reference", "whether a character who is known from a picture looks like it")
    known.add_argument("--scenes", type=int, default=100, help="how many (default: %(default)s)")
    known.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    known.add_argument("--model", help="pipeline folder (default: the embedded one)")
    known.add_argument("--out", type=Path, help="write the table (.md) and the counts (.json) with this stem")
    known.set_defaults(work=_reference)
    cuts = add_command(commands, "cuts", "how well a shot detector finds the cuts of the world's own rendering")
    cuts.add_argument("--scenes", type=int, default=200, help="how many (default: %(default)s)")
    cuts.add_argument("--frames", type=int, default=65, help="frames of a scene, 4t + 1 (default: %(default)s)")
    cuts.add_argument("--detector", choices=DETECTORS, default=DETECTORS[0], help="default: %(default)s")
    cuts.set_defaults(work=_cuts)


def run(options: argparse.Namespace) -> None:
    """Do what was asked for, and print it."""
    options.work(options)


def _settings(options: argparse.Namespace) -> dict:
    return {
        "num_inference_steps": options.steps,
        "guidance_scale": options.guidance,
        "guidance_below": options.guidance_below,
        "shot_guidance": options.shot_guidance,
        "shot_guidance_above": options.shot_guidance_above,
        "eta": options.eta,
        "distilled_below": options.distilled_below,
    }


def _loading(options: argparse.Namespace) -> tuple[tuple[str, Any], ...]:
    given = {"distilled": options.distilled, "shift": options.shift}
    return tuple((name, value) for name, value in given.items() if value is not None)


@dataclass(frozen=True)
class _Part:
    """Some of the measured scenes, from number `first` on, to be looked at in one way.

    loading: options that the model is loaded with.
    """

    column: str
    first: int
    count: int
    model: str | None
    settings: dict
    loading: tuple[tuple[str, Any], ...] = ()


def _measure_part(part: _Part) -> tuple[_Part, Tally, Pictures]:
    pipeline, (judge, detector, clip) = _pipeline(part.model, part.loading), _observers()
    scenes = measured_scenes(part.count, first=part.first)
    make = {
        GENERATED: lambda: generated(pipeline, scenes, first=part.first, **part.settings),
        THROUGH_VAE: lambda: reconstructed(pipeline.vae, scenes),
        TRUTH: lambda: rendered(scenes),
    }
    videos = list(make[part.column]())
    return part, measure(videos, judge, detector), sum_pictures((frames for _, frames in videos), clip)


@lru_cache(maxsize=1)
def _pipeline(model: str | None, loading: tuple[tuple[str, Any], ...] = ()):
    """The pipeline of a process."""
    from holocine import load_pipeline

    pipeline = load_pipeline(model, **dict(loading))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@lru_cache(maxsize=1)
def _observers() -> tuple[Judge, ShotDetector, ClipEncoder]:
    """The judge, the detector and the CLIP of a process."""
    from eval.encoders import load_encoders
    from holocine.puppet.judge import load_judge

    return load_judge(), load_detector(), load_encoders("puppet").clip


def _measure(options: argparse.Namespace) -> None:
    settings, loading = _settings(options), _loading(options)
    parts = [
        _Part(column, first, min(_TOGETHER, options.scenes - first), options.model, settings, loading)
        for column in (GENERATED, THROUGH_VAE, TRUTH)
        for first in range(0, options.scenes, _TOGETHER)
    ]
    columns = {part.column: Tally() for part in parts}
    pictures = {part.column: Pictures() for part in parts}
    for part, tally, seen in _in_processes(_measure_part, parts, options):
        columns[part.column] += tally
        pictures[part.column] += seen
    _publish(options.out, columns, compare_pictures(pictures))


def _retake(options: argparse.Namespace) -> None:
    ways = {way.name: way.settings for way in WAYS if options.ways is None or way.name in options.ways}
    _compare(_retake_part, (ONE_GO, *ways), ways, options)


def _retake_part(part: _Part) -> dict[str, Tally]:
    judge, detector, _ = _observers()
    ways = [way for way in WAYS if way.name in part.settings]
    (scene,) = measured_scenes(part.count, first=part.first)
    return compare_ways(_pipeline(part.model), scene, part.first, ways, judge, detector)


def _reference(options: argparse.Namespace) -> None:
    _compare(_reference_part, (WITHOUT, WITH), {}, options)


def _reference_part(part: _Part) -> dict[str, Tally]:
    (scene,) = measured_scenes(part.count, first=part.first)
    return compare_references(_pipeline(part.model), scene, part.first, _observers()[0])


def _compare(work: Callable, names: Iterable[str], settings: dict, options: argparse.Namespace) -> None:
    """Add up what `work` finds in every scene, by the names of its columns, and publish it."""
    columns = {name: Tally() for name in names}
    parts = [_Part("", first, 1, options.model, settings) for first in range(options.scenes)]
    for found in _in_processes(work, parts, options):
        for name, tally in found.items():
            columns[name] += tally
    _publish(options.out, columns)


def _in_processes(work: Callable, parts: list[_Part], options: argparse.Namespace) -> Iterator:
    """What `work` makes of every part, in their order, by as many processes as were asked for."""
    from tqdm import tqdm

    if options.out:
        check_writable(options.out)
    context = multiprocessing.get_context("spawn")  # forked copies of a process that has used torch may hang
    with (
        ProcessPoolExecutor(options.jobs, context, _prepare, (options.jobs,)) as pool,
        tqdm(total=sum(part.count for part in parts), unit="video") as bar,
    ):
        for part, found in zip(parts, pool.map(work, parts), strict=True):
            yield found
            bar.update(part.count)


def _publish(out: Path | None, columns: dict[str, Tally], measures: dict | None = None) -> None:
    text = table(columns, measures)
    print(text)
    if out:
        with replacing(out.with_suffix(".md")) as temporary:
            temporary.write_text(text + "\n")
        save_tallies(columns, out.with_suffix(".json"), measures)


def _prepare(jobs: int) -> None:
    """Share the processors with the other processes, and leave the one line of progress to them all."""
    import torch

    from holocine.checkpoints import hide_loading_bars

    hide_loading_bars()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _sheet(options: argparse.Namespace) -> None:
    check_writable(options.out)
    pipeline = _pipeline(options.model, _loading(options))
    picture = comparison_sheet(pipeline, measured_scenes(options.scenes), **_settings(options))
    with replacing(options.out) as temporary:
        picture.save(temporary, format="PNG")


def _cuts(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    detector, total = load_detector(options.detector), CutCheck()
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + options.scenes), unit="scene"):
        total += check_cuts(seed, options.frames, detector)
    print(f"{detector.name} on {total.scenes} rendered scenes of {options.frames} frames")
    print(f"cuts on their frame   {_percent(total.exact_share)} ({total.exact}/{total.wanted})")
    print(f"extra cuts            {total.extra}")
    print(f"Shot Cut Accuracy     {'–' if total.mean_accuracy is None else format(total.mean_accuracy, '.4f')}")
    for seed, cut in total.missed:
        print(f"missed: the cut at frame {cut} of the scene with seed {seed}")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
