"""The part "video" of `benchmarks.speed`: one video of the embedded model, from its text to a file."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holocine import Storyboard

NUM_FRAMES, CUTS, FPS = 65, (21, 45), 12
TARGET_SECONDS, TARGET_MEMORY, TARGET_ENLARGE = 10.0, 2.0, 0.10
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
