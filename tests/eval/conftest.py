"""Small videos of every kind that people have, written by the real encoders."""

import av
import numpy as np
import pytest

CUTS = (9, 21)
SHOT_COLOURS = ((200, 60, 40), (40, 160, 80), (60, 80, 220))


@pytest.fixture(scope="session")
def three_shots() -> np.ndarray:
    """33 frames of 96 x 64 in three shots that begin at 0, 9 and 21: a colour each, with a bright square that moves."""
    frames = np.empty((33, 64, 96, 3), np.uint8)
    texture = np.random.default_rng(0).integers(-25, 25, (3, 64, 96, 1))
    for shot, (start, stop) in enumerate(zip((0, *CUTS), (*CUTS, 33), strict=True)):
        frames[start:stop] = np.clip(texture[shot] + SHOT_COLOURS[shot], 0, 255)
        for frame in range(start, stop):
            left = 10 + 2 * (frame - start)
            frames[frame, 20:44, left : left + 24] = 230 - 60 * shot
    return frames


@pytest.fixture(scope="session")
def write_file():
    """Call with a path, frames and the ways in which the file is to be special."""

    def write(path, frames, fps=12, codec="libx264", pix_fmt="yuv420p", rotation=0, times=None, options=None):
        height, width, channels = frames.shape[1:]
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=fps, options=options or {})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            if rotation:
                stream.set_display_rotation(rotation)
            for number, picture in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgba" if channels == 4 else "rgb24")
                frame.pts = number if times is None else times[number]
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def write_sound():
    """Call with a path to get a file with sound and no pictures."""

    def write(path):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
        return path

    return write
