import io
import json
import os
import pickle
import re
import resource
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from holocine import (
    AttentionSettings,
    CheckpointError,
    ShotLayout,
    TextWindows,
    convert,
    load_pipeline,
    read_video,
)
from holocine.__main__ import main
from holocine.checkpoints import describe
from holocine.families import find_family
from holocine.families.conversion import check_rank, convert_family
from holocine.families.planning import Frames, planner
from holocine.families.storymem.conversion import convert_storymem
from holocine.families.text import join
from holocine.released import TensorFile, attention_of, open_tensors, transformer_config
from tests.conftest import build_image_encoder
from tests.holocine.conftest import golden_path

GOLDEN = golden_path("three_shots.safetensors")
TEXT_DIM = 48
HEAD_DIM = 24


def wan_vae_names(names):
    """diffusers' name -> the name in Wan2.1_VAE.pth, written down from the latter's module tree."""
    inside = {
        "norm1.gamma": "residual.0.gamma",
        "conv1": "residual.2",
        "norm2.gamma": "residual.3.gamma",
        "conv2": "residual.6",
        "conv_shortcut": "shortcut",
    }

    def renamed(name):
        name = re.sub(r"^quant_conv", "conv1", re.sub(r"^post_quant_conv", "conv2", name))
        name = name.replace("coder.conv_in", "coder.conv1").replace("norm_out", "head.0").replace("conv_out", "head.2")
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"middle.{2 * int(m[1])}", name)
        name = name.replace("mid_block.attentions.0", "middle.1").replace("down_blocks", "downsamples")
        name = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"upsamples.{4 * int(m[1]) + int(m[2])}", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"upsamples.{4 * int(m[1]) + 3}", name)
        if re.search(r"(middle|samples)\.\d+\.", name):
            for theirs, original in inside.items():
                name = re.sub(rf"(?<=\d\.){re.escape(theirs)}\b", original, name)
        return name

    return {name: renamed(name) for name in names}


def wan_text_encoder_names(names):
    """transformers' name -> the name in models_t5_umt5-xxl-enc-bf16.pth."""
    inside = {
        "layer.0.layer_norm": "norm1",
        "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
        "layer.0.SelfAttention": "attn",
        "layer.1.layer_norm": "norm2",
        "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
        "layer.1.DenseReluDense.wi_1": "ffn.fc1",
        "layer.1.DenseReluDense.wo": "ffn.fc2",
    }

    def renamed(name):
        name = {"shared.weight": "token_embedding.weight", "encoder.final_layer_norm.weight": "norm.weight"}.get(
            name, name
        )
        name = name.replace("encoder.block.", "blocks.")
        for theirs, original in inside.items():
            name = name.replace(theirs, original)
        return name

    return {name: renamed(name) for name in names}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The four released files and the tokenizer's folder, tiny, in the released naming and layout."""
    folder = tmp_path_factory.mktemp("released")
    torch.manual_seed(0)
    golden = load_file(GOLDEN)
    for expert in ("high", "low"):
        weights = {name.removeprefix(f"{expert}."): t for name, t in golden.items() if name.startswith(f"{expert}.")}
        save_file(weights, folder / f"sparse_{expert}_noise.safetensors")

    vae = AutoencoderKLWan(base_dim=8).state_dict()
    torch.save({original: vae[name] for name, original in wan_vae_names(vae).items()}, folder / "Wan2.1_VAE.pth")

    config = UMT5Config(vocab_size=64, d_model=TEXT_DIM, d_kv=8, d_ff=80, num_layers=2, num_heads=4)
    text = dict(UMT5EncoderModel(config).state_dict())
    text.pop("encoder.embed_tokens.weight", None)
    text = {original: text[name].bfloat16() for name, original in wan_text_encoder_names(text).items()}
    torch.save(text, folder / "models_t5.pth")

    words = ["<pad>", "</s>", "<unk>", *"abcdefgh"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "google" / "umt5-xxl")
    return {
        "high": folder / "sparse_high_noise.safetensors",
        "low": folder / "sparse_low_noise.safetensors",
        "vae": folder / "Wan2.1_VAE.pth",
        "text_encoder": folder / "models_t5.pth",
    }


@pytest.fixture(scope="module")
def converted(released, tmp_path_factory):
    return convert(**released, out=tmp_path_factory.mktemp("converted") / "holocine", attention_head_dim=HEAD_DIM)


@pytest.fixture(scope="module")
def pipeline(converted):
    return load_pipeline(converted)


