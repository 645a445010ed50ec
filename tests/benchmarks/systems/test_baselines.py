"""Other models as systems, on tiny random weights of the real classes: what they are run with, and what is told."""

import json
import re

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from benchmarks.reporting.tables import main_table
from benchmarks.running.items import REQUEST, Item, read_record
from benchmarks.suites.suite import Entry, Suite, write_suite
from benchmarks.systems import baselines
from benchmarks.systems.baselines import COMMANDS
from benchmarks.systems.catalogue import listed
from benchmarks.systems.models import Models, ModelSettings
from benchmarks.systems.systems import UnknownSystem, parse_system, parse_systems, unread_options
from holocine import Storyboard, load_pipeline, read_video
from holocine.__main__ import main as holocine_main
from holocine.checkpoints import describe
from holocine.families import NAMES, find_family
from holocine.families.pipeline import FamilyPipeline
from holocine.families.samplers import scheduler_of
from holocine.families.storymem.pipeline import StoryMemPipeline
from holocine.storage import Int8Linear
from holocine.wan import as_wan_runs
from tests.conftest import build_image_encoder

SHOTS = (2.0, 1.5, 2.0)  # seconds


def board(shots=SHOTS, fps: float = 15.0) -> Storyboard:
    captions = ("[character1] is painting.", "Her hand.", "The studio at night.")
    return Storyboard(
        global_caption="[character1] is a young painter. A bright studio.",
        fps=fps,
        shots=[{"caption": captions[i % 3], "seconds": seconds} for i, seconds in enumerate(shots)],
        seed=3,
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def folder(shelf, tokenizer, text_encoder, vae, make_transformer):
    """Call with a system to get a folder with its model, 16 x 16 pixels and 2 steps where they can be chosen."""

    def folder(kind: str) -> str:
        path = shelf / kind
        if not path.exists():
            parts = {"tokenizer": tokenizer, "text_encoder": text_encoder, "vae": vae}
            if kind == "wan":
                WanPipeline(
                    **parts,
                    scheduler=FlowMatchEulerDiscreteScheduler(),
                    transformer=make_transformer(3, cls=WanTransformer3DModel),
                ).save_pretrained(path)
                index = json.loads((path / "model_index.json").read_text())
                (path / "model_index.json").write_text(json.dumps(index | {"default_height": 16, "default_width": 16}))
            else:
                pipeline, models = FamilyPipeline, {"transformer": make_transformer(3), "family": kind}
                if kind == "storymem":
                    pipeline = StoryMemPipeline
                    models = {f"transformer{n}": make_transformer(3, in_channels=36) for n in ("", "_2")}
                    models |= {f"opening{n}": make_transformer(3) for n in ("", "_2")}
                    models["image_encoder"] = build_image_encoder()
                pipeline(
                    **parts,
                    **models,
                    scheduler=scheduler_of(kind),
                    default_height=16,
                    default_width=16,
                ).save_pretrained(path)
        return str(path)

    return folder


@pytest.mark.parametrize("kind", NAMES)
def test_a_family_makes_its_own_frames_and_says_what_it_cannot_express(kind, folder):
    settings = ModelSettings("elsewhere", num_inference_steps=2, eta=0.5, height=64, width=112)
    system = parse_system(f"{kind}@{folder(kind)}", settings)
    video = system.generate(Entry("a", board()), 0, Models())
    assert video.fps == find_family(kind).fps and video.frames.shape[1:] == (16, 16, 3)
    assert (
        len(video.frames) == {"echoshot": 87, "cinetrans": 81, "shotstream": 88, "longlive": 125, "storymem": 88}[kind]
    )
    assert video.storyboard.num_frames == len(video.frames)
    assert video.storyboard.asked.shot_seconds == SHOTS
    assert video.how == {"align": "seconds"}
    told = " ".join(video.notes)
    assert {
        "echoshot": "EchoShot has no global caption",
        "cinetrans": "the video lasts 5.06 s where 5.50 s were asked for",
        "longlive": "LongLive has no global caption",
        "storymem": "StoryMem remembers pictures that HPSv3 finds good; that model is not here",
    }.get(kind, "") in told
    assert bool(told) is (kind != "shotstream")  # which makes all of it, and every shot as long as asked
    assert np.array_equal(system.generate(Entry("a", board()), 0, Models()).frames, video.frames)


TITLES = {"wan": "Wan "} | {name: f"{find_family(name).title} " for name in NAMES}


def pictured(picture: str, frames=(40, 1, 40)) -> Storyboard:
    """Pictures for a shot and a character, and a shot of one frame."""
    first, second, third = board().shots
    first, second, third = (
        shot.model_copy(update={"num_frames": n}) for shot, n in zip((first, second, third), frames, strict=True)
    )
    shots = (first.model_copy(update={"image": picture}), second, third)
    return board().model_copy(update={"shots": shots, "references": {"character1": picture}})


@pytest.mark.parametrize("kind", ["echoshot", "longlive", "shotstream", "wan"])
def test_pictures_that_a_model_is_not_given_are_told_of_the_item_and_by_generate(kind, folder, tmp_path, capsys):
    system = parse_system(f"{kind}@{folder(kind)}", ModelSettings(num_inference_steps=1))
    video = system.generate(Entry("a", pictured("nowhere.png")), 0, Models())
    [told] = [note for note in video.notes if "pictures" in note]
    assert "is not given pictures or clips: those of shot 1 and [character1] are not used" in told and told.startswith(
        TITLES[kind]
    )
    if kind == "wan":
        return
    pictured("nowhere.png").save(tmp_path / "a.yaml")
    options = [str(tmp_path / "a.yaml"), "--model", folder(kind)]
    assert holocine_main(["plan", *options]) == 0
    assert told in capsys.readouterr().out
    assert holocine_main(["generate", *options, "--quiet", "-o", str(tmp_path / "a.mp4")]) == 0
    assert told in capsys.readouterr().err
    assert len(read_video(tmp_path / "a.mp4").frames) == len(video.frames)
    assert holocine_main(["generate", *options, "--strict", "-o", str(tmp_path / "b.mp4")]) == 2
    assert f"{told} (without --strict it is made all the same)" in capsys.readouterr().err
    assert not (tmp_path / "b.mp4").exists()
    first = [*options, "--first-frame", "nowhere.png", "-o", str(tmp_path / "a.mp4")]
    assert holocine_main(["generate", *first]) == 2
    assert "has no first frame: leave it out (--first-frame nowhere.png)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("echoshot", ["--attention", "sparse"], "EchoShot has no other attention: leave it out (--attention sparse)"),
        ("echoshot", ["--distilled", "a,b"], "EchoShot has no distilled: leave it out (--distilled a,b)"),
        ("echoshot", ["--preset", "fast"], "EchoShot has no preset: leave it out (--preset)"),
        ("echoshot", ["--shift", "3"], "EchoShot has no shift: leave it out (--shift 3.0)"),
        ("echoshot", ["--drop-text-encoder"], "EchoShot has no drop text encoder: leave it out (--drop-text-encoder)"),
        ("echoshot", ["--height", "480"], "EchoShot was trained at one size: height is 480, but has to be 16"),
        ("longlive", ["--steps", "8"], "LongLive takes 4 steps, not 8: leave --steps out"),
        ("longlive", ["--guidance", "3"], "LongLive has no guidance (--guidance is 3): leave it out"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "generate"])
