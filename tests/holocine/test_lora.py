"""LoRA files of all namings, and step-distilled pairs that rest while a model runs as it was trained."""

import json
import logging
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from holocine import CheckpointError, load_pipeline
from holocine.checkpoints import describe
from holocine.lora import linear_sizes, read_lora, wan_name

RANK, ALPHA = 2, 1.0


@pytest.fixture(scope="module")
def expert(model_folder):
    return load_pipeline(model_folder).transformer


def deltas(sizes, seed=0):
    """A random LoRA for every linear layer: module -> (down, up)."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (0.3 * torch.randn(RANK, inputs, generator=draw), 0.3 * torch.randn(outputs, RANK, generator=draw))
        for name, (outputs, inputs) in sizes.items()
    }


def diffusers_file(path, lora):
    """As diffusers' trainers save it: the alpha in the metadata."""
    tensors = {}
    for name, (down, up) in lora.items():
        tensors |= {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}
    metadata = {"lora_adapter_metadata": json.dumps({"transformer.r": RANK, "transformer.lora_alpha": ALPHA})}
    save_file(tensors, path, metadata=metadata)


def original_file(path, lora):
    """As Wan's own code names its layers; the alpha is part of the first matrix."""
    tensors = {}
    for name, (down, up) in lora.items():
        key = f"diffusion_model.{wan_name(name)}"
        tensors |= {f"{key}.lora_A.weight": down * (ALPHA / RANK), f"{key}.lora_B.weight": up}
    save_file(tensors, path)


def lightx2v_file(path, lora, prefix="diffusion_model."):
    """Wan's names with down, up and alpha."""
    tensors = {}
    for name, (down, up) in lora.items():
        key = f"{prefix}{wan_name(name)}"
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(ALPHA)}
    save_file(tensors, path)


def bare_lightx2v_file(path, lora):
    lightx2v_file(path, lora, prefix="")


def kohya_file(path, lora):
    tensors = {}
    for name, (down, up) in lora.items():
        key = "lora_unet_" + wan_name(name).replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(ALPHA)}
    save_file(tensors, path)