def test_the_converted_experts_reproduce_the_references_numbers(pipeline):
    golden = load_file(GOLDEN)
    with safe_open(GOLDEN, "pt") as file:
        metadata = file.metadata()
    _, _, _, height, width = golden["latents"].shape
    cuts = json.loads(metadata["shot_cut_frames"])
    spans = json.loads(metadata["text_spans"])
    windows = TextWindows(tuple(spans["global"]), tuple(map(tuple, spans["shots"])))
    kwargs = {
        "layouts": [ShotLayout.from_cuts(int(metadata["num_frames"]), cuts, height // 2, width // 2)],
        "windows": [windows],
        "settings": AttentionSettings(),
    }
    with torch.no_grad():
        output = pipeline.transformer(
            golden["latents"], torch.tensor([937.5]), golden["context"], attention_kwargs=kwargs
        ).sample
    expected = golden["out.positive.sparse.t937.5"]
    assert (output - expected).norm() / expected.norm() < 2e-5


def test_the_low_noise_expert_is_the_second_and_takes_over_at_the_boundary(pipeline):
    golden = load_file(GOLDEN)
    assert torch.equal(pipeline.transformer_2.proj_out.weight, golden["low.head.head.weight"])
    assert pipeline.config.boundary_ratio == 0.875
    assert pipeline.scheduler.config.shift == 5


def test_the_text_encoder_comes_back_key_by_key(pipeline, released):
    original = torch.load(released["text_encoder"], weights_only=True)
    ours = dict(pipeline.text_encoder.state_dict())
    names = wan_text_encoder_names(name for name in ours if name != "encoder.embed_tokens.weight")
    assert set(names.values()) == set(original)
    for name, original_name in names.items():
        assert torch.equal(ours[name], original[original_name].float()), name


def test_the_gate_of_the_text_encoder_is_the_activated_branch(pipeline, released):
    original = torch.load(released["text_encoder"], weights_only=True)
    x = torch.randn(1, 3, TEXT_DIM)
    gate, fc1, fc2 = (original[f"blocks.0.ffn.{name}.weight"].float() for name in ("gate.0", "fc1", "fc2"))
    expected = (x @ fc1.T * F.gelu(x @ gate.T, approximate="tanh")) @ fc2.T
    with torch.no_grad():
        actual = pipeline.text_encoder.encoder.block[0].layer[1].DenseReluDense(x)
    torch.testing.assert_close(actual, expected)


def test_the_vae_comes_back_key_by_key(pipeline, released):
    original = torch.load(released["vae"], weights_only=True)
    ours = pipeline.vae.state_dict()
    names = wan_vae_names(ours)
    assert set(names.values()) == set(original)
    for name, original_name in names.items():
        assert torch.equal(ours[name], original[original_name]), name


def test_shards_hold_the_same_weights_as_one_file(converted, released, tmp_path):
    sharded = convert(**released, out=tmp_path / "sharded", attention_head_dim=HEAD_DIM, shard_bytes=30_000)
    for part in ("transformer", "transformer_2", "vae", "text_encoder"):
        shards = sorted((sharded / part).glob("*-of-*.safetensors"))
        assert len(shards) > 1
        assert all(shard.stat().st_size < 300_000 for shard in shards)
        index = json.loads(next((sharded / part).glob("*.index.json")).read_text())
        together = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
        assert index["weight_map"].keys() == together.keys()
        single = load_file(next((converted / part).glob("*.safetensors")))
        assert together.keys() == single.keys()
        assert all(torch.equal(together[name], single[name]) for name in single)
    load_pipeline(sharded)


def test_a_cast_keeps_norms_time_embedder_and_modulation_in_float32(released, tmp_path):
    out = convert(**released, out=tmp_path / "half", attention_head_dim=HEAD_DIM, dtype=torch.bfloat16)
    weights = load_file(out / "transformer" / "diffusion_pytorch_model.safetensors")
    for name in ("scale_shift_table", "blocks.0.norm2.weight", "condition_embedder.time_embedder.linear_1.weight"):
        assert weights[name].dtype == torch.float32, name
    for name in ("blocks.0.attn1.to_q.weight", "proj_out.weight", "condition_embedder.time_proj.weight"):
        assert weights[name].dtype == torch.bfloat16, name


def test_experts_in_a_pth_file_or_with_comfys_prefix_convert_too(released, converted, tmp_path):
    files = {}
    for expert in ("high", "low"):
        weights = load_file(released[expert])
        files[expert] = tmp_path / f"{expert}.pth"
        torch.save({f"model.diffusion_model.{name}": tensor for name, tensor in weights.items()}, files[expert])
    out = convert(**(released | files), out=tmp_path / "out", attention_head_dim=HEAD_DIM)
    one, other = (load_file(f / "transformer" / "diffusion_pytorch_model.safetensors") for f in (out, converted))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_file_names_say_what_attention_the_experts_were_trained_with(released, converted, tmp_path):
    assert json.loads((converted / "model_index.json").read_text())["default_attention"] == "sparse"
    names = [shutil.copy(released[expert], tmp_path / f"full_{expert}_noise.safetensors") for expert in ("high", "low")]
    assert attention_of([open_tensors(name) for name in names]) == "full"


# What is refused


def edited(path, out, edit):
    """A copy of a released file with its tensors changed by `edit`."""
    weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    edit(weights)
    out = out / path.name
    save_file(weights, out) if path.suffix == ".safetensors" else torch.save(weights, out)
    return out


def drop(*names):
    return lambda weights: [weights.pop(name) for name in names]


def reshape(name, *shape):
    return lambda weights: weights.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("argument", "edit", "says"),
    [
        ("high", drop("blocks.1.self_attn.q.weight"), "missing blocks.1.attn1.to_q.weight"),
        ("low", reshape("blocks.2.cross_attn.v.bias", 7), "misshapen blocks.2.cross_attn.v.bias is 7 instead of 96"),
        ("high", reshape("img_emb.proj.0.weight", 3), "not expected img_emb.proj.0.weight"),
        ("high", drop("patch_embedding.weight"), "not a Wan transformer in original naming: patch_embedding.weight"),
        ("low", reshape("text_embedding.0.weight", 96, 50), "not a pair: text_dim is 48 in one and 50 in the other"),
        ("vae", drop("decoder.middle.0.residual.2.weight"), "missing decoder.mid_block.resnets.0.conv1.weight"),
        ("vae", reshape("conv2.weight", 48, 48, 1, 1, 1), "48 latent channels"),
        ("vae", drop("encoder.conv1.weight"), "not Wan 2.1's VAE: encoder.conv1.weight is missing"),
        ("text_encoder", drop("blocks.1.ffn.fc2.weight"), "missing encoder.block.1.layer.1.DenseReluDense.wo.weight"),
        ("text_encoder", reshape("norm.weight", 5), "misshapen norm.weight is 5 instead of 48"),
        ("text_encoder", drop("token_embedding.weight"), "not Wan's UMT5 text encoder"),
    ],
)
def test_files_that_do_not_fit_are_refused_naming_the_tensor(released, tmp_path, argument, edit, says):
    files = released | {argument: edited(released[argument], tmp_path, edit)}
    tokenizer = released["text_encoder"].parent / "google" / "umt5-xxl"
    with pytest.raises(CheckpointError, match=re.escape(says)) as caught:
        convert(**files, out=tmp_path / "out", tokenizer=tokenizer, attention_head_dim=HEAD_DIM)
    assert str(files[argument]) in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [files[argument].name], "nothing is left behind"


def test_only_the_first_of_many_missing_tensors_are_listed(released, tmp_path):
    def without_third_block(weights):
        for name in [name for name in weights if name.startswith("blocks.1.")]:
            weights.pop(name)

    files = released | {"high": edited(released["high"], tmp_path, without_third_block)}
    with pytest.raises(CheckpointError, match=r"missing blocks\.1\.[^;]* and \d+ more") as caught:
        convert(**files, out=tmp_path / "out", attention_head_dim=HEAD_DIM)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "kind", ["a number", "an empty file", "a page", "a pointer", "an archive", "half", "half, old"]
)
def test_a_damaged_pickle_is_said_without_what_pytorch_advises(kind, tmp_path):
    path, whole = tmp_path / "a.pth", io.BytesIO()
    torch.save({"a": torch.zeros(100, 100)}, whole, _use_new_zipfile_serialization="old" not in kind)
    content = {
        "a number": b"\x80\x02hi",
        "an empty file": b"",
        "a page": b"<!DOCTYPE html><html>",
        "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n",
    }.get(kind, whole.getvalue()[: len(whole.getvalue()) // 2])
    path.write_bytes(content)
    if kind == "an archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/y", "z")
    with pytest.raises(CheckpointError, match=r"a\.pth is damaged or cut short, download it again$"):
        open_tensors(path)


def test_a_pickle_of_something_else_is_refused_without_a_warning_of_pytorch_s(tmp_path, recwarn):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"x": print}, protocol=4))
    with pytest.raises(CheckpointError, match=r"a\.pth is not a file of tensors only"):
        open_tensors(tmp_path / "a.pth")
    assert not recwarn


