"""Borrowed GPUs, with a stand-in for `spaces` that forks and kills as ZeroGPU does; in processes of their own."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desk.studio import gpu
from desk.studio.gpu_time import check_time
from desk.studio.limits import LimitError
from desk.studio.models import find
from desk.studio.settings import Settings
from holocine.storyboard import Storyboard
from holocine.video import read_video
from tests.conftest import build_transformer
from tests.programs import Program

LENT = Path(__file__).parent / "lent"
SCRIPT = """
import sys, time
from pathlib import Path
from desk.studio import models
from desk.studio.jobs import JobQueue
from desk.studio.limits import Limits
from desk.studio.outputs import Outputs
from desk.studio.settings import Settings
from desk.studio.studio import Studio, holder
from holocine.storyboard import Storyboard

loads, load = [], models.load_pipeline
def counted(*args, **kwargs):
    loads.append(1)
    return load(*args, **kwargs)
models.load_pipeline = counted
model = models.find()
holder.take(model.name)
models.load_pipeline = None  # a call that loads again fails
limits = Limits.of(model)
studio = Studio(Outputs(Path(sys.argv[1]), limits.output_bytes, 3600), JobQueue(4))
board = Storyboard.load("examples/beach.yaml")
for steps in map(int, sys.argv[2:]):
    try:
        job = studio.submit(f"visitor {steps}", board, Settings.of(model, limits, board, steps=steps), score=False)
    except ValueError as error:
        print("refused", error)
        continue
    while job.live:
        time.sleep(0.05)
    print(job.state, job.message)
print("loads", len(loads))
"""


def lend(tmp_path, *steps, **environment):
    """What the script printed, and what `spaces` was asked for."""
    tmp_path.mkdir(exist_ok=True)
    lent = tmp_path / "lent.jsonl"
    lent.touch()
    own = {"SPACES_ZERO_GPU": "true", "LENT": str(lent), **environment}
    process = Program(borrow, [tmp_path / "outputs", *steps], env=own)
    out, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    return out.splitlines(), [json.loads(line) for line in lent.read_text().splitlines()]


def borrow():
    sys.path.insert(0, str(LENT))
    for name in [name for name in sys.modules if name.startswith("desk.")]:  # which ask for `spaces` when imported
        del sys.modules[name]
    exec(SCRIPT, {})


def test_the_model_is_loaded_once_however_many_visitors_borrow(tmp_path):
    said, lent = lend(tmp_path, 2, 3, LENT_SECONDS="240", HOLOCINE_GPU_SIZE="xlarge")  # a busy machine is slow
    assert said == ["done ", "done ", "loads 1"] and {one["size"] for one in lent} == {"xlarge"}
    assert all(10 <= one["seconds"] <= gpu.USUAL and isinstance(one["seconds"], int) for one in lent)


def test_a_gpu_that_is_taken_back_is_told_in_a_sentence(tmp_path):
    said, _ = lend(tmp_path, 40, LENT_SECONDS="0.5")
    assert said[0].startswith("failed The borrowed GPU was taken back (GPU task aborted): try again")


def test_a_space_compiles_once_at_its_start_and_videos_stay_what_they_are(tmp_path):
    seconds = {"LENT_SECONDS": "240"}
    plain, _ = lend(tmp_path / "plain", 2, **seconds)
    said, lent = lend(tmp_path / "compiled", 2, HOLOCINE_COMPILE="1", **seconds)
    assert said == plain == ["done ", "loads 1"]
    assert [sorted(one)[0] for one in lent] == ["seconds", *["compiled"] * 6, "seconds"]
    frames = [read_video(next((tmp_path / name).glob("outputs/**/video.mp4"))).frames for name in ("plain", "compiled")]
    assert np.abs(frames[0].astype(int) - frames[1]).max() <= 8


def test_a_space_whose_compiler_fails_makes_videos_as_without(zero_gpu, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("LENT", str(tmp_path / "nowhere" / "lent.jsonl"))
    monkeypatch.setenv(gpu.COMPILE_VARIABLE, "1")
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    model = build_transformer()
    gpu.compile_ahead([model])
    assert "nothing was compiled ahead of time, as it failed" in caplog.text and "forward" not in vars(model.blocks[0])
    monkeypatch.delitem(sys.modules, "spaces", raising=False)


def numbers(count):
    yield from range(count)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.delenv(gpu.COMPILE_VARIABLE, raising=False)
    assert gpu.borrowed(lambda count: count)(numbers) is numbers
    assert gpu.most_seconds() is None and gpu.load_options(10**12) == {}
    monkeypatch.setenv(gpu.COMPILE_VARIABLE, "1")
    assert gpu.load_options(10**12) == {"compile": True}


@pytest.fixture
def zero_gpu(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.syspath_prepend(str(LENT))


@pytest.mark.parametrize(("text", "seconds"), [("", 60), ("240", 240), ("soon", 60), ("0", 60), ("-5", 60)])
def test_what_may_be_borrowed_is_read_from_the_environment(zero_gpu, monkeypatch, text, seconds):
    monkeypatch.setenv(gpu.VARIABLE, text)
    assert gpu.most_seconds() == seconds


def test_a_call_never_asks_for_more_than_may_be_borrowed(zero_gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("LENT", str(tmp_path / "lent.jsonl"))
    monkeypatch.setenv(gpu.VARIABLE, "120")
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    function = gpu.borrowed(lambda count: 1.2 * count)(numbers)
    assert [list(function(count))[-1] for count in (3, 51, 1000)] == [2, 50, 999]
    asked = [json.loads(line)["seconds"] for line in (tmp_path / "lent.jsonl").read_text().splitlines()]
    assert asked == [10, 62, 120]
    monkeypatch.delitem(sys.modules, "spaces", raising=False)


def test_a_variable_with_a_wrong_value_is_told_once_with_what_it_may_be(zero_gpu, monkeypatch, caplog):
    monkeypatch.setenv(gpu.SIZE_VARIABLE, "Huge")
    monkeypatch.setenv(gpu.VARIABLE, "a while")
    assert {gpu.size() for _ in range(3)} == {"large"} and {gpu.most_seconds() for _ in range(3)} == {gpu.USUAL}
    assert [record.getMessage() for record in caplog.records] == [
        "HOLOCINE_GPU_SIZE is 'Huge', but has to be large or xlarge: large is taken",
        "HOLOCINE_GPU_SECONDS is 'a while', but has to be a whole number from 10: 60 is taken",
    ]


def test_weights_that_do_not_fit_a_borrowed_gpu_are_kept_in_float8(zero_gpu, monkeypatch):
    assert gpu.load_options(68 * 10**9) == {"layerwise_casting": True}
    assert gpu.load_options(20 * 10**9) == {}
    monkeypatch.setenv(gpu.SIZE_VARIABLE, "XLARGE")
    assert gpu.load_options(68 * 10**9) == {}
    assert gpu.load_options(140 * 10**9) == {"layerwise_casting": True}


def test_a_video_that_would_not_finish_is_refused_with_what_would_fit(monkeypatch):
    board = Storyboard.load("examples/cinema/clockmaker.yaml")
    from holocine.cost import TransformerShape

    model = find()
    facts = replace(model.facts, transformer=TransformerShape.of({}), height=480, width=832, pixels_per_token=(16, 16))
    asked = dict(model=model.name, attention="sparse", steps=50, guidance=5.0, seed=1, height=480, width=832)
    with pytest.raises(LimitError) as refused:
        check_time(board, Settings(**asked), facts, 60)
    assert "may borrow one for 60 s" in str(refused.value)
    assert int(re.search(r"about (\d+) frames in 8 steps would fit", str(refused.value))[1]) < 241
    check_time(board, Settings(**asked), facts, 2000)
    with pytest.raises(LimitError, match=r": \d+ steps would fit") as refused:
        check_time(board, Settings(**asked), facts, 600)
    steps = int(re.search(r"(\d+) steps would fit", str(refused.value))[1])
    check_time(board, Settings(**asked | {"steps": steps}), facts, 600)
    with pytest.raises(LimitError):
        check_time(board, Settings(**asked | {"steps": steps + 1}), facts, 600)
    monkeypatch.setenv(gpu.SIZE_VARIABLE, "xlarge")  # a whole GPU takes less than half the time
    check_time(board, Settings(**asked | {"steps": 2 * steps}), facts, 600)


def test_the_real_spaces_takes_what_it_is_given():
    decorator = pytest.importorskip("spaces.zero.decorator", reason="the package of Spaces is not installed")
    import inspect

    assert {"duration", "size"} <= set(inspect.signature(decorator.GPU).parameters)
    aoti = pytest.importorskip("spaces.zero.torch.aoti")
    assert next(iter(inspect.signature(aoti.aoti_compile).parameters)) == "exported_program"
