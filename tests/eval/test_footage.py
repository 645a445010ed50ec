import hashlib
import re
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import eval.footage
from eval.evidence import Detection, Evidence
from eval.footage import MAX_FRAMES, clipped_share, fingerprint, noise_level, observe, sampled_frames, sharpness
from eval.metrics import all_metrics
from eval.scorecard import measure
from holocine import Storyboard, VideoError, write_video
from holocine.decoding import VideoReader, count_frames


@pytest.fixture
def video(tmp_path, three_shots):
    write_video(tmp_path / "a.mp4", three_shots, 12)
    return tmp_path / "a.mp4"


class Recorder:
    """A watcher that keeps what it sees."""

    def __init__(self):
        self.first, self.frames = [], []

    def __call__(self, first, frames):
        self.first.append(first)
        self.frames.append(frames.copy())


def test_a_file_and_its_frames_give_the_same_footage(video, three_shots):
    of_file, of_array = observe(video), observe(three_shots, fps=12)
    for footage in (of_file, of_array):
        assert (footage.num_frames, footage.fps, footage.size) == (33, 12, (96, 64))
        assert footage.thumbnails.shape == (33, 27, 48, 3) and footage.thumbnails.dtype == np.uint8
        assert footage.pictures.shape == (33, 64, 96, 3)
        assert footage.sharpness.shape == footage.clipped.shape == (33,)
        assert footage.notes == ()
    assert np.abs(of_file.pictures.astype(int) - of_array.pictures).max() < 40
    assert np.corrcoef(of_file.sharpness, of_array.sharpness)[0, 1] > 0.95


