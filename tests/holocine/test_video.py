import resource

import av
import numpy as np
import pytest
from PIL import Image

from holocine import Storyboard, VideoError, contact_sheet, read_storyboard, read_video, write_video
from holocine.video import visible_size

COLOURS = ((200, 60, 40), (40, 160, 80), (60, 80, 220))


@pytest.fixture
def storyboard():
    return Storyboard.from_captions(
        "A harbour, in ‘watercolour’ — 港口 & <b>. [character1] is a sailor.",
        ["Wide shot of [character1].", 'He says "ahoy";\nthen nothing…', "Close-up of the 灯塔."],
        num_frames=25,
        fps=12,
        seed=7,
        title="Harbour",
    )


@pytest.fixture
def frames(storyboard):
    """One flat colour a shot, (25, 64, 112, 3)."""
    frames = np.empty((storyboard.num_frames, 64, 112, 3), np.uint8)
    for shot, colour in zip(storyboard.shot_ranges, COLOURS, strict=True):
        frames[shot.start : shot.stop] = colour
    return frames


def test_frames_fps_storyboard_and_settings_come_back(tmp_path, frames, storyboard):
    settings = {"num_inference_steps": 30, "guidance_scale": 4.5, "attention": "sparse", "size": None}
    write_video(tmp_path / "a.mp4", frames, storyboard.fps, storyboard, settings)
    video = read_video(tmp_path / "a.mp4")
    assert video.frames.shape == frames.shape and video.frames.dtype == np.uint8
    assert np.abs(video.frames.astype(int) - frames).max() <= 4
    assert video.fps == storyboard.fps
    assert video.storyboard == storyboard
    assert video.settings == settings
    assert read_storyboard(tmp_path / "a.mp4") == storyboard


def test_the_storyboard_survives_a_stream_copy(tmp_path, frames, storyboard):
    write_video(tmp_path / "a.mp4", frames, storyboard.fps, storyboard)
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as copy:
        copy.metadata.update(source.metadata)
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert read_storyboard(tmp_path / "b.mp4") == storyboard


def test_every_player_can_show_the_file(tmp_path, frames, storyboard):
    write_video(tmp_path / "a.mp4", frames, storyboard.fps, storyboard)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        keyframes = [i for i, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    assert {0, *storyboard.cuts} <= set(keyframes)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "playback can start before the whole file is there"


@pytest.mark.parametrize(("width", "height"), [(111, 63), (111, 64), (112, 63)])
def test_odd_sizes_come_back_as_they_were(tmp_path, frames, width, height):
    frames = frames[:, :height, :width]
    write_video(tmp_path / "a.mp4", frames, 12)
    read = read_video(tmp_path / "a.mp4").frames
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).max() <= 4


@pytest.mark.parametrize("resample", ["lanczos", "nearest"])
def test_size_enlarges_the_picture(tmp_path, frames, resample):
    frames = frames.copy()
    frames[:, :, 56:] = 255 - frames[:, :, 56:]
    write_video(tmp_path / "a.mp4", frames, 12, size=(337, 192), resample=resample)
    read = read_video(tmp_path / "a.mp4").frames
    assert read.shape == (25, 192, 337, 3)
    assert np.abs(read[:, :, :150].astype(int) - frames[:, :1, :1]).max() <= 6
    assert np.abs(read[:, :, 190:].astype(int) - frames[:, :1, -1:]).max() <= 6


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(64, 112, (784, 448)), (96, 160, (800, 480)), (239, 416, (832, 478)), (480, 832, None)],
)
def test_small_pictures_are_enlarged_by_a_whole_factor(height, width, size):
    assert visible_size(np.zeros((1, height, width, 3), np.uint8)) == size


@pytest.mark.parametrize("fps", [12, 15, 23.976, 29.97])
def test_frame_rates_come_back(tmp_path, frames, fps):
    write_video(tmp_path / "a.mp4", frames, fps)
    assert read_video(tmp_path / "a.mp4").fps == pytest.approx(fps, abs=1e-3)


def test_videos_of_others_have_no_storyboard(tmp_path, frames):
    for comment in ("", "a comment", '{"format": "other"}', "[1, 2]"):
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            container.metadata["comment"] = comment
            stream = container.add_stream("libx264", rate=12)
            stream.width, stream.height, stream.pix_fmt = 112, 64, "yuv420p"
            for picture in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        video = read_video(tmp_path / "a.mp4")
        assert len(video.frames) == 25 and video.storyboard is None and video.settings is None
        with pytest.raises(VideoError, match="no storyboard in it"):
            read_storyboard(tmp_path / "a.mp4")


