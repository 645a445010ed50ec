import numpy as np
import pytest

from eval.boxes import BoxError, crop, read_boxes


def test_boxes_are_read_from_json_and_from_mappings(tmp_path):
    (tmp_path / "boxes.json").write_text('{"[character1]": {"0": [1, 2, 30, 40.5], "12": [0, 0, 9, 9]}}')
    expected = {"[character1]": {0: (1.0, 2.0, 30.0, 40.5), 12: (0.0, 0.0, 9.0, 9.0)}}
    assert read_boxes(tmp_path / "boxes.json") == expected
    assert read_boxes(expected) == expected
    assert read_boxes(None) == {}


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ({"painter": {}}, "boxes of 'painter': boxes belong to a tag"),
        ({"[character1]": [1, 2]}, "should map frame numbers"),
        ({"[character1]": {"first": [0, 0, 9, 9]}}, "'first' is not a frame number"),
        ({"[character1]": {"-1": [0, 0, 9, 9]}}, "'-1' is not a frame number"),
        ({"[character1]": {"3": [0, 0, 9]}}, r"frame 3 has \[0, 0, 9\]"),
        ({"[character1]": {"3": [9, 0, 0, 9]}}, "x0 < x1"),
        ({"[character1]": {"3": [0, 0, float("nan"), 9]}}, "frame 3 has"),
        ({"[character1]": {"3": None}}, "frame 3 has None"),
    ],
)
def test_what_is_no_box_is_refused_by_tag_and_frame(boxes, reason):
    with pytest.raises(BoxError, match=reason):
        read_boxes(boxes)


def test_files_that_hold_no_boxes_are_refused(tmp_path):
    (tmp_path / "text.json").write_text("text")
    (tmp_path / "list.json").write_text("[]")
    for name, reason in (("text", "is not JSON"), ("list", "holds list"), ("missing", "cannot be read")):
        with pytest.raises(BoxError, match=f"{name}.json {reason}"):
            read_boxes(tmp_path / f"{name}.json")


def test_a_crop_is_the_part_of_a_box_inside_the_picture():
    frame = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    np.testing.assert_array_equal(crop(frame, (2.4, 3.6, 9.2, 11.0)), frame[3:11, 2:10])
    np.testing.assert_array_equal(crop(frame, (-5, -5, 8, 8)), frame[:8, :8])
    assert crop(frame, (28, 5, 60, 15)) is None, "two pixels of a character show nothing"
    assert crop(frame, (40, 5, 60, 15)) is None
