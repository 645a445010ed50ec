"""The part of `benchmarks.speed` on main memory, with a tiny model."""

import json

from benchmarks.speed import streaming
from benchmarks.speed.streaming import MEBI, StreamCost


def test_each_way_of_writing_a_video_is_measured_in_a_process_of_its_own(model_folder):
    costs = list(streaming.measure_streaming([17], model=str(model_folder)))
    assert [(cost.way, cost.frames) for cost in costs] == [("stream", 17), ("at once", 17)]
    assert all(cost.held > 2**27 and cost.seconds > 0 for cost in costs)
    assert costs[0].file == costs[1].file > 1000, "both ways write the same video"


def test_memory_is_told_beside_frames_and_as_growth(tmp_path):
    costs = [
        StreamCost(way, frames, 0, most * MEBI, 1.0, 1)
        for way, most in (("stream", 10), ("at once", 40))
        for frames in (65, 241)
    ]
    costs[-1] = StreamCost("at once", 241, 0, 120 * MEBI, 2.0, 1)
    streaming.write_result(tmp_path, costs, "command")
    text = (tmp_path / "stream.md").read_text()
    assert "| 65 | 10 | 1.0 | 40 | 1.0 |" in text and "| 241 | 10 | 1.0 | 120 | 2.0 |" in text
    assert "stream 1.00x, at once 3.00x" in text
    assert json.loads((tmp_path / "stream.json").read_text())["costs"][-1]["most"] == 120 * MEBI


def test_shots_of_the_measured_videos_can_be_cut_by_a_model():
    for frames in (9, 65, 1921):
        board = streaming.storyboard(frames)
        assert board == board.as_run() and board.num_frames == frames