def test_an_option_that_means_nothing_is_refused_by_its_name_before_anything_is_loaded(
    command, kind, options, says, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("holocine.checkpoints.load_pipeline", None)
    board().save(tmp_path / "a.yaml")
    out = ["-o", str(tmp_path / "a.mp4")] if command == "generate" else []
    model = folder(kind)
    capsys.readouterr()
    assert holocine_main([command, str(tmp_path / "a.yaml"), "--model", model, *options, *out]) == 2
    assert capsys.readouterr().err == f"holocine: {says}\n"


@pytest.mark.parametrize("kind", ["longlive", "shotstream"])
def test_a_negative_prompt_that_is_not_read_is_refused_by_its_option(kind, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("holocine.checkpoints.load_pipeline", None)
    board().save(tmp_path / "a.yaml")
    command = ["generate", str(tmp_path / "a.yaml"), "--model", folder(kind), "-o", str(tmp_path / "a.mp4")]
    capsys.readouterr()
    assert holocine_main([*command, "--negative-prompt", "blurry"]) == 2
    said = f"{find_family(kind).title} has no guidance and reads no negative prompt: leave it out"
    assert capsys.readouterr().err == f"holocine: {said} (--negative-prompt 'blurry')\n"


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("shotstream", ["--steps", "8"], "ShotStream takes 4 steps, not 8: leave --steps out"),
        ("longlive", ["--guidance", "3"], "LongLive has no guidance (--guidance is 3): leave it out"),
        ("echoshot", ["--eta", "0.5"], "EchoShot has no eta: leave it out (--eta 0.5)"),
        ("cinetrans", ["--guidance-below", "0.5"], "CineTrans has no guidance below: leave it out (--guidance-"),
        ("storymem", ["--height", "480"], "StoryMem was trained at one size: height is 480, but has to be 16"),
        ("wan", ["--width", "64"], "Wan is run without --width: leave it out (64)"),
        ("still", ["--guidance", "3"], "none of the systems runs a model: leave --guidance out"),
    ],
)
def test_a_run_refuses_what_none_of_its_systems_takes_as_generate_does(kind, options, says, folder, tmp_path, capsys):
    write_suite(tmp_path / "s.jsonl", Suite("s", 1, 15.0, (82,), (832, 480), (Entry("a", board()),)))
    spec = kind if kind == "still" else f"{kind}@{folder(kind)}"
    capsys.readouterr()
    command = ["run", "--suite", str(tmp_path / "s.jsonl"), "--systems", spec, "--out", str(tmp_path / "run")]
    assert main([*command, *options]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_what_another_system_of_the_run_takes_is_told(folder):
    settings = ModelSettings(num_inference_steps=8, eta=0.5, height=16)
    specs = ("holocine", f"shotstream@{folder('shotstream')}", f"wan@{folder('wan')}", "still")
    assert unread_options(parse_systems(specs, settings), settings) == (
        "shotstream is run without --steps (ShotStream takes 4 steps, not 8)",
        "shotstream is run without --eta (ShotStream has no eta)",
        "wan is run without --eta",
        "wan is run without --height",
    )


def test_plan_says_what_is_too_much_text_and_no_limit_of_another_model(folder, tmp_path, capsys):
    words = "a b c d e f g h i j " * 14
    shots = [{"caption": words, "num_frames": 16}] * 6
    Storyboard(global_caption=words, shots=shots).save(tmp_path / "a.yaml")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("echoshot")]) == 2
    assert "tokens and the model reads 2048: shorten it" in capsys.readouterr().err
    Storyboard(global_caption="A street.", shots=[{"caption": "a", "num_frames": 8}] * 14).save(tmp_path / "a.yaml")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("shotstream")]) == 0
    assert "HoloCine" not in capsys.readouterr().out


