"""What a video takes of memory, told before: within a tenth of what the real pipeline has alive, for every preset."""

import json
import re
from pathlib import Path

import pytest
import torch
from diffusers.hooks import apply_group_offloading, group_offloading

from holocine import Storyboard, checkpoints, load_pipeline
from holocine.attention import AttentionSettings
from holocine.attention_plan import make_plan as plan_attention
from holocine.known import CONFIGS, find_facts
from holocine.memory import GIB, predict, remedies
from holocine.memory_meter import Meter, bytes_of, simulated
from holocine.plan import make_plan
from holocine.presets import PRESETS, find_presets, preset_settings
from holocine.prompt import TextWindows
from holocine.rehearsal import Loading, build
from holocine.timeline import ShotLayout
from tests.conftest import build_pipeline, build_transformer, build_vae

BOARD = Storyboard.from_captions(
    "A young painter, [character1], in a bright studio.",
    ["Medium shot of [character1].", "Close-up of her hand.", "Wide shot of the studio at night."],
    num_frames=33,
    shot_cut_frames=[9, 21],
    seed=11,
)
NIGHT_TRAIN = Path(__file__).parents[2] / "examples" / "cinema" / "night_train.yaml"


def test_the_meter_counts_a_storage_once_and_only_while_it_lives():
    with Meter("cpu") as meter:
        a = torch.zeros(1000)
        b = a.view(10, 100) + 1
        assert meter.now == 8000
        del a
        assert meter.now == 4000
        b.mul_(2)
        c = b[:5]
        del b
        assert meter.now == 4000 and c.shape == (5, 100)
        del c
        assert meter.now == 0 and meter.peak == 8000


def test_attention_without_contents_makes_no_scores():
    q = torch.empty(1, 4, 5000, 16, device="meta")
    with simulated() as meter:
        out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert out.shape == q.shape and meter.peak == 2 * q.nbytes


# Against the real pipeline on the CPU


@pytest.fixture(scope="module")
def folder(tokenizer, text_encoder, tmp_path_factory):
    """Two experts whose hidden states are larger than their latents, as in large models."""
    sizes = {"num_attention_heads": 4, "attention_head_dim": 32, "ffn_dim": 512}
    folder = tmp_path_factory.mktemp("medium")
    torch.manual_seed(0)
    experts = {"transformer": build_transformer(3, **sizes), "transformer_2": build_transformer(4, **sizes)}
    size = {"default_height": 64, "default_width": 96, "default_num_inference_steps": 1}
    build_pipeline(tokenizer, text_encoder, build_vae(), **experts, **size).save_pretrained(folder)
    return folder


@pytest.fixture
def fetched_in_groups(monkeypatch):
    """Call with a model: its layers are fetched as group offloading does it, from bytes that no tensor holds."""
    stored = {}

    def tensors(group):
        of_modules = [t for m in group.modules for t in (*m.parameters(), *m.buffers())]
        return [*of_modules, *group.parameters, *group.buffers]

    def onload(group):
        for tensor in tensors(group):
            content, shape, dtype = stored[id(tensor)]
            tensor.data = torch.frombuffer(bytearray(content), dtype=dtype).view(shape)

    def offload(group):
        for tensor in tensors(group):
            if id(tensor) not in stored:
                content = tensor.data.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
                stored[id(tensor)] = content, tensor.shape, tensor.dtype
            tensor.data = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)

    monkeypatch.setattr(group_offloading.ModuleGroup, "onload_", onload)
    monkeypatch.setattr(group_offloading.ModuleGroup, "offload_", offload)

    def fetch(model):
        apply_group_offloading(model, onload_device=torch.device("cpu"), offload_type="leaf_level")

    return fetch


def tensors_of(*models):
    return [t for model in models for t in (*model.parameters(), *model.buffers())]


def measured(pipeline, loading, in_groups):
    """The bytes that are alive at most while text is read, a step is taken, and pictures are made."""
    models = {"text": pipeline.text_encoder, "denoise": pipeline.transformer, "decode": pipeline.vae}
    if loading.group_offload:
        for model in {*models.values()}:
            in_groups(model)
    resident = [] if loading.model_cpu_offload or loading.group_offload else tensors_of(*pipeline.experts, pipeline.vae)
    if not loading.drop_text_encoder:
        resident += tensors_of(pipeline.text_encoder) if resident else []

    def peak(phase, work):
        held = resident + (tensors_of(models[phase]) if not loading.group_offload else [])
        with torch.no_grad(), Meter("cpu", held) as meter:
            result = work()
        return meter.peak, result

    pipeline.set_progress_bar_config(disable=True)
    found = {}
    texts = {"prompt": [BOARD.prompt], "negative_prompt": ["blurry"], "max_sequence_length": 128}
    found["text"], embeds = peak("text", lambda: pipeline.encode_prompt(**texts))
    windows = pipeline._text_windows([BOARD], pipeline._attention_settings(None), None, None)
    given = dict(zip(("prompt_embeds", "negative_prompt_embeds"), embeds, strict=True))
    call = {**given, "text_windows": windows, "output_type": "latent"}
    found["denoise"], output = peak("denoise", lambda: pipeline(BOARD, **call))
    found["decode"], _ = peak("decode", lambda: pipeline.decode(output.latents, "np"))
    return found


WAYS = {
    **{name: preset_settings(find_presets(name)) for name, preset in PRESETS.items() if preset.kind == "memory"},
    "nothing": {},
    "int8": {"int8": True},
    "float8": {"layerwise_casting": True},
    "bfloat16": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("16GB", "24GB")])  # which load as 12GB
