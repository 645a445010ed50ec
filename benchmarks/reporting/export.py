"""A system's videos of another benchmark's scripts, laid out as its evaluator reads them, with this program's scores.

    st-bench, entitybench   OUT/videos/STORY/SCENE_PROMPT.mp4, both of three digits
    msvbench                OUT/videos/STORY/NN.mp4, one a clip
    vistorybench            OUT/outputs/METHOD/base/LANGUAGE/TIME/shots/STORY/shot_NN.png, the middle frame of each shot

OUT/results.json has the scores of every story by metric and their means; null is a score that there is not. Shots are
cut out where the video was made to have them, prompts of one shot share it evenly.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate, pairwise
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reporting.results import ItemResult, Results, ResultsError, load_run
from benchmarks.suites.interchange import FORMATS, LANGUAGES, Prompt, Script, read_scripts, to_storyboard
from holocine.files import replacing
from holocine.plan import shortened
from holocine.plurals import counted
from holocine.program import tell
from holocine.storyboard import Storyboard

RESULTS = "results.json"
_LED = 20  # characters that are shown before the one that differs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run over an imported suite")
    parser.add_argument("--system", required=True, help="whose videos")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS), help="the benchmark")
    parser.add_argument("--scripts", required=True, type=Path, metavar="SOURCE", help="where its suite came from")
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="folder to make")
    parser.add_argument("--language", choices=LANGUAGES, help="of ViStoryBench (en)")


def run(options: argparse.Namespace) -> int:
    """Export one system's videos and scores."""
    scripts = read_scripts(options.format, options.scripts, options.language)
    results = load_run(options.run_folder)
    language = options.language or LANGUAGES[0]
    shown, count = export(results, options.system, options.format, scripts, options.out, language)
    print(f"{options.out}: {options.system} has videos of {shown} of {counted(count, 'script')}, and {RESULTS}")
    if len(results.seeds) > 1:
        tell("benchmarks", [f"of {len(results.seeds)} repetitions the first was exported"])
    return 0


def export(
    results: Results, system: str, format: str, scripts: tuple[Script, ...], out: Path, language: str = "en"
) -> tuple[int, int]:
    """Write the videos of a system's first repetition and its scores to the new folder `out`.

    Returns of how many stories there are videos, and of how many scores. Raises `ResultsError` for a system or stories
    that are not there.
    """
    if system not in results.systems:
        raise ResultsError(f"{results.run} has no system {system!r}; it has {', '.join(results.systems)}")
    if out.exists():
        raise ResultsError(f"{out} already exists: give a new folder, or remove it first")
    by_id = {script.id: script for script in scripts}
    items = [item for item in results.items if item.system == system and item.seed == results.seeds[0]]
    unknown = [item.storyboard_id for item in items if item.storyboard_id not in by_id]
    if unknown:
        raise ResultsError(f"storyboard {unknown[0]} is no script in the source: name what the suite was imported from")
    for item in items:
        _check_same(item.storyboard_id, by_id[item.storyboard_id], results)
    with replacing(out) as folder:
        folder.mkdir(parents=True)
        root = folder / _root(format, system, language)
        for item in items:
            if item.video is not None:
                _write_story(root / item.storyboard_id, item, by_id[item.storyboard_id], results, format)
        content = scores(items, system, format, results)
        (folder / RESULTS).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return sum(item.video is not None for item in items), len(items)


def scores(items: list[ItemResult], system: str, format: str, results: Results) -> dict[str, Any]:
    """What results.json says."""
    stories = {
        item.storyboard_id: {
            "error": item.error,
            "notes": list(item.notes),
            "scores": {name: score.value for name, score in (item.scorecard or {}).items()},
        }
        for item in items
    }
    names = list(dict.fromkeys(name for story in stories.values() for name in story["scores"]))
    means, counts = {}, {}
    for name in names:
        values = [v for story in stories.values() if (v := story["scores"].get(name)) is not None]
        means[name], counts[name] = (float(np.mean(values)) if values else None), len(values)
    return {
        "method": system,
        "benchmark": format,
        "suite": {"name": results.suite.name, "sha256": results.suite.sha256},
        "metrics": list(results.info.metrics),
        "mean": means,
        "stories_with_a_value": counts,
        "stories": stories,
    }


