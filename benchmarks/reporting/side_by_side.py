"""Videos side by side in one MP4, in step, with titles, the shot that was asked for, and marks on their cuts.

Decoding, drawing and encoding go frame by frame, so that the length of the videos does not matter for memory.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition

from benchmarks.running.items import SCORECARD, VIDEO, Item, RunInfo, items_in
from benchmarks.suites.suite import load_suite
from benchmarks.systems.systems import Folder
from holocine.decoding import VideoError, VideoReader
from holocine.files import check_writable, replacing
from holocine.lettering import wrapped, write
from holocine.plurals import few
from holocine.storyboard import Storyboard
from holocine.video import add_stream, read_storyboard, to_yuv

WIDTH, WIDTH_OF_MANY = 640, 480  # pixels a video is shown at: two in a row, and three
_ROUNDED = 0.25  # of a frame, by which the clocks of files differ from a constant rate without meaning it
_FASTEST = 60.0  # frames a second of the comparison, where a video's rate varies
_TITLE, _STRIP, _GAP, _LINE, _MARGIN = 34, 22, 12, 22, 14
_PAPER, _INK, _FAINT, _ASKED, _FOUND = (24, 26, 30), (236, 237, 240), (150, 155, 163), (236, 237, 240), (255, 148, 54)


class CompareError(ValueError):
    """Videos that cannot be put side by side. The message is one sentence."""


@dataclass(frozen=True)
class Panel:
    """One of the videos. `found`: the cuts that a detector saw in it (first frames of new shots), None if unknown."""

    title: str
    path: Path
    found: tuple[int, ...] | None = None


def side_by_side(panels: Sequence[Panel], out: str | Path, storyboard: Storyboard | None = None) -> None:
    """Write an MP4 that shows the videos in step, by time: one that ends earlier stays, darkened, on its last frame.

    storyboard: what was asked for; its cuts are marked on every video and the caption of the present shot stands below.
    Raises `CompareError` for fewer than two videos and for a file that is not called .mp4, `VideoError` for a video
    that cannot be read, and OSError.
    """
    if len(panels) < 2:
        raise CompareError("at least two videos can be compared, not one")
    if Path(out).suffix.lower() != ".mp4":
        raise CompareError(f"{out}: the comparison is an MP4, so call its file .mp4")
    check_writable(out)
    with ExitStack() as opened:
        readers = [opened.enter_context(VideoReader(panel.path)) for panel in panels]
        _write(panels, readers, Path(out), storyboard)


def _write(panels: Sequence[Panel], readers: Sequence[VideoReader], out: Path, storyboard: Storyboard | None) -> None:
    timings = [timing(panel.path, storyboard.fps if storyboard else 0.0) for panel in panels]
    fps = max(one.fps for one in timings)
    total = max(math.ceil(one.duration * fps - 1e-6) for one in timings)
    streams = [_in_step(reader.frames(), one, fps, total) for reader, one in zip(readers, timings, strict=True)]
    together = zip(*streams, strict=True)
    first = next(together)
    sheet = _Sheet(panels, first[0][0].shape, storyboard)
    try:
        with (
            replacing(out) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            stream = add_stream(container, fps, *sheet.size)
            for number, shown in enumerate(chain([first], together)):
                frame = to_yuv(sheet.draw(shown, number / fps, timings), *sheet.size, "lanczos")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None


@dataclass(frozen=True)
class Timing:
    """When a video shows its frames. times: (T,), seconds from the first on, rising. duration: when the last one ends.

    fps: frames a second; where the rate varies, of its commonest step.
    """

    times: np.ndarray
    duration: float
    fps: float

    def at(self, seconds: float) -> int:
        """The number of the frame that is shown then."""
        return max(0, int(np.searchsorted(self.times, seconds, side="right")) - 1)


def timing(path: Path, fps: float = 0.0) -> Timing:
    """When a video's frames are shown, by its own clock; nothing is decoded.

    `fps` is taken where the file does not say. Clocks that only round those of a constant rate, as Matroska's to
    milliseconds, and those that do not rise, are taken for it. Raises `VideoError`.
    """
    with VideoReader(path) as reader:
        fps = reader.fps or fps
        if not fps:
            raise VideoError(f"{path} does not say how many frames a second it has")
    times, last = _clock(path)
    even = np.arange(len(times)) / fps
    if len(times) < 2 or not (np.diff(times) > 0).all():
        return Timing(even, len(times) / fps, fps)
    step = float(np.median(np.diff(times)))
    if np.abs(times - even).max() <= _ROUNDED / fps:
        return Timing(even, len(times) / fps, fps)
    return Timing(times, float(times[-1]) + (last or step), min(_FASTEST, max(fps, 1 / step)))


def _clock(path: Path) -> tuple[np.ndarray, float]:
    """The times of all packets that are shown, in order, from the first on, and how long the last one lasts."""
    with av.open(str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        stream = next(s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        shown = sorted(
            (float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base))
            for packet in container.demux(stream)
            if packet.pts is not None and packet.size and not packet.is_discard
        )
    times = np.array([time for time, _ in shown])
    return times - times[:1], shown[-1][1] if shown else 0.0


def _in_step(frames: Iterator[np.ndarray], shown: Timing, fps: float, total: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield for each of `total` frames at `fps` what a video shows then, and whether it has ended.

    A frame that comes less than a quarter of a frame later counts as there, since clocks are rounded.
    """
    at, picture = -1, np.zeros((1, 1, 3), np.uint8)
    for number in range(total):
        time = (number + _ROUNDED) / fps
        wanted = shown.at(time)
        while at < wanted:
            picture, at = next(frames, picture), at + 1
        yield picture, time >= shown.duration


