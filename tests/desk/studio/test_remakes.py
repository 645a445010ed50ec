"""Retakes, locked shots and continuations, of videos that the desk made with a tiny model of the real classes."""

import base64
import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from desk.studio import remakes
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from holocine import Storyboard, read_video, write_video
from holocine.__main__ import main
from holocine.decoding import VideoError
from holocine.keeping import KeepError
from holocine.making import Take
from holocine.pictures import enclosed
from holocine.storyboard import StoryboardError
from holocine.video import read_embedded

SPANS = (slice(0, 5), slice(5, 13), slice(13, 17))


@pytest.fixture
def made(studio, storyboard, settings, wait):
    """The path of a finished video of three shots."""
    job = wait(studio.submit("me", storyboard, settings, score=False))
    return studio.outputs.files / job.id / "video.mp4"


@pytest.fixture
def source(made, limits):
    return remakes.open_video(made, limits)


@pytest.fixture
def finish_from(studio, wait):
    """Call with a source, a remake and seeds to make it; returns the job and the folder of its video."""

    def run(source, remake, *seeds, **options):
        settings = [remakes.settings_of(source, seed) for seed in seeds]
        job = wait(remakes.submit(studio, "me", remake, settings, score=False, **options))
        assert job.state == "done", job.message
        return job, studio.outputs.files / job.id

    return run


@pytest.fixture
def finish(source, finish_from):
    """`finish_from` the source of this module."""
    return partial(finish_from, source)


def test_a_retake_changes_one_shot_keeps_the_others_bit_for_bit_and_remembers_it(made, source, finish):
    job, folder = finish(remakes.retake(source, [2], {2: {"caption": "Her brush."}}), 99)
    before, after = read_video(made).frames, read_video(folder / "video.mp4")
    same = [np.array_equal(before[span], after.frames[span]) for span in SPANS]
    assert same == [True, False, True]
    assert after.storyboard.captions[1] == "Her brush." and after.storyboard.seed == 11
    takes = read_embedded(folder / "video.mp4").making.takes
    assert [(take.number, take.seed) for take in takes] == [(1, 11), (2, 99), (1, 11)]
    assert [shot["take"] for shot in job.result["shots"]] == [1, 2, 1] and job.result["retaken"] == [2]
    assert job.result["kind"] == "made" and made.is_file()
    assert [len(read_video(folder / shot["video"]).frames) for shot in job.result["shots"]] == [5, 8, 4]
    again, _ = finish(remakes.retake(remakes.open_video(folder / "video.mp4", _limits()), [2]), 100)
    assert [shot["take"] for shot in again.result["shots"]] == [1, 3, 1]


def _limits():
    from desk.studio.limits import Limits
    from desk.studio.models import find

    return Limits.of(find())


def test_a_video_remembers_the_same_as_one_of_the_command_line(studio, made, storyboard, tiny_model, tmp_path):
    by_hand = _by_hand(storyboard, tiny_model, tmp_path)
    ours, theirs = read_embedded(made), read_embedded(by_hand)
    assert ours.settings == theirs.settings and ours.storyboard == theirs.storyboard and ours.size == theirs.size
    assert replace(ours.making, latents=None) == theirs.making


def test_what_is_made_of_a_video_keeps_its_settings_and_takes_with_others_remember_theirs(
    studio, storyboard, tiny_model, tmp_path, limits, finish_from
):
    first = remakes.open_video(_by_hand(storyboard, tiny_model, tmp_path, "--eta", "0.5", "--steps", "3"), limits)
    _, folder = finish_from(first, remakes.retake(first, [2]), 99)
    again = remakes.open_video(folder / "video.mp4", limits)
    assert again.settings == first.settings and again.storyboard.seed == first.storyboard.seed == 11
    own = {"eta": 0.0}  # what this desk knows no field for is as its model has it
    assert again.making.takes == (Take(1, 11), Take(2, 99, own), Take(1, 11))
    more = Storyboard.from_captions(storyboard.global_caption, ["A door."], 8)
    _, folder = finish_from(again, remakes.continuation(again, more, limits), 7)
    film = remakes.open_video(folder / "video.mp4", limits)
    assert film.settings == first.settings and film.making.takes[1:] == (Take(2, 99, own), Take(1, 11), Take(1, 7, own))
    _, folder = finish_from(again, remakes.around_locked(again, storyboard, {1: 1, 2: 2}, {3: 3}), 50)
    anew = remakes.open_video(folder / "video.mp4", limits)
    assert anew.storyboard.seed == 50 and anew.settings == first.settings | {"eta": 0.0}
    assert anew.making.takes == (Take(1, 11, {"eta": 0.5}), Take(2, 99), Take(2, 50))


def _by_hand(storyboard, model, folder, *options):
    """The same scene, made on the command line."""
    (folder / "board.yaml").write_text(storyboard.to_yaml())
    command = ("generate", folder / "board.yaml", "-o", folder / "scene.mp4", "--quiet", "--model", model.name)
    assert main([*map(str, command), *options]) == 0
    return folder / "scene.mp4"


