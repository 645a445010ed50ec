"""Plans for Wan2.2's 14B without a folder of it, on the command line too."""

import json
from pathlib import Path

import pytest

from holocine.checkpoints import describe
from holocine.known import ESTIMATE_OFF, EstimatedTokenizer, config_of, find_facts, find_tokenizer
from holocine.plan import make_plan
from holocine.prompt import PromptTooLong, text_windows
from holocine.storyboard import Storyboard

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text_spans.json").read_text(encoding="utf-8"))
NIGHT_TRAIN = Path(__file__).parents[2] / "examples" / "cinema" / "night_train.yaml"


@pytest.fixture(autouse=True)
def no_hub(tmp_path, monkeypatch):
    """No tokenizer of Wan's lies in a cache, and none is fetched."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_estimated_tokens_are_as_close_to_t5s_as_is_said(case):
    estimated = len(EstimatedTokenizer()(case["cleaned"])["input_ids"])
    assert estimated == pytest.approx(len(case["offsets"]), rel=ESTIMATE_OFF)


def test_estimated_tokens_lie_in_the_text_and_give_every_shot_a_window():
    prompt = Storyboard.load(NIGHT_TRAIN).as_run().prompt
    offsets = EstimatedTokenizer()(prompt)["offset_mapping"]
    assert all(0 <= start < end <= len(prompt) for start, end in offsets[:-1])
    assert all(before[1] <= after[0] for before, after in zip(offsets[:-2], offsets[1:-1], strict=True))
    windows = text_windows(prompt, EstimatedTokenizer())
    assert windows.num_shots == 5 and all(end > start for start, end in windows.shot_spans)


def test_chinese_is_counted_by_its_characters():
    assert len(EstimatedTokenizer()("色调艳丽")["input_ids"]) == 5


def test_14b_is_known_and_counts_no_tokens_with_the_puppets_tokenizer():
    facts = find_facts("14b")
    assert (facts.height, facts.width, facts.num_experts, facts.steps) == (480, 832, 2, 50)
    tokenizer, note = find_tokenizer(facts)
    assert isinstance(tokenizer, EstimatedTokenizer) and "text tokens are estimated, to about 15%" in note
    plan = make_plan(Storyboard.load(NIGHT_TRAIN), facts)
    assert plan.num_tokens == 95_160 and plan.warnings[-1] == note
    assert plan.cost.prompted.linear == pytest.approx(2.3e15, rel=0.05)


def test_a_prompt_that_is_surely_too_long_is_refused_and_one_that_may_fit_is_not():
    facts = find_facts("14B")
    words = {"fits": 480, "may fit": 540, "does not": 700}

    def plan(count):
        board = Storyboard.from_captions("A room.", ["lamp " * count], num_frames=5, shot_cut_frames=[])
        return make_plan(board, facts)

    for case in ("fits", "may fit"):
        assert plan(words[case]).num_text_tokens > words[case]
    with pytest.raises(PromptTooLong):
        plan(words["does not"])


def test_other_models_are_described_by_their_folder(model_folder):
    facts = find_facts(str(model_folder))
    assert facts == describe(model_folder) and find_tokenizer(facts)[1] is None
    assert config_of(facts, "transformer")["num_layers"] == 2
    assert config_of(facts, "text_encoder")["d_model"] == 32


def test_the_command_line_tells_memory_and_time_of_a_preset(run):
    code, out, err = run("plan", NIGHT_TRAIN, "--model", "14B", "--preset", "fast,12GB")
    assert code == 0, err
    assert "4 steps, " in out and "guided" not in out
    assert "does not fit" in out and "to make it fit: " in out
    assert "main memory: at most" in out and "not yet been run on a GPU" in out


def test_memory_is_told_as_json_and_for_any_folder(run, model_folder):
    code, out, err = run("plan", NIGHT_TRAIN, "--model", model_folder, "--json", "--memory", "--steps", 3)
    assert (code, out) == (2, "") and "text tokens" in err, "the tiny model reads 128"
    board = Path(model_folder).parent / "short.yaml"
    board.write_text("global_caption: A painter.\nshots: [{caption: One., num_frames: 5}]\n")
    code, out, err = run("plan", board, "--model", model_folder, "--json", "--memory", "--steps", 3)
    assert code == 0, err
    told = json.loads(out)
    assert told["cost"]["steps"] == 3 and set(told["memory"]["phases"]) == {"text", "denoise", "decode"}
    assert told["memory"]["fits"] is None and told["memory"]["peak_bytes"] > 2**30


def test_generate_does_not_take_14b_for_a_model(work, run):
    (work / "board.yaml").write_text("global_caption: A painter.\nshots: [{caption: One., num_frames: 5}]\n")
    code, _, err = run("generate", "board.yaml", "-o", "a.mp4", "--model", "14B")
    assert code == 2 and "the model '14B' does not exist" in err
