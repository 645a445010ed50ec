import re

import pytest

from benchmarks.reporting.results import load_run
from benchmarks.speed import __main__ as speed
from benchmarks.speed import reporting as speed_report
from benchmarks.speed import video
from eval.metrics import all_metrics


def test_attention_costs_say_how_much_of_the_saving_is_real():
    cost = speed.measure_attention(num_shots=4, latent_frames=2, repeats=1)
    assert cost.num_tokens == 4 * 2 * speed.TOKENS_PER_FRAME
    assert cost.share == pytest.approx((2 + 4) * 2 * 4 / 8**2), "a shot sees its own 2 latent frames and 4 summaries"
    assert {"full", "dense", "per-shot"} <= cost.seconds.keys()
    same = speed.AttentionCost(4, 512, share=0.25, seconds={"full": 8.0, "per-shot": 2.0, "dense": 8.0})
    assert same.ratio("per-shot") == 1 and same.ratio("dense") == 4
    table = speed.attention_table([same])
    assert "25.0%" in table and "2000.0 (1.00x)" in table and "8000.0 (4.00x)" in table


def test_a_video_is_timed_from_text_to_file(make_pipeline, tmp_path, storyboard):
    make_pipeline().save_pretrained(tmp_path)
    cost = video.measure_video(str(tmp_path), storyboard)
    assert min(cost.text, cost.denoise, cost.decode, cost.write, cost.load) > 0
    assert cost.text + cost.denoise + cost.decode <= cost.total
    assert cost.memory > 2**27
    table = video.video_table(cost)
    assert re.search(r"transformer +\d+\.\d\d s +\d+\.\d%", table) and "GiB" in table


def test_the_benchmarks_storyboard_is_65_frames_in_3_shots():
    storyboard = video.puppet_storyboard()
    assert (storyboard.num_frames, storyboard.cuts, storyboard.fps) == (65, (21, 45), 12)
    assert storyboard.warnings == ()


def test_importing_the_package_is_timed_in_a_fresh_process():
    assert 0 < speed.measure_import(repeats=1) < 60


def test_a_large_run_is_reported_as_any_run_is(monkeypatch):
    monkeypatch.setattr(speed_report, "_scorecards", lambda entries: [SCORECARD] * len(entries))
    cost = speed_report.measure_report(items=25)
    assert cost.items == 25 and cost.cpu_seconds > 0 and cost.seconds > 0
    assert "report of 25 items" in speed_report.report_table(cost)


def test_a_large_run_has_every_item_once_and_values_that_follow_from_its_sums(tmp_path, monkeypatch):
    monkeypatch.setattr(speed_report, "_scorecards", lambda entries: [SCORECARD] * len(entries))
    speed_report.write_large_run(tmp_path, items=25)
    results = load_run(tmp_path)
    assert len({(item.system, item.storyboard_id, item.seed) for item in results.items}) == 25
    scores = [item.scorecard["sca"] for item in results.items]
    assert all(score.value == pytest.approx(score.parts["sum"] / 2) for score in scores)
    assert len({score.value for score in scores}) == 25


SCORECARD = {
    "metrics": {
        "sca": {
            **{"version": all_metrics()["sca"].version, "value": 1.0, "parts": {"sum": 2.0, "count": 2}},
            **{"covered": 1, "of": 1, "reason": None, "detail": []},
        }
    },
    "detector": "transnetv2",
    "encoders": {},
}


def test_a_model_that_is_not_there_is_said_in_one_line(capsys):
    assert speed.main(["--part", "video", "--model", "not-there"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