class _Sheet:
    """The picture that everything is drawn into."""

    def __init__(self, panels: Sequence[Panel], shape: tuple[int, ...], storyboard: Storyboard | None) -> None:
        self.panels, self.storyboard = panels, storyboard
        self.columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3
        self.width = WIDTH if self.columns == 2 else WIDTH_OF_MANY
        self.height = round(self.width * shape[0] / shape[1] / 2) * 2
        rows = math.ceil(len(panels) / self.columns)
        self.cell = (self.width + _GAP, _TITLE + self.height + _STRIP)
        width = 2 * _MARGIN + self.columns * self.cell[0] - _GAP
        self.captions_top = _MARGIN + rows * self.cell[1]
        height = self.captions_top + (4 * _LINE + _MARGIN if storyboard else _MARGIN)
        self.size = (width + width % 2, height + height % 2)
        self.background = np.full((self.size[1], self.size[0], 3), _PAPER, np.uint8)
        for number, panel in enumerate(panels):
            left, top = self._corner(number)
            self._text(self.background, panel.title, left, top + 6, self.width, 18, _INK)
        self.below: dict[int, np.ndarray] = {}

    def draw(
        self,
        shown: Sequence[tuple[np.ndarray, bool]],
        time: float,
        timings: Sequence[Timing],
    ) -> np.ndarray:
        """The whole picture at a time in seconds."""
        picture = self.background.copy()
        longest = max(one.duration for one in timings)
        for number, ((frame, ended), own) in enumerate(zip(shown, timings, strict=True)):
            left, top = self._corner(number)
            fitted = _fit(frame, self.width, self.height)
            below = top + _TITLE + self.height
            picture[top + _TITLE : below, left : left + self.width] = fitted // 3 if ended else fitted
            self._strip(picture, number, left, below, time, longest, own.times)
        if self.storyboard is not None:
            picture[self.captions_top :] = self._captions(time)
        return picture

    def _corner(self, number: int) -> tuple[int, int]:
        return _MARGIN + number % self.columns * self.cell[0], _MARGIN + number // self.columns * self.cell[1]

    def _strip(
        self, picture: np.ndarray, number: int, left: int, top: int, time: float, longest: float, times: np.ndarray
    ) -> None:
        """Time from left to right: cuts that were asked for below the line, those that were found above it."""
        middle = top + _STRIP // 2
        cv2.line(picture, (left, middle), (left + self.width - 1, middle), (70, 74, 82), 1)
        asked = [cut / self.storyboard.fps for cut in self.storyboard.cuts] if self.storyboard else []
        found = [times[cut] for cut in self.panels[number].found or () if cut < len(times)]
        for times, colour, start, end in ((asked, _ASKED, 1, 8), (found, _FOUND, -8, -1)):
            for one in times:
                x = left + round(one / longest * (self.width - 1))
                cv2.line(picture, (x, middle + start), (x, middle + end), colour, 2)
        x = left + round(min(1.0, time / longest) * (self.width - 1))
        cv2.circle(picture, (x, middle), 4, _INK, -1, cv2.LINE_AA)

    def _captions(self, time: float) -> np.ndarray:
        """The lower part: number and caption of the shot that was asked for at this time, and what the marks mean."""
        frame = min(int(time * self.storyboard.fps + 1e-6), self.storyboard.num_frames - 1)
        shot = sum(cut <= frame for cut in self.storyboard.cuts)
        if shot not in self.below:
            part = self.background[self.captions_top :].copy()
            text = f"Shot {shot + 1} of {self.storyboard.num_shots}: {self.storyboard.captions[shot]}"
            width = self.size[0] - 2 * _MARGIN
            self._text(part, text, _MARGIN, 2, width, 16, _INK, lines=3)
            marks = "Marks below the line: cuts that were asked for."
            if any(panel.found is not None for panel in self.panels):
                marks += " Above, orange: cuts that were found."
            self._text(part, marks, _MARGIN, 3 * _LINE + 4, width, 13, _FAINT)
            self.below[shot] = part
        return self.below[shot]

    @staticmethod
    def _text(
        picture: np.ndarray, text: str, left: int, top: int, width: int, size: int, colour: tuple, lines: int = 1
    ) -> None:
        for number, line in enumerate(wrapped(text, size, width, lines)):
            write(picture, line, left, top + number * _LINE, size, colour)


