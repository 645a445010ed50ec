import pytest

from desk.scene import vocabulary
from holocine.checkpoints import describe
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import sample_scene


@pytest.mark.parametrize("seed", range(100, 160))
def test_captions_of_the_theatre_are_read_back_into_the_choices_behind_them(seed):
    scene = sample_scene(seed, num_frames=97)
    for shot, caption in zip(scene.shots, to_storyboard(scene).captions, strict=True):
        read = vocabulary.read_caption(caption)
        assert read["framing"] == shot.framing and read["camera"] == shot.camera
        assert read["who"] == [f"[character{who + 1}]" for who in shot.who]
        assert read["lanterns"] == shot.lanterns_light_up
        if shot.framing in ("single", "two-shot"):
            assert (read["size"], read["action"]) == (shot.size, shot.action)


def test_a_surprise_holds_nothing_that_the_embedded_model_did_not_learn():
    for seed in range(100, 130):
        assert describe().doubts(vocabulary.surprise(seed)) == ()


def test_free_text_is_no_choice():
    assert vocabulary.read_caption("A dragon flies by.") is None


def test_a_surprise_is_a_titled_scene_that_its_seed_repeats():
    board = vocabulary.surprise(11)
    assert board == vocabulary.surprise(11) != vocabulary.surprise(12)
    assert board.title and board.seed == 11 and board.num_frames == 65


def test_the_picker_has_words_for_all_its_choices():
    choices, phrases = vocabulary.choices(), vocabulary.phrases()
    for name in ("setting", "size", "action", "camera", "hat"):
        assert set(choices[name]) == set(phrases[name])
    assert set(choices["prop"]) - {"nothing"} == set(phrases["prop"])
