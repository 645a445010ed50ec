"""The whole pipeline on tiny random models: 17 frames of 32 x 48 pixels in 2 steps."""

import weakref

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from PIL import Image
from safetensors.torch import save_file

from holocine import (
    AttentionSettings,
    Cancelled,
    HoloCinePipeline,
    HoloCineTransformer3DModel,
    PromptTooLong,
    Storyboard,
)
from holocine.scheduler import HoloCineScheduler


def latents_of(pipeline, storyboard, **options) -> torch.Tensor:
    return pipeline(storyboard, output_type="latent", **options).frames


def relative_error(output: torch.Tensor, expected: torch.Tensor) -> float:
    return float((output - expected).norm() / expected.norm())


@pytest.fixture
def passes(pipeline):
    """The branch of every pass that the pipeline's transformer makes."""
    branches = []
    pipeline.transformer.register_forward_pre_hook(lambda model, args: branches.append(model._branch))
    return branches


@pytest.fixture
def other_storyboard(storyboard):
    """As long as `storyboard`, with other cuts, captions and seed."""
    return Storyboard.from_captions(
        "A lighthouse.", ["Waves.", "A lamp turns."], num_frames=storyboard.num_frames, shot_cut_frames=[9], seed=5
    )


def test_a_storyboard_becomes_frames_and_the_storyboard_as_run(pipeline, storyboard):
    output = pipeline(storyboard)
    assert [frames.shape for frames in output.frames] == [(17, 32, 48, 3)]
    assert output.frames[0].dtype == np.uint8
    assert output.storyboards == [storyboard]
    assert output.seed == storyboard.seed == 11
    assert set(output.timings) == {"text", "denoise", "decode"}
    assert all(seconds > 0 for seconds in output.timings.values())


def test_a_prompt_with_cuts_is_the_same_as_its_storyboard(pipeline, storyboard):
    output = pipeline(prompt=storyboard.prompt, shot_cut_frames=[5, 13], num_frames=17, seed=11)
    assert np.array_equal(output.frames[0], pipeline(storyboard).frames[0])


def test_the_storyboard_as_run_is_snapped(pipeline, storyboard):
    output = pipeline(prompt=storyboard.prompt, shot_cut_frames=[6, 12], num_frames=18)
    assert output.storyboards[0].num_frames == 17
    assert output.storyboards[0].cuts == (5, 13)
    assert output.storyboards[0].warnings


@pytest.mark.parametrize("num_shots", [1, 4])
def test_any_number_of_shots_runs(pipeline, num_shots):
    board = Storyboard.from_captions("A room.", [f"View {i}." for i in range(num_shots)], num_frames=17)
    assert pipeline(board).frames[0].shape == (17, 32, 48, 3)


def test_output_types_agree(pipeline, storyboard):
    array = pipeline(storyboard).frames[0]
    images = pipeline(storyboard, output_type="pil").frames[0]
    tensor = pipeline(storyboard, output_type="pt").frames[0]
    assert all(isinstance(image, Image.Image) for image in images)
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), array)
    assert np.array_equal((tensor * 255).round().byte().permute(0, 2, 3, 1).numpy(), array)
    assert latents_of(pipeline, storyboard).shape == (1, 16, 5, 4, 6)
    assert np.array_equal(pipeline(storyboard, return_dict=False)[0][0], array)


def test_the_same_seed_makes_the_same_video_and_another_seed_another(pipeline, storyboard):
    first = latents_of(pipeline, storyboard)
    assert torch.equal(first, latents_of(pipeline, storyboard))
    assert torch.equal(first, latents_of(pipeline, storyboard.model_copy(update={"seed": None}), seed=11))
    assert torch.equal(first, latents_of(pipeline, storyboard, generator=torch.Generator().manual_seed(11)))
    assert not torch.equal(first, latents_of(pipeline, storyboard, seed=12))


def test_without_a_seed_one_is_drawn_that_makes_the_video_again(pipeline, storyboard):
    board = storyboard.model_copy(update={"seed": None})
    first, second = (pipeline(board, output_type="latent") for _ in range(2))
    assert first.seed is not None and first.seed != second.seed
    assert torch.equal(first.frames, latents_of(pipeline, first.storyboards[0]))


