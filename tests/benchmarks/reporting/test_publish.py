"""What goes into the repository: a run's small results, the README's table, and what is said of the order."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.again import portable, run_command
from benchmarks.reporting.publish import FILES, order_in_words
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from benchmarks.running.code import code_version
from benchmarks.running.items import RunInfo
from benchmarks.suites.suite import load_suite
from benchmarks.systems.models import folder_sha256
from eval.metrics import all_metrics

BY_NAME = ("holocine", "isolated", "best", "still", "shuffled")
SPECS = ("holocine", "isolated", "best=truth", "still", "shuffled")
ORDERLY = {"best": 1.0, "holocine": 0.8, "isolated": 0.7, "still": 0.3, "shuffled": 0.2}
# A video that never moves is the most consistent; shuffled shots are as consistent as others.
MISLED = {"best": 0.9, "holocine": 0.95, "isolated": 0.7, "still": 1.0, "shuffled": 0.7}


def scores(system: str, index: int, seed: int):
    cards = {
        "sca": ({"sum": ORDERLY[system], "count": 1}, 1, 1),
        "subject_consistency": ({"sum": MISLED[system], "count": 1}, 1, 1),
        "character_consistency": ({"sum": ORDERLY[system], "count": 1}, 1, 1),
    }
    if system == "still":
        cards["character_consistency"] = ({}, 0, 1)
    return cards


@pytest.fixture
def run(tiny, write_run, tmp_path):
    return write_run(tmp_path / "run", tiny, SPECS, scores, boards=(0, 1))


def test_each_metric_is_held_to_the_order_truth_models_bounds(run):
    kept, *wrong = order_in_words(summarise(load_run(run)))
    assert kept == (
        "In the order that should be (best above every model, every model above still and shuffled) are: SCA ↑, "
        "inter-shot ↑."
    )
    assert wrong == [
        "**subject ↑** disagrees: above best (0.9000) are holocine (0.9500), still (1.0000); "
        "still (1.0000) is not below all models; shuffled (0.7000) is not below isolated (0.7000)."
    ]


def test_without_truth_or_models_nothing_is_said(tiny, write_run, tmp_path):
    for specs in (("holocine", "still"), ("best=truth", "still")):
        run = write_run(tmp_path / specs[0], tiny, specs, scores)
        assert order_in_words(summarise(load_run(run))) == []


def test_small_results_and_the_readme_come_from_one_command(run, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results of tiny -->\nEARLIER\n<!-- end of results -->\nafter\n")
    places = ["--results", str(tmp_path / "results"), "--readme", str(readme)]
    assert main(["publish", str(run), *places]) == 0
    out = tmp_path / "results" / "tiny"
    names = {path.name for path in out.iterdir()}
    assert names >= {"README.md", "report.md", "run.json", "table.csv", "table.tex", "items.parquet"}
    assert not [path for path in out.rglob("*") if path.suffix in (".mp4", ".html")]
    made = json.loads((out / "run.json").read_text())["made"]
    details = (out / "README.md").read_text()
    assert made["command"] in details and made["seconds"] == {"load": None, "generate": 20.0, "score": 10.0}
    assert (made["storyboards"], made["videos"], made["failed"]) == (2, 10, 0)
    assert made["measured_with"] == ["clip puppet", "transnetv2"]
    assert RunInfo.load(out) == RunInfo.load(run), "what else it says is in nobody's way"
    videos = pd.read_csv(out / "videos.csv")
    assert list(videos["generate_seconds"]) == [2.0] * 10 and set(videos["system"]) == set(BY_NAME)
    assert names - {"metrics.parquet", "README.md", "tiny.jsonl"} == FILES.keys(), "each file is explained"
    assert pd.read_csv(out / "table.csv").set_index("system").loc["holocine", "sca"] == pytest.approx(0.8)
    text = readme.read_text()
    assert text.startswith("before\n<!-- results of tiny -->\n2 of the 3 storyboards of `tiny`, 5 systems, 10 videos. ")
    assert "took 30.0 s in all" in details
    command = "run --suite tiny.jsonl --systems holocine,isolated,best=truth,still,shuffled --limit 2 --out runs/tiny"
    assert f"```sh\npython -m benchmarks {command}\n```" in details
    assert "| **0.8000 ± 0.0000** |" in text and "**subject ↑** disagrees" in details and "EARLIER" not in text
    assert text.endswith("<!-- end of results -->\nafter\n") and str(tmp_path) not in text
    assert "Suite tiny 1, 2 of 3 storyboards" in (out / "report.md").read_text()
    assert "Suite tiny 1, 2 of 3 storyboards" in (out / "table.tex").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows and all(line in details for line in rows)
    assert "](results/tiny/README.md)." in text and len(text) < len(details) / 2
    assert main(["publish", str(run), *places]) == 0
    assert readme.read_text() == text, "the same again"


def test_the_first_storyboards_bring_their_videos(run, tmp_path, capsys):
    for index, folder in enumerate(sorted(path for path in run.glob("items/*/*/0"))):
        (folder / "video.mp4").write_bytes(bytes([index]))
    out = tmp_path / "results" / "tiny"
    entry = load_run(run).entries[0].id
    for videos in (2, 1):  # those of an earlier time do not stay
        assert main(["publish", str(run), "--results", str(out.parent), "--videos", str(videos)]) == 0
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.mp4")}
    assert found == {
        f"items/{name}/{entry}/0/video.mp4": (run / "items" / name / entry / "0" / "video.mp4").read_bytes()
        for name in BY_NAME
    }
    assert "| [items](items) |" in (out / "README.md").read_text()
    assert main(["publish", str(run), "--results", str(out.parent), "--videos", "0"]) == 0
    assert not list(out.rglob("*.mp4")) and "[items]" not in (out / "README.md").read_text()
    assert main(["publish", str(run), "--videos", "-2"]) == 2
    assert "'-2' is not a whole number of 0 or more" in capsys.readouterr().err


def test_published_facts_hold_no_folders_of_the_machine():
    systems = {"kling": "kling=folder:/home/me/videos/kling", "a": "a=holocine@/weights/a", "b": "keyframe:/w/i2v@x/y"}
    info = portable(RunInfo({}, systems, {"name": "/weights/holocine-sparse"}, (), {}, (0,)))
    assert list(info.systems.values()) == ["kling=folder:kling", "a=holocine@a", "keyframe:i2v@x/y"]
    assert info.model == {"name": "holocine-sparse"}
    assert portable(RunInfo({}, {}, {"name": "owner/name"}, (), {}, (0,))).model == {"name": "owner/name"}


def test_the_command_has_all_that_the_run_was_asked_for(run):
    results = load_run(run)
    model = {"name": "/weights/mine", "num_inference_steps": 12, "guidance_scale": 1.0, "height": None}
    scoring = {"encoders": "none", "dino": "auto", "aesthetic": "/heads/a.pth", "detector": "pyscenedetect"}
    results = replace(results, info=replace(results.info, model=model, scoring=scoring))
    assert "--model mine --steps 12 --guidance 1 --encoders none --aesthetic a.pth --detector pyscenedetect" in (
        run_command(results, run)
    )


def test_the_command_comes_with_the_suite_and_says_which_models_and_videos_it_needs(tiny, write_run, tmp_path):
    model, videos = tmp_path / "weights" / "mine", tmp_path / "videos" / "kling"
    (model / "transformer").mkdir(parents=True)
    (model / "model_index.json").write_text("{}")
    (model / "transformer" / "model.safetensors").write_bytes(b"weights")
    specs = (f"a=holocine@{model}", f"kling=folder:{videos}")
    run = write_run(tmp_path / "run", tiny, specs, lambda system, index, seed: {"sca": ({"sum": 1, "count": 1}, 1, 1)})
    for path in run.glob("items/a/*/*/record.json"):
        record = json.loads(path.read_text())
        record["hashes"]["model"] = folder_sha256(model)
        path.write_text(json.dumps(record))
    videos.mkdir(parents=True)
    for entry in tiny.entries:
        (run / "items/kling" / entry.id / "0/video.mp4").write_bytes(entry.id.encode())
        (videos / f"{entry.id}.mov").write_bytes(entry.id.encode())
    assert main(["publish", str(run), "--results", str(tmp_path / "results"), "--videos", "0"]) == 0
    out = tmp_path / "results" / "tiny"
    assert load_suite(out / "tiny.jsonl") == tiny, "which has the name of none that comes with the program"
    details = (out / "README.md").read_text()
    assert "--suite tiny.jsonl --systems a=holocine@mine,kling=folder:kling" in details
    assert f"* `mine`, the folder of the model, run by a (sha256 of its files {folder_sha256(model)})" in details
    assert "* `kling`, the folder of finished videos of kling (3 files)" in details
    assert json.loads((out / "run.json").read_text())["made"]["needs"][0].startswith("`tiny.jsonl`, the suite")
    # Whoever has put the files where the command looks for them can check them.
    place = tmp_path / "elsewhere"
    shutil.copytree(model, place / "mine")
    shutil.copytree(videos, place / "kling")
    check = ["sha256sum", "--check", "--strict", str(out / "needed.sha256")]
    assert subprocess.run(check, cwd=place, capture_output=True).returncode == 0
    (place / "kling" / f"{tiny.ids[1]}.mov").write_bytes(b"another")
    assert f"kling/{tiny.ids[1]}.mov: FAILED" in subprocess.run(check, cwd=place, capture_output=True, text=True).stdout


def test_a_suite_that_comes_with_the_program_is_named_and_nothing_more_is_needed(write_run, tmp_path):
    from benchmarks.reporting.again import needs

    run = write_run(tmp_path / "run", load_suite("puppet"), ("holocine",), scores, boards=(0,))
    results = load_run(run)
    assert "--suite puppet " in run_command(results, tmp_path) and needs(results, tmp_path) == ()


def test_a_readme_without_a_place_for_the_table_says_what_it_needs(run, tmp_path, capsys):
    (tmp_path / "README.md").write_text("nothing\n")
    places = ["--results", str(tmp_path / "results"), "--readme", str(tmp_path / "README.md")]
    assert main(["publish", str(run), *places]) == 2
    assert "put the lines <!-- results of tiny --> and <!-- end of results --> where" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "nothing\n" and not (tmp_path / "results").exists()


# What is published already


def test_a_smaller_run_does_not_replace_what_is_published_unless_told(tiny, write_run, tmp_path, capsys):
    whole, part = (
        write_run(tmp_path / name, tiny, SPECS, scores, boards=boards)
        for name, boards in (("whole", (0, 1, 2)), ("part", (0, 1)))
    )
    for record in tmp_path.glob("*/items/*/*/*/record.json"):
        os.utime(record, (10**9, 10**9))  # finished together, so that size alone decides
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results of tiny -->\n<!-- end of results -->\n")
    places = ["--results", str(tmp_path / "results"), "--readme", str(readme)]
    assert main(["publish", str(whole), *places]) == 0
    capsys.readouterr()
    published = {path: path.read_bytes() for path in [readme, *(tmp_path / "results").rglob("*")] if path.is_file()}
    assert main(["publish", str(part), *places]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    assert "part is smaller or older than what is published in" in error
    assert "2 storyboards, not 3; 10 scored videos, not 15" in error and "give --replace to put it there" in error
    assert all(path.read_bytes() == content for path, content in published.items()), "nothing was touched"
    assert main(["publish", str(part), "--replace", *places]) == 0
    assert "2 of the 3 storyboards of `tiny`" in readme.read_text()
    assert main(["publish", str(whole), *places]) == 0, "more replaces less"
    assert "All 3 storyboards of `tiny`" in readme.read_text()


def test_an_older_run_does_not_replace_what_is_published(run, tmp_path, capsys):
    out = tmp_path / "results" / "tiny"
    assert main(["publish", str(run), "--results", str(out.parent)]) == 0
    published = json.loads((out / "run.json").read_text())
    newest = max(path.stat().st_mtime for path in run.glob("items/*/*/*/record.json"))
    assert published["made"]["finished"].startswith(datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d %H:%M"))
    for path in run.glob("items/*/*/*/record.json"):
        os.utime(path, (newest - 3600, newest - 3600))
    capsys.readouterr()
    assert main(["publish", str(run), "--results", str(out.parent)]) == 2
    assert re.search(r"was finished on 20\d\d-.* UTC, not on 20\d\d-.* UTC", capsys.readouterr().err)
    for path in run.glob("items/*/*/*/record.json"):
        os.utime(path, (newest, newest))
    (out / "run.json").write_text(json.dumps(published | {"metrics": ["sca/99", "gone/1"]}))
    assert main(["publish", str(run), "--results", str(out.parent)]) == 2
    assert "earlier versions of metrics than sca/99" in capsys.readouterr().err


def test_a_table_says_which_weights_suite_metrics_and_code_it_is_of(run, tiny, tmp_path, capsys):
    model = {"name": "/weights/mine", "sha256": "ab" * 32, "transformer_sha256": "cd" * 32}
    info = RunInfo.load(run)
    replace(info, model=model, code=("commit " + "12" * 20,)).save(run)
    out = tmp_path / "results" / "tiny"
    assert main(["publish", str(run), "--results", str(out.parent)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    sca = all_metrics()["sca"].id
    for text in (said, (out / "README.md").read_text()):
        assert f"the weights `mine` (sha256 of the transformer {'cd' * 32})" in text
        assert f"the suite `tiny` 1 (sha256 {tiny.sha256})" in text and sca in text
        assert f"the code commit {'12' * 20}." in text
    for name in ("report.md", "table.tex"):
        text = " ".join((out / name).read_text().split())
        assert "cd" * 32 in text and tiny.sha256 in text and "12" * 20 in text, name
    content = json.loads((out / "run.json").read_text())
    assert content["code"] == ["commit " + "12" * 20] and content["model"]["transformer_sha256"] == "cd" * 32
    assert content["made"]["transformer_sha256"] == "cd" * 32 and content["suite"]["sha256"] == tiny.sha256


def test_a_system_with_a_model_of_its_own_is_said_with_it(run, tmp_path, capsys):
    info = RunInfo.load(run)
    replace(info, systems={**info.systems, "isolated": "isolated=echoshot@/weights/echo"}).save(run)
    for path in run.glob("items/isolated/*/*/record.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "hashes": {**record["hashes"], "model": "ef" * 32}}))
    assert main(["publish", str(run), "--results", str(tmp_path / "results")]) == 0
    text = (tmp_path / "results" / "tiny" / "README.md").read_text()
    assert f"the weights `embedded` of holocine (sha256 of the model {'ab' * 32}), " in text
    assert f"the weights `echo` of isolated (sha256 of the model {'ef' * 32}), the suite" in text


def test_the_code_is_the_commit_and_whether_it_was_changed(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True)
        return done.stdout.strip()

    assert re.fullmatch(r"version \d.*", code_version(tmp_path / "nothing"))
    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "first")
    code_version.cache_clear()
    assert code_version(tmp_path) == f"commit {git('rev-parse', 'HEAD')}"
    (tmp_path / "a.py").write_text("2")
    code_version.cache_clear()
    assert code_version(tmp_path) == f"commit {git('rev-parse', 'HEAD')} with changes"
