"""Which systems of a run are the embedded model's, which knows the puppet world alone, and what else a suite shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.suites.suite import Entry
from benchmarks.systems.baselines import BASELINES
from benchmarks.systems.systems import GENERATED, split_spec
from eval.encoders.theatre import is_of_the_theatre
from holocine.plurals import counted, listed

EMBEDDED = "embedded"  # what run.json calls it


def runs_embedded(systems: Mapping[str, str], model: str | None) -> list[str]:
    """The names of the systems that run the embedded model, of names with specifications and a run's `--model`."""
    return [name for name, spec in systems.items() if model in (None, EMBEDDED) and _takes_the_run_s_model(spec)]


def _takes_the_run_s_model(spec: str) -> bool:
    _, kind, _, own = split_spec(spec)
    return own is None and kind in GENERATED and kind not in BASELINES


def embedded_note(names: Sequence[str], entries: Sequence[Entry]) -> str | None:
    """Whose videos are the embedded model's, and of how many storyboards it knows nothing; None for nobody's."""
    if not names:
        return None
    run = f"{listed(names)} run{'s' * (len(names) == 1)} the embedded model, which knows the puppet world alone"
    foreign = sum(not is_of_the_theatre(entry.storyboard) for entry in entries)
    if not foreign:
        return run
    which = f"{foreign} of the {counted(len(entries), 'storyboard')}" if foreign < len(entries) else "these storyboards"
    return f"{run}, and {which} are not of it: its videos show no more than that, whatever is asked"


def embedded_warning(systems: Mapping[str, str], model: str | None, entries: Sequence[Entry]) -> str | None:
    """What to say before such a run begins, with the remedy; None where the suite is of the puppet world."""
    note = embedded_note(runs_embedded(systems, model), entries)
    if note is None or all(is_of_the_theatre(entry.storyboard) for entry in entries):
        return None
    return f"{note}; name a model of this world by --model FOLDER or SYSTEM@FOLDER"