def test_weights_that_are_not_there_are_said_before_a_tokenizer_that_is_not(tmp_path):
    gone = tmp_path / "gone"
    files = (gone, tmp_path / "vae.pth", tmp_path / "text.pth", tmp_path / "out")
    with pytest.raises(CheckpointError, match="EchoShot: .*gone does not exist"):
        convert_family("echoshot", *files)
    with pytest.raises(CheckpointError, match="--weights .*gone is no folder"):
        convert_storymem(*files, base=gone, opening=gone, image_encoder=gone)


def test_a_bit_that_fell_over_inside_a_pickle_is_noticed(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(100, 100)}, path)
    content = bytearray(path.read_bytes())
    assert open_tensors(path).shapes == {"a": (100, 100)}
    content[content.index(torch.ones(4).numpy().tobytes()) + 1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.pth is damaged, download it again: its part a/data/0 has another"):
        open_tensors(path)


@pytest.mark.parametrize("argument", ["high", "vae", "text_encoder"])
def test_truncated_files_are_refused(released, tmp_path, argument):
    content = released[argument].read_bytes()
    short = tmp_path / released[argument].name
    short.write_bytes(content[: len(content) // 2])
    tokenizer = released["text_encoder"].parent / "google" / "umt5-xxl"
    with pytest.raises(CheckpointError, match=f"{short.name} is damaged or cut short"):
        convert(**(released | {argument: short}), out=tmp_path / "out", tokenizer=tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == [short.name]


class Payload:
    def __reduce__(self):
        return os.mkdir, ("payload-was-run",)


def test_a_pth_file_that_runs_code_is_not_opened(released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"encoder.conv1.weight": Payload()}, tmp_path / "Wan2.1_VAE.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        convert(**(released | {"vae": tmp_path / "Wan2.1_VAE.pth"}), out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["Wan2.1_VAE.pth"]


def test_swapped_arguments_are_noticed(released, tmp_path):
    with pytest.raises(CheckpointError, match=r"models_t5\.pth is not Wan 2\.1's VAE: conv2\.weight is missing"):
        convert(
            **(released | {"vae": released["text_encoder"], "text_encoder": released["vae"]}),
            out=tmp_path / "out",
            attention_head_dim=HEAD_DIM,
        )


def test_missing_files_and_a_missing_tokenizer_are_said(released, tmp_path):
    with pytest.raises(CheckpointError, match="nothing.safetensors does not exist"):
        convert(**(released | {"high": tmp_path / "nothing.safetensors"}), out=tmp_path / "out")
    alone = shutil.copy(released["text_encoder"], tmp_path / "models_t5.pth")
    with pytest.raises(CheckpointError, match="no tokenizer in .*google/umt5-xxl of Wan-AI/Wan2.2-T2V-A14B"):
        convert(**(released | {"text_encoder": Path(alone)}), out=tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no tokenizer that can be loaded"):
        convert(**released, out=tmp_path / "out", tokenizer=tmp_path / "empty", attention_head_dim=HEAD_DIM)


def test_a_head_dim_that_does_not_divide_is_refused(released, tmp_path):
    with pytest.raises(CheckpointError, match="96 wide, which attention heads of 128 do not divide"):
        convert(**released, out=tmp_path / "out")


def test_a_folder_in_use_is_not_touched(released, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(CheckpointError, match="already exists"):
        convert(**released, out=tmp_path / "out", attention_head_dim=HEAD_DIM)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_folders_above_the_new_one_are_made(released, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert describe(convert(**released, out=Path("models/ours/holocine"), attention_head_dim=HEAD_DIM)).num_experts == 2
    assert [path.name for path in (tmp_path / "models" / "ours").iterdir()] == ["holocine"]
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file, a folder is needed"):
        convert(**released, out=tmp_path / "file" / "below" / "out", attention_head_dim=HEAD_DIM)


@pytest.mark.parametrize("out", ["out", "models/out"])
def test_an_interrupted_conversion_leaves_nothing(released, tmp_path, monkeypatch, out):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("holocine.conversion.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(**released, out=tmp_path / out, attention_head_dim=HEAD_DIM)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(released, tmp_path):
    """A file size limit stands in for a full disk: both fail writes in the middle."""
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, previous[1]))
    try:
        with pytest.raises(CheckpointError, match=r"safetensors cannot be written: .*File too large"):
            convert(**released, out=tmp_path / "out", attention_head_dim=HEAD_DIM)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    assert list(tmp_path.iterdir()) == []


# Other families


@pytest.fixture(scope="module")
def make_family_files(released, tmp_path_factory):
    """Call with a family to get its published file, around golden weights, beside Wan's text encoder and VAE."""

    def make(family: str) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp(family)
        golden = load_file(golden_path(f"{family}/two_shots.safetensors"))
        if family == "storymem":
            golden |= {f"model.{n.removeprefix('high.')}": t for n, t in golden.items() if n.startswith("high.")}
        weights = {name.removeprefix("model."): t for name, t in golden.items() if name.startswith("model.")}
        width = weights["text_embedding.0.weight"].shape[1]
        config = UMT5Config(vocab_size=64, d_model=width, d_kv=8, d_ff=80, num_layers=1, num_heads=4)
        text = dict(UMT5EncoderModel(config).state_dict())
        text.pop("encoder.embed_tokens.weight", None)
        torch.save({old: text[new] for new, old in wan_text_encoder_names(text).items()}, folder / "t5.pth")
        files = {"vae": released["vae"], "text_encoder": folder / "t5.pth", "weights": folder / "published.pt"}
        if family == "echoshot":
            torch.save(weights, files["weights"])
        elif family == "longlive":
            torch.save({"generator": {f"model.{name}": t for name, t in weights.items()}}, files["weights"])
            AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1).save_pretrained(
                folder / "vae"
            )
            files["vae"] = folder / "vae"
        elif family == "shotstream":
            torch.save({"generator": {f"model.{name}": t for name, t in weights.items()}, "step": 7}, files["weights"])
        elif family == "storymem":
            files |= _storymem_folders(folder, golden)
        else:
            files["base"] = folder / "base.safetensors"
            save_file(weights, files["base"])
            lora = {name.removeprefix("lora."): t for name, t in golden.items() if name.startswith("lora.")}
            lora = _of_all_blocks(lora, weights)
            name = "blocks.0.self_attn.q"
            lora |= {f"{name}.orig.weight": weights[f"{name}.weight"], "unknown": torch.zeros(2)}
            torch.save({"ema": lora, "model": {}}, files["weights"])
        shutil.copytree(released["text_encoder"].parent / "google", folder / "google")
        return files

    return make


def _of_all_blocks(lora, weights):
    """A LoRA of some blocks with zeros for the others, as the published one has tensors for all."""
    ranks = {name.partition(".lora_")[0]: len(t) for name, t in lora.items() if name.endswith(".lora_down.weight")}
    rank = next(iter(ranks.values()))
    layers = {name.split(".", 2)[2] for name in ranks}
    names = [f"blocks.{block}.{layer}" for block in range(30) for layer in layers]
    for name in (name for name in names if name not in ranks):
        rows, columns = weights[f"{name}.weight"].shape
        lora |= {
            f"{name}.lora_down.weight": torch.zeros(rank, columns),
            f"{name}.lora_up.weight": torch.zeros(rows, rank),
        }
    return lora


def _storymem_folders(folder: Path, golden) -> dict[str, Path]:
    """Its LoRAs and what they are for, as they are published."""

    def of(prefix):
        return {name.removeprefix(prefix): t for name, t in golden.items() if name.startswith(prefix)}

    files = {name: folder / name for name in ("weights", "base", "opening", "image_encoder")}
    files["weights"].mkdir()
    for expert in ("high", "low"):
        torch.save(of(f"lora.{expert}."), files["weights"] / f"backbone_{expert}_noise.pth")
        for name, prefix in (("base", f"{expert}."), ("opening", f"opening.{expert}.")):
            place = files[name] / f"{expert}_noise_model"
            place.mkdir(parents=True)
            (place / "config.json").write_text("{}")
            save_file(of(prefix), place / "diffusion_pytorch_model.safetensors")
    build_image_encoder().save_pretrained(files["image_encoder"])
    return files


def family_pipeline(files, family, out, **options):
    head_dim = {"cinetrans": 20}.get(family, 24)
    return load_pipeline(convert_family(family, **files, out=out, attention_head_dim=head_dim, **options))


@pytest.mark.parametrize("family", ["echoshot", "shotstream", "longlive"])
def test_a_familys_whole_transformer_comes_back_and_the_folder_says_which_family_it_is(
    make_family_files, tmp_path, family
):
    pipeline = family_pipeline(make_family_files(family), family, tmp_path / family)
    golden = load_file(golden_path(f"{family}/two_shots.safetensors"))
    assert torch.equal(pipeline.transformer.proj_out.weight, golden["model.head.head.weight"])
    assert torch.equal(pipeline.transformer.blocks[1].attn2.to_k.weight, golden["model.blocks.1.cross_attn.k.weight"])
    assert describe(tmp_path / family).family == family
    size = (704, 1280) if family == "longlive" else (480, 832)
    assert (pipeline.config.default_height, pipeline.config.default_width) == size
    assert pipeline.scheduler.config.shift == {"echoshot": 5, "shotstream": 8, "longlive": 5}[family]


def test_cinetrans_with_its_lora_merged_reproduces_the_references_numbers(make_family_files, tmp_path):
    pipeline = family_pipeline(make_family_files("cinetrans"), "cinetrans", tmp_path / "out")
    golden = load_file(golden_path("cinetrans/two_shots.safetensors"))
    rules = find_family("cinetrans").rules
    text = join([golden[f"context.{i}"] for i in (0, 1, "general")], 512, "each", torch.float32)

    def error(rules):
        plan = planner(rules, Frames.of((4, 3), 4, 4), {"cond": text}, 20, common=2)
        with torch.no_grad():
            output = pipeline.transformer(
                golden["latents"][None], torch.tensor([937.0]), text.rows, attention_kwargs={"planner": plan}
            ).sample[0]
        return float((output - golden["out.lora.t937"]).norm() / golden["out.lora.t937"].norm())

    assert error(rules) < 1e-4
    unmerged = load_file(golden_path("cinetrans/two_shots.safetensors"))["out.positive.t937"]
    dropped = float((unmerged - golden["out.lora.t937"]).norm() / golden["out.lora.t937"].norm())
    with safe_open(golden_path("cinetrans/two_shots.safetensors"), "pt") as file:
        assert dropped == pytest.approx(json.loads(file.metadata()["sensitivity"])["no LoRA"], rel=0.02)


def test_storymem_s_experts_with_their_loras_reproduce_the_references_numbers(make_family_files, tmp_path):
    convert_storymem(**make_family_files("storymem"), out=tmp_path / "out", attention_head_dim=24)
    pipeline = load_pipeline(tmp_path / "out")
    facts = describe(tmp_path / "out")
    assert (facts.family, facts.num_experts, facts.boundary, facts.steps, facts.guidance) == (
        "storymem",
        2,
        0.9,
        40,
        3.5,
    )
    golden = load_file(golden_path("storymem/two_shots.safetensors"))
    text = join([golden["context.1"]], 512, "each", torch.float32)
    for expert, model in (("high", pipeline.transformer), ("low", pipeline.transformer_2)):
        [name] = [name for name in golden if name.startswith(f"out.shot1.{expert}.positive.t")]
        latents = torch.cat([golden[f"shot1.{expert}.input"], golden["shot1.condition"]])
        plan = planner(find_family("storymem").rules, Frames.of((latents.shape[1],), 2, 3), {"cond": text}, 24)
        timestep = torch.tensor([float(name.rpartition(".t")[2])])
        with torch.no_grad():
            output = model(latents[None], timestep, text.rows, attention_kwargs={"planner": plan}).sample[0]
        assert float((output - golden[name]).norm() / golden[name].norm()) < 1e-4
    assert torch.equal(pipeline.opening_2.proj_out.weight, golden["opening.low.head.head.weight"])


def test_storymem_files_that_are_of_something_else_are_refused(make_family_files, tmp_path):
    files = make_family_files("storymem")
    out = {"out": tmp_path / "out", "attention_head_dim": 24}
    with pytest.raises(CheckpointError, match="takes 16 channels instead of 36: Wan2.2-I2V-A14B is the base"):
        convert_storymem(**files | {"base": files["opening"]}, **out)
    with pytest.raises(CheckpointError, match="no image encoder that can be loaded .* openai/clip-vit-base-patch32"):
        convert_storymem(**files | {"image_encoder": files["weights"]}, **out)
    with pytest.raises(CheckpointError, match="StoryMem is made of more files"):
        convert_family("storymem", files["weights"], files["vae"], files["text_encoder"], **out)
    torch.save({"blocks.0.self_attn.q.weight": torch.zeros(2)}, files["weights"] / "backbone_high_noise.pth")
    with pytest.raises(CheckpointError, match="holds no LoRA: give the folder Wan2.2-MM2V-A14B"):
        convert_storymem(**files, **out)
    assert list(tmp_path.iterdir()) == []


def test_a_lora_without_its_base_and_a_base_without_a_lora_are_refused(make_family_files, tmp_path):
    files = make_family_files("cinetrans")
    base = files.pop("base")
    with pytest.raises(CheckpointError, match=r"holds a LoRA: give .* of Wan-AI/Wan2.1-T2V-1.3B, with --base"):
        convert_family("cinetrans", **files, out=tmp_path / "out", attention_head_dim=20)
    with pytest.raises(CheckpointError, match="whole transformer: leave --base out"):
        convert_family("echoshot", **make_family_files("echoshot"), base=base, out=tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"is not a LoRA for .*: blocks\.\d+\..* is \(96, 96\) there"):
        other = make_family_files("echoshot")["weights"]
        convert_family("cinetrans", **files, base=other, out=tmp_path / "out", attention_head_dim=24)
    assert list(tmp_path.iterdir()) == []


def published(family, tensors):
    """What a family's file holds, with these tensors in it."""
    under = {"shotstream": "generator", "longlive": "generator", "cinetrans": "ema"}.get(family)
    return {under: tensors} if under else tensors


@pytest.mark.parametrize("family", ["echoshot", "cinetrans", "shotstream", "longlive"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda family, weights: weights if family != "echoshot" else {"generator": weights}, "generator|ema"),
        (lambda family, _: published(family, {}), "holds no tensors"),
        (lambda family, _: published(family, {"other.weight": torch.zeros(2)}), "it has other.weight"),
        (lambda family, _: [1, 2], "holds something else than named tensors: a list"),
        (lambda family, _: published(family, {"step": 3}), "holds something else than named tensors.*step"),
    ],
)
def test_a_file_of_something_else_names_the_family_the_file_and_what_it_has(
    make_family_files, tmp_path, family, content, says
):
    files = make_family_files(family)
    torch.save(content(family, {"blocks.0.other": torch.zeros(2)}), files["weights"])
    with pytest.raises(CheckpointError, match=says) as caught:
        convert_family(family, **files, out=tmp_path / "out", attention_head_dim=24)
    assert str(caught.value).startswith(f"{find_family(family).title}: {files['weights']} ")
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x02garbage", b"PK\x03\x04garbage"])
def test_a_file_that_is_no_pth_is_said_with_its_name(make_family_files, tmp_path, content):
    files = make_family_files("shotstream")
    files["weights"].write_bytes(content)
    with pytest.raises(CheckpointError, match=f"ShotStream: {files['weights']} is") as caught:
        convert_family("shotstream", **files, out=tmp_path / "out", attention_head_dim=24)
    assert "\n" not in str(caught.value)


def test_a_pth_file_of_old_is_read_too(make_family_files, tmp_path):
    files = make_family_files("echoshot")
    weights = torch.load(files["weights"], weights_only=True)
    torch.save(weights, files["weights"], _use_new_zipfile_serialization=False)
    pipeline = family_pipeline(files, "echoshot", tmp_path / "out")
    assert torch.equal(pipeline.transformer.proj_out.weight, weights["head.head.weight"])


def test_a_lora_of_some_blocks_is_not_complete(make_family_files, tmp_path):
    files = make_family_files("cinetrans")
    lora = torch.load(files["weights"], weights_only=True)["ema"]
    for gone, says in (
        ("blocks.13.", r"of the 600 tensors of a LoRA .* it has 580, blocks\.13\..* are missing; give weights.pt"),
        ("blocks.29.ffn.2.lora", "it has 598, blocks.29.ffn.2.lora_down.weight, .* are missing"),
        ("blocks.29.ffn.2.lora_up", "blocks.29.ffn.2.lora_up.weight is missing"),
        ("blocks.29.ffn.2.lora_down", "it has 599, blocks.29.ffn.2.lora_down.weight is missing"),
    ):
        torch.save({"ema": {name: t for name, t in lora.items() if not name.startswith(gone)}}, files["weights"])
        with pytest.raises(CheckpointError, match=f"CineTrans: {files['weights']} is not complete: .*{says}"):
            convert_family("cinetrans", **files, out=tmp_path / "out", attention_head_dim=20)
    files = make_family_files("storymem")
    path = files["weights"] / "backbone_low_noise.pth"
    lora = {name: t for name, t in torch.load(path, weights_only=True).items() if ".blocks.1." not in name}
    torch.save(lora, path)
    with pytest.raises(CheckpointError, match="backbone_low_noise.pth is not complete: of the 40 tensors .* it has 20"):
        convert_storymem(**files, out=tmp_path / "out", attention_head_dim=24)


def test_a_transformer_of_some_blocks_is_not_complete(tmp_path):
    shapes = {"patch_embedding.weight": (1536, 16, 1, 2, 2), "blocks.9.ffn.0.weight": (8960, 1536)}
    with pytest.raises(CheckpointError, match="has 10 blocks, but a Wan transformer of width 1536 has 30"):
        transformer_config(TensorFile(tmp_path, shapes, {}, dict.get), 128)


@pytest.mark.parametrize(
    ("family", "width", "own"),
    [("echoshot", 5120, "1,536"), ("shotstream", 3072, "1,536"), ("longlive", 1536, "3,072")],
)
def test_weights_of_the_size_of_another_model_are_refused(make_family_files, tmp_path, family, width, own, monkeypatch):
    """Checked on shapes alone, as weights of that size have gigabytes."""
    files = make_family_files(family)
    weights = torch.load(files["weights"], weights_only=True)
    weights = weights if family == "echoshot" else weights["generator"]
    prefix = "" if family == "echoshot" else "model."
    weights |= {f"{prefix}patch_embedding.weight": torch.zeros(1, 1, 1, 1, 1).expand(width, 16, 1, 2, 2)}
    monkeypatch.setattr("holocine.released.PUBLISHED_LAYERS", {})  # of which these have not enough
    torch.save(published(family, weights), files["weights"])
    with pytest.raises(CheckpointError, match=f"is of another model: it is {width:,} wide, and .* is {own} wide; give"):
        convert_family(family, **files, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["shotstream", "longlive"])
def test_plain_names_are_not_those_of_a_familys_file(make_family_files, tmp_path, family):
    files = make_family_files(family)
    weights = torch.load(files["weights"], weights_only=True)["generator"]
    torch.save({"generator": {n.removeprefix("model."): t for n, t in weights.items()}}, files["weights"])
    with pytest.raises(CheckpointError, match="has no tensors called model.…, as .* has; it has "):
        convert_family(family, **files, out=tmp_path / "out", attention_head_dim=24)
    assert list(tmp_path.iterdir()) == []


def test_a_lora_of_another_rank_is_not_cinetrans_s(tmp_path):
    def file(name, shapes):
        return TensorFile(tmp_path / name, shapes, dict.fromkeys(shapes, torch.float32), dict.get)

    base = {"patch_embedding.weight": (1536, 16, 1, 2, 2)}
    lora = {"blocks.0.self_attn.q.lora_down.weight": (32, 1536), "blocks.0.self_attn.q.lora_up.weight": (1536, 32)}
    with pytest.raises(CheckpointError, match="holds a LoRA of rank 32, and CineTrans's has 64: give weights.pt"):
        check_rank(file("lora.pt", lora), file("base", base), find_family("cinetrans"))


def test_that_weights_could_be_another_model_s_is_told_where_they_are_called_otherwise(
    make_family_files, tmp_path, caplog
):
    files = make_family_files("echoshot")
    family_pipeline(files, "echoshot", tmp_path / "one")
    [told] = [record.getMessage() for record in caplog.records if "other models" in record.getMessage()]
    assert told.startswith(f"{files['weights']} is not called EchoShot-1.3B-preview.pth, as EchoShot's weights are")
    caplog.clear()
    name = files["weights"].with_name("EchoShot-1.3B-preview.pth")
    family_pipeline(files | {"weights": files["weights"].rename(name)}, "echoshot", tmp_path / "two")
    assert "other models" not in caplog.text


def test_holocine_s_experts_the_wrong_way_round_and_files_of_other_names(released, tmp_path, caplog):
    files = {name: released[name] for name in ("vae", "text_encoder")}
    tokenizer = released["text_encoder"].parent / "google" / "umt5-xxl"
    high, low = (shutil.copy(released[one], tmp_path / f"full_{one}_noise.safetensors") for one in ("high", "low"))
    options = {"tokenizer": tokenizer, "attention_head_dim": HEAD_DIM}
    with pytest.raises(CheckpointError, match="by their names it is the other way round"):
        convert(low, high, **files, out=tmp_path / "out", **options)
    convert(high, low, **files, out=tmp_path / "out", **options)
    assert "not called" not in caplog.text
    other = shutil.copy(low, tmp_path / "wan.safetensors")
    convert(high, other, **files, out=tmp_path / "out2", **options)
    assert f"{other} is not called full_… or sparse_…_noise, as HoloCine's weights are" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "has no tokenizer that can be loaded"),
        (lambda folder: shutil.rmtree(folder) or folder.mkdir(), "has no tokenizer that can be loaded"),
        (lambda folder: _clip_like(folder), r"is not UMT5's tokenizer: padding is !"),
    ],
)
def test_a_wrong_tokenizer_is_said(make_family_files, tmp_path, spoil, says):
    files = make_family_files("echoshot")
    spoil(folder := files["text_encoder"].parent / "google" / "umt5-xxl")
    with pytest.raises(CheckpointError, match=f"{folder} {says}.*google/umt5-xxl as --tokenizer"):
        convert_family("echoshot", **files, out=tmp_path / "out", attention_head_dim=24)


def _clip_like(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"!": 0, "<end>": 1, "a": 2}, unk_token="a"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="!", eos_token="<end>").save_pretrained(folder)


