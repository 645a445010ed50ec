"""Storyboards: what they are made from, what they say about it, and that bad ones cannot exist."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from holocine.prompt import clean, holds_tag, spans_from_offsets, tidy_caption
from holocine.storyboard import Shot, Storyboard, StoryboardError

EXAMPLES = Path(__file__).parents[2] / "examples"
PAINTER = (
    "[global caption] A painter, [character1], in a bright studio. This scene contains 3 shots. "
    "[per shot caption] Wide shot of [character1]. [shot cut] Close-up of her hand. [shot cut] The canvas."
)


def board(**fields) -> Storyboard:
    return Storyboard.model_validate({"global_caption": "A pier.", "shots": ["a", "b", "c"], **fields})


captions = (
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
    .map(tidy_caption)
    .filter(lambda text: clean(text) and not holds_tag(text))
)


@st.composite
def storyboards(draw):
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=13))
    frames = [4 * lengths[0] - 3, *(4 * length for length in lengths[1:])]
    return Storyboard(
        title=draw(st.none() | captions),
        global_caption=draw(captions),
        shots=[Shot(caption=draw(captions), num_frames=n) for n in frames],
        fps=draw(st.integers(1, 240) | st.floats(1, 240)),
        seed=draw(st.none() | st.integers(0, 2**63 - 1)),
        negative_prompt=draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=20)),
    )


@given(storyboards())
@example(board(shots=["a\x85b\u2028c\u2029d\r\ne\ufefff"]))
def test_yaml_and_json_round_trips_are_exact(storyboard):
    for again in (Storyboard.from_yaml(storyboard.to_yaml()), Storyboard.from_json(storyboard.to_json())):
        assert again == storyboard
        assert hash(again) == hash(storyboard)


@given(storyboards())
def test_the_prompt_string_with_its_cuts_is_the_whole_scene(storyboard):
    rest = storyboard.model_dump(include={"title", "fps", "seed", "negative_prompt"})
    assert Storyboard.from_prompt(storyboard.prompt, storyboard.cuts, storyboard.num_frames, **rest) == storyboard


@given(storyboards())
def test_every_frame_has_exactly_one_shot_and_latents_agree(storyboard):
    frames = [frame for shot in storyboard.shot_ranges for frame in shot]
    assert frames == list(range(storyboard.num_frames))
    assert tuple(len(shot) for shot in storyboard.shot_ranges) == tuple(shot.num_frames for shot in storyboard.shots)
    assert tuple(shot.start for shot in storyboard.shot_ranges[1:]) == storyboard.cuts
    layout = storyboard.layout(2, 3)
    assert layout.num_shots == storyboard.num_shots
    assert 4 * (layout.num_latent_frames - 1) + 1 == storyboard.num_frames
    assert min(layout.shot_lengths) >= 1


@given(storyboards())
def test_every_shot_has_a_text_window_of_its_own(storyboard):
    prompt = clean(storyboard.prompt)
    windows = spans_from_offsets(prompt, [(i, i + 1) for i in range(len(prompt))])
    assert windows.num_shots == storyboard.num_shots
    assert [start for start, _ in windows.shot_spans] == [
        windows.global_span[1],
        *(b for _, b in windows.shot_spans[:-1]),
    ]
    assert windows.shot_spans[-1][1] == len(prompt)


@given(storyboards())
def test_what_is_already_4t_plus_1_is_run_as_it_is(storyboard):
    run = storyboard.as_run()
    assert run == storyboard and run.asked == storyboard and run.moved == ()


@given(st.lists(st.integers(5, 50), min_size=1, max_size=13))
def test_any_shots_of_five_frames_or_more_are_kept_and_run_on_a_valid_timeline_near_the_one_asked_for(lengths):
    storyboard = board(shots=[{"caption": "a", "num_frames": n} for n in lengths])
    asked = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    assert [*storyboard.cuts, storyboard.num_frames] == asked and storyboard.warnings == ()
    run = storyboard.as_run()
    assert run.num_shots == len(lengths)
    got = [*run.cuts, run.num_frames]
    assert all(n % 4 == 1 for n in got)
    assert all(abs(a - b) <= 2 for a, b in zip(asked, got, strict=True))
    moved = sum(a != b for a, b in zip(storyboard.cuts, run.cuts, strict=True))
    told = (moved if moved <= 3 else 1) + (storyboard.num_frames != run.num_frames)
    assert len(run.warnings) == len(run.moved) == told
    assert run.asked == storyboard and run.as_run() == run


def test_only_lengths_or_cuts_say_when_shots_begin_and_a_run_does():
    even = Storyboard.from_captions("A.", ["b", "c"], num_frames=17)
    assert not even.timed and not even.model_copy(update={"seed": 3}).timed
    assert not Storyboard.from_prompt("[global caption] A. [per shot caption] b [shot cut] c", num_frames=17).timed
    assert even.as_run() == even and even.as_run().timed and even.as_run().asked.timed
    assert Storyboard.from_captions("A.", ["b", "c"], 17, [9]).timed and Storyboard.from_yaml(even.to_yaml()).timed


def test_captions_alone_are_spread_evenly_over_241_frames_at_15_fps():
    storyboard = board(shots=["a"] * 5)
    assert (storyboard.num_frames, storyboard.fps, storyboard.cuts) == (241, 15, (49, 97, 145, 193))
    assert storyboard == Storyboard.from_captions("A pier.", ["a"] * 5)
    assert storyboard == Storyboard.from_captions("A pier.", ("a" for _ in range(5)))
    assert storyboard.seconds == pytest.approx(16.07, abs=0.01)


def test_holocines_string_becomes_fields_and_back():
    storyboard = Storyboard.from_prompt(PAINTER, [37, 73], 97, fps=12, seed=7)
    assert storyboard.global_caption == "A painter, [character1], in a bright studio."
    assert storyboard.captions == ("Wide shot of [character1].", "Close-up of her hand.", "The canvas.")
    assert storyboard.shot_ranges == (range(37), range(37, 73), range(73, 97))
    assert storyboard.prompt == PAINTER
    assert storyboard.warnings == ()
    assert storyboard == Storyboard.from_prompt(
        PAINTER.replace(" [shot cut]", " |\n[shot cut]"), [37, 73], 97, fps=12, seed=7
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"shots": ["a", "b", "c"], "shot_cut_frames": [21, 41], "num_frames": 65},
        {"shots": ["a", "b", "c"], "cuts": [21, 41], "num_frames": 65},
        {"shots": [{"caption": "a"}, "b", {"caption": "c"}], "num_frames": 65},
        {"shots": [{"caption": c, "num_frames": n} for c, n in [("a", 21), ("b", 20), ("c", 24)]]},
        {"shots": [{"caption": c, "num_frames": n} for c, n in [("a", 21), ("b", 20), ("c", 24)]], "num_frames": 65},
        {"shots": [{"caption": c, "seconds": s} for c, s in [("a", 1.4), ("b", 4 / 3), ("c", 1.6)]]},
        {
            "shots": [
                Shot(caption="a", num_frames=21),
                {"caption": "b", "seconds": 4 / 3},
                {"caption": "c", "num_frames": 24},
            ]
        },
        {
            "global_caption": None,
            "shots": None,
            "prompt": "[global caption] A pier. [per shot caption] a | [shot cut] b | [shot cut] c |",
            "cuts": [21, 41],
            "num_frames": 65,
        },
    ],
)
def test_every_way_to_give_the_shots_makes_the_same_storyboard(fields):
    expected = Storyboard.from_captions("A pier.", ["a", "b", "c"], 65, [21, 41])
    assert board(**fields) == expected
    given_fields = {key: value for key, value in {"global_caption": "A pier.", **fields}.items() if value is not None}
    plain = json.loads(json.dumps(given_fields, default=lambda shot: shot.model_dump()))
    assert Storyboard.from_yaml(yaml.safe_dump(plain)) == expected
    assert Storyboard.from_json(json.dumps(plain)) == expected


def test_seconds_are_counted_at_the_storyboards_own_fps():
    shots = [{"caption": "a", "seconds": 2}, {"caption": "b", "seconds": 2.5}]
    assert board(fps=12, shots=shots).cuts == (24,)
    assert board(fps=30, shots=shots).cuts == (60,)


def test_shots_of_whole_frames_between_fractional_ones_keep_their_seconds():
    timed = [{"caption": "a", "seconds": 2.0625}, {"caption": "b", "seconds": 1.875}]
    shots = [*timed, {"caption": "c", "num_frames": 51}]
    storyboard = board(fps=24, shots=shots)
    assert [shot.num_frames for shot in storyboard.shots] == [50, 44, 52]  # 49.5, 45 and 51, with rounded cuts
    assert storyboard.shot_seconds == (2.0625, 1.875, 2.125)
    assert Storyboard.from_yaml(storyboard.to_yaml()) == storyboard
    assert storyboard.model_copy(update={"fps": 16}).shot_seconds == (2.0625, 1.875, 2.125)


def test_seconds_that_no_whole_number_of_frames_says_are_kept():
    storyboard = board(fps=12, shots=[{"caption": "a", "seconds": 1.3}, {"caption": "b", "seconds": 2}])
    assert storyboard.cuts == (16,) and storyboard.shot_seconds == (1.3, 2)
    assert "seconds: 1.3" in storyboard.to_yaml() and Storyboard.from_yaml(storyboard.to_yaml()) == storyboard
    assert storyboard.model_copy(update={"fps": 24.0}).cuts == (31,)
    assert storyboard.shots[0].model_copy(update={"num_frames": 8}).seconds is None


def test_what_is_moved_to_be_run_is_said_with_old_and_new_value():
    asked = board(shot_cut_frames=[38, 80], num_frames=120)
    assert (asked.cuts, asked.num_frames, asked.warnings) == ((38, 80), 120, ())
    storyboard = asked.as_run()
    assert storyboard.cuts == (37, 81)
    assert storyboard.num_frames == 121
    assert (
        storyboard.warnings
        == storyboard.moved
        == (
            "shot 2 of 3: cut at frame 38 was moved to frame 37 (the nearest 4t + 1)",
            "shot 3 of 3: cut at frame 80 was moved to frame 81 (the nearest 4t + 1)",
            "num_frames 120 was changed to 121 (the nearest 4t + 1)",
        )
    )


def test_many_cuts_that_are_moved_are_one_sentence():
    asked = Storyboard.from_captions("A.", list("bcdef"), num_frames=41, shot_cut_frames=[8, 16, 25, 32])
    assert len(asked.as_run().moved) == 3
    asked = Storyboard.from_captions("A.", list("bcdef"), num_frames=41, shot_cut_frames=[8, 16, 24, 32])
    assert asked.as_run().moved == (
        "4 cuts at frames 8, 16, 24, 32 were moved to frames 9, 17, 25, 33 (the nearest 4t + 1)",
    )


def test_warnings_are_no_part_of_equality_nor_of_files():
    snapped = board(shot_cut_frames=[38, 80], num_frames=120).as_run()
    exact = board(shot_cut_frames=[37, 81], num_frames=121)
    assert snapped.warnings and not exact.warnings
    assert snapped == exact
    assert hash(snapped) == hash(exact)
    assert snapped.to_yaml() == exact.to_yaml()
    assert Storyboard.from_json(snapped.to_json()).warnings == ()


def test_a_copy_with_another_seed_keeps_the_warnings_and_one_with_other_shots_does_not():
    snapped = board(num_frames=120).as_run()
    assert snapped.model_copy(update={"seed": 3}).warnings == snapped.warnings != ()
    assert snapped.model_copy(update={"shots": ["a"]}).warnings == ()


def test_a_copy_is_validated_like_any_other():
    with pytest.raises(StoryboardError, match="seed should be greater than or equal to 0, not -1"):
        board().model_copy(update={"seed": -1})


def test_a_character_who_is_not_introduced_is_a_warning():
    storyboard = board(
        global_caption="[character1] on a pier.", shots=["[character1].", "[character2] and [character3]."]
    )
    assert storyboard.warnings == (
        "shot 2 of 2: [character2] is not introduced in the global caption",
        "shot 2 of 2: [character3] is not introduced in the global caption",
    )


def test_a_wrong_count_of_shots_in_the_global_caption_is_a_warning():
    storyboard = board(global_caption="A pier. This scene contains 5 shots.")
    assert storyboard.warnings == ("the global caption says that the scene contains 5 shots, but there are 3",)
    assert storyboard.prompt.count("This scene contains") == 1


def test_thirteen_shots_are_fine_and_more_are_a_warning():
    assert board(shots=["a"] * 13).warnings == ()
    assert board(shots=["a"] * 14).warnings == ("14 shots: HoloCine was trained on scenes of at most 13",)


def test_one_shot_is_a_storyboard_without_cuts():
    storyboard = board(shots=["a"])
    assert storyboard.cuts == ()
    assert storyboard.shot_ranges == (range(241),)
    assert Storyboard.from_prompt(storyboard.prompt) == storyboard


@pytest.mark.parametrize(
    "caption",
    [
        "🎬 猫 in the rain",
        "It&#39;s <b>late</b> &amp; dark",
        "Wide shot:\n\n  a pier\n",
        "yes",
        "42",
        "- a: [b]",
        "word " * 3000,
    ],
)
def test_any_text_is_a_caption(caption):
    storyboard = board(global_caption=caption, shots=[caption])
    assert storyboard.global_caption == storyboard.captions[0] == caption.strip()
    assert Storyboard.from_yaml(storyboard.to_yaml()) == storyboard


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shots": []}, "shots is empty: a storyboard has at least 1 shot"),
        ({"shots": None}, "shots is missing: list at least one shot, each with a caption"),
        ({"shots": "abc"}, "shots should be a list, not 'abc'"),
        ({"shots": {"a": "b"}}, "shots should be a list, not {'a': 'b'}"),
        ({"shots": ["a", ""]}, "shot 2 of 2: caption is empty"),
        ({"shots": ["a", " | "]}, "shot 2 of 2: caption is empty"),
        ({"shots": ["a", "&nbsp;\x00"]}, "shot 2 of 2: caption is empty"),
        ({"shots": ["a", 7]}, "shot 2 of 2: should be a caption, or a mapping with caption and num_frames, not 7"),
        ({"shots": ["a", {"num_frames": 7}]}, "shot 2 of 2: caption is missing"),
        ({"shots": [{"caption": True}]}, r"shot 1 of 1: caption should be a valid string, not true \(put quotes"),
        (
            {"shots": [{"Close-up": "b"}]},
            "shot 1 of 1: unknown key 'Close-up'; .*put quotes around a caption with a colon",
        ),
        (
            {"shots": ["a [shot cut] b"]},
            r"shot 1 of 1: caption holds \[global caption\], \[per shot caption\] or \[shot cut\]",
        ),
        ({"shots": ["a [shot\ncut] b"]}, "shot 1 of 1: caption holds"),
        ({"shots": ["a &#91;shot cut&#93; b"]}, "shot 1 of 1: caption holds"),
        ({"global_caption": " "}, "global_caption is empty"),
        ({"global_caption": "[per shot caption]"}, "global_caption holds"),
        ({"global_caption": ["a"]}, r"global_caption should be a valid string, not \['a'\]"),
        ({"global_caption": "\ud800"}, r"global_caption holds half a character \(a lone surrogate\) at position 0"),
        ({"colour": "red"}, "unknown key 'colour'; the keys of a storyboard are title, global_caption, fps"),
        ({"fps": float("nan")}, "fps should be a finite number, not nan"),
        ({"fps": float("inf")}, "fps should be a finite number, not inf"),
        ({"fps": 0}, "fps should be greater than or equal to 1, not 0"),
        ({"fps": "15"}, "fps should be a valid number, not '15'"),
        ({"seed": 1.5}, "seed should be a valid integer, not 1.5"),
        ({"seed": True}, "seed should be a valid integer, not true"),
        ({"seed": 2**63}, "seed should be less than 9223372036854775808, not"),
        ({"title": 3}, "title should be a valid string, not 3"),
        ({"num_frames": 0}, "num_frames should be at least 1, not 0"),
        ({"num_frames": 65.5}, "num_frames should be a whole number of frames, not 65.5"),
        ({"num_frames": 10**400}, "num_frames should be at most 1,000,000 frames, not 1000"),
        ({"num_frames": 5}, "3 shots cannot be spread over 5 frames; give more frames or fewer shots"),
        ({"cuts": [97, 49]}, r"shot 3 of 3: cut at frame 49 is not after the previous cut \(frame 97\)"),
        ({"cuts": [49, 49]}, r"shot 3 of 3: cut at frame 49 is not after the previous cut \(frame 49\)"),
        ({"cuts": [-3, 49]}, r"shot 2 of 3: cut at frame -3 is not after the first frame of the video \(frame 0\)"),
        ({"cuts": [0, 49]}, "shot 2 of 3: cut at frame 0 is not after the first frame of the video"),
        (
            {"cuts": [49, 400]},
            r"shot 3 of 3: cut at frame 400 is beyond the end of the video \(241 frames, the last is 240\)",
        ),
        ({"cuts": [49]}, "shot 3 of 3: has no cut; 3 captions need 2 cuts, not 1"),
        ({"shots": ["a", "b"], "cuts": []}, "shot 2 of 2: has no cut; 2 captions need 1 cut, not 0"),
        ({"shots": ["a"], "cuts": [49]}, "begins shot 2, which has no caption; 1 caption needs no cuts, not 1"),
        ({"shots": ["a"] * 5, "cuts": [49, 97]}, "shot 4 of 5: has no cut; 5 captions need 4 cuts, not 2"),
        (
            {"cuts": [9, 17, 25]},
            "the cut at frame 25 begins shot 4, which has no caption; 3 captions need 2 cuts, not 3",
        ),
        ({"cuts": [9, float("nan")]}, "a cut should be a whole number of frames, not nan"),
        ({"cuts": "9"}, "shot_cut_frames should be a list, not '9'"),
        ({"cuts": [9, 17], "shot_cut_frames": [9, 17]}, "give either cuts or shot_cut_frames, not both"),
        ({"prompt": PAINTER}, "give either prompt or global_caption, not both"),
        (
            {"shots": [{"caption": "a", "num_frames": 5, "seconds": 1}]},
            "shot 1 of 1: give either num_frames or seconds",
        ),
        ({"shots": [{"caption": "a", "num_frames": -5}]}, "shot 1 of 1: num_frames should be at least 1, not -5"),
        (
            {"shots": [{"caption": "a", "seconds": float("inf")}]},
            "shot 1 of 1: seconds should be a positive number, not inf",
        ),
        ({"shots": [{"caption": "a", "seconds": 1}], "fps": "x"}, "fps should be a positive number, not 'x'"),
        ({"shots": [{"caption": "a", "num_frames": 9}, "b"]}, "shot 2 of 2: has no length, but other shots have"),
        (
            {"shots": [{"caption": "a", "num_frames": 9}], "num_frames": 13},
            "num_frames is 13, but the shots together have 9",
        ),
        ({"shots": [{"caption": "a", "num_frames": 9}], "cuts": []}, "give either cuts or the length of every shot"),
    ],
)
def test_bad_input_is_one_sentence_that_names_the_place_and_the_value(fields, message):
    with pytest.raises(StoryboardError, match=message) as caught:
        board(**fields)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 260


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cuts": [37, 38]},
            r"shot 3 of 3: cut at frame 37 is not after .*; cuts and ends are rounded .* here 38 to 37: make the",
        ),
        (
            {"cuts": [9, 240]},
            r"shot 3 of 3: cut at frame 241 is beyond the end .*; cuts and ends are rounded .* 240 to 241",
        ),
        (
            {"shots": [{"caption": c, "num_frames": n} for c, n in [("a", 5), ("b", 1), ("c", 9)]]},
            r"shot 3 of 3: cut at frame 5 is not after the previous cut \(frame 5\); cuts and ends are .* here 6 to 5",
        ),
    ],
)
def test_shots_that_are_too_short_to_be_run_are_kept_and_refused_when_they_are_run(fields, message):
    asked = board(**fields)
    with pytest.raises(StoryboardError, match=message):
        asked.as_run()


@pytest.mark.parametrize("data", [None, 3, "text", ["a"], [("global_caption", "x")]])
def test_what_is_no_mapping_is_no_storyboard(data):
    with pytest.raises(StoryboardError, match="a storyboard is a mapping with global_caption and shots, not"):
        Storyboard.model_validate(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"caption": "", "num_frames": 5}, "caption is empty"),
        ({"caption": "a"}, "num_frames is missing"),
        ({"caption": "a", "num_frames": 0}, "num_frames should be greater than or equal to 1, not 0"),
        ({"caption": "a", "num_frames": 5, "cut": 1}, "cut is not a known key"),
    ],
)
def test_a_bad_shot_is_an_error_by_itself(fields, message):
    with pytest.raises(StoryboardError, match=message):
        Shot(**fields)


def test_storyboards_and_shots_are_frozen():
    storyboard = board()
    with pytest.raises(ValidationError, match="frozen"):
        storyboard.seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        storyboard.shots[0].caption = "x"


def test_a_bad_storyboard_inside_another_model_is_that_models_validation_error():
    class Suite(BaseModel):
        storyboards: tuple[Storyboard, ...]

    good = board(num_frames=120)
    assert Suite(storyboards=[good.model_dump(), good]).storyboards == (good, good)
    with pytest.raises(ValidationError, match="shots is empty"):
        Suite(storyboards=[{"global_caption": "x", "shots": []}])


@pytest.mark.parametrize("text", ["", "  \n", "# nothing but a remark", "---\n"])
def test_an_empty_file_says_what_is_needed(text):
    with pytest.raises(StoryboardError, match="the storyboard is empty: it needs global_caption and shots"):
        Storyboard.from_yaml(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "global_caption: x\nshots:\n\t- a",
            r"YAML error in line 3, column 1: found character '\\t' .*indent with spaces, not tabs",
        ),
        (
            "global_caption: x\nshots:\n- Wide: a: b",
            "YAML error in line 3, column 10: mapping values .*put quotes around text",
        ),
        ("global_caption: [character1] is a", r"YAML error in line 1, column 30: expected .*put quotes around text"),
        ("a: 1\na: 2", "YAML error in line 2, column 1: the key 'a' is repeated"),
        ("a: 1\nb: \x07", r"YAML error in line 2, column 4: the character '\\x07' is not allowed"),
        ("a: !!python/object:os.system 3", "YAML error in line 1, column 4: could not determine a constructor"),
        ("a: *b", "YAML error in line 1, column 4: found undefined alias 'b'"),
        ("---\na: 1\n---\nb: 1", "YAML error in line 3, column 1"),
        ("[" * 5000, "YAML error: the lists are nested too deeply"),
        ("seed: " + "9" * 5000, r"YAML error: a number in it cannot be read \(.*4300 digits.*\): write a shorter one"),
        ("seed: !!int many", "YAML error: a number in it cannot be read .*'many'.*quotes around text"),
        ("global_caption: 2001-01-01\nshots: [a]\ntitle: 7", "title should be a valid string, not 7"),
    ],
)
def test_yaml_errors_name_line_and_column(text, message):
    with pytest.raises(StoryboardError, match=message):
        Storyboard.from_yaml(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n "a": 1,,\n}', "JSON error in line 2, column 9"),
        ('{"fps": NaN}', "JSON error: NaN is not a number"),
        ('{"a": 1, "a": 2}', "JSON error: the key 'a' is repeated"),
        ("[" * 100_000, "JSON error: the lists are nested too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", r"JSON error: a number in it cannot be read \(.*4300 digits"),
        ("", "the storyboard is empty"),
        ("null", "the storyboard is empty"),
    ],
)
def test_json_errors_name_line_and_column(text, message):
    with pytest.raises(StoryboardError, match=message):
        Storyboard.from_json(text)


def test_a_yaml_alias_bomb_is_described_briefly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    shots = "\n".join(["global_caption: x", "shots:", "- caption: *a11"])
    with pytest.raises(StoryboardError, match="shot 1 of 1: caption should be a valid string") as caught:
        Storyboard.from_yaml(shots.replace("*a11", "&b " + "[" * 40 + "]" * 40))
    assert len(str(caught.value)) < 200
    with pytest.raises(StoryboardError, match="unknown key 'a0'"):
        Storyboard.from_yaml("\n".join([*lines, shots]))


def test_storyboards_are_loaded_by_the_ending_of_the_file(tmp_path):
    storyboard = board(title="雨", seed=3)
    for name, text in {
        "a.yaml": storyboard.to_yaml(),
        "a.YML": storyboard.to_yaml(),
        "a.json": storyboard.to_json(),
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert Storyboard.load(tmp_path / name) == Storyboard.load(str(tmp_path / name)) == storyboard


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("title: caf\xe9".encode("latin-1"))
    (tmp_path / "bad.yaml").write_text("shots: []")
    (tmp_path / "folder.yaml").mkdir()
    for name, message in {
        "missing.yaml": "missing.yaml: cannot be read: No such file or directory",
        "folder.yaml": "folder.yaml: cannot be read: Is a directory",
        "latin.yaml": r"latin.yaml: is not UTF-8 text \(byte 10\)",
        "film.mp4": "film.mp4: a storyboard file ends in .json, .yaml, .yml, .txt",
        "bad.yaml": "bad.yaml: shots is empty",
    }.items():
        with pytest.raises(StoryboardError, match=message):
            Storyboard.load(tmp_path / name)


def test_the_json_schema_describes_every_key_of_a_file():
    schema = Storyboard.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    keys = schema["properties"]
    assert set(keys) >= {"global_caption", "shots", "num_frames", "shot_cut_frames", "prompt", "fps", "seed"}
    assert all(key.get("description") for key in keys.values())
    assert "Frames per second" in keys["fps"]["description"]
    shot_keys = {"caption", "num_frames", "seconds", "image", "last_image", "clip"}
    assert set(schema["$defs"]["Shot"]["properties"]) == shot_keys
    assert "in frames" in schema["$defs"]["Shot"]["properties"]["num_frames"]["description"]
    assert schema["oneOf"] == [{"required": ["global_caption", "shots"]}, {"required": ["prompt"]}]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_storyboards_without_a_doubt(path):
    assert Storyboard.load(path).warnings == ()


def test_tags_of_other_keyboards_are_kept_as_ascii_ones():
    whole = Storyboard.from_prompt(
        "【global caption】 A pier. ［character１］ is a sailor. 【per shot caption】 Wide shot of 【character1】. "
        "［shot cut］ Close-up.",
        shot_cut_frames=[9],
        num_frames=17,
    )
    parts = Storyboard.from_captions(
        "A pier. 【character1】 is a sailor.", ["Wide shot of ［character1］.", "Close-up."], 17, [9]
    )
    assert whole == parts and whole.prompt.isascii() and whole.warnings == ()
    with pytest.raises(StoryboardError, match="shot 1 of 1: caption holds .*which separate captions"):
        Storyboard.from_captions("A pier.", ["Wide shot. 【shot cut】 Close-up."], 17)


def test_a_wrong_number_of_shots_is_put_right_on_request():
    board = Storyboard.from_captions("A pier. This scene contains 5 shots. It rains.", ["Wide shot."] * 6, 25)
    assert any("contains 5 shots, but there are 6" in warning for warning in board.warnings)
    fixed = board.with_stated_shots()
    assert fixed.global_caption == "A pier. This scene contains 6 shots. It rains."
    assert not any("contains" in warning for warning in fixed.warnings)
    assert fixed.shots == board.shots and fixed.with_stated_shots() == fixed


def test_what_was_asked_keeps_its_pictures_on_the_frames_of_a_model_of_another_rate():
    shots = [{"caption": "a", "num_frames": 33, "image": "still.png"}, {"caption": "b", "num_frames": 30}]
    asked = board(shots=shots).run_on([48, 48], fps=24).asked
    assert [shot.image for shot in asked.shots] == ["still.png", None]
    assert [shot.caption for shot in asked.shots] == [shot.caption for shot in board(shots=shots).shots]
