import atexit
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from holocine import Storyboard, read_storyboard, read_video, write_video
from holocine.__main__ import program
from holocine.latents_file import latents_path
from holocine.video import read_settings
from tests.programs import Program

BOARD = """
title: Studio
global_caption: A young painter, [character1], in a bright studio.
fps: 12
seed: 5
shots:
  - {caption: "Medium shot of [character1].", num_frames: 5}
  - {caption: "Close-up of her hand.", num_frames: 8}
  - {caption: "Wide shot of the studio at night.", num_frames: 4}
"""


@pytest.fixture
def model(make_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    make_pipeline(experts=2).save_pretrained(folder)
    return folder


@pytest.fixture
def work(work):
    """A working folder with board.yaml in it."""
    (work / "board.yaml").write_text(BOARD)
    return work


@pytest.fixture
def small_disk():
    """Call with a number of bytes: inside, no file can grow beyond it, which fails writes as a full disk does."""

    @contextmanager
    def limited(size):
        previous = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, previous[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, previous)

    return limited


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(result):
    """The one line that a refused command says."""
    code, out, err = result
    lines = [line for line in err.splitlines() if "warning: " not in line]
    assert (code, out) == (2, "")
    assert len(lines) == 1 and lines[0].startswith("holocine: ")
    return lines[0]


def test_generate_writes_a_video_that_remembers_everything_and_a_contact_sheet(work, run, model):
    code, out, err = run("generate", "board.yaml", "-o", "out.mp4", "--model", model)
    assert code == 0
    assert "out.mp4" in out and "out.png" in out and "seed 5" in out
    assert "denoising: 100%" in err, "a progress bar"
    video = read_video("out.mp4")
    assert video.storyboard == Storyboard.from_yaml(BOARD)
    assert video.frames.shape == (17, 448, 672, 3), "enlarged by a whole factor, to be looked at"
    assert video.fps == 12
    assert video.settings["num_inference_steps"] == 2 and video.settings["attention"] == "sparse"
    assert Image.open("out.png").width > 1000
    assert files(work) == ["board.yaml", "out.mp4", "out.png"]


def test_a_video_is_made_again_from_itself(work, run, model):
    sampling = ("--steps", 3, "--guidance", 2, "--eta", 0.5, "--attention", "isolated", "--no-window")
    sampling += ("--shot-guidance", 2, "--shot-guidance-above", 0.8)
    options = (*sampling, "--size", "96x64", "--fps", 24)
    assert run("generate", "board.yaml", "-o", "a.mp4", "--model", model, *options, "--negative-prompt", "rain")[0] == 0
    assert run("generate", "a.mp4", "-o", "b.mp4")[0] == 0
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    assert read_storyboard("b.mp4").negative_prompt == "rain" and read_storyboard("b.mp4").fps == 24
    assert run("generate", "a.mp4", "-o", "c.mp4", "--seed", 6)[0] == 0
    assert read_storyboard("c.mp4").seed == 6 and read_settings("c.mp4")["num_inference_steps"] == 3
    assert Path("c.mp4").read_bytes() != Path("a.mp4").read_bytes()


def test_decoding_has_a_bar_as_denoising_has(work, run, model):
    words = ("generate", "board.yaml", "--model", model, "-o")
    _, _, err = run(*words, "a.mp4")
    assert "denoising: 100%" in err and re.search(r"decoding: 100%.* 17/17 .*frame", err)
    assert "decoding" not in run(*words, "b.mp4", "--quiet")[2]


def test_latents_of_a_video_that_is_made_anew_without_are_removed(work, run, model):
    words = ("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--quiet")
    run(*words, "--keep-latents")
    assert latents_path("a.mp4").exists()
    assert "a.latents.safetensors held the latents of the video that was there before" in run(*words)[2]
    assert files(work) == ["a.mp4", "a.png", "board.yaml"]
    latents_path("a.mp4").write_text("somebody's own")
    run(*words)
    assert latents_path("a.mp4").read_text() == "somebody's own"


def test_a_drawn_seed_is_remembered(work, run, model):
    Path("board.yaml").write_text(BOARD.replace("seed: 5", ""))
    assert run("generate", "board.yaml", "-o", "a.mp4", "--model", model)[0] == 0
    assert read_storyboard("a.mp4").seed is not None
    assert run("generate", "a.mp4", "-o", "b.mp4")[0] == 0
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()


def test_native_size_is_the_models_own(work, run, model):
    assert run("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--size", "native", "--height", 48)[0] == 0
    assert read_video("a.mp4").frames.shape == (17, 48, 48, 3)


def test_a_size_of_another_shape_is_filled_as_far_as_the_pictures_fit(work, run, model):
    code, _, err = run("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--size", "300x400", "--quiet")
    assert code == 0
    assert "the video is 300x200: pictures of 48x32 have another shape than the 300x400 that were asked for" in err
    assert read_video("a.mp4").frames.shape == (17, 200, 300, 3)
    assert read_settings("a.mp4")["size"] == "300x200"
    exact = run("generate", "board.yaml", "-o", "b.mp4", "--model", model, "--size", "301x200", "--quiet")
    assert "another shape" not in exact[2] and read_video("b.mp4").frames.shape == (17, 200, 301, 3)
    said = refused(run("generate", "board.yaml", "-o", "c.mp4", "--model", model, "--size", "16x400"))
    assert "size is 16x400, in which pictures of 48x32 are 16x11" in said


def test_snapped_cuts_and_unknown_characters_are_warned_of(work, run, model):
    Path("board.yaml").write_text(BOARD.replace("num_frames: 8", "num_frames: 9").replace("her hand", "[character2]"))
    code, _, err = run("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--quiet")
    assert code == 0
    assert "warning: shot 3 of 3: cut at frame 14 was moved to frame 13" in err
    assert "warning: shot 2 of 3: [character2] is not introduced" in err


STATED = BOARD.replace("bright studio.", "bright studio. This scene contains 5 shots.")
SAYS_5 = "the global caption says that the scene contains 5 shots, but there are 3"


def test_a_wrong_number_of_shots_is_warned_of_and_fixed_when_asked(work, run, model):
    (work / "stated.yaml").write_text(STATED)
    code, out, err = run("plan", "stated.yaml", "--model", model)
    assert code == 0 and f"warning: {SAYS_5}" in out and err == ""
    code, out, err = run("plan", "stated.yaml", "--model", model, "--fix")
    kept_as_is = "holocine: stated.yaml is as it was: -o FILE.yaml writes the storyboard with that put right\n"
    assert code == 0 and "warning" not in out and err == f"holocine: fixed: {SAYS_5}\n{kept_as_is}"
    assert (work / "stated.yaml").read_text() == STATED
    code, _, err = run("generate", "stated.yaml", "--model", model, "-o", "as_is.mp4", "--quiet")
    assert code == 0 and f"holocine: warning: {SAYS_5}" in err
    assert "This scene contains 5 shots." in read_storyboard("as_is.mp4").prompt
    code, _, err = run("generate", "stated.yaml", "--model", model, "-o", "fixed.mp4", "--quiet", "--fix")
    assert code == 0 and f"holocine: fixed: {SAYS_5}" in err and "warning" not in err
    made = read_storyboard("fixed.mp4")
    assert "This scene contains 3 shots." in made.prompt and made.warnings == ()
    code, _, err = run("plan", "board.yaml", "--model", model, "--fix")
    assert code == 0 and err == "", "nothing to fix"


@pytest.mark.parametrize("name", ["right.yaml", "right.json"])
def test_plan_writes_the_storyboard_that_it_put_right(work, run, model, name):
    (work / "stated.yaml").write_text(STATED)
    code, _, err = run("plan", "stated.yaml", "--model", model, "--fix", "-o", name)
    assert (code, err) == (
        0,
        f"holocine: fixed: {SAYS_5}\nholocine: wrote {name}: the storyboard, as it was asked for\n",
    )
    assert Storyboard.load(name) == Storyboard.load("stated.yaml").with_stated_shots()
    assert run("plan", "stated.yaml", "--model", model, "-o", name.replace("right", "/no/such/right"))[0] == 2
    code, _, err = run("plan", "stated.yaml", "--model", model, "-o", "right.txt")
    assert code == 2 and "right.txt: a storyboard is written to a file that ends in .yaml, .yml, .json" in err


def test_a_written_storyboard_still_finds_its_pictures(work):
    board = {"global_caption": "A town.", "shots": [{"caption": "a", "num_frames": 9, "image": "pictures/a.png"}]}
    (work / "boards").mkdir()
    Storyboard.model_validate(board).save("boards/b.yaml")
    (found,) = Storyboard.load("boards/b.yaml").shots
    assert Path(found.image).resolve() == (work / "pictures" / "a.png").resolve()


def test_plan_shows_shots_tokens_windows_and_cost(work, run, model):
    code, out, _ = run("plan", "board.yaml", "--model", model)
    assert code == 0
    assert re.search(r"^ +2 +5-12 +0\.67 +2 +12 +\d+-\d+  Close-up of her hand\.$", out, re.MULTILINE)
    assert re.search(r"^ all +17 +1\.42 +5 +30 +\d+ of 128  global caption: text tokens 0-\d+$", out, re.MULTILINE)
    assert "sparse:first attention: 96.0% of full self-attention's arithmetic (864 of 900 pairs of tokens)" in out


def test_plan_counts_the_passes_of_the_guidance_that_is_asked_for(run):
    def told(*words):
        code, out, _ = run("plan", str(Path("examples/beach.yaml").resolve()), *words)
        assert code == 0
        return next(line for line in out.splitlines() if line.startswith("denoising: "))

    assert "12 steps, 3 of them guided, 7 guided by the other shots (22 passes)" in told()
    assert "12 steps, 3 of them guided (15 passes)" in told("--shot-guidance", 1)
    assert "12 steps, 10 of them guided (22 passes)" in told("--guidance-below", 1, "--shot-guidance-above", 1)
    assert "1 step, 1 guided by the other shots (2 passes)" in told("--steps", 1)


def test_plan_as_json_holds_the_same_numbers(work, run, model):
    code, out, _ = run("plan", "board.yaml", "--model", model, "--json", "--height", 64, "--attention", "isolated")
    plan = json.loads(out)
    assert code == 0
    assert [shot["num_tokens"] for shot in plan["shots"]] == [24, 24, 12]
    assert (plan["num_tokens"], plan["tokens_per_frame"], plan["height"]) == (60, 12, 64)
    assert plan["attention_pairs"] == 24**2 + 24**2 + 12**2 and plan["full_attention_pairs"] == 60**2
    windows = [plan["global_text_window"], *(shot["text_window"] for shot in plan["shots"])]
    assert all(first[1] == second[0] for first, second in zip(windows, windows[1:], strict=False))
    assert windows[-1][1] < plan["num_text_tokens"] <= plan["max_text_tokens"]


def test_show_prints_a_storyboard_that_can_be_used_again(work, run, model):
    run("generate", "board.yaml", "-o", "a.mp4", "--model", model)
    code, out, _ = run("show", "a.mp4")
    assert code == 0
    assert "# num_inference_steps: 2" in out
    assert "# height: 32 (made)" in out and '# size: "672x448" (of the picture, which was enlarged)' in out
    assert Storyboard.from_yaml(out) == Storyboard.from_yaml(BOARD)
    shown = json.loads(run("show", "a.mp4", "--json")[1])
    assert Storyboard.from_json(json.dumps(shown["storyboard"])) == Storyboard.from_yaml(BOARD)
    assert shown["settings"]["model"] == str(model)


def test_schema_prints_the_schema_of_storyboards(run):
    code, out, _ = run("schema")
    assert code == 0
    assert "global_caption" in json.loads(out)["properties"]


def test_convert_names_the_file_that_is_missing(work, run):
    arguments = ("--high", "h.safetensors", "--low", "l.safetensors", "--vae", "v.pth", "--text-encoder", "t.pth")
    Path("google/umt5-xxl").mkdir(parents=True)
    assert "h.safetensors does not exist" in refused(run("convert", *arguments, "model"))
    assert not Path("model").exists()


# Bad input: one line, exit code 2, nothing written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "board.yaml"),
        ("global_caption: A\n\tshots: []", "board.yaml"),
        ("global_caption: A studio.\nshots: []", "at least 1 shot"),
        (BOARD.replace("num_frames: 8", "num_frames: -8"), "shot 2 of 3"),
        (BOARD.replace("her hand", "[shot cut] her hand"), "shot cut"),
        (BOARD.replace("A young", "very " * 3000 + "young"), "text tokens"),
    ],
)
def test_bad_storyboards_are_refused(work, run, model, text, says):
    Path("board.yaml").write_text(text)
    for command in (("generate", "board.yaml", "-o", "a.mp4"), ("plan", "board.yaml")):
        assert says in refused(run(*command, "--model", model))
    assert files(work) == ["board.yaml"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--steps", "0"], "'0' is not a whole number of 1 or more"),
        (["--steps", "many"], "'many' is not a whole number"),
        (["--guidance", "nan"], "'nan' is not a finite number"),
        (["--guidance=-1"], "'-1' is below 0"),
        (["--guidance-below", "x"], "'x' is not a finite number"),
        (["--eta", "1.5"], "'1.5' does not lie between 0 and 1"),
        (["--height", "50"], "height is 50 pixels, but has to be a multiple of 16: take 48"),
        (["--attention", "psychic"], "attention mode 'psychic' is unknown"),
        (["--attention", "sparse:linspace:0"], "summary 'linspace:0' is unknown"),
        (["--kernel", "magic"], "invalid choice: 'magic'"),
        (["--kernel", "flash", "--device", "cpu", "--quiet"], "choose kernel 'auto'"),
        (["--size", "big"], "size is 'big', but has to be WIDTHxHEIGHT"),
        (["--size", "2x2"], "size is 2x2"),
        (["--size", "1000000x1000000"], "size is 1000000x1000000, but both have to lie between 16 and 8192 pixels"),
        (["--seed", "-1"], "seed"),
        (["--fps", "0"], "'0' does not lie between 1 and 240"),
        (["--lora", "missing.safetensors"], "missing.safetensors does not exist"),
        (["--model", "missing"], "neither a folder here nor a hub id"),
        (["--stepz", "3"], "unrecognized arguments: --stepz 3 (see `python -m holocine generate --help`)"),
        (["-o", "a.avi"], "has to end in .mp4"),
        (["-o", "missing/a.mp4"], "missing/a.mp4: the folder for it does not exist"),
        (["-o", "/proc/a.mp4"], "/proc/a.mp4"),
    ],
)
def test_bad_options_are_refused(work, run, model, options, says):
    assert says in refused(run("generate", "board.yaml", "-o", "a.mp4", "--model", model, *options))
    assert files(work) == ["board.yaml"]


