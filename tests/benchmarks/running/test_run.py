"""Runs over a suite of real, short videos: what lands, what is kept, what is noticed, and what goes wrong."""

import json
import multiprocessing
import os
import re
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tqdm import tqdm

import holocine
from benchmarks.reporting.results import ResultsError, load_run
from benchmarks.reporting.summary import summarise
from benchmarks.reporting.tables import what_ran
from benchmarks.running.items import Hashes, Item, Record, RunError, RunInfo, items_in, land, locked, read_record
from benchmarks.running.local_engine import run_local
from benchmarks.running.merge import merge
from benchmarks.running.run import Plan, rescore, run
from benchmarks.suites.suite import Entry, Suite, load_suite
from benchmarks.systems.models import ModelSettings
from benchmarks.systems.systems import parse_systems
from eval import Scorecard
from holocine import Storyboard, read_video, write_video


def here(jobs, make_worker, scratch=None, begun=lambda item: None):
    """An engine in this process."""
    worker = make_worker(scratch)
    for job in jobs:
        begun(job.item)
        yield worker.do(job)


@pytest.fixture
def plan(tiny, cheap):
    """Call with systems and any field of `Plan`."""

    def plan(systems: str = "truth,still", settings: ModelSettings | None = None, **fields) -> Plan:
        specs, settings = systems.split(","), settings or ModelSettings()
        return Plan(
            **{"suite": tiny, "scoring": cheap, **fields},
            systems=parse_systems(specs, settings),
            specs=specs,
            settings=settings,
        )

    return plan


def counts(summary) -> tuple[int, int, int]:
    return summary.done, summary.failed, summary.kept


# What lands


def test_every_item_lands_with_its_video_scorecard_record_and_log(plan, tiny, tmp_path):
    summary = run(plan("truth,shuffled", seeds=2), tmp_path, here)
    assert counts(summary) == (12, 0, 0)
    items = list(items_in(tmp_path))
    assert items == sorted(Item(s, id, n) for s in ("truth", "shuffled") for id in tiny.ids for n in (0, 1))
    for item in items:
        folder = item.folder(tmp_path)
        assert sorted(path.name for path in folder.iterdir()) == [
            "log.txt",
            "record.json",
            "scorecard.json",
            "video.mp4",
        ]
        record = read_record(tmp_path, item)
        assert (record.item, record.status, record.error) == (item, "done", None)
        assert record.seconds["generate"] > 0 and record.seconds["score"] > 0 and record.peak_mb > 50
        assert record.hashes.model is None
        video, card = read_video(folder / "video.mp4"), Scorecard.load(folder / "scorecard.json")
        assert video.storyboard == tiny[item.storyboard_id].storyboard
        assert card.storyboard == json.loads(video.storyboard.to_json()) and card.video.num_frames == 9
        assert card.metrics["sca"].value is not None and card.metrics["text_video"].value is None
    info = RunInfo.load(tmp_path)
    assert info.suite == {"name": "tiny", "version": 1, "sha256": tiny.sha256}
    assert info.systems == {"truth": "truth", "shuffled": "shuffled"} and info.seeds == (0, 1)
    assert "sca/1" in info.metrics and info.scoring["detector"] == "pyscenedetect" and info.model == {}
    assert load_suite(tmp_path / "suite.jsonl") == tiny
    assert not list(tmp_path.glob("items/*/*/.*"))


def test_the_same_run_again_does_nothing_and_a_larger_one_only_what_is_new(plan, tmp_path):
    run(plan(limit=2), tmp_path, here)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("items/*/*/*/*")}
    assert counts(run(plan(limit=2), tmp_path, here)) == (0, 0, 4)
    assert counts(run(plan("truth,still,shuffled", seeds=2), tmp_path, here)) == (14, 0, 4)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert RunInfo.load(tmp_path).systems.keys() == {"truth", "still", "shuffled"}
    run(plan("truth"), tmp_path, here)
    assert RunInfo.load(tmp_path).systems.keys() == {"truth", "still", "shuffled"}, "what was run before stays known"


