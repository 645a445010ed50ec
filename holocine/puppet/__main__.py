"""`python -m holocine.puppet`: train the embedded model, measure it, look at it."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    try:
        options.run(options)
        return 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    from holocine.puppet.recipe import Recipe

    parser = argparse.ArgumentParser(prog="python -m holocine.puppet", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="the whole recipe, resumable from its folder")
    train.add_argument("--folder", type=Path, default=Path("runs/puppet"), help="checkpoints (default: %(default)s)")
    train.add_argument("--out", type=Path, help="pipeline folder to write (default: FOLDER/weights)")
    train.add_argument("--start", type=Path, help="pipeline folder to go on from, such as holocine/puppet/weights")
    for field in fields(Recipe):
        kind = type(field.default)
        unit = "minutes" if kind is float else kind.__name__
        train.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar=unit)
    train.set_defaults(run=_train)
    put = commands.add_parser("assemble", help="write the pipeline folder from what has been trained so far")
    put.add_argument("folder", type=Path)
    put.add_argument("out", type=Path)
    put.set_defaults(run=_assemble)
    check = commands.add_parser("measure", help="score a model on unseen storyboards against the world's truth")
    check.add_argument("--model", help="pipeline folder (default: the embedded one)")
    check.add_argument("--scenes", type=int, default=100)
    check.add_argument("--steps", type=int)
    check.add_argument("--guidance", type=float)
    check.add_argument("--out", type=Path, help="write the table (.md) and the counts (.json) with this stem")
    check.set_defaults(run=_measure)
    sheet = commands.add_parser("sheet", help="a picture of generated scenes beside the world's own rendering")
    sheet.add_argument("out", type=Path)
    sheet.add_argument("--model", help="pipeline folder (default: the embedded one)")
    sheet.add_argument("--scenes", type=int, default=6)
    sheet.add_argument("--steps", type=int)
    sheet.add_argument("--guidance", type=float)
    sheet.set_defaults(run=_sheet)
    return parser


def _train(options: argparse.Namespace) -> None:
    from holocine.puppet.recipe import Recipe, run

    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    run(options.folder, recipe, options.out or options.folder / "weights", options.start)


def _assemble(options: argparse.Namespace) -> None:
    from holocine.puppet.assemble import assemble

    vae = options.folder / ("decoder" if (options.folder / "decoder" / "model").exists() else "vae") / "model"
    assemble(options.folder / "text", vae, options.folder / "transformer" / "model", options.out)


def _pipeline(options: argparse.Namespace):
    from holocine import load_pipeline

    pipeline = load_pipeline(options.model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, {"num_inference_steps": options.steps, "guidance_scale": options.guidance}


def _measure(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from holocine.puppet.judge import load_judge
    from holocine.puppet.measure import (
        generated,
        measure,
        measured_scenes,
        reconstructed,
        rendered,
        save_tallies,
        table,
    )

    pipeline, settings = _pipeline(options)
    scenes, judge = measured_scenes(options.scenes), load_judge()
    with tqdm(total=options.scenes, unit="video") as bar:
        videos = generated(pipeline, scenes, progress=lambda done: bar.update(done - bar.n), **settings)
        columns = {"generated": measure(videos, judge)}
    columns["truth through the VAE"] = measure(reconstructed(pipeline.vae, scenes), judge)
    columns["truth"] = measure(rendered(scenes), judge)
    text = table(columns)
    print(text)
    if options.out:
        options.out.with_suffix(".md").write_text(text + "\n")
        save_tallies(columns, options.out.with_suffix(".json"))


def _sheet(options: argparse.Namespace) -> None:
    from holocine.puppet.measure import comparison_sheet, measured_scenes

    pipeline, settings = _pipeline(options)
    comparison_sheet(pipeline, measured_scenes(options.scenes), **settings).save(options.out)


if __name__ == "__main__":
    sys.exit(main())