def test_the_prediction_is_within_a_tenth_of_what_is_alive_in_each_phase(folder, fetched_in_groups, way):
    settings = {"dtype": "float32", **{name: value for name, value in WAYS[way].items() if value is not None}}
    loading = Loading.of(settings)
    loading = Loading(**{**vars(loading), "prefetch": False})  # which only a GPU's streams do
    facts = checkpoints.describe(folder)
    memory = predict(facts, make_plan(BOARD, facts), loading)
    stored = {name: settings[name] for name in ("dtype", "layerwise_casting", "int8", "vae_tiling") if name in settings}
    pipeline = load_pipeline(folder, **stored)
    alive = measured(pipeline, loading, fetched_in_groups)
    predicted = {phase.name: phase.total for phase in memory.phases}
    for phase in alive:
        assert predicted[phase] == pytest.approx(alive[phase], rel=0.1), phase


def test_a_lora_is_part_of_the_prediction(folder, tmp_path):
    plain, adapted = (weights(rank) for rank in (0, 8))
    pipeline = load_pipeline(folder)
    from peft import LoraConfig

    expert = pipeline.transformer
    before = bytes_of(expert)
    linear = [name for name, module in expert.named_modules() if isinstance(module, torch.nn.Linear)]
    expert.add_adapter(LoraConfig(r=8, target_modules=linear))
    assert adapted - plain == bytes_of(expert) - before > 0


def weights(rank):
    config = {**CONFIGS["transformer"], "num_attention_heads": 4, "attention_head_dim": 32, "ffn_dim": 512}
    config |= {"text_dim": 32, "freq_dim": 32, "num_layers": 2}
    return bytes_of(build(config, Loading(dtype="float32", rank=rank)))


# Against a GPU, as measured


def test_one_block_of_the_14b_model_takes_what_an_h100_took():
    """Peaks of `benchmarks/results/gpu`, of one block between its input and its output, with a model of one layer."""
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "gpu" / "gpu.json"
    rows = [row for row in json.loads(path.read_text())["rows"] if row["section"].startswith("one block, 5 shots")]
    peaks = {row["name"]: row["values"]["peak GiB"] for row in rows if row["values"] and "compiled" not in row["name"]}
    assert len(peaks) == 6
    for name, gib in peaks.items():
        frames, mode = re.fullmatch(r"(\d+) frames, (full|sparse)", name).groups()
        assert block_bytes(int(frames), mode) / GIB == pytest.approx(gib, rel=0.1), name


def block_bytes(frames, mode):
    config = dict(CONFIGS["transformer"])
    model, meta, half = build(config, Loading(), layers=1), torch.device("meta"), torch.bfloat16
    latent_frames = (frames - 1) // 4 + 1
    shots = tuple(latent_frames // 5 + (n < latent_frames % 5) for n in range(5))
    layout = ShotLayout(shots, 30, 52)
    windows = TextWindows((0, 100), tuple((100 + 40 * n, 140 + 40 * n) for n in range(5)))
    with simulated(tensors_of(model)) as meter:
        plan = plan_attention([layout], [windows], AttentionSettings(mode), 512, 300, meta, half)
        rotary = model.rope(torch.empty(1, 16, latent_frames, 60, 104, device=meta))
        hidden = torch.empty(1, layout.num_tokens, 5120, device=meta, dtype=half)
        words = torch.empty(1, 303, 5120, device=meta, dtype=half)
        temb = torch.empty(1, 6, 5120, device=meta, dtype=half)
        with model._attention_context.using(plan):
            model.blocks[0](hidden, words, temb, rotary)
    return meter.peak


# Wan's 14B, without anything of it


@pytest.fixture(scope="module")
def train():
    facts = find_facts("14B")
    return facts, make_plan(Storyboard.load(NIGHT_TRAIN), facts)


def predicted(train, names):
    facts, plan = train
    presets = find_presets(names)
    gigabytes = next(preset.gigabytes for preset in presets if preset.gigabytes)
    return predict(facts, plan, Loading.of(preset_settings(presets)), gigabytes)


def test_wans_14b_is_planned_without_weights_and_its_weights_are_as_large_as_published(train):
    memory = predicted(train, "48GB")
    by_name = {phase.name: phase for phase in memory.phases}
    assert by_name["denoise"].weights / 2 == pytest.approx(14.3e9, rel=0.01), "parameters, two bytes each"
    assert by_name["text"].weights / 2 == pytest.approx(5.68e9, rel=0.01)
    assert by_name["decode"].weights / 4 == pytest.approx(127e6, rel=0.01)
    assert memory.main > 2 * 2 * 14.3e9


def test_it_is_told_what_is_rehearsed_before_it_is(train):
    told = []
    predict(*train, Loading(), tell=told.append)
    assert [sentence.split(",")[0] for sentence in told] == [
        "how the weights are stored",
        "reading the text",
        "a step of denoising",
        "decoding",
    ]


def test_a_small_gpu_is_told_what_would_fit(train):
    facts, plan = train
    presets = preset_settings(find_presets("12GB"))
    memory = predict(facts, plan, Loading.of(presets), 10)
    assert not memory.fits
    found = remedies(facts, plan, Loading.of(presets), memory)
    assert any("frames of 832x480 pixels instead of 241" in remedy for remedy in found)
    assert predict(facts, plan, Loading.of(presets), 24).fits


def test_a_model_that_does_not_fit_whole_is_told_to_be_loaded_otherwise(train):
    facts, plan = train
    whole = predict(facts, plan, Loading(), 48)
    assert not whole.fits
    assert remedies(facts, plan, Loading(), whole) == ("load it as --preset 48GB does",)
