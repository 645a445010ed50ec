import numpy as np
import pytest

from desk.studio.cutting import copy_shots
from holocine import read_video, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene


def test_shots_are_copied_to_the_last_bit(tmp_path):
    scene = sample_scene(4, lengths=(17, 16, 24))
    board = to_storyboard(scene)
    write_video(tmp_path / "x.mp4", render(scene)[0], 12, board, size=(224, 128))
    targets = [tmp_path / f"{i}.mp4" for i in range(3)]
    copy_shots(tmp_path / "x.mp4", board.shot_ranges, targets)
    whole = read_video(tmp_path / "x.mp4").frames
    for shot, target in zip(board.shot_ranges, targets, strict=True):
        copied = read_video(target)
        assert copied.fps == 12 and copied.storyboard is None
        assert np.array_equal(copied.frames, whole[shot.start : shot.stop])


def test_a_shot_that_begins_anywhere_else_is_refused(tmp_path):
    write_video(tmp_path / "x.mp4", np.zeros((20, 32, 32, 3), np.uint8), 12)
    with pytest.raises(ValueError, match="shot 2 of 2: frame"):
        copy_shots(tmp_path / "x.mp4", [range(9), range(9, 20)], [tmp_path / "a.mp4", tmp_path / "b.mp4"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.mp4"]
