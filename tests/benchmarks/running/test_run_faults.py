"""Runs as processes of their own: killed, interrupted, two at once, without room, and with words that mean nothing."""

import os
import random
import resource
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.running.items import Item, items_in, read_record
from benchmarks.suites.suite import Entry, write_suite
from holocine import Storyboard, write_video
from tests.programs import as_a_terminal_starts_it

PATIENCE = 120  # seconds, on a machine that does much else
LITTLE = 8 * 1024  # bytes, less than a video takes

pytestmark = pytest.mark.usefixtures("ready_workers")  # of runs in this process


def landed(out) -> int:
    return len(list(items_in(out))) if out.exists() else 0


def wait_until(condition, process) -> None:
    end = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "nothing has happened for too long"
        time.sleep(0.01)


def children(process) -> list[int]:
    """Processes that a process has started; a thread of it that ends meanwhile, or all of it, has none any more."""
    found = []
    with suppress(FileNotFoundError):
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{process.pid}/task/{task}/children").read_text().split())
    return found


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_gone(pids: list[int]) -> bool:
    """Tell whether processes end, be it a moment later."""
    end = time.monotonic() + PATIENCE
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(is_alive, pids))


def test_a_run_killed_six_times_ends_with_the_same_results(command, start, tmp_path, scores):
    rng = random.Random(0)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert main(command("truth,still,shuffled", undisturbed)) == 0
    for attempt in range(6):
        process = start(command("truth,still,shuffled", killed))
        goal = landed(killed) + rng.choice((0, 1, 1))
        wait_until(lambda goal=goal: landed(killed) >= min(goal, 8) and (killed / "run.json").exists(), process)
        time.sleep(rng.uniform(0, 0.8))
        orphans = children(process) if process.poll() is None else []
        process.kill()
        process.wait()
        if attempt == 5:
            assert all_gone(orphans), "workers end with the process that started them"
    assert main(command("truth,still,shuffled", killed)) == 0
    assert len(scores(undisturbed)) == 9
    assert scores(killed) == scores(undisturbed)
    assert all(read_record(killed, item).status == "done" for item in items_in(killed))
    assert not list(killed.glob("items/*/*/.*")) and not (killed / ".scratch").exists()


def test_an_interrupt_ends_the_run_and_its_workers_and_keeps_what_has_landed(command, start, tmp_path):
    out = tmp_path / "run"
    many = ("--seeds", "40")  # more than are done before a busy machine lets this test interrupt them
    process = start(command("truth,still", out, "--workers", "2", *many), as_a_terminal_starts_it)
    wait_until(lambda: landed(out) >= 1, process)
    workers = children(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "benchmarks: interrupted: what has landed stays, and the same command goes on"
    assert "Traceback" not in errors and workers and all_gone(workers)
    assert landed(out) >= 1 and all(read_record(out, item).status == "done" for item in items_in(out))


def test_two_runs_cannot_have_one_folder(command, start, tmp_path, capsys):
    out = tmp_path / "run"
    process = start(command("truth,still,shuffled", out))
    wait_until(lambda: (out / "run.json").exists(), process)
    assert main(command("truth", out)) == 2
    error = capsys.readouterr().err
    assert f"{out} is in use by process {process.pid} on " in error and error.count("\n") == 1
    process.kill()
    process.wait()
    assert main(command("truth", out, "--limit", "1")) == 0, "the lock went with its process"


def with_little_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE, LITTLE))


def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(command, start, tmp_path, scores):
    out = tmp_path / "run"
    full = start(command("truth,still", out), with_little_room)
    _, errors = full.communicate(timeout=PATIENCE)
    assert full.returncode == 2
    assert "there is no space" in errors and "make room and run the same command again" in errors
    assert "Traceback" not in errors and landed(out) == 0, "no item is blamed for it"
    assert main(command("truth,still", out)) == 0
    assert len(scores(out)) == 6


