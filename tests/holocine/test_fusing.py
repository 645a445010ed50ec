"""Fused blocks: the same velocities for every layout by one compilation, and pieces that are compiled ahead of time."""

import pytest
import torch
from torch._dynamo.utils import counters

from holocine import CheckpointError, load_pipeline
from holocine.fusing import compiled_pieces, exported_pieces, fuse, pieces_ahead, plain_pieces, unfuse, why_not
from holocine.lora import linear_sizes
from tests.conftest import build_transformer
from tests.holocine.test_lora import deltas, diffusers_file
from tests.holocine.test_storage import latents
from tests.holocine.test_transformer import MODES, attention, inputs

EPS = 1e-6
compiler = pytest.mark.skipif(why_not(torch.device("cpu")) is not None, reason="there is no C++ compiler")


def velocity(model, items, dtype=torch.float32, timestep=None, **settings):
    given = inputs(items, dtype)
    if timestep is not None:
        given["timestep"] = timestep
    with torch.no_grad():
        return model(**given, attention_kwargs=attention(items, **settings))[0]


@pytest.fixture
def model():
    model = build_transformer(7)
    yield model
    unfuse(model)


@pytest.mark.parametrize("mode", MODES)
def test_fused_blocks_predict_what_blocks_predict(model, mode):
    each_token = torch.linspace(0, 1000, 36).expand(2, -1)
    cases = [((0,), None), ((0, 1, 0, 2), None), ((1, 2), each_token)]
    plain = [velocity(model, items, timestep=timestep, mode=mode) for items, timestep in cases]
    fuse(model, plain_pieces(EPS))
    for (items, timestep), expected in zip(cases, plain, strict=True):
        torch.testing.assert_close(velocity(model, items, timestep=timestep, mode=mode), expected, rtol=0, atol=2e-6)


def test_without_layouts_a_fused_model_is_wans(model):
    given = inputs([0, 1], torch.float32)
    with torch.no_grad():
        plain = model(**given)[0]
        fuse(model, plain_pieces(EPS))
        torch.testing.assert_close(model(**given)[0], plain, rtol=0, atol=2e-6)


def test_a_model_without_a_norm_before_the_text_is_fused_too():
    model = build_transformer(7, cross_attn_norm=False)
    plain = velocity(model, [0])
    fuse(model, plain_pieces(EPS))
    torch.testing.assert_close(velocity(model, [0]), plain, rtol=0, atol=2e-6)


@compiler
def test_one_compilation_serves_every_layout_and_is_as_exact_in_half_precision(model):
    exact = {item: velocity(model, [item]) for item in (0, 1, 2)}
    model.to(torch.bfloat16)
    rounded = {item: velocity(model, [item], torch.bfloat16) for item in exact}
    torch._dynamo.reset()
    compiled_pieces.cache_clear()
    counters.clear()
    fuse(model)
    fused = {0: velocity(model, [0], torch.bfloat16)}
    graphs = counters["stats"]["unique_graphs"]
    fused |= {item: velocity(model, [item], torch.bfloat16) for item in (1, 2)}
    velocity(model, [0], torch.bfloat16, mode="isolated")
    assert graphs == 6 and counters["stats"]["unique_graphs"] == graphs, "a graph a piece, and none for a layout"
    assert not counters["graph_break"]
    for item, expected in exact.items():
        off, usual = ((x[item].float() - expected).norm() / expected.norm() for x in (fused, rounded))
        assert off < 1.2 * usual < 0.1


@compiler
def test_pieces_are_compiled_ahead_of_time_for_any_number_of_tokens(model):
    programs = exported_pieces(model)
    assert set(programs) == set(vars(plain_pieces(EPS)))
    ahead, calls = {}, []
    for name in ("rotated", "gated_and_normed"):
        loaded = torch._inductor.aoti_load_package(torch._inductor.aoti_compile_and_package(programs[name]))
        ahead[name] = lambda *args, loaded=loaded: calls.append(args[0].shape[1]) or loaded(*args)
    one, several = velocity(model, [1]), velocity(model, [0, 1])
    fuse(model, pieces_ahead(model, ahead))
    torch.testing.assert_close(velocity(model, [1]), one, rtol=0, atol=2e-6)
    assert calls == [36, 36, 36] * 2  # of each block, the queries, the keys and the residual stream
    torch.testing.assert_close(velocity(model, [0, 1]), several, rtol=0, atol=2e-6)
    assert len(calls) == 6, "several videos at once are not what was compiled"


@compiler
def test_a_fused_pipeline_takes_stored_weights_and_loras(model_folder, storyboard, tmp_path):
    diffusers_file(tmp_path / "lora.safetensors", deltas(linear_sizes(build_transformer())))
    options = {"lora": [str(tmp_path / "lora.safetensors")], "int8": True}
    plain, fused = load_pipeline(model_folder, **options), load_pipeline(model_folder, compile=True, **options)
    expected, found = (latents(pipeline, storyboard) for pipeline in (plain, fused))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_what_cannot_be_fused_is_refused(model_folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(CheckpointError, match="compile and group_offload exclude each other: choose one"):
        load_pipeline(model_folder, device="cpu", compile=True, group_offload=True)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CheckpointError, match="compile needs a C\\+\\+ compiler, which is not here: leave it out"):
        load_pipeline(model_folder, device="cpu", compile=True)
