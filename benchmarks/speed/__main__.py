"""`python -m benchmarks.speed`: how long and how much memory a video takes, and what sparse attention saves.

Six parts: importing the package; one video of 65 frames and 3 shots of the embedded model, end to end and enlarged;
self-attention alone at growing numbers of shots of two lengths, against the share of the arithmetic that is left; what
scoring a video costs, and saves by its one pass; what a run over a suite costs beyond its videos, and gains by a
second worker; and what a report of 10,000 videos takes. Two more run only when they are asked for: `--part stream`, the
main memory of decoding and writing videos of 65 to 1,921 frames, and `--part gpu`, the layers and steps of the 14B
transformer at full size on a GPU, with random weights, in a stated time. All other times
are wall-clock seconds on the machine it runs on; set `OMP_WAIT_POLICY=passive` where other programs run.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from holocine import Storyboard

STARTED = time.monotonic()
GPU, STREAM = "gpu", "stream"
PARTS = ("import", "video", "attention", "eval", "run", "report")
NUM_FRAMES, CUTS, FPS = 65, (21, 45), 12
TARGET_SECONDS, TARGET_MEMORY, TARGET_IMPORT, TARGET_ENLARGE, TARGET_RATIO = 10.0, 2.0, 0.5, 0.10, 1.25
SHOT_COUNTS = (1, 2, 4, 8)
# Latent frames of a shot: short shots of 512 tokens, and shots of 1,024. A CPU's attention works in larger blocks from
# 768 queries in a call on, so that a call for each short shot does not reach the pace of one for the whole video.
SHOT_LENGTHS = (8, 16)
TOKENS_PER_FRAME, HEADS, HEAD_DIM = 64, 4, 64
# FlexAttention is compiled on a GPU only, and flash-attn runs nowhere else.
CPU_KERNELS, GPU_KERNELS = ("dense", "per-shot"), ("dense", "per-shot", "flex", "flash")
ENLARGED = (784, 448)


@dataclass(frozen=True)
class VideoCost:
    """Seconds of each step of one video, and the peak memory of the whole process in bytes."""

    load: float
    text: float
    denoise: float
    decode: float
    total: float
    write: float
    write_enlarged: float
    memory: int

    @property
    def end_to_end(self) -> float:
        """Seconds from a loaded pipeline to a file."""
        return self.total + self.write

    @property
    def enlarging(self) -> float:
        """What an enlarged file costs beyond a native one, as a part of the whole."""
        return (self.write_enlarged - self.write) / self.end_to_end


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


def measure_video(model: str | None = None, storyboard: Storyboard | None = None) -> VideoCost:
    """Make one video at the model's default settings; raises `CheckpointError` if the model is not there."""
    from holocine import load_pipeline, write_video
    from holocine.checkpoints import hide_loading_bars

    storyboard = storyboard or puppet_storyboard()
    hide_loading_bars()
    load, pipeline = timed(load_pipeline, model)
    pipeline.set_progress_bar_config(disable=True)
    total, output = timed(pipeline, storyboard)
    frames = output.frames[0]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        write, _ = timed(write_video, out, frames, storyboard.fps, storyboard)
        write_enlarged, _ = timed(write_video, out, frames, storyboard.fps, storyboard, size=ENLARGED)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return VideoCost(load, **output.timings, total=total, write=write, write_enlarged=write_enlarged, memory=memory)


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


def puppet_storyboard() -> Storyboard:
    """65 frames in 3 shots, in the words of the embedded world."""
    return Storyboard.from_captions(
        "The scene is set on a beach. [character1] is a red round puppet with a golden crown. "
        "[character2] is a blue square puppet with no hat.",
        [
            "Wide shot of [character1] walking to the left. The camera is static.",
            "Close-up of [character2] standing still. The camera is static.",
            "Medium shot of [character1] and [character2] standing still. The camera pans left.",
        ],
        num_frames=NUM_FRAMES,
        shot_cut_frames=CUTS,
        fps=FPS,
        seed=0,
    )


def timed(run: Callable, *arguments, **options):
    """(seconds, result) of one call."""
    start = time.perf_counter()
    result = run(*arguments, **options)
    return time.perf_counter() - start, result


def import_table(seconds: float) -> str:
    return f"import holocine: {seconds:.2f} s (target {TARGET_IMPORT} s)"


def video_table(cost: VideoCost) -> str:
    rows = [("text encoder", cost.text), ("transformer", cost.denoise), ("VAE", cost.decode), ("file", cost.write)]
    lines = [f"  {name:<14}{seconds:7.2f} s {seconds / cost.end_to_end:7.1%}" for name, seconds in rows]
    return "\n".join(
        [
            f"video of {NUM_FRAMES} frames, {len(CUTS) + 1} shots, default settings:",
            *lines,
            f"  {'end to end':<14}{cost.end_to_end:7.2f} s (target {TARGET_SECONDS:g} s; loading {cost.load:.1f} s)",
            f"  {'peak memory':<14}{cost.memory / 2**30:7.2f} GiB (target {TARGET_MEMORY:g} GiB)",
            f"  enlarged to {ENLARGED[0]}x{ENLARGED[1]}: {cost.enlarging:.1%} extra (target {TARGET_ENLARGE:.0%})",
        ]
    )


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


def _on_gpu(options: argparse.Namespace) -> str:
    """Measure the large model and return the table of it; rows are also said as they come."""
    from benchmarks.speed.big_model import measure_all

    ledger = measure_all(
        options.out,
        options.seconds,
        options.size,
        options.device,
        options.dtype,
        compiling=not options.no_compile,
        steps=options.steps,
        start=STARTED,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return ledger.table()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--part", action="append", choices=(*PARTS, STREAM, GPU), help="only this part; may be repeated"
    )
    parser.add_argument("--model", help="model of the video part: folder or hub id; default: the embedded model")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOT_COUNTS, help="shots of the attention part")
    files = f"folder for PART.json and PART.md of {STREAM} and {GPU}"
    parser.add_argument("--out", type=Path, default=Path("."), help=f"{files}; default: here")
    on_gpu = parser.add_argument_group(f"part {GPU}")
    on_gpu.add_argument("--seconds", type=float, default=110.0, help="time for all of it; default: %(default)s")
    on_gpu.add_argument("--size", choices=("14B", "tiny"), default="14B", help="default: %(default)s")
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
        if STREAM in parts:
            from benchmarks.speed.streaming import measure_and_tell, streaming_table

            say = partial(print, file=sys.stderr, flush=True)
            print(streaming_table(measure_and_tell(options.out, options.model, say)))
        if GPU in parts:
            print(_on_gpu(options))
    except (ValueError, OSError) as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