def test_no_seed_is_claimed_for_noise_from_outside(pipeline, storyboard):
    output = pipeline(storyboard, latents=torch.zeros(1, 16, 5, 4, 6), output_type="latent")
    assert output.seed is None and output.storyboards[0].seed is None


@pytest.mark.parametrize("attention", ["sparse", "full", "isolated", "sparse:mean"])
def test_a_batch_of_different_cuts_equals_the_single_runs(pipeline, storyboard, other_storyboard, attention):
    boards = [storyboard, other_storyboard, storyboard.model_copy(update={"seed": 7})]
    together = latents_of(pipeline, boards, attention=attention)
    for row, board in zip(together, boards, strict=True):
        assert relative_error(row, latents_of(pipeline, board, attention=attention)[0]) < 1e-5


def test_attention_choices_change_the_video(make_pipeline, storyboard):
    pipeline = make_pipeline(default_attention="full")
    choices = [
        {},
        {"attention": "sparse"},
        {"attention": "isolated"},
        {"attention": "full", "window": False},
        {"attention": "sparse", "leak_free": True},
        {"attention": AttentionSettings("sparse", summary="mean")},
    ]
    videos = [latents_of(pipeline, storyboard, **choice) for choice in choices]
    for i, video in enumerate(videos):
        assert all(relative_error(video, other) > 1e-5 for other in videos[:i])
    assert torch.equal(videos[0], latents_of(pipeline, storyboard, attention="full"))
    settings = AttentionSettings("full", window=False)
    assert torch.equal(videos[3], latents_of(pipeline, storyboard, attention=settings))
    dense = latents_of(pipeline, storyboard, attention="sparse", kernel="dense")
    assert relative_error(dense, videos[1]) < 1e-5


def test_guidance_of_one_skips_the_negative_prompt(pipeline, storyboard, passes):
    pipeline(storyboard, output_type="latent")
    assert passes == ["cond", "uncond"] * 2
    passes.clear()
    pipeline(storyboard, guidance_scale=1.0, output_type="latent")
    assert passes == ["cond"] * 2


def test_defaults_come_from_the_config(make_pipeline, storyboard):
    pipeline = make_pipeline(default_num_inference_steps=3, default_guidance_scale=2.0, default_height=16)
    expected = latents_of(pipeline, storyboard, num_inference_steps=3, guidance_scale=2.0, height=16, width=48)
    assert torch.equal(latents_of(pipeline, storyboard), expected)


def test_the_negative_prompt_of_a_call_wins_over_the_storyboards_over_the_default(pipeline, storyboard):
    board = storyboard.model_copy(update={"negative_prompt": "dark"})
    plain, dark, empty = (
        latents_of(pipeline, b, negative_prompt=n) for b, n in ((storyboard, None), (board, None), (board, ""))
    )
    assert torch.equal(plain, latents_of(pipeline, board, negative_prompt="blurry"))
    assert torch.equal(dark, latents_of(pipeline, storyboard, negative_prompt="dark"))
    assert relative_error(dark, plain) > 1e-5
    assert relative_error(empty, plain) > 1e-5


def test_captions_are_cleaned_before_their_windows_are_found(pipeline, storyboard):
    messy = [f"  {shot.caption}\n\n &amp;  so&nbsp;on" for shot in storyboard.shots]
    tidy = [f"{shot.caption} & so on" for shot in storyboard.shots]
    first, second = (
        Storyboard.from_captions(storyboard.global_caption, texts, num_frames=17, shot_cut_frames=[5, 13], seed=1)
        for texts in (messy, tidy)
    )
    assert torch.equal(latents_of(pipeline, first), latents_of(pipeline, second))


def test_embeddings_may_be_given_instead_of_text(pipeline, storyboard):
    expected = latents_of(pipeline, storyboard, window=False)
    with torch.no_grad():
        positive, negative = pipeline.encode_prompt([storyboard.prompt], ["blurry"], max_sequence_length=128)
    assert positive.shape == (1, 128, 32) and not positive[:, -1].any()
    embeds = {"prompt_embeds": positive, "negative_prompt_embeds": negative}
    assert torch.equal(latents_of(pipeline, storyboard, window=False, **embeds), expected)


