"""What each family makes of a storyboard, and what it says that it cannot express."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holocine import Storyboard, StoryboardError
from holocine.families import NAMES, find_family
from holocine.families.echoshot.prompt import decoded_frames
from holocine.families.longlive.prompt import caption_of_each_block
from holocine.families.storymem.prompt import parts_of
from holocine.families.translation import caption_name, nearest_lengths
from holocine.video import read_storyboard, write_video

echoshot, cinetrans, shotstream, longlive, storymem = (find_family(name).translate for name in NAMES)


def board(*seconds: float, fps: float = 16.0, **fields) -> Storyboard:
    return Storyboard(
        global_caption="[character1] is a tall man. A street.",
        fps=fps,
        shots=[{"caption": f"Shot {i} of [character1].", "seconds": s} for i, s in enumerate(seconds, start=1)],
        **fields,
    )


def notes(translation) -> str:
    return " ".join(translation.notes)


def test_echoshot_reads_a_caption_a_shot_with_the_scene_behind_it():
    made = echoshot(board(2.0, 1.0, 3.0))
    assert made.captions[0] == "Shot 1 of a tall man. A tall man. A street."
    assert made.prompt.startswith("[1]Shot 1 of a tall man.") and " [3]Shot 3 of a tall man." in made.prompt
    assert made.common is None and "has no global caption" in notes(made)


def test_echoshot_shots_have_4t_minus_3_frames_nearest_to_what_was_asked():
    made = echoshot(board(2.0, 1.0, 3.0))
    assert made.latent_lengths == (9, 5, 12)
    assert [shot.num_frames for shot in made.storyboard.shots] == [33, 17, 45]
    assert made.storyboard.asked.shot_seconds == (2.0, 1.0, 3.0)
    assert "cuts after 2.06, 3.12 s where 2.00, 3.00 s were asked for" in notes(made)


ADVISED = "24 to 32 latent frames a scene, in 2 shots 90 to 122 frames, at 16 frames a second"


@pytest.mark.parametrize(
    ("seconds", "latent_frames", "why", "lasts"),
    [
        ((0.5, 0.5), 24, ADVISED, 5.62),
        ((8.0, 8.0), 32, ADVISED, 7.62),
        ((3.0, 3.0), 26, "shots of 4t - 3 frames", 6.12),
    ],
)
def test_echoshot_keeps_to_the_advised_lengths_and_says_what_moved_the_end(seconds, latent_frames, why, lasts):
    made = echoshot(board(*seconds))
    assert sum(made.latent_lengths) == latent_frames
    assert f"EchoShot makes {why}: the video lasts {lasts} s" in notes(made)
    assert 90 <= made.storyboard.num_frames <= 122


@pytest.mark.parametrize("count", [1, 7, 13])
def test_echoshot_refuses_what_it_was_not_made_for(count):
    with pytest.raises(StoryboardError, match=f"2 to 6 shots in one pass, and this storyboard has {count}"):
        echoshot(board(*[1.0] * count))


def test_cinetrans_reads_the_scene_last_and_cuts_on_frames_4t_plus_1():
    made = cinetrans(board(41 / 16, 40 / 16))
    assert made.captions == ("Shot 1 of a tall man.", "Shot 2 of a tall man.", "A tall man. A street.")
    assert (made.common, made.latent_lengths) == (2, (11, 10))
    assert made.storyboard.cuts == (41,) and made.storyboard.num_frames == 81
    assert made.notes == ()
    assert json.loads(made.prompt) == list(made.captions)


@pytest.mark.parametrize(("frames", "told"), [(40, True), (40.4, True), (40.5, False), (41, False), (41.6, True)])
def test_a_cut_that_is_moved_by_more_than_half_a_frame_is_told(frames, told):
    made = cinetrans(board(frames / 16, (81 - frames) / 16, fps=160.0))
    assert made.storyboard.cuts == (41,)
    assert ("cuts after 2.56 s where" in notes(made)) is told


def test_cinetrans_shortens_a_long_scene_evenly_and_says_so():
    made = cinetrans(board(10.0, 5.0, 5.0))
    assert made.storyboard.num_frames == 81 and made.latent_lengths == (11, 5, 5)
    assert "the video lasts 5.06 s where 20.00 s were asked for" in notes(made)
    assert "CineTrans cuts after 2.56, 3.81 s where 10.00, 15.00 s were asked for" in notes(made)


def test_cinetrans_has_no_more_shots_than_latent_frames():
    assert cinetrans(board(*[1.0] * 21)).latent_lengths == (1,) * 21
    with pytest.raises(StoryboardError, match="CineTrans makes 81 frames: 22 shots do not fit into 21 latent frames"):
        cinetrans(board(*[1.0] * 22))


def test_shotstream_reads_the_scene_before_every_shot_and_nothing_between():
    made = shotstream(board(5.0, 5.0))
    assert made.captions[1] == "A tall man. A street.shot1:Shot 2 of a tall man."
    assert list(json.loads(made.prompt)) == ["global_caption", "shot1", "shot2"]


def test_shotstream_shortens_no_shot_below_what_was_asked_and_lengthens_none():
    made = shotstream(board(2.0, 81 / 16, 9.0, negative_prompt="blurry"))
    assert [shot.num_frames for shot in made.storyboard.shots] == [32, 81, 81]
    assert "makes at most 81 frames a shot" in notes(made) and "negative prompt" in notes(made)


def test_longlive_cuts_between_blocks_and_opens_later_shots_with_a_transition():
    made = longlive(board(2.0, 1.5, 2.0))
    assert made.latent_lengths == (16, 8, 8) and made.storyboard.cuts == (61, 93)
    assert made.storyboard.num_frames == 125 and made.storyboard.fps == 24
    assert made.captions == (
        "Shot 1 of a tall man. A tall man. A street.",
        "Shot 2 of a tall man. A tall man. A street.",
        "Shot 3 of a tall man. A tall man. A street.",
        "The scene transitions. Shot 2 of a tall man. A tall man. A street.",
        "The scene transitions. Shot 3 of a tall man. A tall man. A street.",
    )
    assert caption_of_each_block(made.latent_lengths) == (0, 0, 3, 4)
    assert json.loads(made.prompt) == {"captions": list(made.captions[:3]), "shot_durations": [2, 1, 1]}
    assert "LongLive cuts after 2.54, 3.88 s where 2.00, 3.50 s were asked for" in notes(made)
    assert caption_name(made, 4) == "the text that opens shot 3 of 3"


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        ((20.0, 20.0), "at most 509 frames at 24 frames a second"),
        ((0.5, 0.5, 0.5), "a block of 32 frames or more a shot"),
        ((2.0, 2.0), "whole blocks of 32 frames"),
    ],
)
def test_longlive_names_the_rule_that_changed_the_length(seconds, why):
    [told] = [note for note in longlive(board(*seconds)).notes if "the video lasts" in note]
    assert told.startswith(f"LongLive makes {why}: the video lasts ")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_of_the_lengths_of_a_storyboard_that_comes_out_as_long_as_asked(name):
    """Also where frames beyond it were made and cut off, as those are not missed."""
    lengths = {"echoshot": (49, 45), "cinetrans": (41, 40), "longlive": (93 / 1.5, 96 / 1.5)}.get(name, (33, 30))
    made = find_family(name).translate(board(*(frames / 16 for frames in lengths)))
    assert made.storyboard.seconds == pytest.approx(sum(lengths) / 16)
    assert not [note for note in made.notes if "frames" in note or "cut" in note.split()]


def test_longlive_makes_sixteen_blocks_at_most_and_a_shot_is_one_of_them():
    made = longlive(board(20.0, 20.0, negative_prompt="blurry"))
    assert made.latent_lengths == (64, 64) and "the video lasts 21.21 s where 40.00 s were asked for" in notes(made)
    assert "no guidance: the negative prompt of the storyboard is not read" in notes(made)
    assert longlive(board(*[0.5] * 16)).latent_lengths == (8,) * 16
    with pytest.raises(StoryboardError, match="LongLive makes at most 16 blocks .* and this storyboard has 17 shots"):
        longlive(board(*[0.5] * 17))


def test_storymem_shots_open_with_a_cut_and_long_ones_go_on_without():
    made = storymem(board(2.0, 8.0, 81 / 16, title="A street"))
    assert made.captions[0] == "Shot 1 of a tall man. A tall man. A street."
    assert made.latent_lengths == (21, 42, 21) and [shot.num_frames for shot in made.storyboard.shots] == [32, 128, 81]
    script = json.loads(made.prompt)
    assert script["story_name"] == "A street" and script["story_overview"] == "A tall man. A street."
    [scene] = script["scenes"]
    assert scene["cut"] == [True, True, False, True]
    assert scene["video_prompts"] == [made.captions[0], *[made.captions[1]] * 2, made.captions[2]]
    told = notes(made)
    assert "HPSv3" in told and "no global caption" in told
    assert "shot 2 in 2 parts, each from the last 5 frames of the one before" in told
    assert "makes 81 frames a part" not in told


def test_storymem_a_shot_is_as_many_parts_as_it_takes():
    assert parts_of(1) == parts_of(81) == (81,)
    assert parts_of(82) == parts_of(157) == (81, 76)
    assert parts_of(158) == (81, 76, 76)


@pytest.mark.parametrize("name", NAMES)
def test_times_are_those_of_the_storyboard_at_any_rate(name):
    one, other = (find_family(name).translate(board(2.0, 1.5, 2.0, fps=fps)) for fps in (16.0, 24.0))
    assert one.storyboard.shots == other.storyboard.shots
    assert one.storyboard.fps == other.storyboard.fps == find_family(name).fps
    assert other.storyboard.asked.shot_seconds == (2.0, 1.5, 2.0)


@given(st.lists(st.floats(0.2, 20), min_size=2, max_size=6))
def test_every_translation_fits_its_video(seconds):
    for translate in (echoshot, cinetrans, longlive):
        made = translate(board(*seconds))
        assert min(made.latent_lengths) >= 1 and len(made.latent_lengths) == len(seconds)
    assert [shot.num_frames for shot in echoshot(board(*seconds)).storyboard.shots] == [
        decoded_frames(length) for length in echoshot(board(*seconds)).latent_lengths
    ]


def test_lengths_lie_as_near_as_whole_numbers_can():
    assert nearest_lengths([2.4, 5.6, 9.0], 9) == (2, 4, 3)
    assert nearest_lengths([0.1, 0.2, 9.0], 9) == (1, 1, 7)
    assert nearest_lengths([8.9, 8.95, 9.0], 9) == (7, 1, 1)
    with pytest.raises(ValueError, match="4 shots do not fit into 3 latent frames"):
        nearest_lengths([1, 2, 3, 4], 3)


PICTURED = {
    "global_caption": "[character1] is a tall man. A street.",
    "fps": 16.0,
    "references": {"character1": "nowhere.png"},
    "shots": [
        {"caption": "[character1] waits.", "num_frames": 40, "image": "nowhere.png"},
        {"caption": "A lamp.", "num_frames": 1},
        {"caption": "A door.", "num_frames": 40, "clip": "nowhere.mp4"},
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_pictures_that_no_family_is_given_are_told(name):
    family = find_family(name)
    told = notes(family.translate(Storyboard(**PICTURED)))
    assert f"{family.title} is not given pictures or clips: those of shots 1, 3 and [character1] are not used" in told
    assert "pictures" not in notes(family.translate(board(2.0, 2.0))).replace("remembers pictures", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_shot_of_one_frame_is_one_for_every_family(name):
    made = find_family(name).translate(Storyboard(**PICTURED))
    assert made.storyboard.num_shots == 3 and made.storyboard.asked.shot_seconds[1] == 1 / 16


def test_what_was_asked_in_frames_of_another_rate_is_told_in_its_own_seconds():
    asked = board(33 / 16, 30 / 16, 34 / 16)
    made = longlive(asked)
    assert made.storyboard.asked.shot_seconds == asked.shot_seconds
    assert "cuts after 2.54, 3.88 s where 2.06, 3.94 s were asked for" in notes(made)


@pytest.mark.parametrize(
    ("translate", "last", "grid"),
    [
        (echoshot, 4.0, "EchoShot makes shots of 4t - 3 frames"),
        (
            echoshot,
            6.0,
            "EchoShot makes 24 to 32 latent frames a scene, in 2 shots 90 to 122 frames, at 16 frames a second",
        ),
        (cinetrans, 6.0, "CineTrans makes 81 frames and cuts at 4t + 1"),
        (longlive, 6.0, "LongLive cuts and ends at frames 32n - 3"),
        (shotstream, 6.0, "ShotStream makes at most 81 frames a shot"),
    ],
)
def test_what_a_family_moved_is_told_by_its_own_rule_also_from_inside_the_video(translate, last, grid, tmp_path):
    made = translate(board(35 / 16, last)).storyboard
    write_video(tmp_path / "a.mp4", np.zeros((made.num_frames, 32, 32, 3), np.uint8), made.fps, made)
    for moved in (made.moved, read_storyboard(tmp_path / "a.mp4").moved):
        assert moved and all(sentence.endswith(f"({grid})") for sentence in moved)


@pytest.mark.parametrize(
    ("caption", "end"),
    [
        ("一个人走在街上。", "街上。"),
        ("一个人走在街上", "街上。"),
        ("他说：「走吧。」", "吧。」"),
        ("एक आदमी।", "।"),
        ("A man", "man."),
    ],
)
def test_a_caption_ends_in_a_full_stop_of_its_own_script(caption, end):
    scene = Storyboard(global_caption="A street.", fps=16, shots=[{"caption": caption, "num_frames": 48}] * 2)
    assert echoshot(scene).captions[0].endswith(f"{end} A street.")


def test_of_many_shots_the_first_few_are_named():
    scene = board(*[6.0] * 25)
    assert "shot 1 in 2, shot 2 in 2, shot 3 in 2 and 22 more parts" in notes(storymem(scene))
    made = notes(longlive(board(*[0.7] * 11)))
    assert "cuts after 1.21, 2.54, 3.88 and 7 more s where 0.70, 1.40, 2.10 and 7 more s were" in made
    moved = Storyboard(global_caption="A.", fps=16, shots=[{"caption": "B.", "num_frames": 10}] * 25).as_run().moved
    assert "cuts at frames 10, 20, 30 and 21 more were moved to frames 9, 21, 29 and 21 more" in moved[0]


@pytest.mark.parametrize("name", NAMES)
def test_of_a_storyboard_that_says_no_lengths_nothing_was_asked_for(name):
    told = notes(find_family(name).translate(Storyboard(global_caption="A street.", shots=["A man.", "A dog."])))
    assert "asked for" not in told and "cuts after" not in told
