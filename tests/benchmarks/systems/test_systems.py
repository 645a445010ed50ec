"""Systems on the embedded world and on tiny random models: what each one shows to the model, and what it hides."""

import json

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline, WanTransformer3DModel

from benchmarks.suites.suite import Entry
from benchmarks.systems.folders import Folder
from benchmarks.systems.models import Models, ModelSettings, model_sha256
from benchmarks.systems.systems import KINDS, UnknownSystem, generation, parse_system, parse_systems
from holocine import Storyboard, write_video
from holocine.checkpoints import CheckpointError
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene

ALONE = ("holocine", "holocine-full", "isolated", "no-window", "single-prompt", "independent-shots", "keyframe")
GENERATED = (*ALONE, "retake", "continue", "phases", "block-mask")


def board(*captions: str, seed: int = 11) -> Storyboard:
    """Three shots of 5, 4 and 8 frames."""
    return Storyboard.from_captions(
        "[character1] is a young painter. [character2] is an old man. A bright studio.",
        captions or ("Medium shot of [character1].", "Close-up of her hand.", "Wide shot of [character2] at night."),
        num_frames=17,
        shot_cut_frames=[5, 9],
        seed=seed,
    )


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder for models that several tests use."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def model(make_pipeline, shelf):
    if not (shelf / "model").exists():
        make_pipeline().save_pretrained(shelf / "model")
    return str(shelf / "model")


@pytest.fixture
def make(model, models):
    """Call with a system's specification and a storyboard to get its video."""

    def make(spec: str, storyboard: Storyboard, seed: int = 0) -> np.ndarray:
        system = parse_system(spec, ModelSettings(model, num_inference_steps=2))
        return system.generate(Entry("a", storyboard), seed, models).frames

    return make


@pytest.fixture
def calls(monkeypatch):
    """The storyboards and options of every call of the pipeline."""
    from holocine import HoloCinePipeline

    seen, call = [], HoloCinePipeline.__call__

    def watched(self, storyboard, **options):
        seen.append((storyboard, options))
        return call(self, storyboard, **options)

    monkeypatch.setattr(HoloCinePipeline, "__call__", watched)
    return seen


def shots(frames: np.ndarray, storyboard: Storyboard) -> list[np.ndarray]:
    return np.split(frames, storyboard.cuts)


@pytest.mark.parametrize("kind", [*GENERATED, "causal"])
def test_every_system_makes_the_requested_frames_and_the_seed_decides_which(make, kind):
    first = make(kind, board())
    assert first.shape == (17, 32, 48, 3) and first.dtype == np.uint8
    assert not np.array_equal(make(kind, board(), seed=1), first)
    assert np.array_equal(make(kind, board(seed=10), seed=1), first), "repetitions move the storyboard's own seed"


@pytest.mark.parametrize("kind", GENERATED)
def test_every_system_runs_on_the_embedded_model(kind, models):
    scene = sample_scene(5, lengths=(1, 4))
    system = parse_system(kind, ModelSettings(num_inference_steps=1))
    video = system.generate(Entry("a", to_storyboard(scene, seed=1), scene=scene), 0, models)
    assert video.frames.shape == (5, 64, 112, 3) and video.fps == 12


def test_a_causal_model_has_one_expert():
    with pytest.raises(ValueError, match="causal runs a model of one expert, trained so, and this one has two"):
        parse_system("causal", ModelSettings()).generate(Entry("a", board()), 0, Models())


@pytest.mark.parametrize(("kind", "hears_of_it"), [("independent-shots", False), ("keyframe", True)])
def test_whether_the_first_shot_hears_of_the_last_caption(make, kind, hears_of_it):
    other = board("Medium shot of [character1].", "Close-up of her hand.", "Rain.")
    one, two = (shots(make(kind, b), b)[0] for b in (board(), other))
    assert np.array_equal(one, two) != hears_of_it


def test_systems_differ_from_holocine_in_attention_and_windows_alone(make, calls):
    for kind in GENERATED[:4]:
        make(kind, board())
    given = {
        kind: (options["attention"], options["window"]) for kind, (_, options) in zip(GENERATED, calls, strict=False)
    }
    assert given == {
        "holocine": ("sparse", True),
        "holocine-full": ("full", True),
        "isolated": ("isolated", True),
        "no-window": ("sparse", False),
    }
    assert {storyboard for storyboard, _ in calls} == {board()}


def test_single_prompt_tells_all_the_text_and_no_cut(make, calls):
    make("single-prompt", board())
    [(storyboard, options)] = calls
    assert (options["attention"], options["window"]) == ("full", False)
    assert (storyboard.num_shots, storyboard.num_frames, storyboard.seed) == (1, 17, 11)
    assert storyboard.captions == (" ".join(board().captions),)
    assert storyboard.global_caption == board().global_caption + " This scene contains 3 shots."


