"""What systems could not express of their storyboards, folded by kind: a line for each kind and system."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.reporting.results import Results
from benchmarks.systems.baselines import title
from holocine.plurals import counted, kind_of


def not_expressed(results: Results) -> tuple[str, ...]:
    """Lines such as `wan is told of no cut … (3 storyboards)`; of notes that differ in numbers the first is shown."""
    return tuple(line for system in results.competing for line in _of_system(results, system))


def _of_system(results: Results, system: str) -> Iterator[str]:
    told: dict[str, list[tuple[str, str]]] = {}
    for item in results.items:
        if item.system == system and item.scorecard is not None:
            for note in item.notes:
                told.setdefault(kind_of(note), []).append((note, item.storyboard_id))
    called = title(results.kind(system))
    for found in told.values():
        first, storyboard = found[0]
        # A table calls a system by its name, and so does what is said below it.
        text = f"{system}{first.removeprefix(called)}" if first.startswith(f"{called} ") else f"{system}: {first}"
        where = counted(len({one for _, one in found}), "storyboard")
        yield f"{text} ({where}{f'; here {storyboard}' if len({note for note, _ in found}) > 1 else ''})"
