import json
from dataclasses import replace

import pytest

from holocine.__main__ import main
from holocine.checkpoints import describe
from holocine.model_card import CARD, ModelCard
from holocine.puppet.captions import to_storyboard
from holocine.puppet.training.assemble import CARD as THEATRE
from holocine.puppet.world import sample_scene
from holocine.storyboard import Storyboard
from holocine.unread import unread


def test_the_embedded_models_card_is_what_its_training_says():
    assert describe().card == THEATRE


@pytest.mark.parametrize("seed", range(40))
def test_no_scene_of_the_theatre_is_doubtful(seed):
    assert describe().doubts(to_storyboard(sample_scene(seed))) == ()


def test_a_storyboard_of_another_world_is_told_so_in_one_sentence():
    board = Storyboard.load("examples/cinema/clockmaker.yaml")
    first, *rest = describe().doubts(board)
    assert first.startswith("this model knows a puppet theatre only") and "“narrow”" in first
    assert rest == [
        "the scene has 241 frames, but the model learnt from 33 to 97: shorten its shots",
        "the video has 15 frames a second, but the model learnt how things move at 12: set fps to that",
    ]


def test_single_words_that_were_never_learnt_are_named_with_their_shot():
    shots = ["Wide shot of [character1] walking left.", "Close-up of a cat's hat."]
    board = Storyboard.from_captions("[character1] is a red round puppet with no hat.", shots, 65, fps=12)
    assert describe().doubts(board) == (
        "shot 2 of 2: the model has never heard of “cat's”; it will show something else",
    )


def test_of_some_shots_only_their_own_doubts_are_told():
    shots = ["Wide shot of a dragon.", "Close-up of [character1] standing still.", "Wide shot of a wizard."]
    board = Storyboard.from_captions("The setting is a sunny beach. [character1] is a red round puppet.", shots, 65)
    told = list(describe().card.doubts_of_shots(board, [2, 3]))
    assert len(told) == 1 and told[0].startswith("shot 3 of 3: the model has never heard of “wizard”")


def test_words_of_the_negative_prompt_that_were_never_learnt_are_named():
    board = Storyboard.from_captions("A beach with a red round puppet.", ["[character1] jumping."] * 2, 65, fps=12)
    board = board.model_copy(update={"negative_prompt": "snow, a dragon"})
    told = ("the negative prompt: the model has never heard of “dragon”; it cannot avoid it",)
    assert describe().doubts(board) == told == tuple(describe().card.doubts_of_shots(board, [2]))


def test_guidance_by_other_shots_that_was_asked_for_and_does_nothing_is_told():
    facts = describe()
    several = Storyboard.from_captions("A beach.", ["A red puppet."] * 2, 33, fps=12)
    single = Storyboard.from_captions("A beach.", ["A red puppet."], 33, fps=12)
    asked = {"shot_guidance": 3.0}
    assert unread(several, facts, asked) == ()
    assert unread(single, facts, asked) == ("shot_guidance 3 does nothing: a single shot has no others",)
    told = unread(several, facts, {**asked, "attention": "isolated"})
    assert told == ("shot_guidance 3 does nothing: with attention isolated no shot sees another",)
    told = unread(several, facts, {**asked, "shot_guidance_above": 1.0})
    assert told == ("shot_guidance 3 does nothing: no step is noisier than 1",)
    remembered = {"shot_guidance": facts.shot_guidance, "shot_guidance_above": facts.shot_guidance_above}
    assert unread(single, facts, remembered) == unread(single, facts, {"shot_guidance": 1.0}) == ()


def test_other_sizes_more_characters_and_shorter_shots_are_doubtful():
    caption = " ".join(f"[character{i}] is a red round puppet with no hat." for i in range(1, 5))
    board = Storyboard.from_captions(caption, ["[character1] jumping."] * 7, 65, fps=12)
    doubts = "\n".join(describe().doubts(board, 128, 224))
    assert "4 characters, but the model learnt from at most 3" in doubts
    assert "7 shots, but the model learnt from 1 to 6: tell it in fewer" in doubts
    assert "224x128 pixels, but the model learnt from 112x64" in doubts
    assert "lasts 8 frames" in doubts


def test_more_characters_in_a_shot_than_a_shot_ever_had_are_doubtful():
    caption = " ".join(f"[character{i}] is a red round puppet with no hat." for i in range(1, 4))
    shots = ["Wide shot of [character1] and [character2].", "[character1], [character2] and [character3] standing."]
    told = describe().doubts(Storyboard.from_captions(caption, shots, 65, fps=12))
    learnt = "the model learnt from at most 2 a shot"
    assert told == (f"shot 2 of 2: shows 3 characters, but {learnt}: leave some to other shots",)


def test_signs_and_numbers_are_words_that_were_never_learnt_but_punctuation_and_stated_shots_are_not():
    card = describe().card
    assert card.unknown_words("Close-up: 😀 12345 🏖️!") == ("😀", "12345", "🏖️")
    assert card.unknown_words("“[character1]’s” hat (wide) – [character2]'s... This scene contains 3 shots.") == ()


def test_a_card_is_read_as_it_was_written(tmp_path):
    card = replace(THEATRE, words=frozenset(), sizes=((480, 832), (720, 1280)))
    card.write(tmp_path)
    assert ModelCard.read(tmp_path) == card
    assert card.unknown_words("Anything at all.") == ()


def test_a_model_without_a_card_is_taken_at_its_word(tmp_path):
    assert ModelCard.read(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"world": "x"})])
def test_a_damaged_card_is_named(tmp_path, text):
    (tmp_path / CARD).write_text(text)
    with pytest.raises(ValueError, match=r"card\.json .*put it right, or take it away"):
        ModelCard.read(tmp_path)


def test_strict_makes_nothing_of_what_the_model_did_not_learn(tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert main(["generate", "examples/cinema/night_train.yaml", "--strict", "-o", str(out)]) == 2
    assert "knows a puppet theatre only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_strict_refuses_probable_mistakes_and_plans_nothing_either(tmp_path, capsys):
    board = tmp_path / "board.yaml"
    board.write_text(
        "global_caption: The setting is a beach. [character1] is a red round puppet.\nfps: 12\n"
        "shots:\n- {caption: 'Wide shot of [character1] walking left.', num_frames: 33}\n"
        "- {caption: 'Close-up of [charcter1] standing still.', num_frames: 32}\n"
    )
    assert main(["plan", str(board)]) == 0
    mistake = "[charcter1] is no character's tag: write [character1]"
    assert f"warning: shot 2 of 2: {mistake}" in capsys.readouterr().out
    for command in (["plan", str(board)], ["generate", str(board), "-o", str(tmp_path / "out.mp4")]):
        assert main([*command, "--strict"]) == 2
        said = capsys.readouterr()
        assert mistake in said.err and not said.out
    assert list(tmp_path.iterdir()) == [board]


def test_a_text_too_long_for_a_model_of_another_world_says_which_world_it_is(capsys):
    assert main(["plan", "examples/cinema/night_train.yaml"]) == 2
    assert "580 text tokens" in (said := capsys.readouterr().err) and "puppet theatre only" in said


def test_more_frames_than_a_model_has_positions_for_are_one_sentence(tmp_path, capsys):
    long = tmp_path / "long.yaml"
    long.write_text("global_caption: A beach.\nfps: 12\nshots:\n- caption: Wide shot.\n  num_frames: 20001\n")
    for command in (["plan", str(long)], ["generate", str(long), "-o", str(tmp_path / "out.mp4")]):
        assert main(command) == 2
        assert "20,001 frames, but this model has positions for 509 only" in capsys.readouterr().err