def test_a_stated_number_of_shots_is_not_said_twice():
    stated = board().model_copy(update={"global_caption": "A studio. This scene contains 3 shots in all."})
    assert generation.as_one_shot(stated).global_caption == stated.global_caption


def test_independent_shots_are_told_what_they_show_without_tags(make, calls):
    frames = make("independent-shots", board())
    assert [b.num_shots for b, _ in calls] == [1, 1, 1]
    assert [b.num_frames for b, _ in calls] == [5, 5, 9], "the next 4t + 1, of which the last frame is dropped"
    assert [b.captions[0] for b, _ in calls] == [
        "Medium shot of a young painter.",
        "Close-up of her hand.",
        "Wide shot of an old man at night.",
    ]
    assert {b.global_caption for b, _ in calls} == {"A young painter. An old man. A bright studio."}
    assert len({b.seed for b, _ in calls}) == 3
    alone = [make("holocine", b)[:n] for (b, _), n in zip(list(calls), (5, 4, 8), strict=True)]
    assert np.array_equal(np.concatenate(alone), frames)


def test_a_retaken_scene_keeps_all_shots_but_one_at_a_time(make, monkeypatch):
    from holocine import HoloCinePipeline

    call, seen = HoloCinePipeline.__call__, []

    def watched(self, board, keep=None, **options):
        output = call(self, board, keep=keep, **options)
        seen.append(([kept.shot for kept in keep or ()], output.frames[0]))
        return output

    monkeypatch.setattr(HoloCinePipeline, "__call__", watched)
    frames = make("retake", board())
    assert [kept for kept, _ in seen] == [[], [2, 3], [1, 3], [1, 2]]
    assert np.array_equal(frames, seen[-1][1])
    (_, first), (_, second), *_ = seen
    assert np.array_equal(first[5:], second[5:]) and not np.array_equal(first[:5], second[:5])
    assert np.array_equal(frames[:5], second[:5])


def test_a_continued_scene_is_made_in_two_halves(make, calls):
    frames = make("continue", board())
    assert frames.shape[0] == 17
    (first, _), (second, options) = calls
    assert first.num_shots == 2 and first.num_frames == 9
    assert second.captions == board().captions
    assert [kept.shot for kept in options["keep"]] == [1, 2]


@pytest.mark.parametrize("system", ["retake", "continue"])
def test_a_scene_of_one_shot_is_neither_retaken_nor_continued(make, system):
    with pytest.raises(ValueError, match=f"{system} needs at least 2 shots, and this storyboard has 1"):
        make(system, Storyboard.from_captions("A room.", ["A chair."], num_frames=5, seed=1))


def test_keyframes_are_made_together_and_become_the_first_frames(make, calls, model):
    frames = make("keyframe", board())
    together, *alone = calls
    assert [shot.num_frames for shot in together[0].shots] == [1, 4, 4] and together[0].captions == board().captions
    assert [b.num_frames for b, _ in alone] == [5, 5, 9]
    pipeline = Models().pipeline(ModelSettings(model))
    latents = pipeline(generation.first_frames(board()), output_type="latent").frames
    for index, shot in enumerate(shots(frames, board())):
        keyframe = pipeline.decode(latents[:, :, index : index + 1])[0][0]
        assert np.abs(shot[0].astype(int) - keyframe).max() <= 1
        assert not np.array_equal(shot[0], shot[-1])


@pytest.fixture
def animator(tokenizer, text_encoder, vae, make_transformer, shelf):
    """A tiny image-to-video model in a folder, as Wan2.2's: the first picture comes as extra channels."""
    pipeline = WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        transformer=make_transformer(5, WanTransformer3DModel, in_channels=36, out_channels=16),
    )
    pipeline.save_pretrained(shelf / "animator")
    return str(shelf / "animator")


def test_keyframes_can_be_animated_by_an_image_to_video_model(make, animator, monkeypatch):
    seen, call = [], WanImageToVideoPipeline.__call__

    def watched(self, **options):
        seen.append(options)
        return call(self, **options)

    monkeypatch.setattr(WanImageToVideoPipeline, "__call__", watched)
    frames = make(f"keyframe:{animator}", board())
    assert frames.shape == (17, 32, 48, 3) and frames.dtype == np.uint8
    assert [options["num_frames"] for options in seen] == [5, 5, 9]
    assert seen[2]["prompt"].endswith("A bright studio. Wide shot of an old man at night.")
    assert {options["image"].size for options in seen} == {(48, 32)}
    assert np.array_equal(make(f"keyframe:{animator}", board()), frames)


