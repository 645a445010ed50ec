"""Videos that visitors bring: looked at before anything decodes them, and opened as video only."""

from __future__ import annotations

from pathlib import Path

import av

from desk.studio.limits import LimitError, Limits
from holocine.decoding import VideoError

# The first bytes of the containers that are taken, where they stand, and the suffix that such a file gets here.
# Playlists are text, which none of these begins with: libav would open the files that they name.
_CONTAINERS = {"mov": (b"ftyp", 4, ".mp4"), "matroska": (b"\x1aE\xdf\xa3", 0, ".webm"), "avi": (b"RIFF", 0, ".avi")}


def check_upload(path: Path, limits: Limits) -> str:
    """Return the suffix of a video that this desk takes; raises `VideoError` or `LimitError`, in one sentence, if not.

    Reads the header alone, so that a small file that unpacks to a huge video costs nothing. What the header says of
    length may be wrong; scoring stops at its own limit of frames, too.
    """
    size = path.stat().st_size
    if size > limits.upload_bytes:
        raise LimitError(
            f"the file has {size / 2**20:.0f} MB, but at most {limits.upload_bytes / 2**20:.0f} MB are taken"
        )
    with path.open("rb") as file:
        head = file.read(12)
    found = ((kind, suffix) for kind, (mark, at, suffix) in _CONTAINERS.items() if head[at : at + len(mark)] == mark)
    kind, suffix = next(found, (None, ""))
    if kind is None:
        raise VideoError("this file is no video: MP4, MOV, WebM, MKV and AVI are taken")
    try:
        with av.open(str(path), format=kind, options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise VideoError("this file has no pictures in it")
            stream = container.streams.video[0]
            pixels = stream.codec_context.width * stream.codec_context.height
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            known = [container.duration / av.time_base] if container.duration else []
            known += [stream.frames / rate] if stream.frames and rate else []
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(
            "this file is no video that can be read; upload the whole file again, or export it anew as MP4"
        ) from None
    if pixels > limits.upload_pixels:
        raise LimitError(
            f"the video has {pixels:,} pixels a frame, but at most {limits.upload_pixels:,} are taken; "
            "export it smaller"
        )
    if known and max(known) > limits.upload_seconds:
        raise LimitError(
            f"the video lasts {max(known):.0f} seconds, but at most {limits.upload_seconds:g} are taken; cut it shorter"
        )
    return suffix
