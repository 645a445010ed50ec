"""Reports of synthetic runs: numbers from sums and counts, every file that is written, and what goes wrong."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.__main__ import main
from benchmarks.reporting import ranking
from benchmarks.reporting.charts import metric_dots
from benchmarks.reporting.frames import metric_frame
from benchmarks.reporting.published import CAVEAT, TABLE_1
from benchmarks.reporting.ranking import calibrated
from benchmarks.reporting.results import ResultsError, load_run
from benchmarks.reporting.significance import MIN_PAIRS
from benchmarks.reporting.summary import summarise
from benchmarks.reporting.tables import all_tables, every_metric, heading, main_table, trusted
from benchmarks.running.merge import merge
from benchmarks.suites.suite import load_suite
from eval.metrics import all_metrics
from eval.shots import load_detector

SPECS = ("good=holocine", "bad=isolated", "middling=folder:videos", "truth", "still")
QUALITY = {"good": 0.9, "middling": 0.75, "bad": 0.6, "truth": 1.0, "still": 0.3}


@pytest.fixture
def suite(tiny):
    """Eight storyboards with tags."""
    tags = [("shots:2", "size:large"), ("shots:2", "size:small")]
    entries = (replace(tiny.entries[i % 3], id=f"board-{i}", tags=tags[i % 2]) for i in range(8))
    return replace(tiny, entries=tuple(entries))


def scores(system: str, index: int, seed: int):
    """`text_shot` over 1 to 8 shots, half of them looked at; cuts; flicker, of which less is better; shot distances."""
    if (system, index, seed) == ("bad", 7, 0):
        return "no room for 3 % of `it` & <more> |"
    quality, count = QUALITY[system], index + 1
    noise = np.random.default_rng((index, seed)).normal() * 0.02
    pairs = [{"distance": 1, "value": quality}, {"distance": 2, "value": quality / 2}, {"distance": 2, "value": None}]
    return {
        "sca": ({"sum": quality, "count": 1}, 1, 1),
        "character_consistency": ({"sum": quality * 1.5, "count": 2}, 2, 3, pairs),
        "text_shot": ({"sum": (quality + noise) * count, "count": count}, count, 2 * count),
        "flicker": ({"sum": 1 - quality, "count": 1}, 1, 1),
        "aesthetic": ({}, 0, 9),
    }


@pytest.fixture
def run(suite, write_run, tmp_path):
    return write_run(tmp_path / "run", suite, SPECS, scores)


def rows_of(table) -> dict[str, list]:
    return {row[0].text: list(row[1:]) for row in table.rows}


# Numbers


def test_a_value_is_the_sum_over_all_things_and_not_a_mean_of_means(run, suite):
    cell = summarise(load_run(run)).table["text_shot"]["good"]
    parts = [scores("good", i, 0)["text_shot"][0] for i in range(8)]
    total = sum(one["sum"] for one in parts) / sum(one["count"] for one in parts)
    means = np.mean([one["sum"] / one["count"] for one in parts])
    assert cell.value == pytest.approx(total) and abs(total - means) > 1e-4
    assert (cell.videos, cell.num_videos, cell.storyboards, cell.covered, cell.of) == (8, 8, 8, 36, 72)
    assert cell.coverage == 0.5


def test_a_failed_video_is_no_zero_but_missing(run):
    cell = summarise(load_run(run)).table["sca"]["bad"]
    assert cell.value == pytest.approx(0.6) and (cell.videos, cell.num_videos) == (7, 8)
    tables = {table.name: table for table in all_tables(summarise(load_run(run)))}
    assert rows_of(tables["systems"])["bad"][:3] == [*map(type(tables["systems"].rows[0][0]), ("7 of 8", "1", "0"))]
    assert [text.text for text in tables["failures"].rows[0]][:3] == ["bad", "board-7", "0"]


def test_tables_are_the_same_however_the_run_was_divided(run, suite, write_run, tmp_path):
    parts = [write_run(tmp_path / f"part{i}", suite, SPECS, scores, boards=range(i, 8, 2)) for i in (0, 1)]
    merge(tmp_path / "one", parts)
    merge(tmp_path / "other", parts[::-1])
    texts = []
    for folder in (run, tmp_path / "one", tmp_path / "other"):
        assert main(["report", str(folder), "--baseline", "good", "--out", str(tmp_path / "out")]) == 0
        texts.append([(tmp_path / "out" / name).read_text() for name in ("report.md", "metrics.csv", "tags.csv")])
    assert texts[0] == texts[1] == texts[2] and "0.9" in texts[0][0]


def test_repetitions_of_a_storyboard_are_one_storyboard(suite, write_run, tmp_path):
    results = load_run(write_run(tmp_path, suite, ("good=holocine", "bad=isolated"), scores, seeds=3))
    cell = summarise(results, "bad").table["text_shot"]["good"]
    assert (cell.videos, cell.storyboards) == (24, 8)
    assert cell.comparison.pairs == 8


def test_best_and_runner_up_are_marked_among_those_that_compete(run):
    summary = summarise(load_run(run))
    ranks = {name: {s: cell.rank for s, cell in row.items()} for name, row in summary.table.items()}
    expected = {"good": 1, "middling": 2, "bad": None, "truth": None, "still": None}
    assert ranks["sca"] == ranks["text_shot"] == ranks["flicker"] == expected, "less flicker is better"
    rows = rows_of(main_table(summary))
    assert [rows[s][1].emphasis for s in expected] == ["best", "second", None, None, None]


def test_a_metric_is_trusted_as_far_as_with_what_looked_at_the_videos(run):
    summary, sca = summarise(load_run(run)), all_metrics()["sca"]
    assert trusted(summary, sca).word == "untested" and "another detector" in trusted(summary, sca).limits
    for path in run.glob("items/*/*/*/scorecard.json"):
        path.write_text(path.read_text().replace('"transnetv2"', json.dumps(load_detector("transnetv2").name)))
    assert trusted(summarise(load_run(run)), sca).word == "good"


def test_how_far_metrics_can_be_trusted_stands_below_their_table_and_in_the_hints_of_all(run):
    summary = summarise(load_run(run))
    metric = next(metric for metric in summary.main if trusted(summary, metric).limits)
    trust, note = trusted(summary, metric), main_table(summary).note
    assert "How far to trust them, by calibration: " in note and f"{heading(metric)[:-2]} {trust.word}" in note
    names = [row[0] for row in every_metric(summary).rows]
    assert all("Trust: " in name.hint for name in names)
    frame = metric_frame(summary)
    assert set(map(tuple, frame.loc[frame["metric"] == metric.name, ["trust", "limits"]].to_numpy())) == {
        (trust.word, trust.limits)
    }
    assert next(name for name in names if name.text.startswith(f"{metric.name}/")).hint.endswith(f"Trust: {trust}.")


def test_coverage_stands_beside_the_number_where_it_is_low(run):
    rows = rows_of(main_table(summarise(load_run(run))))
    assert rows["good"][1].text == "0.9000 ± 0.0000", "everything was looked at"
    assert rows["good"][-1].text.endswith("(50 %)")
    assert rows["good"][-1].hint.startswith("8 of 8 videos, 8 storyboards; looked at 36 of 72; 95 % interval 0.8")
    assert rows["bad"][1].text.endswith("(88 %)"), "7 of 8 videos"
    assert "Not measured: aesthetic (nothing to look at)." in main_table(summarise(load_run(run))).note


def test_differences_are_tested_against_the_baseline(run):
    tables = {table.name: table for table in all_tables(summarise(load_run(run), "middling"))}
    found = {(row[0].text, row[1].text): [text.text for text in row[2:]] for row in tables["comparisons"].rows}
    assert found["SCA ↑", "good"] == ["+0.1500", "[+0.1500, +0.1500]", "0.031", "8", "better"]
    assert found["SCA ↑", "bad"] == ["-0.1500", "[-0.1500, -0.1500]", "0.031", "7", "worse"]
    assert ("SCA ↑", "middling") not in found
    assert rows_of(tables["main"])["good"][1].text.endswith("†")


def test_every_metric_of_a_report_is_tested_against_the_baseline_and_the_note_says_how(run):
    summary = summarise(load_run(run), "middling")
    table = every_metric(summary)
    assert "flicker" not in {metric.name for metric in summary.main}
    [flicker] = [row for name, row in rows_of(table).items() if name.startswith("flicker")]
    assert "†" in flicker[list(summary.systems).index("good")].text
    told = "† differs from middling (paired permutation test, 5 %, Holm's correction for the systems of a metric, not"
    assert told in table.note
    assert "Nothing here was compared with middling." in next(t for t in all_tables(summary) if "tags" in t.name).note


def test_that_no_difference_can_be_told_with_so_few_storyboards_is_said(suite, write_run, tmp_path):
    six = replace(suite, entries=suite.entries[:6])
    summary = summarise(load_run(write_run(tmp_path, six, SPECS, scores)), "middling")
    assert not any(cell.comparison.holm < 0.05 for cell in summary.table["sca"].values() if cell.comparison)
    assert "It takes 8 storyboards to tell so many differences from chance." in main_table(summary).note
    two = summarise(load_run(write_run(tmp_path / "two", six, ("good=holocine", "bad=isolated"), scores)), "bad")
    assert two.table["sca"]["good"].comparison.holm == 1 / 32 and "It takes" not in main_table(two).note


def test_too_few_storyboards_are_not_compared(suite, write_run, tmp_path):
    few = replace(suite, entries=suite.entries[: MIN_PAIRS - 1])
    summary = summarise(load_run(write_run(tmp_path, few, ("good=holocine", "bad=isolated"), scores)), "bad")
    assert summary.table["sca"]["good"].comparison is None


def test_tags_and_distances_have_tables_of_their_own(run):
    summary = summarise(load_run(run))
    assert list(summary.tags) == ["size:large", "size:small"], "a tag that all have says nothing"
    assert summary.tags["size:large"]["text_shot"]["good"].covered == 1 + 3 + 5 + 7
    rows = rows_of(next(table for table in all_tables(summary) if table.name == "distance"))
    assert [text.text for text in rows["good"]] == ["0.9000 ± 0.0000 (8)", "0.4500 ± 0.0000 (8)"]


# Files


@pytest.fixture
def written(run, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--baseline", "middling", "--hub-dataset", "someone/suite", "--out", str(out)]
    assert main(["report", str(run), *options]) == 0
    return out, capsys.readouterr().out


def test_the_terminal_gets_the_main_table(written):
    _, text = written
    [line] = [line for line in text.splitlines() if line.startswith("good ") and "0.9000" in line]
    assert "0.9000 ± 0.0000†*" in line
    assert re.search(r"^middling .*0\.7500 ± 0\.0000'", text, re.MULTILINE)
    assert "best marked *, runner-up marked '" in text


def test_markdown_has_every_table_with_rows_of_one_width(written):
    text = (written[0] / "report.md").read_text()
    assert "**0.9000 ± 0.0000†**" in text and "<u>0.7500 ± 0.0000</u>" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}) == 1
    assert r"no room for 3 % of \`it\` & \<more\> \|" in text


def test_latex_is_whole(written):
    text = (written[0] / "table.tex").read_text()
    opened, closed = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(opened) == sorted(closed) and opened.count("table") == 3
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    for columns, body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", text, re.DOTALL):
        rows = [row for row in body.splitlines() if row.endswith(r" \\") and "multicolumn" not in row]
        assert rows and {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}
    assert r"\textbf{0.9000 $\pm$ 0.0000$^\dagger$}" in text and r"\underline{0.7500" in text
    assert not re.search(r"(?<!\\)[%#_^~]|[^\x00-\x7f]", text.replace(r"$^\dagger$", "")), "only what LaTeX can read"


def test_csv_and_parquet_are_read_back_by_pandas(written, run):
    out, _ = written
    table = pd.read_csv(out / "table.csv", index_col="system")
    assert table.loc["good", "sca"] == pytest.approx(0.9) and table.loc["truth", "bound"]
    metrics = pd.read_csv(out / "metrics.csv").set_index(["metric", "system"])
    assert metrics.loc[("sca", "good"), "difference"] == pytest.approx(0.15)
    assert metrics.loc[("sca", "good"), "holm"] < 0.05 and metrics.loc[("sca", "good"), "baseline"] == "middling"
    parquet, csv = pd.read_parquet(out / "metrics.parquet"), metrics.reset_index()
    assert list(parquet) and set(parquet) == set(csv)
    for name in parquet:
        one, other = (frame[name].astype(object).where(frame[name].notna(), None) for frame in (parquet, csv))
        assert one.tolist() == pytest.approx(other.tolist()) if name == "p" else one.tolist() == other.tolist(), name
    items = pd.read_parquet(out / "items.parquet")
    assert len(items) == 39 * 5 + 1, "five metrics of 39 videos, and a failure"
    assert items.loc[items.metric.isna(), "reason"].item().startswith("no room")
    again = items[items.metric == "sca"].groupby("system", observed=True).value.mean()
    assert again["bad"] == pytest.approx(0.6)
    assert set(pd.read_csv(out / "distances.csv").shots_apart) == {1, 2}


class Page(HTMLParser):
    """What a page refers to, whether its elements are closed, and its script data."""

    VOID = {"meta", "input", "br", "link", "img", "hr"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.references, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.references += [attributes[name] for name in ("src", "href", "poster", "action") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_needs_no_network(written):
    text = (written[0] / "report.html").read_text()
    page = Page(text)
    assert page.open == [] and len(set(page.ids)) == len(page.ids)
    assert page.references and all(one.startswith("#") and one[1:] in page.ids for one in page.references)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)|(?<!:)//\w+\.\w", text)
    data = json.loads(re.search(r'<script type="application/json" id="run">(.*?)</script>', text)[1])
    assert data["systems"] == ["good", "bad", "middling", "truth", "still"] and len(data["storyboards"]) == 8
    assert data["items"]["bad/board-7/0"]["error"].endswith("<more> |")
    assert "&lt;more&gt; |" in text and text.count("<svg") >= 4


def test_chosen_videos_go_into_the_page(run, tmp_path, capsys):
    (run / "items/good/board-1/0/video.mp4").write_bytes(b"a video")
    assert main(["report", str(run), "--embed", "board-1", "--out", str(tmp_path / "out")]) == 0
    assert "data:video/mp4;base64,YSB2aWRlbw==" in (tmp_path / "out" / "report.html").read_text()
    assert main(["report", str(run), "--embed", "board-9"]) == 2
    assert "the run has no videos of storyboard 'board-9'" in capsys.readouterr().err


def test_published_rows_stand_below_the_line_that_warns_of_them(run, tmp_path):
    table = main_table(summarise(load_run(run)))
    names = [row[0].text for row in table.rows]
    [line] = [number for number, text in table.lines.items() if text == CAVEAT]
    assert names[line:] == list(TABLE_1) and names[:line] == ["good", "bad", "middling", "truth", "still"]
    assert main(["report", str(run), "--no-published", "--out", str(tmp_path / "out")]) == 0
    for name in ("report.html", "report.md", "table.tex"):
        assert "CineTrans" not in (tmp_path / "out" / name).read_text()


def test_files_for_the_hub_are_what_the_hub_reads(written):
    from huggingface_hub import eval_result_entries_to_yaml, parse_eval_result_entries

    good = written[0] / "hub" / "good"
    results = json.loads((good / "results.json").read_text())
    assert results["config"]["model_name"] == "embedded" and results["config"]["model_sha"] == "ab" * 32
    [(task, values)] = results["results"].items()
    assert task == "tiny-1" and values["sca/1"] == pytest.approx(0.9)
    assert not any(name.startswith("aesthetic") for name in values), "absent is absent"
    entries = yaml.safe_load((good / ".eval_results" / "tiny.yaml").read_text())
    assert eval_result_entries_to_yaml(parse_eval_result_entries(entries)) == entries
    assert {entry["dataset"]["id"] for entry in entries} == {"someone/suite"}
    assert entries[0]["value"] == pytest.approx(0.9) and "8 of 8 videos" in entries[0]["notes"]
    assert json.loads((written[0] / "hub" / "truth" / "results.json").read_text())["config"]["model_name"] == "truth"


# What goes wrong


def test_bad_input_is_one_sentence(run, suite, write_run, tmp_path, capsys):
    def complaint(*arguments) -> str:
        assert main(["report", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error
        return error

    assert "no system 'best' to compare with; it has good, bad" in complaint(run, "--baseline", "best")
    assert "nothing holds no run: there is no such folder" in complaint(tmp_path / "nothing")
    assert f"{tmp_path} holds no run: it has no run.json" in complaint(tmp_path)
    assert "'suite' is no data set on the hub, which are called OWNER/NAME" in complaint(run, "--hub-dataset", "suite")
    empty = write_run(tmp_path / "empty", suite, (), scores)
    assert "empty holds no results yet: run systems into it first" in complaint(empty)
    failed = write_run(tmp_path / "failed", suite, SPECS, lambda *_: "the model is not there")
    assert "none of its 40 items was scored, the first, bad board-0, because: the model is not" in complaint(failed)
    (run / "suite.jsonl").write_text("{")
    assert "the suite of the run cannot be read" in complaint(run)


def test_a_damaged_scorecard_is_a_failed_item_that_says_so(run):
    (run / "items/good/board-3/0/scorecard.json").write_text('{"metrics": {')
    (run / "items/good/board-4/0/record.json").write_text("")
    results = load_run(run)
    found = {item.storyboard_id: item.error for item in results.failures if item.system == "good"}
    assert "scorecard.json is missing or damaged; python -m benchmarks score" in found["board-3"]
    assert "record.json is missing or damaged; the same run command" in found["board-4"]
    assert summarise(results).table["sca"]["good"].videos == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "other"}, "good made some of its videos with another model"),
        ({"system": "other"}, "other settings or another version of the puppet world .* --changed rerun"),
        ({"storyboard": "other"}, "the storyboard board-3 has changed since good made its video: .* --changed rerun"),
    ],
)
def test_videos_of_another_model_world_or_storyboard_are_not_mixed(run, change, message):
    path = run / "items/good/board-3/0/record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"hashes": record["hashes"] | change}))
    with pytest.raises(ResultsError, match=message):
        load_run(run)


def test_scores_of_other_weights_of_an_encoder_are_not_mixed(run):
    path = run / "items/good/board-3/0/scorecard.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"encoders": {"clip": {"id": "puppet", "sha256": "cd" * 32}}}))
    with pytest.raises(
        ResultsError, match=r"board-3 were scored with .*clip puppet and .*clip puppet \(cdcdcdcdcdcd\)"
    ):
        load_run(run)


def test_scores_of_other_versions_or_encoders_are_not_mixed(run):
    path = run / "items/good/board-3/0/scorecard.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"detector": "pyscenedetect"}))
    with pytest.raises(
        ResultsError, match="board-3 were scored with pyscenedetect, .* and transnetv2, .*: run python -m"
    ):
        load_run(run)
    card["metrics"]["sca"]["version"] = 99
    path.write_text(json.dumps(card))
    with pytest.raises(ResultsError, match="holds scores of sca/1 and sca/99, but this program has sca/1"):
        summarise(load_run(run))
    card["metrics"] = {"charm": card["metrics"].pop("sca")}
    path.write_text(json.dumps(card))
    with pytest.raises(ResultsError, match="charm is not a metric of this program"):
        summarise(load_run(run))


# Ranks


def run_of(write_run, folder, suite, values, boards=None):
    """Add up a run in which `values[system]` gives `sca` of each storyboard, None for no value."""

    def scores(system, index, seed):
        value = values[system][index]
        return {"sca": ({"sum": value, "count": 1}, 1, 1) if value is not None else ({}, 0, 1)}

    kinds = {"truth": "truth", "still": "still", "shuffled": "shuffled"}
    specs = [f"{name}={kinds.get(name, 'holocine')}" for name in values]
    return summarise(load_run(write_run(folder, suite, specs, scores, boards=boards)))


def standing_of(summary) -> dict[str, tuple]:
    found = {name: cell.standing for name, cell in summary.table["sca"].items()}
    return {name: (one.rank, one.like_best, one.fooled_by) for name, one in found.items()}


def test_equal_values_share_their_rank_whatever_the_order_they_are_listed_in(suite, write_run, tmp_path):
    for number, names in enumerate((("a", "b", "c"), ("c", "b", "a"))):
        level = {"a": [0.9] * 8, "b": [0.9] * 8, "c": [0.5] * 8}
        found = standing_of(run_of(write_run, tmp_path / f"two-{number}", suite, {name: level[name] for name in names}))
        assert found == {"a": (1, True, None), "b": (1, True, None), "c": (None, False, None)}, "two best, no runner-up"
        level = {"a": [0.9] * 8, "b": [0.5] * 8, "c": [0.5] * 8}
        found = standing_of(run_of(write_run, tmp_path / f"one-{number}", suite, {name: level[name] for name in names}))
        assert found == {"a": (1, True, None), "b": (2, False, None), "c": (2, False, None)}
    sums = [0.1 + 0.2] * 8, [0.3] * 8  # not the same number, but the same value
    found = standing_of(run_of(write_run, tmp_path / "sums", suite, {"a": sums[0], "b": sums[1], "c": [0.1] * 8}))
    assert found["a"][0] == found["b"][0] == 1


def test_what_cannot_be_told_from_the_best_is_marked_in_every_output(suite, write_run, tmp_path, capsys):
    """Storyboards differ far more than systems do: only pairing tells the third from the best, and not the second."""
    base = np.linspace(0.2, 0.8, 8)
    values = {"best": base + 0.1, "near": base + 0.09 + 0.1 * np.tile([1, -1], 4), "far": base - 0.05}
    summary = run_of(write_run, tmp_path / "run", suite, values)
    assert standing_of(summary) == {"best": (1, True, None), "near": (2, True, None), "far": (None, False, None)}
    assert all(summary.table["sca"][name].error > 0.05 for name in values), "intervals overlap widely"
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "run"), "--no-published", "--out", str(out)]) == 0
    near, far = (f"{np.mean(values[name]):.4f} ± {summary.table['sca'][name].error:.4f}" for name in ("near", "far"))
    for text in (capsys.readouterr().out, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert f"{near}≈" in text and f"{far}≈" not in text and far in text
        assert "≈ not behind the best by more than chance" in " ".join(text.split())
    latex = (out / "table.tex").read_text()
    assert rf"\underline{{{near.replace('±', chr(36) + chr(92) + 'pm' + chr(36))}$^\approx$}}" in latex
    for frame in (pd.read_csv(out / "metrics.csv"), pd.read_parquet(out / "metrics.parquet")):
        found = frame[frame.metric == "sca"].set_index("system")
        assert found["like_best"].tolist() == [True, True, False] and found["rank"].tolist()[:2] == [1, 2]
    table = pd.read_csv(out / "table.csv").set_index("system")
    assert table["sca_like_best"].tolist() == [True, True, False] and table.loc["best", "sca_rank"] == 1


def test_the_best_on_fewer_storyboards_does_not_leave_behind_who_is_ahead_of_it_there(suite, write_run, tmp_path):
    """Seven easy storyboards make a better mean than all eight; on the shared ones the other is ahead."""
    easy = [0.9] * 7
    values = {"picky": [*easy, None], "thorough": [*(v + 0.05 for v in easy), 0.1]}
    found = standing_of(run_of(write_run, tmp_path / "run", suite, values))
    assert found == {"picky": (1, True, None), "thorough": (2, True, None)}


def test_too_few_storyboards_tell_nobody_from_the_best_and_the_table_says_so(suite, write_run, tmp_path):
    values = {"a": [0.9] * 8, "b": [0.5] * 8}
    summary = run_of(write_run, tmp_path / "run", suite, values, boards=range(MIN_PAIRS - 1))
    assert standing_of(summary) == {"a": (1, None, None), "b": (2, None, None)}
    assert f"With fewer than {MIN_PAIRS} storyboards it cannot be tested" in main_table(summary).note


# Metrics that are fooled


def test_a_value_better_than_truth_is_no_rank_but_fooled_in_every_output(suite, write_run, tmp_path, capsys):
    noise = np.random.default_rng(0).normal(size=(3, 8)) * 0.02
    values = {
        "no-window": 0.88 + noise[0],
        "holocine": 0.595 + noise[1],  # a little above truth, by chance
        "isolated": 0.5 + noise[2],
        "truth": 0.59 + noise[1][::-1],
    }
    summary = run_of(write_run, tmp_path / "run", suite, values)
    assert standing_of(summary) == {
        "no-window": (None, None, "truth"),
        "holocine": (1, True, None),
        "isolated": (2, False, None),
        "truth": (None, None, None),
    }
    rows, note = rows_of(main_table(summary)), main_table(summary).note
    assert rows["no-window"][1].text.endswith(" fooled") and rows["no-window"][1].emphasis is None
    assert rows["holocine"][1].emphasis == "best"
    assert "fooled: not ranked, as the value shows that the metric was misled" in note
    assert "SCA ↑: no-window better than truth" in note
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "run"), "--hub-dataset", "a/b", "--out", str(out)]) == 0
    for text in (capsys.readouterr().out, *((out / f"{name}").read_text() for name in ("report.md", "report.html"))):
        lines = text.replace("<tr>", "\n<tr>").splitlines()
        line = next(line for line in lines if "no-window" in line and "0.88" in line).partition("</tr>")[0]
        assert "fooled" in line and "*" not in line and "best" not in line
    assert re.search(r"no-window &[^\\]*& 0\.88\d\d \$\\pm\$ [\d.]+ fooled \\\\", (out / "table.tex").read_text())
    frame = pd.read_csv(out / "metrics.csv").set_index(["metric", "system"])
    assert frame.loc[("sca", "no-window"), "fooled_by"] == "truth"
    assert pd.isna(frame.loc[("sca", "no-window"), "rank"])
    entries = yaml.safe_load((out / "hub/no-window/.eval_results/tiny.yaml").read_text())
    assert "the metric was fooled, as truth shows" in entries[0]["notes"]


def test_where_a_bound_that_never_moves_beats_truth_nobody_is_crowned(suite, write_run, tmp_path):
    values = {"a": [0.97] * 8, "b": [0.96] * 8, "truth": [0.98] * 8, "still": [1.0] * 8}
    summary = run_of(write_run, tmp_path / "one", suite, values)
    assert {name: one[::2] for name, one in standing_of(summary).items()} == {
        "a": (None, "still"),
        "b": (None, "still"),
        "truth": (None, None),
        "still": (None, None),
    }
    assert "SCA ↑: all not as good as still" in main_table(summary).note
    del values["truth"]
    assert standing_of(run_of(write_run, tmp_path / "two", suite, values))["a"] == (None, None, "still")


def test_a_poor_system_that_a_bound_beats_is_poor_and_fools_nobody(suite, write_run, tmp_path):
    values = {"good": [0.9] * 8, "poor": [0.4] * 8, "truth": [0.98] * 8, "shuffled": [0.7] * 8}
    found = standing_of(run_of(write_run, tmp_path / "run", suite, values))
    assert found["good"] == (1, True, None) and found["poor"] == (2, False, None)
    less_is_better = summarise(load_run(write_run(tmp_path / "less", suite, SPECS, scores)))
    assert not any(cell.standing.fooled_by for cell in less_is_better.table["flicker"].values())


def test_without_truth_the_table_says_that_nothing_shows_who_was_fooled(suite, write_run, tmp_path):
    summary = run_of(write_run, tmp_path / "run", suite, {"a": [0.9] * 8, "b": [0.5] * 8})
    assert "This run has no truth beside the systems" in main_table(summary).note


def test_the_reason_names_what_calibration_knows_of_the_metric(monkeypatch):
    def reaction(damage, auc, wanted):
        return {"damage": damage, "wanted": wanted, "auc": [{"value": 0.5}, {"value": auc}]}

    metric = all_metrics()["subject_consistency"]
    known = {"frozen": reaction("frozen", 0.02, False), "colour": reaction("colour", 0.75, True)}
    monkeypatch.setattr(ranking, "_reactions", lambda: {metric.id: known})
    assert calibrated(metric, "still") == "in its calibration shots that freeze before they end better it"
    assert calibrated(metric, "truth") == "in its calibration it misses or hardly notices 1 of the 1 damages it is for"
    assert calibrated(all_metrics()["sca"], "truth") == "not calibrated in this version"


# Intervals


def test_intervals_of_plots_stay_within_the_range_of_their_metric(suite, write_run, tmp_path):
    values = {"a": [1.0] * 7 + [0.6], "b": [0.5, 0.9] * 4}
    summary = run_of(write_run, tmp_path / "run", suite, values)
    cell = summary.table["sca"]["a"]
    assert cell.value + 1.96 * cell.error > 1, "the plain interval leaves the range"
    frame = metric_frame(summary).set_index("system")
    assert (frame.value_high <= 1).all() and (frame.value_low < frame.value).all()
    assert (frame.value_high > frame.value).all()
    drawn = metric_dots(summary, next(metric for metric in summary.metrics if metric.name == "sca"))
    ticks = [float(one) for one in re.findall(r'text-anchor="middle">([\d.-]+)</text>', drawn)]
    assert max(ticks) <= 1


def test_where_all_values_are_the_same_nobody_is_marked_as_the_best(tiny, write_run, tmp_path):
    worth = {"good": (0.0, 0.5), "bad": (0.0, 0.5), "third": (0.0, 0.4)}

    def scores(system, *_):
        cuts, text = worth[system]
        return {"sca": ({"sum": cuts, "count": 1}, 1, 1), "text_shot": ({"sum": text, "count": 1}, 1, 1)}

    run = write_run(tmp_path / "run", tiny, ("good=holocine", "bad=isolated", "third=no-window"), scores)
    summary = summarise(load_run(run))
    assert {cell.rank for cell in summary.table["sca"].values()} == {None}
    assert [summary.table["text_shot"][name].rank for name in worth] == [1, 1, None]
    table = main_table(summary)
    assert "good, bad and third are level" in table.lead
    cells = [row[table.head.index("SCA ↑")] for row in table.rows[:3]]
    assert [(cell.text, cell.emphasis) for cell in cells] == [("0.0000 ± 0.0000", None)] * 3


# Whose model it was


def test_a_table_says_which_systems_are_the_embedded_model_s_and_what_it_knows(tiny, write_run, tmp_path):
    def scores(*_):
        return {"sca": ({"sum": 1, "count": 1}, 1, 1)}

    specs = ("holocine", "mine=holocine@models/x", "wan", "isolated", "truth")
    note = main_table(summarise(load_run(write_run(tmp_path / "puppets", tiny, specs, scores)))).note
    assert note.endswith("holocine and isolated run the embedded model, which knows the puppet world alone.")
    run = write_run(tmp_path / "film", load_suite("cinema"), ("holocine",), scores, boards=(0, 1))
    assert main(["report", str(run)]) == 0
    for name in ("report.md", "table.tex", "report.html"):
        text = (run / "report" / name).read_text()
        assert "holocine runs the embedded model, which knows the puppet world alone, and these storyboards" in text
    run = write_run(tmp_path / "own", tiny, ("mine=holocine@models/x", "wan", "truth"), scores)
    assert "embedded" not in main_table(summarise(load_run(run))).note


def test_each_system_is_published_with_the_model_that_it_ran(run, tmp_path):
    info = json.loads((run / "run.json").read_text())
    info["systems"]["good"], info["model"]["name"] = "good=holocine@/home/me/models/other", "/home/me/models/given"
    (run / "run.json").write_text(json.dumps(info))
    for path in run.glob("items/good/*/*/record.json"):
        path.write_text(path.read_text().replace("ab" * 32, "cd" * 32))
    assert main(["report", str(run), "--out", str(tmp_path)]) == 0
    configs = {
        system: json.loads((tmp_path / "hub" / system / "results.json").read_text())["config"] for system in QUALITY
    }
    named = {system: (config["model_name"], config["model_sha"]) for system, config in configs.items()}
    assert named["good"] == ("other", "cd" * 32) and named["bad"] == ("given", "ab" * 32)
    assert named["middling"] == ("middling", "") and named["truth"] == ("truth", ""), "they run no model"
    both = "other (cdcdcdcdcdcd) of good; given (abababababab) of bad"
    assert f"Models: {both}." in (tmp_path / "report.html").read_text().partition("<nav>")[0]
    assert f"The weights are {both}." in (tmp_path / "report.md").read_text()


def test_the_caption_of_a_paper_has_no_command_and_no_remedy(suite, write_run, tmp_path):
    run = write_run(tmp_path / "run", suite, ("good=holocine", "bad=isolated"), scores)
    reason = "no CLIP model is here; `python -m eval encoders --download` gets one"
    for path in run.glob("items/*/*/*/scorecard.json"):
        path.write_text(path.read_text().replace("nothing to look at", reason))
    assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 0
    latex = (tmp_path / "out" / "table.tex").read_text()
    assert "Not measured: aesthetic (no CLIP model is here)." in latex
    assert "`" not in latex and "--download" not in latex
    assert "--download" in (tmp_path / "out" / "report.md").read_text()
