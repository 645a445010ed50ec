"""Whose weights the videos of a run show: the run's own model, or one that a system names for itself."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.reporting.again import portable
from benchmarks.reporting.results import Results
from benchmarks.systems.systems import GENERATED, split_spec
from holocine.plurals import listed


@dataclass(frozen=True)
class Weights:
    """A model and the systems of a run that ran it.

    names: as the systems call it, without the folders of a machine. sha256: of its files, None where no record has it.
    own: whether it is another than the run's `--model`.
    """

    names: tuple[str, ...]
    sha256: str | None
    systems: tuple[str, ...]
    own: bool

    def __str__(self) -> str:
        """`models/wan (0123456789ab) of wan`."""
        hashed = f" ({self.sha256[:12]})" if self.sha256 else ""
        return f"{listed(self.names)}{hashed} of {listed(self.systems)}"


def weights_of(results: Results, system: str) -> Weights | None:
    """The model that a system ran; None for one that runs none."""
    return next((one for one in all_weights(results) if system in one.systems), None)


def all_weights(results: Results) -> list[Weights]:
    """Every model that a run's systems ran, in the order of the systems; none twice."""
    info = portable(results.info)
    by_hash: dict[str | None, list[tuple[str, str]]] = {}
    hashes = {one.system: one.hashes.model for one in results.items if one.hashes is not None}
    for system in results.systems:
        _, kind, _, named = split_spec(info.systems.get(system, system))
        if kind not in GENERATED:
            continue
        sha256 = hashes.get(system)
        of_the_run = bool(info.model) and sha256 == info.model.get("sha256")
        name = info.model.get("name", system) if of_the_run else named or system
        by_hash.setdefault(sha256 or f"unknown, of {system}", []).append((system, name))
    return [
        Weights(
            names=tuple(dict.fromkeys(name for _, name in found)),
            sha256=None if sha256.startswith("unknown") else sha256,
            systems=tuple(system for system, _ in found),
            own=sha256 != info.model.get("sha256"),
        )
        for sha256, found in by_hash.items()
    ]