@pytest.mark.parametrize("family", ["echoshot", "cinetrans", "shotstream", "longlive", "storymem"])
def test_a_converted_family_makes_a_video_of_a_storyboard_on_the_command_line(
    make_family_files, tmp_path, family, capsys
):
    files = make_family_files(family)
    options = [f"--{name.replace('_', '-')}={path}" for name, path in files.items()]
    head_dim = {"cinetrans": "20"}.get(family, "24")
    model = tmp_path / "model"
    convert_command = ["convert", "--family", family, *options, "--attention-head-dim", head_dim, str(model)]
    assert main(convert_command) == 0
    index = json.loads((model / "model_index.json").read_text())
    tiny = {"default_height": 16, "default_width": 16}
    if not find_family(family).fixed_steps:
        tiny["default_num_inference_steps"] = 2
    (model / "model_index.json").write_text(json.dumps(index | tiny))
    storyboard = tmp_path / "s.yaml"
    shots = [{"caption": "b c", "num_frames": 40}, {"caption": "d", "num_frames": 45}]
    storyboard.write_text(json.dumps({"global_caption": "a", "fps": 16, "seed": 1, "shots": shots}))
    assert main(["plan", str(storyboard), "--model", str(model)]) == 0
    assert find_family(family).title in capsys.readouterr().out
    assert main(["generate", str(storyboard), "--model", str(model), "-o", str(tmp_path / "o.mp4"), "--quiet"]) == 0
    video = read_video(tmp_path / "o.mp4")
    fps = find_family(family).fps
    assert video.fps == fps
    assert (
        len(video.frames)
        == {"echoshot": 90, "cinetrans": 81, "shotstream": 85, "longlive": 125, "storymem": 85}[family]
    )
    assert video.storyboard.num_frames == len(video.frames)
    assert video.storyboard.asked.cuts == (40 * fps / 16,)
    assert main(["generate", str(storyboard), "--model", str(model), "-o", str(tmp_path / "p.mp4"), "--eta", "1"]) == 2
    assert f"{find_family(family).title} has no eta: leave it out" in capsys.readouterr().err
    assert main(["retake", str(tmp_path / "o.mp4"), "--shot", "1", "-o", str(tmp_path / "p.mp4")]) == 2
    assert f"is a model of {family}, which makes whole scenes and keeps no shots" in capsys.readouterr().err
    assert main(["continue", str(tmp_path / "o.mp4"), str(storyboard), "-o", str(tmp_path / "p.mp4")]) == 2
    assert f"is a model of {family}, which makes whole scenes and keeps no shots" in capsys.readouterr().err


def test_convert_names_the_file_that_a_family_needs(capsys):
    files = ["--vae", "v", "--text-encoder", "t", "out"]
    assert main(["convert", *files]) == 2
    assert "--high is missing" in capsys.readouterr().err
    assert main(["convert", "--family", "echoshot", *files]) == 2
    assert "--weights is missing, which --family echoshot needs" in capsys.readouterr().err
    storymem = ["convert", "--family", "storymem", "--weights", "w", "--base", "b", "--opening", "o"]
    assert main([*storymem, *files]) == 2
    assert "--image-encoder is missing, which --family storymem needs" in capsys.readouterr().err
    assert main(["convert", "--family", "echoshot", "--weights", "w", "--opening", "o", *files]) == 2
    assert "--opening has no meaning" in capsys.readouterr().err
    assert main(["convert", "--high", "h", "--low", "l", "--base", "b", *files]) == 2
    assert "--base has no meaning" in capsys.readouterr().err
