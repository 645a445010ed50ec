"""Retakes on the command line, with a tiny random model of two experts: real MP4s of 17 frames."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from holocine import Storyboard, load_pipeline, read_storyboard, read_video, write_video
from holocine.__main__ import main
from holocine.decoding import VideoError
from holocine.encoding import vae_fingerprint
from holocine.latents_file import LatentsError, digest, latents_path, read_latents, write_latents
from holocine.making import Making, Take
from holocine.program import Terminated
from holocine.retaking import with_captions, with_changes
from holocine.source import read_source
from holocine.splicing import New, SpliceError, Stored, splice
from holocine.video import read_embedded

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
FRAMES = (slice(0, 5), slice(5, 13), slice(13, 17))


@pytest.fixture(scope="module")
def made(model_folder, tmp_path_factory):
    """A folder with scene.mp4 and its latents, and plain.mp4 without any."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "board.yaml").write_text(BOARD)
    for name, extra in (("scene", ["--keep-latents"]), ("plain", ["--seed", "6"])):
        command = [
            "generate",
            folder / "board.yaml",
            "-o",
            folder / f"{name}.mp4",
            "--model",
            model_folder,
            "--quiet",
            *extra,
        ]
        assert main([str(word) for word in command]) == 0
    return folder


def retake(run, made, *arguments, video="scene.mp4"):
    return run("retake", made / video, *arguments, "--quiet")


@pytest.mark.parametrize("video", ["scene.mp4", "plain.mp4"])
def test_a_retake_keeps_the_other_shots_bit_for_bit_and_remembers_which_take_each_shot_is(made, work, run, video):
    code, out, err = retake(run, made, "--shot", "2", "--seed", "77", "-o", "again.mp4", video=video)
    assert (code, err) == (0, "")
    assert "wrote again.mp4: shot 2 taken anew, seed 77 (" in out
    before, after = read_video(made / video), read_video("again.mp4")
    same = [np.array_equal(before.frames[span], after.frames[span]) for span in FRAMES]
    assert same == [True, False, True]
    assert after.storyboard == before.storyboard and after.settings == before.settings
    first = before.storyboard.seed
    assert read_embedded("again.mp4").making.takes == (Take(1, first), Take(2, 77), Take(1, first))
    assert Image.open("again.png").size == Image.open((made / video).with_suffix(".png")).size
    assert latents_path("again.mp4").exists() == (video == "scene.mp4")


def test_a_retake_of_a_retake_goes_on_and_its_latents_are_exact(made, work, run):
    retake(run, made, "--shot", "2", "-o", "second.mp4")
    code, _, err = run("retake", "second.mp4", "--shot", "3", "-o", "third.mp4", "--quiet")
    assert (code, err) == (0, "")
    latents = [read_latents(latents_path(video))[0] for video in (made / "scene.mp4", "second.mp4", "third.mp4")]
    assert torch.equal(latents[0][:, :2], latents[2][:, :2])
    assert torch.equal(latents[1][:, 2:4], latents[2][:, 2:4])
    assert not torch.equal(latents[1][:, 4:], latents[2][:, 4:])
    assert [take.number for take in read_embedded("third.mp4").making.takes] == [1, 2, 2]


def test_a_new_caption_goes_into_the_storyboard(made, work, run):
    code, *_ = retake(run, made, "--shot", "3", "--caption", "A cat.", "-o", "cat.mp4")
    assert code == 0
    assert read_storyboard("cat.mp4").captions == (*read_storyboard(made / "scene.mp4").captions[:2], "A cat.")
    _, text, _ = run("show", "cat.mp4")
    assert "# shot 3: take 2, seed " in text and "caption: A cat." in text
    _, text, _ = run("show", "cat.mp4", "--json")
    assert json.loads(text)["making"]["takes"][2]["number"] == 2


def test_a_new_caption_leaves_the_lengths_as_they_were_asked_for():
    board = Storyboard.from_yaml(
        "global_caption: A.\nfps: 12\nshots:\n- {caption: a., seconds: 0.8}\n- {caption: b., num_frames: 7}\n"
    )
    changed = with_captions(board.as_run(), {2: "c."})
    assert changed.captions == ("a.", "c.") and changed.cuts == board.as_run().cuts
    assert changed.asked.shot_seconds == board.shot_seconds and changed.asked.shots[1].num_frames == 7
    begun = with_changes(board.as_run(), {2: {"image": "still.png"}})
    assert begun.shots[1].image == "still.png" and begun.asked.shot_seconds == board.shot_seconds