def test_both_experts_run_each_on_its_side_of_the_boundary(make_pipeline, storyboard):
    pipeline = make_pipeline(experts=2)
    assert pipeline.config.boundary_ratio == 0.875
    timesteps = {"transformer": set(), "transformer_2": set()}
    for name, seen in timesteps.items():
        hook = lambda model, args, kwargs, seen=seen: seen.add(float(kwargs["timestep"][0]))  # noqa: E731
        getattr(pipeline, name).register_forward_pre_hook(hook, with_kwargs=True)
    pipeline(storyboard, num_inference_steps=8, output_type="latent")
    assert min(timesteps["transformer"]) >= 875 > max(timesteps["transformer_2"])
    shifted = [5000 * s / (1 + 4 * s) for s in np.linspace(1, 0, 9)[:-1]]
    assert sorted(timesteps["transformer"] | timesteps["transformer_2"], reverse=True) == pytest.approx(shifted)


def test_the_noisiest_steps_can_go_without_guidance(make_pipeline, storyboard):
    pipeline = make_pipeline(default_num_inference_steps=4)  # at sigma 1, .94, .83 and .62
    passes = []
    pipeline.transformer.register_forward_pre_hook(lambda model, args: passes.append(model._branch))
    plain = latents_of(pipeline, storyboard, guidance_scale=1.0)
    passes.clear()
    assert not torch.equal(latents_of(pipeline, storyboard, guidance_below=0.9), plain)
    assert passes == ["cond"] * 2 + ["cond", "uncond"] * 2
    assert torch.equal(latents_of(pipeline, storyboard, guidance_below=0.5), plain)
    passes.clear()
    latents_of(pipeline, storyboard)
    assert passes == ["cond", "uncond"] * 4, "a call does not remember the one before"


def test_a_step_can_be_moved_away_from_that_of_shots_which_do_not_see_one_another(pipeline, storyboard):
    one_step = {"num_inference_steps": 1, "guidance_scale": 1.0, "shot_guidance_above": 0.0}
    apart = latents_of(pipeline, storyboard, attention="isolated", **one_step)
    plain = latents_of(pipeline, storyboard, **one_step)
    assert relative_error(plain, apart) > 0.001
    moved = latents_of(pipeline, storyboard, shot_guidance=3.0, **one_step)
    assert relative_error(moved, apart + 3 * (plain - apart)) < 1e-5
    assert torch.equal(latents_of(pipeline, storyboard, shot_guidance=0.0, **one_step), apart)
    one_step["guidance_scale"] = 4.0
    guided, moved = (latents_of(pipeline, storyboard, shot_guidance=scale, **one_step) for scale in (1.0, 3.0))
    assert relative_error(moved, guided + 2 * (plain - apart)) < 1e-5, "guidance by text neither weakens nor multiplies"
    one_step["guidance_scale"] = 1.0
    isolated = latents_of(pipeline, storyboard, shot_guidance=3.0, attention="isolated", **one_step)
    assert torch.equal(isolated, apart), "shots that see none are as they are"


def test_only_the_noisiest_steps_are_guided_by_the_other_shots(make_pipeline, storyboard):
    pipeline = make_pipeline(default_num_inference_steps=4)  # at sigma 1, .94, .83 and .62
    passes = []
    pipeline.transformer.blocks[0].register_forward_pre_hook(lambda *_: passes.append(pipeline.transformer._branch))
    plain = latents_of(pipeline, storyboard)
    passes.clear()
    assert not torch.equal(latents_of(pipeline, storyboard, shot_guidance=2.0, shot_guidance_above=0.9), plain)
    assert passes == ["cond", "cond", "uncond"] * 2 + ["cond", "uncond"] * 2
    assert torch.equal(latents_of(pipeline, storyboard, shot_guidance=2.0, shot_guidance_above=1.0), plain)
    passes.clear()
    latents_of(pipeline, Storyboard.from_captions("A beach.", ["A ball."], 17), shot_guidance=2.0)
    assert passes == ["cond", "uncond"] * 4, "a single shot has no others"


def test_fresh_noise_is_each_storyboards_own_and_drawn_from_its_seed(make_pipeline, storyboard, other_storyboard):
    pipeline = make_pipeline(default_eta=1.0)
    together = latents_of(pipeline, [storyboard, other_storyboard])
    for latents, board in zip(together, (storyboard, other_storyboard), strict=True):
        alone = latents_of(pipeline, board)
        assert relative_error(latents[None], alone) < 1e-5
        assert torch.equal(alone, latents_of(pipeline, board, eta=1))
        assert relative_error(latents_of(pipeline, board, eta=0.0), alone) > 0.01


