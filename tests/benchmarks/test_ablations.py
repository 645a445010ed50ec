"""The paper's ablations end to end on a step of training each, and what is said of their order."""

import json
import re

import numpy as np
import pytest
import torch

from benchmarks import ablations
from benchmarks.__main__ import main
from benchmarks.ablations import PAPER, VARIANTS
from benchmarks.reporting.published import TABLE_2
from benchmarks.reporting.results import ItemResult, Results, Score
from benchmarks.reporting.significance import Comparison
from benchmarks.reporting.summary import summarise
from benchmarks.systems.models import transformer_sha256
from holocine.finding import find_model
from holocine.puppet.training import batches
from holocine.puppet.training import transformer as train_transformer
from holocine.puppet.training.data import SHARD_SCENES, shard_lengths
from holocine.puppet.training.latents import GRID, STILLS_PER_SHOT, still_scenes


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    """A shard of each kind as the recipe writes it, of noise: what is learnt is no matter here."""
    folder, rng = tmp_path_factory.mktemp("latents"), np.random.default_rng(0)

    def noise(*shape):
        return rng.standard_normal(shape).astype(np.float16)

    channels = json.loads((find_model(None) / "vae" / "config.json").read_text())["z_dim"]
    frames = (sum(shard_lengths(0)) - 1) // 4 + 1
    who = np.zeros((SHARD_SCENES, frames, *GRID), np.int8)
    np.savez(folder / "scenes-00000.npz", latents=noise(SHARD_SCENES, channels, frames, 8, 14), who=who)
    owners = np.repeat(np.arange(64), [STILLS_PER_SHOT * len(scene.shots) for scene in still_scenes(0)])
    who = np.zeros((len(owners), *GRID), np.int8)
    np.savez(folder / "stills-00000.npz", latents=noise(len(owners), channels, 1, 8, 14), who=who, scene=owners)
    return folder


