"""The part "eval" of `benchmarks.speed`: what scoring costs, and what one pass for all metrics saves.

Four numbers: all metrics in one pass against each metric that decodes, detects and embeds for itself; videos a minute
of the puppet world, by as many processes as there are cores; a real-size video with a CLIP as large as ViT-B/32, whose
random weights take as long as trained ones; and the peak memory that a long video takes, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running.work import PeakMemory
from eval.batch import Options, score_all
from eval.encoders import Encoders, load_encoders
from eval.encoders.finders import load_finder
from eval.evidence import Detection, Evidence
from eval.footage import observe
from eval.gathering import gather, storyboard_of
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.request import Request, place
from eval.scorecard import measure, measure_all, score
from eval.shots import ShotDetector, load_detector
from holocine import Storyboard, write_video
from holocine.decoding import VideoReader
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from holocine.video import visible_size

TARGET_RATIO, TARGET_PER_MINUTE, TARGET_MEMORY = 3.0, 30.0, 1.5
FIRST_SEED = 860_000
LARGE, LARGE_FRAMES, LARGE_FPS = (832, 480), 81, 16.0
LONG_FRAMES, LONG_FPS = 5000, 24.0
VIT = "ViT-B-32"


@dataclass(frozen=True)
class EvalCost:
    """one_pass, apart: seconds to score a video on all metrics, together and each by itself. per_minute: videos of the
    puppet world that `jobs` processes score in a minute once they are loaded. large: seconds by stage of the real-size
    video. memory: peak of the process that scores the long video, in bytes, by encoder.
    """

    one_pass: float
    apart: float
    metrics: int
    jobs: int
    per_minute: float
    large: dict[str, float]
    memory: dict[str, int]

    @property
    def ratio(self) -> float:
        return self.apart / self.one_pass


def measure_eval(
    videos: int = 24, long_frames: int = LONG_FRAMES, memory_of: tuple[str, ...] = ("puppet", VIT)
) -> EvalCost:
    """Write videos into a temporary folder and score them in all these ways."""
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        paths = puppet_videos(Path(folder), videos)
        one_pass, apart = measure_passes(paths[0])
        per_minute = measure_throughput(paths, jobs)
        large = measure_large(Path(folder))
        memory = {encoder: measure_memory(Path(folder), encoder, long_frames) for encoder in memory_of}
    return EvalCost(one_pass, apart, len(all_metrics()), jobs, per_minute, large, memory)


def puppet_videos(folder: Path, count: int) -> list[str]:
    """Scenes of 65 frames as `python -m holocine generate` writes its videos, storyboard and enlargement included."""
    paths = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = sample_scene(seed, num_frames=65)
        frames, storyboard = render(scene)[0], to_storyboard(scene, seed=seed)
        paths.append(str(folder / f"scene{seed}.mp4"))
        write_video(paths[-1], frames, storyboard.fps, storyboard, size=visible_size(frames))
    return paths


# One pass against many


class OwnEvidence:
    """Evidence that decodes, detects and embeds when a metric asks for it, as a program of that metric alone would.

    A metric pays for nothing that it does not look at, and for each thing once.
    """

    def __init__(self, video: str, storyboard: Storyboard, encoders: Encoders, detector: ShotDetector) -> None:
        self.video, self.storyboard, self.encoders, self.detector = video, storyboard, encoders, detector
        self.aesthetic = None
        self.missing = encoders.missing

    shots, cuts, why = Evidence.shots, Evidence.cuts, Evidence.why

    @cached_property
    def asked(self):
        return place(Request.of(self.storyboard), self.footage.num_frames, self.footage.fps)

    @cached_property
    def footage(self):
        return observe(self.video)

    @cached_property
    def detection(self):
        return self.detector.detect(self.footage.thumbnails)

    def _gathered(self, role: str) -> Evidence:
        """One encoder's look at the video, in a pass of its own."""
        only = Encoders(**{role: getattr(self.encoders, role)}, missing=self.missing)
        evidence = gather(self.video, self.storyboard, only, _NoDetector())
        self.__dict__.setdefault("footage", evidence.footage)
        return evidence

    @cached_property
    def _clip(self) -> Evidence:
        return self._gathered("clip")

    @property
    def clip(self):
        return self._clip.clip

    @property
    def text(self):
        return self._clip.text

    @cached_property
    def _looked(self) -> Evidence:
        """The search for characters, in a pass of its own."""
        finder, reason = load_finder(None, self.storyboard)
        nobody = Encoders(missing=self.missing)
        evidence = gather(self.video, self.storyboard, nobody, _NoDetector(), finder=finder, no_finder=reason)
        self.__dict__.setdefault("footage", evidence.footage)
        return evidence

    @property
    def sightings(self):
        return self._looked.sightings

    @property
    def crops(self):
        return self._looked.crops

    @cached_property
    def dino(self):
        return self._gathered("dino").dino


class _NoDetector:
    def detect(self, thumbnails: np.ndarray) -> Detection:
        return Detection("none", len(thumbnails), ())


