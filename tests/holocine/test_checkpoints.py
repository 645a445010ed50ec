import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors.torch import load_file, save_file

from holocine import CheckpointError, HoloCinePipeline, HoloCineTransformer3DModel, checkpoints, load_pipeline
from holocine.scheduler import HoloCineScheduler


@pytest.fixture
def folder(make_pipeline, tmp_path):
    """A saved pipeline of two experts."""
    make_pipeline(experts=2).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def stock_wan(make_transformer, tokenizer, text_encoder, vae, tmp_path):
    """A saved pipeline as Wan publishes it, with diffusers' own classes only."""
    pipeline = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=make_transformer(3, WanTransformer3DModel),
        transformer_2=make_transformer(4, WanTransformer3DModel),
        boundary_ratio=0.9,
    )
    pipeline.save_pretrained(tmp_path / "wan")
    return tmp_path / "wan"


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(path, edit):
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_a_saved_pipeline_makes_the_same_video_after_loading(folder, make_pipeline, storyboard):
    in_memory = make_pipeline(experts=2)(storyboard).frames[0]
    videos = []
    for _ in range(2):
        loaded = load_pipeline(folder, dtype="float32")
        assert type(loaded) is HoloCinePipeline
        loaded.set_progress_bar_config(disable=True)
        videos.append(loaded(storyboard).frames[0])
    np.testing.assert_array_equal(*videos)
    # Weights mapped from a file are aligned differently, so matrix products may round differently.
    assert np.abs(videos[0].astype(int) - in_memory).max() <= 1


def test_a_stock_wan_folder_gets_layouts_and_holocines_schedule(stock_wan, storyboard):
    pipeline = load_pipeline(str(stock_wan))
    assert isinstance(pipeline, HoloCinePipeline)
    assert type(pipeline.transformer) is type(pipeline.transformer_2) is HoloCineTransformer3DModel
    assert type(pipeline.scheduler) is HoloCineScheduler and pipeline.scheduler.config.shift == 5
    assert pipeline.config.boundary_ratio == 0.9
    assert pipeline.config.default_attention == "full"


def test_bfloat16_leaves_the_vae_and_the_norms_in_float32(folder):
    pipeline = load_pipeline(folder, dtype="bfloat16")
    assert pipeline.transformer.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert pipeline.transformer.blocks[0].norm2.weight.dtype == torch.float32
    assert pipeline.text_encoder.dtype == torch.bfloat16
    assert pipeline.vae.dtype == torch.float32


def test_the_vae_decodes_in_bfloat16_when_asked_to(folder):
    plain, quick = load_pipeline(folder), load_pipeline(folder, vae_dtype="bfloat16")
    assert (quick.vae.dtype, quick.transformer.dtype) == (torch.bfloat16, plain.transformer.dtype)
    latents = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact, rounded = (pipeline.decode(latents)[0].astype(int) for pipeline in (plain, quick))
    assert 0 < abs(exact - rounded).mean() < 1


def test_layerwise_casting_stores_the_experts_in_float8_and_still_makes_a_video(folder, storyboard):
    pipeline = load_pipeline(folder, layerwise_casting=True)
    pipeline.set_progress_bar_config(disable=True)
    for expert in (pipeline.transformer, pipeline.transformer_2):
        assert expert.blocks[0].attn1.to_q.weight.dtype == torch.float8_e4m3fn
    plain = load_pipeline(folder)
    plain.set_progress_bar_config(disable=True)
    difference = pipeline(storyboard, output_type="latent").frames - plain(storyboard, output_type="latent").frames
    assert 0 < difference.abs().mean() < 0.2


def test_vae_tiling_uses_the_references_tiles(folder):
    vae = load_pipeline(folder, vae_tiling=True).vae
    assert vae.use_tiling
    assert (vae.tile_sample_min_height, vae.tile_sample_min_width) == (240, 416)
    assert (vae.tile_sample_stride_height, vae.tile_sample_stride_width) == (120, 208)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the message is for machines without a GPU")
@pytest.mark.parametrize("option", ["model_cpu_offload", "group_offload"])
def test_offloading_without_a_gpu_is_refused(folder, option):
    with pytest.raises(CheckpointError, match=f"{option} .* no GPU was found"):
        load_pipeline(folder, **{option: True})


