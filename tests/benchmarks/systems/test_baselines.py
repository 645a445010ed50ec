"""Other models as systems, on tiny random weights of the real classes: what they are run with, and what is told."""

import json

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

from benchmarks.__main__ import main
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from benchmarks.reporting.tables import main_table
from benchmarks.running.items import REQUEST, Item, read_record
from benchmarks.suites.suite import Entry, Suite, write_suite
from benchmarks.systems import baselines
from benchmarks.systems.baselines import COMMANDS, as_wan_runs
from benchmarks.systems.catalogue import listed
from benchmarks.systems.models import Models, ModelSettings
from benchmarks.systems.systems import UnknownSystem, parse_system
from holocine import Storyboard, load_pipeline, read_video
from holocine.checkpoints import describe
from holocine.families import NAMES, find_family
from holocine.families.pipeline import FamilyPipeline
from holocine.families.samplers import scheduler_of
from holocine.families.storymem.pipeline import StoryMemPipeline
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
        "shotstream": "the last ones of shots 1, 2, 3, beyond what was asked for, were cut off",
    }[kind] in told
    assert np.array_equal(system.generate(Entry("a", board()), 0, Models()).frames, video.frames)


def test_more_shots_than_echoshot_knows_are_refused_in_one_sentence(folder):
    system = parse_system(f"echoshot@{folder('echoshot')}", ModelSettings(num_inference_steps=2))
    with pytest.raises(ValueError, match="EchoShot makes 2 to 6 shots in one pass, and this storyboard has 13"):
        system.generate(Entry("a", board(13 * (1.0,))), 0, Models())


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
    notes = main_table(summarise(load_run(run))).note
    assert "What wan cannot express: Wan is told of no cut" in notes and "(2 videos)" in notes
    assert "What cinetrans cannot express: CineTrans makes 81 frames" in notes


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
    with pytest.raises(UnknownSystem, match="wan cannot be run with .*, which is of cinetrans"):
        parse_system(f"wan@{folder('cinetrans')}", ModelSettings())


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
