import json
import math
import time

import pytest
import torch

from benchmarks.speed import __main__ as speed
from benchmarks.speed.big_attention import SIZES
from benchmarks.speed.big_model import measure_all
from holocine import kernels
from holocine.attention import shot_pattern

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """The whole part at sizes that a CPU has done in seconds, nothing compiled."""
    out = tmp_path_factory.mktemp("gpu")
    return measure_all(out, seconds=300, size="tiny", device="cpu", dtype="bfloat16", compiling=False)


def test_every_row_has_values_or_says_what_this_machine_lacks(ledger):
    for row in ledger.rows:
        if row.values is None:
            assert "cuDNN" in row.name and "backend" in row.reason or "flash" in row.name and "GPU" in row.reason, row
        else:
            numbers = [value for value in row.values.values() if isinstance(value, float)]
            assert numbers and all(math.isfinite(value) and value >= 0 for value in numbers), row


def test_kernels_are_compared_with_a_dense_mask_before_they_are_timed(ledger):
    errors = {row.name: row.values for row in ledger.rows if row.section.startswith("agreement")}
    assert 0 < errors["per-shot, torch's choice"]["relative error"] < 5e-3
    assert errors["dense"]["relative error"] < 5e-3


def test_a_kernels_time_is_set_against_full_attention_and_the_share_of_arithmetic(ledger):
    full = ledger.values("attention, 5 shots", "full, FlashAttention-2")
    fastest = min(row.values["ms"] for row in ledger.rows if row.name.startswith("full, ") and row.values is not None)
    sparse = ledger.values("attention, 5 shots", "per-shot, torch's choice")
    layout = SIZES["tiny"].layout(5)
    assert sparse["share"] == shot_pattern(layout, "sparse", "first").num_pairs / layout.num_tokens**2
    assert full["share"] == 1 and sparse["ms"] / fastest >= sparse["of full"]
    assert sparse["over share"] == pytest.approx(sparse["of full"] / sparse["share"])


def test_times_of_videos_follow_from_one_block_and_say_that_they_are_computed(ledger):
    row = next(row for row in ledger.rows if row.name == "65 frames, sparse" and row.computed)
    seconds = list(row.values.values())
    assert seconds[1:] == [pytest.approx(100 * seconds[0]), pytest.approx(4 * seconds[0])]
    assert "65 frames, sparse (computed)" in ledger.table()
    measured = next(row for row in ledger.rows if row.name == "65 frames, sparse" and not row.computed)
    assert seconds[0] >= SIZES["tiny"].layers * measured.values["ms"] / 1e3


def test_the_whole_transformer_takes_the_steps_of_a_fast_video(ledger):
    steps = [row for row in ledger.rows if row.name.endswith("of 4, guidance off")]
    assert [row.values["all finite"] for row in steps] == [True] * 4
    together = next(row for row in ledger.rows if row.name == "4 steps together, their sum")
    assert together.computed and together.values["s"] == pytest.approx(sum(row.values["s"] for row in steps))


def test_memory_is_predicted_within_a_tenth_of_what_is_in_use(ledger):
    rows = [row for row in ledger.rows if row.section == "memory, predicted and in use"]
    assert [row.name.split(", ", 1)[1] for row in rows] == [
        "as computed", "in float8", "in int8", "with a LoRA of rank 64", "whole", "in tiles",
    ]  # fmt: skip
    for row in rows:
        assert row.values["predicted / in use"] == pytest.approx(1, abs=0.1), row.name


def test_files_hold_what_the_ledger_does(ledger):
    plain = json.loads((ledger.out / "gpu.json").read_text())
    assert [row["name"] for row in plain["rows"]] == [row.name for row in ledger.rows]
    assert plain["machine"]["torch"] == torch.__version__.split("+")[0] or torch.__version__
    text = (ledger.out / "gpu.md").read_text()
    assert all(f"## {row.section}\n" in text and row.name in text for row in ledger.rows)


def test_the_sizes_are_those_of_the_14b_and_its_longest_video():
    sizes = SIZES["14B"]
    assert (sizes.dim, sizes.layout(5).num_tokens) == (5120, 95_160)
    assert sizes.uneven_layout().num_latent_frames == 61 and len(set(sizes.uneven_layout().shot_lengths)) == 5


def test_without_time_every_row_is_skipped_and_says_so(tmp_path):
    start = time.monotonic() - 1000
    ledger = measure_all(tmp_path, 10, "tiny", "cpu", "bfloat16", start=start)
    assert all(row.reason.startswith(("skipped: 0 s left", "what it follows from is missing")) for row in ledger.rows)
    assert {row.name for row in ledger.rows} >= {"matrix product", "flex (compiled on a GPU)", "65 frames, sparse"}


def test_flex_is_timed_as_the_other_kernels_are(tmp_path, ledger):
    from benchmarks.speed.big_attention import Attention
    from benchmarks.speed.gpu_clock import Place
    from benchmarks.speed.ledger import Ledger

    here = Ledger(tmp_path, "flex", 100, {})
    Attention(SIZES["tiny"], Place(torch.device("cpu"), torch.float32), here, None).flex()
    assert here.values("attention, 5 shots", "flex (compiled on a GPU)")["ms"] > 0


def test_a_fault_of_a_kernel_is_the_reason_of_its_row_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    monkeypatch.setitem(kernels.KERNELS, "per-shot", broken)
    ledger = measure_all(tmp_path, 300, "tiny", "cpu", "float32", compiling=False, steps=1)
    reasons = {row.name: row.reason for row in ledger.rows}
    assert reasons["per-shot, torch's choice"] == "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert reasons["q, k, v, out"] is None and reasons["step 1 of 4, guidance off"].startswith("RuntimeError: CUDA")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_without_a_gpu_the_part_says_what_runs_here(tmp_path, capsys):
    assert speed.main(["--part", "gpu", "--out", str(tmp_path)]) == 2
    assert "finds no CUDA GPU; give --device cpu --size tiny" in capsys.readouterr().err


def test_the_command_prints_the_table_last(tmp_path, capsys):
    # Seconds count from the start of the process, which here is that of all tests.
    arguments = ["--device", "cpu", "--size", "tiny", "--no-compile", "--steps", "1", "--seconds", "100000"]
    assert speed.main(["--part", "gpu", "--out", str(tmp_path), *arguments]) == 0
    assert "step 1 of 4, guidance off: s " in capsys.readouterr().out
