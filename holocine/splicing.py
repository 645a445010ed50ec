"""Videos put together from shots without encoding anew what is there already: its packets are copied.

The videos that this program writes have a keyframe on every cut, and nothing before a keyframe is needed after it. So
a kept shot is bit for bit the same in the new file, and neither time nor memory grow with the length of a film.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from holocine.decoding import VideoError
from holocine.files import replacing
from holocine.frame_stream import FrameStream
from holocine.video import checked_frames, encode_frames


class SpliceError(VideoError):
    """Stored video that cannot be copied as it is; the message says why."""


@dataclass(frozen=True)
class Stored:
    """Frames of a file: those of `frames`, which begin on a keyframe."""

    path: Path
    frames: range


@dataclass(frozen=True, eq=False)
class New:
    """Frames (T, H, W, 3) uint8 that are to be encoded."""

    frames: np.ndarray | FrameStream


def splice(
    path: str | os.PathLike,
    parts: Sequence[Stored | New],
    fps: float,
    size: tuple[int, int],
    comment: str,
    resample: str = "lanczos",
) -> None:
    """Write an MP4 of `parts`, one after the other; the file appears complete or not at all.

    size: (width, height) of the video, to which new frames are enlarged with `resample`; comment: `video.to_comment`.
    Raises `SpliceError` if a stored part cannot be copied: it does not begin and end with a keyframe, or was encoded
    otherwise than new ones are. That is found before any frame of a stream is read; then they are read part by part.
    """
    stored = {id(part): _decoding_order(part) for part in parts if isinstance(part, Stored)}
    if stored and len(stored) < len(parts):
        _check_encoding([part for part in parts if isinstance(part, Stored)], fps, size, resample)
    sources = [part if isinstance(part, Stored) else _encoded(part, fps, size, resample) for part in parts]
    orders = [stored.get(id(source)) or _decoding_order(source) for source in sources]
    delay = max(position - index for order in orders for position, index in enumerate(order))
    try:
        with (
            replacing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            container.metadata["comment"] = comment
            stream, base, done, shape = None, None, 0, None
            for source, order in zip(sources, orders, strict=True):
                with _opened(source) as (stored, packets):
                    if stream is None:
                        stream = container.add_stream_from_template(stored)
                        base = 1 / Fraction(fps).limit_denominator(1001)
                        shape = stored.codec_context.extradata
                    elif stored.codec_context.extradata != shape:
                        raise _encoded_otherwise(source)
                    for position, (index, packet) in enumerate(zip(order, packets, strict=True)):
                        packet.stream, packet.time_base = stream, base
                        packet.pts, packet.dts, packet.duration = done + index, done + position - delay, 1
                        container.mux(packet)
                done += len(order)
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _check_encoding(parts: Sequence[Stored], fps: float, size: tuple[int, int], resample: str) -> None:
    """Raise `SpliceError` for parts that were encoded otherwise than new ones will be."""
    picture = np.zeros((1, size[1], size[0], 3), np.uint8)
    with _opened(_encoded(New(picture), fps, size, resample)) as (stream, _):
        shape = stream.codec_context.extradata
    for part in {part.path: part for part in parts}.values():
        with _opened(part) as (stream, _):
            if stream.codec_context.extradata != shape:
                raise _encoded_otherwise(part)


def _encoded_otherwise(source: Stored | _Encoded) -> SpliceError:
    return SpliceError(f"{_name(source)} was encoded otherwise than the rest: it has to be encoded again")


def _encoded(part: New, fps: float, size: tuple[int, int], resample: str) -> _Encoded:
    """The part as an MP4 in memory."""
    frames, file = checked_frames(part.frames), io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        encode_frames(container, frames, fps, size, resample)
    return _Encoded(file, range(len(frames)))


@dataclass(frozen=True, eq=False)
class _Encoded:
    path: io.BytesIO
    frames: range


class _opened:
    """The video stream of a part and an iterator over its packets, in decoding order, as a context manager."""

    def __init__(self, source: Stored | _Encoded) -> None:
        self.source = source

    def __enter__(self) -> tuple[av.VideoStream, Iterator[av.Packet]]:
        if isinstance(self.source, _Encoded):
            self.source.path.seek(0)
        file = self.source.path if isinstance(self.source, _Encoded) else str(self.source.path)
        try:
            self.container = av.open(file, options={"protocol_whitelist": "file"} if isinstance(file, str) else {})
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{file} is not a video that can be read: {error}") from None
        stream = self.container.streams.video[0]
        return stream, self._packets(stream)

    def _packets(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        """Those of the part, from its first frame on, as many as it has frames."""
        frames, count = self.source.frames, 0
        for packet in self.container.demux(stream):
            if packet.dts is not None and (count or _frame(packet, stream) == frames.start) and count < len(frames):
                count += 1
                yield packet

    def __exit__(self, *_: object) -> None:
        self.container.close()


def _decoding_order(source: Stored | _Encoded) -> list[int]:
    """Which frame each packet of a part holds, counted from its first, in decoding order; checks that it is whole."""
    frames, order = source.frames, []
    with _opened(source) as (stream, packets):
        for packet in packets:
            if not order and not packet.is_keyframe:
                raise SpliceError(
                    f"{_name(source)} has no keyframe on frame {frames.start}: it has to be encoded again"
                )
            order.append(_frame(packet, stream) - frames.start)
    # Frames that are shown last may need later ones, which then stand before them.
    if sorted(order) != list(range(len(frames))):
        raise SpliceError(
            f"{_name(source)} has frames {frames.start} to {frames.stop - 1} in an order that cannot be copied: "
            "it has to be encoded again"
        )
    return order


def _frame(packet: av.Packet, stream: av.VideoStream) -> int:
    return round((packet.pts - (stream.start_time or 0)) * stream.time_base * stream.average_rate)


def _name(source: Stored | _Encoded) -> str:
    return str(source.path) if isinstance(source, Stored) else "a new shot"
