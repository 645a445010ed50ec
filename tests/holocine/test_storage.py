"""Models in less memory: int8 and GGUF weights, and a text encoder that is there only while it reads."""

import gc
import importlib.util
import weakref

import gguf
import numpy as np
import pytest
import torch
from torch import nn

from holocine import CheckpointError, load_pipeline
from holocine.lora import linear_sizes, wan_name
from holocine.storage import Int8Linear, store_in_int8
from tests.conftest import build_pipeline, build_transformer, build_vae
from tests.holocine.test_lora import deltas, diffusers_file


def latents(pipeline, storyboard, **call):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(storyboard, output_type="latent", seed=3, **call).frames


def test_a_layer_in_int8_is_within_its_rounding_of_the_layer():
    torch.manual_seed(0)
    linear, x = nn.Linear(40, 30), torch.randn(5, 40)
    stored = Int8Linear.of(linear)
    assert stored.weight.dtype == torch.int8 and isinstance(stored, nn.Linear)
    widened = stored.weight.float() * stored.scale
    half_step = linear.weight.abs().amax(1, keepdim=True) / 254
    assert ((widened - linear.weight).abs() <= half_step * 1.001).all()
    torch.testing.assert_close(stored(x), x @ widened.T + linear.bias)


def test_a_row_of_zeros_stays_zeros_in_int8():
    linear = nn.Linear(4, 2)
    nn.init.zeros_(linear.weight)
    assert torch.equal(Int8Linear.of(linear)(torch.ones(1, 4))[0], linear.bias)


def test_int8_takes_half_of_bfloat16_and_makes_nearly_the_same_video(model_folder, storyboard):
    stored, plain = load_pipeline(model_folder, int8=True), load_pipeline(model_folder)
    for expert in stored.experts:
        kinds = {type(layer) for block in expert.blocks for layer in block.modules() if isinstance(layer, nn.Linear)}
        assert kinds == {Int8Linear}
        assert type(expert.proj_out) is nn.Linear
    exact, rounded = (latents(pipeline, storyboard) for pipeline in (plain, stored))
    assert 0 < (exact - rounded).abs().mean() < 0.05 * exact.abs().mean()


def test_a_lora_acts_on_layers_stored_in_int8(model_folder, tmp_path, storyboard):
    diffusers_file(tmp_path / "lora.safetensors", deltas(linear_sizes(build_transformer())))
    lora = [str(tmp_path / "lora.safetensors")]
    stored, plain = load_pipeline(model_folder, int8=True, lora=lora), load_pipeline(model_folder, lora=lora)
    assert type(stored.transformer.blocks[0].attn1.to_q.base_layer) is Int8Linear
    exact, rounded = (latents(pipeline, storyboard) for pipeline in (plain, stored))
    assert 0 < (exact - rounded).abs().mean() < 0.05 * exact.abs().mean()


def test_ways_to_store_weights_exclude_each_other(model_folder):
    with pytest.raises(CheckpointError, match="layerwise_casting and int8 exclude each other: choose one"):
        load_pipeline(model_folder, int8=True, layerwise_casting=True)


# GGUF


@pytest.fixture(scope="module")
def wide_folder(tokenizer, text_encoder, tmp_path_factory):
    """A model whose layers divide into GGUF's blocks of 32."""
    sizes = {"attention_head_dim": 16, "ffn_dim": 64}
    folder = tmp_path_factory.mktemp("wide")
    torch.manual_seed(0)
    experts = {"transformer": build_transformer(3, **sizes), "transformer_2": build_transformer(4, **sizes)}
    build_pipeline(tokenizer, text_encoder, build_vae(), **experts).save_pretrained(folder)
    return folder