def test_what_is_no_image_to_video_model_is_said(make, model, tmp_path):
    with pytest.raises(CheckpointError, match="is a HoloCinePipeline, not a WanImageToVideoPipeline"):
        make(f"keyframe:{model}", board())
    with pytest.raises(CheckpointError, match="does not exist"):
        make(f"keyframe:{tmp_path / 'nothing'}", board())


def test_a_models_hash_follows_its_weights(make_pipeline, tmp_path):
    make_pipeline().save_pretrained(tmp_path / "one")
    make_pipeline().save_pretrained(tmp_path / "same")
    make_pipeline(experts=2).save_pretrained(tmp_path / "other")
    (tmp_path / "same" / "README.md").write_text("Notes.")
    one, same, other = (model_sha256(str(tmp_path / name)) for name in ("one", "same", "other"))
    assert one == same != other


def test_only_one_model_is_held_at_a_time(make_pipeline, tmp_path):
    import gc
    import weakref

    for name in ("one", "two"):
        make_pipeline().save_pretrained(tmp_path / name)
    models = Models()
    first = weakref.ref(models.pipeline(ModelSettings(str(tmp_path / "one"))))
    assert models.pipeline(ModelSettings(str(tmp_path / "one"), num_inference_steps=3)) is first()
    models.pipeline(ModelSettings(str(tmp_path / "two")))
    gc.collect()
    assert first() is None


# The world's own


@pytest.fixture
def entry() -> Entry:
    scene = sample_scene(3, lengths=(5, 8, 4))
    return Entry("scene", to_storyboard(scene, seed=1), scene=scene)


def world(spec: str, entry: Entry, seed: int = 0) -> np.ndarray:
    return parse_system(spec, ModelSettings()).generate(entry, seed, Models()).frames


def test_truth_is_the_rendering_of_the_scene(entry):
    assert np.array_equal(world("truth", entry), render(entry.scene)[0])


def test_still_is_one_frame_all_the_time(entry):
    frames = world("still", entry)
    assert len(frames) == 17 and (frames == render(entry.scene)[0][0]).all()


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_has_every_shot_and_none_in_its_place(entry, seed):
    truth = shots(world("truth", entry), entry.storyboard)
    rest = world("shuffled", entry, seed)
    order = []
    while len(rest):
        index = next(i for i, shot in enumerate(truth) if np.array_equal(rest[: len(shot)], shot))
        order.append(index)
        rest = rest[len(truth[index]) :]
    assert sorted(order) == [0, 1, 2] and all(place != index for place, index in enumerate(order))


def test_what_the_world_cannot_show_is_said(entry):
    with pytest.raises(ValueError, match="storyboard b is not one of them"):
        world("truth", Entry("b", board()))
    scene = sample_scene(3, lengths=(9,))
    with pytest.raises(ValueError, match="at least 2 shots"):
        world("shuffled", Entry("b", to_storyboard(scene), scene=scene))


# Finished videos


@pytest.fixture
def videos(tmp_path):
    """a.mp4, b/0.mp4, b/1.mp4 and other.mov, each of its own grey."""
    folder = tmp_path / "videos"
    (folder / "b").mkdir(parents=True)
    for grey, name in enumerate(("a.mp4", "b/0.mp4", "b/1.mp4", "other.mov")):
        write_video(folder / name, np.full((5, 32, 48, 3), 50 * grey, np.uint8), 12)
    return folder


def found(folder, storyboard_id: str, seed: int = 0):
    system = parse_system(f"folder:{folder}", ModelSettings())
    return system.generate(Entry(storyboard_id, board()), seed, Models())


def test_videos_are_found_by_storyboard_and_seed(videos):
    assert found(videos, "a") == videos / "a.mp4"
    assert [found(videos, "b", seed) for seed in (0, 1)] == [videos / "b/0.mp4", videos / "b/1.mp4"]
    with pytest.raises(ValueError, match="no video for storyboard a, seed 1: call it a.mp4 or a/1.mp4"):
        found(videos, "a", 1)
    with pytest.raises(ValueError, match="no video for storyboard c, seed 0"):
        found(videos, "c")


