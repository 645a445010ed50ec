import json
import time

import pytest

from benchmarks.speed.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "out", "gpu", 60.0, {"device": "a test"})


def fail():
    raise RuntimeError("out of\n  memory")


def test_a_row_that_raises_says_why_and_the_next_is_measured(ledger):
    assert ledger.measure("a", "one", fail) is None
    assert ledger.measure("a", "two", lambda: {"ms": 2.0}) == {"ms": 2.0}
    assert [row.reason for row in ledger.rows] == ["RuntimeError: out of memory", None]
    assert ledger.table() == "a:\n  one: RuntimeError: out of memory\n  two: ms 2"


def test_both_files_are_there_after_every_row(ledger):
    for count in (1, 2):
        ledger.measure("a", f"row {count}", lambda: {"ms": 1.5})
        assert len(json.loads((ledger.out / "gpu.json").read_text())["rows"]) == count
        assert f"| row {count} | 1.5 |" in (ledger.out / "gpu.md").read_text()
    assert sorted(path.name for path in ledger.out.iterdir()) == ["gpu.json", "gpu.md"]


def test_a_row_that_needs_more_time_than_is_left_is_skipped(ledger):
    assert ledger.measure("a", "long", fail, needs=100) is None
    assert ledger.rows[0].reason == "skipped: 60 s left, about 100 s needed"


def test_a_row_is_broken_off_when_the_time_is_over(tmp_path):
    ledger = Ledger(tmp_path, "gpu", 0.3, {})
    start = time.monotonic()

    def endless():
        while time.monotonic() - start < 30:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    assert ledger.measure("a", "endless", endless) is None
    assert time.monotonic() - start < 20
    assert ledger.rows[0].reason == "OutOfTime: the time for all measurements is over"
    assert ledger.measure("a", "next", lambda: {"ms": 1.0}) is None and "skipped" in ledger.rows[1].reason


def test_what_follows_from_a_row_that_is_missing_says_so(ledger):
    ledger.measure("a", "one", fail)
    ledger.compute("b", "twice", lambda: {"ms": 2 * ledger.values("a", "one")["ms"]})
    assert ledger.rows[1].computed and ledger.rows[1].reason == "what it follows from is missing: KeyError: 'a: one'"


def test_columns_are_those_of_all_rows_of_a_section(ledger):
    ledger.measure("a", "one", lambda: {"ms": 1.0})
    ledger.measure("a", "two", lambda: {"ms": 2.0, "peak GiB": 3.25})
    text = ledger.markdown()
    assert (
        "|  | ms | peak GiB |\n|---|---|---|\n| one | 1 |  |\n| two | 2 | 3.25 |" in text and "- device: a test" in text
    )
