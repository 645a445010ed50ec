"""Values of metrics, kept one line a video as they are made: the same command goes on where it was stopped."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from eval.calibration.damage import Damage

Key = tuple[int, str | None, float | None]  # scene, damage, strength; no damage for the undamaged scene


@dataclass(frozen=True)
class Record:
    """The values of all metrics of one video; None for a damage that a scene has no room for.

    reasons: why metrics have no value, of an undamaged scene and where somebody wants to know.
    """

    key: Key
    values: dict[str, float | None] | None
    reasons: dict[str, str] = field(default_factory=dict)


def keys(scenes: Iterable[int], damages: Iterable[Damage]) -> list[Key]:
    """Everything that is to be scored, scene by scene."""
    of_a_scene = [(None, None), *((damage.name, strength) for damage in damages for strength in damage.strengths)]
    return [(scene, *which) for scene in scenes for which in of_a_scene]


def collect_records(
    wanted: Sequence[Key],
    path: Path,
    made_with: Callable[[Key], str],
    score: Callable[[list[Key]], Iterable[Record]],
    progress: Callable[[int], None] | None = None,
) -> dict[Key, Record]:
    """The wanted records; those that `path` (JSON lines) lacks are made by `score` and added to it.

    made_with: what a value of today depends on, in a word; a line that was made with anything else does not count.
    `progress` is called with the number of records that are there at once, and then with 1 for each that is made.
    """
    kept = _read(path, made_with)
    records = {key: kept[key] for key in wanted if key in kept}
    if progress:
        progress(len(records))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _end_line(file)
        for record in score([key for key in wanted if key not in records]):
            records[record.key] = record
            file.write(json.dumps(_line(record, made_with(record.key))).encode() + b"\n")
            file.flush()
            if progress:
                progress(1)
    return records


def score_all(score: Callable[..., Record], arguments: Sequence[tuple], jobs: int) -> Iterator[Record]:
    """`score(*a)` of every `a` in `arguments`, in so many processes."""
    if jobs == 1:
        yield from (score(*one) for one in arguments)
        return
    context = multiprocessing.get_context("spawn")  # forked copies of a process that has used torch may hang
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            for task in as_completed([pool.submit(score, *one) for one in arguments]):
                yield task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def arrange(records: Mapping[Key, Record], damages: Sequence[Damage]) -> dict[tuple[str, str], np.ndarray]:
    """Values by metric and damage as arrays (strengths + 1, scenes), NaN where there is none; see `reaction`."""
    clean = {key[0]: record.values for key, record in records.items() if key[1] is None}
    names = list(dict.fromkeys(name for values in clean.values() for name in values))
    arrays = {}
    for damage in damages:
        rows = [[clean[scene] for scene in clean]]
        for strength in damage.strengths:
            found = (records.get((scene, damage.name, strength)) for scene in clean)
            rows.append([(record.values if record else None) or {} for record in found])
        for name in names:
            values = [[np.nan if one.get(name) is None else one[name] for one in row] for row in rows]
            arrays[name, damage.name] = np.array(values, np.float64)
    return arrays


def _line(record: Record, made_with: str) -> dict[str, Any]:
    scene, damage, strength = record.key
    line = {"scene": scene, "damage": damage, "strength": strength, "made_with": made_with}
    return {**line, "values": record.values, **({"reasons": record.reasons} if record.reasons else {})}


def _end_line(file: BinaryIO) -> None:
    """Put an end to a last line that was cut off."""
    if file.seek(0, 2):
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _read(path: Path, made_with: Callable[[Key], str]) -> dict[Key, Record]:
    """What was kept and was made in the same way; a last line that was cut off is not there."""
    if not path.exists():
        return {}
    records = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        key = (line["scene"], line["damage"], line["strength"])
        if line.get("made_with") == made_with(key):
            records[key] = Record(key, line["values"], line.get("reasons", {}))
    return records
