"""Side by side: what each part of the picture shows at what time, measured in the MP4 that was written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.side_by_side import CompareError, Panel, find_panel, side_by_side, timing
from holocine.decoding import VideoError
from holocine.storyboard import Storyboard
from holocine.video import read_video, write_video

BOARD = Storyboard.from_captions("A room.", ["One.", "Two."], num_frames=13, shot_cut_frames=[5], fps=12.0)
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def film(path: Path, *parts: tuple[tuple[int, int, int], int], fps: float = 12.0, storyboard=None) -> Path:
    """A video of plain colours, each for so many frames."""
    frames = np.concatenate([np.full((count, 64, 112, 3), colour, np.uint8) for colour, count in parts])
    write_video(path, frames, fps, storyboard)
    return path


def middle(frame: np.ndarray, panel: int, panels: int) -> np.ndarray:
    """The mean colour in the middle of a panel."""
    centre = 14 + (frame.shape[1] - 28) * (2 * panel + 1) // (2 * panels)
    return frame[120:160, centre - 40 : centre + 40].mean((0, 1))


def assert_colour(seen: np.ndarray, colour: tuple[int, int, int], tolerance: float = 12) -> None:
    assert np.abs(seen - colour).max() < tolerance, (seen, colour)


def test_videos_play_in_step_by_time_whatever_their_frame_rates(tmp_path: Path) -> None:
    slow = film(tmp_path / "slow.mp4", (RED, 6), (GREEN, 6), fps=6.0)
    fast = film(tmp_path / "fast.mp4", (RED, 12), (BLUE, 12), fps=12.0)
    side_by_side([Panel("slow", slow), Panel("fast", fast)], tmp_path / "both.mp4")
    video = read_video(tmp_path / "both.mp4")
    assert (len(video.frames), video.fps) == (24, 12.0)
    for number, (left, right) in {0: (RED, RED), 11: (RED, RED), 12: (GREEN, BLUE), 23: (GREEN, BLUE)}.items():
        assert_colour(middle(video.frames[number], 0, 2), left)
        assert_colour(middle(video.frames[number], 1, 2), right)


def varying(path: Path, parts: list[tuple[tuple[int, int, int], float]], rate: int = 30) -> Path:
    """A video of plain colours, a frame each, each of which lasts so many seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 112, 64, "yuv420p", Fraction(1, 90_000)
        stream.codec_context.time_base = Fraction(1, 90_000)
        time = 0
        for colour, seconds in parts:
            frame = av.VideoFrame.from_ndarray(np.full((64, 112, 3), colour, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 90_000)
            container.mux(stream.encode(frame))
            time += round(90_000 * seconds)
        container.mux(stream.encode())
    return path


def test_a_video_whose_rate_varies_stays_in_step_by_its_own_clock(tmp_path: Path) -> None:
    """It shows red for a second with 10 frames and green for another with 30; the other changes after a second, too."""
    uneven = varying(tmp_path / "uneven.mp4", [(RED, 0.1)] * 10 + [(GREEN, 1 / 30)] * 30)
    steady = film(tmp_path / "steady.mp4", (RED, 24), (BLUE, 24), fps=24.0)
    shown = timing(uneven)
    assert shown.times[10] == pytest.approx(1.0) and shown.duration == pytest.approx(2.0, abs=0.01)
    assert shown.at(0.95) == 9 and shown.at(1.01) == 10
    panels = [Panel("uneven", uneven, found=(10,)), Panel("steady", steady, found=(24,))]
    side_by_side(panels, tmp_path / "both.mp4")
    video = read_video(tmp_path / "both.mp4")
    assert video.fps == pytest.approx(30, rel=0.01) and len(video.frames) == pytest.approx(60, abs=1)
    for number in range(len(video.frames)):
        if abs(number / video.fps - 1.0) > 0.06 and number / video.fps < 1.95:
            early = number / video.fps < 1.0
            assert_colour(middle(video.frames[number], 0, 2), RED if early else GREEN)
            assert_colour(middle(video.frames[number], 1, 2), RED if early else BLUE)
    bottom = 14 + 34 + 366
    above = video.frames[0].astype(int)[bottom + 3 : bottom + 10]
    orange = np.flatnonzero((above[..., 0] - above[..., 2]).mean(0) > 60)
    left, right = orange[orange < 660] - 14, orange[orange >= 660] - 666
    assert left.mean() == pytest.approx(right.mean(), abs=4) and left.mean() == pytest.approx(320, abs=6)


@pytest.mark.parametrize("fps", [24, 60])
def test_clocks_that_round_a_constant_rate_are_taken_for_it(tmp_path: Path, fps: int) -> None:
    """Matroska counts milliseconds."""
    path = varying(tmp_path / "a.mkv", [(RED, 1 / fps)] * 40, rate=fps)
    shown = timing(path)
    np.testing.assert_allclose(shown.times, np.arange(40) / fps, atol=1e-9)
    assert shown.fps == fps and shown.duration == pytest.approx(40 / fps)


def test_a_video_that_ends_earlier_stays_darkened_on_its_last_frame(tmp_path: Path) -> None:
    short = film(tmp_path / "short.mp4", (RED, 3), (GREEN, 3))
    long = film(tmp_path / "long.mp4", (RED, 12))
    side_by_side([Panel("short", short), Panel("long", long)], tmp_path / "both.mp4")
    frames = read_video(tmp_path / "both.mp4").frames
    assert len(frames) == 12
    assert_colour(middle(frames[5], 0, 2), GREEN)
    assert_colour(middle(frames[6], 0, 2), tuple(c // 3 for c in GREEN))
    assert_colour(middle(frames[11], 1, 2), RED)


def test_cuts_that_were_asked_for_and_found_are_marked_where_they_fall(tmp_path: Path) -> None:
    paths = [film(tmp_path / f"{name}.mp4", (RED, 5), (GREEN, 8)) for name in "ab"]
    side_by_side([Panel("a", paths[0], found=(9,)), Panel("b", paths[1], found=())], tmp_path / "both.mp4", BOARD)
    frame = read_video(tmp_path / "both.mp4").frames[0].astype(int)
    bottom = 14 + 34 + 366  # of the first panel: margin, title, 640 wide at 112:64
    above, below = frame[bottom + 3 : bottom + 10, 14:654], frame[bottom + 13 : bottom + 19, 14:654]
    orange = np.flatnonzero((above[..., 0] - above[..., 2]).mean(0) > 60)
    white = np.flatnonzero(below.min(2).mean(0) > 120)
    assert abs(orange.mean() - 9 / 13 * 639) < 3 and len(orange) <= 5
    assert abs(white[white > 20].mean() - 5 / 13 * 639) < 3
    others = frame[bottom + 3 : bottom + 10, 666:1306]
    assert ((others[..., 0] - others[..., 2]).mean(0) < 60).all()


def test_the_caption_changes_with_the_shot_that_was_asked_for(tmp_path: Path) -> None:
    paths = [film(tmp_path / f"{name}.mp4", (RED, 13)) for name in "ab"]
    side_by_side([Panel("a", paths[0]), Panel("b", paths[1])], tmp_path / "both.mp4", BOARD)
    frames = read_video(tmp_path / "both.mp4").frames.astype(int)
    below = frames[:, 14 + 34 + 366 + 22 : 14 + 34 + 366 + 22 + 24]
    assert np.abs(below[0] - below[4]).mean() < 1 and np.abs(below[5] - below[12]).mean() < 1
    assert np.abs(below[4] - below[5]).max() > 100


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2)])
def test_any_number_of_videos_stand_in_a_grid(tmp_path: Path, count: int, columns: int, rows: int) -> None:
    path = film(tmp_path / "a.mp4", (RED, 2))
    side_by_side([Panel(str(n), path) for n in range(count)], tmp_path / "grid.mp4")
    height, width = read_video(tmp_path / "grid.mp4").frames.shape[1:3]
    assert width // (640 if columns == 2 else 480) == columns
    assert height // (366 if columns == 2 else 274) == rows


