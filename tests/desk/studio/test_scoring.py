"""Scores of the theatre's own rendering, whose truth is known."""

from fractions import Fraction

import av
import numpy as np
import pytest

from desk.studio import screening
from desk.studio.jobs import Job
from desk.studio.scoring import plain_rows
from desk.studio.studio import Studio
from desk.tabs.score import read_request
from eval import Scorecard, load_detector
from eval.encoders import Encoders
from eval.encoders.finders import load_finder
from eval.request import Request
from eval.scorecard import examine
from holocine import Storyboard, StoryboardError, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene


@pytest.fixture
def detector_card(scene, tmp_path, monkeypatch):
    """The scorecard of a video of another world on a machine without models for it."""
    from eval import score

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return score(scene[0], Storyboard.from_captions("A pier in the rain.", ["Gulls.", "Waves.", "A boat."], 49, fps=12))


@pytest.fixture(scope="module")
def scene():
    """Frames and storyboard of a scene of three shots, 17 + 16 + 16 frames."""
    scene = sample_scene(21, lengths=(17, 16, 16))
    return render(scene)[0], to_storyboard(scene, seed=1, title="Truth")


@pytest.fixture(scope="module")
def scored(scene, tmp_path_factory):
    """The truth, with its storyboard inside, after it was brought to the desk."""
    from desk.studio.jobs import JobQueue
    from desk.studio.outputs import Outputs

    folder = tmp_path_factory.mktemp("scored")
    frames, board = scene
    write_video(folder / "x.mp4", frames, board.fps, board)
    studio = Studio(Outputs(folder / "outputs", 10**9, 3600), JobQueue(1))
    job = Job("me", lambda job: None, 600)
    content = screening._examine(studio, job, folder / "x.mp4", "video.mp4", "x.mp4", None)
    return studio, job, content


def test_a_video_that_brings_its_storyboard_is_scored_against_it(scored, scene):
    _, _, content = scored
    assert content["title"] == "Truth" and not content.get("unplanned")
    assert content["cuts"] == [17, 33] == content["detected"]
    rows = {row["metric"]: row for row in content["scorecard"]}
    assert rows["sca"]["verdict"] == "2 of 2 came where they were asked for"
    assert rows["sca"]["number"] == pytest.approx(1)
    assert "Higher is better" in rows["sca"]["meaning"]
    assert content["storyboard"]["shots"][2]["num_frames"] == 16


def test_its_scorecard_and_report_can_be_taken_along(scored):
    studio, job, content = scored
    folder = studio.outputs.files / job.id
    assert set(content["files"]) == {"video", "scorecard", "report"}
    card = Scorecard.load(folder / content["files"]["scorecard"])
    assert "Truth" in (folder / content["files"]["report"]).read_text() or card.video.name == "video.mp4"
    assert plain_rows(card) == content["scorecard"]


def test_a_foreign_video_shows_the_shots_that_were_found(scene, studio, tmp_path):
    frames, board = scene
    write_video(tmp_path / "x.mp4", frames, board.fps)
    job = Job("me", lambda job: None, 600)
    content = screening._examine(studio, job, tmp_path / "x.mp4", "video.mp4", "clip.mp4", None)
    assert content["unplanned"] and content["title"] == "clip.mp4"
    assert [(shot["first"], shot["last"]) for shot in content["shots"]] == [(0, 16), (17, 32), (33, 48)]
    assert all(shot["picture"].startswith("data:image/jpeg") for shot in content["shots"])
    absent = {row["metric"]: row for row in content["scorecard"]}["sca"]
    assert not absent["measured"] and "storyboard" in absent["verdict"]


def test_a_request_that_cannot_be_this_videos_is_refused_without_a_path(scene, studio, storyboard, tmp_path):
    frames, board = scene
    write_video(tmp_path / "x.mp4", frames, board.fps)
    later = Request.of(storyboard, start=1000.0)
    with pytest.raises(ValueError, match="no shot of the storyboard has a frame") as raised:
        screening._examine(studio, Job("me", lambda job: None, 600), tmp_path / "x.mp4", "v.mp4", "x", later)
    assert str(studio.outputs.folder) not in str(raised.value) and not list(studio.outputs.files.iterdir())


def test_a_prompt_is_cut_where_the_visitor_says_and_nowhere_if_nothing_is_said(scene, tmp_path, limits):
    frames, storyboard = scene
    video = tmp_path / "bare.mp4"
    write_video(video, frames[:17], 12)
    prompt = "[global caption] A. [per shot caption] One. [shot cut] Two."
    asked = read_request(prompt, "10", video, limits)
    assert (asked.storyboard.cuts, asked.storyboard.num_frames, asked.timed) == ((10,), 17, True)
    assert not read_request(prompt, "", video, limits).timed
    saved = read_request(f"{prompt}\n\nframes: 17\ncuts: 10", "", video, limits)
    assert saved.storyboard.cuts == (10,) and saved.storyboard.captions == ("One.", "Two.") and saved.timed
    assert read_request("  ", "", video, limits) is None
    alone = read_request("", "10", video, limits)
    assert len(alone.storyboard.shots) == 2 and not alone.worded
    assert read_request(storyboard.to_yaml(), "", video, limits, "share").policy == "share"
    assert read_request(prompt, "15", video, limits, start=0.5).start == 0.5
    assert read_request(storyboard.to_yaml(), "", video, limits, start=0.5).start == 0.5
    with pytest.raises(StoryboardError, match="the storyboard has cuts of its own"):
        read_request(storyboard.to_yaml(), "10", video, limits)
    even = "global_caption: A.\nshots: [One., Two.]"
    assert not read_request(even, "", video, limits).timed
    assert read_request(even, "10", video, limits).storyboard.cuts == (10,)
    with pytest.raises(StoryboardError, match="start is -1.0"):
        read_request(storyboard.to_yaml(), "", video, limits, start=-1)
    with pytest.raises(StoryboardError, match="the cuts are 'x'"):
        read_request(prompt, "x", video, limits)


