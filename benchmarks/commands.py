"""`run`, `score` and `merge` of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.options import add_engine, add_scoring, chosen_engine, chosen_scoring, scale, shard, share
from benchmarks.running.progress import ProgressLine, conclude
from holocine.plurals import counted
from holocine.program import tell, whole_number


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", required=True, help="name of a suite, such as puppet, or the path of a .jsonl file")
    parser.add_argument(
        "--systems",
        required=True,
        metavar="A,B,…",
        help="systems, each [NAME=]SYSTEM[:PATH][@MODEL], such as holocine,isolated,truth or kling=folder:videos/kling",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder of the run, new or begun")
    parser.add_argument("--seeds", type=whole_number, default=1, metavar="N", help="repetitions of each storyboard (1)")
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the suite's first N storyboards")
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="i/n", help="only the i-th of n parts, from 1")
    parser.add_argument("--retry-failed", action="store_true", help="work again on items that failed")
    parser.add_argument(
        "--changed",
        choices=("refuse", "rerun"),
        default="refuse",
        help="what to do with results whose suite, model, system or metrics have changed since (refuse)",
    )
    model = parser.add_argument_group("model (its own defaults if not given)")
    model.add_argument("--model", help="folder or hub id; default: the embedded model")
    model.add_argument("--steps", dest="num_inference_steps", type=whole_number, metavar="N", help="denoising steps")
    model.add_argument("--guidance", dest="guidance_scale", type=scale, metavar="S", help="guidance scale; 1 is none")
    model.add_argument("--guidance-below", type=share, metavar="SIGMA", help="no guidance in noisier steps than this")
    model.add_argument("--eta", type=share, metavar="E", help="fresh noise in the noisiest steps, 0 to 1; 0 is none")
    model.add_argument("--height", type=whole_number, help="pixels")
    model.add_argument("--width", type=whole_number, help="pixels")
    model.add_argument("--dtype", choices=("float32", "bfloat16", "float16"))
    model.add_argument("--vae-tiling", action="store_true", help="decode in tiles, for less memory")
    model.add_argument("--model-cpu-offload", action="store_true", help="keep on the GPU only what is running")
    add_scoring(parser)
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Run systems over a suite."""
    from benchmarks.running.run import Plan, run
    from benchmarks.suites.suite import load_suite
    from benchmarks.systems.embedded import embedded_warning
    from benchmarks.systems.models import SAMPLING, ModelSettings
    from benchmarks.systems.systems import parse_systems, unknown_videos, unread_options

    names = (*SAMPLING, "model", "dtype", "device", "vae_tiling", "model_cpu_offload")
    settings = ModelSettings(**{name: getattr(options, name) for name in names})
    specs = [spec.strip() for spec in options.systems.split(",") if spec.strip()]
    systems = parse_systems(specs, settings)
    suite = load_suite(options.suite)
    named = {system.name: spec for system, spec in zip(systems, specs, strict=True)}
    notes = [*unread_options(systems, settings), *unknown_videos(systems, suite)]
    notes += filter(None, [embedded_warning(named, settings.model, suite.entries[: options.limit])])
    plan = Plan(
        suite=suite,
        systems=systems,
        specs=specs,
        settings=settings,
        scoring=chosen_scoring(options),
        seeds=options.seeds,
        limit=options.limit,
        shard=options.shard,
        retry_failed=options.retry_failed,
        changed=options.changed,
    )
    tell("benchmarks", notes)
    with ProgressLine() as line:
        summary = run(plan, options.out, chosen_engine(options), line.show, line.announce)
    return conclude(summary, options.out)


def add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="RUN", help="folder of a run")
    add_scoring(parser)
    add_engine(parser)


def score(options: argparse.Namespace) -> int:
    """Score the videos of a run again, where metrics, encoders or detector have changed; nothing is generated."""
    from benchmarks.running.run import rescore

    with ProgressLine() as line:
        summary = rescore(options.out, chosen_scoring(options), chosen_engine(options), line.show)
    return conclude(summary, options.out)


def add_merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to join them in; new, or a run itself")
    parser.add_argument("parts", type=Path, nargs="+", metavar="PART", help="folders of runs of the same suite")


def merge(options: argparse.Namespace) -> int:
    """Join the parts of a run that were computed apart."""
    from benchmarks.running.merge import merge

    count = merge(options.out, options.parts)
    print(f"{options.out}: {counted(count, 'item')} came from {counted(len(options.parts), 'part')}")
    return 0
