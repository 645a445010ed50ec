"""Whole videos of a small model on a CPU: decoding, end to end, and the command as a process of its own."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.ledger import Ledger, Values
from benchmarks.speed.step_picture import draw_step, profile_step
from benchmarks.speed.streaming import MEBI, with_peak
from benchmarks.speed.video import puppet_storyboard
from holocine import Storyboard, load_pipeline, write_video
from holocine.checkpoints import describe, hide_loading_bars
from holocine.plan import make_plan
from holocine.timeline import num_latent_frames, spread_cuts
from holocine.video import visible_size

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/beach.yaml"
TARGET_VIDEO, TARGET_PROCESS = 3.0, 7.0
PROFILED_SHOTS = 3
LIBRARIES = ("torch", "diffusers", "transformers", "scipy", "peft", "holocine")
IN_FULL, README, IMPORTS = "end to end", "the README's command, a process of its own", "importing, in that process"


@dataclass(frozen=True)
class Made:
    """A video to make end to end; attention: None for the model's own."""

    frames: int
    shots: int
    attention: str | None = None


class Videos:
    """The measurements of whole videos, written to one ledger. rate: operations a second of the machine's matrices."""

    def __init__(self, ledger: Ledger, rate: float | None, model: str | None = None):
        self.ledger, self.rate, self.model = ledger, rate, model
        hide_loading_bars()
        self.pipeline = load_pipeline(model)
        self.pipeline.set_progress_bar_config(disable=True)
        self.facts = describe(model)

    def profile(self, frames: int, picture: str) -> None:
        """One step of the transformer, by part, and drawn beside the report."""
        section = f"where the time of one step goes, {frames} frames, {PROFILED_SHOTS} shots"

        def run() -> Mapping[str, Values]:
            calls: list[tuple[tuple, dict]] = []
            transformer = self.pipeline.transformer

            def keep(_: Any, arguments: tuple, options: dict) -> None:
                calls.append((arguments, options))

            hook = transformer.register_forward_pre_hook(keep, with_kwargs=True)
            try:
                self.pipeline(_evenly(frames, PROFILED_SHOTS), num_inference_steps=1, output_type="latent")
            finally:
                hook.remove()
            arguments, options = calls[0]

            def step() -> None:
                with transformer.cache_context("cond"):
                    transformer(*arguments, **options)

            found = profile_step(transformer, step)
            draw_step(self.ledger.out / picture, found, f"One pass, {frames} frames, {PROFILED_SHOTS} shots")
            return found

        self.ledger.notes[section] = f"![Where the time of one step goes]({picture})"
        self.ledger.measure_together(section, ["one step"], run)

    def decode(self, lengths: Iterable[int]) -> None:
        """Latents to frames, as they are written: one latent frame after the other."""
        config = self.pipeline.config
        size = tuple(n // self.pipeline.vae_scale_factor_spatial for n in (config.default_height, config.default_width))
        channels = self.pipeline.vae.config.z_dim

        def latents(count: int) -> torch.Tensor:
            return torch.randn(1, channels, count, *size, generator=torch.Generator().manual_seed(0))

        def decoded(count: int) -> None:
            with torch.no_grad():
                for _ in self.pipeline.decode_frames(latents(count)):
                    pass

        def operations(count: int) -> int:
            """Every latent frame after the second takes as much as the one before it."""
            two, three = (self._counted(partial(decoded, few)) for few in (2, 3))
            return two + (count - 2) * (three - two)

        def run(frames: int) -> Values:
            count = num_latent_frames(frames)
            started = time.perf_counter()
            _, peak = with_peak(partial(decoded, count))
            seconds = time.perf_counter() - started
            rated = self._rated(seconds, operations(count))
            return {"s": seconds, "ms a frame": seconds * 1e3 / frames, **rated, **peak}

        for frames in lengths:
            self.ledger.measure("decode", f"{frames} frames", partial(run, frames))

    def end_to_end(self, videos: Sequence[Made], repeats: int) -> None:
        """A loaded model's videos, from the text to the file: the README's size several times, then others once."""
        board = puppet_storyboard()
        name = f"{board.num_frames} frames, {board.num_shots} shots"
        self.ledger.measure(IN_FULL, f"{name}, the first after loading", partial(self._video, board))
        runs = [self._made_again(f"{name}, run {number}", board) for number in range(1, repeats + 1)]

        def median() -> Values:
            return {"s": statistics.median(values["s"] for values in runs), "target s": TARGET_VIDEO}

        self.ledger.compute(IN_FULL, f"{name}, the median", median)
        for video in videos:
            words = f"{video.frames} frames, {video.shots} shots" + (f", {video.attention}" if video.attention else "")
            run = partial(self._video, _evenly(video.frames, video.shots), video.attention)
            self.ledger.measure(IN_FULL, words, run)

    def _made_again(self, name: str, board: Storyboard) -> Values | None:
        return self.ledger.measure(IN_FULL, name, partial(self._video, board))

    def _video(self, board: Storyboard, attention: str | None = None) -> Values:
        def make() -> Mapping[str, float]:
            with tempfile.TemporaryDirectory() as folder:
                output = self.pipeline(board, attention=attention, output_type="stream")
                frames = output.frames[0]
                write_video(Path(folder) / "out.mp4", frames, board.fps, board, size=visible_size(frames))
                return output.timings

        started = time.perf_counter()
        timings, peak = with_peak(make)
        seconds = time.perf_counter() - started
        operations = make_plan(board, self.facts, attention=attention).cost.total
        denoise = timings["denoise"]
        rated = {f"denoise {key}": value for key, value in self._rated(denoise, operations).items()}
        times = {f"{name} s": timings[name] for name in ("text", "denoise", "decode")}
        return {"s": seconds, **times, "s a second of video": seconds / board.seconds, **rated, **peak}

    def _counted(self, run: Callable[[], None]) -> int:
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    def _rated(self, seconds: float, operations: int) -> Values:
        values = {"GFLOP/s": operations / seconds / 1e9}
        return values | ({"of matrix rate": operations / seconds / self.rate} if self.rate else {})


def _evenly(frames: int, shots: int) -> Storyboard:
    """Shots of even length in the words of the embedded world."""
    board = puppet_storyboard()
    captions = [board.captions[shot % len(board.captions)] for shot in range(shots)]
    cuts = spread_cuts(shots, frames)
    return Storyboard.from_captions(board.global_caption, captions, frames, cuts, fps=board.fps, seed=0)


@dataclass(frozen=True)
class Process:
    """seconds: by the clock. computing: seconds of all cores. peak: bytes, mapped files included. said: on stdout and
    stderr.
    """

    seconds: float
    computing: float
    peak: int
    said: tuple[str, str]

    @classmethod
    def run(cls, command: Sequence[str]) -> Process:
        """Run a command to its end; raises ValueError with its last line if it fails."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = time.perf_counter()
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            process.returncode, seconds = os.waitstatus_to_exitcode(status), time.perf_counter() - started
            said = tuple(file.seek(0) or file.read().decode(errors="replace") for file in (out, err))
        if process.returncode:
            raise ValueError(f"{' '.join(command[1:])}: {(said[1].strip() or 'nothing was said').splitlines()[-1]}")
        unit = 1 if sys.platform == "darwin" else 1024
        return cls(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit, said)


def readme_command(ledger: Ledger, options: Sequence[str], repeats: int) -> None:
    """`python -m holocine generate examples/beach.yaml -o beach.mp4`, several times, then what of it is importing."""

    def command(folder: str, *flags: str) -> list[str]:
        out = str(Path(folder) / "beach.mp4")
        return [sys.executable, *flags, "-m", "holocine", "generate", EXAMPLE, "-o", out, *options]

    def once() -> Values:
        with tempfile.TemporaryDirectory() as folder:
            done = Process.run(command(folder))
        parts = {f"{name} s": seconds for name, seconds in part_seconds(done.said[0]).items()}
        return {"s": done.seconds, "computing s": done.computing, **parts, "peak MiB": done.peak / MEBI}

    runs = [ledger.measure(README, f"run {number}", once) for number in range(1, repeats + 1)]

    def median() -> Values:
        return {"s": statistics.median(values["s"] for values in runs), "target s": TARGET_PROCESS}

    def imports() -> dict[str, Values]:
        with tempfile.TemporaryDirectory() as folder:
            done = Process.run(command(folder, "-X", "importtime"))
        spent = import_seconds(done.said[1])
        whole = sum(spent.values())
        return {"all": {"s": whole, "of the run": whole / done.seconds}} | {
            name: {"s": seconds, "of the run": seconds / done.seconds} for name, seconds in spent.items()
        }

    ledger.compute(README, "the median", median)
    ledger.measure_together(IMPORTS, ["all"], imports)


def part_seconds(said: str) -> dict[str, float]:
    """Seconds of each part of making a video, from what `generate` says at its end."""
    return {name: float(seconds) for name, seconds in re.findall(r"(text|denoise|decode) ([\d.]+) s\b", said)}


def import_seconds(said: str) -> dict[str, float]:
    """Seconds that importing took by the library that a module is of, from what `python -X importtime` says."""
    spent: Counter[str] = Counter(dict.fromkeys((*LIBRARIES, "others"), 0.0))
    for microseconds, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \| +(\S+)", said, re.MULTILINE):
        library = module.partition(".")[0]
        spent[library if library in LIBRARIES else "others"] += int(microseconds) / 1e6
    return dict(spent)
