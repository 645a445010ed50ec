import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.reporting.results import ResultsError
from benchmarks.reporting.verdict import verdict
from benchmarks.suites.suite import write_suite
from desk.tabs import league, shipped
from holocine.video import read_storyboard


@pytest.fixture(scope="module")
def folder():
    """The results that come with the desk."""
    return next(iter(shipped.shipped().values()))


@pytest.fixture(scope="module")
def summary(folder):
    return shipped.load(folder)


def test_what_is_shown_is_what_was_published(folder, summary):
    published = pd.read_csv(folder / "metrics.csv").set_index(["system", "metric"])
    left_out = set(shipped.outdated(summary.results.info))
    assert set(summary.table) == {metric for _, metric in published.index} - left_out
    for metric, row in summary.table.items():
        for system, cell in row.items():
            was = published.loc[(system, metric)]
            assert cell.value == pytest.approx(was["value"]) if cell.value is not None else pd.isna(was["value"])
            assert cell.error == pytest.approx(was["standard_error"]) or pd.isna(was["standard_error"])
    distances = pd.read_csv(folder / "distances.csv")
    assert sum(map(len, summary.distances.values())) == len(distances)


def test_the_tab_has_a_row_a_system_and_plots(summary):
    shown = league.run_table(summary)
    assert [row["id"] for row in shown["rows"]] == list(summary.results.systems)
    assert {row["kind"] for row in shown["rows"]} == {"system", "bound"}
    plots = league.plots(summary)
    against_cuts = {"sca", "character_consistency"} <= {metric.name for metric in summary.metrics}
    assert plots.count("<svg") >= 1 + against_cuts + len(summary.main) and "truth" in plots


def test_a_metric_that_has_become_another_is_left_out_and_the_table_says_so(folder, summary, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    run, items = tmp_path / "copy" / "run.json", tmp_path / "copy" / "items.parquet"
    run.write_text(run.read_text().replace('"sca/1"', '"sca/0"'))
    frame = pd.read_parquet(items)
    frame.loc[frame["metric"] == "sca", "version"] = 0
    frame.to_parquet(items)
    older = shipped.load(tmp_path / "copy")
    assert set(older.table) == set(summary.table) - {"sca"}
    assert "measured in another way by now: sca" in league.run_table(older)["note"]


def test_behind_a_row_are_its_storyboards_the_first_with_their_videos(folder, summary):
    behind = league.behind(summary.results, "truth")
    ids = [entry.id for entry in summary.results.entries]
    assert [card["id"] for card in behind["cards"]] == ids
    assert all(card["scores"] and card["about"] for card in behind["cards"])
    there = [card["id"] for card in behind["cards"] if card["video"]]
    assert there and there == ids[: len(there)]
    assert f"brings {len(there)} of these {len(ids)} videos" in behind["note"]
    board = summary.results.entries[0].storyboard
    assert read_storyboard(folder / "items" / "truth" / ids[0] / "0" / "video.mp4").captions == board.captions
    with pytest.raises(ResultsError, match="no system 'x'"):
        league.behind(summary.results, "x")


def test_a_folder_without_results_and_another_suite_are_sentences_without_paths(folder, tmp_path):
    with pytest.raises(ResultsError, match="holds no results"):
        shipped.load(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    run = tmp_path / "copy" / "run.json"
    run.write_text(run.read_text().replace('"sha256": "', '"sha256": "x', 1))
    with pytest.raises(ResultsError, match="storyboards have changed since") as raised:
        shipped.load(tmp_path / "copy")
    assert str(tmp_path) not in str(raised.value)


def test_the_table_says_what_it_shows_and_what_each_system_is(summary):
    shown = league.run_table(summary)
    assert shown["verdict"] == verdict(summary)
    assert {row["name"]: row["what"] for row in shown["rows"]}["still"] == "truth’s first frame all the time"
    assert all(row["what"] for row in (*shown["rows"], *league.paper_table()["rows"]))
    assert "HoloCine has the best value" in league.paper_table()["verdict"]


def test_results_of_a_suite_of_one_s_own_are_shown_with_the_suite_that_lies_beside_them(folder, summary, tmp_path):
    shutil.copytree(folder, tmp_path / "mine")
    suite = replace(summary.results.suite, name="mine")
    write_suite(tmp_path / "mine" / "mine.jsonl", suite)
    run = json.loads((tmp_path / "mine" / "run.json").read_text())
    run["suite"] |= {"name": suite.name, "sha256": suite.sha256}
    (tmp_path / "mine" / "run.json").write_text(json.dumps(run))
    assert shipped.load(tmp_path / "mine").results.suite.name == "mine"
