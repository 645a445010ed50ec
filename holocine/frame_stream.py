"""Frames that come one after the other and are never all in memory: from a decoder, or from another process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import numpy as np


class FrameStream:
    """The frames of a video, uint8 (height, width, 3) each, made while they are read, from the first one on.

    shape: (frames, height, width, 3), known before any frame is made. A slice is the stream of a part: frames before it
    are made all the same, and thrown away. Reading it again makes the frames again, if `begin` can.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: Iterable[int], begin: Callable[[], Iterable[np.ndarray]]) -> None:
        self.shape = tuple(shape)
        self._begin = begin

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Raises ValueError for a frame of another size, or if frames end before the last."""
        count = 0
        for frame in islice(self._begin(), len(self)):
            if frame.dtype != self.dtype or frame.shape != self.shape[1:]:
                raise ValueError(f"frame {count} is {frame.dtype} {frame.shape} in a stream of uint8 {self.shape[1:]}")
            count += 1
            yield frame
        if count < len(self):
            raise ValueError(f"the frames ended after {count} of {len(self)}")

    def __getitem__(self, part: slice) -> FrameStream:
        span = range(len(self))[part]
        if span.step != 1:
            raise ValueError(f"frames come one after the other, so that there is no part of every {span.step}")
        return FrameStream((len(span), *self.shape[1:]), lambda: islice(self._begin(), span.start, span.stop))


def watched(frames: np.ndarray | FrameStream, see: Callable[[int, np.ndarray], None]) -> FrameStream:
    """The same frames, each shown to `see` with its number, from 0, before it is handed on."""

    def begin() -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            see(index, frame)
            yield frame

    return FrameStream(frames.shape, begin)


def joined(*parts: np.ndarray | FrameStream) -> FrameStream:
    """One stream of the frames of several, one after the other."""
    return FrameStream((sum(map(len, parts)), *parts[0].shape[1:]), lambda: chain.from_iterable(parts))


class InOrder:
    """Parts of one video, each read once and in order; what lies between them is thrown away."""

    def __init__(self, frames: np.ndarray | FrameStream) -> None:
        self._shape, self._frames, self._at = frames.shape, iter(frames), 0

    def part(self, span: range) -> FrameStream:
        """The frames of `span`; to be read after those of every part before it."""

        def begin() -> Iterator[np.ndarray]:
            skip, self._at = span.start - self._at, span.stop
            if skip < 0:
                raise ValueError(f"frame {span.start} was already read: parts have to be read in order")
            return islice(self._frames, skip, skip + len(span))

        return FrameStream((len(span), *self._shape[1:]), begin)

    def rest(self) -> None:
        """Make what is left, for those who watch."""
        for _ in self._frames:
            pass