@pytest.mark.skipif(not shutil.os.access("/dev/full", os.W_OK), reason="no /dev/full here")
def test_no_room_for_an_items_files_is_said_with_the_remedy(command, tmp_path, monkeypatch, capsys):
    from benchmarks.running import items

    def without_room(self, content):
        with open("/dev/full", "wb") as file:
            file.write(content)

    monkeypatch.setattr(items.Path, "write_bytes", without_room)
    assert main(command("still", tmp_path / "run", "--limit", "1")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("benchmarks: there is no space") and "No space left on device" in error
    assert landed(tmp_path / "run") == 0


def test_a_run_tells_what_it_does_and_fails_when_items_do(command, tmp_path, capsys):
    out, videos = tmp_path / "run", tmp_path / "videos"
    videos.mkdir()
    (videos / "scene-0.mp4").write_bytes(b"no video")
    assert main(command(f"still,mine=folder:{videos}", out, "--limit", "1")) == 1
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[0].startswith("[1/2") and "ETA" in lines[0] and " still scene-0 seed 0: " in lines[0]
    assert "mine scene-0 seed 0: failed: " in lines[1] and "is not a video that can be read" in lines[1]
    assert f"{out}: 1 item done, 1 failed" in captured.out and "--retry-failed works on them again" in captured.out
    assert f"first of mine scene-0 seed 0 in {out / 'items' / 'mine' / 'scene-0' / '0'}" in captured.out
    assert main(command("still", out, "--limit", "1")) == 0
    said = capsys.readouterr().out
    assert "0 items done, 1 was there, 0 failed" in said and said.endswith("(1 of 3 storyboards)\n")


def test_what_is_refused_is_told_once_a_kind_before_anything_is_made_and_no_retry_is_offered(
    command, tiny, tmp_path, capsys
):
    scenes = [Entry(f"long-{n}", Storyboard.from_captions("A studio.", ["A hand."] * 13, 53, fps=12.0)) for n in (1, 2)]
    one = Entry("short", Storyboard.from_captions("A studio.", ["A hand."], 53, fps=12.0))
    suite = replace(tiny, name="film", num_frames=(53,), entries=(*scenes, one))
    write_suite(tmp_path / "film.jsonl", suite)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "short.mp4", np.zeros((53, 64, 112, 3), np.uint8), 12)
    out = tmp_path / "run"
    run = command(f"truth,mine=folder:{tmp_path / 'videos'}", out, "--suite", str(tmp_path / "film.jsonl"))
    assert main(run) == 1
    captured = capsys.readouterr()
    first, second, third, *progress = captured.err.splitlines()
    assert first.startswith("benchmarks: truth cannot make long-1 and 2 others for such a reason: truth shows scenes")
    assert second.startswith("benchmarks: mine cannot make long-1 and 1 other for such a reason: ")
    assert third == "benchmarks: 5 of 6 items are recorded as refused, 1 remains to be made"
    assert [line.split("]")[1] for line in progress if "failed" in line] == [] and "mine short seed 0: " in progress[0]
    record = read_record(out, Item("truth", "long-1", 0))
    assert (record.status, record.refused) == ("failed", True) and "is not one of them" in record.error
    assert "1 item done, 5 failed" in captured.out and "--retry-failed" not in captured.out
    assert "the same would come of another attempt" in captured.out
    (tmp_path / "videos" / "long-1.mp4").write_bytes(b"no video")
    assert main(run) == 1
    captured = capsys.readouterr()
    assert "--retry-failed works again on 1 that may succeed, and 4 cannot" in captured.out
    assert "recorded as refused" not in captured.err, "which is told of what is due alone"


def test_a_run_of_the_embedded_model_over_another_world_says_so_once_before_it_begins(command, tiny, tmp_path, capsys):
    scene = Storyboard.from_captions("A bright studio.", ("A young painter.", "Her hand."), num_frames=9)
    write_suite(tmp_path / "film.jsonl", replace(tiny, name="film", fps=scene.fps, entries=(Entry("a", scene),)))
    film = ["--suite", str(tmp_path / "film.jsonl"), "--steps", "1"]
    assert main(command("holocine,isolated", tmp_path / "a", *film)) == 0
    first, *others = capsys.readouterr().err.splitlines()
    assert first == (
        "benchmarks: holocine and isolated run the embedded model, which knows the puppet world alone, and these "
        "storyboards are not of it: its videos show no more than that, whatever is asked; name a model of this world "
        "by --model FOLDER or SYSTEM@FOLDER"
    )
    assert not any("embedded" in line for line in others)
    assert main(command("holocine", tmp_path / "b", "--limit", "1", "--steps", "1")) == 0
    assert "embedded" not in capsys.readouterr().err


