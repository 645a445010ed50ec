import json
import math
import sys

import pytest
import torch

from benchmarks.speed import __main__ as speed
from benchmarks.speed import cpu_report
from benchmarks.speed.cpu_layers import Layers, exponent, in_turns
from benchmarks.speed.cpu_report import EXTENTS, measure_all, unplaced
from benchmarks.speed.cpu_video import Process, import_seconds, part_seconds
from benchmarks.speed.gpu_clock import Place
from benchmarks.speed.ledger import Ledger
from benchmarks.speed.step_picture import KINDS, kind_of, profile_step
from holocine import load_pipeline
from tests.conftest import build_pipeline, build_vae

CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model(tokenizer, text_encoder, tmp_path_factory) -> str:
    """A tiny model that reads texts as long as the embedded one does."""
    folder = tmp_path_factory.mktemp("model")
    build_pipeline(tokenizer, text_encoder, build_vae(), max_sequence_length=512).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def ledger(model, tmp_path_factory):
    """The whole part at sizes that are done in seconds, but for the command, which is a process of its own."""
    out = tmp_path_factory.mktemp("cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_report, "readme_command", lambda *_: None)
        command = ["--part", "cpu", "--out", str(out)]
        return measure_all(out, seconds=300, size="tiny", model=model, command=command)


def test_every_row_has_finite_values(ledger):
    for row in ledger.rows:
        assert row.values, row
        assert all(math.isfinite(value) for value in row.values.values()), row


def test_every_part_is_there_with_what_it_is_held_against(ledger):
    for part in ("attention", "block", "step"):
        full, shots = (ledger.values(f"{part}, a tiny size", f"3 s, {way}") for way in ("full", "5 shots"))
        assert full["of full"] == full["arithmetic of full"] == 1 > shots["arithmetic of full"]
        assert shots["of full"] == pytest.approx(shots["ms"] / full["ms"])
        assert shots["over share"] == pytest.approx(shots["of full"] / shots["arithmetic of full"])
        assert shots["of matrix rate"] > 0
    video = ledger.values("end to end", "17 frames, 3 shots, full")
    assert video["s"] >= video["text s"] + video["denoise s"] + video["decode s"] > 0
    assert ledger.values("end to end", "65 frames, 3 shots, the median")["target s"] == 3
    assert ledger.values("decode", "9 frames")["GFLOP/s"] > 0


def test_arithmetic_that_is_computed_is_what_pytorch_counts(ledger):
    row = next(row for row in ledger.rows if row.section == "arithmetic")
    assert row.values["ratio"] == pytest.approx(1, abs=0.02), "but for the padding that joined text has"


def test_exponents_are_those_of_the_rows_and_stand_beside_full_attentions(ledger):
    section = "attention, a tiny size: shots of 2 latent frames each"
    one, two = (ledger.values(section, f"{count}, sparse")["ms"] for count in ("1 shot", "2 shots"))
    rows = {row.name: row.values for row in ledger.rows if row.section.startswith("exponents")}
    assert rows["attention, a tiny size, sparse"]["exponent"] == pytest.approx(math.log2(two / one))
    assert rows["attention, a tiny size, full"]["of arithmetic"] == pytest.approx(2)
    assert rows["a pass of the 14B at full size, shots of 21 latent frames, sparse"]["of arithmetic"] < 1.1


def test_files_name_the_machine_and_the_command_but_no_folder_of_it(ledger):
    text, plain = ((ledger.out / f"cpu.{kind}").read_text() for kind in ("md", "json"))
    assert f"- command: python -m benchmarks.speed --part cpu --out {ledger.out.name}\n" in text
    assert "- processor: " in text and "- torch: " in text and json.loads(plain)["machine"]["cores"] > 0
    assert str(ledger.out) not in text + plain and "![Where the time of one step goes](step.png)" in text
    assert (ledger.out / "step.png").read_bytes().startswith(b"\x89PNG")
    assert unplaced("benchmarks/results/cpu") == "benchmarks/results/cpu"


def test_a_row_that_finds_no_time_says_so(tmp_path):
    ledger = Ledger(tmp_path, "cpu", 0, {})
    layers = Layers(EXTENTS["tiny"].scopes[0], CPU, ledger, None)
    layers.lengths("attention", 33)
    layers.growth("attention")
    assert all(row.reason.startswith(("skipped: 0 s left", "what it follows from")) for row in ledger.rows)
    assert [row.name for row in ledger.rows[:3]] == ["3 s, full", "3 s, 1 shot", "3 s, 5 shots"]


def test_the_command_without_time_skips_every_row_and_says_so(model, tmp_path, capsys):
    options = ["--part", "cpu", "--size", "tiny", "--seconds", "0", "--model", model, "--out", str(tmp_path)]
    assert speed.main(options) == 0
    table = capsys.readouterr().out
    assert "run 1: skipped: 0 s left" in table and "3 s, full: skipped: 0 s left" in table
    text = (tmp_path / "cpu.md").read_text()
    assert "--seconds 0 --model" in text and str(tmp_path) not in text and "# Speed on a CPU" in text


def test_an_exponent_is_the_power_that_amounts_grow_with():
    counts = (1, 2, 5, 13)
    assert exponent(counts, [3 * count**1.7 for count in counts]) == pytest.approx(1.7)


def test_calls_take_turns():
    called = []
    seconds = in_turns(CPU, {name: lambda name=name: called.append(name) for name in "ab"}, enough=0)
    assert called == ["a", "b", "a", "b"] and seconds.keys() == {"a", "b"}


def test_a_steps_time_is_divided_by_part_and_kind(model):
    transformer = load_pipeline(model).transformer
    config = transformer.config
    latents, text = torch.zeros(1, config.in_channels, 2, 4, 4), torch.zeros(1, 5, config.text_dim)
    spent = profile_step(transformer, lambda: transformer(latents, torch.tensor([500.0]), text))
    assert list(spent) == [
        *("self-attention", "cross-attention", "feed-forward"),
        *("norms, modulation, sums", "before and after the blocks"),
    ]
    for values in spent.values():
        assert values["ms"] == pytest.approx(sum(values[kind] for kind in KINDS)) and values["Python"] > 0
    assert spent["self-attention"]["attention kernel"] > 0 == spent["feed-forward"]["attention kernel"]
    assert spent["feed-forward"]["products of matrices"] > 0
    assert not any(module._forward_hooks for module in transformer.modules())


def test_operations_are_counted_as_what_they_are():
    kinds = {name: kind_of(f"aten::{name}") for name in ("addmm", "mul", "cat", "convolution", "native_layer_norm")}
    assert [kinds[name] for name in ("addmm", "convolution")] == ["products of matrices"] * 2
    assert (kinds["cat"], kinds["mul"], kinds["native_layer_norm"]) == ("copies", *["all else that computes"] * 2)


def test_a_process_is_timed_to_its_end_with_its_memory():
    done = Process.run([sys.executable, "-c", "x = bytearray(2**26); print('here')"])
    assert done.said[0] == "here\n" and done.seconds > 0 and done.computing > 0 and done.peak > 2**26


def test_a_process_that_fails_is_the_reason_of_its_row(tmp_path):
    with pytest.raises(ValueError, match="-c import sys.*: no such thing"):
        Process.run([sys.executable, "-c", "import sys; sys.exit('no such thing')"])


def test_what_a_process_says_is_read():
    assert part_seconds("wrote a.mp4: 65 frames, 5.4 s, seed 2 (text 0.4 s, denoise 5.5 s, decode 11.0 s)") == {
        "text": 0.4, "denoise": 5.5, "decode": 11.0,
    }  # fmt: skip
    said = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:   1500000 |    1500000 |   torch._C\n"
        "import time:    500000 |    2000000 | torch\n"
        "import time:    250000 |     250000 | av.video\nwarning: something else\n"
    )
    spent = import_seconds(said)
    assert (spent["torch"], spent["others"], spent["scipy"]) == (2.0, 0.25, 0.0)