def test_the_command_trains_runs_and_writes_the_table(latents, suite_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(batches, "_SCENE_TOKENS", 300)
    monkeypatch.setattr(batches, "_STILLS", 2)
    folder, out = tmp_path / "ablations", tmp_path / "ABLATIONS.md"
    places = ["--folder", str(folder), "--latents", str(latents), "--out", str(out), "--suite", str(suite_file)]
    small = ["--limit", "1", "--steps", "1", "--most-steps", "1", "--minutes", "5", "--detector", "pyscenedetect"]
    assert main(["ablations", *places, *small]) == 0
    text = out.read_text()
    rows = {row[0]: row[1:] for row in (line.strip("| ").split(" | ") for line in text.splitlines()) if len(row) > 5}
    assert list(rows)[2:] == [variant.label for variant in VARIANTS]
    sca = [number[:6] for number in rows["sparse + summary"]][:2]
    assert sca[0] == "0.9736" and 0 < float(sca[1].strip("*<u>")) <= 1
    assert [row[4] for row in rows.values()][2:] == ["0.5755", "0.5700", "0.5669", "0.5693", *3 * ["–"]]
    assert all(0 < float(row[1][:6].strip("*<u>")) <= 1 for row in list(rows.values())[2:]), "of other families, too"
    assert f"every variant began from the embedded model (sha256 of the transformer {transformer_sha256(None)}," in text
    assert "its `transformer`, not the distilled `transformer_2`" in text
    assert {row[5] for row in list(rows.values())[2:]} == {"–"}, "nothing is claimed of aesthetics"
    assert "No aesthetic of ours: LAION's aesthetic predictor needs its own weights" in text
    assert (
        "1 of the suite `tiny` 1" in text
        and text.count("1 (") >= len(VARIANTS)
        and "5 minutes of one processor core" in text
    )
    assert "--minutes 5 --limit 1 --most-steps 1 --steps 1 --suite tiny.jsonl" in text
    assert str(tmp_path) not in text

    trained = {v.name: torch.load(folder / "training" / v.name / "state.pt", weights_only=True) for v in VARIANTS}
    assert {state["step"] for state in trained.values()} == {1}
    start = torch.cat([p.flatten().float() for p in load_weights(find_model(None))])
    weights = [torch.cat([p.flatten().float() for p in load_weights(folder / v.name)]) for v in VARIANTS]
    assert all((w - start).abs().max() > 0 for w in weights)
    guided = [json.loads((folder / v.name / "model_index.json").read_text())["default_shot_guidance"] for v in VARIANTS]
    assert set(guided) == {1.0} and "guidance by the text alone" in text, "the same for rows that have no other shots"
    assert len(list(folder.glob("run/items/*/*/0/video.mp4"))) == len(VARIANTS)

    monkeypatch.undo()
    (folder / "training" / "start.sha256").write_text("0" * 64)
    assert main(["ablations", *places, *small]) == 2
    assert "holds training that began from other weights" in capsys.readouterr().err


def load_weights(folder):
    from holocine.transformer import HoloCineTransformer3DModel

    return HoloCineTransformer3DModel.from_pretrained(folder / "transformer").parameters()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--minutes", "0"), "--minutes 0 leaves no time to train"),
        (("--latents", "nothing"), "nothing holds no latents: --encode makes them"),
        (("--start", "nothing"), "nothing is no pipeline folder"),
        (("--suite", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(tmp_path, capsys, monkeypatch, option, message):
    monkeypatch.setattr(train_transformer, "train_transformer", None)
    assert main(["ablations", "--folder", str(tmp_path), "--out", str(tmp_path / "a.md"), *option]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def words(tiny_suite, values: dict[str, list[float]]) -> list[str]:
    """What is said of runs in which each variant has these values of `sca`, one a storyboard."""
    from dataclasses import replace

    from benchmarks.running.items import RunInfo

    count = len(next(iter(values.values())))
    entries = tuple(replace(tiny_suite.entries[0], id=f"s{i}") for i in range(count))
    items = tuple(
        ItemResult(name, f"s{i}", 0, (), {"sca": Score(1, value, {"sum": value, "count": 1}, 1, 1, None)})
        for name, column in values.items()
        for i, value in enumerate(column)
    )
    info = RunInfo({}, {v.name: v.system for v in VARIANTS}, {}, (), {}, (0,))
    results = Results(None, info, replace(tiny_suite, entries=entries), items)
    return ablations.order_in_words(results, {v.name: summarise(results, v.name) for v in VARIANTS})


def test_the_words_follow_from_the_numbers(tiny):
    paper = {v.name: TABLE_2[v.label][0] for v in PAPER}
    same = words(tiny, {name: [value] * 8 for name, value in paper.items()})
    assert "The order is the same." in same[0]
    assert same[-1] == "In all, 6 of 6 pairs stand as in the paper: our order agrees with the paper's."

    swapped = {**paper, "sparse": paper["isolated"], "isolated": paper["sparse"]}
    found = words(tiny, {name: [value] * 8 for name, value in swapped.items()})
    assert "5 of 6 pairs stand as in the paper, not: sparse, no summary and sparse + summary, +0.0061" in found[0]
    assert "more than chance" in found[0] and "agrees in part with" in found[-1]

    few = words(tiny, {name: [1 - value] * 2 for name, value in paper.items()})
    assert few[0].count("(not tested)") == 6 and "0 of 6 pairs" in few[-1]
    assert "our order is not the paper's. With so few storyboards no difference can be tested." in few[-1]
    assert re.search(r"ours no window > full \+ window > sparse, no summary > sparse \+ summary\.", few[0])


def test_a_difference_within_chance_is_called_that():
    a, b = VARIANTS[:2]
    said = ablations._reversed(a, b, {a.name: 0.7, b.name: 0.6}, Comparison(0.1, -0.1, 0.3, 0.2, 9, 0.4))
    assert said == "no window and full + window, +0.1000 (within chance, p = 0.400)"
