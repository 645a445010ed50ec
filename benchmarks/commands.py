"""`run`, `score` and `merge` of the command line: their arguments, and progress for people."""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from pathlib import Path

from benchmarks.run import Engine, Progress, Summary

_SAMPLING = ("num_inference_steps", "guidance_scale", "height", "width")


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", required=True, help="name of a suite, such as puppet, or the path of a .jsonl file")
    parser.add_argument(
        "--systems",
        required=True,
        metavar="A,B,…",
        help="systems, each [NAME=]SYSTEM[:PATH][@MODEL], such as holocine,isolated,truth or kling=folder:videos/kling",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder of the run, new or begun")
    parser.add_argument("--seeds", type=_count, default=1, metavar="N", help="repetitions of each storyboard (1)")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the suite's first N storyboards")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="i/n", help="only the i-th of n parts, from 1")
    parser.add_argument("--retry-failed", action="store_true", help="work again on items that failed")
    parser.add_argument(
        "--changed",
        choices=("refuse", "rerun"),
        default="refuse",
        help="what to do with results whose suite, model, system or metrics have changed since (refuse)",
    )
    model = parser.add_argument_group("model (its own defaults if not given)")
    model.add_argument("--model", help="folder or hub id; default: the embedded model")
    model.add_argument("--steps", dest="num_inference_steps", type=_count, metavar="N", help="denoising steps")
    model.add_argument("--guidance", dest="guidance_scale", type=float, metavar="S", help="guidance scale; 1 is none")
    model.add_argument("--height", type=_count, help="pixels")
    model.add_argument("--width", type=_count, help="pixels")
    model.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    model.add_argument("--vae-tiling", action="store_true", help="decode in tiles, for less memory")
    model.add_argument("--model-cpu-offload", action="store_true", help="keep on the GPU only what is running")
    _add_scoring(parser)
    _add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Run systems over a suite."""
    from benchmarks.models import ModelSettings
    from benchmarks.run import Plan, run
    from benchmarks.suites import load_suite
    from benchmarks.systems import parse_systems

    names = (*_SAMPLING, "model", "dtype", "device", "vae_tiling", "model_cpu_offload")
    settings = ModelSettings(**{name: getattr(options, name) for name in names})
    specs = [spec.strip() for spec in options.systems.split(",") if spec.strip()]
    plan = Plan(
        suite=load_suite(options.suite),
        systems=parse_systems(specs, settings),
        specs=specs,
        settings=settings,
        scoring=_scoring(options),
        seeds=options.seeds,
        limit=options.limit,
        shard=options.shard,
        retry_failed=options.retry_failed,
        changed=options.changed,
    )
    with _Line() as line:
        summary = run(plan, options.out, _engine(options), line.show)
    return _conclude(summary, options.out)


def add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="RUN", help="folder of a run")
    _add_scoring(parser)
    _add_engine(parser)


def score(options: argparse.Namespace) -> int:
    """Score the videos of a run again, where metrics, encoders or detector have changed; nothing is generated."""
    from benchmarks.run import rescore

    with _Line() as line:
        summary = rescore(options.out, _scoring(options), _engine(options), line.show)
    return _conclude(summary, options.out)


def add_merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to join them in; new, or a run itself")
    parser.add_argument("parts", type=Path, nargs="+", metavar="PART", help="folders of runs of the same suite")


def merge(options: argparse.Namespace) -> int:
    """Join the parts of a run that were computed apart."""
    from benchmarks.merge import merge

    count = merge(options.out, options.parts)
    print(f"{options.out}: {count} items came from {len(options.parts)} parts")
    return 0


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    scoring = parser.add_argument_group("scoring")
    scoring.add_argument(
        "--encoders", default="auto", help="CLIP model as in `python -m eval encoders`, or none (auto)"
    )
    scoring.add_argument("--dino", default="auto", help="model for subject consistency (auto)")
    scoring.add_argument("--aesthetic", metavar="FILE", help="weights of LAION's predictor")
    scoring.add_argument("--detector", choices=("transnetv2", "pyscenedetect"), default="transnetv2")


def _add_engine(parser: argparse.ArgumentParser) -> None:
    engine = parser.add_argument_group("where")
    engine.add_argument("--workers", type=_count, default=1, metavar="N", help="processes of one thread each (1)")
    engine.add_argument("--engine", choices=("local", "ray"), default="local")
    engine.add_argument("--address", help="of a Ray cluster; without it Ray starts on this machine")
    engine.add_argument("--gpus", type=float, default=0, metavar="N", help="GPUs of each Ray worker (0)")
    engine.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")


def _scoring(options: argparse.Namespace):
    from benchmarks.scoring import Scoring

    return Scoring(options.encoders, options.dino, options.aesthetic, options.detector, options.device)


def _engine(options: argparse.Namespace) -> Engine:
    if options.engine == "ray":
        from benchmarks.ray_engine import run_ray

        return partial(run_ray, workers=options.workers, address=options.address, gpus=options.gpus)
    if options.address or options.gpus:
        raise ValueError("--address and --gpus are for --engine ray; leave them out")
    from benchmarks.local_engine import run_local

    return partial(run_local, workers=options.workers)


def _conclude(summary: Summary, out: Path) -> int:
    """Say how it ended; exit code 1 if items have failed."""
    failed = summary.failed + summary.kept_failed
    kept = f", {summary.kept} were there" if summary.kept else ""
    print(f"{out}: {summary.done} items done{kept}, {failed} failed, {duration(summary.seconds)}")
    if failed:
        print("why is in each item's record.json and log.txt; --retry-failed works on them again")
    return 1 if failed else 0


class _Line:
    """Progress on stderr: one line that changes on a terminal, else a line for each item that has ended."""

    def __init__(self) -> None:
        self.changes = sys.stderr.isatty()

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self.changes:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, progress: Progress) -> None:
        ended = progress.done + progress.failed
        last = progress.last
        eta = "" if progress.eta is None or ended == progress.total else f", ETA {duration(progress.eta)}"
        head = f"[{ended}/{progress.total}{eta}]"
        if last is not None and (last.error or not self.changes):
            what = f"failed: {last.error}" if last.error else f"{sum(last.seconds.values()):.1f} s"
            clear = "\r\x1b[K" if self.changes else ""
            print(f"{clear}{head} {last.item}: {what}", file=sys.stderr, flush=True)
        if self.changes:
            now = ", ".join(map(str, progress.current))
            print(f"\r\x1b[K{head} {now}"[:160], end="", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds in words: 8.2 s, 3 min, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} does not read i/n with i from 1 to n, as in 2/4")
    return int(match[1]), int(match[2])