def test_a_models_videos_carry_its_hash_and_its_settings(plan, make_pipeline, tmp_path):
    board = Storyboard.from_captions("A studio.", ["A.", "B."], num_frames=9, shot_cut_frames=[5], seed=1)
    suite = Suite("boards", 1, board.fps, (9,), (48, 32), (Entry("a", board),))
    make_pipeline().save_pretrained(tmp_path / "model")
    settings = ModelSettings(str(tmp_path / "model"), num_inference_steps=1)
    out = tmp_path / "run"
    plain = plan("holocine,isolated", settings, suite=suite)
    assert counts(run(plain, out, here)) == (2, 0, 0)
    first = {item: read_record(out, item).hashes for item in items_in(out)}
    assert len({hashes.model for hashes in first.values()}) == 1 and len({h.system for h in first.values()}) == 2
    info = RunInfo.load(out)
    assert info.model["num_inference_steps"] == 1 and info.model["sha256"] == first[Item("holocine", "a", 0)].model

    make_pipeline(experts=2).save_pretrained(tmp_path / "other")
    other = replace(settings, model=str(tmp_path / "other"))
    with pytest.raises(RunError, match=r"run has 2 items made otherwise, .*: --model was .*/model, now .*/other;"):
        run(plan("holocine,isolated", other, suite=suite), out, here)
    with pytest.raises(RunError, match="2 items .*: --steps was 1, now 2, --guidance was not given, now 3"):
        changed = replace(settings, num_inference_steps=2, guidance_scale=3.0)
        run(plan("holocine,isolated", changed, suite=suite), out, here)
    with pytest.raises(RunError, match=f"the system isolated was isolated, now isolated=holocine@{tmp_path / 'other'}"):
        run(plan(f"isolated=holocine@{tmp_path / 'other'}", settings, suite=suite), out, here)
    assert counts(run(plan("holocine,isolated", other, suite=suite, changed="rerun"), out, here)) == (2, 0, 0)
    assert {item: read_record(out, item).hashes.model for item in first} != {i: h.model for i, h in first.items()}


def test_where_it_is_computed_changes_no_result(plan, tmp_path, scores):
    run(plan(), tmp_path / "here", here)
    run(plan(), tmp_path / "workers", lambda *args, **options: run_local(*args, workers=2, **options))
    for i in (1, 2):
        run(plan(shard=(i, 2)), tmp_path / f"shard{i}", here)
    assert merge(tmp_path / "merged", [tmp_path / "shard1", tmp_path / "shard2"]) == 6
    assert len(scores(tmp_path / "here")) == 6
    assert scores(tmp_path / "here") == scores(tmp_path / "workers") == scores(tmp_path / "merged")
    assert not scores(tmp_path / "shard1").keys() & scores(tmp_path / "shard2").keys()
    assert counts(run(plan(), tmp_path / "merged", here)) == (0, 0, 6), "a merged run is a run"


def test_progress_tells_items_time_left_and_what_is_being_worked_on(plan, tmp_path):
    seen = []
    run(plan("still", limit=2), tmp_path, here, seen.append)
    assert [(p.done, p.total, p.last and p.last.storyboard_id) for p in seen] == [
        *((0, 2, None), (1, 2, "scene-0")),
        *((1, 2, None), (2, 2, "scene-1")),
    ]
    assert [p.current for p in seen] == [(Item("still", "scene-0", 0),), (), (Item("still", "scene-1", 0),), ()]
    assert seen[0].eta is None and seen[1].eta > 0 and seen[3].eta == 0


