"""`python -m benchmarks.speed`: how long and how much memory a video takes, and what sparse attention saves.

Six parts: importing the package; one video of 65 frames and 3 shots of the embedded model, end to end and enlarged;
self-attention alone at growing numbers of shots of two lengths, against the share of the arithmetic that is left; what
scoring a video costs, and saves by its one pass; what a run over a suite costs beyond its videos, and gains by a
second worker; and what a report of 10,000 videos takes. Three more run only when they are asked for, and write
what they find as Markdown and JSON: `--part cpu`, attention, blocks, steps, decoding, whole videos and the README's
command on a CPU; `--part stream`, the main memory of decoding and writing videos of 65 to 1,921 frames; and
`--part gpu`, the layers and steps of the 14B transformer at full size on a GPU, with random weights, in a stated time.
All other times are wall-clock seconds on the machine it runs on; set `OMP_WAIT_POLICY=passive` where others run.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.video import measure_video, timed, video_table

STARTED = time.monotonic()
CPU, GPU, STREAM = "cpu", "gpu", "stream"
PARTS = ("import", "video", "attention", "eval", "run", "report")
TARGET_IMPORT, TARGET_RATIO = 0.5, 1.25
GPU_SECONDS = 110.0
SHOT_COUNTS = (1, 2, 4, 8)
# Latent frames of a shot: short shots of 512 tokens, and shots of 1,024. A CPU's attention works in larger blocks from
# 768 queries in a call on, so that a call for each short shot does not reach the pace of one for the whole video.
SHOT_LENGTHS = (8, 16)
TOKENS_PER_FRAME, HEADS, HEAD_DIM = 64, 4, 64
# FlexAttention is compiled on a GPU only, and flash-attn runs nowhere else.
CPU_KERNELS, GPU_KERNELS = ("dense", "per-shot"), ("dense", "per-shot", "flex", "flash")


@dataclass(frozen=True)
class AttentionCost:
    """Seconds of one self-attention by kernel ("full" has no mask), and what is left of full's arithmetic."""

    num_shots: int
    num_tokens: int
    share: float
    seconds: dict[str, float]

    def ratio(self, kernel: str) -> float:
        """Time relative to full attention's, over the same ratio of the arithmetic: 1 is all of the saving."""
        return self.seconds[kernel] / self.seconds["full"] / self.share


def measure_import(repeats: int = 3) -> float:
    """Seconds that `import holocine` takes in a fresh process, the best of several."""
    program = "import time; start = time.perf_counter(); import holocine; print(time.perf_counter() - start)"
    run = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    return min(
        float(subprocess.run(run, capture_output=True, text=True, check=True, cwd=root).stdout) for _ in range(repeats)
    )