def _check_same(story: str, script: Script, results: Results) -> None:
    """Raise `ResultsError` for a script that says otherwise than the storyboard that was made of it."""
    differs = next(_differences(script, results.suite[story].storyboard), None)
    if differs is not None:
        raise ResultsError(
            f"{script.file}: is not what story {story} of {results.run} was imported from: {differs}; name those "
            "scripts and their --language, or import these with `python -m benchmarks.suites import` and run them"
        )


def _differences(script: Script, asked: Storyboard) -> Iterator[str]:
    """What a script says otherwise than the storyboard that was asked for."""
    if not script.prompts:
        yield "it has no prompts"
        return
    of_prompt = asked.num_frames / len(script.prompts)
    there = to_storyboard(script, asked.fps, of_prompt / asked.fps)
    if there.num_shots != asked.num_shots:
        yield f"it has {counted(there.num_shots, 'shot')}, the run {asked.num_shots}"
    names = ["what is said of the whole", *(f"shot {number}" for number in range(1, there.num_shots + 1))]
    texts = zip(names, (there.global_caption, *there.captions), (asked.global_caption, *asked.captions), strict=False)
    for name, new, old in texts:
        if new != old:
            is_, was = (shortened(_from_difference(*pair)) for pair in ((new, old), (old, new)))
            yield f"{name} is {is_!r}, in the run {was!r}"
    counts = map(len, _shots(script))
    for number, (shot, prompts) in enumerate(zip(asked.shots, counts, strict=False), start=1):
        if abs(shot.num_frames - prompts * of_prompt) > (prompts + 1) / 2:  # lengths of shots were rounded
            yield f"shot {number} is of {counted(prompts, 'prompt')}, in the run of another number"


def _from_difference(text: str, other: str) -> str:
    """The text, without most of what it begins with as the other does."""
    same = len(commonprefix((text, other)))
    return text if same <= _LED else f"…{text[same - _LED :]}"


def _shots(script: Script) -> list[list[Prompt]]:
    """The prompts of each shot."""
    shots: list[list[Prompt]] = []
    for prompt in script.prompts:
        if prompt.cut or not shots:
            shots.append([])
        shots[-1].append(prompt)
    return shots


def _root(format: str, system: str, language: str) -> Path:
    if format != "vistorybench":
        return Path("videos")
    return Path("outputs", system, "base", language, f"{datetime.now():%Y%m%d_%H%M%S}", "shots")


def _write_story(folder: Path, item: ItemResult, script: Script, results: Results, format: str) -> None:
    from PIL import Image

    from holocine.video import read_video, write_video

    video = read_video(item.video)
    asked = results.suite[item.storyboard_id].storyboard
    folder.mkdir(parents=True)
    for name, part in parts(script, asked, video.storyboard, len(video.frames), video.fps):
        frames = video.frames[part.start : part.stop]
        if not len(frames):
            continue
        if format == "vistorybench":
            Image.fromarray(frames[len(frames) // 2]).save(folder / f"{name}.png")
        else:
            write_video(folder / f"{name}.mp4", frames, video.fps)


def parts(
    script: Script, asked: Storyboard, made: Storyboard | None, num_frames: int, fps: float
) -> Iterator[tuple[str, range]]:
    """The frames of every prompt, by the name of its video; empty where the video ends before it.

    made: the storyboard that the video was made on, if it says so; else shots are where they were asked for, in time.
    """
    if made is not None and (made.num_shots, made.num_frames) == (asked.num_shots, num_frames):
        bounds = [0, *made.cuts, num_frames]
    else:
        bounds = [0, *(min(num_frames, round(end * fps)) for end in accumulate(asked.shot_seconds))]
    for (start, stop), shot in zip(pairwise(bounds), _shots(script), strict=True):
        edges = np.linspace(start, stop, len(shot) + 1).round().astype(int)
        for prompt, (first, last) in zip(shot, pairwise(edges.tolist()), strict=True):
            yield prompt.name, range(first, last)
