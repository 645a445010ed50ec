"""Calibration on clips of anybody's: MP4 files that the tests make, read, cut up, joined, damaged and scored."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.__main__ import main
from eval.calibration.clips import FootageError, common_size, fitted, load_clips
from eval.calibration.damage.film import FILM_DAMAGES, turned
from eval.calibration.footage import LEAST_SCENES, NO_CAPTIONS, Setup, calibrate_footage, clips_and_scenes, score_film
from eval.calibration.footage_page import write_footage
from eval.calibration.joining import FilmScene, film_scenes
from eval.encoders import Encoders, load_encoders
from eval.metrics import all_metrics
from eval.shots import load_detector, thumbnails
from eval.sighting import Candidate
from eval.trust import NOTICED

BY_NAME = {damage.name: damage for damage in FILM_DAMAGES}
COLOURS = ((200, 60, 40), (40, 160, 80), (60, 80, 220), (210, 200, 60), (120, 30, 140))
CAPTIONS = ("A low angle shot of [character1] at the sea.", "A close-up of [character1], who laughs.")
NOTES = {
    "a.mp4": {"cuts": [], "captions": ["Wide shot of a red wall."], "about": "made by a test"},
    "b.mp4": {"cuts": [], "captions": ["[character1] walks by."], "prompt": "[character1] is a man with a hat."},
    "c.mp4": {"cuts": []},
    "d.mp4": {"cuts": [30], "captions": list(CAPTIONS), "prompt": "[character1] is a woman in a coat."},
}


def take(number: int, frames: int = 44) -> np.ndarray:
    """A textured colour with a square that moves over it, (frames, 64, 96, 3)."""
    texture = np.random.default_rng(number).integers(-30, 30, (8, 12, 1)).repeat(8, 0).repeat(8, 1)
    pictures = np.repeat((texture + COLOURS[number]).clip(0, 255).astype(np.uint8)[None], frames, 0)
    for i in range(frames):
        pictures[i, 20:44, 8 + i : 30 + i] = 240 - 50 * number
    return pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_file) -> Path:
    """Four clips, five shots; nothing is said of them."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate("abc"):
        write_file(folder / f"{name}.mp4", take(number))
    write_file(folder / "d.mp4", np.concatenate([take(3, 30), take(4, 30)]))
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def detector():
    return load_detector("pyscenedetect")


def scenes_of(folder: Path, detector, notes: dict, count: int = 3) -> list[FilmScene]:
    (folder / "clips.json").write_text(json.dumps(notes))
    try:
        return film_scenes(load_clips([folder], detector), count)
    finally:
        (folder / "clips.json").unlink()


@pytest.fixture(scope="module")
def scenes(folder, detector) -> list[FilmScene]:
    """Of clips whose cuts are said, and nothing else."""
    return scenes_of(folder, detector, {name: {"cuts": entry["cuts"]} for name, entry in NOTES.items()})


def damaged(scene: FilmScene, name: str, strength: float):
    return BY_NAME[name].apply(scene, scene.frames, strength, np.random.default_rng(0))


def values(scene: FilmScene, detector, name: str | None = None, strength: float | None = None) -> dict:
    return score_film(scene, (scene.number, name, strength), Encoders(), detector).values


# Clips


def test_cuts_that_nobody_said_are_found(folder, detector):
    *single, double = load_clips([folder], detector)
    assert [clip.cuts for clip in single] == [(), (), ()]
    assert double.cuts == (30,) and not double.known and double.fps == 12
    assert double.frames.shape == (60, 64, 96, 3)


def test_clips_of_different_shapes_share_a_size_and_none_is_enlarged():
    assert common_size([(1280, 720), (176, 144), (832, 480)], 320) == (176, 102)
    assert common_size([(1920, 1080)] * 2, 320) == (320, 180)
    frame = np.zeros((144, 176, 3), np.uint8)
    frame[21:123] = 200  # the middle that is as wide as it is in 176 x 102
    assert fitted(frame, (176, 102)).shape == (102, 176, 3)
    assert (fitted(frame, (176, 102)) == 200).all()


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ({"x.mp4": {}}, r"clips.json speaks of 'x.mp4', which is not in the folder: there are a.mp4, b.mp4, c.mp4, d"),
        ({"a.mp4": {"cuts": [44]}}, r"a.mp4 is said to be cut at frame 44, but its last frame is 43"),
        ({"a.mp4": {"cuts": [9, 5]}}, r"the cuts of a.mp4 have to be frame numbers that rise from 1 up, not \[9, 5\]"),
        ({"a.mp4": {"cuts": [5], "captions": ["one"]}}, r"a.mp4 has 1 caption for 2 shots"),
        ({"d.mp4": {"captions": ["one"]}}, r"d.mp4 has 1 caption and 2 shots were found in it: say where it is cut"),
        ({"a.mp4": {"cut": [5]}}, r"a.mp4 has 'cut', but only cuts, captions, prompt, about are known"),
        ({"a.mp4": [5]}, r"a.mp4 has to be an object such as \{\"cuts\": \[41\]\}, not \[5\]"),
        ([], r"clips.json has to be an object that names clips, not a list"),
    ],
)
def test_what_is_said_of_clips_has_to_be_of_them(folder, detector, notes, message):
    with pytest.raises(FootageError, match=message) as error:
        scenes_of(folder, detector, notes)
    assert "\n" not in str(error.value)