def measure_attention(num_shots: int, latent_frames: int = SHOT_LENGTHS[0], repeats: int = 5) -> AttentionCost:
    """Time self-attention over `num_shots` shots of `latent_frames` latent frames each, in HoloCine's pattern."""
    import torch

    from holocine import ShotLayout
    from holocine.attention import shot_pattern
    from holocine.kernels import KERNELS

    gpu = torch.cuda.is_available()
    layout = ShotLayout((latent_frames,) * num_shots, TOKENS_PER_FRAME // 8, 8)
    sparse, full = (shot_pattern(layout, mode, "first") for mode in ("sparse", "full"))
    runs = {"full": (KERNELS["per-shot"], full)}
    runs |= {name: (KERNELS[name], sparse) for name in (GPU_KERNELS if gpu else CPU_KERNELS) if _runs(name)}
    generator = torch.Generator().manual_seed(0)
    shape = (1, layout.num_tokens, HEADS, HEAD_DIM)
    place = ("cuda", torch.bfloat16) if gpu else ("cpu", torch.float32)
    qkv = [torch.randn(shape, generator=generator).to(*place) for _ in range(3)]

    def attend(kernel: Callable, pattern) -> None:
        kernel(*qkv, pattern)
        if gpu:
            torch.cuda.synchronize()

    with torch.no_grad():
        for run in runs.values():
            attend(*run)
        # Taking turns spreads whatever else the machine does over all kernels.
        rounds = [{name: timed(attend, *run)[0] for name, run in runs.items()} for _ in range(repeats)]
    seconds = {name: statistics.median(times[name] for times in rounds) for name in runs}
    return AttentionCost(num_shots, layout.num_tokens, sparse.num_pairs / layout.num_tokens**2, seconds)


def _runs(kernel: str) -> bool:
    return kernel != "flash" or any(importlib.util.find_spec(name) for name in ("flash_attn_interface", "flash_attn"))


def import_table(seconds: float) -> str:
    return f"import holocine: {seconds:.2f} s (target {TARGET_IMPORT} s)"


def attention_table(costs: Iterable[AttentionCost]) -> str:
    costs = list(costs)
    names = list(costs[0].seconds)
    head = f"{'shots':>6}{'tokens':>8}{'arithmetic':>12}" + "".join(f"{name + ' ms':>16}" for name in names)
    lines = []
    for cost in costs:
        cells = [f"{cost.seconds[name] * 1000:.1f}" for name in names]
        cells[1:] = [f"{cell} ({cost.ratio(name):.2f}x)" for cell, name in zip(cells[1:], names[1:], strict=True)]
        lines.append(f"{cost.num_shots:>6}{cost.num_tokens:>8}{cost.share:>12.1%}" + "".join(f"{c:>16}" for c in cells))
    return "\n".join(
        [
            "self-attention alone; in brackets: its part of full's time over its part of the arithmetic "
            f"(target {TARGET_RATIO}x)",
            head,
            *lines,
        ]
    )


def _on_cpu(options: argparse.Namespace, command: Sequence[str]) -> str:
    """Measure what a CPU takes and return the table of it; rows are also said as they come."""
    from benchmarks.speed.cpu_report import SECONDS, measure_all

    seconds = SECONDS if options.seconds is None else options.seconds
    ledger = measure_all(options.out, seconds, options.size, options.model, command, STARTED, _say)
    return ledger.table()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _on_gpu(options: argparse.Namespace) -> str:
    """Measure the large model and return the table of it; rows are also said as they come."""
    from benchmarks.speed.big_model import measure_all

    ledger = measure_all(
        options.out,
        GPU_SECONDS if options.seconds is None else options.seconds,
        options.size,
        options.device,
        options.dtype,
        compiling=not options.no_compile,
        steps=options.steps,
        start=STARTED,
        say=_say,
    )
    return ledger.table()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--part", action="append", choices=(*PARTS, CPU, STREAM, GPU), help="only this part; may be repeated"
    )
    parser.add_argument("--model", help="model of whole videos: folder or hub id; default: the embedded model")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOT_COUNTS, help="shots of the attention part")
    files = f"folder for PART.json and PART.md of {CPU}, {STREAM} and {GPU}"
    parser.add_argument("--out", type=Path, default=Path("."), help=f"{files}; default: here")
    limited = parser.add_argument_group(f"parts {CPU} and {GPU}")
    limited.add_argument("--seconds", type=float, help=f"time for all of {CPU} (900) or {GPU} ({GPU_SECONDS:g})")
    limited.add_argument("--size", choices=("14B", "tiny"), default="14B", help="default: %(default)s")
    on_gpu = parser.add_argument_group(f"part {GPU}")
    on_gpu.add_argument("--device", default="cuda", help="default: %(default)s")
    on_gpu.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    on_gpu.add_argument("--steps", type=int, default=4, help="steps of the whole transformer; default: %(default)s")
    on_gpu.add_argument("--no-compile", action="store_true", help="leave out what has to be compiled")
    options = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    parts = options.part or PARTS
    try:
        if "import" in parts:
            print(import_table(measure_import()), end="\n\n", flush=True)
        if "video" in parts:
            print(video_table(measure_video(options.model)), end="\n\n", flush=True)
        if "attention" in parts:
            costs = (measure_attention(shots, length) for length in SHOT_LENGTHS for shots in options.shots)
            print(attention_table(costs), end="\n\n", flush=True)
        if "eval" in parts:
            from benchmarks.speed.scoring import eval_table, measure_eval

            print(eval_table(measure_eval()), end="\n\n", flush=True)
        if "run" in parts:
            from benchmarks.speed.running import measure_run, run_table

            print(run_table(measure_run()), end="\n\n", flush=True)
        if "report" in parts:
            from benchmarks.speed.reporting import measure_report, report_table

            print(report_table(measure_report()))
        if CPU in parts:
            print(_on_cpu(options, sys.argv[1:] if argv is None else argv))
        if STREAM in parts:
            from benchmarks.speed.streaming import measure_and_tell, streaming_table

            print(streaming_table(measure_and_tell(options.out, options.model, _say)))
        if GPU in parts:
            print(_on_gpu(options))
    except (ValueError, OSError) as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 2
    finally:
        logging.disable(logging.NOTSET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
