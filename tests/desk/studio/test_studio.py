import threading

import numpy as np
import pytest
from PIL import Image

from desk.studio import studio as module
from desk.studio.limits import LimitError
from desk.studio.settings import Settings
from holocine import Storyboard, read_video
from holocine.video import read_settings


def test_a_storyboard_becomes_a_video_with_all_that_can_be_taken_along(studio, storyboard, settings, wait):
    job = wait(studio.submit("me", storyboard, settings))
    assert job.state == "done", job.message
    folder = studio.outputs.files / job.id
    video = read_video(folder / "video.mp4")
    assert video.storyboard == storyboard and len(video.frames) == 17
    assert video.storyboard.seed == 11 and read_settings(folder / "video.mp4")["num_inference_steps"] == 2
    lengths = [len(read_video(folder / shot["video"]).frames) for shot in job.result["shots"]]
    assert lengths == [5, 8, 4]
    assert Image.open(folder / "contact_sheet.png").width > 1000
    assert Storyboard.load(folder / "storyboard.yaml") == storyboard
    assert not (folder / "stop").exists()
    assert studio.outputs.of("me")[0].content == job.result


def test_steps_are_told_with_pictures_of_every_shot(storyboard, settings, tmp_path):
    told = list(module.generate(storyboard.to_json(), {**vars(settings), "steps": 4}, str(tmp_path / "stop")))
    assert [event["step"] for event in told if "step" in event] == [1, 2, 3, 4]
    previews = next(event["previews"] for event in told if event.get("previews"))
    assert len(previews) == 3 and all(url.startswith("data:image/jpeg;base64,") for url in previews)
    assert told[4]["shape"] == (17, 32, 48, 3)
    assert [event["frames"].shape for event in told[5:]] == [(4, 32, 48, 3)] * 4 + [(1, 32, 48, 3)]
    assert told[-1]["timings"]["decode"] > told[5]["timings"]["decode"] > told[4]["timings"].get("decode", 0)


def test_the_seed_decides_what_is_made(storyboard, settings, tmp_path):
    def frames(seed):
        told = module.generate(storyboard.to_json(), {**vars(settings), "seed": seed}, str(tmp_path / "stop"))
        return np.concatenate([event["frames"] for event in told if "frames" in event])

    assert np.array_equal(frames(3), frames(3)) and not np.array_equal(frames(3), frames(4))


def test_a_cancelled_job_stops_within_one_step_leaves_nothing_and_the_next_one_runs(
    studio, storyboard, settings, wait, monkeypatch
):
    reached, seen = threading.Event(), []
    after = module._Previews.after

    def slow(self, step):
        seen.append(step)
        if step == 2:
            reached.set()
            studio.jobs.of("me").stop()
        return after(self, step)

    monkeypatch.setattr(module._Previews, "after", slow)
    job = studio.submit("me", storyboard, Settings(**{**vars(settings), "steps": 60}))
    assert reached.wait(60)
    assert wait(job).state == "cancelled"
    assert seen[-1] <= 3
    assert not list(studio.outputs.files.iterdir())
    monkeypatch.undo()


def test_a_job_that_is_cancelled_while_its_frames_are_written_leaves_nothing(
    studio, storyboard, settings, wait, monkeypatch
):
    seen = []

    def see(self, index, frame):
        seen.append(index)
        if index == 5:
            studio.jobs.of("me").stop()

    monkeypatch.setattr(module.Seen, "_see", see)
    job = wait(studio.submit("me", storyboard, settings, score=False))
    assert job.state == "cancelled" and 5 <= seen[-1] < 16
    assert not list(studio.outputs.files.iterdir())


def test_a_model_whose_frames_are_not_read_to_the_end_stops(storyboard, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 1)
    events = module.generate(storyboard.to_json(), vars(settings), str(tmp_path / "stop"))
    next(event for event in events if "frames" in event)
    events.close()
    assert not [thread for thread in threading.enumerate() if thread._target is module._denoise]


def test_an_error_while_a_video_is_made_is_a_sentence(studio, storyboard, settings, wait):
    job = wait(studio.submit("me", storyboard, Settings(**{**vars(settings), "height": 33})))
    assert job.state == "failed" and "height 33" in job.message
    assert not list(studio.outputs.files.iterdir())


def test_defaults_are_filled_in_and_a_seed_is_drawn(tiny_model, limits, storyboard):
    settings = Settings.of(tiny_model, limits, storyboard.model_copy(update={"seed": None}))
    assert (settings.steps, settings.height, settings.width, settings.attention) == (2, 32, 48, "sparse")
    assert settings.seed >= 0
    assert Settings.of(tiny_model, limits, storyboard).seed == 11


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"attention": "psychic"}, "attention 'psychic' is unknown"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"steps": 10**6}, "1000000 steps"),
        ({"guidance": float("inf")}, "guidance is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"height": 10_000}, "10000 pixels"),
        ({"height": True}, "height is True"),
        ({"steps": "many"}, "steps is 'many'"),
    ],
)
def test_settings_from_outside_are_checked(tiny_model, limits, storyboard, asked, says):
    with pytest.raises(LimitError, match=says):
        Settings.of(tiny_model, limits, storyboard, **asked)


def test_pixels_that_make_no_whole_tokens_are_refused(tiny_model, limits, storyboard):
    with pytest.raises(ValueError, match="multiple of 16"):
        Settings.of(tiny_model, limits, storyboard, height=40)


def test_a_fault_in_scoring_leaves_the_video(studio, storyboard, settings, wait, monkeypatch):
    monkeypatch.setattr(studio.scorer, "score", lambda *_: 1 / 0)
    job = wait(studio.submit("me", storyboard, settings))
    assert job.state == "done", job.message
    assert "could not be scored" in job.result["note"] and "division" not in job.result["note"]
    assert (studio.outputs.files / job.id / job.result["files"]["video"]).is_file()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_thread_in_the_middle_fails_its_job_in_a_sentence_and_the_next_is_made(
    studio, storyboard, settings, wait, monkeypatch
):
    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(module._Previews, "after", killed)
        job = wait(studio.submit("me", storyboard, settings))
    assert job.state == "failed" and "interrupted; please try again" in job.message
    assert not list(studio.outputs.files.iterdir())
    assert wait(studio.submit("me", storyboard, settings, score=False)).state == "done"
