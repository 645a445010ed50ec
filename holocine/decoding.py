"""Video files -> frames, one at a time: whatever libav reads, upright, 8 bits, opaque, and damaged files refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.stream import Disposition

# A step between two frames that differs by more than this from the mean step makes the frame rate a variable one;
# container clocks tick in milliseconds, so 60 frames a second step by 16 or 17 of them.
_RATE_TOLERANCE = 0.2


class VideoError(ValueError):
    """A file that is not a readable video, or frames that cannot become one. The message is one sentence."""


class VideoReader:
    """An open video file, used as a context manager.

    fps: frames a second, on average where the rate varies; 0.0 if the file does not say. num_frames: how many the
    container declares, None if it does not. comment: the container's comment tag. notes: what was done to the pictures
    beyond decoding, a sentence each; complete once `frames` has come to its end.

    Raises `VideoError` for anything that is no video.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        if not self.path.is_file():
            raise VideoError(f"{path} is not a file" if self.path.exists() else f"{path} does not exist")
        try:
            # A text file may be a playlist that names other places: only files are ever opened.
            self._container = av.open(str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{path} is not a video that can be read: {_reason(error)}") from None
        # The cover of a song is a video stream, too.
        pictures = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not pictures:
            sound = bool(self._container.streams.audio)
            self._container.close()
            raise VideoError(f"{path} has no pictures in it" + (", only sound" if sound else ""))
        self._stream = pictures[0]
        self._stream.thread_type = "AUTO"
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        self.num_frames: int | None = self._stream.frames or None
        self.comment: str | None = self._container.metadata.get("comment")

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
        first, count, clock = None, 0, _Clock()
        try:
            for frame in self._container.decode(self._stream):
                picture = self._picture(frame, size)
                first = picture.shape if first is None else first
                if picture.shape != first:
                    raise VideoError(
                        f"{self.path} changes its picture size at frame {count}, from {_by(first)} to "
                        f"{_by(picture.shape)}: only videos of one size can be read"
                    )
                count += 1
                clock.tick(frame.time)
                yield picture
        except av.error.FFmpegError as error:
            raise VideoError(f"{self.path} is damaged or cut short: {_reason(error)}") from None
        if count == 0:
            raise VideoError(f"{self.path} has no pictures in it")
        if count < (self.num_frames or 0):  # some cuts end the decoding without an error
            raise VideoError(f"{self.path} is damaged or cut short: it holds {count} of its {self.num_frames} frames")
        # Other containers say nothing of frames but how long they last, of their longest stream.
        if self.num_frames is None and len(self._container.streams) == 1 and self._container.duration:
            declared = self._container.duration / av.time_base
            if clock.end < 0.9 * declared and declared - clock.end > 2 * clock.longest:
                raise VideoError(
                    f"{self.path} is damaged or cut short: its pictures end after {clock.end:.2f} s of {declared:.2f} s"
                )
        if clock.varies:
            self._note(
                f"the frame rate varies (a frame lasts from {clock.shortest:.3f} s to {clock.longest:.3f} s): frames "
                f"are taken as they come, at {self.fps:.4g} a second on average"
            )

    def count_packets(self) -> int:
        """Read through the file without decoding it; a reader does this or `frames`, not both."""
        try:
            return sum(packet.dts is not None for packet in self._container.demux(self._stream))
        except av.error.FFmpegError as error:
            raise VideoError(f"{self.path} is damaged or cut short: {_reason(error)}") from None

    def _picture(self, frame: av.VideoFrame, size: tuple[int, int] | None) -> np.ndarray:
        if any(component.is_alpha for component in frame.format.components):
            rgba = frame.to_ndarray(format="rgba", threads=1)
            picture, alpha = rgba[..., :3], rgba[..., 3:]
            if (alpha < 255).any():
                self._note("the video has transparent parts: they are taken as black")
                picture = (picture.astype(np.uint16) * alpha // 255).astype(np.uint8)
        else:
            picture = frame.to_ndarray(format="rgb24", threads=1)
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


class _Clock:
    """Shortest, longest and mean step between the times that frames are shown at, in seconds."""

    def __init__(self) -> None:
        self.shortest, self.longest = float("inf"), 0.0
        self._start = self._last = None
        self._steps = 0

    def tick(self, time: float | None) -> None:
        if time is None:
            return
        if self._last is None:
            self._start = time
        else:
            self._steps += 1
            self.shortest = min(self.shortest, time - self._last)
            self.longest = max(self.longest, time - self._last)
        self._last = time

    @property
    def mean(self) -> float:
        return (self._last - self._start) / self._steps if self._steps else 0.0

    @property
    def end(self) -> float:
        """When the last frame is over, taking it to last as long as the others do on average."""
        return (self._last or 0.0) + self.mean

    @property
    def varies(self) -> bool:
        farthest = max(self.longest - self.mean, self.mean - self.shortest)
        return self._steps > 1 and farthest > _RATE_TOLERANCE * self.mean


def count_frames(path: str | os.PathLike) -> int:
    """How many frames a video has, as its container says or by counting its packets; nothing is decoded."""
    with VideoReader(path) as reader:
        return reader.num_frames or reader.count_packets()


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
