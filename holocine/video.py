"""MP4 files that carry their own storyboard, and contact sheets.

A video is H.264 in yuv420p (BT.709), which every player shows, with a keyframe on every cut. The storyboard, as asked
and as run, and the settings that made it are JSON in the container's comment tag, which players ignore and stream
copies keep.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.frame import PictureType

from holocine.decoding import VideoError, VideoReader
from holocine.files import replacing
from holocine.frame_stream import FrameStream
from holocine.lettering import text_width, wrapped, write
from holocine.making import Making
from holocine.storyboard import Storyboard, StoryboardError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = "holocine-video/1"
# Constant rate factor 12 keeps small pictures free of blocking; "veryfast" encodes 65 frames of 784x448 in 0.3 s. The
# number of threads changes what x264 writes, and its macroblock tree differs from one time to the next on CPUs with
# AVX-512, so one is fixed and the other off: the same frames are the same file.
ENCODER_OPTIONS = {"crf": "12", "preset": "veryfast", "threads": "4", "x264-params": "mbtree=0"}
SMALL_LINES, VISIBLE_LINES = 240, 448
BT709 = LIMITED_RANGE = 1  # libav's numbers for the colour space and for luma from 16 to 235


@dataclass(frozen=True, eq=False)
class VideoFile:
    """A decoded video: `frames` (T, H, W, 3) uint8, `fps`, and the embedded storyboard and settings if it has them."""

    frames: np.ndarray
    fps: float
    storyboard: Storyboard | None
    settings: dict[str, Any] | None


@dataclass(frozen=True)
class Embedded:
    """What `write_video` left in a file beside the pictures; all None in videos that others wrote.

    size: (width, height) of the pictures, which the file may have padded to even numbers. storyboard: as run, which
    knows the one that was `asked`. making: how it came about, None where it was not told. pictures: of each picture
    file that the storyboard names, its "sha256" and a small "copy" (base64), None where it names none.
    """

    size: tuple[int, int] | None = None
    storyboard: Storyboard | None = None
    settings: dict[str, Any] | None = None
    making: Making | None = None
    pictures: dict[str, dict[str, str]] | None = None


def write_video(
    path: str | os.PathLike,
    frames: np.ndarray | FrameStream,
    fps: float,
    storyboard: Storyboard | None = None,
    settings: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    resample: str = "lanczos",
    making: Making | None = None,
    pictures: dict[str, dict[str, str]] | None = None,
) -> None:
    """Write `frames` (T, H, W, 3) uint8 as H.264 MP4 at `fps`; the file appears complete or not at all.

    Frames of a stream are encoded while later ones are made, with no more than a few of them in memory.
    `size` is the (width, height) in pixels to enlarge or shrink to, with `resample` "lanczos" or "nearest". The
    storyboard, `settings` (any JSON object), `making` and `pictures` (see `Embedded`) are embedded. Raises `VideoError`
    for frames or sizes that make no video and `OSError` if the file cannot be written.
    """
    frames = checked_frames(frames)
    out_width, out_height = _checked_size(size) if size is not None else frames.shape[2:0:-1]
    if not (np.isfinite(fps) and 0 < fps <= 1000):
        raise VideoError(f"fps is {fps}, but has to be a number above 0 and at most 1000")
    if resample not in ("lanczos", "nearest"):
        raise VideoError(f"resample is {resample!r}, but has to be 'lanczos' or 'nearest'")
    cuts = storyboard.cuts if storyboard is not None else ()
    try:
        with (
            replacing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
        ):
            container.metadata["comment"] = to_comment(storyboard, settings, (out_width, out_height), making, pictures)
            encode_frames(container, frames, fps, (out_width, out_height), resample, cuts)
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def encode_frames(
    container: av.container.OutputContainer,
    frames: np.ndarray | FrameStream,
    fps: float,
    size: tuple[int, int],
    resample: str = "lanczos",
    cuts: Collection[int] = (),
) -> None:
    """Encode frames (T, H, W, 3) uint8 into a container, enlarged or shrunk to `size`, with keyframes on `cuts`."""
    same_size = tuple(size) == frames.shape[2:0:-1]
    stream = add_stream(container, fps, *size)
    for index, picture in enumerate(frames):
        if same_size:
            picture = _padded_to_even(picture)
        frame = to_yuv(picture, stream.width, stream.height, resample)
        frame.pict_type = PictureType.I if index in cuts else PictureType.NONE
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def visible_size(frames: np.ndarray | FrameStream) -> tuple[int, int] | None:
    """The (width, height) that `write_video` should enlarge small frames to, so that a player shows them well.

    Frames of fewer than 240 lines grow by a whole factor to at least 448 lines; None for larger ones.
    """
    height, width = frames.shape[1:3]
    factor = math.ceil(VISIBLE_LINES / height)
    return (width * factor, height * factor) if height < SMALL_LINES else None


def read_video(path: str | os.PathLike) -> VideoFile:
    """Decode every frame of a video; raises `VideoError` if it is missing, damaged or has no pictures."""
    with VideoReader(path) as reader:
        embedded = embedded_in(reader)
        frames = np.stack(list(reader.frames(embedded.size)))
    if not reader.fps:
        raise VideoError(f"{path} does not say how many frames a second it has")
    return VideoFile(frames, reader.fps, embedded.storyboard, embedded.settings)


def read_storyboard(path: str | os.PathLike) -> Storyboard:
    """The storyboard embedded in a video, without decoding it; raises `VideoError` if there is none."""
    return storyboard_of(read_embedded(path), path)


def storyboard_of(embedded: Embedded, path: str | os.PathLike) -> Storyboard:
    """The storyboard of what is embedded in the video at `path`; raises `VideoError` if there is none."""
    if embedded.storyboard is None:
        raise VideoError(f"{path} has no storyboard in it: only videos written by holocine have one")
    return embedded.storyboard


def read_embedded(path: str | os.PathLike) -> Embedded:
    """What `write_video` embedded in a video, without decoding it."""
    with VideoReader(path) as reader:
        return embedded_in(reader)


def read_settings(path: str | os.PathLike) -> dict[str, Any]:
    """The settings embedded in a video, without decoding it; empty if there are none."""
    return read_embedded(path).settings or {}


def checked_frames(frames: np.ndarray | FrameStream) -> np.ndarray | FrameStream:
    frames = frames if isinstance(frames, FrameStream) else np.asarray(frames)
    if frames.dtype != np.uint8 or len(frames.shape) != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise VideoError(f"frames are {frames.dtype} {frames.shape}, but have to be uint8 (frames, height, width, 3)")
    return frames


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise VideoError(f"size is {width}x{height}, but both have to lie between 16 and 8192 pixels")
    return int(width), int(height)


def add_stream(container: av.container.OutputContainer, fps: float, width: int, height: int) -> av.VideoStream:
    """Add the H.264 stream that this program writes everywhere; odd sizes grow by one."""
    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=ENCODER_OPTIONS)
    # yuv420p halves the colour planes, so sizes are even: `read_video` cuts the extra row or column off again.
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED_RANGE
    return stream


def to_yuv(picture: np.ndarray, width: int, height: int, resample: str) -> av.VideoFrame:
    """A picture uint8 (H, W, 3) RGB as a frame for `add_stream`'s encoder."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
        width=width,
        height=height,
        format="yuv420p",
        interpolation="LANCZOS" if resample == "lanczos" else "POINT",
        dst_colorspace=BT709,
        dst_color_range=LIMITED_RANGE,
        threads=1,  # to hand small pictures to another thread costs more than it saves, far more on a busy core
    )
    frame.colorspace = frame.color_primaries = frame.color_trc = BT709
    return frame


