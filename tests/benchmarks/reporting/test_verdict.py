"""The sentence above a table: what is true of the numbers, and nothing that is not."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.ranking import Standing
from benchmarks.reporting.results import load_run
from benchmarks.reporting.significance import MIN_PAIRS
from benchmarks.reporting.summary import Cell, summarise
from benchmarks.reporting.tables import all_tables, main_table
from benchmarks.reporting.verdict import Finding, finding, in_words, listed, published_verdict, verdict
from benchmarks.systems.catalogue import described
from benchmarks.systems.systems import GENERATED, WORLDS

NOISE = 0.02 * np.tile([1.0, -1.0], 4)


@pytest.fixture
def suite(tiny):
    """Eight storyboards."""
    entries = (replace(tiny.entries[i % 3], id=f"board-{i}") for i in range(8))
    return replace(tiny, entries=tuple(entries))


@pytest.fixture
def added_up(write_run, suite, tmp_path):
    """Call with `values[metric][system]`, a value or one for each storyboard, for the summary of such a run."""
    kinds = ("truth", "still", "shuffled", "isolated", "holocine", "no-window")

    def added_up(values, boards=None, baseline=None):
        systems = list(dict.fromkeys(system for row in values.values() for system in row))

        def scores(system, index, seed):
            found = {}
            for metric, row in values.items():
                value = np.broadcast_to(row[system], 8)[index]
                found[metric] = ({"sum": float(value), "count": 1}, 1, 1) if not np.isnan(value) else ({}, 0, 1)
            return found

        specs = [f"{name}={name if name in kinds else 'single-prompt'}" for name in systems]
        return summarise(load_run(write_run(tmp_path / "run", suite, specs, scores, boards=boards)), baseline)

    return added_up


def test_who_is_surely_best_is_said_by_metric(added_up):
    values = {"sca": {"a": 0.9, "b": 0.8, "c": 0.5}, "text_shot": {"a": 0.4, "b": 0.7, "c": 0.5}}
    assert verdict(added_up(values)) == (
        "Of 3 systems, a is the best on SCA and b on shot text by more than chance (5 %, corrected for looking at all)."
    )


def test_who_cannot_be_told_from_the_best_is_named_and_nobody_is_crowned(added_up):
    values = {"sca": {"a": 0.8 + NOISE, "b": 0.799 - NOISE, "c": 0.5}}
    assert verdict(added_up(values)) == "Of 3 systems, on SCA a leads, but b cannot be told from it."


def test_equal_values_are_level(added_up):
    assert verdict(added_up({"sca": {"a": 0.8, "b": 0.8}})) == "Of 2 systems, on SCA a and b are level."
    three = in_words([Finding("SCA", ("a", "b"), (), True, {}, 3)], 3, {})
    assert three.startswith("Of 3 systems, a and b are level and the best on SCA by more than chance")


def test_values_that_are_shown_as_the_same_number_share_the_mark_of_the_best(added_up):
    summary = added_up({"sca": {"a": 0.80001, "b": 0.80003, "c": 0.5}})
    cells = {row[0].text: row[2] for row in main_table(summary).rows[:3]}
    assert cells["a"].emphasis == cells["b"].emphasis == "best" and cells["c"].emphasis is None
    assert "a and b are level and the best on SCA" in verdict(summary)


def test_a_fooled_value_is_named_and_not_crowned(added_up):
    values = {"character_consistency": {"holocine": 0.6, "a": 0.55, "no-window": 0.88, "truth": 0.592}}
    values["character_consistency"]["holocine"] = 0.59 - 0.01 * np.arange(8) / 8
    said = verdict(added_up(values))
    assert "holocine is the best on inter-shot by more than chance" in said
    assert "inter-shot was fooled by no-window (better than truth), which is not ranked there." in said
    assert "no-window is the best" not in said and "no-window leads" not in said


def test_a_metric_that_all_fool_crowns_nobody(added_up):
    said = verdict(added_up({"subject_consistency": {"a": 0.9, "b": 0.8, "truth": 0.95, "still": 1.0}}))
    assert said == (
        "Of 2 systems, subject was fooled by every system (not as good as still), which is not ranked there."
    )


def test_who_is_left_alone_by_those_that_fooled_a_metric_is_not_called_the_best(added_up):
    said = verdict(added_up({"sca": {"a": 0.5, "b": 0.9, "truth": 0.8}}))
    assert said == (
        "Of 2 systems, SCA was fooled by b (better than truth), which is not ranked there; on SCA only a is left to "
        "rank."
    )


def test_too_few_storyboards_are_not_evidence(added_up):
    said = verdict(added_up({"sca": {"a": 0.9, "b": 0.5}}, boards=range(MIN_PAIRS - 1)))
    assert said == (
        "Of 2 systems, a has the best value on SCA, which fewer than 6 shared storyboards cannot tell from chance."
    )


def test_less_is_better_where_the_metric_says_so(added_up):
    summary = added_up({"sca": {"a": 0.5, "b": 0.5}, "flicker": {"a": 3.0, "b": 1.0}})
    flicker = [metric for metric in summary.metrics if metric.name == "flicker"]
    assert "b is the best on flicker" in verdict(summary, flicker)


def test_there_is_no_verdict_over_one_system_or_over_none(added_up):
    assert verdict(added_up({"sca": {"a": 0.5, "truth": 0.9}})) == ""
    assert in_words([], 3, {}) == ""


def test_a_system_without_a_value_and_a_metric_that_ranks_nobody_are_passed_over():
    cell = Cell(0.5, 0.1, 8, 8, 8, 8, 8)
    none = replace(cell, value=None)
    assert finding("SCA", {"a": cell, "b": none}, ("a", "b")) is None
    best, near = (replace(cell, standing=one) for one in (Standing(1, True), Standing(2, None)))
    row = {"a": best, "b": near, "c": none}
    assert finding("SCA", row, ("a", "b", "c")) == Finding("SCA", ("a",), (), False, {}, 2)


def test_isolated_above_holocine_on_cuts_is_explained_with_its_price(added_up):
    values = {
        "sca": {"holocine": 0.92, "isolated": 0.95, "truth": 1.0},
        "character_consistency": {"holocine": 0.59, "isolated": 0.54, "truth": 0.6},
    }
    said = verdict(added_up(values))
    assert said.endswith(
        "isolated is above holocine on SCA (0.9500, 0.9200), since its shots see nothing of one another, so that no "
        "picture is carried over a cut, and neither is a character: inter-shot is lower (0.5400, 0.5900)."
    )


def test_the_explanation_claims_no_price_and_no_certainty_that_the_numbers_do_not_have(added_up):
    near = {"sca": {"holocine": 0.92 + 5 * NOISE, "isolated": 0.921 - 5 * NOISE, "truth": 1.2}}
    near["character_consistency"] = {"holocine": 0.5, "isolated": 0.5, "truth": 0.6}
    said = verdict(added_up(near))
    assert "(0.9210, 0.9200, which may be chance)" in said and said.endswith("carried over a cut.")


def test_nothing_is_explained_where_isolated_is_not_above(added_up):
    assert "isolated is above" not in verdict(added_up({"sca": {"holocine": 0.95, "isolated": 0.95}}))


def test_every_output_of_a_report_has_the_same_verdict(added_up, tmp_path, capsys):
    summary = added_up({"sca": {"a": 0.9, "b": 0.8}})
    said, out = verdict(summary), tmp_path / "out"
    assert main(["report", str(tmp_path / "run"), "--out", str(out)]) == 0
    assert said and main_table(summary).lead == said
    for text in (capsys.readouterr().out, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert said in " ".join(text.split())


def test_of_the_papers_own_table_only_what_it_has_is_said():
    said = published_verdict()
    assert "HoloCine has the best value on SCA, inter-shot, subject, background, global text and shot text" in said
    assert "StoryDiffusion + Wan2.2 has the best value on aesthetic; it gives no errors" in said


def test_what_each_system_is_stands_on_its_name_and_below_the_table_of_what_ran(added_up):
    tables = {table.name: table for table in all_tables(added_up({"sca": {"isolated": 0.9, "mine": 0.8}}))}
    assert tables["main"].rows[0][0].hint == "holocine without summaries: shots see nothing of one another"
    assert "; mine: all the text as one shot, nothing said of cuts. " in tables["systems"].note


def test_every_kind_of_system_is_described():
    assert all(described(kind) for kind in (*GENERATED, *WORLDS, "folder")) and described("nothing") == ""


def test_a_list_is_written_as_people_write_it():
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]


def test_what_could_hardly_be_looked_at_is_not_crowned(write_run, suite, tmp_path):
    seen = {"a": 10, "b": 9, "hardly": 4}
    alike = {"a": 0.8, "b": 0.7, "hardly": 0.99}

    def scores(system, index, seed):
        return {
            "character_consistency": ({"sum": alike[system] * seen[system], "count": seen[system]}, seen[system], 10)
        }

    specs = [f"{name}=single-prompt" for name in seen]
    summary = summarise(load_run(write_run(tmp_path / "run", suite, specs, scores)))
    row = summary.table["character_consistency"]
    assert row["hardly"].standing.little and row["hardly"].rank is None
    assert (row["a"].rank, row["b"].rank) == (1, 2)
    assert verdict(summary).startswith("Of 3 systems, a is the best on inter-shot by more than chance")
    table = main_table(summary)
    assert "little seen: not ranked, as less than 50 % could be looked at" in table.note
    texts = {row[0].text: row[2].text for row in table.rows}
    assert {name for name, text in texts.items() if text.endswith("little seen")} == {"hardly"}
