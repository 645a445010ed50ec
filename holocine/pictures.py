"""Pictures and clips that shots begin from, in the size of a video: whatever a person has, said what was done to it."""

from __future__ import annotations

import base64
import io
import os
import re
import warnings
from pathlib import Path

import numpy as np

from holocine.decoding import VideoError, VideoReader
from holocine.keeping import KeepError
from holocine.storyboard_input import ENCLOSED

LEAST, MOST = 16, 100_000_000  # pixels of a side; pixels of a picture


class PictureError(KeepError):
    """A file that is no picture to begin from. The message is one sentence with the remedy."""


def read_picture(path: str | os.PathLike, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """A picture cropped and resized to `size` (height, width), uint8 RGB, and what was done to it, a sentence each.

    Rotation in its EXIF data is applied, transparent parts are shown on white, and more than 8 bits become 8. Raises
    `PictureError` for what is no picture, smaller than 16 pixels or larger than 100 megapixels.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from None
    return decode_picture(data, str(path), size)


def enclosed(data: bytes, mime: str) -> str:
    """The bytes of a picture file as a data URL, for a storyboard that is to have its pictures in it."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def enclosed_bytes(picture: str, name: str) -> bytes:
    """The picture file that a data URL holds; raises `PictureError`, which calls it `name`, for one that holds none."""
    head, comma, text = picture.partition(",")
    try:
        if not comma or not re.fullmatch(ENCLOSED, head, re.IGNORECASE):
            raise ValueError
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise PictureError(f"{name} is no picture: a data URL begins with data:image/png;base64, or the like") from None


def decode_picture(data: bytes, name: str, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """As `read_picture`, of the bytes of a picture file; name: what to call it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is looked at below
            opened = Image.open(io.BytesIO(data))
        with opened as picture:
            width, height = picture.size
            if width * height > MOST:
                raise PictureError(_too_large(name, width * height))
            if min(width, height) < LEAST:
                raise PictureError(
                    f"{name} is {width}x{height} pixels, but has to be {LEAST} or more each way: take a larger picture"
                )
            notes = []
            if getattr(picture, "n_frames", 1) > 1:
                notes.append(f"{name} is animated: its first picture was taken")
            upright = ImageOps.exif_transpose(picture)
            if upright.size != picture.size or picture.getexif().get(0x0112, 1) != 1:
                notes.append(f"{name} is stored turned: it was turned upright")
            flat = _in_8_bits(upright, name, notes)
    except Image.DecompressionBombError as error:  # it says how many pixels there are
        raise PictureError(_too_large(name, int(re.search(r"\d+", str(error))[0]))) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PictureError):
            raise
        what = "is no picture that can be read" if isinstance(error, UnidentifiedImageError) else "is a damaged picture"
        raise PictureError(f"{name} {what}: save it as PNG or JPEG") from None
    return _fitted(flat, name, size, notes), notes


def _too_large(name: str, pixels: int) -> str:
    return f"{name} has {pixels / 1e6:.0f} megapixels, but may have {MOST / 1e6:.0f} at most: shrink it first"


def _in_8_bits(picture, name: str, notes: list[str]):
    """The picture as opaque RGB."""
    from PIL import Image

    if picture.mode == "F" or picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.float64)
        most = 65535.0 if picture.mode != "F" else max(1.0, float(np.nanmax(values)))
        notes.append(f"{name} has more than 8 bits of brightness: they were reduced to 8")
        values = np.nan_to_num(values / most).clip(0, 1)
        picture = Image.fromarray((255 * values).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getextrema()[3][0] < 255:
            notes.append(f"{name} has transparent parts: they are shown on white")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _fitted(picture, name: str, size: tuple[int, int], notes: list[str]) -> np.ndarray:
    from PIL import Image

    height, width = size
    scale = min(picture.width / width, picture.height / height)
    box_width, box_height = width * scale, height * scale
    left, top = (picture.width - box_width) / 2, (picture.height - box_height) / 2
    lost = 1 - box_width * box_height / (picture.width * picture.height)
    if lost > 0.005:
        notes.append(
            f"{name} ({picture.width}x{picture.height}) was cropped around its middle to {width}x{height}, "
            f"{lost:.0%} of it lost"
        )
    if scale < 1:
        notes.append(f"{name} ({picture.width}x{picture.height}) is smaller than the video: it was enlarged")
    box = (left, top, left + box_width, top + box_height)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS, box=box))


def read_clip(
    path: str | os.PathLike, num_frames: int, fps: float, size: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """The first `num_frames` frames of a video as it is shown at `fps`, cropped and resized as a picture is.

    What is longer is left out, and told. Raises `PictureError` for what is no video, or shorter than that.
    """
    from PIL import Image

    frames, notes = [], []
    try:
        with VideoReader(path) as reader:
            rate = reader.fps or fps
            wanted = [round(i * rate / fps) for i in range(num_frames)]
            more = False
            for index, frame in enumerate(reader.frames()):
                if len(frames) == num_frames:
                    more = True
                    break
                while len(frames) < num_frames and wanted[len(frames)] == index:
                    one: list[str] = []
                    frames.append(_fitted(Image.fromarray(frame), str(path), size, one))
                    notes = notes or one
            notes += reader.notes
    except VideoError as error:
        remedy = "a clip is a video file; a picture that a shot begins from is its image"
        raise PictureError(f"{error}; {remedy}") from None
    if len(frames) < num_frames:
        raise PictureError(
            f"{path} has {len(frames)} frames at {fps:g} a second, but its shot {num_frames}: "
            f"make the shot {len(frames)} frames long, or give a longer clip"
        )
    if more:
        notes.append(f"{path} is longer than its shot: only the first {num_frames / fps:.2f} s were taken")
    if abs(rate - fps) > 0.01:
        notes.append(f"{path} has {rate:g} frames a second: it was taken at {fps:g}")
    return np.stack(frames), notes
