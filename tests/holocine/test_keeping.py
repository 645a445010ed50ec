"""Kept latent frames in the whole pipeline, on tiny random models: 17 frames of 32 x 48 pixels in 2 steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, UniPCMultistepScheduler
from PIL import Image

from holocine import Cancelled, KeepError, Kept, Storyboard, keep_picture, keep_shots
from holocine.encoding import encode_frames, vae_fingerprint
from holocine.keeping import frames_of, keep_of_video, kept_of_each, placed

SPANS = (slice(0, 2), slice(2, 4), slice(4, 5))  # the latent frames of the storyboard's shots
FRAMES = (slice(0, 5), slice(5, 13), slice(13, 17))


@pytest.fixture
def first(pipeline, storyboard):
    """A video made in one go."""
    return pipeline(storyboard)


@pytest.fixture
def noise_pictures(storyboard):
    """Frames that no model made: (17, 32, 48, 3)."""
    return np.random.default_rng(0).integers(0, 256, (storyboard.num_frames, 32, 48, 3), np.uint8)


def test_kept_shots_come_back_bit_for_bit_and_the_others_are_new(pipeline, storyboard, first):
    again = pipeline(storyboard, seed=5, keep=keep_shots(first, [1, 3]))
    for shot in (0, 2):
        assert torch.equal(again.latents[:, :, SPANS[shot]], first.latents[:, :, SPANS[shot]])
        assert np.array_equal(again.frames[0][FRAMES[shot]], first.frames[0][FRAMES[shot]])
    assert not np.array_equal(again.frames[0][FRAMES[1]], first.frames[0][FRAMES[1]])
    alone = pipeline(storyboard, seed=5)
    assert not torch.equal(again.latents[:, :, SPANS[1]], alone.latents[:, :, SPANS[1]]), "it sees what is kept"
    assert "encode" in again.timings and again.seed == 5


def test_kept_frames_follow_the_straight_path_of_one_noise(pipeline, storyboard, first):
    seen = []
    pipeline(
        storyboard,
        seed=5,
        num_inference_steps=4,
        keep=keep_shots(first, [2]),
        output_type="latent",
        callback_on_step_end=lambda pipe, step, t, tensors: seen.append(tensors["latents"].clone()),
    )
    noise = torch.randn(1, 16, 5, 4, 6, generator=torch.Generator().manual_seed(5))
    sigmas = [float(sigma) for sigma in pipeline.scheduler.sigmas]
    for sigma, latents in zip(sigmas[1:], seen, strict=True):
        expected = (1 - sigma) * first.latents + sigma * noise
        torch.testing.assert_close(latents[:, :, SPANS[1]], expected[:, :, SPANS[1]])


@pytest.mark.parametrize("options", [{"experts": 2}, {"default_eta": 1.0}, {"default_guidance_scale": 1.0}])
def test_keeping_works_with_two_experts_fresh_noise_and_no_guidance(make_pipeline, storyboard, options):
    pipeline = make_pipeline(**options, default_num_inference_steps=4)
    first = pipeline(storyboard)
    again = pipeline(storyboard, seed=5, keep=keep_shots(first, [1, 2]))
    assert torch.equal(again.latents[:, :, :4], first.latents[:, :, :4])
    assert not torch.equal(again.latents[:, :, 4:], first.latents[:, :, 4:])


def test_another_scheduler_of_flow_matching_keeps_too_and_one_of_noise_prediction_says_why_not(
    make_pipeline, storyboard
):
    flow = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    pipeline = make_pipeline(scheduler=flow, default_num_inference_steps=4)
    first = pipeline(storyboard)
    again = pipeline(storyboard, seed=5, keep=keep_shots(first, [1]))
    assert torch.equal(again.latents[:, :, SPANS[0]], first.latents[:, :, SPANS[0]])
    pipeline.scheduler = DDIMScheduler()
    with pytest.raises(KeepError, match="keep needs a scheduler of flow matching, not DDIMScheduler"):
        pipeline(storyboard, keep=keep_shots(first, [1]))


def test_each_video_of_a_batch_keeps_its_own(pipeline, storyboard):
    other = Storyboard.from_captions("A lighthouse.", ["Waves.", "A lamp."], num_frames=17, shot_cut_frames=[9], seed=3)
    boards = [storyboard, other, storyboard]
    first = pipeline(boards)
    keep = [keep_shots(first, [3], item=0), keep_shots(first, [1], item=1), None]
    again = pipeline(boards, seed=8, keep=keep, keep_every=1)
    for item, board in enumerate(boards):
        alone = pipeline(board, seed=8, keep=keep[item], keep_every=1)
        torch.testing.assert_close(again.latents[item], alone.latents[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(again.latents[0, :, SPANS[2]], first.latents[0, :, SPANS[2]])
    assert np.array_equal(again.frames[1][:9], first.frames[1][:9])


def test_tiling_and_offloading_keep_as_well(pipeline, storyboard, first):
    pictures = keep_of_video(storyboard, [2], frames=first.frames[0])
    expected = pipeline(storyboard, seed=5, keep=pictures).latents
    pipeline.transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    pipeline.vae.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    assert torch.equal(pipeline(storyboard, seed=5, keep=pictures).latents, expected)
    pipeline.vae.enable_tiling(
        tile_sample_min_height=16, tile_sample_min_width=16, tile_sample_stride_height=8, tile_sample_stride_width=8
    )
    tiled = pipeline(storyboard, seed=5, keep=pictures)
    assert np.array_equal(tiled.frames[0][FRAMES[1]], first.frames[0][FRAMES[1]])


@pytest.mark.parametrize("output_type", ["np", "pil", "pt"])
def test_pictures_are_encoded_and_shown_as_they_are_in_every_output(pipeline, storyboard, noise_pictures, output_type):
    kept = keep_of_video(storyboard, [2], frames=noise_pictures)
    frames = pipeline(storyboard, keep=kept, output_type=output_type).frames[0]
    if output_type == "pt":
        frames = (frames * 255).round().byte().permute(0, 2, 3, 1).numpy()
    shown = np.stack([np.asarray(frame) for frame in frames])
    assert np.array_equal(shown[FRAMES[1]], noise_pictures[FRAMES[1]])
    assert not np.array_equal(shown[FRAMES[0]], noise_pictures[FRAMES[0]])


def test_a_picture_at_the_beginning_of_the_video_is_one_frame_and_elsewhere_one_held_for_a_latent_frame(
    pipeline, storyboard, noise_pictures
):
    picture = noise_pictures[0]
    made = pipeline(storyboard, keep=[keep_picture(1, picture), keep_picture(2, picture, "last")])
    still = encode_frames(pipeline.vae, picture[None])
    assert torch.equal(made.latents[0, :, :1], still)
    assert np.array_equal(made.frames[0][0], picture)
    assert np.array_equal(made.frames[0][12], picture)
    assert not np.array_equal(made.frames[0][9], picture), "its latent frame is decoded around it"
    held = encode_frames(pipeline.vae, np.repeat(picture[None], 9, axis=0))
    torch.testing.assert_close(made.latents[0, :, 3], held[:, 2])


def test_what_was_before_a_cut_leaves_no_trace_in_what_is_kept(pipeline, storyboard, noise_pictures):
    other = noise_pictures.copy()
    other[FRAMES[0]] = 255 - other[FRAMES[0]]
    one, two = (
        pipeline(storyboard, keep=keep_of_video(storyboard, [2], frames=frames)).latents[:, :, SPANS[1]]
        for frames in (noise_pictures, other)
    )
    assert torch.equal(one, two)


def test_neighbours_that_are_kept_are_encoded_in_one_go(pipeline, storyboard, noise_pictures):
    kept = keep_of_video(storyboard, [1, 2], frames=noise_pictures)
    whole = encode_frames(pipeline.vae, noise_pictures[:13])
    torch.testing.assert_close(pipeline(storyboard, keep=kept).latents[0, :, :4], whole)


def test_a_callback_sees_what_is_kept_and_cannot_change_it(pipeline, storyboard, first):
    estimates = []

    def erase(pipe, step, timestep, tensors):
        estimates.append(pipe.scheduler.pred_original_sample.clone())
        return {"latents": torch.zeros_like(tensors["latents"])}

    again = pipeline(storyboard, keep=keep_shots(first, [1]), callback_on_step_end=erase)
    assert torch.equal(again.latents[:, :, SPANS[0]], first.latents[:, :, SPANS[0]])
    assert not again.latents[:, :, 2:].any()
    for estimate in estimates:
        assert torch.equal(estimate[:, :, SPANS[0]], first.latents[:, :, SPANS[0]])


def test_other_tensors_may_be_asked_for_and_cancelling_leaves_nothing_locked(pipeline, storyboard, first):
    def cancel(pipe, step, timestep, tensors):
        assert "prompt_embeds" in tensors
        return {"cancel": True}

    with pytest.raises(Cancelled):
        pipeline(
            storyboard,
            keep=keep_shots(first, [1]),
            callback_on_step_end=cancel,
            callback_on_step_end_tensor_inputs=["prompt_embeds"],
        )
    assert torch.equal(pipeline(storyboard).latents, first.latents)


def test_the_noise_may_be_given_and_is_not_written_to(pipeline, storyboard, first):
    noise = torch.randn(1, 16, 5, 4, 6, generator=torch.Generator().manual_seed(5))
    before = noise.clone()
    given = pipeline(storyboard, latents=noise, keep=keep_shots(first, [1])).latents
    assert torch.equal(noise, before)
    assert torch.equal(given, pipeline(storyboard, seed=5, keep=keep_shots(first, [1])).latents)


def test_latents_come_with_every_kind_of_output(pipeline, storyboard, first):
    latents = pipeline(storyboard, output_type="latent")
    assert torch.equal(latents.frames, latents.latents) and torch.equal(latents.latents, first.latents)
    again = pipeline(storyboard, seed=5, keep=keep_shots(latents, [1]), output_type="latent")
    assert torch.equal(again.frames[:, :, SPANS[0]], first.latents[:, :, SPANS[0]])


def test_the_fingerprint_of_a_vae_is_its_own_in_every_dtype(pipeline):
    vae = pipeline.vae
    before = vae_fingerprint(vae)
    assert vae_fingerprint(vae.to(torch.bfloat16)) == before
    vae.to(torch.float32)
    with torch.no_grad():
        vae.post_quant_conv.weight[0, 0] += 1
    assert vae_fingerprint(vae) != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda k: [], "nothing is kept: leave keep out, or say which shots to keep"),
        (lambda k: k[:3], "all 3 shots are kept, so there is nothing to make: leave one out"),
        (lambda k: [replace(k[0], shot=9)], "there is no shot 9: the scene has 3, numbered from 1"),
        (lambda k: [replace(k[0], shot=2)], r"shot 2 of 3: 5 frames are kept for 8; give as many, or the shot another"),
        (lambda k: [replace(k[1], frames=None, shot=1)], None),
        (lambda k: [replace(k[2], frames=None, shot=1)], r"shot 1 of 3: latents of shape .* for 2 latent frames"),
        (lambda k: [replace(k[0], latents=k[0].latents[..., 0])], r"latents of shape \(16, 2, 4\) are kept for 2"),
        (lambda k: [replace(k[0], fps=24.0)], "what is kept has 24 frames a second and the scene 15; give the scene"),
        (lambda k: [replace(k[0], made_by="other")], "shot 1: the kept latents are of another model's VAE; use the"),
        (lambda k: [replace(k[0], latents=k[0].latents[:8])], "have 8 channels of 6x4 and the model's 16 of 6x4"),
        (lambda k: [replace(k[0], latents=k[0].latents[..., :5])], "have 16 channels of 5x4 and the model's 16 of 6x4"),
        (lambda k: [replace(k[0], latents=k[0].latents * torch.nan)], "shot 1: the kept latents hold values that are"),
        (lambda k: [replace(k[0], frames=k[0].frames[:, :16])], "shot 1: kept pictures are 48x16 pixels and the video"),
        (lambda k: [replace(k[0], frames=k[0].frames / 255)], "shot 1 of 3: kept frames are float64"),
        (lambda k: [k[0], k[0]], "its whole part and its whole part are the same latent frame; keep one"),
        (lambda k: [k[0], keep_picture(1, k[0].frames[0])], "its first part and its whole part are the same latent"),
        (lambda k: [[k[0]], [k[0]]], "keep has 2 lists for 1 storyboards; give one for each, None for nothing"),
    ],
)
def test_what_cannot_be_kept_is_said_in_one_sentence(pipeline, storyboard, first, change, message):
    keep = change(keep_shots(first, [1, 2, 3]))
    if message is None:  # shots 1 and 2 have as many latent frames: latents alone fit either
        assert pipeline(storyboard, keep=keep).frames[0].shape == (17, 32, 48, 3)
        return
    with pytest.raises(KeepError, match=message):
        pipeline(storyboard, keep=keep)


def test_one_list_is_not_for_several_storyboards(pipeline, storyboard, first):
    with pytest.raises(KeepError, match="keep is one list for 2 storyboards; give a list of lists"):
        pipeline([storyboard, storyboard], keep=keep_shots(first, [1]))


def test_nothing_to_keep_is_no_kept():
    with pytest.raises(KeepError, match="shot 1: nothing is given to keep; give latents, frames, or both"):
        Kept(1)
    with pytest.raises(KeepError, match="part 'middle' is unknown; choose one of whole, first, last"):
        Kept(1, "middle", frames=np.zeros((1, 32, 48, 3), np.uint8))
    with pytest.raises(KeepError, match="give a clip to fix a whole one"):
        keep_picture(1, np.zeros((32, 48, 3), np.uint8), "whole")


def test_a_shot_that_is_not_in_the_source_is_named(first):
    with pytest.raises(KeepError, match="there is no shot 4: the scene has 3, numbered from 1"):
        keep_shots(first, [4])
    with pytest.raises(KeepError, match="there is no shot 0"):
        keep_shots(first, [0])


def test_kept_shots_may_take_another_place(pipeline, storyboard, first):
    board = Storyboard.from_captions("A room.", ["New.", "Kept.", "New."], num_frames=21, shot_cut_frames=[5, 13])
    made = pipeline(board, keep=keep_shots(first, {2: 2}))
    assert np.array_equal(made.frames[0][5:13], first.frames[0][FRAMES[1]])


def test_latent_frames_stand_for_their_frames():
    assert frames_of(range(0, 1)) == range(0, 1)
    assert frames_of(range(0, 3)) == range(0, 9)
    assert frames_of(range(2, 4)) == range(5, 13)


def test_an_output_of_images_keeps_its_latents(pipeline, storyboard):
    images = pipeline(storyboard, output_type="pil")
    assert isinstance(images.frames[0][0], Image.Image)
    kept = keep_shots(images, [1])
    assert kept[0].frames is None and placed(kept, storyboard)[0].shown == range(0)
    again = pipeline(storyboard, seed=5, keep=kept)
    assert torch.equal(again.latents[:, :, SPANS[0]], images.latents[:, :, SPANS[0]])


@pytest.mark.parametrize("keep", ["x", 2, [1, 3]])
def test_what_is_no_list_of_kept_things_is_told_how_to_get_one(keep):
    with pytest.raises(KeepError, match=r"keep_shots\(output, \[1, 3\]\)"):
        kept_of_each(keep, 1)


@pytest.mark.parametrize("shots", ["12", 2])
def test_shots_that_are_no_list_of_numbers_are_named(shots):
    with pytest.raises(KeepError, match="have to be a list of numbers from 1"):
        keep_of_video(Storyboard.from_captions("A.", ["b", "c"], 17, [9]), shots)
