import pytest

from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from holocine import Storyboard

LIMITS = Limits(frames=33, pixels=64 * 112, steps=10, job_seconds=60, shots=2, caption_characters=50)


def board(captions=("One.", "Two."), about="A place.", num_frames=33, **fields):
    return Storyboard.from_captions(about, captions, num_frames, **fields)


def test_a_scene_within_the_limits_passes():
    LIMITS.check_storyboard(board())
    LIMITS.check_settings(steps=10, guidance=0, height=64, width=112)


@pytest.mark.parametrize(
    ("storyboard", "says"),
    [
        (board(num_frames=37), "37 frames, but this desk makes at most 33"),
        (board(["One.", "Two.", "Three."]), "3 shots, but this desk makes at most 2"),
        (board(["One.", "x" * 51]), "shot 2 of 2: the caption has 51 characters"),
        (board(about="x" * 51), "global caption has 51"),
        (board(negative_prompt="x" * 51), "negative prompt has 51"),
    ],
)
def test_a_scene_beyond_them_is_refused_with_the_limit(storyboard, says):
    with pytest.raises(LimitError, match=says):
        LIMITS.check_storyboard(storyboard)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 11}, "11 steps"),
        ({"steps": 0}, "0 steps"),
        ({"guidance": -1}, "guidance is -1"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"height": 128}, "112 x 128 pixels"),
    ],
)
def test_settings_beyond_them_are_refused_with_the_limit(settings, says):
    with pytest.raises(LimitError, match=says):
        LIMITS.check_settings(**{"steps": 5, "guidance": 3.0, "height": 64, "width": 112, **settings})


def test_the_embedded_model_has_limits_for_two_cores_and_says_them(monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    limits = Limits.of(find())
    assert limits.frames < 241
    for number in (limits.frames, limits.shots, limits.steps, limits.upload_bytes // 2**20):
        assert str(number) in limits.sentence()
