"""How far values can be trusted: judged by calibrations that calibrate writes, and shown where values are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.batch import Outcome
from eval.calibration.damage import DAMAGES
from eval.calibration.reaction import react
from eval.calibration.tables import plain_damages, plain_reactions
from eval.combining import combine
from eval.encoders import Encoders
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.report.page import page
from eval.score_table import score_frame
from eval.scorecard import Scorecard, score
from eval.table import format_combined, format_scorecard
from eval.trust import NOT_CALIBRATED, Trust, judged, trust_in
from holocine.storyboard import Storyboard

METRICS = all_metrics()
BY_NAME = {damage.name: damage for damage in DAMAGES}
SCENES = 30
STRONG, NOTHING = 50.0, 0.0


def reactions(metric: Metric, **effects: float):
    """How a metric would react if every strength of each damage lowered its values by so much."""
    rng = np.random.default_rng(0)
    sign = 1 if metric.direction == "lower" else -1
    found = []
    for name, effect in effects.items():
        clean = rng.normal(0, 1, SCENES)
        rows = [clean, *(clean + sign * effect for _ in BY_NAME[name].strengths)]
        found.append(react(metric, metric.name, BY_NAME[name], np.stack(rows)))
    return found


def calibration(found, **more) -> dict:
    return {
        "metrics": {name: metric.version for name, metric in METRICS.items()},
        "damage": plain_damages(DAMAGES),
        "reactions": plain_reactions(found),
        **more,
    }


def write(folder: Path, name: str, content: dict) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder


def sharp(blur: float, noise: float) -> list:
    return reactions(METRICS["sharpness"], blur=blur, noise=noise)


def test_what_a_metric_is_moved_by_and_misses_are_its_limits(tmp_path):
    assert (BY_NAME["blur"].moves, BY_NAME["noise"].keeps) and judged(sharp(STRONG, NOTHING)) == "good"
    found = [*sharp(STRONG, STRONG), *reactions(METRICS["clipping"], overexposed=NOTHING)]
    folder = write(tmp_path, "calibration.json", calibration(found))
    assert trust_in(METRICS["sharpness"], "theatre", folder=folder) == Trust(
        "limited", "also moved by: noise (from 2 grey levels)"
    )
    poor = trust_in(METRICS["clipping"], "theatre", folder=folder)
    assert poor == Trust("poor", "does not notice: overexposure")


def test_limits_say_from_where_on_and_the_least_damage_first(tmp_path):
    rng = np.random.default_rng(0)
    clean = rng.normal(0, 1, SCENES)
    metric, noise = METRICS["sharpness"], BY_NAME["noise"]
    rows = [clean, *(clean for _ in noise.strengths[:-1]), clean - STRONG]
    late = react(metric, metric.name, noise, np.stack(rows))
    assert late.unwanted and late.moved_from == noise.strengths[-1]
    others = reactions(metric, blur=STRONG, frames_repeated=STRONG)
    folder = write(tmp_path, "calibration.json", calibration([late, *others]))
    told = trust_in(metric, "theatre", folder=folder).limits
    assert told == (
        "also moved by: frames repeated, so that motion stutters (from 10 % of frames), noise (from 20 grey levels)"
    )
    assert others[0].moved_from is None, "what it is for"


def test_a_good_metric_has_no_limits(tmp_path):
    folder = write(tmp_path, "calibration.json", calibration(sharp(STRONG, NOTHING)))
    assert trust_in(METRICS["sharpness"], "theatre", folder=folder) == Trust("good")


def test_another_version_of_a_metric_is_not_calibrated(tmp_path):
    content = calibration(sharp(STRONG, NOTHING))
    content["metrics"]["sharpness"] += 1
    folder = write(tmp_path, "calibration.json", content)
    assert trust_in(METRICS["sharpness"], "theatre", folder=folder) == Trust("untested", NOT_CALIBRATED)
    assert trust_in(METRICS["sca"], "theatre", folder=tmp_path / "nowhere") == Trust("untested", NOT_CALIBRATED)


def test_on_film_the_calibration_on_film_counts_and_that_of_the_theatre_is_only_told(tmp_path):
    write(tmp_path, "calibration.json", calibration(sharp(STRONG, STRONG)))
    told = trust_in(METRICS["sharpness"], "film", folder=tmp_path)
    assert (
        told.word == "untested"
        and "puppet theatre alone, limited there (also moved by: noise (from 2 grey levels))" in told.limits
    )
    of_film = calibration([], calibrations=[{"encoders": {}, "reactions": plain_reactions(sharp(STRONG, NOTHING))}])
    other = tmp_path / "both"
    other.mkdir()
    write(other, "calibration.json", calibration(sharp(STRONG, STRONG)))
    write(other, "footage.json", of_film)
    assert trust_in(METRICS["sharpness"], "film", folder=other) == Trust("good")


def test_what_encoders_decide_is_judged_with_the_same_encoders_only(tmp_path):
    metric = METRICS["text_shot"]
    found = plain_reactions(reactions(metric, shots_replaced=STRONG))
    one = {"encoders": {"asked": "auto", "clip": "ViT-B-32:openai (MIT)"}, "reactions": found}
    folder = write(tmp_path, "footage.json", calibration([], calibrations=[one]))
    assert trust_in(metric, "film", {"clip": "ViT-B-32:openai"}, folder) == Trust("good")
    other = trust_in(metric, "film", {"clip": "ViT-L-14:openai"}, folder)
    assert other == Trust("untested", "calibrated with other encoders (ViT-B-32:openai)")


def test_transitions_are_judged_with_the_same_detector_only(tmp_path):
    found = [*reactions(METRICS["gradual_share"], cuts_dissolved=STRONG), *reactions(METRICS["sharpness"], blur=STRONG)]
    folder = write(tmp_path, "calibration.json", calibration(found, detector="transnetv2/1"))
    looked = {"detector": "transnetv2/1"}
    assert trust_in(METRICS["gradual_share"], "theatre", looked, folder) == Trust("good")
    other = trust_in(METRICS["gradual_share"], "theatre", {"detector": "pyscenedetect"}, folder)
    assert other == Trust("untested", "calibrated with another detector (transnetv2/1)")
    assert trust_in(METRICS["sharpness"], "theatre", {"detector": "pyscenedetect"}, folder) == Trust("good")


def test_the_published_calibration_is_read_and_judges_what_it_is_of():
    published = json.loads((Path(__file__).parents[2] / "eval" / "calibration.json").read_text())
    of_this_version = [m for name, m in METRICS.items() if published["metrics"].get(name) == m.version]
    assert of_this_version
    words = {trust_in(metric, "theatre").word for metric in of_this_version}
    assert words <= {"good", "limited", "poor", "untested"} and words & {"good", "limited"}


@pytest.fixture(scope="module")
def card() -> Scorecard:
    board = Storyboard.from_captions("A pier in the rain.", ["Gulls.", "Waves."], 17, [9], fps=12)
    frames = np.random.default_rng(0).integers(0, 256, (17, 48, 80, 3), np.uint8)
    return score(frames, board, encoders=Encoders(), detector="pyscenedetect")


def test_every_record_says_how_far_to_trust_it_and_so_does_whatever_shows_it(card):
    looked = {"detector": card.detector}
    for name, record in card.metrics.items():
        assert (record.trust, record.limits) == tuple(vars(trust_in(METRICS[name], "film", looked)).values()), name
    assert Scorecard.from_json(card.to_json()) == card
    record = card.metrics["sca"]
    assert record.value is not None and record.limits is not None
    for text in (format_scorecard(card), format_combined(combine([card, card]), ["a", "b"])):
        assert f"{record.trust}: {record.limits}"[:60] in " ".join(text.split())
    (row,) = score_frame([Outcome("a.mp4", card)]).to_dict("records")
    assert (row["sca_trust"], row["sca_limits"]) == (record.trust, record.limits)
    html = page({Path("a.json"): card, Path("b.json"): card})
    assert html.count(f"Trust: {record.trust}, {record.limits}") >= 3  # each video, and the summary of both


def test_a_scorecard_of_before_trust_was_said_is_still_read(card):
    plain = json.loads(card.to_json())
    for record in plain["metrics"].values():
        del record["trust"], record["limits"]
    old = Scorecard.from_json(json.dumps(plain))
    assert old.metrics["sca"].trust is None and "How far to trust" not in format_scorecard(old)
