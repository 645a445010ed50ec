"""Pictures of a video to post: an animation (GIF, WebP) that plays as fast as the video, and a poster frame (PNG)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from holocine.decoding import VideoError, VideoReader
from holocine.files import replacing
from holocine.video import embedded_in

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_WIDTH = 640  # pixels
MAX_FRAMES = 600  # they are in memory all at once


def write_picture(video: str | Path, path: str | Path) -> tuple[str, ...]:
    """Write what the ending of `path` says, .gif, .webp or .png, and return what is worth knowing of it.

    A poster is the frame in the middle of the first shot, in the video's own size. Animations are at most MAX_WIDTH
    pixels wide. Raises VideoError for a video that is none or too long, OSError if the file cannot be written.
    """
    path = Path(path)
    with VideoReader(video) as reader:
        embedded = embedded_in(reader)
        fps, count = reader.rate_and_length()
        if path.suffix.lower() == ".png":
            frames = len(embedded.storyboard.shot_ranges[0]) if embedded.storyboard else count
            picture = _frame(reader, max(0, min(frames, count) - 1) // 2, embedded.size)
            with replacing(path) as temporary:
                picture.save(temporary, format="PNG")
            return ()
        if count > MAX_FRAMES:
            raise VideoError(
                f"{path}: {count} frames are too many for a picture to post, which has at most {MAX_FRAMES}"
            )
        pictures = _shrunk(reader, embedded.size)
        with replacing(path) as temporary:
            if path.suffix.lower() == ".gif":
                # A GIF counts hundredths of a second: frames are of two lengths, so that the whole keeps time.
                first = next(pictures)
                durations = _durations(count, fps, 10)
                first.save(temporary, format="GIF", save_all=True, append_images=pictures, duration=durations, loop=0)
            else:
                every = list(pictures)
                durations = _durations(len(every), fps, 1)
                how = {"append_images": every[1:], "duration": durations, "quality": 80, "method": 2}
                every[0].save(temporary, format="WEBP", save_all=True, loop=0, **how)
    return ("a GIF has 256 colours: a .webp looks better",) if path.suffix.lower() == ".gif" else ()


def _frame(reader: VideoReader, index: int, size: tuple[int, int] | None) -> Image:
    from PIL import Image

    return Image.fromarray(next(islice(reader.frames(size), index, None)))


def _shrunk(reader: VideoReader, size: tuple[int, int] | None) -> Iterator[Image]:
    from PIL import Image

    for frame in reader.frames(size):
        picture = Image.fromarray(frame)
        if picture.width > MAX_WIDTH:
            height = max(1, round(picture.height * MAX_WIDTH / picture.width))
            picture = picture.resize((MAX_WIDTH, height), Image.Resampling.LANCZOS)
        yield picture


def _durations(count: int, fps: float, unit: int) -> list[int]:
    """How long each frame is shown, in milliseconds that are whole units and add up to the video's."""
    times = [round(1000 * frame / fps / unit) * unit for frame in range(count + 1)]
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
