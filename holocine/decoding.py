"""Video files -> frames and their times, one at a time: whatever libav reads, as a player shows it.

Damaged files are refused. Frames are upright, 8 bits, opaque. An edit list (an MP4 that was cut without being encoded
again) is obeyed: stored frames that no player shows are not given.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.stream import Disposition

from holocine.plurals import are, counted

# A step between two frames that differs by more than this from the mean step makes the frame rate a variable one;
# container clocks tick in milliseconds, so 60 frames a second step by 16 or 17 of them.
_RATE_TOLERANCE = 0.2
# Times that stay this close to those of a constant rate, in frames, are taken for those: clocks are rounded.
_CLOCK_TOLERANCE = 0.25
# Share of the frames of an MP4 with an edit list that have to follow each other evenly for a constant rate: where it
# was cut, frames that others are predicted from may stand alone.
_EVEN = 0.9
# A transport stream that is cut off lacks frames that others, later ones, are predicted from: at most so many.
_REORDERED = 4
_TS_PACKET, _TS_SYNC = 188, 0x47  # bytes; ISO/IEC 13818-1, section 2.4.3
_TS_TAIL = 10_000  # packets in which the last one of the pictures is looked for
_TS_FRAMING = {188: 0, 192: 4, 204: 0}  # bytes from packet to packet -> bytes before the sync byte


class VideoError(ValueError):
    """A file that is not a readable video, or frames that cannot become one. The message is one sentence."""


class DamagedVideo(VideoError):
    """A video that is damaged or cut short. reason: what is wrong with it, without its name and what to do."""

    def __init__(self, path: str | os.PathLike, reason: str, remedy: str = "") -> None:
        super().__init__(f"{path} is damaged or cut short: {reason}{remedy}")
        self.reason = reason


class VideoReader:
    """An open video file, used as a context manager.

    fps: frames a second, as the container says; 0.0 if it does not. num_frames: how many frames the container says are
    shown, None if it does not. comment, timecode: the container's tags of those names; the timecode, HH:MM:SS:FF, is
    that of the first frame. Complete once `frames` has come to its end: notes, what was done to the pictures beyond
    decoding, a sentence each; times, float64 (T,), the seconds at which each frame is shown, counted from the first;
    duration, the seconds at which the last one ends; and fps, which by then is the average of these times where they
    are not those of the rate that the container says. At a constant rate, times are i / fps.

    A rate that is given goes before what the file says, its times included. Frames of more than `most_pixels` are
    scaled down to so many while they are read, and a note says so. Raises `VideoError` for anything that is no video.
    """

    def __init__(self, path: str | os.PathLike, fps: float | None = None, most_pixels: int | None = None) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self._most_pixels = most_pixels
        if str(path).lower().startswith(("http:", "https:")):
            raise VideoError(f"{path} is a web address: get the video from there, and give the file")
        if not self.path.is_file():
            raise VideoError(f"{path} is not a file" if self.path.exists() else f"{path} does not exist")
        try:
            # A text file may be a playlist that names other places: only files are ever opened.
            self._container = av.open(str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{path} is not a video that can be read: {_reason(error)}") from None
        if self._container.format.name == "image2" or self._container.format.name.endswith("_pipe"):
            self._container.close()
            raise VideoError(f"{path} is a picture, not a video")
        # The cover of a song is a video stream, too.
        pictures = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not pictures:
            sound = bool(self._container.streams.audio)
            self._container.close()
            raise VideoError(f"{path} has no pictures in it" + (", only sound" if sound else ""))
        self._stream = pictures[0]
        self._stream.thread_type = "AUTO"
        declared, self.num_frames = _declared(self._container, self._stream)
        self.fps, self._is_given = fps or declared, bool(fps)
        self.times, self.duration = np.zeros(0), 0.0
        self.comment: str | None = self._container.metadata.get("comment")
        self.timecode: str | None = _timecode(self._container)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self, size: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
        """Yield every frame once, in the order they are shown, as uint8 (H, W, 3) RGB.

        Rotation in the metadata is applied, transparent pictures are shown on black, and frames of variable duration
        come as they are, each once. `size` is the (width, height) that an encoder padded to even numbers: the extra
        row or column is cut off. Raises `VideoError` if the file is damaged, cut short or changes its picture size.
        """
        first, clock, damaged = None, _Clock(), 0
        try:
            for frame in self._container.decode(self._stream):
                picture = self._picture(frame, size)
                first = picture.shape if first is None else first
                if picture.shape != first:
                    raise VideoError(
                        f"{self.path} changes its picture size at frame {clock.count}, from {_by(first)} to "
                        f"{_by(picture.shape)}: only videos of one size can be read"
                    )
                clock.tick(frame)
                damaged += frame.is_corrupt
                yield picture
        except av.error.FFmpegError as error:
            if not (clock.count and self._is_transport_stream):
                raise DamagedVideo(self.path, _reason(error)) from None
            self._note(f"the file is damaged after {counted(clock.count, 'frame')}: what follows could not be decoded")
        if clock.count == 0:
            raise VideoError(f"{self.path} has no pictures in it")
        self._check_whole(clock)
        timing = self._timing(clock)
        self.times, self.duration, self.fps = timing.times, timing.duration, timing.fps
        if self._is_transport_stream:
            self._note_damage(clock.count, clock.gap_at_the_end, damaged)
        if not clock.rises and not self._is_given:
            self._note("the times of its frames are missing or do not rise: frames are taken as evenly spaced")
        if timing.varies:
            self._note(
                f"the frame rate varies (a frame lasts from {clock.shortest:.3f} s to {clock.longest:.3f} s, "
                f"{self.fps:.4g} a second on average): frames are taken as they come, each at its own time"
            )

    def some_frames(self, span: range, size: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
        """Yield the frames of a part of a video of constant rate, as `frames` does, without decoding what is before.

        The container has to say where its keyframes are, as an MP4 does. A reader does this or `frames`, not both; this
        it may do again. Raises `VideoError` if the file ends before the part does.
        """
        clock, found = self._stream.time_base * self._stream.average_rate, 0
        first = self._stream.start_time or 0
        try:
            self._container.seek(first + round(span.start / clock), stream=self._stream)
            for frame in self._container.decode(self._stream):
                index = round((frame.pts - first) * clock)
                if index >= span.stop:
                    break
                if index >= span.start:
                    found += 1
                    yield self._picture(frame, size)
        except av.error.FFmpegError as error:
            raise DamagedVideo(self.path, _reason(error)) from None
        if found < len(span):
            raise DamagedVideo(self.path, f"frames {span.start} to {span.stop - 1} are not all there")

    @property
    def _is_transport_stream(self) -> bool:
        return self._container.format.name == "mpegts"

    def _check_whole(self, clock: _Clock) -> None:
        """Raise `VideoError` if frames are missing that the container declares: some cuts end decoding quietly."""
        if clock.count < (self.num_frames or 0):
            raise DamagedVideo(
                self.path,
                f"it holds {clock.count} of its {self.num_frames} frames",
                f"; get it again, or keep what is there with `ffmpeg -i {self.path} -c copy "
                f"WHOLE{Path(self.path).suffix}`",
            )
        # Other containers say nothing of frames but how long they last, of their longest stream.
        if self.num_frames is None and len(self._container.streams) == 1 and self._container.duration:
            declared = self._container.duration / av.time_base
            if clock.end < 0.9 * declared and declared - clock.end > 2 * clock.longest:
                raise DamagedVideo(self.path, f"its pictures end after {clock.end:.2f} s of {declared:.2f} s")

    def _note_damage(self, count: int, gap: int, damaged: int) -> None:
        """Note what a transport stream shows of being cut off or damaged: it declares neither frames nor a length.

        One that is cut off between two frames cannot be told from a whole one.
        """
        signs = [f"{counted(gap, 'frame')} before its last {are(gap)} missing"] if gap else []
        signs += ["it ends inside a frame"] if ends_inside_a_frame(self.path, self._stream.id) else []
        if signs:
            self._note(
                f"the file seems to be cut short after {self.duration:.2f} s ({' and '.join(signs)}): the "
                f"{counted(count, 'frame')} that are there were taken"
            )
        if damaged:
            self._note(f"{counted(damaged, 'frame')} of the video {are(damaged)} damaged in the file")

    def rate_and_length(self) -> tuple[float, int]:
        """Frames a second, on average, and how many frames are shown; nothing is decoded.

        Containers that do not count their frames, Matroska among them, do not say either how far apart these are if
        the rate varies: such a file is read through. A reader does this or `frames`, not both.
        """
        if self.num_frames:
            return self.fps, self.num_frames
        clock = _Clock()
        try:
            for packet in self._container.demux(self._stream):
                # Matroska has no decoding times where frames are shown in another order; the last packet is empty.
                if packet.size and not packet.is_discard:
                    clock.tick(packet)
        except av.error.FFmpegError as error:
            raise DamagedVideo(self.path, _reason(error)) from None
        clock.put_in_order()
        return self._timing(clock).fps, clock.count

    def _timing(self, clock: _Clock) -> _Timing:
        """The times of frames as the file has them, or by the rate that was given."""
        if self._is_given:
            return clock.even(self.fps)
        timing = clock.timing(self.fps)
        if self._is_transport_stream and clock.gap_at_the_end:
            return replace(timing, fps=self.fps, varies=False)
        return timing

    def _picture(self, frame: av.VideoFrame, size: tuple[int, int] | None) -> np.ndarray:
        how: dict[str, Any] = {"threads": 1}
        if self._most_pixels and frame.width * frame.height > self._most_pixels:
            scale = math.sqrt(self._most_pixels / (frame.width * frame.height))
            how |= {"width": int(frame.width * scale), "height": int(frame.height * scale), "interpolation": "AREA"}
            self._note(
                f"its frames of {frame.width} x {frame.height} pixels were scaled down to {how['width']} x "
                f"{how['height']} before anything looked at them"
            )
        if any(component.is_alpha for component in frame.format.components):
            rgba = frame.to_ndarray(format="rgba", **how)
            picture, alpha = rgba[..., :3], rgba[..., 3:]
            if (alpha < 255).any():
                self._note("the video has transparent parts: they are taken as black")
                picture = (picture.astype(np.uint16) * alpha // 255).astype(np.uint8)
        else:
            picture = frame.to_ndarray(format="rgb24", **how)
        height, width = picture.shape[:2]
        if size is not None and 0 <= width - size[0] <= 1 and 0 <= height - size[1] <= 1:
            picture = picture[: size[1], : size[0]]
        quarters = round(frame.rotation / 90) % 4
        if quarters:
            self._note(f"the video is stored turned by {90 * quarters} degrees: it was scored upright")
            picture = np.rot90(picture, quarters)
        return np.ascontiguousarray(picture)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass(frozen=True)
class _Timing:
    """When frames are shown, (T,) seconds from the first on, when the last one is over, and frames a second on average.

    varies: whether the frames are not even nearly the same time apart.
    """

    times: np.ndarray
    duration: float
    fps: float
    varies: bool = False


class _Clock:
    """When frames, or the packets of them, are shown, in seconds, and how long that is from each to the next."""

    def __init__(self) -> None:
        self.count = 0
        self._shown: list[float | None] = []
        self._lasts: list[float] = []

    def tick(self, frame: av.VideoFrame | av.Packet) -> None:
        base = frame.time_base or 0
        self.count += 1
        self._shown.append(None if frame.pts is None else float(frame.pts * base))
        self._lasts.append(float((frame.duration or 0) * base))

    def put_in_order(self) -> None:
        """Frames in the order in which they are shown; packets come in that in which they are decoded."""
        if None not in self._shown:
            order = np.argsort(self._shown, kind="stable")
            self._shown, self._lasts = ([of[i] for i in order] for of in (self._shown, self._lasts))

    @cached_property
    def rises(self) -> bool:
        """Whether every frame has a time, later than that of the one before."""
        return None not in self._shown and bool((np.diff(self._shown) > 0).all())

    @cached_property
    def steps(self) -> np.ndarray:
        """Seconds from each frame to the next, (T - 1,); of frames without a time nothing."""
        return np.diff([time for time in self._shown if time is not None])

    @property
    def shortest(self) -> float:
        return float(self.steps.min(initial=np.inf))

    @property
    def longest(self) -> float:
        return float(self.steps.max(initial=0.0))

    @property
    def mean(self) -> float:
        return float(self.steps.mean()) if len(self.steps) else 0.0

    @property
    def end(self) -> float:
        """When the last frame is over, taking it to last as long as the others do on average."""
        return next((time for time in reversed(self._shown) if time is not None), 0.0) + self.mean

    @property
    def gap_at_the_end(self) -> int:
        """How many frames are missing between the last few, where all others follow each other evenly; 0 for none."""
        if not self.rises or len(self.steps) <= 2 * _REORDERED:
            return 0
        even, last = np.split(self.steps, [-_REORDERED])
        if np.ptp(even) > 2 * _RATE_TOLERANCE * even.mean():
            return 0
        return int(np.maximum(np.rint(last / even.mean()) - 1, 0).sum())

    def even(self, fps: float) -> _Timing:
        """Frames at a constant rate; without one, a second each."""
        rate = fps or 1.0
        return _Timing(np.arange(self.count) / rate, self.count / rate, fps)

    def timing(self, fps: float) -> _Timing:
        """The frames at their own times.

        Times that are those of `fps` but for a clock's rounding, and times that are none, are i / fps.
        """
        if not self.rises:
            return self.even(fps)
        times = np.array(self._shown, dtype=np.float64) - self._shown[0]
        farthest = max(self.longest - self.mean, self.mean - self.shortest)
        varies = len(self.steps) > 1 and farthest > _RATE_TOLERANCE * self.mean
        if fps and not varies and np.abs(times - np.arange(self.count) / fps).max() <= _CLOCK_TOLERANCE / fps:
            return self.even(fps)
        lasts = self._lasts[-1] or (float(np.median(self.steps)) if len(self.steps) else 1 / (fps or 1.0))
        duration = float(times[-1] + lasts)
        return _Timing(times, duration, self.count / duration, varies)


def ends_inside_a_frame(path: str | os.PathLike, stream: int) -> bool:
    """Tell whether an MPEG transport stream ends before the last frame of the stream with this number does.

    That is so if its last packet is not whole, or if the last packet of the stream is filled to its end: a frame nearly
    never ends where a packet does, so that the last packet of a whole one holds stuffing (ISO/IEC 13818-1, section
    2.4.3.3).
    """
    with Path(path).open("rb") as file:
        head = file.read(5 * max(_TS_FRAMING))
        length = file.seek(0, os.SEEK_END)
        framing = (
            (size, before)
            for size, before in _TS_FRAMING.items()
            if all(head[at] == _TS_SYNC for at in range(before, min(len(head), 5 * size), size))
        )
        size, before = next(framing, (0, 0))
        if not size:
            return False
        if length % size:
            return True
        file.seek(max(0, length - _TS_TAIL * size))
        tail = file.read()
    for start in range(len(tail) - size + before, -1, -size):
        packet = tail[start : start + _TS_PACKET]
        if (packet[1] << 8 | packet[2]) & 0x1FFF == stream and packet[3] & 0x10:
            return not (packet[3] & 0x20 and _has_stuffing(packet))
    return False


def _has_stuffing(packet: bytes) -> bool:
    """Whether a transport stream packet's adaptation field is longer than what it says."""
    length = packet[4]
    if length == 0:
        return True
    flags = packet[5]
    used = 1 + 6 * bool(flags & 0x10) + 6 * bool(flags & 0x08) + bool(flags & 0x04)
    return length > used


def _declared(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, int | None]:
    """Frames a second and how many frames are shown, as a container says; 0.0 and None where it does not.

    The index of an MP4 marks the frames that its edit list does not show; the rate that libav works out counts them.
    """
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    stored = stream.index_entries if stream.frames and "mp4" in container.format.name else ()
    shown = sum(not entry.is_discard for entry in stored)
    if not shown:
        return fps, stream.frames or None
    if shown < len(stored):
        steps = np.diff([entry.timestamp for entry in stored])
        if np.mean(steps == np.median(steps)) > _EVEN and np.median(steps) > 0:
            fps = float(1 / (int(np.median(steps)) * stream.time_base))
    return fps, shown


def _timecode(container: av.container.InputContainer) -> str | None:
    """The timecode that a container, or one of its streams, says its first frame has."""
    tags = (container.metadata, *(stream.metadata for stream in container.streams))
    return next((tag["timecode"] for tag in tags if tag.get("timecode")), None)


def count_frames(path: str | os.PathLike) -> int:
    """How many frames a video has, as its container says or by counting its packets; nothing is decoded."""
    with VideoReader(path) as reader:
        return reader.rate_and_length()[1]


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