@pytest.mark.parametrize("command", [("generate", "-o", "a.mp4"), ("plan",), ("plan", "--memory")])
@pytest.mark.parametrize(("side", "pixels"), [("height", 16400), ("width", 160_000)])
def test_more_pixels_than_there_are_positions_for_are_refused_before_loading(work, run, model, command, side, pixels):
    for weights in model.glob("*/*.safetensors"):
        weights.unlink()
    first, *others = command
    said = refused(run(first, "board.yaml", "--model", model, f"--{side}", pixels, *others))
    assert said == f"holocine: {side} is {pixels:,} pixels, but this model has positions for 16,384 only: take fewer"
    assert files(work) == ["board.yaml"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--gguf", "no.gguf,no.gguf"], "the GGUF file no.gguf does not exist"),
        (["--gguf", "no.gguf"], "names 1 files, but the model has 2 expert(s)"),
        (["--gguf", "text.gguf,text.gguf"], "text.gguf is not a GGUF file"),
        (["--preset", "fast"], "is for experts of 40 layers of width 5120, but this model's have 2 of 24"),
        (["--preset", "mixed,48GB"], "is for experts of 40 layers of width 5120, but this model's have 2 of 24"),
        (["--lora", "no.safetensors"], "the LoRA file no.safetensors does not exist"),
        (["--lora", "a,b,c"], "the LoRA 'a,b,c' names 3 files"),
        (["--lora", "text.pt"], "text.pt is a .pt file, but a LoRA has to be a .safetensors file"),
        (["--lora", "text.safetensors"], "text.safetensors is damaged or cut short: download it again"),
        (["--int8", "--layerwise-casting"], "layerwise_casting and int8 exclude each other: choose one"),
        (["--model-cpu-offload", "--group-offload"], "model_cpu_offload and group_offload exclude each other"),
    ],
)
def test_plan_refuses_what_generate_refuses_before_loading(work, run, model, options, says):
    for weights in model.glob("*/*.safetensors"):
        weights.unlink()
    for name in ("text.gguf", "text.pt", "text.safetensors"):
        Path(name).write_text("no weights")
    for command in (("plan",), ("generate", "-o", "a.mp4")):
        assert says in refused(run(command[0], "board.yaml", *command[1:], "--model", model, *options))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed: 5": "negative_prompt: " + "dark " * 3000}, "the negative prompt takes"),
        ({"num_frames: 4": "num_frames: 4, image: no.png"}, "no.png"),
    ],
)
def test_plan_refuses_a_storyboard_that_generate_refuses(work, run, model, changed, says):
    for before, after in changed.items():
        Path("board.yaml").write_text(BOARD.replace(before, after))
    for command in (("plan",), ("generate", "-o", "a.mp4", "--quiet")):
        assert says in refused(run(command[0], "board.yaml", *command[1:], "--model", model))