def _fit(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """A frame inside width x height, black around it."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (min(width, round(frame.shape[1] * scale)), min(height, round(frame.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if frame.shape[0] < 240 else cv2.INTER_CUBIC
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted[top : top + size[1], left : left + size[0]] = cv2.resize(frame, size, interpolation=way)
    return fitted


def find_panel(source: str, run: Path | None, storyboard_id: str | None, seed: int) -> Panel:
    """The video that a word on the command line means: a system of the run, else a file or a folder of videos.

    Raises `CompareError` that says what was looked for.
    """
    path = Path(source)
    of_run = run is not None and source in _systems(run)
    if path.is_file() and not of_run:
        return Panel(path.stem, path)
    if storyboard_id is None and of_run:
        raise CompareError(f"{source} is a system of {run}: name the storyboard whose video is meant with --storyboard")
    if storyboard_id is None:
        raise CompareError(f"{source} is no video file: name the storyboard whose video is meant with --storyboard")
    if of_run:
        folder = Item(source, storyboard_id, seed).folder(run)
        if (folder / VIDEO).is_file():
            return Panel(source, folder / VIDEO, _found_cuts(folder / SCORECARD))
    elif path.is_dir():
        folder = path / storyboard_id / str(seed)
        if (folder / VIDEO).is_file():
            return Panel(path.name, folder / VIDEO, _found_cuts(folder / SCORECARD))
        try:
            return Panel(path.name, Folder(path.name, source).find(storyboard_id, seed))
        except ValueError as error:
            if run is None:
                raise
            raise CompareError(f"{source} is no system of {run} ({_has(run)}), and as a folder {error}") from None
    if run is None:
        raise CompareError(f"{source} is no file and no folder; if it is a system of a run, name the run with --run")
    raise CompareError(f"the run {run} has no video of {source}, storyboard {storyboard_id}, seed {seed}: {_has(run)}")


def _systems(run: Path) -> set[str]:
    """The names of the systems of a run, also of those without a video."""
    info = RunInfo.load(run)
    return {item.system for item in items_in(run)} | set(info.systems if info else ())


def _has(run: Path) -> str:
    """Which videos a run has, in words."""
    items = [item for item in items_in(run) if (item.folder(run) / VIDEO).is_file()]
    if not items:
        return "it has no videos at all"
    systems, boards = ({getattr(item, name): None for item in items} for name in ("system", "storyboard_id"))
    seeds = ", ".join(map(str, sorted({item.seed for item in items})))
    return f"its systems are {', '.join(systems)}, its storyboards {few([*boards])}, its seeds {seeds}"


def _found_cuts(scorecard: Path) -> tuple[int, ...] | None:
    """The cuts that a scorecard lists; None if there is no readable one."""
    from eval.scorecard import Scorecard, ScorecardError

    try:
        return tuple(boundary.frame for boundary in Scorecard.load(scorecard).boundaries)
    except ScorecardError:
        return None


def _find_storyboard(run: Path | None, id: str | None, panels: Sequence[Panel]) -> Storyboard | None:
    """What was asked for: from the run's suite, or else from a video that carries it."""
    if run is not None and id is not None and (run / "suite.jsonl").is_file():
        return load_suite(run / "suite.jsonl")[id].storyboard
    for panel in panels:
        try:
            return read_storyboard(panel.path)
        except VideoError:
            continue
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks compare`."""
    parser.add_argument("videos", nargs="+", metavar="A", help="systems of the run, folders of videos, or video files")
    parser.add_argument("--storyboard", metavar="ID", help="whose videos to compare; not needed for files")
    parser.add_argument("--run", dest="run_folder", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument("--seed", type=int, default=0, help="number of the repetition (0)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="MP4 to write (A-B-ID.mp4)")


def run(options: argparse.Namespace) -> int:
    """Write the comparison and say where it is."""
    if options.run_folder is not None and not options.run_folder.is_dir():
        raise CompareError(f"{options.run_folder} holds no run: there is no such folder")
    panels = [find_panel(name, options.run_folder, options.storyboard, options.seed) for name in options.videos]
    storyboard = _find_storyboard(options.run_folder, options.storyboard, panels)
    names = [panel.title for panel in panels] + ([options.storyboard] if options.storyboard else [])
    out = options.out or Path("-".join(names) + ".mp4")
    side_by_side(panels, out, storyboard)
    print(out)
    return 0