def test_several_takes_lie_side_by_side_until_one_is_used(studio, source, finish, wait):
    job, folder = finish(remakes.retake(source, [3]), 5, 6)
    rows = job.result["takes"]
    assert [row["shots"][2]["seed"] for row in rows] == [5, 6]
    assert {row["settings"]["seed"] for row in rows} == {11}
    first, second = (read_video(folder / f"take_{n}" / "video.mp4").frames for n in (1, 2))
    assert np.array_equal(first[:13], second[:13]) and not np.array_equal(first[13:], second[13:])
    kinds = [record.content["kind"] for record in studio.outputs.of("me")]
    assert kinds == ["takes", "made"]
    used = wait(remakes.use(studio, "me", studio.outputs.of("me")[0], 2, score=False))
    chosen = read_video(studio.outputs.files / used.id / "video.mp4").frames
    assert used.result["kind"] == "made" and np.array_equal(chosen, second)
    assert [record.content["kind"] for record in studio.outputs.of("me")] == ["made", "takes", "made"]
    with pytest.raises(LimitError, match="take 3"):
        remakes.use(studio, "me", studio.outputs.of("me")[1], 3)


def test_takes_that_are_there_when_it_is_cancelled_are_kept(studio, source, wait, monkeypatch):
    from desk.studio import studio as module

    after, seen = module._Previews.after, []

    def third(self, step):
        seen.append(step)
        if len(seen) == 5:  # of two steps a take
            studio.jobs.of("me").stop()
        return after(self, step)

    monkeypatch.setattr(module._Previews, "after", third)
    settings = remakes.takes(remakes.settings_of(source, 1), 4)
    job = wait(remakes.submit(studio, "me", remakes.retake(source, [1]), settings))
    assert job.state == "done" and len(job.result["takes"]) == 2
    assert job.result["note"] == "Cancelled: 2 of 4 takes are there."


def test_takes_that_are_there_when_a_later_one_fails_are_kept(studio, source, wait, monkeypatch):
    make, calls = remakes._make, []

    def failing_in_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError("The borrowed GPU was taken back.")
        return make(*arguments)

    monkeypatch.setattr(remakes, "_make", failing_in_the_third)
    job = wait(remakes.submit(studio, "me", remakes.retake(source, [1]), remakes.takes(remakes.settings_of(source), 4)))
    assert job.state == "done" and job.result["note"] == "Take 3 failed: 2 of 4 takes are there."
    (record,) = [record for record in studio.outputs.of("me") if record.content["kind"] == "takes"]
    assert sorted(path.name for path in (studio.outputs.files / record.id).iterdir()) == ["take_1", "take_2"]


def test_locked_shots_are_kept_when_the_scene_is_made_again(made, source, storyboard, finish):
    words = storyboard.model_copy(update={"shots": [{**dict(shot), "caption": "Anew."} for shot in storyboard.shots]})
    remake = remakes.around_locked(source, words, {1: 1, 3: 3}, {2: 2})
    _, folder = finish(remake, 50)
    before, after = read_video(made).frames, read_video(folder / "video.mp4").frames
    assert [np.array_equal(before[span], after[span]) for span in SPANS] == [True, False, True]


def test_a_video_is_continued_by_shots_that_see_the_last_two(made, source, limits, finish):
    more = Storyboard.from_captions(source.storyboard.global_caption, ["A door.", "A cat."], 16, [8])
    remake = remakes.continuation(source, more, limits)
    assert remake.scene.captions == ("Her hand.", "The studio at night.", "A door.", "A cat.")
    job, folder = finish(remake, 7)
    before, film = read_video(made).frames, read_video(folder / "video.mp4")
    assert len(film.frames) == 33 and np.array_equal(film.frames[:17], before)
    assert [shot["caption"] for shot in job.result["shots"]][3:] == ["A door.", "A cat."]
    assert job.result["retaken"] == [4, 5]
    longer, _ = finish(remakes.retake(remakes.open_video(folder / "video.mp4", limits), [4]), 8)
    assert [shot["take"] for shot in longer.result["shots"]] == [1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("remake", "says"),
    [
        (lambda source, *_: remakes.retake(source, [9]), "no shot 9: the scene has 3"),
        (lambda source, *_: remakes.retake(source, [1, 2, 3]), "all 3 shots would be retaken"),
        (lambda source, *_: remakes.retake(source, []), "no shot is to be retaken"),
        (lambda source, *_: remakes.retake(source, [1], {1: {"caption": " "}}), "caption"),
        (lambda source, board, _: remakes.around_locked(source, board, {1: 1, 2: 2, 3: 3}, {}), "all shots are locked"),
        (lambda source, board, _: remakes.around_locked(source, board, {}, {}), "no shot is locked"),
        (lambda source, board, _: remakes.around_locked(source, board, {2: 1}, {}), "locked with 5 frames, but has 8"),
        (lambda source, board, _: remakes.around_locked(source, board, {2: 7}, {}), "no shot 7"),
        (lambda source, board, limits: remakes.continuation(source, board, limits, 0), "context is 0"),
        (
            lambda source, board, limits: remakes.continuation(source, board, replace(limits, frames=20)),
            "3 new shots and the 2 of the context have .. frames, and this desk makes at most 20 in one go",
        ),
        (
            lambda source, board, limits: remakes.continuation(source, board, replace(limits, shots=4)),
            "3 new shots and the 2 of the context have 5 shots, and this desk makes at most 4 in one go",
        ),
    ],
)
def test_what_cannot_be_gone_on_from_is_a_sentence(source, storyboard, limits, remake, says):
    with pytest.raises((KeepError, LimitError, StoryboardError), match=says):
        remake(source, storyboard, limits)


def picture(level):
    """A grey picture of the size of the tiny model, as a data URL."""
    file = io.BytesIO()
    Image.new("RGB", (48, 32), (level,) * 3).save(file, "PNG")
    return enclosed(file.getvalue(), "image/png")


def test_a_shot_begins_from_a_picture_and_is_retaken_from_another(studio, storyboard, settings, wait, finish_from):
    shots = [*storyboard.shots[:1], storyboard.shots[1].model_copy(update={"image": picture(200)}), storyboard.shots[2]]
    hero = {"character1": picture(90)}
    board = storyboard.model_copy(update={"shots": shots, "references": hero})
    job = wait(studio.submit("me", board, settings, score=False))
    assert job.state == "done", job.message
    path = studio.outputs.files / job.id / "video.mp4"
    made = read_video(path)
    assert len(made.frames) == 17 and made.storyboard.shots[1].image == picture(200)
    assert np.abs(made.frames[5].astype(int) - 200).max() < 4, "its first frame is the picture"

    source = remakes.open_video(path, Limits.of(find()))
    job, folder = finish_from(
        source, remakes.retake(source, [2], {2: {"caption": "Close-up.", "image": picture(40)}}), 99
    )
    again = read_video(folder / "video.mp4").frames
    assert [np.array_equal(made.frames[span], again[span]) for span in SPANS] == [True, False, True]
    assert np.abs(again[5].astype(int) - 40).max() < 4
    assert job.result["storyboard"]["references"] == hero


def test_a_video_made_from_files_is_gone_on_from_by_the_copies_in_it(studio, made, storyboard, limits, tmp_path):
    still = io.BytesIO()
    Image.new("RGB", (48, 32), (200,) * 3).save(still, "PNG")
    stored = {"still.png": {"sha256": "of another file", "copy": base64.b64encode(still.getvalue()).decode()}}
    shots = [shot.model_copy(update={"image": "still.png"}) for shot in storyboard.shots]
    board, path = storyboard.model_copy(update={"shots": shots}), tmp_path / "pictures.mp4"
    write_video(path, read_video(made).frames, 15, board, pictures=stored)
    assert remakes.open_video(path, limits).storyboard.shots[2].image == picture(200)


def test_a_desk_opens_no_files(studio, storyboard, settings):
    board = storyboard.model_copy(update={"references": {"character1": "/etc/passwd"}})
    with pytest.raises(LimitError, match="names the file '/etc/passwd', which is not here"):
        studio.submit("me", board, settings)


def test_videos_of_others_are_refused_in_a_sentence(source, made, storyboard, limits, tmp_path):
    frames = read_video(made).frames
    write_video(tmp_path / "foreign.mp4", frames, 16)
    with pytest.raises(VideoError, match=r"^the video has no storyboard in it"):
        remakes.open_video(tmp_path / "foreign.mp4", limits)
    shots = [{**dict(shot), "image": "still.png"} for shot in storyboard.shots]
    write_video(tmp_path / "pictures.mp4", frames, 15, storyboard.model_copy(update={"shots": shots}))
    with pytest.raises(VideoError, match="the video was made with still.png, of which it has no copy in it"):
        remakes.open_video(tmp_path / "pictures.mp4", limits)
    with pytest.raises(LimitError, match=r"made by the model 'elsewhere/big', which is not offered here"):
        remakes.settings_of(replace(source, settings=source.settings | {"model": "elsewhere/big"}))
    with pytest.raises(LimitError, match="pixels are asked for"):
        remakes.settings_of(replace(source, settings=source.settings | {"height": 4096, "width": 4096}))


def test_without_latents_beside_it_a_video_is_retaken_from_its_frames(made, source, finish):
    made.with_suffix(".latents.safetensors").unlink()
    _, folder = finish(remakes.retake(source, [2]), 99)
    before, after = read_video(made).frames, read_video(folder / "video.mp4").frames
    assert [np.array_equal(before[span], after[span]) for span in SPANS] == [True, False, True]