def test_a_folder_without_videos_is_one_line(tmp_path, capsys):
    assert main(["calibrate", "--footage", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "has no videos in it: put clips there, as .mp4, .m4v, .mov, .mkv files\n" in capsys.readouterr().err
    assert not (tmp_path / "FOOTAGE.md").exists()


def test_encoders_are_those_of_footage(capsys):
    assert main(["calibrate", "--encoders", "puppet"]) == 2
    assert "--encoders goes with --footage" in capsys.readouterr().err


def test_two_shots_are_too_few(folder, detector):
    with pytest.raises(FootageError, match="the clips have 2 shots of at least 16 frames, but at least 3 are needed"):
        film_scenes(load_clips([folder / "d.mp4"], detector), 2)


# Scenes


def test_scenes_are_always_the_same_and_use_every_shot(folder, detector, scenes):
    again = scenes_of(folder, detector, {name: {"cuts": entry["cuts"]} for name, entry in NOTES.items()})
    assert [scene.sha256 for scene in scenes] == [scene.sha256 for scene in again]
    assert len({scene.sha256 for scene in scenes}) == len(scenes)
    used = {piece.taken_from for scene in scenes for piece in scene.pieces}
    assert used == {("a.mp4", 0), ("b.mp4", 0), ("c.mp4", 0), ("d.mp4", 0), ("d.mp4", 1)}


def test_cuts_are_asked_for_exactly_where_pieces_are_joined(scenes, detector):
    for scene in scenes:
        assert scene.request.storyboard.cuts == scene.cuts == detector.detect(thumbnails(scene.frames)).cuts
        assert scene.request.fps == scene.fps == 12
        found = values(scene, detector)
        assert found["sca"] == found["cut_f1_0"] == 1


def test_a_piece_plays_on_and_turns_where_its_shot_ends(scenes):
    piece = scenes[0].pieces[0]
    shot = piece.clip.shots[piece.shot]
    own = {piece.clip.frames[i].tobytes(): i for i in shot}
    at = [own[frame.tobytes()] for frame in piece.play(-60, 160)]
    assert at[60] == piece.start
    assert all(abs(b - a) == 1 for a, b in zip(at, at[1:], strict=False))
    assert set(at) == set(shot)


def test_characters_of_different_clips_are_different_ones(folder, detector):
    scenes = [scene for scene in scenes_of(folder, detector, NOTES, 8) if scene.described]
    both = next(s for s in scenes if {"b.mp4", "d.mp4"} <= {piece.clip.name for piece in s.pieces})
    storyboard = both.request.storyboard
    first, second = ("man", "woman") if storyboard.global_caption.index("man") < 18 else ("woman", "man")
    assert f"[character1] is a {first} " in storyboard.global_caption
    assert f"[character2] is a {second} " in storyboard.global_caption
    for piece, caption in zip(both.pieces, storyboard.captions, strict=True):
        if "[character" in caption:
            assert ("[character1]" in caption) == ((piece.clip.name == "b.mp4") == (first == "man"))


# Damage


@pytest.mark.parametrize("damage", FILM_DAMAGES, ids=lambda damage: damage.name)
def test_damage_to_film_can_be_repeated_and_leaves_the_scene_alone(scenes, damage):
    scene, before = scenes[0], scenes[0].frames.copy()
    found = damaged(scene, damage.name, damage.strengths[0])
    if found is None:  # there are no captions, and no clip may be shown again
        assert damage.name in ("captions_shuffled", "light_changed")
        return
    frames, request = found
    np.testing.assert_array_equal(frames, damaged(scene, damage.name, damage.strengths[0])[0])
    np.testing.assert_array_equal(scene.frames, before)
    assert frames.shape == before.shape and (frames != before).any()
    assert request == scene.request


@pytest.mark.parametrize("damage", FILM_DAMAGES, ids=lambda damage: damage.name)
def test_what_damage_to_film_moves_and_keeps_are_different_metrics(damage):
    assert not set(damage.moves) & set(damage.keeps)
    assert list(damage.strengths) == sorted(set(damage.strengths))


def test_a_moved_cut_is_noticed_and_by_how_much(scenes, detector):
    for scene in scenes:
        clean, moved = values(scene, detector), values(scene, detector, "cuts_moved", 4)
        assert moved["sca"] < clean["sca"] and moved["cut_f1_2"] == 0 and moved["cut_f1_5"] == 1
        assert moved["cut_offset"] == 4


@pytest.mark.parametrize(("name", "change"), [("cuts_dropped", -1), ("cuts_added", 1), ("shots_replaced", 0)])
def test_shots_are_dropped_added_and_exchanged(scenes, detector, name, change):
    for scene in scenes:
        frames, _ = damaged(scene, name, 1)
        assert len(detector.detect(thumbnails(frames)).cuts) == len(scene.cuts) + change
        changed = [(frames[list(shot)] != scene.frames[list(shot)]).any() for shot in scene.shot_ranges]
        assert sum(changed) == 1


def test_exchanged_shots_come_from_another_clip(scenes):
    for scene in scenes:
        for piece, other in zip(scene.pieces, scene.others, strict=True):
            assert other is None or other.clip is not piece.clip


def test_a_recoloured_region_is_not_noticed_by_metrics_of_cuts(scenes, detector):
    scene = scenes[0]
    clean, coloured = values(scene, detector), values(scene, detector, "recoloured", 180)
    on_cuts = [name for name, metric in all_metrics().items() if metric.group == "transitions"]
    assert {name: coloured[name] for name in on_cuts} == {name: clean[name] for name in on_cuts}
    frames, _ = damaged(scene, "recoloured", 180)
    touched = (frames != scene.frames).any(-1)
    assert 0.1 < touched.mean() < 0.2  # a quarter of the picture, of about half of the frames


def test_light_changes_where_a_clip_is_shown_again(folder, detector):
    scenes = scenes_of(folder, detector, NOTES, 8)
    for scene in scenes:
        names, found = [piece.clip.name for piece in scene.pieces], damaged(scene, "light_changed", 15)
        assert (found is None) == (len(set(names)) == len(names))
        if found is not None:
            changed = [(found[0][list(shot)] != scene.frames[list(shot)]).any() for shot in scene.shot_ranges]
            assert sum(changed) == 1 and names[changed.index(True)] in names[: changed.index(True)]
    assert any(damaged(scene, "light_changed", 15) for scene in scenes)


def test_turned_hues_keep_their_luma_and_come_round():
    picture = np.random.default_rng(0).integers(90, 160, (16, 16, 3), dtype=np.uint8)
    luma = picture @ np.array((0.299, 0.587, 0.114))
    np.testing.assert_allclose(turned(picture, 90) @ np.array((0.299, 0.587, 0.114)), luma, atol=2)
    assert np.abs(turned(picture, 90).astype(int) - picture).mean() > 10
    np.testing.assert_allclose(turned(picture, 360), picture, atol=3)


def test_captions_are_exchanged_and_the_film_stays(folder, detector):
    scene = next(scene for scene in scenes_of(folder, detector, NOTES, 8) if scene.described)
    frames, request = damaged(scene, "captions_shuffled", 2)
    np.testing.assert_array_equal(frames, scene.frames)
    before, after = scene.request.storyboard, request.storyboard
    assert after.cuts == before.cuts and sorted(after.captions) == sorted(before.captions)
    assert sum(a != b for a, b in zip(after.captions, before.captions, strict=True)) == 2


def test_text_is_only_compared_where_somebody_wrote_it(folder, detector, scenes):
    encoders = load_encoders("puppet")
    record = score_film(scenes[0], (0, None, None), encoders, detector)
    for name in ("text_video", "text_shot", "shot_retrieval"):
        assert record.values[name] is None and record.reasons[name] == NO_CAPTIONS
    described = next(scene for scene in scenes_of(folder, detector, NOTES, 8) if scene.described)
    record = score_film(described, (described.number, None, None), encoders, detector)
    assert record.values["text_shot"] is not None


class SeesEverybody:
    """A finder to whom the middle of every picture is whoever is asked for."""

    id, sha256, licence, seen_from, sure_from, encoder = "everybody", "0", "none", 0.5, 0.7, None

    def known(self, descriptions):
        return dict(descriptions)

    def candidates(self, pictures, descriptions):
        return [[Candidate((24, 16, 72, 48), dict.fromkeys(descriptions, 0.9))] for _ in pictures]


def test_characters_are_looked_for_where_somebody_described_them(folder, detector):
    scene = next(
        scene
        for scene in scenes_of(folder, detector, NOTES, 8)
        if scene.described and any("[character" in caption for caption in scene.request.storyboard.captions)
    )
    key, encoders = (scene.number, None, None), load_encoders("puppet")
    assert score_film(scene, key, encoders, detector).values["character_presence"] is None
    assert score_film(scene, key, encoders, detector, SeesEverybody()).values["character_presence"] == 1


# The command


@pytest.fixture
def said(folder, tmp_path) -> Path:
    """The clips, and where they are cut, so that nobody has to look."""
    (tmp_path / "said").mkdir()
    for video in folder.glob("*.mp4"):
        (tmp_path / "said" / video.name).symlink_to(video)
    cuts = {name: {"cuts": entry["cuts"]} for name, entry in NOTES.items()}
    (tmp_path / "said" / "clips.json").write_text(json.dumps(cuts))
    return tmp_path / "said"


@pytest.fixture(scope="module")
def some_damages():
    return (replace(BY_NAME["cuts_moved"], strengths=(4,)), replace(BY_NAME["recoloured"], strengths=(180,)))


def test_what_was_scored_is_kept_and_the_page_says_what_it_is_of(said, tmp_path, some_damages):
    setup, path, steps = Setup((said,), 2), tmp_path / "values.jsonl", []
    calibrate_footage(setup, path, damages=some_damages[:1])
    kept = path.read_text()
    path.write_text(kept + '{"scene": 1, "dama')  # stopped while a line was written
    found = calibrate_footage(setup, path, progress=steps.append, damages=some_damages)
    assert steps == [4, 1, 1] and path.read_text().startswith(kept)
    assert calibrate_footage(setup, path, progress=steps.append, damages=some_damages) == found
    assert steps == [4, 1, 1, 6], "nothing is scored again"

    by_pair = {(reaction.metric, reaction.damage): reaction for reaction in found.found}
    assert by_pair["sca", "cuts_moved"].auc[-1].value == 1
    assert not by_pair["sca", "recoloured"].unwanted
    clips, joined = clips_and_scenes(setup)
    clips = [*clips[:-1], replace(clips[-1], known=False)]
    other = replace(found, spec="another", reasons={})
    write_footage(tmp_path, clips, joined, [found, other], "a detector")
    text, numbers = (tmp_path / "FOOTAGE.md").read_text(), json.loads((tmp_path / "footage.json").read_text())
    assert text.startswith("# How far each metric can be trusted on film\n\nPieces of 5 shots of 4 clips were joined")
    assert "| d.mp4 | – | 60 | 96×64 | 12 | 30 (found by a detector) | no |" in text
    assert "The 2 scenes share 5 shots of 4 clips" in text
    reasons = {
        name: reason for names, reason in re.findall(r"^\* (`.+`): (.+)\.$", text, re.M) for name in names.split(", ")
    }
    assert "CLIP" in reasons["`text_shot`"] and "no caption" in reasons["`camera_movement`"]
    first, second = text.split("## With `another`")
    assert "| `sca` | good | cuts come early or late (from 4 frames) | – | – |" in first
    assert "`sca`" not in second, "what does not depend on the encoders is said once"
    assert numbers["format"] == "holocine-footage/1"
    assert [clip["shots"] for clip in numbers["clips"]][-1] == [[0, 30], [30, 60]]
    assert len(numbers["calibrations"][0]["reactions"]) == len(found.found)


def test_so_few_scenes_would_make_much_of_little(capsys):
    assert main(["calibrate", "--footage", "clips", "--scenes", "5"]) == 2
    assert "--scenes is 5, but of footage at least 6 are needed" in capsys.readouterr().err
    assert (1 + 1 / LEAST_SCENES) / 2 < NOTICED <= (1 + 1 / (LEAST_SCENES - 1)) / 2


def test_an_encoder_that_cannot_be_had_is_said_before_anything_is_scored(said, tmp_path, capsys):
    command = ["calibrate", "--footage", str(said), "--out", str(tmp_path)]
    assert main([*command, "--encoders", "nobody/nothing", "--values", str(tmp_path / "values.jsonl")]) == 2
    assert "nobody/nothing" in capsys.readouterr().err
    assert not (tmp_path / "values.jsonl").exists()