def test_a_take_with_settings_of_its_own_remembers_them_and_the_next_begins_from_the_videos(made, work, run):
    options = ("--steps", "3", "--eta", "0.5", "--negative-prompt", "fog", "--exact")
    code, _, err = retake(run, made, "--shot", "2", "--seed", "7", *options, "-o", "a.mp4")
    assert (code, err) == (0, "")
    before, after = read_embedded(made / "scene.mp4"), read_embedded("a.mp4")
    assert after.settings == before.settings, "the other shots are as they were made"
    own = {"num_inference_steps": 3, "eta": 0.5, "negative_prompt": "fog", "keep_every": 1}
    assert [take.settings for take in after.making.takes] == [{}, own, {}]
    told = run("show", "a.mp4")[1]
    assert '# shot 2: take 2, seed 7, num_inference_steps 3, eta 0.5, negative_prompt "fog", keep_every 1\n' in told
    assert run("retake", "a.mp4", "--shot", "3", "--seed", "8", "-o", "b.mp4", "--quiet")[0] == 0
    assert [take.settings for take in read_embedded("b.mp4").making.takes] == [{}, own, {}]
    steps = before.settings["num_inference_steps"]
    assert read_embedded("b.mp4").settings["num_inference_steps"] == steps != 3


def test_making_a_video_anew_says_whose_takes_it_leaves_out_and_replaces_none(made, model_folder, work, run):
    retake(run, made, "--shot", "2", "-o", "a.mp4")
    before = (work / "a.mp4").read_bytes()
    code, _, err = run("generate", "a.mp4", "-o", "b.mp4", "--quiet")
    assert code == 0 and (
        "warning: shot 2 of a.mp4 was retaken or added since it was made, and will be made anew here, as all shots "
        "are: retake makes some anew and keeps the others\n" in err
    )
    assert np.array_equal(read_video("b.mp4").frames, read_video(made / "scene.mp4").frames), "it is the first go"
    for source in ("a.mp4", made / "board.yaml"):
        code, _, err = run("generate", source, "-o", "a.mp4", "--model", model_folder, "--quiet")
        assert (code, err) == (
            2,
            "holocine: a.mp4 exists, and shot 2 of it, retaken or added since it was made, would be lost: name another "
            "output, delete it first, or make only some of its shots anew with retake\n",
        )
    assert (work / "a.mp4").read_bytes() == before
    assert "retaken or added" not in run("generate", "b.mp4", "-o", "b.mp4", "--quiet")[2]


def test_the_same_seed_and_caption_make_the_same_take(made, work, run):
    for name in ("a.mp4", "b.mp4"):
        retake(run, made, "--shot", "1", "--shot", "2", "--seed", "3", "-o", name)
    assert (work / "a.mp4").read_bytes() == (work / "b.mp4").read_bytes()


