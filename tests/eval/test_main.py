import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.__main__ import main, program
from eval.request import UNWORDED
from eval.scorecard import Scorecard
from holocine import Storyboard, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from tests.conftest import command
from tests.programs import Program, as_a_terminal_starts_it

ROOT = Path(__file__).parents[2]
QUICK = ("--detector", "pyscenedetect")
PROMPT = "[global caption] Rain. [per shot caption] A street. [shot cut] A door. [shot cut] A street."


@pytest.fixture
def run(capsys):
    """The command line of eval, see `command`."""
    return command(main, capsys)


@pytest.fixture
def work(tmp_path, three_shots, monkeypatch):
    """A folder with two videos that have a storyboard inside, one that has none, and a text."""
    monkeypatch.chdir(tmp_path)
    board = Storyboard.from_captions(
        "A studio. [character1] is a painter.",
        ["[character1] at work.", "A cat.", "[character1] at the window."],
        num_frames=33,
        shot_cut_frames=[9, 21],
        fps=12.0,
    )
    write_video("a.mp4", three_shots, 12, board)
    write_video("b.mp4", three_shots[:, ::-1], 12, board)
    write_video("bare.mp4", three_shots, 12)
    Path("text.mp4").write_text("a text")
    Path("board.yaml").write_text(board.to_yaml())
    return tmp_path


def refused(result, code=2):
    """The one line that a refused command says."""
    got, out, err = result
    assert (got, out) == (code, "")
    assert len(err.splitlines()) == 1 and err.startswith("eval: ")
    return err


def test_score_prints_a_table_with_values_coverage_and_reasons(work, run):
    code, out, err = run("score", "a.mp4", *QUICK)
    assert code == 0 and err == ""
    assert "a.mp4: 33 frames, 2.8 s at 12 fps, 96x64" in out
    assert "cuts found: 9, 21" in out and "cuts asked: 9, 21 (3 shots)" in out
    row = next(line.split() for line in out.splitlines() if line.split()[:1] == ["sca/1"])
    assert row == ["sca/1", "↑", "1.000", "2/2", "untested"]
    without = next(line.split() for line in out.splitlines() if line.split()[:1] == ["aesthetic/1"])
    assert without[2] == "–" and without[-1].startswith("[")
    assert f"\n{without[-1]} " in out, "the reason stands below the table"


def test_score_as_json_is_a_scorecard_a_line(work, run):
    code, out, _ = run("score", "a.mp4", "b.mp4", "--json", *QUICK)
    assert code == 0
    cards = [Scorecard.from_json(line) for line in out.splitlines()]
    assert [card.video.name for card in cards] == ["a.mp4", "b.mp4"]


def test_a_bad_file_is_reported_and_makes_the_exit_code_1(work, run):
    code, out, err = run("score", "text.mp4", "a.mp4", "b.mp4", *QUICK)
    assert code == 1
    assert err.splitlines() == [
        "eval: text.mp4 is not a video that can be read: Invalid data found when processing input"
    ]
    assert "a.mp4: 33 frames" in out and "b.mp4: 33 frames" in out
    assert "2 videos" in out and "2/2" in out


def test_finished_scorecards_are_kept_in_a_folder_and_the_same_command_resumes(work, run):
    command = ("score", "a.mp4", "text.mp4", "b.mp4", "--out", "cards", *QUICK)
    code, out, err = run(*command)
    assert code == 1 and "2 of 3 videos scored, 1 failed; scorecards in cards" in out
    cards = sorted(work.glob("cards/*.json"))
    assert [card.name[:2] for card in cards] == ["a-", "b-"]
    before = [card.stat().st_mtime_ns for card in cards]
    code, out, _ = run(*command)
    assert code == 1 and "2 of 3 videos scored, 2 of them before, 1 failed" in out
    assert [card.stat().st_mtime_ns for card in cards] == before


