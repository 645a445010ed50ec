"""Tables of what visitors said, from simulated voters and a run whose metrics are known."""

from dataclasses import replace

import pytest

from benchmarks.reporting.agreement import Judgement
from benchmarks.reporting.arena import QUESTIONS, accord_table, agreement_table, arena_tables, strength_tables
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from eval.metrics import all_metrics

QUALITY = {"good": 0.9, "fair": 0.7, "poor": 0.5}


@pytest.fixture
def summary(tiny, write_run, tmp_path):
    """Three systems on six storyboards: `sca` is as good as they are, `text_shot` the other way round."""
    entries = (replace(tiny.entries[i % 3], id=f"s{i}") for i in range(6))

    def scores(system, index, seed):
        value = QUALITY[system] + 0.01 * index
        return {"sca": ({"sum": value, "count": 1}, 1, 1), "text_shot": ({"sum": 1 - value, "count": 1}, 1, 1)}

    specs = [f"{name}=holocine" for name in QUALITY]
    return summarise(load_run(write_run(tmp_path / "run", replace(tiny, entries=tuple(entries)), specs, scores)))


def votes(voters=("x", "y")) -> list[Judgement]:
    """All for the better one."""
    pairs = [("good", "fair"), ("fair", "poor"), ("poor", "good")]
    said = {pair: "first" if QUALITY[pair[0]] > QUALITY[pair[1]] else "second" for pair in pairs}
    return [Judgement(v, f"s{i}", 0, *pair, said[pair]) for v in voters for i in range(6) for pair in pairs]


def rows_of(table):
    return {row[0].text: [text.text for text in row[1:]] for row in table.rows}


def test_every_question_has_metrics_that_there_are():
    assert list(QUESTIONS) == ["cuts", "characters", "words", "look", "overall"]
    assert {name for question in QUESTIONS.values() for name in question.metrics} <= set(all_metrics())


def test_strengths_are_a_table_a_question_with_the_number_of_votes():
    [table] = strength_tables("cuts", votes())
    assert table.title == f"{QUESTIONS['cuts'].text} 36 votes"
    assert list(rows_of(table)) == ["good", "fair", "poor"]
    assert "All of it is on 6 storyboards: with fewer than 10 these intervals are too narrow." in table.note
    assert strength_tables("cuts", []) == []
    [table] = strength_tables("cuts", votes()[:1])
    assert "on 1 storyboard: there are too few votes for intervals." in table.note and "narrow" not in table.note
    many = [Judgement("x", f"s{i}", 0, "good", "poor", "first") for i in range(10)]
    assert "too narrow" not in strength_tables("cuts", many)[0].note


def test_systems_that_never_met_have_tables_of_their_own_that_say_so():
    apart = [*votes(), Judgement("x", "s0", 0, "one", "other", "first")]
    first, second = strength_tables("overall", apart)
    assert list(rows_of(second)) == ["one", "other"] and "1 vote" in second.title
    assert "never compared with these" in first.note


def test_a_metric_agrees_with_voters_or_does_not(summary):
    table = accord_table({"cuts": votes(), "overall": votes()}, summary)
    rows = rows_of(table)
    assert table.head == ("metric", "cuts", "overall")
    assert rows["SCA ↑"][0].startswith("100 % [") and rows["SCA ↑"][0].endswith("100] (18)")
    assert rows["shot text ↑"][0].startswith("0 % [0, ")
    by_name = {row[0].text: row for row in table.rows}
    assert by_name["SCA ↑"][1].emphasis == "best", "it measures what was asked"
    assert by_name["SCA ↑"][2].emphasis is None and by_name["shot text ↑"][1].emphasis is None


def test_agreement_needs_pairs_that_two_have_judged():
    assert agreement_table({"cuts": votes(("x",))}) is None
    table = agreement_table({"cuts": votes()})
    assert rows_of(table) == {QUESTIONS["cuts"].text: ["1.00", "[1.00, 1.00]", "100 %", "18"]}


def test_without_votes_there_are_no_tables_and_questions_without_votes_have_none(summary):
    assert arena_tables({}, summary) == []
    names = [table.name for table in arena_tables({"look": votes()}, summary)]
    assert names == ["arena-look-0", "arena-agreement", "arena-metrics"]