def test_a_folder_is_described_without_its_weights(folder):
    for weights in folder.glob("*/*.safetensors"):
        weights.unlink()
    facts = checkpoints.describe(folder)
    assert (facts.height, facts.width, facts.max_sequence_length) == (32, 48, 128)
    assert facts.pixels_per_token == (16, 16)
    assert facts.token_grid() == (2, 3)
    assert facts.token_grid(480, 832) == (30, 52)
    with pytest.raises(CheckpointError, match="height is 100 pixels, but has to be a multiple of 16: take 96"):
        facts.token_grid(100, 832)
    with pytest.raises(ValueError, match="width is 16,400 pixels, but this model has positions for 16,384 only"):
        facts.token_grid(480, 16_400)
    assert checkpoints.load_tokenizer(facts)("a painter", return_offsets_mapping=True)["offset_mapping"]


# What is refused


def refusal(model, **options):
    with pytest.raises(CheckpointError) as caught:
        load_pipeline(model, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_and_misshapen_tensors_are_named(folder):
    path = folder / "transformer_2" / "diffusion_pytorch_model.safetensors"

    def damage(weights):
        weights.pop("blocks.1.attn2.to_v.weight")
        weights["proj_out.bias"] = torch.zeros(3)
        weights["shot_embedding.weight"] = torch.zeros(3)

    edit_weights(path, damage)
    said = refusal(folder)
    assert str(folder / "transformer_2") in said
    assert "missing blocks.1.attn2.to_v.weight" in said
    assert "misshapen proj_out.bias is 3 instead of 64" in said
    assert "not expected shot_embedding.weight" in said


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_every_part_is_checked_for_missing_tensors(folder, part):
    edit_weights(next((folder / part).glob("*.safetensors")), lambda weights: weights.pop(sorted(weights)[0]))
    assert "missing" in refusal(folder)


def test_a_checkpoint_of_another_architecture_is_named(folder):
    edit_json(folder / "transformer" / "config.json", _class_name="HunyuanVideoTransformer3DModel")
    assert "transformer is HunyuanVideoTransformer3DModel, but has to be HoloCineTransformer3DModel or" in refusal(
        folder
    )


def test_a_pipeline_of_another_kind_is_named(folder):
    edit_json(folder / "model_index.json", _class_name="StableDiffusionXLPipeline")
    assert "is a StableDiffusionXLPipeline, but a HoloCine or Wan" in refusal(folder)


def test_an_unknown_family_is_said_with_its_file(folder):
    edit_json(folder / "model_index.json", family="echoshoot")
    said = refusal(folder)
    assert f"{folder / 'model_index.json'}: the family 'echoshoot' is unknown; it is one of echoshot," in said


def test_a_folder_of_released_files_points_to_convert(tmp_path):
    (tmp_path / "full_high_noise.safetensors").touch()
    assert "python -m holocine convert" in refusal(tmp_path)
    assert "python -m holocine convert" in refusal(tmp_path / "full_high_noise.safetensors")


def test_incomplete_and_damaged_downloads_are_said(folder):
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    assert "damaged or cut short" in refusal(folder)
    weights.unlink()
    assert "no .safetensors file: the download is not complete" in refusal(folder)
    (folder / "vae" / "config.json").write_text("{")
    assert "config.json cannot be read" in refusal(folder)
    shutil.rmtree(folder / "vae")
    assert "config.json is missing" in refusal(folder)


def test_a_missing_shard_is_named(folder, make_pipeline):
    make_pipeline().transformer.save_pretrained(folder / "transformer", max_shard_size="30KB")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink(missing_ok=True)
    shard = sorted((folder / "transformer").glob("*-of-*.safetensors"))[1]
    shard.unlink()
    assert f"{shard} is missing" in refusal(folder)


def test_a_name_that_is_neither_a_folder_nor_a_hub_id_is_said(tmp_path):
    assert "neither a folder here nor a hub id" in refusal(tmp_path / "nowhere")
    assert "neither a folder here nor a hub id" in refusal("nowhere")


def test_a_hub_id_without_a_network_says_what_to_download_and_how_big_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    said = refusal("Wan-AI/Wan2.2-T2V-A14B-Diffusers")
    assert "126 GB" in said and "hf download Wan-AI/Wan2.2-T2V-A14B-Diffusers --local-dir FOLDER" in said


def test_a_hub_id_in_the_cache_loads_without_a_network(monkeypatch, tmp_path, folder):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--someone--tiny-holocine"
    revision = "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    shutil.copytree(folder, repository / "snapshots" / revision)
    assert load_pipeline("someone/tiny-holocine").transformer_2 is not None


def test_an_unknown_dtype_is_refused(folder):
    assert "dtype is 'int4', but has to be one of float32, bfloat16, float16" in refusal(folder, dtype="int4")


def test_an_unknown_device_is_refused(folder):
    assert "device is 'toaster'" in refusal(folder, device="toaster")
    assert "device is cuda:99, but there are" in refusal(folder, device="cuda:99")
    assert "device is meta, which cannot be used here" in refusal(folder, device="meta")


# LoRA


def lora_weights(value, layer="blocks.0.self_attn.q", dim=24):
    """A rank-1 LoRA in Wan's original naming, whose product is `value` everywhere."""
    return {
        f"diffusion_model.{layer}.lora_A.weight": torch.ones(1, dim),
        f"diffusion_model.{layer}.lora_B.weight": torch.full((dim, 1), value),
    }


def lora_output(expert):
    """What the adapters add to the first query projection, for an input of ones."""
    projection = expert.blocks[0].attn1.to_q
    x = torch.ones(1, 24)
    with torch.no_grad():
        return (projection(x) - projection.base_layer(x))[0, 0].item()


def test_a_lora_goes_into_both_experts_with_its_scale(folder, tmp_path):
    save_file(lora_weights(0.5), tmp_path / "style.safetensors")
    pipeline = load_pipeline(folder, lora=[f"{tmp_path}/style.safetensors:0.5"])
    assert lora_output(pipeline.transformer) == pytest.approx(24 * 0.5 * 0.5)
    assert lora_output(pipeline.transformer_2) == pytest.approx(24 * 0.5 * 0.5)


def test_a_pair_of_loras_gives_each_expert_its_own_and_several_add_up(folder, tmp_path):
    for name, value in (("high", 1.0), ("low", 2.0), ("both", 3.0)):
        save_file(lora_weights(value), tmp_path / f"{name}.safetensors")
    pair = f"{tmp_path}/high.safetensors,{tmp_path}/low.safetensors"
    pipeline = load_pipeline(folder, lora=[pair, f"{tmp_path}/both.safetensors"])
    assert lora_output(pipeline.transformer) == pytest.approx(24 * (1 + 3))
    assert lora_output(pipeline.transformer_2) == pytest.approx(24 * (2 + 3))


def test_a_lora_works_on_experts_stored_in_float8(folder, tmp_path, storyboard):
    save_file(lora_weights(0.5), tmp_path / "style.safetensors")
    videos = []
    for lora in ([], [f"{tmp_path}/style.safetensors"]):
        pipeline = load_pipeline(folder, layerwise_casting=True, lora=lora)
        pipeline.set_progress_bar_config(disable=True)
        videos.append(pipeline(storyboard, output_type="latent").frames)
    assert torch.isfinite(videos[1]).all() and not torch.equal(*videos)


def test_loras_that_do_not_fit_are_refused(folder, tmp_path, make_pipeline):
    missing = tmp_path / "missing.safetensors"
    assert f"{missing} does not exist" in refusal(folder, lora=[str(missing)])
    for name, weights in (
        ("wide", lora_weights(1.0, dim=20)),
        ("other", {"lora_unet_down_blocks_0.lora_up.weight": torch.ones(2, 2)}),
    ):
        save_file(weights, tmp_path / f"{name}.safetensors")
        assert f"{name}.safetensors is not a LoRA for this model" in refusal(
            folder, lora=[f"{tmp_path}/{name}.safetensors"]
        )
    make_pipeline().save_pretrained(tmp_path / "one")
    assert "names 2 files, but the model has 1 expert" in refusal(
        tmp_path / "one", lora=["a.safetensors,b.safetensors"]
    )


def test_the_scheduler_of_a_saved_pipeline_keeps_its_own_shift(make_pipeline, tmp_path):
    make_pipeline(scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0)).save_pretrained(tmp_path / "model")
    assert load_pipeline(tmp_path / "model").scheduler.config.shift == 3
