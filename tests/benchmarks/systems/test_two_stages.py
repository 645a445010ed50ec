"""The two stages of two other models, on tiny random weights of diffusers' own classes."""

import inspect
import json

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel

from benchmarks.__main__ import main
from benchmarks.running.items import REQUEST, Item, read_record
from benchmarks.suites.suite import Entry, Suite, write_suite
from benchmarks.systems.models import Models, ModelSettings
from benchmarks.systems.systems import UnknownSystem, parse_system, parse_systems, unread_options
from holocine import Storyboard

SHOTS = (0.5, 0.25, 0.5)  # seconds: 8, 4 and 8 frames of Wan's


def board(shots=SHOTS, **fields) -> Storyboard:
    captions = ("Medium shot of [character1].", "Close-up of her hand.", "Wide shot of the studio at night.")
    return Storyboard(
        fps=12,
        seed=3,
        shots=[{"caption": captions[i % 3], "seconds": seconds} for i, seconds in enumerate(shots)],
        **{"global_caption": "[character1] is a young painter. A bright studio.", **fields},
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def clip(shelf):
    """A tokenizer of single letters that reads 77 of them, and an encoder of its kind."""
    letters = [chr(c) for c in range(97, 123)] + ["."]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (shelf / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (shelf / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(shelf / "vocab.json"), str(shelf / "merges.txt"), model_max_length=77)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
        pad_token_id=len(words) - 1,
    )
    return tokenizer, CLIPTextModel(config)


def picture_vae(channels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        norm_num_groups=2,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0,
        scaling_factor=1.0,
    )


@pytest.fixture
def drawer(shelf, clip, tokenizer):
    """Call with "sd" or "flux" to get a folder of such a text-to-image pipeline."""

    def drawer(kind: str) -> str:
        path = shelf / kind
        if path.exists():
            return str(path)
        torch.manual_seed(0)
        clip_tokenizer, clip_encoder = clip
        if kind == "sd":
            unet = UNet2DConditionModel(
                block_out_channels=(4, 8),
                layers_per_block=1,
                sample_size=8,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=32,
                attention_head_dim=2,
                norm_num_groups=2,
            )
            pipeline = StableDiffusionPipeline(
                vae=picture_vae(4),
                text_encoder=clip_encoder,
                tokenizer=clip_tokenizer,
                unet=unet,
                scheduler=DDIMScheduler(),
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
        else:
            transformer = FluxTransformer2DModel(
                in_channels=4,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=32,
                axes_dims_rope=[4, 4, 8],
            )
            t5 = T5Config(vocab_size=512, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
            pipeline = FluxPipeline(
                scheduler=FlowMatchEulerDiscreteScheduler(),
                vae=picture_vae(1),
                text_encoder=clip_encoder,
                tokenizer=clip_tokenizer,
                text_encoder_2=T5EncoderModel(t5),
                tokenizer_2=tokenizer,
                transformer=transformer,
            )
        pipeline.save_pretrained(path)
        return str(path)

    return drawer


@pytest.fixture
def animator(shelf, tokenizer, text_encoder, vae, make_transformer):
    """Wan2.2's image-to-video, in which the first picture comes as extra channels."""
    path = shelf / "animator"
    if not path.exists():
        WanImageToVideoPipeline(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
            transformer=make_transformer(5, WanTransformer3DModel, in_channels=36, out_channels=16),
        ).save_pretrained(path)
    return str(path)


@pytest.fixture
def calls(monkeypatch):
    """The arguments of every call of the image-to-video pipeline, and of the text-to-image pipelines."""
    seen = {kind: [] for kind in (WanImageToVideoPipeline, StableDiffusionPipeline, FluxPipeline)}
    for kind in seen:

        def watched(self, *args, kind=kind, call=kind.__call__, **options):
            seen[kind].append(options)
            return call(self, *args, **options)

        watched.__signature__ = inspect.signature(kind.__call__)
        monkeypatch.setattr(kind, "__call__", watched)
    return seen


SETTINGS = ModelSettings(num_inference_steps=2, guidance_scale=1.0, height=32, width=48)


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_any_text_to_image_model_draws_first_frames_that_wan_sets_in_motion(kind, drawer, animator, calls):
    system = parse_system(f"keyframe:{animator}@{drawer(kind)}", SETTINGS)
    video = system.generate(Entry("a", board()), 0, Models())
    assert video.fps == 16 and video.frames.shape == (20, 32, 48, 3) and video.frames.dtype == np.uint8
    assert video.storyboard.cuts == (8, 12) and video.storyboard.asked.shot_seconds == SHOTS
    assert video.how == {"align": "seconds"}
    drawn = calls[StableDiffusionPipeline if kind == "sd" else FluxPipeline]
    assert [call["prompt"] for call in drawn] == [
        "Medium shot of a young painter. A young painter. A bright studio.",
        "Close-up of her hand. A young painter. A bright studio.",
        "Wide shot of the studio at night. A young painter. A bright studio.",
    ]
    assert {(call["height"], call["width"], call["num_inference_steps"]) for call in drawn} == {(32, 48, 2)}
    assert not any("guidance_scale" in call for call in drawn), "that is a matter of the model that moves pictures"
    moved = calls[WanImageToVideoPipeline]
    assert [call["num_frames"] for call in moved] == [9, 5, 9]
    assert {call["image"].size for call in moved} == {(48, 32)}
    pictures = [np.asarray(call["image"]) for call in moved]
    assert not np.array_equal(pictures[0], pictures[2]), "each shot has a picture of its own"
    assert np.array_equal(system.generate(Entry("a", board()), 0, Models()).frames, video.frames)
    assert not np.array_equal(system.generate(Entry("a", board()), 1, Models()).frames, video.frames)


def test_what_the_two_models_do_not_express_is_told(drawer, animator):
    system = parse_system(f"keyframe:{animator}@{drawer('sd')}", SETTINGS)
    long = board(
        global_caption="A bright studio with a large window that looks out on the sea.", negative_prompt="rain"
    )
    notes = system.generate(Entry("a", long), 0, Models()).notes
    reads = "StableDiffusionPipeline reads 77 tokens of a text: the last ones of"
    assert f"{reads} shot 3 (79 in all) are not read" in notes
    longer = board(global_caption=f"{long.global_caption} It is a large window indeed, and the sea is rough.")
    [note] = [note for note in system.generate(Entry("a", longer), 0, Models()).notes if "tokens" in note]
    assert note.startswith(f"{reads} shots 1, 2, 3 ("), "one sentence for all shots"
    assert "the text-to-image model is not given the negative prompt of the storyboard" in notes


def test_a_shot_ends_where_image_to_video_ends(drawer, animator):
    small = ModelSettings(num_inference_steps=1, guidance_scale=1.0, height=16, width=16)
    system = parse_system(f"keyframe:{animator}@{drawer('flux')}", small)
    video = system.generate(Entry("a", board((6.0, 0.5))), 0, Models())
    assert video.storyboard.cuts == (81,) and len(video.frames) == 89
    assert any("at most 81 frames a shot at 16 frames a second: the video lasts" in note for note in video.notes)


def test_a_text_to_image_model_alone_makes_no_video(drawer):
    with pytest.raises(UnknownSystem, match="draws first frames only: name an image-to-video model as well"):
        parse_system(f"keyframe@{drawer('sd')}", SETTINGS)
    with pytest.raises(UnknownSystem, match="name an image-to-video model as well"):
        parse_system("keyframe", ModelSettings(drawer("sd")))


def test_an_option_that_neither_stage_has_is_refused(drawer, animator):
    settings = ModelSettings(num_inference_steps=2, eta=0.5)
    systems = parse_systems([f"keyframe:{animator}@{drawer('sd')}"], settings)
    with pytest.raises(UnknownSystem, match=r"pictures and their shots are run without --eta: leave it out \(0.5\)"):
        unread_options(systems, settings)


def test_a_run_keeps_and_scores_it_in_time(drawer, animator, tmp_path, capfd):
    long = board(global_caption="A bright studio with a large window that looks out on the sea and on the ships there.")
    write_suite(tmp_path / "one.jsonl", Suite("one", 1, 12.0, (15,), (48, 32), (Entry("a", long),)))
    system, run = f"two=keyframe:{animator}@{drawer('sd')}", tmp_path / "run"
    options = ["--encoders", "none", "--detector", "pyscenedetect", "--steps", "1", "--height", "32", "--width", "48"]
    given = ["run", "--suite", str(tmp_path / "one.jsonl"), "--systems", system, "--out", str(run)]
    capfd.readouterr()
    assert main([*given, *options]) == 0
    item = Item("two", "a", 0)
    # What libraries say of text that is not read is no part of a run's output.
    [said] = capfd.readouterr().err.splitlines()
    assert said.startswith("[1/1] two a seed 0: ")
    assert "was truncated because CLIP" in (item.folder(run) / "log.txt").read_text()
    assert read_record(run, item).status == "done"
    assert json.loads((item.folder(run) / REQUEST).read_text()) == {"align": "seconds"}
