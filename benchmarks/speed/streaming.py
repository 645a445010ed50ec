"""The part "stream" of `benchmarks.speed`: main memory of decoding and writing a video, at growing numbers of frames.

Latents become an MP4, enlarged as `generate` does it, with its contact sheet: once while they are decoded (`stream`),
and once decoded whole and then written (`at once`). Each is measured in a process of its own, as the most memory of its
own (anonymous, without mapped files) that it holds in that time, looked at every few milliseconds. Libraries and VAE
are part of it, about 620 MiB, of which loading leaves more or less to be used again: what is held before differs by
60 MiB from one process to the next. Latents are noise, for which the decoder does the same work.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from holocine import Storyboard
from holocine.files import replacing
from holocine.frame_stream import FrameStream, watched
from holocine.timeline import num_frames_of, num_latent_frames
from holocine.video import Thumbnails, contact_sheet, visible_size, write_video

FRAMES = (65, 241, 961, 1921)
WAYS = ("stream", "at once")
FPS, SHOTS = 12, 8  # as many shots at every length: a contact sheet grows with them, by a row each
TARGET_GROWTH = 1.1  # most memory at the longest video over that at the shortest
MEBI = 2**20
STATUS = Path("/proc/self/status")  # Linux alone has it
LOOK = 0.005  # seconds between two looks at the memory


@dataclass(frozen=True)
class StreamCost:
    """frames: of the video. held: bytes that the process held before; most: beyond that, at most. seconds: of decoding
    and writing; file: bytes of the MP4.
    """

    way: str
    frames: int
    held: int
    most: int
    seconds: float
    file: int

    @property
    def peak(self) -> int:
        """Bytes that the process held at most."""
        return self.held + self.most


def measure(way: str, frames: int, model: str | None = None) -> StreamCost:
    """Decode and write one video in this process; latents of few frames are decoded first, so that all is loaded."""
    import torch

    from holocine import load_pipeline
    from holocine.checkpoints import hide_loading_bars

    hide_loading_bars()
    pipeline = load_pipeline(model)
    del pipeline.transformer, pipeline.transformer_2, pipeline.text_encoder
    board = storyboard(frames)
    shape = (1, pipeline.vae.config.z_dim, num_latent_frames(frames))
    size = tuple(pixels // pipeline.vae_scale_factor_spatial for pixels in _pixels(pipeline))
    latents = torch.randn(*shape, *size, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        first = storyboard(9)
        _write(Path(folder), first, _decode(way, pipeline, latents[:, :, :3], first))
        before, began = held(), time.perf_counter()
        with MostHeld() as most:
            path = _write(Path(folder), board, _decode(way, pipeline, latents, board))
        seconds = time.perf_counter() - began
        return StreamCost(way, frames, before, most.bytes - before, round(seconds, 2), path.stat().st_size)


def _decode(way: str, pipeline, latents, board: Storyboard) -> np.ndarray | FrameStream:
    import torch

    if way == "at once":
        with torch.no_grad():
            return pipeline.as_output(pipeline.decode_video(latents), "np")[0]
    return FrameStream((board.num_frames, *_pixels(pipeline), 3), lambda: pipeline.decode_frames(latents))


def _write(folder: Path, board: Storyboard, frames: np.ndarray | FrameStream) -> Path:
    thumbnails, path = Thumbnails(board, frames.shape), folder / "video.mp4"
    write_video(path, watched(frames, thumbnails.see), board.fps, board, size=visible_size(frames))
    contact_sheet(thumbnails, board, folder / "video.png")
    return path


def _pixels(pipeline) -> tuple[int, int]:
    return pipeline.config.default_height, pipeline.config.default_width


def storyboard(frames: int) -> Storyboard:
    """`SHOTS` shots of the same length, or as many as fit."""
    shots = min(SHOTS, num_latent_frames(frames))
    cuts = [num_frames_of(num_latent_frames(frames) * shot // shots) for shot in range(1, shots)]
    return Storyboard.from_captions("A stage.", ["A puppet walks."] * (len(cuts) + 1), frames, cuts, fps=FPS)


def held() -> int:
    """Bytes of main memory that are this process's own; pages of mapped files come and go with what others need."""
    return int(STATUS.read_text().split("RssAnon:")[1].split()[0]) * 1024