def test_watchers_see_every_full_size_frame_once_in_order(video, three_shots, monkeypatch):
    monkeypatch.setattr(eval.footage, "_CHUNK_BYTES", 5 * three_shots[0].nbytes)
    one, two = Recorder(), Recorder()
    observe(video, watchers=[one, two])
    assert one.first == [0, 5, 10, 15, 20, 25, 30]
    with VideoReader(video) as reader:
        decoded = np.stack(list(reader.frames()))
    for recorder in (one, two):
        np.testing.assert_array_equal(np.concatenate(recorder.frames), decoded)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_chunks_change_nothing(tmp_path, three_shots, write_file, monkeypatch, suffix):
    """MP4 says how many frames are to come, Matroska does not."""
    video = write_file(tmp_path / f"a.{suffix}", three_shots)
    whole = observe(video)
    assert whole.num_frames == 33
    monkeypatch.setattr(eval.footage, "_MAX_CHUNK", 4)
    parts = observe(video)
    for name in ("thumbnails", "pictures", "sharpness", "clipped"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_wide_frames_are_reduced_and_small_ones_stay():
    large = observe(np.zeros((2, 480, 832, 3), np.uint8), fps=15)
    assert large.pictures.shape == (2, 92, 160, 3) and large.size == (832, 480)
    small = observe(np.zeros((2, 48, 30, 3), np.uint8), fps=15)
    assert small.pictures.shape == (2, 48, 30, 3) and small.size == (30, 48)


def test_progress_follows_the_frames_and_may_end_the_pass(video):
    seen = []
    observe(video, progress=lambda done, expected: seen.append((done, expected)))
    assert seen[-1] == (33, 33)

    def stop(done, expected):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observe(video, progress=stop)


def test_the_fingerprint_is_of_the_file_or_of_shape_and_bytes(video):
    assert fingerprint(video) == hashlib.sha256(video.read_bytes()).hexdigest() == observe(video).sha256
    wide, tall = np.zeros((2, 4, 8, 3), np.uint8), np.zeros((2, 8, 4, 3), np.uint8)
    assert fingerprint(wide) == fingerprint(wide.copy()) != fingerprint(tall)
    assert fingerprint(wide[:, ::-1]) == fingerprint(wide), "views count by what they show"


def test_clipping_counts_black_and_white():
    half = np.full((10, 10), 128, np.uint8)
    half[:3], half[3:5] = 0, 255
    assert clipped_share(half) == 0.5


# Sharpness at one size


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Luma of a photograph, (512, 512)."""
    from skimage import color, data

    return (255 * color.rgb2gray(data.astronaut())).round().astype(np.uint8)


def test_sharpness_is_what_scikit_image_gives_at_160_lines(photo):
    from skimage import filters, transform

    small = transform.resize_local_mean(photo[:480, :480].astype(float), (160, 160))
    smooth = filters.gaussian(small, 1.0)
    assert sharpness(photo[:480, :480]) == pytest.approx(filters.laplace(smooth).std() / smooth.std(), rel=0.02)


@pytest.mark.parametrize("lines", [160, 240, 360, 480, 576, 720, 1080])
def test_sharpness_is_the_same_for_all_sizes_of_one_picture(photo, lines):
    from skimage import transform

    scaled = transform.resize(photo, (lines, lines), anti_aliasing=True, preserve_range=True)
    assert sharpness(scaled.round().astype(np.uint8)) == pytest.approx(sharpness(photo), rel=0.08)


def test_sharpness_falls_with_blur_and_not_with_exposure_or_contrast(photo):
    from skimage import filters

    values = [sharpness((255 * filters.gaussian(photo, sigma)).astype(np.uint8)) for sigma in (0, 1, 2, 4)]
    assert (np.diff(values) < -0.03 * values[0]).all()
    faint = (photo // 3 + 90).astype(np.uint8)
    assert sharpness(faint) == pytest.approx(values[0], rel=0.02)
    assert np.isnan(sharpness(np.full((90, 160), 77, np.uint8))), "nothing in it could be sharp"


@pytest.mark.parametrize("lines", [64, 160, 480])
def test_noise_makes_no_picture_sharp(photo, lines):
    from skimage import filters, transform

    sharp = transform.resize(photo, (lines, lines), anti_aliasing=True, preserve_range=True)
    rng = np.random.default_rng(0)
    for picture, allowed in ((sharp, 0.05), (filters.gaussian(sharp, lines / 60), 0.25)):
        clean = sharpness(picture.round().astype(np.uint8))
        for level in (2, 5, 10, 20):
            noisy = picture + level * rng.standard_normal(picture.shape)
            assert sharpness(noisy.round().clip(0, 255).astype(np.uint8)) == pytest.approx(clean, rel=allowed)


@pytest.mark.parametrize("level", [2, 5, 10, 20])
def test_the_level_of_noise_is_found_beneath_texture(photo, level):
    noisy = photo + level * np.random.default_rng(1).standard_normal(photo.shape)
    assert noise_level(noisy.round().clip(0, 255).astype(np.uint8)) == pytest.approx(level, rel=0.15, abs=0.7)
    assert noise_level(np.kron(photo[::32, ::32], np.ones((32, 32), np.uint8))) == 0, "edges are no noise"


# Bars


def boxed(frames: np.ndarray, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> np.ndarray:
    return np.pad(frames, ((0, 0), (top, bottom), (left, right), (0, 0)))


@pytest.fixture(scope="module")
def panned(photo) -> np.ndarray:
    """24 frames of 160 x 288 that pan over a photograph, a tenth of it burnt out."""
    frames = np.stack([photo[100 + t : 260 + t, 2 * t : 2 * t + 288] for t in range(24)])
    frames = np.repeat(np.maximum(frames, 6)[..., None], 3, axis=-1)
    frames[:, :16] = 255
    return frames


@pytest.mark.parametrize("bars", [{"top": 22, "bottom": 22}, {"left": 96, "right": 96}, {"top": 30}, {"right": 50}])
def test_bars_are_no_part_of_the_picture(tmp_path, panned, write_file, bars):
    def measure(name, frames):
        footage = observe(write_file(tmp_path / f"{name}.mp4", frames, options={"crf": "20"}))
        return 100 * footage.clipped.mean(), footage.sharpness.mean()

    bare, within = measure("bare", panned), measure("boxed", boxed(panned, **bars))
    assert within[0] == pytest.approx(bare[0], abs=1.0) and 7 < bare[0] < 13
    assert within[1] == pytest.approx(bare[1], rel=0.06)
    black = 100 * np.mean(boxed(panned, **bars) <= 2)
    assert black > 10, "which counted as clipped before"


def test_bars_are_found_once_for_all_frames_wherever_a_video_is_dark(tmp_path, panned, write_file, monkeypatch):
    """Five black frames to begin with, then a shot with a dark upper half, then light: of all, the last tells."""
    monkeypatch.setattr(eval.footage, "_MAX_CHUNK", 4)
    dark = panned.copy()
    dark[:5] = 0
    dark[5:14, :80] = 0
    for bars in ({}, {"top": 22, "bottom": 22}):
        frames = boxed(dark, **bars)
        expected = observe(dark, fps=12).clipped
        assert expected[:5].tolist() == [1.0] * 5 and expected[5:14].min() >= 0.5, "a dark picture is lost in black"
        np.testing.assert_allclose(observe(frames, fps=12).clipped, expected, atol=0.02)
        path = write_file(tmp_path / f"dark{len(bars)}.mkv", frames, codec="ffv1", pix_fmt="bgr0")
        np.testing.assert_allclose(observe(path).clipped, expected, atol=0.02)
        assert np.isnan(observe(path).sharpness[:5]).all() and np.isfinite(observe(path).sharpness[5:]).all()


def test_dark_scenes_are_no_bars(panned):
    night = panned // 12  # 0 to 21 of 255: hardly anything is lit
    fading = (panned * np.linspace(0, 1, 160)[:, None, None] ** 3).astype(np.uint8)  # a dark sky, no straight end
    spot = np.zeros_like(panned)
    rows, columns = np.indices((160, 288))
    inside = (rows - 100) ** 2 + (columns - 144) ** 2 < 55**2
    spot[:, inside] = panned[:, inside]
    star = np.zeros_like(panned)
    star[:, 70:80, 100:130] = 200  # a small bright thing on black
    for frames in (night, fading, spot, star):
        clipped = np.array([clipped_share(frame[..., 0]) for frame in frames])
        np.testing.assert_allclose(observe(frames, fps=12).clipped, clipped, atol=1e-6)


# Files of every kind


def test_frames_of_variable_duration_are_taken_as_they_come(tmp_path, three_shots, write_file):
    times = [*range(20), *range(30, 43)]
    footage = observe(write_file(tmp_path / "a.mp4", three_shots, times=times))
    assert footage.num_frames == 33
    assert footage.fps == pytest.approx(33 / 43 * 12, rel=0.02)
    assert len(footage.notes) == 1 and re.search("frame rate varies .* taken as they come", footage.notes[0])


THIRDS = [12012 * (number // 3) + (0, 6006, 9009)[number % 3] for number in range(120)]  # ticks of 1/90000 s


@pytest.fixture
def moving_noise(three_shots):
    """192 frames of noise that moves, so that none is like another."""
    return np.stack([np.roll(three_shots[9 * (number // 64)], 3 * number, 1) for number in range(192)])


@pytest.fixture
def write_timed():
    """Call with a path, frames and the time of each in ticks of 1/90000 s."""

    def write(path, frames, ticks):
        with av.open(str(path), "w", options={"video_track_timescale": "90000"}) as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
            for picture, tick in zip(frames, ticks, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 90000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_seconds_are_the_presentation_times_where_the_rate_varies(tmp_path, moving_noise, write_timed, suffix):
    footage = observe(write_timed(tmp_path / f"a.{suffix}", moving_noise[:120], THIRDS))
    tick = 1e-9 if suffix == "mp4" else 1e-3  # Matroska counts milliseconds
    np.testing.assert_allclose(footage.times, np.array(THIRDS) / 90000, atol=tick)
    assert footage.times[40] == pytest.approx(1.8018, abs=tick) and footage.times.dtype == np.float64
    assert footage.times[-1] < footage.duration <= footage.times[-1] + 6006 / 90000 + tick
    assert any("frame rate varies (a frame lasts from 0.033 s to 0.067 s" in note for note in footage.notes)
    given = observe(tmp_path / f"a.{suffix}", fps=25)
    np.testing.assert_array_equal(given.times, np.arange(120) / 25)
    assert given.duration == 120 / 25, "a rate that is given goes before the file's times"
    assert given.notes == (), "which then are not said to have been taken"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_average_rate_is_that_of_the_times_whatever_the_container_says(tmp_path, moving_noise, write_timed, suffix):
    video = write_timed(tmp_path / f"a.{suffix}", moving_noise[:120], THIRDS)
    footage = observe(video)
    assert footage.fps == pytest.approx(120 / footage.duration)
    assert footage.fps == pytest.approx(90000 / 4004, rel=0.01), "Matroska says 30 for this file"
    assert any(f"{footage.fps:.4g} a second on average" in note for note in footage.notes)
    with VideoReader(video) as reader:
        assert reader.rate_and_length() == (pytest.approx(footage.fps, rel=0.01), 120)
    with VideoReader(video, 25) as reader:
        assert reader.rate_and_length() == (25, 120)


def test_how_much_moves_in_a_second_does_not_depend_on_the_container(tmp_path, moving_noise, write_timed):
    values = []
    for suffix in ("mp4", "mkv"):
        footage = observe(write_timed(tmp_path / f"a.{suffix}", moving_noise[:60], THIRDS[:60]))
        found = measure(all_metrics()["dynamic_degree"], Evidence(footage, Detection("none", 60, ())))
        values.append(found.value)
    assert values[0] > 0 and values[1] == pytest.approx(values[0], rel=0.02)


def test_seconds_of_a_constant_rate_are_frames_by_the_rate(tmp_path, three_shots, write_file):
    for footage in (
        observe(three_shots, fps=12),
        observe(write_file(tmp_path / "a.mp4", three_shots)),
        observe(write_file(tmp_path / "a.mkv", three_shots)),
        observe(write_file(tmp_path / "a.ts", three_shots)),
    ):
        np.testing.assert_array_equal(footage.times, np.arange(33) / 12)
        assert footage.duration == 33 / 12 and footage.notes == ()


def test_a_video_that_begins_late_is_counted_from_its_first_frame(tmp_path, three_shots, write_file):
    footage = observe(write_file(tmp_path / "a.mkv", three_shots, times=[number + 40 for number in range(33)]))
    np.testing.assert_allclose(footage.times, np.arange(33) / 12, atol=1e-3)


def test_watched_footage_keeps_the_times_of_its_file(tmp_path, moving_noise, write_timed):
    from eval.encoders import load_encoders
    from eval.gathering import gather
    from eval.shots import load_detector

    video = write_timed(tmp_path / "a.mp4", moving_noise[:120], THIRDS)
    footage = gather(video, None, load_encoders("auto"), load_detector("pyscenedetect")).footage
    assert footage.times[40] == pytest.approx(1.8018)


def stream_copy(source, target, first, stop, keyframe):
    """Copy the packets from a keyframe on, so that players show frames `first` to `stop` only: an edit list says so."""
    with av.open(str(source)) as moving_noise, av.open(str(target), "w", options={"movflags": "faststart"}) as clip:
        stream = moving_noise.streams.video[0]
        copy = clip.add_stream_from_template(stream)
        step = int(1 / (stream.average_rate * stream.time_base))
        copying = False
        for packet in moving_noise.demux(stream):
            if packet.dts is None:
                continue
            copying = copying or (packet.is_keyframe and packet.pts == keyframe * step)
            if copying and packet.pts < stop * step:
                packet.pts, packet.dts = packet.pts - first * step, packet.dts - first * step
                packet.stream = copy
                clip.mux(packet)


@pytest.mark.parametrize(
    ("keyframe", "first", "stop", "stored"), [(0, 32, 192, 192), (48, 60, 144, 96)], ids=["head cut", "both ends"]
)
def test_a_clip_that_was_cut_out_without_encoding_is_what_a_player_shows(
    tmp_path, moving_noise, write_file, keyframe, first, stop, stored
):
    options = {"g": "48", "bf": "2", "sc_threshold": "0"}
    write_file(tmp_path / "moving_noise.mp4", moving_noise, fps=24, options=options)
    stream_copy(tmp_path / "moving_noise.mp4", tmp_path / "clip.mp4", first, stop, keyframe)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.streams.video[0].frames == stored
    whole, clip = observe(tmp_path / "moving_noise.mp4"), observe(tmp_path / "clip.mp4")
    assert clip.num_frames == count_frames(tmp_path / "clip.mp4") == stop - first and clip.fps == 24
    np.testing.assert_array_equal(clip.pictures, whole.pictures[first:stop])
    np.testing.assert_array_equal(clip.times, np.arange(stop - first) / 24)
    assert clip.notes == ()


def test_a_clip_with_an_edit_list_that_is_cut_short_is_refused(tmp_path, moving_noise, write_file):
    write_file(tmp_path / "moving_noise.mp4", moving_noise, fps=24, options={"g": "48", "bf": "2"})
    stream_copy(tmp_path / "moving_noise.mp4", tmp_path / "clip.mp4", 32, 192, 0)
    content = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "clip.mp4").write_bytes(content[: len(content) * 3 // 5])
    with pytest.raises(VideoError, match="damaged or cut short"):
        observe(tmp_path / "clip.mp4")


@pytest.mark.parametrize("bytes_more", [0, 77], ids=["after a packet", "inside a packet"])
def test_a_transport_stream_that_is_cut_short_is_taken_as_far_as_it_goes_and_says_so(
    tmp_path, moving_noise, write_file, bytes_more
):
    noise = np.random.default_rng(0).integers(0, 256, (96, *moving_noise.shape[1:]), np.uint8)
    whole = write_file(tmp_path / "whole.ts", noise, fps=24)
    assert observe(whole).notes == () and observe(whole).num_frames == 96
    content = whole.read_bytes()
    (tmp_path / "cut.ts").write_bytes(content[: len(content) * 2 // 5 // 188 * 188 + bytes_more])
    footage = observe(tmp_path / "cut.ts")
    assert 30 <= footage.num_frames <= 45
    assert re.search(r"seems to be cut short after 1\.\d\d s .*inside a frame.*: the \d\d frames", footage.notes[0])


def test_frames_that_a_cut_left_out_of_a_transport_stream_are_missed(tmp_path, moving_noise, write_file):
    """Small frames end where packets do; the last ones are predicted from a later one that is not there any more."""
    content = write_file(tmp_path / "whole.ts", moving_noise, fps=24, options={"bf": "2"}).read_bytes()
    told = 0
    for packets in range(200, 230, 3):
        (tmp_path / "cut.ts").write_bytes(content[: packets * 188])
        footage = observe(tmp_path / "cut.ts")
        told += any("seems to be cut short" in note for note in footage.notes)
        assert not any("varies" in note for note in footage.notes)
    assert told >= 5, "of 10; a cut between two frames that are shown one after the other cannot be told"


@pytest.mark.parametrize("fps", [12, 24, 29.97, 60])
def test_constant_rates_with_a_coarse_clock_do_not_vary(tmp_path, three_shots, write_file, fps):
    """Matroska counts milliseconds, so 60 frames a second last 16 or 17 of them."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for picture in three_shots:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    footage = observe(path)
    assert footage.notes == () and footage.fps == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize(("rotation", "quarters"), [(90, 1), (-90, 3), (180, 2)])
def test_rotation_in_the_metadata_is_applied(tmp_path, three_shots, write_file, rotation, quarters):
    path = write_file(tmp_path / "a.mp4", three_shots, rotation=rotation)
    footage = observe(path)
    assert footage.size == ((96, 64) if quarters == 2 else (64, 96))
    upright = np.rot90(three_shots, quarters, axes=(1, 2))
    assert np.abs(footage.pictures.astype(int) - upright).mean() < 6
    assert any("turned" in note for note in footage.notes)


def test_phones_turn_clockwise_what_they_store_with_the_matrix_of_a_quarter(tmp_path, three_shots, write_file):
    """The matrix (0, 1, -1, 0) of an MP4's track moves the picture's right edge to the bottom."""
    path = write_file(tmp_path / "a.mp4", three_shots, rotation=180)
    content = path.read_bytes()
    one = 1 << 16
    matrix = [np.array(m, ">i4").tobytes() for m in ((-one, 0, 0, 0, -one), (0, one, 0, -one, 0))]
    assert content.count(matrix[0]) == 1
    path.write_bytes(content.replace(*matrix))
    pictures = observe(path).pictures
    assert np.abs(pictures.astype(int) - np.rot90(three_shots, 3, axes=(1, 2))).mean() < 6


def test_ten_bits_a_colour_are_read(tmp_path, three_shots, write_file):
    footage = observe(write_file(tmp_path / "a.mp4", three_shots, pix_fmt="yuv420p10le"))
    assert np.abs(footage.pictures.astype(int) - three_shots).mean() < 6


def test_odd_sizes_are_read_whole(tmp_path, three_shots, write_file):
    odd = np.ascontiguousarray(three_shots[:, :63, :95])
    footage = observe(write_file(tmp_path / "a.mkv", odd, codec="ffv1", pix_fmt="bgr0"))
    np.testing.assert_array_equal(footage.pictures, odd)
    write_video(tmp_path / "b.mp4", odd, 12)
    assert observe(tmp_path / "b.mp4").size == (95, 63), "padding that write_video added is cut off again"


def test_transparent_parts_are_black(tmp_path, three_shots, write_file):
    clear = np.concatenate([three_shots, np.full((*three_shots.shape[:3], 1), 255, np.uint8)], axis=-1)
    clear[:, :, 48:, 3] = 0
    footage = observe(write_file(tmp_path / "a.mov", clear, codec="qtrle", pix_fmt="argb"))
    assert not footage.pictures[:, :, 48:].any()
    np.testing.assert_array_equal(footage.pictures[:, :, :48], three_shots[:, :, :48])
    assert any("transparent" in note for note in footage.notes)


def test_a_gif_is_a_video(tmp_path, three_shots, write_file):
    footage = observe(write_file(tmp_path / "a.gif", three_shots, fps=10, codec="gif", pix_fmt="rgb8"))
    assert (footage.num_frames, footage.fps, footage.size) == (33, 10, (96, 64))


def test_one_frame_is_a_video(tmp_path, three_shots):
    write_video(tmp_path / "a.mp4", three_shots[:1], 12)
    footage = observe(tmp_path / "a.mp4")
    assert footage.num_frames == 1 and footage.thumbnails.shape == (1, 27, 48, 3)


def test_files_that_are_no_video_are_refused_in_one_sentence(tmp_path, three_shots, write_file, write_sound):
    (tmp_path / "text.mp4").write_text("a text\n" * 1000)
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n")
    (tmp_path / "empty.mp4").touch()
    noise = np.random.default_rng(0).integers(0, 256, (33, 64, 96, 3), np.uint8)
    write_video(tmp_path / "whole.mp4", noise, 12)
    write_file(tmp_path / "whole.webm", noise[:, :32, :48].copy(), codec="libvpx-vp9")
    for suffix in ("mp4", "webm"):
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    write_sound(tmp_path / "sound.mp4")
    for name in ("photo.jpg", "photo.png"):
        Image.new("RGB", (96, 64), "teal").save(tmp_path / name)
    with av.open(str(tmp_path / "none.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
        container.mux(stream.encode())
    for name, reason in (
        ("text.mp4", "not a video"),
        ("playlist.mp4", "not a video"),
        ("empty.mp4", "not a video"),
        ("cut.mp4", "damaged or cut short"),
        ("cut.webm", "damaged or cut short"),
        ("sound.mp4", "no pictures in it, only sound"),
        ("photo.jpg", "is a picture, not a video"),
        ("photo.png", "is a picture, not a video"),
        ("none.mp4", "no pictures in it"),
        ("missing.mp4", "does not exist"),
        (".", "not a file"),
    ):
        with pytest.raises(VideoError, match=reason) as caught:
            observe(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_frames_beyond_a_size_are_scaled_down_before_anything_sees_them(tmp_path, three_shots):
    write_video(tmp_path / "x.mp4", three_shots, 8, size=(384, 256))
    seen = []
    footage = observe(tmp_path / "x.mp4", None, [lambda first, frames: seen.append(frames.shape[1:])], None, 96 * 64)
    assert footage.size == (96, 64) and set(seen) == {(64, 96, 3)}
    assert footage.notes == (
        "its frames of 384 x 256 pixels were scaled down to 96 x 64 before anything looked at them",
    )
    assert np.abs(footage.pictures.astype(int) - three_shots).mean() < 6, "the same pictures"
    as_it_is = observe(tmp_path / "x.mp4", None, (), None, 384 * 256)
    assert as_it_is.size == (384, 256) and not as_it_is.notes


def test_the_cover_of_a_song_is_no_video(tmp_path, write_sound, three_shots):
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        sound = container.add_stream("mp3", rate=8000)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in cover.encode(av.VideoFrame.from_ndarray(three_shots[0], format="rgb24")):
            container.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    with pytest.raises(VideoError, match="only sound"):
        observe(tmp_path / "song.mp3")


def test_a_change_of_picture_size_is_refused(tmp_path, three_shots, write_file):
    for name, frames in (("a", three_shots), ("b", three_shots[:, :32, :48])):
        write_file(tmp_path / f"{name}.ts", np.ascontiguousarray(frames), codec="mpeg2video")
    (tmp_path / "both.ts").write_bytes(b"".join((tmp_path / f"{name}.ts").read_bytes() for name in "ab"))
    with pytest.raises(VideoError, match="changes its picture size at frame 3[23], from 96x64 to 48x32"):
        observe(tmp_path / "both.ts")


def test_more_frames_than_the_limit_are_refused(video, three_shots, monkeypatch):
    frame = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(VideoError, match="the array has more than 20,000 frames: cut it into parts"):
        observe(np.broadcast_to(frame, (MAX_FRAMES + 1, 4, 4, 3)), fps=15)
    monkeypatch.setattr(eval.footage, "MAX_FRAMES", 32)
    with pytest.raises(VideoError, match=r"a\.mp4 has more than 32 frames"):
        observe(video)
    monkeypatch.setattr(VideoReader, "num_frames", property(lambda self: None, lambda self, value: None), raising=False)
    with pytest.raises(VideoError, match=r"a\.mp4 has more than 32 frames"):
        observe(video)


def test_arrays_that_are_no_video_are_refused(three_shots):
    for frames in (three_shots.astype(float), three_shots[0], three_shots[:0], three_shots[..., :2]):
        with pytest.raises(VideoError, match="have to be uint8"):
            observe(frames, fps=12)
    with pytest.raises(VideoError, match="give fps"):
        observe(three_shots)
    with pytest.raises(VideoError, match="fps is -3"):
        observe(three_shots, fps=-3)


def test_frames_are_counted_without_decoding(tmp_path, video, three_shots, write_file):
    assert count_frames(video) == 33
    assert count_frames(write_file(tmp_path / "a.webm", three_shots, codec="libvpx-vp9")) == 33
    predicted_from_later_ones = write_file(tmp_path / "a.mkv", three_shots, options={"bf": "3", "b_strategy": "0"})
    assert count_frames(predicted_from_later_ones) == observe(predicted_from_later_ones).num_frames == 33


# Which frames are embedded


@given(st.integers(1, 400), st.floats(1, 120), st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_sampling_has_a_constant_rate_and_two_frames_a_shot(num_frames, fps, lengths):
    storyboard = Storyboard.from_captions(
        "Rain.", ["Wide shot."] * len(lengths), sum(lengths) * 4 + 1, list(np.cumsum(lengths[:-1]) * 4 + 1)
    )
    frames = sampled_frames(storyboard.num_frames, fps, storyboard.shot_ranges)
    assert frames[0] == 0 and frames[-1] < storyboard.num_frames and (np.diff(frames) > 0).all()
    for shot in storyboard.shot_ranges:
        assert ((frames >= shot.start) & (frames < shot.stop)).sum() >= min(2, len(shot))
    shorter = sampled_frames(num_frames, fps, storyboard.shot_ranges)
    np.testing.assert_array_equal(shorter, sampled_frames(10_000, fps, storyboard.shot_ranges)[: len(shorter)])
    assert len(set(np.diff(sampled_frames(400, fps)))) == 1


def test_sampling_takes_about_eight_frames_a_second():
    assert sampled_frames(17, 15).tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert sampled_frames(5, 4).tolist() == [0, 1, 2, 3, 4]
    for fps in (8, 12, 15, 24, 25, 30, 60, 120):
        assert 6 <= len(sampled_frames(10 * fps, fps)) / 10 <= 12
    assert sampled_frames(1, 15).tolist() == [0]