def test_files_of_published_experts_that_are_not_here_are_not_looked_for(work, run):
    files = ("--gguf", "high.gguf,low.gguf", "--lora", "a.safetensors")
    assert run("plan", "board.yaml", "--model", "14B", *files)[0] == 0


def test_more_pixels_than_published_experts_have_positions_for_are_refused(work, run):
    said = refused(run("plan", "board.yaml", "--model", "14B", "--preset", "80GB", "--height", 100_000))
    assert "height is 100,000 pixels, but this model has positions for 16,384 only" in said


def test_the_output_is_checked_before_the_model_is_loaded(work, run):
    Path("a.png").mkdir()
    said = refused(run("generate", "board.yaml", "-o", "a.mp4", "--model", "not-even-there"))
    assert "a.png: is a folder" in said


@pytest.mark.parametrize("command", [[], ["generate"], ["plan"], ["shew"], ["generate", "board.yaml"]])
def test_incomplete_commands_say_what_is_missing(work, run, command):
    assert "--help" in refused(run(*command))


def test_files_without_a_storyboard_are_refused(work, run):
    assert "missing.mp4 does not exist" in refused(run("show", "missing.mp4"))
    assert "missing.yaml" in refused(run("plan", "missing.yaml"))
    assert "board.txt" in refused(run("plan", "board.txt"))
    Path("text.mp4").write_text("text")
    assert "text.mp4 is not a video" in refused(run("generate", "text.mp4", "-o", "a.mp4"))


