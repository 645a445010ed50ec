"""What goes into the repository: a run's small results, the README's table, and what is said of the order."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.reporting.publish import FILES, order_in_words, portable, run_command
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from benchmarks.running.items import RunInfo

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
    assert made["command"] in readme.read_text() and made["seconds"] == {"generate": 20.0, "score": 10.0}
    assert (made["storyboards"], made["videos"], made["failed"]) == (2, 10, 0)
    assert made["measured_with"] == ["clip puppet", "transnetv2"]
    assert RunInfo.load(out) == RunInfo.load(run), "what else it says is in nobody's way"
    videos = pd.read_csv(out / "videos.csv")
    assert list(videos["generate_seconds"]) == [2.0] * 10 and set(videos["system"]) == set(BY_NAME)
    assert names - {"metrics.parquet", "README.md"} == FILES.keys(), "each file is explained"
    assert pd.read_csv(out / "table.csv").set_index("system").loc["holocine", "sca"] == pytest.approx(0.8)
    text = readme.read_text()
    assert text.startswith("before\n<!-- results of tiny -->\n2 of the 3 storyboards of `tiny`, 5 systems, 10 videos;")
    assert "took 30.0 s in all" in text
    command = "python -m benchmarks run --suite tiny --systems holocine,isolated,best=truth,still,shuffled --limit 2"
    assert f"```sh\n{command} --out runs/tiny\n```" in text
    assert "| **0.8000 ± 0.0000** |" in text and "**subject ↑** disagrees" in text and "EARLIER" not in text
    assert text.endswith("<!-- end of results -->\nafter\n") and str(tmp_path) not in text
    assert text.split("-->\n", 1)[1].split("<!--")[0] in (out / "README.md").read_text()
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
        run_command(results)
    )


def test_a_readme_without_a_place_for_the_table_says_what_it_needs(run, tmp_path, capsys):
    (tmp_path / "README.md").write_text("nothing\n")
    places = ["--results", str(tmp_path / "results"), "--readme", str(tmp_path / "README.md")]
    assert main(["publish", str(run), *places]) == 2
    assert "put the lines <!-- results of tiny --> and <!-- end of results --> where" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "nothing\n" and not (tmp_path / "results").exists()
