"""A list of measurements under one limit of time, on disk after each, where a failed one says why and the next begins.

It is for machines that are lent for minutes: what has been measured stays when the program is killed.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from holocine.files import replacing

Values = dict[str, Any]
LONGEST_REASON = 300


class OutOfTime(BaseException):
    """The time for all measurements is over; no `Exception`, so that no library on the way takes it for a fault."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    values: by name, with the unit in it; None where there are none, and reason says why. computed: follows from other
    rows and was not measured. seconds: that the measurement took, everything included.
    """

    section: str
    name: str
    values: Values | None
    reason: str | None = None
    computed: bool = False
    seconds: float = 0.0


@dataclass
class Ledger:
    """Rows in the order they were measured.

    out: folder for NAME.json and NAME.md, which exist after every row; budget: seconds, from `start` on, after which
    no row begins and the one that runs is broken off. tidy: called after every row, to free memory. title, text: what
    the Markdown begins with. notes: lines of Markdown below a section's table, by section.
    """

    out: Path
    name: str
    budget: float
    machine: Mapping[str, Any]
    start: float = field(default_factory=time.monotonic)
    tidy: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda line: None
    rows: list[Row] = field(default_factory=list)
    title: str = "Speed of the large model"
    text: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.budget - (time.monotonic() - self.start)

    def measure(self, section: str, name: str, run: Callable[[], Values], needs: float = 0.0) -> Values | None:
        """Add the row that `run` returns the values of; None if it raised or had no time.

        needs: seconds it is expected to take; a row that has less than that left is skipped.
        """
        found = self.measure_together(section, [name], lambda: {name: run()}, needs)
        return found and found[name]

    def measure_together(
        self, section: str, names: Sequence[str], run: Callable[[], Mapping[str, Values]], needs: float = 0.0
    ) -> Mapping[str, Values] | None:
        """Add rows that are measured in one go, as those are that take turns; else as `measure` does.

        names: of the rows, should `run`, which returns the values of each, not come so far. What all of them took is
        divided among them.
        """
        left, before = self.left, time.monotonic()
        found, reason = None, f"skipped: {max(left, 0):.0f} s left, about {needs:.0f} s needed"
        if left > max(needs, 0):
            try:
                with _broken_off_after(left):
                    found, reason = run(), None
            except (Exception, OutOfTime) as error:
                reason = _in_one_line(error)
        names = list(found or names)
        seconds = round((time.monotonic() - before) / len(names), 3)
        for name in names:
            self._add(Row(section, name, found and found[name], reason, seconds=seconds))
        return found

    def compute(self, section: str, name: str, run: Callable[[], Values]) -> None:
        """Add a row that follows from others; what it needs and does not find (KeyError, TypeError) is its reason."""
        try:
            self._add(Row(section, name, run(), computed=True))
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            reason = f"what it follows from is missing: {_in_one_line(error)}"
            self._add(Row(section, name, None, reason, computed=True))

    def values(self, section: str, name: str) -> Values:
        """The values of a row; KeyError if it is not there or has none."""
        for row in self.rows:
            if (row.section, row.name) == (section, name) and row.values is not None:
                return row.values
        raise KeyError(f"{section}: {name}")

    def _add(self, row: Row) -> Values | None:
        self.rows.append(row)
        self.write()
        self.say(_line(row))
        try:
            self.tidy()
        except Exception as error:  # after a fault of the device even freeing memory raises; rows go on to say so
            self.say(_in_one_line(error))
        return row.values

    def write(self) -> None:
        """Write both files anew."""
        self.out.mkdir(parents=True, exist_ok=True)
        plain = {"machine": dict(self.machine), "budget": self.budget, "rows": [asdict(row) for row in self.rows]}
        for suffix, text in (("json", json.dumps(plain, indent=1)), ("md", self.markdown())):
            with replacing(self.out / f"{self.name}.{suffix}") as path:
                path.write_text(text + "\n", encoding="utf-8")

    def markdown(self) -> str:
        """All rows as one table a section."""
        lines = [f"# {self.title}", "", *([self.text, ""] if self.text else [])]
        lines += [f"- {key}: {value}" for key, value in self.machine.items()]
        for section in dict.fromkeys(row.section for row in self.rows):
            rows = [row for row in self.rows if row.section == section]
            columns = list(dict.fromkeys(key for row in rows for key in row.values or {}))
            lines += ["", f"## {section}", "", _cells(["", *columns]), "|---" * (len(columns) + 1) + "|"]
            for row in rows:
                name = f"{row.name} (computed)" if row.computed else row.name
                name += f": {_cell(row.reason)}" if row.values is None else ""
                lines.append(_cells([name, *(_cell((row.values or {}).get(key)) for key in columns)]))
            lines += ["", self.notes[section]] if section in self.notes else []
        return "\n".join(lines)

    def table(self) -> str:
        """All rows, one a line, for a terminal."""
        lines = []
        for section in dict.fromkeys(row.section for row in self.rows):
            lines += ["", f"{section}:", *(f"  {_line(row)}" for row in self.rows if row.section == section)]
        return "\n".join(lines[1:])


def _line(row: Row) -> str:
    said = row.reason or "  ".join(f"{key} {_cell(value)}" for key, value in row.values.items())
    return f"{row.name}{' (computed)' if row.computed else ''}: {said}"


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:LONGEST_REASON]}"


@contextmanager
def _broken_off_after(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` inside the block after so long; only in the main thread, which alone gets signals."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTime("the time for all measurements is over")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
