"""Joining the parts of a run that were computed apart."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.running.items import RunError, RunInfo, existing, items_in, land, locked, read_record, sweep
from benchmarks.running.work import no_space
from benchmarks.suites.suite import load_suite, write_suite

logger = logging.getLogger(__name__)


def merge(out: Path, parts: Sequence[Path]) -> int:
    """Copy the items of several runs of one suite into `out`, which may be one of its own; return how many came.

    An item that is there already stays, unless it failed and is done in the part. Raises `RunError` for parts of
    another suite, model, world or metrics.
    """
    others = [existing(part) for part in parts]
    for part in parts:
        if part.resolve() == out.resolve():
            raise RunError(f"{part} is both a part and the result of the merge: choose another folder")
    count = 0
    with locked(out):
        sweep(out)
        info = RunInfo.load(out)
        for part, other in zip(parts, others, strict=True):
            info = _joined(info, other, out, part)
            count += _copy_items(out, part)
            if not (out / "suite.jsonl").is_file():
                write_suite(out / "suite.jsonl", load_suite(part / "suite.jsonl"))
            info.save(out)
    return count


def _joined(info: RunInfo | None, other: RunInfo, out: Path, part: Path) -> RunInfo:
    if info is None:
        return other
    for name in ("suite", "model", "world", "metrics", "scoring"):
        ours, theirs = getattr(info, name), getattr(other, name)
        if ours and theirs and ours != theirs:
            raise RunError(f"{part} has another {name} than {out}: only parts of one run can be merged")
    for name in info.systems.keys() & other.systems.keys():
        if info.systems[name] != other.systems[name]:
            raise RunError(f"{part} has another system {name} than {out}: only parts of one run can be merged")
    return replace(
        info,
        systems={**info.systems, **other.systems},
        model=info.model or other.model,
        seeds=tuple(sorted({*info.seeds, *other.seeds})),
        world=info.world or other.world,
        code=info.worked_on_by(*other.code).code,
    )


def _copy_items(out: Path, part: Path) -> int:
    count = 0
    for item in items_in(part):
        theirs, ours = read_record(part, item), read_record(out, item)
        if theirs is None:
            logger.warning("%s of %s is damaged and left out", item, part)
            continue
        if ours is not None and ours.hashes != theirs.hashes:
            raise RunError(f"{item} is in {out} and in {part} with other hashes: only parts of one run can be merged")
        if ours is not None and (ours.status == "done" or theirs.status == "failed"):
            continue
        files = {path.name: path.read_bytes() for path in sorted(item.folder(part).iterdir()) if path.is_file()}
        try:
            land(out, item, files)
        except OSError as error:
            raise RunError(no_space(error)) from None
        count += 1
    return count