def test_fresh_noise_needs_our_scheduler(pipeline, storyboard):
    pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    with pytest.raises(ValueError, match="eta 0.5 needs a HoloCineScheduler, not UniPCMultistepScheduler; set it to 0"):
        pipeline(storyboard, eta=0.5)


def test_the_low_noise_expert_may_have_its_own_guidance(make_pipeline, storyboard):
    pipeline = make_pipeline(experts=2)
    plain, weaker = (latents_of(pipeline, storyboard, guidance_scale_2=scale) for scale in (None, 2.0))
    assert torch.equal(plain, latents_of(pipeline, storyboard, guidance_scale_2=5.0))
    assert relative_error(weaker, plain) > 1e-5


def test_an_expert_whose_own_default_is_no_guidance_never_sees_the_negative_prompt(make_pipeline, storyboard):
    pipeline = make_pipeline(experts=2, default_guidance_scale_2=1.0, default_num_inference_steps=8)
    passes = {"transformer": [], "transformer_2": []}
    for name, seen in passes.items():
        hook = lambda model, args, seen=seen: seen.append(model._branch)  # noqa: E731
        getattr(pipeline, name).register_forward_pre_hook(hook)
    found = latents_of(pipeline, storyboard)
    assert passes["transformer"] == ["cond", "uncond"] * (len(passes["transformer"]) // 2)
    assert set(passes["transformer_2"]) == {"cond"}
    assert torch.equal(found, latents_of(pipeline, storyboard, guidance_scale=5.0))
    assert relative_error(latents_of(pipeline, storyboard, guidance_scale_2=5.0), found) > 1e-5
    latents_of(pipeline, storyboard, guidance_scale=1.0)  # which leaves nothing to the other expert's default


@pytest.mark.parametrize("by", ["returning", "raising"])
def test_cancelling_from_the_callback_stops_after_that_step_and_frees_its_tensors(pipeline, storyboard, passes, by):
    kept = []

    def callback(pipe, step, timestep, tensors):
        kept.extend(weakref.ref(tensor) for tensor in tensors.values())
        if by == "raising":
            raise Cancelled
        return {"cancel": True}

    with pytest.raises(Cancelled) as caught:
        pipeline(
            storyboard,
            callback_on_step_end=callback,
            callback_on_step_end_tensor_inputs=["latents", "prompt_embeds", "negative_prompt_embeds"],
        )
    assert passes == ["cond", "uncond"]
    assert caught.value is not None and len(kept) == 3
    assert [ref() for ref in kept] == [None] * 3
    assert pipeline(storyboard).frames[0].shape == (17, 32, 48, 3)


def test_the_callback_sees_every_step_and_may_return_nothing_or_other_latents(pipeline, storyboard):
    steps = []
    seen = latents_of(pipeline, storyboard, callback_on_step_end=lambda pipe, step, t, tensors: steps.append(step))
    assert steps == [0, 1]
    assert torch.equal(seen, latents_of(pipeline, storyboard))

    def erase(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    assert not latents_of(pipeline, storyboard, callback_on_step_end=erase).any()


def test_interrupting_ends_the_denoising_and_returns_what_there_is(pipeline, storyboard, passes):
    def interrupt(pipe, step, timestep, tensors):
        pipe._interrupt = True

    assert pipeline(storyboard, callback_on_step_end=interrupt).frames[0].shape == (17, 32, 48, 3)
    assert passes == ["cond", "uncond"]


def test_the_progress_bar_is_configured_as_in_diffusers(pipeline, storyboard, capsys):
    pipeline(storyboard, output_type="latent")
    assert capsys.readouterr().err == ""
    pipeline.set_progress_bar_config(desc="denoising")
    pipeline(storyboard, output_type="latent")
    assert "denoising: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_scale": float("nan")}, "guidance_scale nan is not a finite number of 0 or more"),
        ({"guidance_scale": -1.0}, "guidance_scale -1.0 is not a finite number of 0 or more"),
        ({"guidance_scale": float("inf")}, "guidance_scale inf is not a finite number"),
        ({"eta": 1.5}, "eta 1.5 is not a number from 0 to 1; 0 draws no fresh noise"),
        ({"eta": float("nan")}, "eta nan is not a number from 0 to 1"),
        ({"guidance_below": 2}, "guidance_below 2 is not a number from 0 to 1; 1 guides every step"),
        ({"shot_guidance": -2}, "shot_guidance -2 is not a finite number of 0 or more"),
        ({"shot_guidance_above": 2}, "shot_guidance_above 2 is not a number from 0 to 1; 1 guides none"),
        ({"guidance_scale_2": 3.0}, "guidance_scale_2 is for models of two experts"),
        ({"guidance_scale": 1.0, "guidance_scale_2": 3.0}, "guidance_scale_2 3.0 needs guidance_scale above 1"),
        ({"num_inference_steps": 0}, "num_inference_steps 0 is not a whole number of 1 or more"),
        ({"num_inference_steps": 2.5}, "num_inference_steps 2.5 is not a whole number"),
        ({"height": 40}, "height 40 is not a positive multiple of 16 pixels; use 32"),
        ({"width": 0}, "width 0 is not a positive multiple of 16 pixels; use 16"),
        ({"height": -32}, "height -32 is not a positive multiple of 16 pixels; use 16"),
        ({"width": 16400}, "width is 16,400 pixels, but this model has positions for 16,384 only: take fewer"),
        ({"output_type": "gif"}, "output_type 'gif' is unknown; choose one of np, pt, pil, latent"),
        ({"attention": "spars"}, "attention mode 'spars' is unknown"),
        ({"kernel": "fast"}, "kernel 'fast' is unknown"),
        ({"latents": torch.zeros(1, 16, 5, 4, 4)}, r"latents has the shape .* must have \(1, 16, 5, 4, 6\)"),
        ({"latents": torch.full((1, 16, 5, 4, 6), torch.nan)}, "latents holds values that are not finite"),
        ({"prompt_embeds": torch.zeros(1, 8, 9)}, r"prompt_embeds has the shape .* must have \(1, any, 32\)"),
        ({"prompt_embeds": torch.zeros(1, 8, 32)}, "pass text_windows too, or window=False"),
        ({"text_windows": []}, "0 text_windows for 1 storyboards"),
        ({"seed": -1}, "seed"),
        ({"num_frames": 33}, "num_frames belong to a prompt; a storyboard has its own"),
        ({"prompt": "[global caption] x"}, "give either a storyboard or a prompt"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "callback_on_step_end_tensor_inputs"),
    ],
)
def test_bad_input_is_one_clear_sentence(pipeline, storyboard, options, message):
    with pytest.raises(ValueError, match=message):
        pipeline(storyboard, **options)


