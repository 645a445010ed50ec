"""A video's shots as videos of their own, copied without decoding: `write_video` puts a keyframe on every cut."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import av

from holocine.files import replacing


def copy_shots(source: Path, shots: Sequence[range], targets: Sequence[Path]) -> None:
    """Copy the frames of each shot into a file of its own; every shot has to begin with a keyframe.

    Pictures are the same to the last bit. Raises ValueError for a shot that begins with another kind of frame.
    """
    with ExitStack() as closing:
        video = closing.enter_context(av.open(str(source)))
        stream = video.streams.video[0]
        step = round(1 / (stream.average_rate * stream.time_base))
        outputs = []
        for target in targets:
            temporary = closing.enter_context(replacing(target))
            output = closing.enter_context(
                av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"})
            )
            outputs.append((output, output.add_stream_from_template(stream)))
        first = None
        begun = set()
        for packet in video.demux(stream):
            if packet.pts is None:
                continue
            first = packet.pts if first is None else first
            frame = round((packet.pts - first) / step)
            number = next(number for number, shot in enumerate(shots) if frame in shot)
            if number not in begun and not packet.is_keyframe:
                raise ValueError(f"shot {number + 1} of {len(shots)}: frame {frame} is no keyframe to cut at")
            begun.add(number)
            output, copy = outputs[number]
            shift = shots[number].start * step + first
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            output.mux(packet)
