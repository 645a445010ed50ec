"""What was asked stays as it was asked: requests on videos of any rate and length."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from eval import load_encoders, score
from eval.batch import Options, find_request
from eval.encoders import Encoders
from eval.gathering import cut_request, prompt_request, request_of
from eval.request import UNTIMED, Request, place
from eval.shots import load_detector
from eval.table import format_scorecard
from holocine import Storyboard, read_video, write_video
from holocine.finding import EMBEDDED
from holocine.storyboard import StoryboardError

BEACH = EMBEDDED.parents[2] / "examples" / "videos" / "beach.mp4"
NOTHING = Encoders(missing={"clip": "no clip here", "dino": "none", "aesthetic": "none"})
PROMPT = "[global caption] A town. [per shot caption] {}"
PLAYED = {"flicker", "motion_smoothness", "dynamic_degree"}


@pytest.fixture(scope="module")
def detector():
    return load_detector()


def hard_cuts(num_frames: int, cuts: tuple[int, ...], size=(96, 160)) -> np.ndarray:
    """Shots of a drifting texture, each in a colour of its own."""
    rng, frames = np.random.default_rng(3), []
    colours = [(200, 60, 40), (40, 160, 80), (60, 80, 220), (220, 210, 90), (30, 30, 40), (180, 60, 190)]
    for colour, start, stop in zip(colours, (0, *cuts), (*cuts, num_frames), strict=False):
        texture = rng.integers(-30, 30, (size[0] // 8, size[1] // 4, 1)).repeat(8, 0).repeat(8, 1)
        picture = np.clip(texture + colour, 0, 255).astype(np.uint8)
        frames += [picture[:, i : i + size[1]] for i in range(stop - start)]
    return np.stack(frames)


def prompt(num_shots: int) -> str:
    return PROMPT.format(" [shot cut] ".join(f"Shot {i}." for i in range(num_shots)))


@pytest.mark.parametrize(("num_frames", "fps", "cuts"), [(96, 24, (24, 48, 72)), (250, 25, (30, 76, 137, 187, 242))])
def test_cuts_that_fall_where_they_were_asked_for_are_exact_on_any_frame(tmp_path, detector, num_frames, fps, cuts):
    write_video(tmp_path / "a.mp4", hard_cuts(num_frames, cuts), fps)
    request = prompt_request(prompt(len(cuts) + 1), cuts, tmp_path / "a.mp4")
    card = score(tmp_path / "a.mp4", request, encoders=NOTHING, detector=detector)
    assert card.asked.cuts == cuts == tuple(boundary.frame for boundary in card.boundaries)
    exact = ("sca", "cut_f1_0", "cut_precision_0", "cut_recall_0", "cut_f1_5")
    assert [card.metrics[name].value for name in exact] == [1.0] * len(exact)
    assert card.notes == ()


def test_the_same_scene_delivered_at_twice_its_rate_gets_the_same_scores(tmp_path):
    made = read_video(BEACH)
    write_video(tmp_path / "12.mp4", made.frames, 12)
    write_video(tmp_path / "24.mp4", np.repeat(made.frames, 2, axis=0), 24)
    encoders = load_encoders("auto", made.storyboard)
    once, twice = (score(tmp_path / f"{fps}.mp4", made.storyboard, encoders=encoders) for fps in (12, 24))
    assert (twice.asked.policy, twice.asked.scale) == ("seconds", 1.0)
    assert twice.asked.cuts == tuple(2 * cut for cut in once.asked.cuts)
    assert any("by seconds" in note for note in twice.notes)
    for name, record in once.metrics.items():
        assert twice.metrics[name].value == pytest.approx(record.value, abs=0.02), name


@pytest.fixture(scope="module")
def motion(detector):
    """Call with a video and its request for how smoothly it moves."""

    def motion(path, request) -> float:
        return score(path, request, encoders=NOTHING, detector=detector).metrics["motion_smoothness"].value

    return motion


@pytest.fixture(scope="module")
def fast(motion) -> float:
    """How smoothly a scene moves that was not slowed."""
    return motion(BEACH, Request.of(read_video(BEACH).storyboard, policy="share"))


@pytest.mark.parametrize("slower", [1.5, 2.0, 97 / 65])
def test_a_scene_that_was_slowed_by_repeating_frames_moves_as_smoothly(tmp_path, motion, fast, slower):
    made = read_video(BEACH)
    num_frames = round(slower * len(made.frames))
    shown = np.minimum(np.arange(num_frames) * len(made.frames) // num_frames, len(made.frames) - 1)
    write_video(tmp_path / "slow.mp4", made.frames[shown], 12)
    assert motion(tmp_path / "slow.mp4", Request.of(made.storyboard, policy="share")) == pytest.approx(fast, abs=0.02)


def test_a_cut_asked_for_beyond_the_end_of_the_video_is_told_by_its_frame(tmp_path, detector):
    write_video(tmp_path / "a.mp4", hard_cuts(96, (24, 48)), 24)
    request = prompt_request(prompt(4), (24, 48, 720), tmp_path / "a.mp4")
    card = score(tmp_path / "a.mp4", request, encoders=NOTHING, detector=detector)
    (note,) = card.notes
    assert "has 96 frames and ends before the cut at frame 720" in note
    assert card.metrics["cut_recall_0"].value == pytest.approx(2 / 3)


def test_a_scene_that_was_slowed_down_is_aligned_by_share_when_asked_and_says_so(tmp_path, detector):
    cuts = (24, 48, 72)
    slowed = hard_cuts(96, cuts)[np.arange(144) * 2 // 3]
    write_video(tmp_path / "slow.mp4", slowed, 24)
    board = Storyboard.from_captions("A town.", ["a", "b", "c", "d"], 96, cuts, fps=24)
    by_share = score(tmp_path / "slow.mp4", Request.of(board, policy="share"), encoders=NOTHING, detector=detector)
    assert by_share.asked.cuts == (36, 72, 108) and by_share.metrics["cut_f1_0"].value == 1
    assert by_share.asked.scale == pytest.approx(1.5)
    assert any("share of the duration: the video lasts 1.5 times as long" in note for note in by_share.notes)
    assert "aligned by share, scale 1.5" in format_scorecard(by_share)
    as_is = score(tmp_path / "slow.mp4", board, encoders=NOTHING, detector=detector)
    assert as_is.asked.policy == "frames" and as_is.metrics["cut_f1_0"].value < 1
    assert any("48 more than the 96" in note for note in as_is.notes)
    assert any("align it by share" in note for note in as_is.notes)


def test_a_prompt_without_cuts_asks_for_a_number_of_shots_and_for_no_frame(tmp_path, detector):
    write_video(tmp_path / "a.mp4", hard_cuts(96, (30, 60)), 24)
    card = score(tmp_path / "a.mp4", prompt_request(prompt(3), None, tmp_path / "a.mp4"), detector=detector)
    assert card.metrics["shot_count_error"].value == 0
    for name in ("sca", "cut_f1_0", "cut_offset", "gradual_share"):
        assert (card.metrics[name].value, card.metrics[name].reason) == (None, UNTIMED)
    assert card.shots == (range(0, 30), range(30, 60), range(60, 96)), "those that are there, in order"
    assert card.asked.cuts is None and all("num_frames" not in shot for shot in card.storyboard["shots"])
    more = score(tmp_path / "a.mp4", prompt_request(prompt(5), None, tmp_path / "a.mp4"), detector=detector)
    assert more.metrics["shot_count_error"].value == 2
    assert [len(shot) for shot in more.shots] == [30, 30, 36, 0, 0]
    assert any("5 shots were asked for and 3 are there" in note for note in more.notes)


def test_shots_without_lengths_are_asked_for_nowhere_unless_cuts_or_the_video_say_where(tmp_path, detector):
    write_video(tmp_path / "bare.mp4", hard_cuts(96, (24, 48, 72)), 24)
    even = Storyboard.from_captions("A garden.", ["A rabbit.", "A man.", "A woman.", "Eyes."], 96, fps=24)
    even_file = tmp_path / "even.json"
    even_file.write_text(json.dumps({"global_caption": "A garden.", "fps": 24, "shots": list(even.captions)}))
    for asked in (even, even_file):
        card = score(tmp_path / "bare.mp4", request_of(tmp_path / "bare.mp4", asked), detector=detector)
        assert (card.metrics["cut_f1_0"].value, card.metrics["cut_f1_0"].reason) == (None, UNTIMED)
        assert card.metrics["shot_count_error"].value == 0
    found = find_request(str(tmp_path / "bare.mp4"), Options(storyboard=str(even_file), cuts=(24, 48, 72)))
    assert score(tmp_path / "bare.mp4", found, detector=detector).metrics["cut_f1_0"].value == 1
    timed = Storyboard.from_captions(even.global_caption, even.captions, 96, [24, 48, 72], fps=24)
    write_video(tmp_path / "made.mp4", hard_cuts(96, (24, 48, 72)), 24, timed)
    card = score(tmp_path / "made.mp4", request_of(tmp_path / "made.mp4", even_file), detector=detector)
    assert card.asked.cuts == (24, 48, 72), "a video that was made of it says where"


def test_a_frame_is_where_it_is_shown_when_the_rate_varies(tmp_path, detector):
    frames = hard_cuts(120, (40,))
    ticks = np.concatenate([[0], np.cumsum([6006, 3003] * 60)])  # of 1/90000 s
    with av.open(str(tmp_path / "vfr.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        for tick, picture in zip(ticks, frames, strict=False):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(tick), Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    asked = Storyboard.from_captions("A town.", ["a", "b"], 240, [round(ticks[40] / 90000 * 40)], fps=40)
    card = score(tmp_path / "vfr.mp4", asked, encoders=NOTHING, detector=detector)
    assert card.asked.policy == "seconds" and card.asked.cuts == (40,) and card.metrics["cut_f1_0"].value == 1


def test_a_scene_that_begins_later_in_the_video_is_scored_from_there(tmp_path, detector):
    write_video(tmp_path / "a.mp4", hard_cuts(96, (24, 48, 72)), 24)
    board = Storyboard.from_captions("A town.", ["a", "b", "c"], 72, (24, 48), fps=24)
    card = score(tmp_path / "a.mp4", Request.of(board, start=1.0), encoders=NOTHING, detector=detector)
    assert card.asked.start == 24 and card.asked.cuts == (48, 72)
    assert card.metrics["sca"].value == 1 and card.metrics["shot_count_error"].value == 0
    own = cut_request(board, [48, 72], tmp_path / "a.mp4", start=1.0)
    assert place(own, 96, 24.0).cuts == (48, 72)
    untimed = prompt_request(prompt(3), None, tmp_path / "a.mp4", start=1.0)
    card = score(tmp_path / "a.mp4", untimed, encoders=NOTHING, detector=detector)
    assert card.shots == (range(24, 48), range(48, 72), range(72, 96)), "what comes before the scene is none of it"
    assert card.metrics["shot_count_error"].value == 0 and card.notes == (UNTIMED,)
    amid = prompt_request(prompt(3), None, tmp_path / "a.mp4", start=1.25)
    assert place(amid, 96, 24.0).with_found((range(24), range(24, 48), range(48, 96))).shot_ranges == (
        range(30, 48),
        range(48, 96),
        range(96, 96),
    )


def test_a_request_is_made_of_a_storyboard_and_of_nothing_else():
    with pytest.raises(StoryboardError, match="a request is made of a Storyboard, not of 'board.yaml': read a file"):
        Request.of("board.yaml")


def test_only_a_video_that_no_shot_has_a_frame_in_is_refused():
    board = Storyboard.from_captions("A town.", ["a", "b"], 96, (48,), fps=24)
    assert place(Request.of(board), 3, 24.0).clipped(3) == (range(3), range(3, 3))
    with pytest.raises(StoryboardError, match="no shot .* begin after 9 s, but the video ends after 4 s"):
        place(Request.of(board, start=9.0), 96, 24.0)


@pytest.mark.parametrize(
    ("num_frames", "fps", "policy", "cuts"),
    [
        (96, 24.0, "frames", (48,)),
        (96, 12.0, "frames", (48,)),  # as many frames, played slower
        (97, 23.976, "frames", (48,)),
        (100, 25.0, "frames", (48,)),
        (120, 30.0, "seconds", (60,)),
        (60, 15.0, "seconds", (30,)),
        (240, 24.0, "frames", (48,)),
    ],
)
def test_frames_where_rate_or_length_are_the_same_and_else_seconds(num_frames, fps, policy, cuts):
    board = Storyboard.from_captions("A town.", ["a", "b"], 96, (48,), fps=24)
    asked = place(Request.of(board), num_frames, fps)
    assert (asked.policy, asked.cuts) == (policy, cuts)


def test_a_storyboard_that_was_moved_to_be_run_is_compared_as_it_was_asked():
    board = Storyboard.from_captions("A town.", ["a", "b"], 96, (48,), fps=24)
    run = board.as_run()
    assert run.cuts == (49,) and Request.of(run).storyboard == board


@pytest.mark.parametrize(("how", "says"), [({"policy": "time"}, "'time'"), ({"start": -1.0}, "start is -1.0")])
def test_what_is_no_way_to_align_is_refused_by_name(how, says):
    with pytest.raises(StoryboardError, match=says):
        Request.of(Storyboard.from_captions("A town.", ["a"]), **how)


@pytest.mark.parametrize("policy", ["auto", "seconds", "frames", "share"])
@pytest.mark.parametrize("start", [0.0, 0.3125, 0.5, 0.5625, 0.8125])
@pytest.mark.parametrize("varies", [False, True])
def test_cuts_that_are_frames_of_the_video_itself_stay_where_they_are(tmp_path, policy, start, varies):
    times = np.arange(97) / 24 if not varies else np.append(0, np.cumsum([2 / 24, 1 / 24, 1 / 24] * 32))
    frames = np.zeros((96, 16, 16, 3), np.uint8)
    request = cut_request(
        Storyboard.from_captions("A town.", ["a", "b", "c"]), [30, 60], frames, 24, start, policy=policy
    )
    assert place(request, 96, 24.0, times).cuts == (30, 60)


def test_frames_are_counted_at_the_rate_they_are_shown_at_and_not_at_what_a_file_says():
    times = np.append(0, np.cumsum([2 / 24, 1 / 24, 1 / 24] * 24))  # 72 frames in 4 s
    board = Storyboard.from_captions("A town.", ["a", "b"], 96, (48,), fps=24)
    asked = place(Request.of(board), 72, 24.0, times)
    assert (asked.policy, asked.cuts) == ("seconds", (36,))


@pytest.mark.parametrize(
    ("cuts", "start", "says"),
    [
        ([24, 48], 99.0, "the scene was to begin after 99 s, but the video ends after 4 s"),
        ([24, 48], 1.5, "on frame 36, but the first cut is at frame 24"),
        (None, 99.0, "was to begin after 99 s, but the video ends after 4 s"),
    ],
)
def test_a_start_that_no_shot_can_follow_is_refused_by_its_own_number(tmp_path, cuts, start, says):
    write_video(tmp_path / "a.mp4", np.zeros((96, 32, 32, 3), np.uint8), 24)
    with pytest.raises(StoryboardError, match=says):
        place(prompt_request(prompt(3), cuts, tmp_path / "a.mp4", start=start), 96, 24.0)


def test_a_scene_of_the_length_that_was_asked_for_is_said_to_be_as_long_and_no_scale_is_shown(detector):
    board = Storyboard.from_captions("A scene.", ["One.", "Two."], 25, [13], fps=12)
    frames = np.random.default_rng(0).integers(0, 256, (25, 32, 48, 3), np.uint8)
    card = score(frames, Request.of(board, policy="share"), encoders=NOTHING, detector=detector)
    assert any("lasts as long as was asked for" in note for note in card.notes)
    text = format_scorecard(card)
    assert "aligned by share\n" in text and "scale" not in text


def test_a_video_that_ends_before_its_last_cut_is_scored_on_the_shots_that_it_has() -> None:
    board = Storyboard.from_captions("A beach.", ["Wide.", "Close.", "Wide again.", "The sea."], 97, fps=24)
    frames = np.zeros((40, 32, 48, 3), np.uint8)
    asked = place(cut_request(board, [24, 48, 72], frames, 24.0), 40, 24.0)
    assert asked.cuts[0] == 24 and "shot 3 of 4" in " ".join(asked.notes)
