"""A run over imported scripts, handed to another benchmark's evaluator."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.reporting.export import parts
from benchmarks.suites.__main__ import main as suites
from benchmarks.suites.interchange import read_scripts
from holocine import read_video, write_video

STORY = {
    "story_name": "The lamp",
    "story_overview": "A keeper mends a lamp.",
    "scenes": [
        {"scene_num": 1, "video_prompts": ["Wide shot of a tower.", "It rains."], "cut": [True, False]},
        {"scene_num": 2, "video_prompts": ["Close-up of a lamp."], "cut": [True]},
    ],
}


@pytest.fixture
def run(tmp_path):
    """A cheap run over one script of three prompts in two shots: a folder of finished videos, each shot of one grey."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "lamp.json").write_text(json.dumps(STORY))
    return cheap_run(tmp_path, "st-bench", tmp_path / "scripts")


def cheap_run(tmp_path, format: str, scripts):
    """Run a folder of one finished video, two thirds of it dark and one bright, over the script `lamp`."""
    suite = tmp_path / "stories.jsonl"
    assert suites(["import", format, str(scripts), "-o", str(suite), "--seconds", "1"]) == 0
    (tmp_path / "mine").mkdir()
    grey = np.repeat(np.array([60, 60, 200], np.uint8), 16)
    frames = np.broadcast_to(grey[:, None, None, None], (48, 32, 48, 3))
    write_video(tmp_path / "mine" / "lamp.mp4", frames, 16)
    options = ["--encoders", "none", "--detector", "pyscenedetect", "--out", str(tmp_path / "run")]
    assert main(["run", "--suite", str(suite), "--systems", f"folder:{tmp_path / 'mine'}", *options]) == 0
    return tmp_path


def test_every_prompt_has_a_video_under_its_name_and_scores_are_beside_them(run):
    command = ["export", str(run / "run"), "--system", "mine", "--format", "st-bench"]
    command += ["--scripts", str(run / "scripts"), "--out", str(run / "out")]
    assert main(command) == 0
    videos = sorted((run / "out" / "videos" / "lamp").iterdir())
    assert [path.name for path in videos] == ["001_001.mp4", "001_002.mp4", "002_001.mp4"]
    read = [read_video(path) for path in videos]
    assert [len(video.frames) for video in read] == [16, 16, 16] and read[0].fps == 16
    assert [round(float(video.frames.mean()), -1) for video in read] == [60, 60, 200]
    content = json.loads((run / "out" / "results.json").read_text())
    assert (content["method"], content["benchmark"]) == ("mine", "st-bench")
    found = content["stories"]["lamp"]["scores"]
    assert found["sca"] is not None and content["mean"]["sca"] == found["sca"]
    assert any(value is None for value in found.values()) and content["stories_with_a_value"]["sca"] == 1
    assert main(command) == 2, "an export is not overwritten"


def test_vistorybench_gets_the_middle_frame_of_every_shot(tmp_path):
    shot = {key: {"en": "A lamp"} for key in ("Setting Description", "Static Shot Description", "Plot Correspondence")}
    shot |= {"Characters Appearing": {"en": []}, "Shot Perspective Design": {"en": "Wide shot"}}
    (tmp_path / "stories" / "lamp").mkdir(parents=True)
    shots = [shot | {"index": number} for number in (1, 2, 3)]
    (tmp_path / "stories" / "lamp" / "story.json").write_text(json.dumps({"Shots": shots}))
    run = cheap_run(tmp_path, "vistorybench", tmp_path / "stories")
    command = ["export", str(run / "run"), "--system", "mine", "--format", "vistorybench"]
    assert main([*command, "--scripts", str(run / "stories"), "--out", str(run / "out")]) == 0
    [story] = (run / "out" / "outputs" / "mine" / "base" / "en").glob("*/shots/lamp")
    assert sorted(path.name for path in story.iterdir()) == ["shot_00.png", "shot_01.png", "shot_02.png"]
    assert np.asarray(Image.open(story / "shot_02.png")).mean() == pytest.approx(200, abs=8)


def test_a_system_or_scripts_that_are_not_there_are_said(run, capsys):
    command = ["export", str(run / "run"), "--format", "st-bench", "--scripts", str(run / "scripts")]
    assert main([*command, "--system", "yours", "--out", str(run / "out")]) == 2
    assert "has no system 'yours'; it has mine" in capsys.readouterr().err
    (run / "scripts" / "lamp.json").rename(run / "scripts" / "other.json")
    assert main([*command, "--system", "mine", "--out", str(run / "out")]) == 2
    assert "storyboard lamp is no script in the source" in capsys.readouterr().err
    assert not (run / "out").exists()


def test_scripts_with_other_shots_than_the_suite_and_a_language_that_is_not_theirs_are_said(run, capsys):
    scripts = run / "scripts" / "lamp.json"
    command = ["export", str(run / "run"), "--system", "mine", "--format", "st-bench", "--scripts", str(scripts)]
    assert main([*command, "--out", str(run / "out"), "--language", "ch"]) == 2
    assert "--language ch is for vistorybench" in capsys.readouterr().err
    scripts.write_text(json.dumps({**STORY, "scenes": STORY["scenes"][:1]}))
    assert main([*command, "--out", str(run / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{scripts}: is not what story lamp" in said and "it has 1 shot, the run 2; name those scripts" in said
    assert not (run / "out").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda story: story.update(story_overview="Nobody."),
            "what is said of the whole is 'Nobody.', in the run 'A k",
        ),
        (
            lambda story: story["scenes"][1].update(video_prompts=["Close-up of a hand."]),
            "shot 2 is 'Close-up of a hand.', in the run 'Close-up of a lamp.'",
        ),
        (
            lambda story: story["scenes"][0].update(video_prompts=["Wide shot of a tower. It rains."], cut=[True]),
            "shot 1 is of 1 prompt, in the run of another number",
        ),
    ],
)
def test_scripts_that_were_changed_since_they_were_imported_are_not_exported(run, capsys, change, told):
    story = json.loads(json.dumps(STORY))
    change(story)
    file = run / "scripts" / "lamp.json"
    file.write_text(json.dumps(story))
    command = [
        "export",
        str(run / "run"),
        "--system",
        "mine",
        "--format",
        "st-bench",
        "--scripts",
        str(run / "scripts"),
    ]
    assert main([*command, "--out", str(run / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{file}: is not what story lamp of {run / 'run'} was imported from: {told}" in said
    assert "or import these with `python -m benchmarks.suites import`" in said and not (run / "out").exists()


def test_shots_are_cut_out_where_the_video_was_made_to_have_them(run):
    [script] = read_scripts("st-bench", run / "scripts" / "lamp.json")
    from benchmarks.suites.suite import load_suite

    asked = load_suite(run / "stories.jsonl")["lamp"].storyboard
    made = asked.run_on((20, 10))
    assert dict(parts(script, asked, made, 30, 16)) == {
        "001_001": range(0, 10),
        "001_002": range(10, 20),
        "002_001": range(20, 30),
    }
    assert dict(parts(script, asked, None, 40, 16))["002_001"] == range(32, 40)