def test_the_command_finds_systems_of_a_run_folders_and_files(tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tmp_path / "run" / "items" / "one" / "scene-0" / "0"
    folder.mkdir(parents=True)
    film(folder / "video.mp4", (RED, 5), (GREEN, 8), storyboard=BOARD)
    (tmp_path / "kling").mkdir()
    film(tmp_path / "kling" / "scene-0.mp4", (BLUE, 13))
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "one", "kling", "--run", "run", "--storyboard", "scene-0"]) == 0
    assert capsys.readouterr().out.strip() == "one-kling-scene-0.mp4"
    frames = read_video("one-kling-scene-0.mp4").frames
    assert_colour(middle(frames[12], 0, 2), GREEN)
    assert_colour(middle(frames[12], 1, 2), BLUE)
    assert find_panel("run/items/one", None, "scene-0", 0).path == Path("run/items/one/scene-0/0/video.mp4")
    assert find_panel("kling/scene-0.mp4", None, None, 0).title == "scene-0"


def test_a_system_of_the_run_comes_before_a_folder_or_file_of_its_name(tmp_path: Path, monkeypatch) -> None:
    for system in ("one", "two"):
        folder = tmp_path / "run" / "items" / system / "scene-0" / "0"
        folder.mkdir(parents=True)
        film(folder / "video.mp4", (RED, 2))
    (tmp_path / "one").mkdir()  # without a video, as a folder of code
    film(tmp_path / "one" / "scene-1.mp4", (RED, 2))
    film(tmp_path / "two.mp4", (RED, 2)).rename(tmp_path / "two")
    (tmp_path / "three").mkdir()
    monkeypatch.chdir(tmp_path)
    run = Path("run")
    assert find_panel("one", run, "scene-0", 0).path == run / "items/one/scene-0/0/video.mp4"
    assert find_panel("two", run, "scene-0", 0).path == run / "items/two/scene-0/0/video.mp4"
    with pytest.raises(CompareError, match="the run run has no video of one, storyboard scene-1"):
        find_panel("one", run, "scene-1", 0)
    with pytest.raises(CompareError, match="two is a system of run: name the storyboard .* --storyboard"):
        find_panel("two", run, None, 0)
    with pytest.raises(CompareError, match=r"three is no system of run \(its systems are one.* as a folder three"):
        find_panel("three", run, "scene-0", 0)