def test_loading_a_model_is_recorded_apart_from_making_the_video_it_was_loaded_for(plan, tmp_path, monkeypatch):
    clock, passed, load = time.perf_counter, [0.0], holocine.load_pipeline

    def slow(*arguments, **options):
        passed[0] += 1000  # seconds, as a large model takes
        return load(*arguments, **options)

    monkeypatch.setattr(holocine, "load_pipeline", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + passed[0])
    run(plan("holocine", ModelSettings(num_inference_steps=1), limit=2), tmp_path, here)
    first, second = (read_record(tmp_path, Item("holocine", f"scene-{n}", 0)).seconds for n in (0, 1))
    assert first["load"] >= 1000 and 0 < first["generate"] < 500 and 0 < first["score"] < 500
    assert set(second) == {"generate", "score"}
    note = what_ran(summarise(load_run(tmp_path))).note
    assert re.search(r"Loading models took 10\d\d\.\d s in all, which are in none of these seconds", note)


# What fails


def test_an_item_that_fails_is_recorded_and_the_others_go_on(plan, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    out = tmp_path / "run"
    write_video(videos / "scene-0.mp4", np.zeros((9, 64, 112, 3), np.uint8), 12)
    write_video(videos / "scene-1.mp4", np.zeros((3, 64, 112, 3), np.uint8), 12)
    (videos / "scene-2.mp4").write_bytes(b"no video")
    named = {"scene-0": "scene-0.mp4", "scene-1": {"file": "scene-1.mp4", "start": 0.5}, "scene-2": "scene-2.mp4"}
    (videos / "videos.json").write_text(json.dumps(named))
    some = plan(f"mine=folder:{videos},still")
    first = run(some, out, here)
    assert counts(first) == (4, 2, 0) and first.first_failed == Item("mine", "scene-1", 0)
    assert (Item("mine", "scene-0", 0).folder(out) / "video.mp4").read_bytes() == (videos / "scene-0.mp4").read_bytes()
    short, damaged = (read_record(out, Item("mine", id, 0)) for id in ("scene-1", "scene-2"))
    assert short.status == damaged.status == "failed"
    assert "no shot of the storyboard has a frame: the scene was to begin after 0.5 s" in short.error
    assert damaged.error.startswith(f"{videos / 'scene-2.mp4'} is not a video that can be read")
    assert "\n" not in damaged.error
    assert "Traceback" in (damaged.item.folder(out) / "log.txt").read_text()
    assert not (damaged.item.folder(out) / "scorecard.json").exists()

    again = run(some, out, here)
    assert counts(again) == (0, 0, 6) and again.kept_failed == 2
    assert again.first_failed == Item("mine", "scene-1", 0)
    assert counts(run(replace(some, retry_failed=True), out, here)) == (0, 2, 4)
    write_video(videos / "scene-1.mp4", np.zeros((9, 64, 112, 3), np.uint8), 12)
    assert counts(run(some, out, here)) == (1, 0, 5), "a failed item whose video has changed is new"


def test_finished_videos_that_have_changed_are_named_with_what_to_do(plan, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "run"
    videos.mkdir()
    for n, number in enumerate((0, 50, 100)):
        write_video(videos / f"scene-{n}.mp4", np.full((9, 64, 112, 3), number, np.uint8), 12)
    mine = plan(f"mine=folder:{videos}")
    assert counts(run(mine, out, here)) == (3, 0, 0)
    write_video(videos / "scene-1.mp4", np.full((9, 64, 112, 3), 200, np.uint8), 12)
    with pytest.raises(RunError) as said:
        run(mine, out, here)
    assert str(said.value) == (
        f"{out} has 1 item of videos that have changed, first mine scene-1 seed 0: the video {videos / 'scene-1.mp4'} "
        "is another file than the one that was scored; choose another folder, or --changed rerun to score the new ones"
    )
    assert counts(run(replace(mine, changed="rerun"), out, here)) == (1, 0, 2)
    (videos / "videos.json").write_text(json.dumps({"scene-0": {"file": "scene-0.mp4", "start": 0.5}}))
    with pytest.raises(RunError, match=r"videos.json says otherwise of .*scene-0.mp4 \(cuts, fps, start or align\)"):
        run(mine, out, here)
    (videos / "videos.json").unlink()
    (videos / "scene-2.mp4").unlink()
    with pytest.raises(RunError, match=r"the video that was scored is gone \(.*holds no video for storyboard scene-2"):
        run(mine, out, here)


def test_a_mapping_says_how_each_video_is_compared_and_scoring_again_remembers(plan, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    out = tmp_path / "run"
    for number in range(3):
        write_video(videos / f"{number}.mp4", np.zeros((18, 64, 112, 3), np.uint8), 24)
    own = {"scene-1": {"file": "1.mp4", "align": "share"}, "scene-2": {"file": "2.mp4", "cuts": [6]}}
    (videos / "videos.json").write_text(json.dumps({"scene-0": "0.mp4", **own}))
    suite = plan(f"mine=folder:{videos}")
    run(suite, out, here)

    def asked():
        files = (Item("mine", f"scene-{n}", 0).folder(out) / "scorecard.json" for n in range(3))
        return [json.loads(file.read_text())["asked"] for file in files]

    first = asked()
    assert [one["policy"] for one in first] == ["seconds", "share", "frames"]
    assert first[1]["num_frames"] == 18 and first[2]["cuts"] == [6]
    for number in range(3):
        (Item("mine", f"scene-{number}", 0).folder(out) / "scorecard.json").unlink()
    rescore(out, suite.scoring, here)
    assert asked() == first


def test_a_video_that_is_not_there_fails_its_item_alone(plan, tmp_path):
    (tmp_path / "videos").mkdir()
    out = tmp_path / "run"
    assert counts(run(plan(f"mine=folder:{tmp_path / 'videos'},still"), out, here)) == (3, 3, 0)
    assert "holds no video for storyboard scene-0" in read_record(out, Item("mine", "scene-0", 0)).error


@pytest.mark.parametrize(("deaths", "status"), [(1, "done"), (2, "failed")])
def test_a_worker_that_is_killed_is_replaced_and_its_item_tried_once_more(plan, tmp_path, deaths, status):
    left = [deaths]

    def engine(jobs, make_worker, scratch, begun):
        def kill(item):
            begun(item)
            if item.storyboard_id == "scene-1" and left[0]:
                left[0] -= 1
                [worker] = multiprocessing.active_children()
                os.kill(worker.pid, signal.SIGKILL)

        yield from run_local(jobs, make_worker, scratch=scratch, begun=kill)

    summary = run(plan("still"), tmp_path, engine)
    assert left == [0] and not multiprocessing.active_children()
    record = read_record(tmp_path, Item("still", "scene-1", 0))
    assert record.status == status
    assert counts(summary) == ((3, 0, 0) if status == "done" else (2, 1, 0))
    if status == "failed":
        assert "the worker died 2 times, at last by signal SIGKILL" in record.error
        assert counts(run(plan("still", retry_failed=True), tmp_path, here)) == (1, 0, 2)


class LockOfBars:
    """A worker that says what a progress bar is locked by."""

    def __init__(self, scratch):
        pass

    def do(self, job):
        with tqdm(total=1, disable=True):
            return type(tqdm.get_lock()).__name__


def test_a_progress_bar_in_a_worker_makes_no_semaphore_that_is_left_when_it_is_killed(ready_workers):
    assert list(run_local([SimpleNamespace(item="a")], LockOfBars)) == ["RLock"]


def test_workers_that_cannot_start_end_the_run_with_the_reason(plan, tmp_path):
    def engine(jobs, make_worker, **options):
        return run_local(jobs, os.rmdir, **options)

    with pytest.raises(RunError, match="a worker could not start: .*No such file or directory"):
        run(plan("still"), tmp_path, engine)


# What has changed


def changed_caption(suite: Suite, index: int) -> Suite:
    entries = list(suite.entries)
    board = entries[index].storyboard
    shots = (board.shots[0].model_copy(update={"caption": "Another caption."}), *board.shots[1:])
    entries[index] = replace(entries[index], storyboard=board.model_copy(update={"shots": shots}))
    return replace(suite, entries=tuple(entries))


def test_a_changed_suite_is_refused_or_only_its_changed_storyboards_are_run_again(plan, tiny, tmp_path):
    run(plan("still"), tmp_path, here)
    kept = (Item("still", "scene-0", 0).folder(tmp_path) / "video.mp4").stat().st_mtime_ns
    other = changed_caption(tiny, 1)
    other = replace(other, entries=other.entries[:2])
    with pytest.raises(RunError, match="the suite tiny has changed since .* --changed rerun to redo what differs"):
        run(plan("still", suite=other), tmp_path, here)
    assert RunInfo.load(tmp_path).suite["sha256"] == tiny.sha256
    assert counts(run(plan("still", suite=other, changed="rerun"), tmp_path, here)) == (1, 0, 1)
    assert [item.storyboard_id for item in items_in(tmp_path)] == ["scene-0", "scene-1"], "what left the suite goes"
    assert (Item("still", "scene-0", 0).folder(tmp_path) / "video.mp4").stat().st_mtime_ns == kept
    assert load_suite(tmp_path / "suite.jsonl") == other
    assert counts(run(plan("still", suite=other), tmp_path, here)) == (0, 0, 2)


def test_tags_are_no_reason_to_make_videos_again(plan, tiny, tmp_path):
    run(plan("still"), tmp_path, here)
    tagged = replace(tiny, entries=tuple(replace(entry, tags=("shots:2", "genre:farce")) for entry in tiny.entries))
    assert counts(run(plan("still", suite=tagged, changed="rerun"), tmp_path, here)) == (0, 0, 3)
    assert load_suite(tmp_path / "suite.jsonl") == tagged


def test_another_suite_is_always_refused(plan, tiny, tmp_path):
    run(plan("still", limit=1), tmp_path, here)
    other = replace(tiny, name="other")
    with pytest.raises(RunError, match="holds results of the suite tiny, not of other: choose another folder"):
        run(plan("still", suite=other, changed="rerun"), tmp_path, here)


def test_changed_metrics_are_refused_or_videos_are_scored_again_and_not_made(plan, tmp_path, monkeypatch):
    run(plan("still"), tmp_path, here)
    item = Item("still", "scene-0", 0)
    before, video = read_record(tmp_path, item), (item.folder(tmp_path) / "video.mp4").read_bytes()
    transnet = replace(plan("still").scoring, detector="transnetv2")
    with pytest.raises(RunError, match="3 items .*: --detector was pyscenedetect, now transnetv2; .* score them"):
        run(plan("still", scoring=transnet), tmp_path, here)
    monkeypatch.setattr("benchmarks.systems.systems.World.generate", None)
    assert counts(run(plan("still", scoring=transnet, changed="rerun"), tmp_path, here)) == (3, 0, 0)
    after = read_record(tmp_path, item)
    assert after.hashes.same_video(before.hashes) and after.hashes.metrics != before.hashes.metrics
    assert after.seconds["generate"] == before.seconds["generate"] and after.seconds["score"] != before.seconds["score"]
    assert (item.folder(tmp_path) / "video.mp4").read_bytes() == video
    assert Scorecard.load(item.folder(tmp_path) / "scorecard.json").detector.startswith("transnetv2")


def test_videos_of_the_puppet_world_as_it_was_are_refused_or_made_again(plan, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.systems.systems.WORLD_VERSION", 1)
    monkeypatch.setattr("benchmarks.running.run.WORLD_VERSION", 1)
    run(plan(), tmp_path, here)
    assert RunInfo.load(tmp_path).world == 1
    monkeypatch.setattr("benchmarks.systems.systems.WORLD_VERSION", 2)
    monkeypatch.setattr("benchmarks.running.run.WORLD_VERSION", 2)
    with pytest.raises(RunError, match="6 items .*: the puppet world was of version 1, now 2; .* --changed rerun"):
        run(plan(), tmp_path, here)
    assert counts(run(plan(limit=2, changed="rerun"), tmp_path, here)) == (4, 0, 0)
    assert RunInfo.load(tmp_path).world == 2
    with pytest.raises(ResultsError, match="another version of the puppet world than the rest"):
        load_run(tmp_path)
    assert counts(run(plan(changed="rerun"), tmp_path, here)) == (2, 0, 4)
    assert len(load_run(tmp_path).items) == 6


def test_a_raised_metric_version_is_noticed(plan, tmp_path, monkeypatch):
    from benchmarks.running import scoring

    run(plan("still"), tmp_path, here)
    monkeypatch.setattr(scoring, "_DEFINITIONS", {})
    raised = tuple("sca/2" if metric == "sca/1" else metric for metric in scoring.metric_ids())
    for module in ("scoring", "run"):
        monkeypatch.setattr(f"benchmarks.running.{module}.metric_ids", lambda: raised)
    with pytest.raises(RunError, match="3 items made otherwise, .*: metrics were sca/1, now sca/2;"):
        run(plan("still"), tmp_path, here)


def test_scoring_again_scores_what_is_not_of_the_present_metrics(plan, cheap, tmp_path, monkeypatch, scores):
    run(plan(), tmp_path, here)
    first = scores(tmp_path)
    assert counts(rescore(tmp_path, cheap, here)) == (0, 0, 6)
    assert counts(rescore(tmp_path, replace(cheap, detector="transnetv2"), here)) == (6, 0, 0)
    assert scores(tmp_path) != first and RunInfo.load(tmp_path).scoring["detector"] == "transnetv2"
    assert counts(rescore(tmp_path, cheap, here)) == (6, 0, 0)
    assert scores(tmp_path) == first
    with pytest.raises(RunError, match="nothing holds no run: there is no such folder"):
        rescore(tmp_path / "nothing", cheap, here)
    assert not (tmp_path / "nothing").exists()


# What is damaged


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": "holocine-scorecard/1"}', b"\xff\xfe"])
def test_a_corrupted_scorecard_is_scored_again_without_generating(plan, tmp_path, content, scores, monkeypatch):
    run(plan("truth", limit=1), tmp_path, here)
    before = scores(tmp_path)
    [path] = tmp_path.glob("items/*/*/*/scorecard.json")
    path.write_bytes(content)
    monkeypatch.setattr("benchmarks.systems.systems.World.generate", None)
    assert counts(run(plan("truth", limit=1), tmp_path, here)) == (1, 0, 0)
    assert scores(tmp_path) == before


@pytest.mark.parametrize("damage", ["record.json", "video.mp4"])
def test_an_item_without_its_record_or_video_is_made_again(plan, tmp_path, damage, scores):
    run(plan("truth", limit=1), tmp_path, here)
    before = scores(tmp_path)
    next(tmp_path.glob(f"items/*/*/*/{damage}")).unlink()
    assert counts(run(plan("truth", limit=1), tmp_path, here)) == (1, 0, 0)
    assert scores(tmp_path) == before


def test_a_damaged_run_json_says_what_to_do(plan, tmp_path):
    run(plan("truth", limit=1), tmp_path, here)
    (tmp_path / "run.json").write_text('{"suite"')
    with pytest.raises(RunError, match=r"run.json is damaged .*: delete it; the items stay"):
        run(plan("truth", limit=1), tmp_path, here)
    (tmp_path / "run.json").unlink()
    assert counts(run(plan("truth", limit=1), tmp_path, here)) == (0, 0, 1)


def test_what_a_killed_run_left_half_written_is_swept_away(plan, tmp_path):
    run(plan("still", limit=1), tmp_path, here)
    parent = Item("still", "scene-0", 0).folder(tmp_path).parent
    for leftover in (parent / ".0.4711.part", parent / ".0.old", tmp_path / ".scratch" / "tmp"):
        leftover.mkdir(parents=True)
        (leftover / "video.mp4").write_bytes(b"half")
    assert len(list(items_in(tmp_path))) == 1
    run(plan("still", limit=1), tmp_path, here)
    assert [path.name for path in parent.iterdir()] == ["0"] and not (tmp_path / ".scratch").exists()


def test_an_item_lands_whole_or_not_at_all(tmp_path, monkeypatch):
    item = Item("truth", "a", 0)
    land(tmp_path, item, {"record.json": b"old", "video.mp4": b"old"})
    with pytest.raises(TypeError):
        land(tmp_path, item, {"record.json": b"new", "video.mp4": None})
    assert (item.folder(tmp_path) / "record.json").read_bytes() == b"old"
    land(tmp_path, item, {"record.json": b"new"})
    assert [path.name for path in item.folder(tmp_path).iterdir()] == ["record.json"]
    assert [path.name for path in item.folder(tmp_path).parent.iterdir()] == ["0"]


# Merging


def test_parts_of_different_runs_are_not_merged(plan, tiny, tmp_path):
    run(plan("still", limit=1), tmp_path / "a", here)
    run(plan("still", suite=changed_caption(tiny, 0)), tmp_path / "b", here)
    with pytest.raises(RunError, match="b has another suite than .*out: only parts of one run can be merged"):
        merge(tmp_path / "out", [tmp_path / "a", tmp_path / "b"])
    with pytest.raises(RunError, match="nothing holds no run"):
        merge(tmp_path / "new", [tmp_path / "a", tmp_path / "nothing"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(RunError, match="is both a part and the result"):
        merge(tmp_path / "a", [tmp_path / "a"])


def test_merging_prefers_what_is_done_to_what_failed(tmp_path):
    hashes = Hashes("a", None, "b", "c")
    failed, done = (Record("s", "x", 0, status, None, {}, 1.0, hashes) for status in ("failed", "done"))
    info = RunInfo({"name": "tiny", "version": 1, "sha256": ""}, {"s": "s"}, {}, (), {}, (0,))
    for name, record in (("one", failed), ("two", done), ("three", failed)):
        land(tmp_path / name, record.item, {"record.json": record.to_json().encode()})
        info.save(tmp_path / name)
        (tmp_path / name / "suite.jsonl").write_text(SUITE)
    assert merge(tmp_path / "out", [tmp_path / name for name in ("one", "two", "three")]) == 2
    assert read_record(tmp_path / "out", done.item) == done


SUITE = (
    '{"format": "holocine-suite/1", "suite": "tiny", "version": 1, "fps": 12, "num_frames": [5], "size": [112, 64]}\n'
    '{"id": "x", "storyboard": {"global_caption": "A.", "fps": 12, "shots": [{"caption": "B.", "num_frames": 5}]}}\n'
)


# One folder, one run


def test_a_run_that_is_refused_leaves_nothing_behind(plan, tiny, tmp_path):
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "there", tmp_path / "not" / "there"):
        with pytest.raises(ValueError, match="does not exist"):
            run(plan("holocine@models/nothing"), out, here)
    assert [path.name for path in tmp_path.iterdir()] == ["there"] and not list((tmp_path / "there").iterdir())
    run(plan("still", limit=1), tmp_path / "run", here)
    with pytest.raises(RunError, match="choose another folder"):
        run(plan("still", suite=replace(tiny, name="other")), tmp_path / "run", here)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "run.json", "suite.jsonl", "items"}


def test_a_lock_that_outlived_its_process_is_taken_over(tmp_path):
    (tmp_path / ".lock").write_text("process 4711 on elsewhere since 2001-01-01 00:00:00")
    with (
        locked(tmp_path),
        pytest.raises(RunError, match=f"is in use by process {os.getpid()} on .* since .*: wait for it, or choose"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass
