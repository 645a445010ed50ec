"""Every kernel and every mode against one dense float64 reference, written here without the package's own patterns."""

import importlib
import inspect
import math
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holocine import AttentionSettings, ShotLayout, kernels
from holocine.attention import first_frame_pattern, shot_pattern
from holocine.attention_plan import collapse_padding, padding_bias, text_bias
from holocine.processors import AttentionContext

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

MODES = [
    ("full", "first"),
    ("isolated", "first"),
    ("sparse", "first"),
    ("sparse", "first+last"),
    ("sparse", "linspace:3"),
    ("sparse", "mean"),
]
HEADS, HEAD_DIM = 2, 8

layouts = st.builds(
    ShotLayout,
    shot_lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple),
    height=st.integers(1, 3),
    width=st.integers(1, 4),
)


def random_qkv(layout: ShotLayout, batch: int = 2, dtype=torch.float64, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, layout.num_tokens, HEADS, HEAD_DIM)
    # Scores of a few units, so that a key counted twice, or missing, is seen.
    return [torch.randn(shape, generator=generator, dtype=torch.float64).mul(1.5).to(dtype) for _ in range(3)]


def softmax_attention(query, key, value) -> torch.Tensor:
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value)


def reference_attention(query, key, value, layout: ShotLayout, mode: str, summary: str) -> torch.Tensor:
    """softmax(q_i [k_i, summaries of all shots]) for each shot i, frame by frame, in float64."""
    query, key, value = (x.double() for x in (query, key, value))
    if mode == "full":
        return softmax_attention(query, key, value)

    def frame(x, shot, index):
        start = (sum(layout.shot_lengths[:shot]) + index) * layout.tokens_per_frame
        return x[:, start : start + layout.tokens_per_frame]

    def whole_shot(x, shot):
        return torch.cat([frame(x, shot, index) for index in range(layout.shot_lengths[shot])], dim=1)

    def summary_of(x, shot):
        last = layout.shot_lengths[shot] - 1
        if summary == "mean":
            return sum(frame(x, shot, index) for index in range(last + 1)) / (last + 1)
        chosen = {"first": {0}, "first+last": {0, last}, "linspace:3": {0, round(last / 2), last}}[summary]
        return torch.cat([frame(x, shot, index) for index in sorted(chosen)], dim=1)

    outputs = []
    for shot in range(layout.num_shots):
        summaries = [summary_of(x, other) for x in (key, value) for other in range(layout.num_shots)]
        keys, values = [whole_shot(key, shot)], [whole_shot(value, shot)]
        if mode == "sparse":
            keys += summaries[: layout.num_shots]
            values += summaries[layout.num_shots :]
        outputs.append(softmax_attention(whole_shot(query, shot), torch.cat(keys, 1), torch.cat(values, 1)))
    return torch.cat(outputs, dim=1)


def varlen_reference(query, key, value, query_offsets, key_offsets, max_query, max_key) -> torch.Tensor:
    """What flash-attn's variable-length function computes: each sequence by itself."""
    assert query_offsets.dtype == key_offsets.dtype == torch.int32
    assert (int(query_offsets[-1]), int(key_offsets[-1])) == (len(query), len(key))
    assert (int(query_offsets.diff().max()), int(key_offsets.diff().max())) == (max_query, max_key)
    outputs = []
    for i in range(len(query_offsets) - 1):
        q = query[query_offsets[i] : query_offsets[i + 1]]
        k, v = (x[key_offsets[i] : key_offsets[i + 1]] for x in (key, value))
        outputs.append(softmax_attention(*(x[None].double() for x in (q, k, v)))[0].to(query.dtype))
    return torch.cat(outputs)


@pytest.mark.parametrize(("mode", "summary"), MODES)
@pytest.mark.parametrize("kernel", ["per-shot", "dense", "flex"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(layout=layouts)
def test_a_kernel_equals_the_dense_reference(kernel, mode, summary, layout):
    qkv = random_qkv(layout)
    output = kernels.KERNELS[kernel](*qkv, shot_pattern(layout, mode, summary))
    torch.testing.assert_close(output, reference_attention(*qkv, layout, mode, summary), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("mode", "summary"), MODES)
def test_the_flash_kernel_packs_shots_into_the_sequences_of_the_reference(mode, summary, monkeypatch):
    monkeypatch.setattr(kernels, "_flash_varlen", lambda: varlen_reference)
    layout = ShotLayout((2, 4, 1), 2, 3)
    qkv = random_qkv(layout, dtype=torch.float16)
    output = kernels.flash(*qkv, shot_pattern(layout, mode, summary))
    expected = reference_attention(*qkv, layout, mode, summary)
    torch.testing.assert_close(output.double(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("mode", "summary"), MODES)
@pytest.mark.parametrize("kernel", ["per-shot", "dense"])
def test_gradients_equal_those_of_the_dense_reference(kernel, mode, summary):
    layout = ShotLayout((2, 4, 1), 2, 2)
    qkv = [x.requires_grad_() for x in random_qkv(layout)]
    weights = torch.randn(qkv[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    output = kernels.KERNELS[kernel](*qkv, shot_pattern(layout, mode, summary))
    gradients = torch.autograd.grad((output * weights).sum(), qkv)
    expected = torch.autograd.grad((reference_attention(*qkv, layout, mode, summary) * weights).sum(), qkv)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-10)


def test_a_shot_counts_its_own_first_frame_twice():
    layout = ShotLayout((2,), 1, 1)
    query, key = torch.ones(2, 1, 2, 1, 1, dtype=torch.float64)
    value = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1)
    output = kernels.per_shot(query, key, value, shot_pattern(layout, "sparse", "first"))
    torch.testing.assert_close(output.flatten(), torch.full((2,), 2 / 3, dtype=torch.float64))


def first_frame_reference(query, key, value, layout: ShotLayout) -> torch.Tensor:
    """Every shot sees itself and the first latent frame of the video, nothing twice."""
    shots = torch.from_numpy(np.repeat(layout.shot_ids, layout.tokens_per_frame))
    sees = shots[:, None] == shots
    sees[:, : layout.tokens_per_frame] = True
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * query.shape[-1] ** -0.5
    return torch.einsum("bhqk,bkhd->bqhd", scores.masked_fill(~sees, -math.inf).softmax(-1), value)


@pytest.mark.parametrize("kernel", ["per-shot", "dense", "flex"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(layout=layouts)
def test_a_kernel_shows_the_first_frame_of_the_video_once(kernel, layout):
    qkv = random_qkv(layout)
    output = kernels.KERNELS[kernel](*qkv, first_frame_pattern(layout))
    torch.testing.assert_close(output, first_frame_reference(*qkv, layout), rtol=0, atol=1e-10)


def test_the_flash_kernel_shows_the_first_frame_of_the_video_once(monkeypatch):
    monkeypatch.setattr(kernels, "_flash_varlen", lambda: varlen_reference)
    layout = ShotLayout((2, 4, 1), 2, 3)
    qkv = random_qkv(layout, dtype=torch.float16)
    output = kernels.flash(*qkv, first_frame_pattern(layout))
    expected = first_frame_reference(*(x.double() for x in qkv), layout)
    torch.testing.assert_close(output.double(), expected, rtol=0, atol=2e-3)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple), height=st.integers(3, 9))
def test_the_block_mask_of_a_shared_first_frame_skips_only_blocks_nobody_sees(lengths, height):
    pattern = first_frame_pattern(ShotLayout(lengths, height, 11))
    sees = kernels.may_see(pattern)
    size = kernels.FLEX_BLOCK
    rows, columns = (math.ceil(n / size) for n in sees.shape)
    padded = np.zeros((rows * size, columns * size), dtype=bool)
    padded[: sees.shape[0], : sees.shape[1]] = sees
    blocks = padded.reshape(rows, size, columns, size)
    mask = kernels.block_mask(pattern, torch.device("cpu"))
    assert np.array_equal(mask.to_dense()[0, 0].numpy().astype(bool), blocks.any(axis=(1, 3)))
    for row in range(rows):
        full = mask.full_kv_indices[0, 0, row, : int(mask.full_kv_num_blocks[0, 0, row])]
        assert blocks[row][:, full].all()


def test_isolated_shots_do_not_touch_one_another():
    layout = ShotLayout((2, 3), 2, 2)
    pattern = shot_pattern(layout, "isolated", "first")
    query, key, value = random_qkv(layout)
    before = kernels.per_shot(query, key, value, pattern)
    key[:, layout.token_slices[1]] += 1
    after = kernels.per_shot(query, key, value, pattern)
    assert torch.equal(before[:, layout.token_slices[0]], after[:, layout.token_slices[0]])
    assert not torch.equal(before[:, layout.token_slices[1]], after[:, layout.token_slices[1]])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple),
    height=st.integers(3, 9),
    mode_and_summary=st.sampled_from(MODES),
)
def test_the_block_mask_skips_only_blocks_nobody_sees_and_fills_only_blocks_all_see(lengths, height, mode_and_summary):
    pattern = shot_pattern(ShotLayout(lengths, height, 11), *mode_and_summary)
    sees = kernels.may_see(pattern)
    size = kernels.FLEX_BLOCK
    rows, columns = (math.ceil(n / size) for n in sees.shape)
    padded = np.zeros((rows * size, columns * size), dtype=bool)
    padded[: sees.shape[0], : sees.shape[1]] = sees
    blocks = padded.reshape(rows, size, columns, size)
    mask = kernels.block_mask(pattern, torch.device("cpu"))
    assert np.array_equal(mask.to_dense()[0, 0].numpy().astype(bool), blocks.any(axis=(1, 3)))
    full = np.zeros((rows, columns), dtype=bool)
    for row in range(rows):
        full[row, mask.full_kv_indices[0, 0, row, : int(mask.full_kv_num_blocks[0, 0, row])]] = True
    assert not (full & ~blocks.all(axis=(1, 3))).any()


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler for torch.compile")
def test_compiled_flex_attention_agrees_with_the_dense_kernel():
    layout = ShotLayout((3, 2, 4), 6, 10)
    pattern = shot_pattern(layout, "sparse", "first")
    query, key, value = random_qkv(layout, batch=1, dtype=torch.float32)
    extended = (kernels.with_summaries(x, pattern) for x in (key, value))
    output = kernels._compiled_flex_attention()(
        *(x.transpose(1, 2) for x in (query, *extended)), block_mask=kernels.block_mask(pattern, query.device)
    ).transpose(1, 2)
    torch.testing.assert_close(output, kernels.dense(query, key, value, pattern), rtol=0, atol=1e-5)


def test_flash_by_name_is_an_error_that_names_the_remedy_where_it_cannot_run(monkeypatch):
    layout = ShotLayout((1, 1), 1, 1)
    qkv, pattern = random_qkv(layout, dtype=torch.float32), shot_pattern(layout, "sparse", "first")
    monkeypatch.setattr(kernels, "_flash_varlen", lambda: None)
    with pytest.raises(kernels.KernelError, match="pip install flash-attn, or choose kernel 'auto'"):
        kernels.choose_kernel("flash", qkv[0], qkv[2])(*qkv, pattern)
    monkeypatch.setattr(kernels, "_flash_varlen", lambda: varlen_reference)
    with pytest.raises(kernels.KernelError, match="float16 or bfloat16, not torch.float32"):
        kernels.choose_kernel("flash", qkv[0], qkv[2])(*qkv, pattern)


def without_flash_attn(monkeypatch, gpu: bool):
    for module in ("flash_attn_interface", "flash_attn"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(kernels, "_found_varlen", [])


def test_flash_is_pytorchs_own_kernel_where_there_is_a_gpu_and_no_flash_attn(monkeypatch):
    """The arguments, which are given in order, are those of flash-attn's function."""
    varlen = importlib.import_module("torch.nn.attention.varlen")
    names = ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
    assert list(inspect.signature(varlen.varlen_attn).parameters)[:7] == names
    given = []
    monkeypatch.setattr(varlen, "varlen_attn", lambda *arguments: given.append(arguments))
    without_flash_attn(monkeypatch, gpu=True)
    attend = kernels._flash_varlen()
    on_gpu = SimpleNamespace(device=torch.device("cuda"))
    attend(on_gpu, *names[1:])
    assert given == [(on_gpu, *names[1:])]
    layout = ShotLayout((1, 2), 1, 2)
    with pytest.raises(kernels.KernelError, match="runs on a CUDA GPU, not on cpu; choose kernel 'auto'"):
        kernels.flash(*random_qkv(layout, dtype=torch.bfloat16), shot_pattern(layout, "sparse", "first"))


def test_there_is_no_flash_without_a_gpu_or_flash_attn(monkeypatch):
    without_flash_attn(monkeypatch, gpu=False)
    assert kernels._flash_varlen() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize(("mode", "summary"), MODES)
def test_flash_equals_the_dense_reference_on_a_gpu(mode, summary):
    layout = ShotLayout((2, 4, 1), 8, 9)
    shape = (2, layout.num_tokens, 2, 64)
    qkv = [torch.randn(shape, generator=torch.Generator().manual_seed(i)).bfloat16() for i in range(3)]
    output = kernels.flash(*(x.cuda() for x in qkv), shot_pattern(layout, mode, summary))
    expected = reference_attention(*qkv, layout, mode, summary)
    torch.testing.assert_close(output.cpu().double(), expected, rtol=0, atol=2e-2)


def test_keys_that_no_summary_follows_are_handed_on_without_a_copy():
    layout = ShotLayout((2, 3), 1, 2)
    key = random_qkv(layout)[1]
    of_shots = kernels.keys_of_each_group(key, shot_pattern(layout, "isolated", "first"))
    assert [x.data_ptr() for x in of_shots] == [key[:, shot].data_ptr() for shot in layout.token_slices]


def test_auto_attends_shot_by_shot_on_the_cpu():
    query = torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16)
    assert kernels.choose_kernel("auto", query, query) is kernels.per_shot


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 63, 400, 511])
def test_padding_biases_add_up_to_the_number_of_padding_tokens(dtype, count):
    biases = torch.tensor(padding_bias(count, dtype), dtype=torch.float64)
    assert torch.equal(biases, biases.to(dtype).double())
    assert float(biases.exp().sum()) == pytest.approx(count, rel=3e-4, abs=0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    used=st.lists(st.integers(0, 12), min_size=1, max_size=3),
    shots=st.integers(1, 3),
    length=st.integers(12, 20),
    data=st.data(),
)
def test_collapsed_padding_gives_every_shot_the_scores_of_the_whole_text(used, shots, length, data):
    text = torch.zeros(len(used), length, 4, dtype=torch.float64)
    for item, count in enumerate(used):
        text[item, :count] = torch.randn(count, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    visible = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=shots, max_size=shots))
    )
    visible[:, 0] = True
    collapsed, kept = collapse_padding(text)
    bias = torch.from_numpy(text_bias(visible, kept, torch.float64))
    query = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    for shot in range(shots):
        whole = (text @ query).masked_fill(~torch.from_numpy(visible[shot]), -math.inf).softmax(-1)
        short = (collapsed @ query + bias[shot]).softmax(-1)
        expected = torch.einsum("bl,bld->bd", whole, text)
        torch.testing.assert_close(torch.einsum("bl,bld->bd", short, collapsed), expected, rtol=0, atol=1e-12)
    assert collapsed.shape[1] <= max(used) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("full", AttentionSettings("full")),
        ("isolated", AttentionSettings("isolated")),
        ("sparse", AttentionSettings("sparse", "first")),
        ("sparse:first+last", AttentionSettings("sparse", "first+last")),
        ("sparse:linspace:3", AttentionSettings("sparse", "linspace:3")),
        ("sparse:mean", AttentionSettings("sparse", "mean")),
    ],
)
def test_settings_are_read_from_text(text, expected):
    assert AttentionSettings.parse(text) == expected
    assert AttentionSettings.parse(text, window=False, kernel="dense").kernel == "dense"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense", "attention mode 'dense' is unknown; choose one of full, sparse, isolated"),
        ("sparse:last", "summary 'last' is unknown"),
        ("sparse:linspace:0", "summary 'linspace:0' is unknown"),
        ("sparse:linspace:n", "summary 'linspace:n' is unknown"),
        ("full:first", "only mode sparse has a summary"),
    ],
)
def test_unknown_settings_are_errors_that_say_what_there_is(text, message):
    with pytest.raises(ValueError, match=message):
        AttentionSettings.parse(text)


def test_an_unknown_kernel_is_an_error_that_lists_the_kernels():
    with pytest.raises(
        ValueError, match="kernel 'triton' is unknown; choose one of auto, dense, per-shot, flex, flash"
    ):
        AttentionSettings(kernel="triton")


def test_the_context_drops_its_plan_when_the_block_raises():
    context = AttentionContext()
    with pytest.raises(KeyError), context.using("plan"):
        assert context.plan == "plan"
        raise KeyError
    assert context.plan is None
