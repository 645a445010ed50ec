"""`python -m holocine export` and `import`, and the pictures of a video to post."""

import av
import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image, ImageSequence

from holocine import Storyboard, write_video
from holocine.__main__ import main
from tests.conftest import command

BOARD = """\
title: Studio
global_caption: A young painter, [character1], in a bright studio.
fps: 16
seed: 5
shots:
  - {caption: "Medium shot of [character1]. 🎨", num_frames: 6}
  - {caption: "Close-up of her hand.", num_frames: 8}
  - {caption: "סטודיו בלילה", num_frames: 4}
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder with a storyboard, board.yaml, and a video of it, out.mp4: 17 frames, as the model makes it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.yaml").write_text(BOARD, encoding="utf-8")
    storyboard = Storyboard.from_yaml(BOARD).as_run()
    frames = np.empty((storyboard.num_frames, 64, 112, 3), np.uint8)
    for number, shot in enumerate(storyboard.shot_ranges):
        frames[shot.start : shot.stop] = [(200, 30, 30), (30, 200, 30), (30, 30, 200)][number]
    frames[:, 0] = (np.arange(len(frames)) * 12)[:, None, None]  # no two frames are the same
    write_video("out.mp4", frames, storyboard.fps, storyboard)
    return tmp_path


@pytest.fixture
def run(capsys):
    return command(main, capsys)


def refused(result) -> str:
    code, out, err = result
    assert (code, out) == (2, "") and err.count("\n") == 1 and err.startswith("holocine: ")
    return err.removeprefix("holocine: ").strip()


def test_a_storyboard_goes_out_and_comes_back_through_every_format(work, run):
    names = [f"cut{ending}" for ending in (".otio", ".edl", ".fcpxml", ".srt", ".vtt", ".fountain", ".csv")]
    code, out, err = run("export", "board.yaml", *(part for name in names for part in ("-o", name)))
    assert code == 0 and out.splitlines() == [f"wrote {name}" for name in names]
    assert "cut.otio: 16 frames a second are put on a timeline of 24" in err
    asked = Storyboard.load("board.yaml")
    for name in names:
        how = ("--fps", "16", "--global-caption", asked.global_caption) if name == "cut.srt" else ()
        code, out, _ = run("import", name, "-o", "back.yaml", *how)
        back = Storyboard.load("back.yaml")
        assert (code, out) == (0, "wrote back.yaml: 3 shots, 18 frames, 1.1 s\n")
        assert (back.shots, back.fps, back.global_caption) == (asked.shots, 16, asked.global_caption)


def test_a_video_goes_out_as_it_was_made_with_a_reference_to_it(work, run):
    assert run("export", "out.mp4", "-o", "cut.otio", "-o", "cut.fcpxml")[0] == 0
    timeline = otio.adapters.read_from_file("cut.otio")
    made = Storyboard.load("board.yaml").as_run()
    urls = {clip.media_reference.target_url for clip in timeline.find_clips()}
    assert urls == {(work / "out.mp4").resolve().as_uri()}
    assert run("import", "cut.otio", "-o", "back.json")[0] == 0
    assert Storyboard.load("back.json") == made
    assert (work / "cut.fcpxml").read_text(encoding="utf-8").count("<asset-clip") == 3
    assert 'width="112" height="64"' in (work / "cut.fcpxml").read_text(encoding="utf-8")


def test_what_other_commands_read_is_imported_too(work, run):
    assert run("import", "out.mp4", "-o", "back.yaml")[0] == 0
    assert Storyboard.load("back.yaml") == Storyboard.load("board.yaml")
    assert run("export", "out.mp4", "-o", "made.json")[0] == 0
    assert Storyboard.load("made.json").num_frames == 17


def test_what_cannot_be_is_refused_in_one_line_and_writes_nothing(work, run):
    before = sorted(path.name for path in work.iterdir())
    assert "has to end in one of .otio, .edl, .fcpxml" in refused(run("export", "board.yaml", "-o", "cut.mov"))
    assert "cut.otio is named twice" in refused(run("export", "board.yaml", "-o", "cut.otio", "-o", "cut.otio"))
    said = refused(run("export", "board.yaml", "-o", "cut.otio", "-o", "out.gif"))
    assert said == "out.gif is of a video, but board.yaml is none: generate it first"
    assert "has to end in one of .yaml, .yml, .json" in refused(run("import", "cut.otio", "-o", "back.txt"))
    assert "cut.otio: cannot be read: No such file" in refused(run("import", "cut.otio", "-o", "back.yaml"))
    assert "board.mov ends in none of .otio" in refused(run("import", "board.mov", "-o", "back.yaml"))
    assert "'16'" in refused(run("export", "board.yaml", "-o", "cut.edl", "--timeline-rate", "16"))
    assert sorted(path.name for path in work.iterdir()) == before
    (work / "bad.otio").write_text("{", encoding="utf-8")
    assert refused(run("import", "bad.otio", "-o", "back.yaml")).startswith("bad.otio: is damaged, or not an OpenTime")
    (work / "foreign.mp4").write_bytes(b"no video")
    assert "foreign.mp4" in refused(run("export", "foreign.mp4", "-o", "cut.otio"))


def test_animations_have_every_frame_and_play_as_long_as_the_video(work, run):
    code, out, err = run("export", "out.mp4", "-o", "out.gif", "-o", "out.webp")
    assert (code, out) == (0, "wrote out.gif\nwrote out.webp\n") and "256 colours" in err
    for name in ("out.gif", "out.webp"):
        with Image.open(name) as picture:
            lengths = []
            for frame in ImageSequence.Iterator(picture):
                frame.load()
                lengths.append(frame.info["duration"])
            assert (picture.size, picture.info["loop"], len(lengths)) == ((112, 64), 0, 17)
            assert sum(lengths) == pytest.approx(1000 * 17 / 16, abs=10)


def test_a_poster_is_the_middle_of_the_first_shot_in_the_videos_own_size(work, run):
    assert run("export", "out.mp4", "-o", "poster.png")[0] == 0
    with Image.open("poster.png") as poster:
        assert poster.size == (112, 64)
        assert np.allclose(np.asarray(poster.convert("RGB"))[32, 56], (200, 30, 30), atol=6)


def test_large_pictures_are_shrunk_for_posting_and_long_films_refused(work, run):
    write_video("wide.mp4", np.zeros((2, 90, 1280, 3), np.uint8), 12.0)
    assert run("export", "wide.mp4", "-o", "wide.webp")[0] == 0
    with Image.open("wide.webp") as picture:
        assert picture.size == (640, 45)
    write_video("long.mp4", np.zeros((601, 16, 16, 3), np.uint8), 12.0)
    said = refused(run("export", "long.mp4", "-o", "long.gif"))
    assert said == "long.gif: 601 frames are too many for a picture to post, which has at most 600"


def test_a_video_says_its_colours_and_begins_to_play_before_all_of_it_is_there(work):
    with av.open("out.mp4") as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (stream.codec.name, stream.pix_fmt, stream.profile) == ("h264", "yuv420p", "High")
        bt709, limited = 1, 1
        assert (context.colorspace, context.color_primaries, context.color_trc) == (bt709,) * 3
        assert context.color_range == limited
    content = (work / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert content[content.index(b"colr") :][4:14] == b"nclx\0\1\0\1\0\1", "the container says so as well"
