"""`python -m eval.encoders`: train the theatre's CLIP, measure it, and list what encoders there are."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.run(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.encoders", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train-puppet-clip", help="train the theatre's CLIP; the same command again goes on")
    train.add_argument("folder", type=Path, help="holds the checkpoint")
    train.add_argument("--minutes", type=float, default=40.0, help="minutes of computing in all (default: 40)")
    train.add_argument("--out", type=Path, help="the model's folder (default: FOLDER/puppet_clip)")
    train.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    train.set_defaults(run=_train)
    measure = commands.add_parser("measure-puppet-clip", help="retrieval on scenes that were not trained on")
    measure.add_argument("--model", type=Path, help="the model's folder (default: the embedded one)")
    measure.add_argument("--scenes", type=int, default=200)
    measure.add_argument("--out", type=Path, help="write the counts to this JSON file")
    measure.set_defaults(run=_measure)
    listing = commands.add_parser("list", help="what can be used here now, and what is missing")
    listing.set_defaults(run=_list)
    return parser


def _train(options: argparse.Namespace) -> None:
    import torch

    from eval.encoders.puppet_training import train_puppet_clip

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    out = options.out or options.folder / "puppet_clip"
    train_puppet_clip(options.folder, options.minutes, out, device=device)


def _measure(options: argparse.Namespace) -> None:
    from eval.encoders.loading import PUPPET_FOLDER
    from eval.encoders.puppet_measure import measure_puppet_clip, save_counts, table

    counts = measure_puppet_clip(options.model or PUPPET_FOLDER, options.scenes)
    print(table(counts))
    if options.out:
        save_counts(counts, options.out)


def _list(options: argparse.Namespace) -> None:
    from eval.encoders.loading import list_encoders

    for row in list_encoders():
        state = "here" if row["here"] else "missing"
        print(f"{row['role']:<10}{row['spec']:<34}{state:<9}{row['megabytes']:>6} MB  {row['licence']:<11}{row['how']}")


if __name__ == "__main__":
    sys.exit(main())
