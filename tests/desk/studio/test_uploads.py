import zipfile

import av
import numpy as np
import pytest

from desk.studio.limits import LimitError, Limits
from desk.studio.uploads import check_upload
from holocine import VideoError, write_video

LIMITS = Limits(
    frames=33, pixels=1, steps=1, job_seconds=1, upload_bytes=200_000, upload_seconds=2, upload_pixels=64 * 64
)


@pytest.fixture
def video(tmp_path):
    def make(frames=10, size=32, name="upload"):
        write_video(tmp_path / name, np.zeros((frames, size, size, 3), np.uint8), 10)
        return tmp_path / name

    return make


def test_a_video_is_taken_whatever_its_name(video):
    assert check_upload(video(name="holiday.exe"), LIMITS) == ".mp4"


def test_other_containers_are_known_by_what_is_in_them(tmp_path, video):
    with av.open(str(video())) as old, av.open(str(tmp_path / "x"), "w", format="matroska") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    assert check_upload(tmp_path / "x", LIMITS) == ".webm"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x00\x00\x00\x18ftypmp42",
        b"RIFF\x00\x00\x00\x00WAVE",
    ],
)
def test_what_is_no_video_is_refused_without_its_path(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(VideoError, match="this file") as raised:
        check_upload(tmp_path / "x.mp4", LIMITS)
    assert str(tmp_path) not in str(raised.value)


def test_a_zip_bomb_with_the_name_of_a_video_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.mp4", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(50 * 2**20))
    with pytest.raises(VideoError, match="no video"):
        check_upload(tmp_path / "x.mp4", LIMITS)


def test_a_small_file_that_unpacks_to_a_long_or_large_video_is_refused_by_its_header(video):
    with pytest.raises(LimitError, match="lasts 3 seconds, but at most 2"):
        check_upload(video(frames=30), LIMITS)
    with pytest.raises(LimitError, match="9,216 pixels"):
        check_upload(video(size=96), LIMITS)


def test_frames_of_a_camera_are_taken_and_beyond_8k_refused(tmp_path):
    usual = Limits(frames=33, pixels=1, steps=1, job_seconds=1)
    write_video(tmp_path / "4k.mp4", np.zeros((1, 216, 384, 3), np.uint8), 10, size=(3840, 2160))
    assert check_upload(tmp_path / "4k.mp4", usual) == ".mp4"
    write_video(tmp_path / "more.mp4", np.zeros((1, 216, 384, 3), np.uint8), 10, size=(8192, 4608))
    with pytest.raises(LimitError, match=r"37,748,736 pixels a frame, but at most 33,177,600 are taken; export it"):
        check_upload(tmp_path / "more.mp4", usual)


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_bytes(bytes(300_000))
    with pytest.raises(LimitError, match="0 MB"):
        check_upload(tmp_path / "x.mp4", LIMITS)