def test_several_takes_are_several_videos_of_following_seeds(made, work, run):
    code, out, _ = retake(run, made, "--shot", "2", "--takes", "3", "--seed", "10", "-o", "new.mp4")
    assert code == 0 and out.count("wrote") == 3
    makings = [read_embedded(f"new-{take}.mp4").making for take in (1, 2, 3)]
    assert [making.takes[1] for making in makings] == [Take(2, 10), Take(3, 11), Take(4, 12)]


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Terminated(15), 143)])
def test_takes_that_are_done_are_there_when_a_later_one_is_interrupted(made, work, run, monkeypatch, stop, code):
    from holocine import HoloCinePipeline

    call, calls = HoloCinePipeline.__call__, []

    def raising(*_):
        raise stop

    def interrupted_in_the_third(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            kwargs["callback_on_step_end"] = raising
        return call(self, *args, **kwargs)

    monkeypatch.setattr(HoloCinePipeline, "__call__", interrupted_in_the_third)
    got, _, err = retake(run, made, "--shot", "2", "--takes", "4", "-o", "new.mp4")
    assert got == code
    assert err == "holocine: interrupted, 2 of 4 takes are there: new-1.mp4, new-2.mp4\n"
    assert sorted(path.name for path in work.glob("*.mp4")) == ["new-1.mp4", "new-2.mp4"]
    assert not list(work.glob(".*")), "nothing half done is left"


def test_nothing_is_overwritten_without_force(made, work, run):
    (work / "new-2.png").write_text("precious")
    code, _, err = retake(run, made, "--shot", "2", "--takes", "2", "-o", "new.mp4")
    assert code == 2
    assert err == "holocine: new-2.png exists: name another output, or add --force to replace it\n"
    assert [path.name for path in work.iterdir()] == ["new-2.png"]
    assert retake(run, made, "--shot", "2", "--takes", "2", "-o", "new.mp4", "--force")[0] == 0
    assert (work / "new-2.png").read_bytes()[:4] == b"\x89PNG"


def test_a_video_may_take_the_place_of_the_one_it_was_made_of(made, work, run):
    retake(run, made, "--shot", "2", "-o", "scene.mp4")
    before = read_video("scene.mp4").frames
    assert run("retake", "scene.mp4", "--shot", "1", "-o", "scene.mp4", "--force", "--quiet")[0] == 0
    after = read_video("scene.mp4").frames
    assert np.array_equal(before[5:], after[5:]) and not np.array_equal(before[:5], after[:5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shot", "9"], "there is no shot 9: the scene has 3, numbered from 1"),
        (["--shot", "1", "--shot", "2", "--shot", "3"], "all 3 shots would be retaken, so nothing is kept: generate"),
        (["--shot", "1", "--caption", "x", "--caption", "y"], "--caption is given 2 times and --shot 1 times: give"),
        (["--shot", "1", "--shot", "1", "--caption", "x", "--caption", "y"], "a shot is named twice: name each once"),
        (["--shot", "1", "--caption", " "], "shot 1 of 3: caption is empty"),
        (["--shot", "0"], "'0' is not a whole number of 1 or more"),
        (["--shot", "1", "--takes", "2000000000"], "2000000000 takes are more than are made in one go, which is 100"),
        ([], "the following arguments are required: --shot"),
        (["--shot", "1", "--height", "64"], "unrecognized arguments: --height 64"),
    ],
)
def test_bad_retakes_are_one_line(made, work, run, arguments, message):
    code, _, err = retake(run, made, *arguments, "-o", "x.mp4")
    assert code == 2 and err.count("\n") == 1
    assert message in err
    assert not list(work.iterdir())


def test_a_model_that_keeps_nothing_is_said_to_before_it_is_loaded(made, model_folder, work, run):
    (work / "other").mkdir()
    for part in ("transformer", "transformer_2", "vae"):
        (work / "other" / part).mkdir()
        config = (model_folder / part / "config.json").read_text()
        (work / "other" / part / "config.json").write_text(config)
    index = json.loads((model_folder / "model_index.json").read_text())
    index |= {"_class_name": "FamilyPipeline", "family": "echoshot"}
    (work / "other" / "model_index.json").write_text(json.dumps(index))
    code, _, err = retake(run, made, "--shot", "2", "--model", "other", "-o", "x.mp4")
    assert (code, err) == (
        2,
        "holocine: other is a model of echoshot, which makes whole scenes and keeps no shots of a video: generate the "
        "scene anew, or name a HoloCine model with --model\n",
    )
    Image.new("RGB", (48, 32)).save("still.png")
    options = ("--model", "other", "--first-frame", "still.png", "-o", "x.mp4")
    code, _, err = run("generate", made / "board.yaml", *options)
    assert code == 2 and "EchoShot has no first frame: leave it out (--first-frame still.png)" in err


def test_the_only_shot_is_not_retaken(made, model_folder, work, run):
    (work / "one.yaml").write_text("global_caption: A room.\nshots: [A chair.]\nnum_frames: 5\n")
    assert run("generate", "one.yaml", "-o", "one.mp4", "--model", model_folder, "--quiet")[0] == 0
    _, _, err = run("retake", "one.mp4", "--shot", "1", "-o", "x.mp4")
    assert "the only shot would be retaken, so nothing is kept" in err


def test_a_video_without_a_storyboard_or_changed_since_is_said_to_be_so(made, work, run):
    pictures = np.zeros((17, 32, 48, 3), np.uint8)
    write_video("plain.mp4", pictures, 12)
    assert "has no storyboard in it" in run("retake", "plain.mp4", "--shot", "1", "-o", "x.mp4")[2]
    board = Storyboard.from_yaml(BOARD)
    write_video("short.mp4", pictures[:13], 12, board)
    with pytest.raises(VideoError, match="short.mp4 has 13 frames, but its storyboard 17: it was cut or joined since"):
        read_source("short.mp4")
    write_video("fast.mp4", pictures, 24, board)
    with pytest.raises(VideoError, match="plays 24 frames a second, but its storyboard has 12"):
        read_source("fast.mp4")
    odd = Storyboard.from_captions("A room.", ["One.", "Two."], num_frames=17, shot_cut_frames=[6], fps=12.0)
    write_video("odd.mp4", pictures, 12, odd)
    with pytest.raises(VideoError, match="was cut where no model can cut"):
        read_source("odd.mp4")


def test_latents_that_are_not_those_of_the_video_are_left_and_it_is_said(made, model_folder, work, run):
    for name in ("scene.mp4", "scene.latents.safetensors"):
        (work / name).write_bytes((made / name).read_bytes())
    beside, vae = latents_path("scene.mp4"), vae_fingerprint(load_pipeline(model_folder).vae)
    assert torch.equal(read_source("scene.mp4", vae).latents, read_latents(beside)[0])
    assert "of another model's VAE: the frames of the video are encoded" in read_source("scene.mp4", "x").notes[0]
    write_latents(beside, torch.zeros(16, 5, 4, 6), vae)
    assert "holds the latents of another video" in read_source("scene.mp4", vae).notes[0]
    beside.write_text("no latents")
    assert (
        "scene.latents.safetensors, 10 bytes, is damaged or cut short: the frames"
        in read_source("scene.mp4", vae).notes[0]
    )
    beside.unlink()
    source = read_source("scene.mp4", vae)
    assert "is not there: the frames of the video are encoded instead" in source.notes[0] and source.latents is None
    code, _, err = run("retake", "scene.mp4", "--shot", "1", "-o", "x.mp4", "--quiet")
    assert code == 0 and err.startswith("holocine: scene.latents.safetensors, the latents of the video, is not there")


def test_frames_come_back_in_the_size_that_the_model_made_them_in(made):
    source = read_source(made / "scene.mp4")
    assert source.size == (48 * 14, 32 * 14) and source.frames.shape == (17, 32, 48, 3)


def test_a_file_of_other_tensors_holds_no_latents(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.latents.safetensors")
    with pytest.raises(LatentsError, match="holds no latents of a video"):
        read_latents(tmp_path / "x.latents.safetensors")


def test_latents_are_read_as_they_were_written(tmp_path):
    latents = torch.randn(16, 5, 4, 6)
    assert write_latents(tmp_path / "x.latents.safetensors", latents, "vae") == digest(latents)
    read, made_by = read_latents(tmp_path / "x.latents.safetensors")
    assert torch.equal(read, latents) and made_by == "vae"


@pytest.mark.parametrize(
    "damage",
    [
        {"takes": 3},
        {"takes": [{"number": 0}] * 3},
        {"takes": []},
        {"takes": [{"n": 1}]},
        [],
        {"takes": [{}] * 3, "vae": 1},
        {"takes": [{"settings": 3}] * 3},
    ],
)
def test_damaged_takes_are_an_error_that_names_the_file(damage):
    with pytest.raises(VideoError, match="the takes embedded in x.mp4 are damaged"):
        Making.from_plain(damage, 3, "x.mp4")


def test_what_a_video_remembers_of_its_takes_is_read_as_it_was_written():
    made = Making.in_one_go(3, 7, "vae").retaken([2], 9, settings={"eta": 0.5, "lora": None}).continued(1, None)
    assert made.takes == (Take(1, 7), Take(2, 9, {"eta": 0.5, "lora": None}), Take(1, 7), Take(1, None))
    assert Making.from_plain(json.loads(json.dumps(made.to_plain())), 4, "x.mp4") == made
    assert made.sentences() == [
        "shot 1: take 1, seed 7",
        "shot 2: take 2, seed 9, eta 0.5, no lora",
        "shot 3: take 1, seed 7",
        "shot 4: take 1",
    ]
    assert Making.in_one_go(3, 7).sentences() == []


# Splicing


def pictures(count, seed=0, height=32, width=48):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.fixture
def film(tmp_path):
    board = Storyboard.from_captions("A room.", ["a.", "b.", "c."], num_frames=45, shot_cut_frames=[1, 25], fps=12.0)
    write_video(tmp_path / "film.mp4", pictures(45), 12, board)
    return tmp_path / "film.mp4", read_video(tmp_path / "film.mp4").frames


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 1], [0]])
def test_stored_shots_are_copied_in_any_order(film, tmp_path, order):
    path, frames = film
    spans = [range(0, 1), range(1, 25), range(25, 45)]
    splice(tmp_path / "out.mp4", [Stored(path, spans[i]) for i in order], 12, (48, 32), "")
    found = read_video(tmp_path / "out.mp4")
    assert found.fps == 12
    assert np.array_equal(found.frames, np.concatenate([frames[spans[i].start : spans[i].stop] for i in order]))