NAMINGS = {
    "diffusers": diffusers_file,
    "original": original_file,
    "lightx2v": lightx2v_file,
    "lightx2v without prefix": bare_lightx2v_file,
    "kohya": kohya_file,
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_adds_the_same_to_every_layer_its_alpha_included(expert, tmp_path, naming):
    sizes = linear_sizes(expert)
    assert {"blocks.0.attn1.to_q", "blocks.1.ffn.net.2", "condition_embedder.time_proj", "proj_out"} <= set(sizes)
    lora = deltas(sizes)
    NAMINGS[naming](tmp_path / "lora.safetensors", lora)
    found = read_lora(tmp_path / "lora.safetensors", sizes)
    assert found.unmatched == [] and set(found.down) == set(sizes)
    for name, (down, up) in lora.items():
        torch.testing.assert_close(found.up[name] @ found.down[name], (ALPHA / RANK) * up @ down)


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_pair_gives_each_expert_what_merging_its_file_into_the_weights_gives(
    model_folder, tmp_path, storyboard, naming
):
    plain = load_pipeline(model_folder)
    pair = []
    for number, expert in enumerate(plain.experts):
        pair.append(tmp_path / f"{number}.safetensors")
        lora = deltas(linear_sizes(expert), number)
        NAMINGS[naming](pair[-1], lora)
        weights = dict(expert.named_parameters())
        with torch.no_grad():
            for name, (down, up) in lora.items():
                weights[f"{name}.weight"] += (ALPHA / RANK) * up @ down
    loaded = load_pipeline(model_folder, distilled=",".join(map(str, pair)))
    assert loaded.has_distilled and not plain.has_distilled
    torch.testing.assert_close(*(latents(pipeline, storyboard) for pipeline in (loaded, plain)), rtol=1e-4, atol=1e-4)


def latents(pipeline, storyboard, **call):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(storyboard, output_type="latent", seed=3, **call).frames


def test_differences_of_biases_and_of_a_whole_weight_are_applied(model_folder, tmp_path):
    draw = torch.Generator().manual_seed(0)
    bias, whole = torch.randn(24, generator=draw), torch.randn(64, 24, generator=draw)
    tensors = {
        "diffusion_model.blocks.0.self_attn.q.diff_b": bias,
        "diffusion_model.head.head.diff": whole,
        "diffusion_model.blocks.0.self_attn.norm_q.diff": torch.zeros(24),
    }
    save_file(tensors, tmp_path / "diff.safetensors")
    expert = load_pipeline(model_folder, lora=[str(tmp_path / "diff.safetensors")]).transformer
    x = torch.randn(1, 24, generator=draw)
    with torch.no_grad():
        for layer, added in ((expert.blocks[0].attn1.to_q, bias[None]), (expert.proj_out, x @ whole.T)):
            torch.testing.assert_close(layer(x) - layer.base_layer(x), added, rtol=1e-4, atol=1e-5)


def test_keys_that_fit_nothing_are_listed_in_one_sentence(model_folder, expert, tmp_path, caplog):
    path = tmp_path / "odd.safetensors"
    lightx2v_file(path, deltas({"blocks.0.attn1.to_q": (24, 24)}))
    odd = {f"diffusion_model.blocks.{block}.diff_m": torch.ones(1, 6, 24) for block in (0, 1)}
    odd["diffusion_model.blocks.7.self_attn.q.lora_down.weight"] = torch.ones(2, 24)
    save_file({**load_file(path), **odd}, path)
    assert sorted(read_lora(path, linear_sizes(expert)).unmatched) == sorted(odd)
    with caplog.at_level(logging.WARNING, "holocine"):
        load_pipeline(model_folder, lora=[str(path)])
    said = {record.getMessage() for record in caplog.records if record.name == "holocine.lora"}
    assert said == {
        f"{path}: 3 keys fit nothing in this model and are not used: diffusion_model.blocks.N.diff_m (2), "
        "diffusion_model.blocks.N.self_attn.q.lora_down.weight"
    }


def test_each_file_of_a_pair_may_have_a_scale_and_one_behind_the_last_is_that_of_both(model_folder, tmp_path):
    path = tmp_path / "ones.safetensors"
    diffusers_file(path, {"blocks.0.attn1.to_q": (torch.ones(RANK, 24), torch.ones(24, RANK))})

    def added(spec):
        layers = [expert.blocks[0].attn1.to_q for expert in load_pipeline(model_folder, lora=[spec]).experts]
        x = torch.ones(1, 24)
        with torch.no_grad():
            return [float((layer(x) - layer.base_layer(x))[0, 0]) / (24 * ALPHA) for layer in layers]

    assert added(f"{path}:0.8,{path}:0.5") == pytest.approx([0.8, 0.5])
    assert added(f"{path}:0.8,{path}") == pytest.approx([0.8, 1.0])
    assert added(f"{path},{path}:0.5") == pytest.approx([0.5, 0.5])


def test_a_file_of_diffusers_that_holds_both_experts_gives_each_its_own(expert, tmp_path):
    tensors = {}
    for prefix, value in (("transformer", 1.0), ("transformer_2", 2.0)):
        tensors[f"{prefix}.blocks.0.attn1.to_q.lora_A.weight"] = torch.full((1, 24), value)
        tensors[f"{prefix}.blocks.0.attn1.to_q.lora_B.weight"] = torch.ones(24, 1)
    save_file(tensors, tmp_path / "both.safetensors")
    for low in (False, True):
        found = read_lora(tmp_path / "both.safetensors", linear_sizes(expert), low)
        assert found.down["blocks.0.attn1.to_q"].unique().tolist() == [1.0 + low]


def test_the_published_pair_is_not_fetched_for_experts_that_it_does_not_fit(model_folder):
    with pytest.raises(CheckpointError, match=r"for experts of 40 layers of width 5120, but this model's have 2 of 24"):
        load_pipeline(model_folder, distilled="lightx2v/Wan2.2-Lightning/any/high_noise_model.safetensors")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("option", ["lora", "distilled"])
def test_weights_that_are_not_finite_are_refused(model_folder, tmp_path, value, option):
    path = tmp_path / "l.safetensors"
    down, up = torch.ones(RANK, 24), torch.ones(24, RANK)
    up[3, 1] = value
    lightx2v_file(path, {"blocks.0.attn1.to_q": (down, up)})
    with pytest.raises(CheckpointError, match="l.safetensors holds values that are not finite, in blocks.0.attn1.to_q"):
        load_pipeline(model_folder, **{option: [str(path)] if option == "lora" else str(path)})


def test_a_file_with_half_of_a_pair_of_matrices_is_refused(expert, tmp_path):
    save_file({"transformer.blocks.0.attn1.to_q.lora_A.weight": torch.ones(1, 24)}, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="blocks.0.attn1.to_q has only one of its two matrices"):
        read_lora(tmp_path / "half.safetensors", linear_sizes(expert))


# Steps that are taken undistilled


@pytest.fixture
def pair(model_folder, tmp_path):
    """A step-distilled pair for the tiny model, as HIGH,LOW."""
    sizes = linear_sizes(load_pipeline(model_folder).transformer)
    for number, name in enumerate(("high", "low")):
        lightx2v_file(tmp_path / f"{name}.safetensors", deltas(sizes, number))
    return ",".join(str(tmp_path / f"{name}.safetensors") for name in ("high", "low"))


def passes(pipeline, storyboard, **call):
    """Run the model: for each of its passes the expert, and whether the distilled LoRA acted."""
    seen, hooks = [], []
    for number, expert in enumerate(pipeline.experts):

        def look(module, args, number=number, expert=expert):
            seen.append((number, "distilled" in expert.blocks[0].attn1.to_q.active_adapters))

        hooks.append(expert.blocks[0].register_forward_pre_hook(look))
    try:
        result = latents(pipeline, storyboard, **call)
    finally:
        for hook in hooks:
            hook.remove()
    return seen, result


def test_the_first_steps_of_the_high_expert_run_guided_and_without_the_lora(model_folder, pair, storyboard):
    pipeline = load_pipeline(model_folder, distilled=pair, shift=5.0)
    seen, _ = passes(pipeline, storyboard, num_inference_steps=8, guidance_scale=4.0, distilled_below=0.95)
    # sigmas 1, 0.972 | 0.938, 0.893 | the low expert: 0.833, 0.75, 0.625, 0.417
    assert seen == [(0, False)] * 4 + [(0, True)] * 2 + [(1, True)] * 4
    call = {"num_inference_steps": 8, "guidance_scale": 4.0, "distilled_below": 0.95}
    seen, _ = passes(pipeline, storyboard, **call, shot_guidance=2.0, shot_guidance_above=0.5)
    assert seen == [(0, False)] * 6 + [(0, True)] * 2 + [(1, True)] * 4, "nor guided by the other shots with the LoRA"
    facts = replace(describe(model_folder).with_settings(call), shift=5.0, shot_guidance=2.0, shot_guidance_above=0.5)
    assert facts.moved_steps(8) == 2 and replace(facts, distilled_below=1.0).moved_steps(8) == 7


def test_without_undistilled_steps_every_pass_has_the_lora_and_guidance_is_as_asked(model_folder, pair, storyboard):
    pipeline = load_pipeline(model_folder, distilled=pair, shift=5.0)
    seen, _ = passes(pipeline, storyboard, num_inference_steps=4, guidance_scale=1.0)
    assert seen == [(0, True)] * 2 + [(1, True)] * 2
    seen, _ = passes(pipeline, storyboard, num_inference_steps=4, guidance_scale=2.0)
    assert seen == [(0, True)] * 4 + [(1, True)] * 4


def test_steps_that_are_all_undistilled_are_those_of_the_model_itself(model_folder, pair, storyboard):
    call = {"num_inference_steps": 2, "guidance_scale": 3.0}
    with_pair, without = load_pipeline(model_folder, distilled=pair), load_pipeline(model_folder)
    mixed = latents(with_pair, storyboard, distilled_below=0.0, **call)
    torch.testing.assert_close(mixed, latents(without, storyboard, **call), rtol=1e-5, atol=1e-5)
    # and the LoRA is back afterwards
    assert not torch.allclose(latents(with_pair, storyboard, **call), mixed)


def test_a_style_lora_goes_on_acting_while_the_distilled_one_rests(model_folder, pair, tmp_path, storyboard):
    path = tmp_path / "style.safetensors"
    diffusers_file(path, deltas({"blocks.0.attn1.to_q": (24, 24)}, 9))
    call = {"num_inference_steps": 2, "guidance_scale": 3.0}
    both = load_pipeline(model_folder, distilled=pair, lora=[str(path)])
    style = load_pipeline(model_folder, lora=[str(path)])
    mixed = latents(both, storyboard, distilled_below=0.0, **call)
    torch.testing.assert_close(mixed, latents(style, storyboard, **call), rtol=1e-5, atol=1e-5)


def test_undistilled_steps_without_a_distilled_lora_are_refused(model_folder, storyboard):
    with pytest.raises(ValueError, match=r"distilled_below 0.9 needs a step-distilled LoRA, and none is loaded"):
        load_pipeline(model_folder)(storyboard, distilled_below=0.9)


def test_the_shift_of_a_distilled_pair_gives_its_own_four_timesteps(model_folder):
    scheduler = load_pipeline(model_folder, shift=5.0).scheduler
    scheduler.set_timesteps(4)
    assert scheduler.timesteps.tolist() == pytest.approx([1000, 937.5, 833.333, 625], abs=0.01)
    assert not scheduler.config.stochastic_sampling
