"""Runs that end early: nothing half is left, and the same command goes on to the same video."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler
from safetensors.torch import save

from holocine.__main__ import program
from holocine.files import check_writable
from holocine.keeping import Kept, keep_shots
from holocine.run_state import ResumeError, check_same_run, read_state, run_of, write_state
from holocine.scheduler import HoloCineScheduler
from tests.programs import Program

STEPS = 6


@pytest.fixture
def through_a_file(tmp_path):
    """Call with a state to get it back from a file."""

    def stored(state):
        write_state(tmp_path / "state", state, {"of": "this"})
        found, run = read_state(tmp_path / "state")
        assert run == {"of": "this"}
        return found

    return stored


def states_of(pipeline, *arguments, every=1, **options):
    """The latents of a run, and where it stood after its steps."""
    states = []
    output = pipeline(*arguments, num_inference_steps=STEPS, on_state=states.append, state_every=every, **options)
    return output.latents, states


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eta": 1.0, "guidance_below": 0.9},
        {"guidance_scale": 1.0, "attention": "isolated"},
        {"shot_guidance": 2.0},
        {"scheduler": HoloCineScheduler(shift=5.0, stochastic_sampling=True)},
        {"scheduler": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)},
    ],
    ids=["plain", "fresh noise", "unguided", "guided by shots", "stochastic", "multistep"],
)
def test_a_run_goes_on_after_any_step_to_the_same_latents(make_pipeline, storyboard, through_a_file, options):
    options = dict(options)
    scheduler = {"scheduler": options.pop("scheduler")} if "scheduler" in options else {}
    pipeline = make_pipeline(experts=2, **scheduler)
    wanted, states = states_of(pipeline, storyboard, seed=3, **options)
    assert [state.step for state in states] == [1, 2, 3, 4, 5, 6] and states[-1].is_finished
    for state in states:
        again, later = states_of(pipeline, storyboard, seed=3, resume=through_a_file(state), **options)
        assert torch.equal(again, wanted), f"after step {state.step}"
        assert [one.step for one in later] == list(range(state.step + 1, STEPS + 1)) or state.is_finished


@pytest.mark.parametrize("every", [1, 4])
def test_a_run_around_kept_shots_goes_on_to_the_same_video(pipeline, storyboard, through_a_file, every):
    first = pipeline(storyboard, seed=3)
    pictures = np.random.default_rng(0).integers(0, 255, (1, 32, 48, 3), np.uint8)
    for keep in (keep_shots(first, [1, 3]), [Kept(1, "first", frames=pictures)]):
        options = {"seed": 5, "keep": keep, "keep_every": every}
        wanted, states = states_of(pipeline, storyboard, **options)
        assert len(states) > 1 and states[-1].is_finished
        for state in states:
            again = states_of(pipeline, storyboard, resume=through_a_file(state), **options)[0]
            assert torch.equal(again, wanted), f"after step {state.step}"


def test_states_are_told_only_where_nothing_in_memory_is_needed_to_go_on(pipeline, storyboard):
    keep = keep_shots(pipeline(storyboard, seed=3), [1, 3])
    steps = [state.step for state in states_of(pipeline, storyboard, seed=5, keep=keep, keep_every=4)[1]]
    assert steps[-1] == STEPS and len(steps) < STEPS
    assert [state.step for state in states_of(pipeline, storyboard, every=4, seed=5)[1]] == [4, 6]
    assert [state.step for state in states_of(pipeline, storyboard, every=None, seed=5)[1]] == [6]


def test_a_finished_run_is_only_decoded(pipeline, storyboard, monkeypatch):
    output = pipeline(storyboard, seed=3, on_state=(states := []).append)
    monkeypatch.setattr(pipeline.transformer, "forward", None)
    monkeypatch.setattr(pipeline.text_encoder, "forward", None)
    again = pipeline(storyboard, seed=3, resume=states[-1])
    assert np.array_equal(again.frames[0], output.frames[0]) and set(again.timings) == {"decode"}


def test_a_state_that_does_not_fit_the_call_is_refused(pipeline, storyboard):
    states = states_of(pipeline, storyboard, seed=3)[1]
    with pytest.raises(ResumeError, match="the run that is to go on has 6 steps, not 7"):
        pipeline(storyboard, seed=3, num_inference_steps=7, resume=states[0])
    with pytest.raises(ValueError, match="the latents of resume"):
        pipeline(storyboard, seed=3, num_inference_steps=STEPS, height=64, resume=states[0])
    with pytest.raises(ValueError, match="state_every 0"):
        pipeline(storyboard, on_state=print, state_every=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("distilled", "a,b"), ("distilled_below", 0.9), ("shift", 5.0), ("int8", True), ("gguf", "a"), ("eta", 1.0)],
)
def test_whatever_a_run_is_denoised_with_decides_which_run_it_is(storyboard, tmp_path, name, value):
    before, now = (run_of(storyboard, settings, tmp_path) for settings in ({}, {name: value}))
    with pytest.raises(ResumeError, match=f"{name} was None and is {value}"):
        check_same_run("a", before, now)
    check_same_run("a", before, run_of(storyboard, {"vae_dtype": "bfloat16", "device": "cpu"}, tmp_path))


# The command line


@pytest.fixture
def words(board, model_folder):
    """A command line that takes a while."""
    return ["generate", "board.yaml", "--model", str(model_folder), "--quiet", "--steps", "40", "--checkpoint", "1"]


def killed_when(words, ready):
    """Run the program in a process of its own and kill it, as a lack of memory does, as soon as `ready` says so."""
    process = Program(program, words)
    try:
        while not ready():
            assert process.poll() is None, "it ended before"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()


def state_of(name):
    try:
        return read_state(name)[0]
    except ResumeError:
        return None


def made(run, *words):
    code, out, err = run(*words)
    assert code == 0, err
    return out, err


def test_a_run_killed_between_two_steps_goes_on_to_the_same_file(words, run):
    killed_when(
        [*words, "--seed", "3", "-o", "a.mp4"], lambda: (s := state_of("a.unfinished.safetensors")) and s.step > 2
    )
    assert not Path("a.mp4").exists() and not Path("a.png").exists()
    assert 2 < state_of("a.unfinished.safetensors").step < 40
    made(run, *words, "--resume", "-o", "a.mp4")  # without the seed, which the state knows
    made(run, *words, "--seed", "3", "-o", "b.mp4")
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["a.mp4", "a.png", "b.mp4", "b.png", "board.yaml"]


def test_a_run_killed_while_it_is_decoded_loses_nothing_and_leaves_nothing_half(words, run):
    large = [*words[:-2], "--seed", "3", "--size", "4096x2730"]
    killed_when([*large, "-o", "a.mp4"], lambda: any(part.stat().st_size for part in Path().glob(".a.mp4.*.part")))
    assert not Path("a.mp4").exists() and not Path("a.png").exists()
    assert state_of("a.unfinished.safetensors").is_finished
    out, _ = made(run, *words, "--resume", "--vae-tiling", "-o", "a.mp4")
    assert "decode" in out and "denoise" not in out
    made(run, *words, "--seed", "3", "-o", "b.mp4")
    assert sorted(path.name for path in Path().iterdir()) == ["a.mp4", "a.png", "b.mp4", "b.png", "board.yaml"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (["--steps", "41"], "num_inference_steps was 40 and is 41"),
        (["--guidance", "2", "--leak-free"], "guidance_scale was None and is 2.0; leak_free was None and is True"),
        (["--seed", "4"], "is of a run with the seed 3, not 4: give that, or none"),
        (["--negative-prompt", "dark"], "the storyboard was another one"),
    ],
)
def test_the_state_of_another_run_is_refused_by_what_differs(words, run, begun, changed, says):
    begun()
    code, _, err = run(*words, "--resume", "-o", "a.mp4", *changed)
    assert code == 2 and says in err and len(err.splitlines()) == 1
    assert Path("a.unfinished.safetensors").exists() and not Path("a.mp4").exists()


@pytest.fixture
def begun(words, run, monkeypatch):
    """Call to have a run of seed 3 end by Ctrl-C while a.mp4 is written."""

    def interrupted(*_):
        raise KeyboardInterrupt

    def begin():
        with monkeypatch.context() as patched:
            patched.setattr("holocine.video.write_video", interrupted)
            return run(*words, "--seed", "3", "-o", "a.mp4")

    return begin


def test_it_is_said_where_an_interrupted_run_is_and_what_goes_on(words, run, begun):
    code, out, err = begun()
    assert (code, out) == (130, "") and err == (
        "holocine: interrupted, nothing was written; all steps are done, the same command with --resume goes on from "
        "a.unfinished.safetensors\n"
    )
    assert sorted(path.name for path in Path().iterdir()) == ["a.unfinished.safetensors", "board.yaml"]
    _, err = made(run, *words, "-o", "a.mp4")
    assert (
        "a.unfinished.safetensors holds a run that was not finished, and is replaced: --resume goes on from it" in err
    )
    assert not Path("a.unfinished.safetensors").exists()


def test_nothing_stays_of_a_finished_run_whose_reader_is_gone(words, run, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stdout, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", stdout)
        assert run(*words, "-o", "a.mp4")[0] == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a.mp4", "a.png", "board.yaml"]


def test_to_go_on_from_nothing_is_to_begin(words, run):
    _, err = made(run, *words, "--resume", "-o", "a.mp4")
    assert err == "holocine: warning: a.unfinished.safetensors is not there: the run begins with its first step\n"


def test_other_weights_are_another_run(words, run, begun, model_folder):
    words[words.index(str(model_folder))] = str(shutil.copytree(model_folder, "model"))
    begun()
    config = Path("model/scheduler/scheduler_config.json")
    config.write_text(config.read_text().replace("5.0", "4.0"))
    code, _, err = run(*words, "--resume", "-o", "a.mp4")
    assert code == 2 and "(the model had other weights): give what it was begun with" in err


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "cannot be read as an unfinished run"), (None, "holds no unfinished")]
)
def test_a_file_that_holds_no_state_is_refused(words, run, content, says):
    path = Path("a.unfinished.safetensors")
    path.write_bytes(save({"latents": torch.zeros(1)}) if content is None else content)
    code, _, err = run(*words, "--resume", "-o", "a.mp4")
    assert code == 2 and says in err and len(err.splitlines()) == 1


def test_a_run_goes_on_where_its_state_cannot_be_written(words, run):
    folder = Path("a.unfinished.safetensors")
    folder.mkdir()
    (folder / "something").touch()
    _, err = made(run, *words[:-2], "-o", "a.mp4")
    assert "step 40 of 40 is not kept" in err and Path("a.mp4").exists()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, written = (tmp_path / f".a.mp4.{pid}.part" for pid in (ended.pid, os.getpid()))
    for path in (left, written):
        path.touch()
    check_writable(tmp_path / "a.mp4")
    assert not left.exists() and written.exists()