def test_a_mapping_names_the_files_instead(videos):
    (videos / "videos.json").write_text(json.dumps({"a": "other.mov", "b": ["b/1.mp4", "gone.mp4"]}))
    for path in (videos, videos / "videos.json"):
        assert found(path, "a") == videos / "other.mov"
        assert found(path, "b") == videos / "b/1.mp4"
    with pytest.raises(ValueError, match="names no file for storyboard b, seed 1; .*gone.mp4 does not exist"):
        found(videos, "b", 1)
    with pytest.raises(ValueError, match="holds no video for storyboard c, seed 0: .*name the files in .*videos.json"):
        found(videos, "c")


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": [1]}'])
def test_a_mapping_that_is_none_is_said_at_once(videos, content):
    (videos / "map.json").write_text(content)
    with pytest.raises(UnknownSystem, match="map.json(, a: .* names no file| is not JSON| has to map)"):
        parse_system(f"folder:{videos / 'map.json'}", ModelSettings())


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("fps", 0, "fps is 0, but has to be a number of frames a second, above 0"),
        ("fps", -5, "fps is -5"),
        ("start", float("nan"), "start is nan, but has to be a number of seconds from 0 up"),
        ("align", "nonsense", "align is 'nonsense', but has to be auto, seconds, frames or share"),
        ("cuts", [-1], r"cuts is \[-1\], but has to be a list of frame numbers"),
        ("rate", 3, "'rate' is not known; a video has file, cuts, fps, start, align"),
    ],
)
def test_what_a_mapping_says_of_a_video_is_looked_at_before_anything_runs(videos, key, value, says):
    (videos / "map.json").write_text(json.dumps({"a": {"file": "b/1.mp4", key: value}}))
    with pytest.raises(UnknownSystem, match=says):
        parse_system(f"folder:{videos / 'map.json'}", ModelSettings())


def test_another_file_is_another_definition(videos):
    system = parse_system(f"folder:{videos}", ModelSettings())
    before = system.definition(Entry("a", board()), 0)
    assert system.definition(Entry("a", board()), 0) == before
    (videos / "b/1.mp4").replace(videos / "a.mp4")
    assert system.definition(Entry("a", board()), 0) != before
    assert system.definition(Entry("gone", board()), 0)["file"] is None


# Names


def test_systems_have_names_paths_and_models_of_their_own(videos):
    settings = ModelSettings("weights/old", num_inference_steps=3)
    plain, named, folder, two, animated = parse_systems(
        ["holocine", "new=holocine@weights/new", f"folder:{videos}", f"kling=folder:{videos}", "keyframe:i2v@other"],
        settings,
    )
    assert (plain.name, plain.settings) == ("holocine", settings)
    assert (named.name, named.kind, named.settings.model) == ("new", "holocine", "weights/new")
    assert named.settings.num_inference_steps == 3
    assert (folder.name, two.name, two.kind) == ("videos", "kling", "folder")
    assert (animated.name, animated.image_to_video, animated.settings.model) == ("keyframe", "i2v", "other")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("holosine", f"the system 'holosine' is unknown (did you mean holocine?); choose from {', '.join(KINDS)}"),
        ("truth@weights", "names a model, but truth runs none"),
        ("keyframe:wan@wan", "names wan, a system, where the folder of a model belongs, such as models/wan"),
        ("holocine@wan", "names wan, a system, where the folder of a model belongs, such as models/wan"),
        ("isolated:path", "only folder:PATH and keyframe:MODEL take one"),
        ("folder", "needs a folder of videos"),
        ("echosht@weights", "the system 'echosht' is unknown (did you mean echoshot?); choose from holocine, "),
        ("folder:not/there", "folder:not/there needs a folder of videos, or a mapping file, that exists"),
        ("../up=truth", "the name '../up' of a system may have"),
        ("=truth", "the name '' of a system may have"),
        ("a=b=c", "does not read"),
    ],
)
def test_a_system_that_does_not_exist_is_said(spec, message):
    with pytest.raises(UnknownSystem) as error:
        parse_system(spec, ModelSettings())
    assert message in str(error.value)


def test_two_systems_cannot_have_one_name():
    with pytest.raises(UnknownSystem, match="two systems are called 'truth': give one another name, as in NAME=truth"):
        parse_systems(["truth", "truth"], ModelSettings())


def test_a_mapping_that_names_storyboards_of_no_suite_is_told(tmp_path):
    (tmp_path / "videos.json").write_text(json.dumps({"fiv": {"file": "five.mp4", "start": 0.5}, "two": "2.mp4"}))
    system = parse_system(f"x=folder:{tmp_path}", ModelSettings())
    assert system.unknown(("five", "two")) == (
        f"{tmp_path / 'videos.json'} names 'fiv', not in the suite: what it says of it is left out (did you mean five?)"
    )
    assert system.unknown(("fiv", "two")) is None


def test_videos_of_a_folder_that_no_storyboard_names_are_told(tmp_path):
    for name in ("one.mp4", "extra.mp4", "two/0.mp4", "too/0.mp4", "mapped.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "videos.json").write_text('{"three": "mapped.mp4"}')
    folder = Folder("mine", str(tmp_path))
    said = f"{tmp_path} holds extra.mp4, too/0.mp4, which no storyboard of the suite is called: they are left out"
    assert folder.unknown(("one", "two", "three")) == said
    assert folder.unknown(("one", "two", "three", "extra", "too")) is None