def _padded_to_even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def to_comment(
    storyboard: Storyboard | None,
    settings: dict[str, Any] | None,
    size: tuple[int, int],
    making: Making | None = None,
    pictures: dict[str, dict[str, str]] | None = None,
) -> str:
    """The comment tag of a video, which `embedded_in` reads."""
    content = {
        "format": FORMAT,
        "size": size,
        "storyboard": storyboard and json.loads(storyboard.asked.to_json()),
        "settings": settings,
    }
    if making is not None:
        content["making"] = making.to_plain()
    if pictures:
        content["pictures"] = pictures
    if storyboard is not None and storyboard.moved:
        content["as_run"] = json.loads(storyboard.to_json())
        if storyboard.grid is not None:
            content["grid"] = storyboard.grid
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def embedded_in(reader: VideoReader) -> Embedded:
    """What `write_video` embedded in an open video; raises `VideoError` if that is damaged."""
    try:
        content = json.loads(reader.comment or "")
    except json.JSONDecodeError:
        return Embedded()
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return Embedded()
    path, storyboard, settings, size = reader.path, *map(content.get, ("storyboard", "settings", "size"))
    try:
        storyboard = storyboard and Storyboard.from_json(json.dumps(storyboard))
        if storyboard and content.get("as_run"):
            run = Storyboard.from_json(json.dumps(content["as_run"]))
            same_scene = (storyboard.captions, storyboard.fps) == (run.captions, run.fps)
            lengths, grid = [shot.num_frames for shot in run.shots], content.get("grid")
            grid = grid if isinstance(grid, str) else None
            storyboard = storyboard.run_on(lengths, grid=grid) if same_scene else run
    except StoryboardError as error:
        raise VideoError(f"the storyboard embedded in {path} is damaged: {error}") from None
    if not isinstance(settings, dict | None):
        raise VideoError(f"the settings embedded in {path} are damaged: they are no JSON object")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) for n in size)):
        raise VideoError(f"the picture size embedded in {path} is damaged: it is {size!r}")
    making = content.get("making")
    if making is not None:
        making = Making.from_plain(making, storyboard.num_shots if storyboard else 0, str(path))
    pictures = content.get("pictures")
    if pictures is not None and not (
        isinstance(pictures, dict) and all(isinstance(p, dict) and "sha256" in p for p in pictures.values())
    ):
        raise VideoError(f"the pictures embedded in {path} are damaged")
    return Embedded(size and tuple(size), storyboard, settings, making, pictures)


