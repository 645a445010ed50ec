from desk.tabs.examples import VIDEOS, load_examples


def test_examples_of_the_embedded_model_are_there_at_once_with_their_storyboards():
    examples = load_examples(True)
    assert len(examples) >= 3
    for example in examples:
        shown = example.stage_value()
        assert shown["state"] == "done" and "embedded model" in shown["note"]
        assert len(shown["shots"]) == example.storyboard.num_shots
        assert shown["settings"]["seed"] == example.storyboard.seed
        assert "seconds" not in shown["settings"], "a time of another machine"


def test_examples_are_small():
    assert sum(path.stat().st_size for path in VIDEOS.iterdir()) < 3 * 2**20


def test_other_models_get_storyboards_of_their_length():
    examples = load_examples(False)
    assert {example.id for example in examples} >= {"clockmaker", "night_train", "harbour_race"}
    assert all(example.stage_value() == {"state": "empty"} for example in examples)
