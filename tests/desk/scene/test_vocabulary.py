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


@pytest.mark.parametrize("seed", range(100, 130))
def test_the_stage_is_read_back_from_what_the_theatre_writes_of_it(seed):
    scene = sample_scene(seed, num_frames=65)
    caption = to_storyboard(scene).global_caption
    read = vocabulary.read_stage(caption)
    assert read["setting"] == scene.setting and read["place"] in caption
    assert list(read["puppets"].values()) == [
        {"colour": puppet.colour, "body": puppet.body, "hat": puppet.hat, "prop": puppet.prop}
        for puppet in scene.puppets
    ]


def test_what_a_scene_does_not_say_is_not_made_up():
    read = vocabulary.read_stage("Somewhere. [character2] is a blue puppet.")
    assert read["setting"] is None and read["place"] is None
    assert read["puppets"] == {"character2": {"colour": "blue", "body": None, "hat": "no hat", "prop": "nothing"}}


@pytest.mark.parametrize(
    ("word", "near"),
    [("Crimson", "red"), ("navy", "blue"), ("dancing", "jumping"), ("walkin", "walking"), ("cat", "puppet")]
    + [("squere", "square"), ("red", "red"), ("xylophone", None), ("juggling", "jumping"), ("hops", "hopping")]
    + [("walk", "walking"), ("flies", "jumping"), ("raining", None), ("heavily", None), ("sad", None)],
)
def test_a_word_outside_the_theatre_has_a_nearest_one_inside(word, near):
    assert vocabulary.nearest_word(word) == near


def test_a_word_is_looked_up_without_reading_the_theatres_own_anew(monkeypatch):
    vocabulary.nearest_word("skipping")
    read, stem = [], vocabulary._stem
    monkeypatch.setattr(vocabulary, "_stem", lambda word: read.append(word) or stem(word))
    assert vocabulary.nearest_word("danced") == "jumping" and set(read) == {"danced"}


def test_for_words_with_nothing_near_it_is_said_what_the_theatre_has_of_their_kind():
    weather, manner, action, person = vocabulary.hints(["rains", "windy", "heavily", "exploding", "she"])
    assert weather.startswith("“rains”, “windy”: the theatre has no weather; its places are a sunny beach, a green")
    assert manner == "“heavily”: the theatre does not know how something is done; leave it out"
    assert action.endswith("actions are standing, walking left, walking right and jumping")
    assert "[character1]" in person


def test_every_near_word_leads_into_the_theatre():
    from holocine.puppet.captions import vocabulary as words

    assert set(vocabulary._NEAR) <= words()