def test_files_that_are_no_video_are_refused_in_one_sentence(tmp_path, frames):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").touch()
    write_video(tmp_path / "whole.mp4", np.random.default_rng(0).integers(0, 255, frames.shape, np.uint8), 12)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (4, 4)).save(tmp_path / "folder.png")
    for name, reason in (
        ("text.mp4", "not a video"),
        ("empty.mp4", "not a video"),
        ("cut.mp4", "damaged or cut short"),
        ("missing.mp4", "does not exist"),
        (".", "not a file"),
    ):
        with pytest.raises(VideoError, match=reason) as caught:
            read_video(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((5, 64, 112, 3), np.float32),
        np.zeros((5, 64, 112), np.uint8),
        np.zeros((0, 64, 112, 3), np.uint8),
        np.zeros((5, 3, 64, 112), np.uint8),
    ],
)
def test_frames_of_another_kind_are_refused(tmp_path, bad):
    with pytest.raises(VideoError, match="have to be uint8"):
        write_video(tmp_path / "a.mp4", bad, 12)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"size": (8, 448)}, "size is 8x448"),
        ({"size": (784, 9000)}, "size is 784x9000"),
        ({"resample": "magic"}, "resample is 'magic'"),
    ],
)
def test_settings_that_make_no_video_are_refused(tmp_path, frames, change, reason):
    with pytest.raises(VideoError, match=reason):
        write_video(tmp_path / "a.mp4", frames, **({"fps": 12} | change))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, frames):
    """A file size limit stands in for a full disk: both fail the encoder's writes in the middle."""
    noise = np.random.default_rng(0).integers(0, 255, frames.shape, np.uint8)
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, previous[1]))
    try:
        with pytest.raises(OSError, match="File too large: .*a.mp4"):
            write_video(tmp_path / "a.mp4", noise, 12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    assert list(tmp_path.iterdir()) == []


def test_the_contact_sheet_has_a_row_of_evenly_spaced_frames_for_each_shot(tmp_path, frames, storyboard):
    sheet = contact_sheet(frames, storyboard, tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == sheet.size
    pixels = np.asarray(sheet)
    tops = []
    for colour in COLOURS:
        rows, columns = np.nonzero((pixels == colour).all(-1))
        tops.append(rows.min())
        assert len(np.unique(columns)) == 6 * 200, "six pictures of 200 pixels side by side"
    assert tops == sorted(tops)


def test_the_contact_sheet_of_a_short_shot_shows_each_frame_once():
    storyboard = Storyboard.from_captions("Rain.", ["Wide shot.", "Close-up."], num_frames=9, shot_cut_frames=[5])
    frames = np.zeros((9, 64, 112, 3), np.uint8)
    frames[5:] = 200
    pixels = np.asarray(contact_sheet(frames, storyboard))
    assert len(np.unique(np.nonzero((pixels == 200).all(-1))[1])) == 4 * 200


def test_long_captions_fit_into_the_contact_sheet():
    storyboard = Storyboard.from_captions("Rain " * 900, ["走路" * 500, "wide " * 900, "x" * 900], num_frames=25)
    sheet = contact_sheet(np.zeros((25, 64, 112, 3), np.uint8), storyboard)
    assert sheet.height < 1200


def test_the_contact_sheet_wants_the_storyboards_frames(storyboard, frames):
    with pytest.raises(VideoError, match="storyboard has 25 frames, but the video has 24"):
        contact_sheet(frames[:-1], storyboard)


def test_the_contact_sheet_of_shots_that_go_on_counts_from_the_film():
    film = Storyboard.from_captions("Rain.", ["Wide shot.", "Close-up."], num_frames=9, shot_cut_frames=[5])
    new = Storyboard.from_captions("Rain.", ["Close-up."], num_frames=4, fps=film.fps)
    frames = np.zeros((9, 64, 112, 3), np.uint8)
    before = film.model_copy(update={"shots": film.shots[:1]})
    whole, last = np.asarray(contact_sheet(frames, film)), np.asarray(contact_sheet(frames[5:], new, after=before))
    rows = last.shape[0] * 2 // 3  # below the head, its shot alone
    assert np.array_equal(last[-rows:], whole[-rows:])
    assert not np.array_equal(np.asarray(contact_sheet(frames[5:], new))[-rows:], whole[-rows:])