def test_storyboards_of_different_lengths_are_no_batch(pipeline, storyboard):
    longer = Storyboard.from_captions("A room.", ["One.", "Two."], num_frames=33)
    with pytest.raises(ValueError, match=r"must have the same num_frames, not \[17, 33\]; run them one by one"):
        pipeline([storyboard, longer])
    with pytest.raises(ValueError, match="the list of storyboards is empty"):
        pipeline([])
    with pytest.raises(ValueError, match="give either a storyboard or a prompt"):
        pipeline()


def test_too_much_text_is_an_error_that_names_the_shot(pipeline, storyboard):
    board = Storyboard.from_captions("A room.", ["One.", "word " * 200, "Three."], num_frames=17)
    with pytest.raises(PromptTooLong, match="the model reads 128; shot 2 of 3 is the first that does not fit"):
        pipeline(board)
    with pytest.raises(PromptTooLong, match="shot 2 of 3"):
        pipeline(board, text_windows=[None])
    with pytest.raises(PromptTooLong, match="the negative prompt takes .* the model reads 128"):
        pipeline(storyboard, negative_prompt="word " * 200)


def test_values_that_are_not_finite_are_refused_and_never_kept(make_pipeline, storyboard):
    pipeline, states = make_pipeline(), []
    with torch.no_grad():
        pipeline.transformer.proj_out.bias[0] = torch.nan
    with pytest.raises(ValueError, match="values that are not finite, so that there is no video: take another dtype"):
        pipeline(storyboard, output_type="stream", on_state=states.append, state_every=1)
    assert states == []


def test_a_config_for_two_experts_without_the_second_is_an_error(make_pipeline, storyboard):
    with pytest.raises(ValueError, match=r"switches experts \(boundary_ratio 0.9\) but transformer_2 is missing"):
        make_pipeline(boundary_ratio=0.9)(storyboard)