def test_a_storyboard_file_or_a_prompt_string_with_cuts_is_scored_against(work, run):
    for source in (("--storyboard", "board.yaml"), ("--prompt", PROMPT, "--cuts", "9,21")):
        code, out, _ = run("score", "bare.mp4", "--json", *source, *QUICK)
        assert code == 0
        card = Scorecard.from_json(out)
        assert card.metrics["sca"].value == 1 and len(card.storyboard["shots"]) == 3


def test_cuts_alone_are_scored_and_nothing_is_made_up_of_texts(work, run):
    code, out, _ = run("score", "bare.mp4", "--json", "--cuts", "9,21", *QUICK)
    card = Scorecard.from_json(out)
    assert code == 0 and card.storyboard is None and card.asked.cuts == (9, 21)
    for name in ("sca", "cut_f1_0", "cut_precision_0", "cut_recall_0"):
        assert card.metrics[name].value == 1, name
    for name in ("text_shot", "text_video", "shot_retrieval"):
        assert card.metrics[name].value is None
    code, out, _ = run("score", "a.mp4", "--json", "--cuts", "9,20", *QUICK)
    own = Scorecard.from_json(out)
    assert code == 0 and len(own.storyboard["shots"]) == 3, "a video's own texts are kept"
    assert own.asked.cuts == (9, 20) and own.metrics["cut_f1_0"].value == 0.5


def test_what_is_missing_because_nobody_wrote_texts_says_so(work, run):
    card = Scorecard.from_json(run("score", "bare.mp4", "--json", "--cuts", "9,21", *QUICK)[1])
    for name in ("text_video", "text_shot", "character_presence"):
        assert card.metrics[name].reason == UNWORDED, name


def test_cuts_that_are_no_frame_numbers_and_captions_that_are_empty_are_named(work, run):
    for cuts in ("24,,48", "1.5,3", "x"):
        assert "is not a list of frame numbers" in refused(run("score", "bare.mp4", "--cuts", cuts))
    empty = "[global caption] A. [per shot caption] b [shot cut]  [shot cut] x"
    assert "shot 2 of 3" in refused(run("score", "bare.mp4", "--prompt", empty, *QUICK), 1)