class MostHeld:
    """The most that `held` says inside the block, in `bytes`."""

    def __init__(self) -> None:
        self.bytes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            self.bytes = max(self.bytes, held())

    def __enter__(self) -> Self:
        self.bytes = held()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.bytes = max(self.bytes, held())


def with_peak(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call returns, and the most memory, in MiB, that the process held meanwhile; none where nobody counts."""
    if not STATUS.exists():
        return run(), {}
    with MostHeld() as most:
        result = run()
    return result, {"peak MiB": most.bytes / MEBI}


def measure_streaming(
    frames: Iterable[int] = FRAMES, ways: Iterable[str] = WAYS, model: str | None = None
) -> Iterator[StreamCost]:
    """The cost of each way and length, each in a fresh process."""
    options = [] if model is None else ["--model", model]
    for count in frames:
        for way in ways:
            run = [sys.executable, "-m", "benchmarks.speed.streaming", "--one", way, str(count), *options]
            done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
            if done.returncode:
                raise ValueError(
                    f"{way}, {count} frames: {(done.stderr.strip() or 'nothing was said').splitlines()[-1]}"
                )
            yield StreamCost(**json.loads(done.stdout.splitlines()[-1]))


def growth(costs: Sequence[StreamCost], way: str) -> float:
    """Memory of the longest video over that of the shortest."""
    sizes = [cost.peak for cost in sorted(costs, key=lambda cost: cost.frames) if cost.way == way]
    return sizes[-1] / sizes[0]


def streaming_table(costs: Sequence[StreamCost]) -> str:
    """Both ways side by side, as a table in Markdown."""
    by = {(cost.way, cost.frames): cost for cost in costs}
    ways = list(dict.fromkeys(cost.way for cost in costs))
    columns = [f"{way}, {unit}" for way in ways for unit in ("MiB", "s")]
    lines = [f"| frames | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for frames in sorted({cost.frames for cost in costs}):
        found = [by.get((way, frames)) for way in ways]
        cells = [f"{c.peak / MEBI:.0f} | {c.seconds:.1f}" if c else "not measured | " for c in found]
        lines.append(f"| {frames:,} | {' | '.join(cells)} |")
    several = [way for way in ways if len({cost.frames for cost in costs if cost.way == way}) > 1]
    grown = ", ".join(f"{way} {growth(costs, way):.2f}x" for way in several) or "one length only"
    return "\n".join(
        [*lines, "", f"Memory of the longest over that of the shortest: {grown} (target {TARGET_GROWTH}x)."]
    )


def write_result(out: Path, costs: Sequence[StreamCost], command: str) -> None:
    """Write stream.json and stream.md into a folder."""
    import torch

    machine = {"command": command, "processor": platform.machine(), "python": platform.python_version()}
    machine |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    head = ["# Main memory of decoding and writing", "", __doc__.split("\n\n", 1)[1].strip(), ""]
    text = "\n".join([*head, *(f"- {key}: {value}" for key, value in machine.items()), "", streaming_table(costs)])
    plain = json.dumps({"machine": machine, "costs": [asdict(cost) for cost in costs]}, indent=1)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in (("stream.json", plain), ("stream.md", text)):
        with replacing(out / name) as path:
            path.write_text(content + "\n", encoding="utf-8")


def measure_and_tell(out: Path, model: str | None = None, say: Callable[[str], None] = print) -> list[StreamCost]:
    """Measure everything, write it into `out` as it comes, and return it."""
    costs = []
    for cost in measure_streaming(model=model):
        costs.append(cost)
        say(f"{cost.way}, {cost.frames} frames: {cost.peak / MEBI:.0f} MiB, {cost.seconds:.1f} s")
        if {one.way for one in costs} == set(WAYS) and len(costs) % len(WAYS) == 0:
            write_result(out, costs, "python -m benchmarks.speed --part stream")
    return costs


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one video in this process and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.streaming", description=main.__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FRAMES"), required=True)
    parser.add_argument("--model")
    options = parser.parse_args(argv)
    way, frames = options.one
    print(json.dumps(asdict(measure(way, int(frames), options.model))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