def test_shards_are_joined_by_the_command_line(command, tmp_path, capsys):
    for i in (1, 2):
        assert main(command("still", tmp_path / str(i), "--shard", f"{i}/2")) == 0
    assert main(["merge", str(tmp_path / "all"), str(tmp_path / "1"), str(tmp_path / "2")]) == 0
    assert f"{tmp_path / 'all'}: 3 items came from 2 parts" in capsys.readouterr().out
    assert set(items_in(tmp_path / "all")) == {Item("still", f"scene-{i}", 0) for i in range(3)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--systems": "holosine"}, "the system 'holosine' is unknown (did you mean holocine?); choose from holocine"),
        ({"--systems": ""}, "no system was named"),
        ({"--suite": "puppets"}, "there is no suite 'puppets' (did you mean puppet?); there are cinema, puppet"),
        ({"--suite": "none.jsonl"}, "none.jsonl: cannot be read"),
        ({"--suite": "HERE/baad.jsonl"}, "No such file or directory (did you mean HERE/bad.jsonl?)"),
        ({"--systems": "folder:HERE/fil"}, "or a mapping file, that exists (did you mean HERE/file?)"),
        ({"--systems": "truth", "--steps": "2"}, "none of the systems runs a model: leave --steps out"),
        ({"--suite": "BAD"}, "bad.jsonl, line 3: scene-1: shot 1 of 2: num_frames"),
        ({"--encoders": "clip"}, "clip' is no encoder"),
        ({"--detector": "eyes"}, "invalid choice: 'eyes'"),
        ({"--model": "not-there", "--systems": "holocine"}, "the model 'not-there' does not exist"),
        ({"--guidance": "nan"}, "'nan' is not a number of 0 or more"),
        ({"--aesthetic": "none.pth"}, "--aesthetic none.pth: there is no such file"),
        ({"--shard": "3/2"}, "'3/2' does not read i/n"),
        ({"--seeds": "0"}, "'0' is not a whole number of 1 or more"),
        ({"--address": "auto"}, "--address is for --engine ray"),
        ({"--gpus": "99"}, "1 workers of 99 GPUs each need 99, and there are 0"),
        ({"--gpus": "1", "--device": "cpu"}, "--gpus gives each worker its own and --device cpu one to all"),
        ({"--out": "FILE/run"}, "FILE/run cannot hold a run: FILE: is a file, a folder is needed"),
    ],
)
def test_what_cannot_be_run_is_one_line_that_says_why(command, suite_file, tmp_path, changes, message, capsys):
    lines = suite_file.read_text().splitlines()
    lines[2] = lines[2].replace('"num_frames": 5', '"num_frames": -5', 1)
    (tmp_path / "bad.jsonl").write_text("\n".join(lines))
    (tmp_path / "file").write_text("")
    arguments = command("still", tmp_path / "run", "--limit", "1")
    for name, value in changes.items():
        value = value.replace("BAD", str(tmp_path / "bad.jsonl")).replace("FILE", str(tmp_path / "file"))
        value = value.replace("HERE", str(tmp_path))
        if name in arguments:
            arguments[arguments.index(name) + 1] = value
        else:
            arguments += [name, value]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("benchmarks: ") and error.count("\n") == 1
    assert message.replace("HERE", str(tmp_path)).replace("FILE", str(tmp_path / "file")) in error
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_command_line_names_its_commands(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {name}" in shown for name in ("run", "score", "merge", "report", "compare", "preference"))
    assert main(["walk"]) == 2
    assert "invalid choice: 'walk'" in capsys.readouterr().err