# The contact sheet

_COLUMNS, _THUMBNAIL_WIDTH, _MARGIN, _GAP = 6, 200, 28, 8
_PAPER, _INK, _FAINT, _CUT, _RULE = (250, 249, 246), (28, 28, 32), (126, 124, 118), (196, 64, 44), (226, 223, 216)
_TITLE_SIZE, _TEXT_SIZE, _NUMBER_SIZE = 24, 16, 13  # pixels


class Thumbnails:
    """The small pictures that a contact sheet shows, taken out of frames that go by."""

    def __init__(self, storyboard: Storyboard, shape: Sequence[int]) -> None:
        """shape: (frames, height, width, 3) of the video.

        Raises `VideoError` if it is not as long as the storyboard.
        """
        if shape[0] != storyboard.num_frames:
            raise VideoError(f"the storyboard has {storyboard.num_frames} frames, but the video has {shape[0]}")
        self.size = (_THUMBNAIL_WIDTH, max(1, round(_THUMBNAIL_WIDTH * shape[1] / shape[2])))
        self.of_shots = [_evenly_spaced(shot, _COLUMNS) for shot in storyboard.shot_ranges]
        self.pictures: dict[int, Image] = {}
        self._wanted = {index for shot in self.of_shots for index in shot}

    def see(self, index: int, frame: np.ndarray) -> None:
        """Take the frame of this number, uint8 (height, width, 3), if the sheet shows it."""
        from PIL import Image

        if index in self._wanted:
            self.pictures[index] = Image.fromarray(frame).resize(self.size, Image.Resampling.LANCZOS)


def contact_sheet(
    frames: np.ndarray | Thumbnails,
    storyboard: Storyboard,
    path: str | os.PathLike | None = None,
    after: Storyboard | None = None,
) -> Image:
    """One picture of a whole video: a row for each shot with its caption, times and up to six evenly spaced frames.

    `frames` is (T, H, W, 3) uint8 with T equal to the storyboard's, or what was taken out of such frames. With `path`
    the picture is also written there as PNG. after: what comes before in the film; shots and frames count on from it.
    """
    from PIL import Image

    if isinstance(frames, Thumbnails):
        thumbnails = frames
    else:
        frames = checked_frames(frames)
        thumbnails = Thumbnails(storyboard, frames.shape)
        for index, frame in enumerate(frames):
            thumbnails.see(index, frame)
    thumbnail = thumbnails.size
    sheet_width = 2 * _MARGIN + _COLUMNS * thumbnail[0] + (_COLUMNS - 1) * _GAP
    line_width = sheet_width - 2 * _MARGIN

    head = wrapped(storyboard.title or "", _TITLE_SIZE, line_width, 2)
    summary = wrapped(storyboard.global_caption, _TEXT_SIZE, line_width, 4)
    captions = [wrapped(caption, _TEXT_SIZE, line_width, 4) for caption in storyboard.captions]
    head_height = 32 * len(head) + 22 * len(summary) + 20
    row_heights = [26 + 22 * len(lines) + 4 + thumbnail[1] + 44 for lines in captions]

    sheet = np.full((_MARGIN + head_height + sum(row_heights), sheet_width, 3), _PAPER, np.uint8)
    top = _MARGIN
    for line in head:
        write(sheet, line, _MARGIN, top, _TITLE_SIZE, _INK)
        top += 32
    for line in summary:
        write(sheet, line, _MARGIN, top, _TEXT_SIZE, _FAINT)
        top += 22
    top = _MARGIN + head_height
    rows = zip(storyboard.shot_ranges, captions, thumbnails.of_shots, strict=True)
    shots_before, frames_before = (after.num_shots, after.num_frames) if after is not None else (0, 0)
    for number, (within, lines, indices) in enumerate(rows, start=shots_before + 1):
        shot = range(within.start + frames_before, within.stop + frames_before)
        start, stop = shot.start / storyboard.fps, shot.stop / storyboard.fps
        label = f"Shot {number}   {start:.1f} to {stop:.1f} s   frames {shot.start} to {shot.stop - 1}"
        sheet[top - 10, _MARGIN:-_MARGIN] = _RULE
        write(sheet, label, _MARGIN, top, _TEXT_SIZE, _FAINT)
        if number > 1:
            left = _MARGIN + text_width(label, _TEXT_SIZE) + 3 * _GAP
            write(sheet, f"cut at frame {shot.start}", left, top, _TEXT_SIZE, _CUT)
        top += 26
        for line in lines:
            write(sheet, line, _MARGIN, top, _TEXT_SIZE, _INK)
            top += 22
        top += 4
        for column, index in enumerate(indices):
            left = _MARGIN + column * (thumbnail[0] + _GAP)
            sheet[top : top + thumbnail[1], left : left + thumbnail[0]] = thumbnails.pictures[index]
            write(sheet, str(index + frames_before), left, top + thumbnail[1] + 3, _NUMBER_SIZE, _FAINT)
        top += thumbnail[1] + 44
    picture = Image.fromarray(sheet)
    if path is not None:
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
    return picture


def _evenly_spaced(shot: range, count: int) -> list[int]:
    count = min(count, len(shot))
    return [shot[round(i * (len(shot) - 1) / max(1, count - 1))] for i in range(count)]