def test_a_score_that_needs_a_model_says_what_a_visitor_can_do(scene, tmp_path, detector_card):
    row = next(row for row in plain_rows(detector_card) if row["metric"] == "background_consistency")
    assert not row["measured"] and "--download" in row["verdict"] and "HOLOCINE_ENCODERS" in row["verdict"]


def test_characters_that_nobody_looked_for_are_said_in_words_that_a_visitor_can_act_on(detector_card):
    _, reason = load_finder(None, Storyboard.from_captions("[character1] is a sailor.", ["[character1]."], 9, []))
    record = detector_card.metrics["character_presence"].model_copy(update={"reason": reason})
    metrics = {**detector_card.metrics, "character_presence": record}
    rows = plain_rows(detector_card.model_copy(update={"metrics": metrics}))
    (row,) = (row for row in rows if row["metric"] == "character_presence")
    assert not row["measured"] and "this desk knows" in row["verdict"] and "--boxes owlv2" in row["verdict"]


def test_a_generated_video_is_scored_before_its_job_ends(studio, storyboard, settings, wait):
    job = wait(studio.submit("me", storyboard, settings))
    assert job.state == "done", job.message
    assert (studio.outputs.files / job.id / "scorecard.json").is_file()
    assert job.result["scorecard"] and job.result["detected"] is not None
    assert studio.outputs.of("me")[0].content["scorecard"] == job.result["scorecard"]


def test_a_file_of_more_and_more_frames_is_given_up_and_leaves_nothing(studio, tmp_path, monkeypatch, wait, limits):
    monkeypatch.setattr("eval.footage.MAX_FRAMES", 40)
    with av.open(str(tmp_path / "x.mp4"), "w", format="matroska", options={"live": "1"}) as live:
        stream = live.add_stream("mjpeg", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), number, np.uint8), "rgb24")
            live.mux(stream.encode(frame))
    job = wait(screening.submit(studio, "me", tmp_path / "x.mp4", "x.mp4", None, limits))
    assert job.state == "failed" and "the video has more than 40 frames" in job.message
    assert not list(studio.outputs.files.iterdir())


def test_large_frames_are_scaled_down_while_they_are_read_and_the_stage_says_so(
    studio, scene, tmp_path, wait, limits, monkeypatch
):
    monkeypatch.setattr("desk.studio.scoring.LOOKED_AT_PIXELS", 112 * 64)
    write_video(tmp_path / "x.mp4", scene[0][:20], 12, size=(448, 256))
    job = wait(screening.submit(studio, "me", tmp_path / "x.mp4", "x.mp4", None, limits))
    assert job.result["detected"] == [17]
    assert "Its frames of 448 x 256 pixels were scaled down to 112 x 64" in job.result["note"]
    card = Scorecard.load(studio.outputs.files / job.id / job.result["files"]["scorecard"])
    assert card.video.size == (112, 64)


def test_of_a_video_that_is_cut_short_a_visitor_hears_what_a_visitor_can_do(studio, scene, tmp_path, wait, limits):
    noise = np.random.default_rng(0).integers(0, 256, (24, 64, 112, 3), np.uint8)
    write_video(tmp_path / "x.mp4", noise, 12)
    whole = (tmp_path / "x.mp4").read_bytes()
    assert whole.index(b"moov") < len(whole) // 2, "its index is there"
    (tmp_path / "x.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    job = wait(screening.submit(studio, "me", tmp_path / "x.mp4", "x.mp4", None, limits))
    assert job.state == "failed" and "ffmpeg" not in job.message and str(tmp_path) not in job.message
    assert "is damaged or cut short" in job.message
    assert job.message.endswith("upload the whole file again, or export it anew")


def test_a_file_that_is_gone_before_its_turn_is_a_sentence_without_a_path(studio, scene, tmp_path):
    job = Job("me", lambda job: None, 600)
    with pytest.raises(ValueError, match="no longer kept") as raised:
        screening._examine(studio, job, tmp_path / "gone.mp4", "video.mp4", "gone.mp4", None)
    assert str(tmp_path) not in str(raised.value)


def test_how_far_a_score_can_be_trusted_stands_beside_it_and_its_limits_below(scored):
    _, job, content = scored
    rows = {row["metric"]: row for row in content["scorecard"]}
    card = Scorecard.load(scored[0].outputs.files / job.id / content["files"]["scorecard"])
    measured = [name for name, row in rows.items() if row["measured"]]
    assert measured
    for name in measured:
        record = card.metrics[name]
        assert rows[name]["trust"] == record.trust
        assert (record.limits or "can be trusted") in rows[name]["meaning"]
    assert all(row["trust"] is None for row in rows.values() if not row["measured"])


def test_the_stage_is_told_when_frames_are_shown_where_the_rate_varies(scene, tmp_path):
    frames = scene[0][:12]
    with av.open(str(tmp_path / "vfr.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 40 * number + 60 * (number // 3), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    write_video(tmp_path / "even.mp4", frames, 25)
    nothing = {"encoders": Encoders(), "detector": load_detector("pyscenedetect")}
    varying = screening.describe(examine(tmp_path / "vfr.mkv", **nothing)[1], "vfr.mkv")
    assert varying["times"][:5] == (0, 0.04, 0.08, 0.18, 0.22) and len(varying["times"]) == 13
    assert screening.describe(examine(tmp_path / "even.mp4", **nothing)[1], "even.mp4")["times"] is None