def test_a_video_of_another_model_is_made_by_a_family_without_that_model_s_settings(
    make_pipeline, folder, tmp_path, capsys
):
    make_pipeline().save_pretrained(tmp_path / "ours")
    board((1.0, 1.0)).save(tmp_path / "a.yaml")
    ours = ["--model", str(tmp_path / "ours"), "--attention", "full", "--eta", "0.5", "--height", "32", "--width", "64"]
    assert holocine_main(["generate", str(tmp_path / "a.yaml"), *ours, "--quiet", "-o", str(tmp_path / "a.mp4")]) == 0
    theirs = [str(tmp_path / "a.mp4"), "--model", folder("longlive")]
    assert holocine_main(["plan", *theirs]) == 0
    assert holocine_main(["generate", *theirs, "--quiet", "-o", str(tmp_path / "b.mp4")]) == 0
    assert holocine_main(["generate", str(tmp_path / "b.mp4"), "--quiet", "-o", str(tmp_path / "c.mp4")]) == 0


def test_holocine_as_a_system_begins_from_pictures_and_what_does_not_says_so(make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    picture = tmp_path / "a.png"
    Image.new("RGB", (96, 64), "red").save(picture)
    scene = pictured(str(picture), (9, 8, 8))
    for kind in ("holocine", "independent-shots", "single-prompt"):
        system = parse_system(f"{kind}@{tmp_path / 'model'}", ModelSettings(num_inference_steps=1))
        video = system.generate(Entry("a", scene), 0, Models())
        begins_red = bool((video.frames[0] == (255, 0, 0)).all())
        assert begins_red == (kind == "holocine")
        assert any("is not given pictures" in note for note in video.notes) == (kind != "holocine")


IN_ONE = ("holocine", "holocine-full", "isolated", "no-window", "retake", "continue", "phases", "block-mask")


def test_a_negative_prompt_that_a_family_does_not_read_is_refused_where_strictness_was_asked_for(
    folder, tmp_path, capsys
):
    board().model_copy(update={"negative_prompt": "rain"}).save(tmp_path / "a.yaml")
    options = [str(tmp_path / "a.yaml"), "--strict", "--quiet", "-o", str(tmp_path / "a.mp4")]
    assert holocine_main(["generate", *options, "--model", folder("longlive")]) == 2
    assert "LongLive has no guidance: the negative prompt of the storyboard is not read" in capsys.readouterr().err
    assert holocine_main(["generate", *options, "--model", folder("echoshot"), "--steps", "1"]) == 0


@pytest.mark.parametrize("kind", ["holocine", "wan", "echoshot", "storymem"])
def test_a_negative_prompt_that_no_step_reads_for_want_of_guidance_is_told_everywhere(
    kind, folder, make_pipeline, tmp_path, capsys
):
    if kind == "holocine":
        make_pipeline().save_pretrained(tmp_path / "model")
    model = str(tmp_path / "model") if kind == "holocine" else folder(kind)
    told = "runs with guidance 1, which is none: the negative prompt is not read"
    scene = board((5 / 12, 8 / 12), fps=12.0).model_copy(update={"negative_prompt": "rain"})
    scene.save(tmp_path / "a.yaml")
    options = [str(tmp_path / "a.yaml"), "--model", model, "--guidance", "1"]
    assert holocine_main(["plan", *options]) == 0
    assert told in capsys.readouterr().out
    assert holocine_main(["generate", *options, "--strict", "-o", str(tmp_path / "a.mp4")]) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "a.mp4").exists()
    for guidance, is_told in ((1.0, True), (2.0, False)):
        system = parse_system(f"{kind}@{model}", ModelSettings(num_inference_steps=1, guidance_scale=guidance))
        notes = system.generate(Entry("a", scene), 0, Models()).notes
        assert any(told in note for note in notes) is is_told
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", model, "--guidance", "2"]) == 0
    assert "is not read" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", [*IN_ONE, "wan"])