@pytest.mark.parametrize("length", [1, 2, 3, 24])
def test_new_shots_of_any_length_stand_between_stored_ones(film, tmp_path, length):
    path, frames = film
    new = np.repeat(pictures(1, 9), length, axis=0)
    parts = [Stored(path, range(1, 25)), New(new), Stored(path, range(25, 45))]
    splice(tmp_path / "out.mp4", parts, 12, (48, 32), "")
    found = read_video(tmp_path / "out.mp4").frames
    write_video(tmp_path / "new.mp4", new, 12)
    assert np.array_equal(found[:24], frames[1:25]) and np.array_equal(found[24 + length :], frames[25:])
    assert np.array_equal(found[24 : 24 + length], read_video(tmp_path / "new.mp4").frames)


def test_what_cannot_be_copied_is_said(film, tmp_path):
    path, _ = film
    with pytest.raises(SpliceError, match="has no keyframe on frame 5: it has to be encoded again"):
        splice(tmp_path / "out.mp4", [Stored(path, range(5, 25))], 12, (48, 32), "")
    write_video(tmp_path / "still.mp4", np.repeat(pictures(1), 24, axis=0), 12)  # has frames that need later ones
    with pytest.raises(SpliceError, match="still.mp4 has frames 0 to 1 in an order that cannot be copied"):
        splice(tmp_path / "out.mp4", [Stored(tmp_path / "still.mp4", range(2))], 12, (48, 32), "")
    with pytest.raises(SpliceError, match="film.mp4 was encoded otherwise than the rest"):
        splice(tmp_path / "out.mp4", [Stored(path, range(1, 25)), New(pictures(4, 1, 64, 64))], 12, (64, 64), "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["film.mp4", "still.mp4"]


def test_a_video_that_was_encoded_otherwise_is_encoded_again_and_it_is_said(made, work, run):
    import av

    other = work / "other.mp4"
    with av.open(str(made / "plain.mp4")) as source, av.open(str(other), "w", format="mp4") as target:
        target.metadata["comment"] = source.metadata["comment"]
        stream = target.add_stream("libx264", rate=12, options={"crf": "1", "preset": "slow"})
        stored = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = stored.width, stored.height, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode())
    code, _, err = run("retake", other, "--shot", "2", "-o", "x.mp4", "--quiet")
    assert code == 0 and "it has to be encoded again, so kept shots lose a little" in err
    before, after = read_video(other).frames.astype(float), read_video("x.mp4").frames
    assert np.abs(before[:5] - after[:5]).mean() < 8


