"""Arguments that several commands of `python -m benchmarks` have, and what they mean."""

from __future__ import annotations

import argparse
import math
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from holocine.program import whole_number

if TYPE_CHECKING:
    from benchmarks.running.run import Engine
    from benchmarks.running.scoring import Scoring


def add_scoring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scoring")
    group.add_argument("--encoders", default="auto", help="CLIP model as in `python -m eval encoders`, or none (auto)")
    group.add_argument("--dino", default="auto", help="model for subject consistency (auto)")
    group.add_argument("--aesthetic", metavar="FILE", help="weights of LAION's predictor")
    group.add_argument("--detector", choices=("transnetv2", "pyscenedetect"), default="transnetv2")


def add_engine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where")
    group.add_argument("--workers", type=whole_number, default=1, metavar="N", help="processes of one thread each (1)")
    group.add_argument("--engine", choices=("local", "ray"), default="local")
    group.add_argument("--address", help="of a Ray cluster; without it Ray starts on this machine")
    group.add_argument(
        "--gpus", type=scale, metavar="N", help="GPUs of each worker, as 1 or 0.5; default: one where there are several"
    )
    group.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")


def chosen_scoring(options: argparse.Namespace) -> Scoring:
    from benchmarks.running.scoring import Scoring

    if options.aesthetic is not None and not Path(options.aesthetic).is_file():
        raise ValueError(f"--aesthetic {options.aesthetic}: there is no such file")
    return Scoring(options.encoders, options.dino, options.aesthetic, options.detector, options.device)


def chosen_engine(options: argparse.Namespace) -> Engine:
    if options.engine == "ray":
        from benchmarks.running.ray_engine import run_ray

        return partial(run_ray, workers=options.workers, address=options.address, gpus=options.gpus)
    if options.address:
        raise ValueError("--address is for --engine ray; leave it out")
    from benchmarks.running.gpus import gpus_of_workers, visible_gpus
    from benchmarks.running.local_engine import run_local

    if options.device not in (None, "cuda"):  # one for all, which they have to see under the same name
        if options.gpus:
            raise ValueError(
                f"--gpus gives each worker its own and --device {options.device} one to all: leave one out"
            )
        return partial(run_local, workers=options.workers)
    gpus = gpus_of_workers(options.workers, options.gpus, visible_gpus())
    return partial(run_local, workers=options.workers, gpus=gpus)


def scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def share(text: str) -> float:
    if (value := scale(text)) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is above 1")
    return value


def shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} does not read i/n with i from 1 to n, as in 2/4")
    return int(match[1]), int(match[2])