def test_a_scene_that_is_shortened_is_noted_as_moved_cuts_are(kind, folder, make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    model = folder("wan") if kind == "wan" else tmp_path / "model"
    system = parse_system(f"{kind}@{model}", ModelSettings(num_inference_steps=1))
    video = system.generate(Entry("a", board((5 / 16, 13 / 16), fps=16.0)), 0, Models())
    assert len(video.frames) == 17
    assert any("the video lasts 1.06 s where 1.12 s were asked for" in note for note in video.notes)


@pytest.mark.parametrize("kind", [*IN_ONE, "single-prompt"])
def test_cuts_that_a_system_moves_or_is_not_told_of_are_noted_as_another_model_s_are(kind, make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    system = parse_system(f"{kind}@{tmp_path / 'model'}", ModelSettings(num_inference_steps=1))
    moved = system.generate(Entry("a", board((7 / 12, 6 / 12, 4 / 12), fps=12.0)), 0, Models()).notes
    asked = system.generate(Entry("a", board((5 / 12, 8 / 12, 4 / 12), fps=12.0)), 0, Models()).notes
    if kind == "single-prompt":
        said = ("single-prompt is told of no cut: it reads the captions of all shots as one text",)
        assert moved == asked == said
    else:
        assert moved == (f"{kind} cuts after 0.75, 1.08 s where 0.58, 1.08 s were asked for",) and asked == ()


def test_shots_that_are_cut_to_length_are_not_told_as_moved(make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    system = parse_system(f"independent-shots@{tmp_path / 'model'}", ModelSettings(num_inference_steps=1))
    video = system.generate(Entry("a", board((7 / 12, 6 / 12), fps=12.0)), 0, Models())
    assert len(video.frames) == 13 and video.notes == ()


def test_int8_of_storymem_reaches_the_experts_that_see_memory_and_not_the_opening(folder):
    pipeline = load_pipeline(folder("storymem"), int8=True)
    stored = {
        name: any(isinstance(module, Int8Linear) for module in getattr(pipeline, name).modules())
        for name in ("transformer", "transformer_2", "opening", "opening_2")
    }
    assert stored == {"transformer": True, "transformer_2": True, "opening": False, "opening_2": False}


def test_more_shots_than_echoshot_knows_are_refused_in_one_sentence(folder):
    system = parse_system(f"echoshot@{folder('echoshot')}", ModelSettings(num_inference_steps=2))
    with pytest.raises(ValueError, match="EchoShot makes 2 to 6 shots in one pass, and this storyboard has 13"):
        system.generate(Entry("a", board(13 * (1.0,))), 0, Models())


class NoModels(Models):
    """Fails where a model is to be loaded."""

    def _load(self, kind, key, load):
        raise AssertionError("a model was loaded")


@pytest.mark.parametrize(
    "kind", ["echoshot", "holocine", "retake", "phases", "single-prompt", "keyframe", "independent-shots"]
)
def test_what_cannot_be_made_is_refused_before_a_model_is_loaded(kind, folder, make_pipeline, tmp_path):
    if kind == "echoshot":
        model, entry, says = folder("echoshot"), Entry("a", board(13 * (1.0,))), "EchoShot makes 2 to 6 shots"
    else:
        model = str(tmp_path / "model")
        says = "needs at least 2 shots" if kind == "retake" else "text tokens and the model reads"
        make_pipeline().save_pretrained(model)
        entry = Entry("a", board((1.0,)))
        if kind != "retake":
            wordy = entry.storyboard.model_copy(update={"global_caption": "A studio. " * 1000})
            entry = Entry("a", wordy)
    system = parse_system(f"{kind}@{model}", ModelSettings(num_inference_steps=1))
    with pytest.raises(ValueError, match=says) as refused:
        system.check(entry, 0)
    with pytest.raises(ValueError, match=re.escape(str(refused.value))):
        system.generate(entry, 0, NoModels())
    system.check(Entry("a", board((1.0, 1.0))), 0)


def test_a_model_that_makes_no_video_of_text_is_refused_where_it_is_named(make_pipeline, folder, tmp_path, capsys):
    make_pipeline().save_pretrained(tmp_path / "i2v")
    index = json.loads((tmp_path / "i2v" / "model_index.json").read_text())
    index["_class_name"] = "WanImageToVideoPipeline"
    (tmp_path / "i2v" / "model_index.json").write_text(json.dumps(index))
    board().save(tmp_path / "a.yaml")
    says = "i2v is a WanImageToVideoPipeline, but a HoloCine or Wan text-to-video pipeline is needed"
    for command in (["plan"], ["generate", "-o", str(tmp_path / "a.mp4")]):
        assert holocine_main([*command, str(tmp_path / "a.yaml"), "--model", str(tmp_path / "i2v")]) == 2
        assert says in capsys.readouterr().err
    for kind in ("holocine", "keyframe", "wan", "echoshot"):
        with pytest.raises(UnknownSystem, match=says) as refused:
            parse_system(f"{kind}@{tmp_path / 'i2v'}", ModelSettings())
        assert "name the system" not in str(refused.value)
    make_pipeline().save_pretrained(tmp_path / "model")
    system = parse_system(f"two=keyframe:{tmp_path / 'i2v'}@{tmp_path / 'model'}", ModelSettings())
    wordy = board().model_copy(update={"global_caption": "A studio. " * 1000})
    with pytest.raises(ValueError, match="text tokens and the model reads"):
        system.check(Entry("a", wordy), 0)


def test_nothing_is_refused_ahead_that_a_system_makes(make_pipeline, tmp_path):
    """Scenes of just as much text as the model reads; continue makes more, as it makes it in parts."""
    pipeline = make_pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    scene = board((5 / 12, 8 / 12, 4 / 12), fps=12.0)
    most = len(pipeline.tokenizer(scene.as_run().prompt).input_ids)
    index = json.loads((tmp_path / "model" / "model_index.json").read_text())
    (tmp_path / "model" / "model_index.json").write_text(json.dumps(index | {"max_sequence_length": most - 1}))
    refusing = set()
    for kind in (*IN_ONE, "single-prompt", "independent-shots", "keyframe"):
        system = parse_system(f"{kind}@{tmp_path / 'model'}", ModelSettings(num_inference_steps=1))
        refused = made = None
        try:
            system.check(Entry("a", scene), 0)
        except ValueError as error:
            refused = str(error)
            refusing.add(kind)
        try:
            made = system.make(Models(), system.settings, scene)
        except ValueError as error:
            assert refused in (None, str(error))
        assert refused is None or made is None, kind
    assert "holocine" in refusing and "continue" not in refusing


def test_a_model_without_some_of_its_weights_is_refused_before_it_is_loaded(make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    for path in (tmp_path / "model" / "vae").glob("*.safetensors"):
        path.unlink()
    system = parse_system(f"holocine@{tmp_path / 'model'}", ModelSettings())
    with pytest.raises(ValueError, match="vae has no .safetensors file: the download is not complete"):
        system.check(Entry("a", board()), 0)


def test_wan_is_told_all_the_text_no_cut_and_no_more_frames_than_it_was_trained_on():
    told, run, notes = as_wan_runs(board((5.0, 5.0)))
    assert told.num_shots == 1 and (told.num_frames, told.fps) == (81, 16)
    assert "Her hand." in told.captions[0] and "This scene contains 2 shots." in told.global_caption
    assert run.num_frames == 81 and run.asked.shot_seconds == (5.0, 5.0)
    assert notes == (
        "Wan is told of no cut: it reads the captions of all shots as one text",
        "Wan makes at most 81 frames at 16 frames a second: the video lasts 5.06 s where 10.00 s were asked for",
    )
    told, run, notes = as_wan_runs(board((2.0, 1.0), fps=16.0))
    assert told.num_frames == 49 and not any("lasts" in note for note in notes)
    notes = as_wan_runs(board((31 / 16,), fps=16.0))[2]
    assert notes == ("Wan makes 4t + 1 frames: the video lasts 2.06 s where 1.94 s were asked for",)


def test_plan_tells_what_wan_was_made_for(folder, tmp_path, capsys):
    board((3.0, 3.0), fps=16.0).save(tmp_path / "a.yaml")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("wan")]) == 0
    said = capsys.readouterr().out
    assert "warning: Wan was made for at most 81 frames at 16 frames a second, and this scene has 97 frames" in said
    assert "in a benchmark: Wan is told of no cut" in said
    assert "in a benchmark: Wan makes at most 81 frames" in said
    shot = {"caption": "A studio.", "num_frames": 33, "image": str(tmp_path / "nope.png")}
    Storyboard(global_caption="A studio.", fps=16.0, shots=[shot]).save(tmp_path / "a.yaml")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("wan")]) == 2
    said = capsys.readouterr().err
    assert "nope.png" in said and "does not exist: put the picture there" in said
    Image.new("RGB", (96, 64), "red").save(tmp_path / "nope.png")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("wan")]) == 0
    said = capsys.readouterr().out
    assert "in a benchmark: Wan is not given pictures or clips: those of shot 1 are not used" in said
    short = board((2.0,), fps=16.0)
    short.save(tmp_path / "a.yaml")
    assert holocine_main(["plan", str(tmp_path / "a.yaml"), "--model", folder("wan")]) == 0
    assert "Wan" not in capsys.readouterr().out
    options = [str(tmp_path / "a.yaml"), "--model", folder("wan"), "-o", str(tmp_path / "a.mp4"), "--strict"]
    board((6.0,), fps=16.0).save(tmp_path / "a.yaml")
    assert holocine_main(["generate", *options]) == 2
    assert "Wan was made for at most 81 frames" in capsys.readouterr().err