def test_the_table_is_written_when_nobody_reads_what_is_printed(work):
    command = [sys.executable, "-m", "eval", "score", work / "a.mp4", work / "b.mp4", *QUICK, "--table", work / "t.csv"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.close()
    assert len((work / "t.csv").read_text().splitlines()) == 3


def test_alignment_and_start_without_anything_that_was_asked_for_are_refused(work, run):
    for how in (("--start", "9"), ("--align", "share")):
        code, _, err = run("score", "bare.mp4", *how, *QUICK)
        assert code == 1 and "give a storyboard or cuts" in err


def test_videos_of_the_theatre_are_scored_by_its_own_encoder(work, run):
    scene = sample_scene(3, num_frames=33, num_shots=2)
    storyboard = to_storyboard(scene, seed=3)
    write_video("scene.mp4", render(scene)[0], storyboard.fps, storyboard)
    code, out, _ = run("score", "scene.mp4", "--json")
    card = Scorecard.from_json(out)
    assert code == 0 and "puppet" in card.encoders["clip"].id
    for name in ("sca", "text_shot", "shot_retrieval", "background_consistency", "flicker", "sharpness"):
        assert card.metrics[name].value is not None, card.metrics[name].reason


def test_bad_usage_is_one_line_and_exit_code_2(work, run):
    for arguments, reason in (
        ((), "COMMAND"),
        (("guess",), "guess"),
        (("score",), "VIDEO"),
        (("score", "a.mp4", "--cuts", "9", "--storyboard", "board.yaml"), "board.yaml has cuts of its own"),
        (("score", "a.mp4", "--prompt", PROMPT, "--cuts", "x"), "'x' is not a list of frame numbers"),
        (("score", "a.mp4", "--prompt", PROMPT, "--storyboard", "board.yaml"), "not allowed with"),
        (("score", "a.mp4", "--jobs", "0"), "'0' is not a whole number"),
        (("score", "a.mp4", "--fps", "0"), "'0' is not a number above 0"),
        (("score", "a.mp4", "--detector", "eyes"), "'eyes'"),
        (("score", "a.mp4", "--device", "toaster"), "device is 'toaster'"),
        (("score", "a.mp4", "--encoders", "nothing"), "'nothing' is no encoder"),
        (("score", "a.mp4", "--storyboard", "missing.yaml"), "missing.yaml: cannot be read"),
        (("score", "a.mp4", "--boxes", "missing.json"), "missing.json cannot be read"),
        (("score", "a.mp4", "--out", "text.mp4"), "text.mp4"),
        (("detect",), "VIDEO"),
        (("detect", "a.mp4", "b.mp4", "--format", "edl"), "an EDL is of one video: give --out DIR"),
        (("detect", "a.mp4", "b.mp4", "--out", "text.mp4"), "text.mp4 is a file, but the shots of 2 videos need"),
        (("detect", "a.mp4", "other/a.mp4", "--out", "cuts"), "a.mp4 and other/a.mp4 would both be written to"),
        (("detect", "a.mp4", "--timeline-rate", "24"), "--timeline-rate goes with --format edl"),
        (("detect", "a.mp4", "--format", "edl", "--timeline-rate", "16"), "'16'"),
        (("detect", "a.mp4", "--format", "xml"), "xml"),
        (("report", "missing"), "missing is not a folder of scorecards"),
        (("report", "."), "holds no scorecard"),
    ):
        assert reason in refused(run(*arguments)), arguments


def test_a_video_that_is_not_there_is_reported(work, run):
    assert "missing.mp4 does not exist" in refused(run("score", "missing.mp4", *QUICK), 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(work, run):
    (work / "cards").mkdir(mode=0o500)
    assert "Permission denied" in refused(run("score", "a.mp4", "--out", "cards", *QUICK))


def test_a_place_that_cannot_be_written_is_refused_before_any_work(work, run):
    assert "cards" in refused(run("score", "a.mp4", "--out", "/proc/cards", *QUICK))
    assert "/proc/cuts.json" in refused(run("detect", "missing.mp4", "-o", "/proc/cuts.json"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_keeps_what_is_finished(work, three_shots, jobs):
    for number in range(30):
        frames = three_shots.copy()
        frames[:, :8, :8] = 8 * number
        write_video(f"take{number}.mp4", frames, 12)
    videos = sorted(map(str, work.glob("take*.mp4")))
    words = ["score", *videos, "--out", work / "cards", "--jobs", jobs, *QUICK]
    process = Program(program, words, as_a_terminal_starts_it)
    deadline = time.monotonic() + 300
    while not list(work.glob("cards/*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    finished = [Scorecard.load(path) for path in work.glob("cards/*.json")]
    assert 1 <= len(finished) < 30
    assert not list(work.glob("cards/.*")), "nothing half-written"
    last = err.splitlines()[-1]
    assert last.startswith("eval: interrupted: ") and "the same command goes on from there" in last
    assert "Traceback" not in err


def test_detect_prints_the_cuts_in_three_formats(work, run):
    code, out, _ = run("detect", "a.mp4", *QUICK)
    assert code == 0 and json.loads(out)["cuts"] == [9, 21]
    code, out, _ = run("detect", "a.mp4", "--format", "csv", *QUICK)
    assert out.splitlines()[1].startswith("1,0,9,0.0,0.75") and len(out.splitlines()) == 4
    code, out, _ = run("detect", "a.mp4", "--format", "edl", "-o", "cuts.edl", *QUICK)
    assert code == 0 and out == "" and "00:00:00:18" in Path("cuts.edl").read_text()
    code, out, _ = run("detect", "a.mp4", "-o", "again.edl", *QUICK)
    assert code == 0 and Path("again.edl").read_text().splitlines()[1:] == Path("cuts.edl").read_text().splitlines()[1:]
    assert "ends in .edl, but --format is csv" in refused(run("detect", "a.mp4", "-o", "x.edl", "--format", "csv"))
    code, out, _ = run("detect", "a.mp4", "--format", "edl", "--timeline-rate", "48", *QUICK)
    assert code == 0 and "00:00:00:36" in out and "TIMELINE RATE: 48" in out


def test_videos_of_one_stem_are_detected_into_one_folder(work, run):
    Path("a.avi").write_bytes(Path("a.mp4").read_bytes())
    assert run("detect", "a.mp4", "a.avi", "b.mp4", "-o", "cuts", *QUICK)[0] == 0
    assert sorted(path.name for path in work.glob("cuts/*")) == ["a.avi.json", "a.mp4.json", "b.json"]


def test_detect_of_many_videos_prints_a_line_or_rows_each(work, run):
    code, out, err = run("detect", "a.mp4", "b.mp4", *QUICK)
    assert code == 0 and err == ""
    assert [(found["video"], found["cuts"]) for found in map(json.loads, out.splitlines())] == [
        ("a.mp4", [9, 21]),
        ("b.mp4", [9, 21]),
    ]
    code, out, _ = run("detect", "a.mp4", "b.mp4", "--format", "csv", *QUICK)
    assert [line.split(",")[:3] for line in out.splitlines()] == [
        ["video", "shot", "start"],
        *([name, str(shot + 1), start] for name in ("a.mp4", "b.mp4") for shot, start in enumerate(("0", "9", "21"))),
    ]


def test_detect_of_many_videos_fills_a_folder_and_a_bad_one_stops_no_other(work, run):
    code, out, err = run("detect", "a.mp4", "text.mp4", "missing.mp4", "b.mp4", "--format", "edl", "-o", "cuts", *QUICK)
    assert code == 1 and out == ""
    assert err.splitlines() == [
        "eval: text.mp4 is not a video that can be read: Invalid data found when processing input",
        "eval: missing.mp4 does not exist",
    ]
    assert sorted(path.name for path in work.glob("cuts/*")) == ["a.edl", "b.edl"]
    assert "missing.mp4 does not exist" in refused(run("detect", "missing.mp4", *QUICK), 1)


def test_detect_says_what_it_did_with_a_file(work, run, write_file, three_shots):
    write_file(work / "late.mp4", three_shots, times=[*range(21), *range(30, 42)])
    code, out, err = run("detect", "late.mp4", *QUICK)
    assert code == 0 and json.loads(out)["boundaries"][1]["seconds"] == 2.5
    assert err.startswith("eval: note: late.mp4: the frame rate varies") and len(err.splitlines()) == 1


def test_the_timecode_of_a_file_is_in_its_edl(work, run, three_shots):
    import av

    with av.open("tape.mov", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.metadata["timecode"] = "10:00:00:05"
        for picture in three_shots:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    code, out, _ = run("detect", "tape.mov", "--format", "edl", *QUICK)
    assert code == 0 and "C        10:00:00:05 10:00:00:14 00:00:00:00 00:00:00:09" in out


def test_report_makes_a_page_of_a_folder(work, run):
    run("score", "a.mp4", "b.mp4", "--out", "cards", *QUICK)
    code, out, _ = run("report", "cards")
    assert code == 0 and "wrote cards/report.html: 2 videos" in out
    assert "a.mp4" in Path("cards/report.html").read_text()


def test_encoders_and_schema_are_printed(run):
    code, out, _ = run("encoders")
    assert code == 0 and "puppet" in out and "ViT-B-32" in out
    code, out, _ = run("schema")
    assert code == 0 and "metrics" in json.loads(out)["properties"]


def test_a_download_that_cannot_reach_the_hub_is_one_line(run, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    err = refused(run("encoders", "--download"))
    assert "(605 MB) and vit_base_patch16_224.dino (343 MB) cannot be downloaded" in err and "cannot be reached" in err


def test_help_needs_no_models():
    program = "import sys; from eval.__main__ import _parser; _parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


# Many videos


def test_a_folder_stands_for_the_videos_in_it_and_says_how_many_they_are(work, run):
    (work / "clips" / "more").mkdir(parents=True)
    for name in ("b.mp4", "a.MP4", ".hidden.mp4", "more/c.mp4"):
        (work / "clips" / name).write_bytes(Path("a.mp4").read_bytes())
    (work / "clips" / "notes.txt").write_text("not a video")
    code, out, err = run("score", "clips", "bare.mp4", "--json", *QUICK)
    assert code == 0 and err == "eval: clips: 2 videos\n"
    assert [json.loads(line)["video"]["name"] for line in out.splitlines()] == ["a.MP4", "b.mp4", "bare.mp4"]
    assert "clips/more/empty holds no video" in refused(run("score", _made(work / "clips/more/empty"), *QUICK))
    code, out, err = run("detect", "clips", "bare.mp4", *QUICK)
    assert code == 0 and err == "eval: clips: 2 videos\n"
    assert [json.loads(line)["video"] for line in out.splitlines()] == ["a.MP4", "b.mp4", "bare.mp4"]
    assert run("detect", "clips", "--format", "edl", "--out", "lists", *QUICK)[0] == 0
    assert sorted(path.name for path in work.glob("lists/*")) == ["a.edl", "b.edl"]
    assert "clips/more/empty holds no video" in refused(run("detect", "clips/more/empty", *QUICK))


def _made(folder: Path) -> str:
    folder.mkdir()
    return str(folder.relative_to(Path.cwd()))


def test_scores_are_written_as_csv_and_parquet_with_coverage_and_reasons(work, run):
    import pandas as pd

    table = ("--table", "scores.csv", "--table", "scores.parquet")
    code, out, _ = run("score", "bare.mp4", "text.mp4", "a.mp4", *table, *QUICK)
    assert code == 1 and "2 videos" in out
    for frame in (pd.read_csv("scores.csv"), pd.read_parquet("scores.parquet")):
        assert frame["video"].tolist() == ["bare.mp4", "text.mp4", "a.mp4"]
        bare, text, a = (row for _, row in frame.iterrows())
        assert a["sca"] == 1 and (a["sca_covered"], a["sca_of"]) == (2, 2) and pd.isna(a["sca_reason"])
        assert pd.isna(bare["sca"]) and "there is no storyboard" in bare["sca_reason"]
        assert bare["sharpness"] > 0 and bare["sharpness_covered"] == 33
        assert pd.isna(bare["error"]) and (bare["frames"], bare["fps"], bare["width"]) == (33, 12, 96)
        assert (a["shots"], a["cuts"]) == (3, 2) and pd.isna(bare["shots"])
        assert "text.mp4 is not a video" in text["error"] and pd.isna(text["sharpness"]) and pd.isna(text["frames"])
        assert "sharpness/3" in a["metrics"].split() and "scenedetect" in a["detector"]
    assert "scores.txt: a table of scores is called .csv or .parquet" in refused(
        run("score", "a.mp4", "--table", "scores.txt", *QUICK)
    )


def test_a_summary_of_many_videos_says_why_values_are_missing(work, run):
    code, out, _ = run("score", "bare.mp4", "a.mp4", "b.mp4", "--table", "scores.csv", *QUICK)
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if "/" in line.split(" ")[0]}
    number = re.search(r"2/3 .*\[(\d+)\] 1$", rows["sca/1"])[1]
    why = " ".join(out.split("Without a value, in how many videos and why:")[1].split())
    assert f"[{number}] there is no storyboard, so no cuts were asked for" in why
    assert re.search(r"0/3 .*\[\d+\] 3$", rows["aesthetic/1"]), "one reason for all"
    assert "[" not in rows["sharpness/3"]