def test_a_lora_of_the_video_is_used_again(model_folder, made, work, run):
    from safetensors.torch import save_file

    layer = "diffusion_model.blocks.0.self_attn.q"
    save_file(
        {f"{layer}.lora_A.weight": torch.ones(1, 24), f"{layer}.lora_B.weight": torch.full((24, 1), 0.5)},
        "style.safetensors",
    )
    options = ("--lora", "style.safetensors", "--model", model_folder, "--quiet")
    assert run("generate", made / "board.yaml", "-o", "styled.mp4", *options)[0] == 0
    code, _, err = run("retake", "styled.mp4", "--shot", "2", "--seed", "1", "-o", "again.mp4", "--quiet")
    assert (code, err) == (0, "")
    styled, again = read_video("styled.mp4").frames, read_video("again.mp4").frames
    assert np.array_equal(styled[:5], again[:5]) and np.array_equal(styled[13:], again[13:])
    assert read_embedded("again.mp4").settings["lora"] == ["style.safetensors"]
    (work / "style.safetensors").unlink()
    assert "style.safetensors" in run("retake", "styled.mp4", "--shot", "2", "-o", "x.mp4", "--quiet")[2]


def test_a_picture_that_cannot_be_used_is_refused_before_the_model_is_loaded(made, work, run, monkeypatch):
    Image.new("RGB", (64, 64), "navy").save("still.png")
    storyboard = with_changes(Storyboard.load(made / "board.yaml").as_run(), {2: {"image": "still.png"}})
    frames = read_video(made / "scene.mp4").frames
    embedded = read_embedded(made / "scene.mp4")
    write_video("drawn.mp4", frames, 12, storyboard, embedded.settings, embedded.size)
    (work / "still.png").write_text("no picture")
    monkeypatch.setattr("holocine.checkpoints.load_pipeline", lambda *_, **__: pytest.fail("loaded"))
    code, _, err = run("retake", "drawn.mp4", "--shot", "2", "-o", "new.mp4")
    assert code == 2 and "still.png" in err and not (work / "new.mp4").exists()