def test_wan_s_5b_is_run_at_its_own_size_rate_and_length(tokenizer, text_encoder, vae, make_transformer, tmp_path):
    path = tmp_path / "5b"
    WanPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=make_transformer(3, cls=WanTransformer3DModel),
        expand_timesteps=True,
    ).save_pretrained(path)
    facts = describe(path)
    assert (facts.height, facts.width) == (704, 1280)
    assert "at most 121 frames at 24 frames a second" in facts.doubts(board((9.0,)))[0]
    assert facts.doubts(board((8.0,))) == ()
    pipeline = load_pipeline(path)
    assert (pipeline.config.default_height, pipeline.config.default_width) == (704, 1280)
    index = json.loads((path / "model_index.json").read_text())
    (path / "model_index.json").write_text(json.dumps(index | {"default_height": 16, "default_width": 16}))
    video = parse_system(f"wan@{path}", ModelSettings(num_inference_steps=1)).generate(
        Entry("a", board((3.0, 3.0))), 0, Models()
    )
    assert video.fps == 24 and video.frames.shape == (121, 16, 16, 3)
    assert any("at most 121 frames at 24 frames a second" in note for note in video.notes)


def test_a_run_scores_in_time_keeps_what_was_told_and_tables_repeat_it(folder, tmp_path):
    suite = Suite("two", 1, 15.0, (82,), (832, 480), (Entry("a", board()), Entry("b", board((1.5, 2.0, 2.0)))))
    write_suite(tmp_path / "two.jsonl", suite)
    run = tmp_path / "run"
    systems = f"cinetrans@{folder('cinetrans')},wan@{folder('wan')}"
    options = ["--encoders", "none", "--detector", "pyscenedetect", "--steps", "1"]
    assert main(["run", "--suite", str(tmp_path / "two.jsonl"), "--systems", systems, "--out", str(run), *options]) == 0
    item = Item("cinetrans", "a", 0)
    record = read_record(run, item)
    assert any("the video lasts 5.06 s" in note for note in record.notes)
    assert json.loads((item.folder(run) / REQUEST).read_text()) == {"align": "seconds"}
    card = json.loads((item.folder(run) / "scorecard.json").read_text())
    assert card["metrics"]["sca"]["of"] >= 0
    video = read_video(item.folder(run) / "video.mp4")
    assert video.fps == 16 and len(video.frames) == 81 and video.storyboard.asked.shot_seconds == SHOTS
    before = record.notes
    assert main(["score", str(run), *options[:4]]) == 0
    assert read_record(run, item).notes == before
    told = main_table(summarise(load_run(run))).told
    assert "wan is told of no cut: it reads the captions of all shots as one text (2 storyboards)" in told
    [cuts] = [line for line in told if line.startswith("cinetrans cuts after ")]
    assert cuts.endswith(" were asked for (2 storyboards; here a)")


@pytest.mark.parametrize("kind", ["wan", *NAMES])
def test_a_missing_model_is_one_line_with_the_command_that_gets_it(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "SHELF", tmp_path / "models")
    for spec in (kind, f"{kind}@{tmp_path / 'nowhere'}"):
        with pytest.raises(UnknownSystem) as error:
            parse_system(spec, ModelSettings())
        assert "hf download " in str(error.value) and "\n" not in str(error.value)
    assert f"{tmp_path}/models/{kind}" in str(error.value)


def test_another_model_than_a_system_s_own_is_refused(folder):
    with pytest.raises(UnknownSystem, match="cannot be run with .*wan, which is of WanPipeline: get its own by"):
        parse_system(f"echoshot@{folder('wan')}", ModelSettings())
    with pytest.raises(UnknownSystem, match="wan cannot be run with .*, which is of cinetrans.* system cinetrans@/"):
        parse_system(f"wan@{folder('cinetrans')}", ModelSettings())
    with pytest.raises(UnknownSystem, match=r"did you mean .*/cinetrans\?$"):
        parse_system(f"cinetrans@{folder('cinetrans')}s", ModelSettings())
    with pytest.raises(
        ValueError,
        match=r"wan is a WanPipeline, not a WanImageToVideo.*, or leave it out \(keyframe@",
    ):
        parse_system(f"keyframe:{folder('wan')}@{folder('wan')}", ModelSettings())


@pytest.mark.parametrize("kind", ["holocine", "retake", "keyframe", "phases"])
def test_a_family_s_model_is_no_model_of_a_holocine_system(kind, folder):
    model = folder("echoshot")
    wanted = f"the system {kind} cannot be run with .*, which is a model of echoshot: name it as echoshot@{model}"
    for spec, settings in ((f"{kind}@{model}", ModelSettings()), (kind, ModelSettings(model))):
        with pytest.raises(UnknownSystem, match=wanted):
            parse_system(spec, settings)


def test_a_mistyped_model_of_a_holocine_system_is_refused_before_anything_is_made(folder, tmp_path, capsys):
    write_suite(tmp_path / "s.jsonl", Suite("s", 1, 15.0, (82,), (832, 480), (Entry("a", board()),)))
    mistyped = f"holocine@{folder('echoshot')}t"
    command = ["run", "--suite", str(tmp_path / "s.jsonl"), "--systems", mistyped, "--out", str(tmp_path / "run")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"did you mean {folder('echoshot')}?\n") and said.count("\n") == 1


def test_the_list_says_of_every_system_what_it_needs_and_whether_it_is_here(folder, shelf, monkeypatch, capsys):
    monkeypatch.setattr(baselines, "SHELF", shelf)
    monkeypatch.setattr("benchmarks.systems.catalogue.SHELF", shelf)
    folder("echoshot")
    rows = {row.system: row for row in listed()}
    assert rows["echoshot"].here and rows["echoshot"].get is None
    assert rows["shotstream"].get is None or "hf download" in rows["shotstream"].get
    assert rows["echoshot"].licence == "none found, of code or weights"
    assert rows["cinetrans"].gigabytes == 14.7 and rows["longlive"].gigabytes == 24.2
    assert (rows["storymem"].gigabytes, rows["storymem"].gpu_gigabytes) == (126.5, 28.6)
    assert "not for commercial use" in rows["storymem"].licence
    assert 'hf download Wan-AI/Wan2.2-TI2V-5B-Diffusers --include "vae/*"' in (
        rows["longlive"].get or COMMANDS["longlive"]
    )
    assert main(["systems"]) == 0
    printed = capsys.readouterr().out
    assert all(kind in printed for kind in ("holocine", "wan", *NAMES, "folder:PATH", "truth"))
    assert main(["systems", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(rows)
