"""A suite of three short scenes of the puppet world, and cheap scoring."""

import json
import multiprocessing
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.__main__ import program
from benchmarks.running import local_engine
from benchmarks.running.items import LOG, RECORD, SCORECARD, Hashes, Item, Record, RunInfo, land
from benchmarks.running.scoring import Scoring
from benchmarks.suites.suite import Entry, Suite, write_suite
from eval.metrics import all_metrics
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import sample_scene
from tests.programs import Program, server

LENGTHS = (5, 4)


def build_suite(count: int = 3) -> Suite:
    scenes = [sample_scene(seed, lengths=LENGTHS) for seed in range(count)]
    entries = (Entry(f"scene-{i}", to_storyboard(scene, seed=i), ("shots:2",), scene) for i, scene in enumerate(scenes))
    return Suite("tiny", 1, 12.0, (sum(LENGTHS),), (112, 64), tuple(entries))


@pytest.fixture
def tiny() -> Suite:
    """Three storyboards of 9 frames in 2 shots, with their scenes."""
    return build_suite()


@pytest.fixture
def suite_file(tiny, tmp_path) -> Path:
    write_suite(tmp_path / "tiny.jsonl", tiny)
    return tmp_path / "tiny.jsonl"


@pytest.fixture
def cheap() -> Scoring:
    """Metrics of cuts, motion and sharpness only."""
    return Scoring("none", detector="pyscenedetect")


@pytest.fixture
def command(suite_file):
    """Call with systems, a folder and options for the command line of a cheap run."""

    def command(systems: str, out: Path, *options: str) -> list[str]:
        cheap = ("--encoders", "none", "--detector", "pyscenedetect")
        return ["run", "--suite", str(suite_file), "--systems", systems, "--out", str(out), *cheap, *options]

    return command


@pytest.fixture
def start():
    """Call with a command line to start `python -m benchmarks` as a process of its own; see `Program`."""
    started = []

    def start(arguments: list[str], before=None) -> Program:
        started.append(Program(program, arguments, before))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def ready_workers(monkeypatch):
    """Workers of this process are forked from one that has imported what they use, and need not do so anew."""
    processes = SimpleNamespace(get_context=lambda method: server, parent_process=multiprocessing.parent_process)
    monkeypatch.setattr(local_engine, "multiprocessing", processes)


@pytest.fixture
def scores():
    """Call with a run's folder for all that its scorecards say, but for the time it took."""

    def scores(run: Path) -> dict[str, dict]:
        found = {}
        for path in sorted((run / "items").glob("*/*/*/scorecard.json")):
            card = json.loads(path.read_text())
            found["/".join(path.parts[-4:-1])] = {name: value for name, value in card.items() if name != "seconds"}
        return found

    return scores


@pytest.fixture
def write_run():
    """Call with a folder, a suite, system specifications and scores to write a run without making videos.

    scores(system, index, seed) -> {metric: (parts, covered, of)}, or a text, the error of an item that failed.
    """

    def write_run(out: Path, suite: Suite, specs: Sequence[str], scores, seeds: int = 1, boards=None) -> Path:
        systems = {spec.partition("=")[0]: spec for spec in specs}
        metrics = tuple(metric.id for metric in all_metrics().values())
        identity = {"name": suite.name, "version": suite.version, "sha256": suite.sha256}
        model = {"name": "embedded", "sha256": "ab" * 32, "dtype": None}
        out.mkdir(parents=True, exist_ok=True)
        write_suite(out / "suite.jsonl", suite)
        RunInfo(identity, systems, model, metrics, {"encoders": "auto"}, tuple(range(seeds))).save(out)
        for system, index, seed in product(systems, boards or range(len(suite)), range(seeds)):
            item, found = Item(system, suite.entries[index].id, seed), scores(system, index, seed)
            failed = isinstance(found, str)
            record = Record(
                *(system, item.storyboard_id, seed, "failed" if failed else "done", found if failed else None),
                *({"generate": 2.0, "score": 1.0}, 100.0),
                Hashes(suite.entries[index].shown_sha256, model["sha256"], system, "n"),
            )
            card = None if failed else _card(found)
            files = {RECORD: record.to_json(), SCORECARD: card, LOG: ""}
            land(out, item, {name: text.encode() for name, text in files.items() if text is not None})
        return out

    return write_run


def _card(found) -> str:
    rows = {}
    for name, (parts, covered, of, *detail) in found.items():
        metric = all_metrics()[name]
        value = metric.derive(parts) if parts else None
        rows[name] = {"version": metric.version, "value": value, "parts": parts, "covered": covered, "of": of}
        rows[name] |= {"reason": None if parts else "nothing to look at", "detail": detail[0] if detail else []}
    return json.dumps({"metrics": rows, "detector": "transnetv2", "encoders": {"clip": {"id": "puppet"}}})