def gguf_file(path, expert):
    """An expert as published: Wan's names, matrices of the blocks in 8 bits, all else in float32."""
    writer = gguf.GGUFWriter(path, "wan")
    for name, tensor in expert.state_dict().items():
        module, _, last = name.rpartition(".")
        array, wan = tensor.numpy().astype(np.float32), wan_module(module)
        key = f"{wan}.{last}" if module else name
        if name.endswith("scale_shift_table"):
            key = f"{wan_module(module)}.modulation" if module else "head.modulation"
        if array.ndim == 2 and module.startswith("blocks."):
            quantised = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(key, quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(key, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def wan_module(module):
    """Wan's name of any module; the second and the third norm of a block have each other's."""
    module = wan_name(module)
    return module.replace("norm2", "norm3") if "norm2" in module else module


def test_experts_come_from_gguf_files_and_the_folder_needs_none_of_their_weights(wide_folder, tmp_path, storyboard):
    plain = load_pipeline(wide_folder)
    files = []
    for number, expert in enumerate(plain.experts):
        files.append(str(tmp_path / f"{number}.gguf"))
        gguf_file(files[-1], expert)
    stored = load_pipeline(wide_folder, gguf=",".join(files))
    weight = stored.transformer.blocks[0].attn1.to_q.weight
    assert weight.dtype == torch.uint8
    exact, rounded = (latents(pipeline, storyboard) for pipeline in (plain, stored))
    assert 0 < (exact - rounded).abs().mean() < 0.05 * exact.abs().mean()
    diffusers_file(tmp_path / "lora.safetensors", deltas(linear_sizes(plain.transformer)))
    with_lora = load_pipeline(wide_folder, gguf=",".join(files), lora=[str(tmp_path / "lora.safetensors")])
    assert not torch.allclose(latents(with_lora, storyboard), rounded)


def test_gguf_files_that_are_not_there_or_do_not_fit_are_refused(wide_folder, model_folder, tmp_path):
    with pytest.raises(CheckpointError, match="names 1 files, but the model has 2 expert"):
        load_pipeline(wide_folder, gguf="one.gguf")
    with pytest.raises(CheckpointError, match="the GGUF file one.gguf does not exist"):
        load_pipeline(wide_folder, gguf="one.gguf,two.gguf")
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"no such thing")
    with pytest.raises(CheckpointError, match="bad.gguf is not a GGUF file: name one, or leave gguf out"):
        load_pipeline(wide_folder, gguf=f"{path},{path}")
    gguf_file(path, build_transformer(attention_head_dim=16, ffn_dim=96))
    with pytest.raises(CheckpointError, match="bad.gguf does not fit this model's transformer: .* made of this one$"):
        load_pipeline(wide_folder, gguf=f"{path},{path}")
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(CheckpointError, match="bad.gguf is damaged or cut short: download it again$"):
        load_pipeline(wide_folder, gguf=f"{path},{path}")


def test_without_the_package_gguf_the_sentence_says_how_to_get_it(wide_folder, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "gguf" else find(name, *a))
    (tmp_path / "a.gguf").write_bytes(b"")
    with pytest.raises(CheckpointError, match="needs the package gguf, which is not installed: `pip install gguf`"):
        load_pipeline(wide_folder, gguf=f"{tmp_path / 'a.gguf'},{tmp_path / 'a.gguf'}")


# The text encoder


def test_a_dropped_text_encoder_gives_the_same_video_and_is_gone_before_denoising(model_folder, storyboard):
    kept, dropped = load_pipeline(model_folder), load_pipeline(model_folder, drop_text_encoder=True)
    assert dropped.text_encoder is None
    loads, load = [], dropped.dropped_text_encoder.place

    def place(encoder):
        loads.append(weakref.ref(encoder))
        load(encoder)

    object.__setattr__(dropped.dropped_text_encoder, "place", place)
    there = []

    def before(*_):
        gc.collect()
        there.append(loads[-1]() is not None)

    dropped.transformer.register_forward_pre_hook(before)
    torch.testing.assert_close(latents(kept, storyboard), latents(dropped, storyboard), rtol=0, atol=0)
    assert len(loads) == 1 and there and not any(there)
    latents(dropped, storyboard)
    assert len(loads) == 1, "the same text is not read twice"
    latents(dropped, storyboard, guidance_scale=1.0)
    assert len(loads) == 2


def test_storing_in_int8_leaves_adapters_alone(model_folder, tmp_path):
    diffusers_file(tmp_path / "lora.safetensors", deltas(linear_sizes(build_transformer())))
    expert = load_pipeline(model_folder, lora=[str(tmp_path / "lora.safetensors")]).transformer
    before = {name: weight.dtype for name, weight in expert.named_parameters() if ".lora_" in name}
    store_in_int8(expert)
    assert before == {name: weight.dtype for name, weight in expert.named_parameters() if ".lora_" in name}