def test_a_video_with_damaged_settings_is_refused(work, run, storyboard, pipeline):
    frames = pipeline(storyboard).frames[0]
    for damage in ({"num_inference_steps": "many"}, {"lora": "file"}, {"model": 3}):
        write_video("a.mp4", frames, 12, storyboard, damage)
        assert "settings in a.mp4 are damaged" in refused(run("generate", "a.mp4", "-o", "b.mp4"))


@pytest.mark.parametrize(("space", "size", "name"), [(1_000_000, "1344x896", "a.mp4"), (60_000, "native", "a.png")])
def test_a_full_disk_is_said_and_leaves_nothing_behind(work, run, model, small_disk, space, size, name):
    with small_disk(space):
        result = run("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--quiet", "--size", size)
    said = refused(result)
    assert f"{name}: File too large" in said
    assert "all steps are done, the same command with --resume goes on from a.unfinished.safetensors" in said
    assert files(work) == ["a.unfinished.safetensors", "board.yaml"]


@pytest.fixture
def signals():
    """Signals as an ordinary program has them; one that was started in the background ignores Ctrl-C."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_ctrl_c_ends_the_program_and_leaves_nothing_behind(work, run, model, signals):
    threading.Timer(2, os.kill, [os.getpid(), signal.SIGINT]).start()
    code, out, err = run("generate", "board.yaml", "-o", "a.mp4", "--model", model, "--steps", 2000)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "holocine: interrupted, nothing was written"
    assert files(work) == ["board.yaml"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_every_signal_that_ends_a_run_says_where_it_goes_on_and_cleans_up(work, model, number, code):
    words = ["generate", "board.yaml", "-o", "a.mp4", "--model", model, "--steps", 2000, "--checkpoint", 1, "--quiet"]
    process, state = Program(program, words), Path("a.unfinished.safetensors")
    while not state.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    found = re.fullmatch(r"holocine: interrupted, nothing was written; (\d+) of 2000 steps are done, (.*)\n", err)
    assert found[2] == f"the same command with --resume goes on from {state}"
    assert files(work) == [state.name, "board.yaml"]


def _close_stdout():
    sys.stdout = None


def _fill_stdout():
    sys.stdout = open("/dev/full", "w")  # noqa: SIM115


def _fill_stdout_at_once():
    sys.stdout = open("/dev/full", "w", buffering=1)  # noqa: SIM115


@pytest.mark.parametrize(
    ("before", "why", "command"),
    [
        (_close_stdout, "Bad file descriptor", ["plan", "board.yaml"]),
        (_close_stdout, "Bad file descriptor", ["--help"]),
        (_fill_stdout, "No space left on device", ["plan", "board.yaml"]),
        (_fill_stdout, "No space left on device", ["--help"]),
        (_fill_stdout_at_once, "No space left on device", ["plan", "board.yaml"]),
    ],
)
def test_it_is_said_that_stdout_cannot_be_written(work, before, why, command):
    process = Program(program, command, before=before)
    _, err = process.communicate()
    assert err == f"holocine: stdout could not be written ({why}): name another place for it\n"
    assert process.returncode == 2


def test_without_stderr_nothing_comes_to_stdout_instead(work):
    process = Program(program, ["plan", "missing.yaml"], before=_close_stderr)
    assert process.communicate() == ("", "") and process.returncode == 2


def _close_stderr():
    sys.stderr = None


@pytest.mark.parametrize("package", ["holocine", "eval", "benchmarks"])
def test_ctrl_c_while_modules_are_imported_is_one_line(package):
    """The first import after the first lines of each program is, here, a signal."""
    code = (
        "import os, runpy, signal, sys\n"
        "import holocine.starting\n"
        "class Slow:\n"
        "    def find_spec(name, *_):\n"
        "        os.kill(os.getpid(), signal.SIGINT) if name == 'argparse' else None\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Slow)\n"
        "sys.modules.pop('argparse', None)\n"
        f"runpy.run_module({package!r}, run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", f"{package}: interrupted\n")


def _note_the_end():
    atexit.register(Path("ended").touch)


def test_a_program_says_everything_and_cleans_up_before_it_ends(work):
    process = Program(program, ["plan", "board.yaml"], before=_note_the_end)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert files(work) == ["board.yaml", "ended"]
    assert said.endswith("\n") and len(said.splitlines()) > 3