def measure_passes(video: str) -> tuple[float, float]:
    """Seconds for all metrics of a video in one pass, and for each metric by itself, models loaded."""
    storyboard = storyboard_of(video)
    encoders, detector = load_encoders("auto", storyboard), load_detector()
    score(video, encoders=encoders, detector=detector)  # whatever is set up at the first use does not count
    finder, _ = load_finder(None, storyboard)
    one_pass = _seconds(lambda: measure_all(gather(video, storyboard, encoders, detector, finder=finder)))

    def by_itself(metric: Metric) -> None:
        measure(metric, OwnEvidence(video, storyboard, encoders, detector))

    return one_pass, sum(_seconds(lambda metric=metric: by_itself(metric)) for metric in all_metrics().values())


# How many a minute, how long, how much


def measure_throughput(videos: list[str], jobs: int) -> float:
    """Videos a minute once every process has scored its first, for which it loads the models."""
    ends = [time.perf_counter() for outcome in score_all(videos, Options(), jobs) if outcome.scorecard is not None]
    return 60 * (len(ends) - jobs) / (ends[-1] - ends[jobs - 1])


def measure_large(folder: Path) -> dict[str, float]:
    """Seconds by stage of a video of LARGE_FRAMES frames at a real size, with a CLIP as large as ViT-B/32."""
    video = folder / "large.mp4"
    storyboard = moving_video(video, LARGE_FRAMES, LARGE_FPS)
    encoders, detector = random_clip(), load_detector()
    score(video, storyboard, encoders=encoders, detector=detector)
    return score(video, storyboard, encoders=encoders, detector=detector).seconds


def measure_memory(folder: Path, encoder: str, num_frames: int) -> int:
    """Peak memory in bytes of a process that does nothing but score a long video of a real size."""
    video = folder / "long.mp4"
    if not video.exists():
        moving_video(video, num_frames, LONG_FPS)
    run = [sys.executable, "-m", "benchmarks.speed.scoring", str(video), encoder]
    root = Path(__file__).parents[2]
    return int(subprocess.run(run, cwd=root, capture_output=True, text=True, check=True).stdout.split()[-1])


def random_clip(name: str = VIT) -> Encoders:
    """A CLIP of open_clip's with random weights."""
    import open_clip
    import torch

    from eval.encoders.models import ClipEncoder, Source

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=None)
    clip = ClipEncoder(Source(f"{name}:random", "0" * 64, "none", 0), model, preprocess, open_clip.get_tokenizer(name))
    return Encoders(clip=clip, missing={"dino": "not measured here", "aesthetic": "not measured here"})


def moving_video(path: Path, num_frames: int, fps: float) -> Storyboard:
    """Write a video of LARGE size with a shot of drifting clouds for every five seconds, frame by frame."""
    import av
    import cv2

    width, height = LARGE
    length = 4 * round(5 * fps / 4)
    cuts = [frame + 1 for frame in range(length, num_frames - 8, length)]
    captions = [f"Wide shot of [character1], number {shot}. The camera pans left." for shot in range(len(cuts) + 1)]
    storyboard = Storyboard.from_captions(
        "[character1] is a cloud.", captions, num_frames=num_frames, shot_cut_frames=cuts, fps=fps
    )
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = storyboard.to_json(indent=None)
        stream = container.add_stream("libx264", rate=round(fps), options={"preset": "ultrafast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in range(num_frames):
            if frame == 0 or frame in cuts:
                coarse = random.integers(0, 256, (30, 60, 3), np.uint8)
                clouds = cv2.resize(coarse, (width + 4 * length, height), interpolation=cv2.INTER_CUBIC)
                first = frame
            picture = np.ascontiguousarray(clouds[:, 3 * (frame - first) : 3 * (frame - first) + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return storyboard


def eval_table(cost: EvalCost) -> str:
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in cost.large.items())
    return "\n".join(
        [
            f"scoring a video of 65 frames on {cost.metrics} metrics:",
            f"  in one pass           {cost.one_pass:8.2f} s",
            f"  each metric by itself {cost.apart:8.2f} s, {cost.ratio:.1f} times as long (target {TARGET_RATIO:g})",
            f"  videos a minute       {cost.per_minute:8.1f} with {cost.jobs} processes (target {TARGET_PER_MINUTE:g})",
            f"{LARGE_FRAMES} frames of {LARGE[0]}x{LARGE[1]} with a CLIP as large as {VIT}: "
            f"{sum(cost.large.values()):.2f} s ({stages})",
            f"peak memory for {LONG_FRAMES} frames of {LARGE[0]}x{LARGE[1]} (target {TARGET_MEMORY:g} GB):",
            *(f"  with {name:<16} {size / 1e9:8.2f} GB" for name, size in cost.memory.items()),
        ]
    )


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak_memory(video: str, encoder: str) -> int:
    """Score a video in this process and return the most memory it has held, in bytes."""
    with VideoReader(video) as reader:
        storyboard = Storyboard.from_json(reader.comment)
    peak = PeakMemory()  # not ru_maxrss, which begins with the memory of the process that has started this one
    encoders = random_clip() if encoder == VIT else load_encoders(encoder)
    score(video, storyboard, encoders=encoders)
    return round(peak.megabytes() * 2**20)


if __name__ == "__main__":
    print(_peak_memory(*sys.argv[1:]))