def test_what_cannot_be_compared_is_said_in_a_sentence(tmp_path: Path, capsys) -> None:
    path = film(tmp_path / "a.mp4", (RED, 2))
    with pytest.raises(CompareError, match="at least two videos can be compared, not one"):
        side_by_side([Panel("a", path)], tmp_path / "out.mp4")
    with pytest.raises(VideoError, match="gone.mp4 does not exist"):
        side_by_side([Panel("a", path), Panel("b", tmp_path / "gone.mp4")], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(CompareError, match="truth is no video file: name the storyboard"):
        find_panel("truth", None, None, 0)
    with pytest.raises(CompareError, match="truth is no file and no folder; .* name the run with --run"):
        find_panel("truth", None, "x", 1)
    with pytest.raises(CompareError, match="has no video of truth, storyboard x, seed 0: it has no videos at all"):
        find_panel("truth", tmp_path, "x", 0)
    for id in ("scene-0", "scene-1"):
        folder = tmp_path / "items" / "still" / id / "0"
        folder.mkdir(parents=True)
        (folder / "video.mp4").write_bytes(b"")
    with pytest.raises(CompareError, match="its systems are still, its storyboards scene-0, scene-1, its seeds 0"):
        find_panel("truth", tmp_path, "scene-0", 0)
    with pytest.raises(CompareError, match="out.gif: the comparison is an MP4"):
        side_by_side([Panel("a", path), Panel("b", path)], tmp_path / "out.gif")
    assert main(["compare", "a", "b", "--run", str(tmp_path / "none"), "--storyboard", "x"]) == 2
    assert "none holds no run: there is no such folder" in capsys.readouterr().err
    assert main(["compare", str(path), "-o", str(tmp_path / "out.mp4")]) == 2
    assert "at least two videos" in capsys.readouterr().err
