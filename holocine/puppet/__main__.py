"""`python -m holocine.puppet`: train the embedded model. (`python -m eval theatre` measures it.)"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path

from holocine.finding import EMBEDDED


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
    from holocine.puppet.training.amounts import Recipe
    from holocine.puppet.training.pair import RANK

    parser = argparse.ArgumentParser(prog="python -m holocine.puppet", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="the whole recipe, resumable from its folder")
    train.add_argument("--folder", type=Path, default=Path("runs/puppet"), help="checkpoints (default: %(default)s)")
    train.add_argument("--out", type=Path, help="pipeline folder to write (default: FOLDER/weights)")
    train.add_argument("--start", type=Path, help="pipeline folder to go on from, such as holocine/puppet/weights")
    train.add_argument("--fresh-transformer", action="store_true", help="with --start: begin its transformer anew")
    for field in fields(Recipe):
        kind = type(field.default)
        unit = "minutes" if kind is float else kind.__name__
        train.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar=unit)
    train.set_defaults(run=_train)
    put = commands.add_parser("assemble", help="write the pipeline folder from what has been trained so far")
    put.add_argument("folder", type=Path)
    put.add_argument("out", type=Path)
    put.set_defaults(run=_assemble)
    pair = commands.add_parser("pair", help="write a step-distilled LoRA pair, and the model without distillation")
    pair.add_argument("folder", type=Path, help="to write to")
    pair.add_argument("--model", type=Path, default=EMBEDDED, help="whose low-noise expert is one")
    pair.add_argument("--rank", type=int, default=RANK, help="of the LoRA (default: %(default)s)")
    pair.set_defaults(run=_pair)
    return parser


def _train(options: argparse.Namespace) -> None:
    from holocine.puppet.training.amounts import Recipe
    from holocine.puppet.training.recipe import run

    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    run(options.folder, recipe, options.out or options.folder / "weights", options.start, options.fresh_transformer)


def _assemble(options: argparse.Namespace) -> None:
    from holocine.puppet.training.recipe import assemble_folder

    assemble_folder(options.folder, options.out)


def _pair(options: argparse.Namespace) -> None:
    from holocine.puppet.training.pair import write_pair

    write_pair(options.model, options.folder, options.rank)


if __name__ == "__main__":
    sys.exit(main())
