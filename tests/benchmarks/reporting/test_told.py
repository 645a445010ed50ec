"""What is told below a table of what systems cannot express: a line for each kind and system."""

import dataclasses
import json

import pytest

from benchmarks.reporting.page import table_html
from benchmarks.reporting.render import latex, markdown, plain
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from benchmarks.reporting.tables import TOLD, main_table
from benchmarks.reporting.told import not_expressed
from benchmarks.running.items import RECORD, Item
from holocine import Storyboard
from holocine.families import NAMES, find_family
from holocine.plurals import kind_of
from holocine.wan import as_wan_runs

LENGTHS = ([3.1] * 2, [1.3, 2.1, 2.0], [0.9] * 5, [0.7] * 6, [9.0, 2.3, 7.7], [6.3] * 6, [0.7] * 9)


def board(lengths, pictured: bool, first_referenced: bool) -> Storyboard:
    shots = [{"caption": "[character1] walks.", "seconds": seconds} for seconds in lengths]
    for shot in shots[: 1 + len(shots) // 2] if pictured else ():
        shot["image"] = "nowhere.png"
    references = {"character1": "nowhere.png"} if first_referenced else None
    return Storyboard(global_caption="[character1] is a man.", fps=15, shots=shots, references=references)


def notes_of(name: str) -> list[tuple[str, ...]]:
    lengths = LENGTHS[:-1] if name == "echoshot" else LENGTHS  # which makes no nine shots
    boards = [board(one, i % 2 == 0, i % 3 == 0) for i, one in enumerate(lengths)]
    return [as_wan_runs(one)[2] if name == "wan" else find_family(name).translate(one).notes for one in boards]


@pytest.mark.parametrize("name", ["wan", *NAMES])
def test_notes_of_one_kind_are_one_whatever_numbers_and_shots_they_list(name):
    told = notes_of(name)
    kinds = {kind_of(note) for notes in told for note in notes}
    for said in (" cuts after ", "is not given pictures", " frames at once: "):
        assert len([kind for kind in kinds if said in kind]) <= 1
    assert all(len({kind_of(note) for note in notes}) == len(notes) for notes in told)


@pytest.fixture
def results(tiny, write_run, tmp_path):
    """A run of three storyboards in two repetitions, whose records tell what cinetrans does."""
    specs = ("mine=cinetrans@models/x", "wan")
    run = write_run(tmp_path / "run", tiny, specs, lambda *_: {"sca": ({"sum": 1, "count": 1}, 1, 1)}, seeds=2)
    for index, entry in enumerate(tiny.entries):
        for seed in (0, 1):
            cuts = ", ".join(["1.25"] * (index + 1))
            notes = {
                "mine": [f"CineTrans cuts after {cuts} s where {cuts} s were asked for", "shot 1: a picture is large"],
                "wan": ["Wan is told of no cut"],
            }
            for system, told in notes.items():
                path = Item(system, entry.id, seed).folder(run) / RECORD
                path.write_text(json.dumps(json.loads(path.read_text()) | {"notes": told}))
    return load_run(run)


def test_each_kind_is_a_line_that_calls_the_system_by_its_name_and_counts_storyboards(results):
    first = results.suite.entries[0].id
    assert not_expressed(results) == (
        f"mine cuts after 1.25 s where 1.25 s were asked for (3 storyboards; here {first})",
        "mine: shot 1: a picture is large (3 storyboards)",
        "wan is told of no cut (3 storyboards)",
    )


def test_every_form_of_a_table_has_the_lines_below_it_and_none_a_heading_without_them(results):
    table = main_table(summarise(results))
    lines = ["wan is told of no cut (3 storyboards)", "mine: shot 1: a picture is large (3 storyboards)"]
    for form in (markdown, plain):
        written = form(table).splitlines()
        assert all(f"- {line}" in written for line in lines) and TOLD in written
    assert all(f"<li>{line}</li>" in table_html(table) for line in lines)
    assert "; ".join(reversed(lines)) in latex(table)
    for form in (markdown, plain, latex, table_html):
        assert TOLD not in form(dataclasses.replace(table, told=()))