def test_saving_and_loading_keeps_everything(make_pipeline, storyboard, tmp_path):
    pipeline = make_pipeline(experts=2, default_attention="full")
    pipeline.save_pretrained(tmp_path)
    loaded = HoloCinePipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded.transformer, HoloCineTransformer3DModel)
    assert isinstance(loaded.transformer_2, HoloCineTransformer3DModel)
    assert isinstance(loaded.scheduler, HoloCineScheduler)
    options = {k: v for k, v in pipeline.config.items() if k.startswith(("default_", "max_", "boundary"))}
    assert {k: loaded.config[k] for k in options} == options
    assert relative_error(latents_of(loaded, storyboard), latents_of(pipeline, storyboard)) < 1e-4


def test_a_stock_wan_folder_becomes_a_holocine_pipeline(pipeline, make_transformer, storyboard, tmp_path):
    stock = WanPipeline(
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        vae=pipeline.vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
        transformer=make_transformer(3, cls=WanTransformer3DModel),
    )
    stock.save_pretrained(tmp_path)
    loaded = HoloCinePipeline.from_pretrained(tmp_path, default_negative_prompt="blurry", max_sequence_length=128)
    loaded.set_progress_bar_config(disable=True)
    size = {"height": 32, "width": 48, "num_inference_steps": 2}
    assert relative_error(latents_of(loaded, storyboard, **size), latents_of(pipeline, storyboard)) < 1e-4


def test_another_scheduler_is_used_as_it_is(make_pipeline, storyboard):
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    pipeline = make_pipeline(scheduler=scheduler)
    assert pipeline.scheduler is scheduler
    assert torch.isfinite(latents_of(pipeline, storyboard)).all()


def test_the_vae_may_decode_in_tiles(pipeline, storyboard):
    whole = pipeline(storyboard).frames[0]
    pipeline.vae.enable_tiling(
        tile_sample_min_height=16,
        tile_sample_min_width=16,
        tile_sample_stride_height=8,
        tile_sample_stride_width=8,
    )
    tiled = pipeline(storyboard).frames[0]
    assert tiled.shape == whole.shape
    assert not np.array_equal(tiled, whole)


def test_group_offloading_changes_nothing(pipeline, storyboard):
    expected = latents_of(pipeline, storyboard)
    pipeline.transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    assert torch.equal(latents_of(pipeline, storyboard), expected)


def test_bfloat16_stays_close_and_keeps_the_latents_in_float32(pipeline, storyboard, tmp_path):
    expected = latents_of(pipeline, storyboard)
    pipeline.save_pretrained(tmp_path)
    half = HoloCinePipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    output = latents_of(half, storyboard)
    assert output.dtype == torch.float32
    assert relative_error(output, expected) < 0.1
    assert half(storyboard).frames[0].dtype == np.uint8


def test_a_lora_in_original_naming_loads_into_both_experts_and_unloads(make_pipeline, storyboard, tmp_path):
    pipeline = make_pipeline(experts=2)
    before = latents_of(pipeline, storyboard)
    weights = {}
    for block in range(2):
        for name, rows, columns in (("self_attn.q", 24, 24), ("cross_attn.v", 24, 24), ("ffn.0", 48, 24)):
            key = f"diffusion_model.blocks.{block}.{name}"
            weights[f"{key}.lora_A.weight"] = torch.randn(4, columns)
            weights[f"{key}.lora_B.weight"] = torch.randn(rows, 4)
    save_file(weights, tmp_path / "lora.safetensors")
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"), adapter_name="style")
    one = latents_of(pipeline, storyboard)
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"), adapter_name="style_2", load_into_transformer_2=True)
    both = latents_of(pipeline, storyboard)
    assert relative_error(one, before) > 1e-3
    assert relative_error(both, one) > 1e-3
    assert relative_error(latents_of(pipeline, storyboard, attention_kwargs={"scale": 0.0}), before) < 1e-5
    pipeline.unload_lora_weights()
    assert relative_error(latents_of(pipeline, storyboard), before) < 1e-5


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="model offloading needs an accelerator")
def test_model_cpu_offload_changes_little(pipeline, storyboard):
    expected = latents_of(pipeline, storyboard)
    pipeline.enable_model_cpu_offload()
    assert relative_error(latents_of(pipeline, storyboard).cpu(), expected) < 1e-3
