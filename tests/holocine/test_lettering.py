import numpy as np
import pytest

from holocine.lettering import text_width, wrapped, write


def drawn(text: str) -> np.ndarray:
    picture = np.full((40, 200, 3), 255, np.uint8)
    write(picture, text, 10, 5, 20, (200, 30, 10))
    return picture


@pytest.mark.parametrize("script", ["海滩边", "あいう", "한국어", "Привт", "αβγ", "éüñ"])
def test_letters_of_many_scripts_are_drawn_each_its_own_way(script):
    pictures = {drawn(letter).tobytes() for letter in [*script, "?"]}
    assert len(pictures) == len(script) + 1


def test_text_lies_between_its_corner_and_its_width():
    rows, columns = np.nonzero((drawn("Shot 走路") < 250).any(-1))
    assert 5 <= rows.min() < rows.max() < 5 + 1.5 * 20
    assert columns.min() >= 10
    assert columns.max() == pytest.approx(10 + text_width("Shot 走路", 20), abs=2)
    assert (drawn("Shot") == (200, 30, 10)).all(-1).any()


def test_punctuation_of_typesetters_is_as_narrow_as_a_typewriters():
    assert text_width("“it’s”", 16) == text_width('"it\'s"', 16)


@pytest.mark.parametrize("text", ["walking along the beach " * 20, "走在海边" * 60, "x" * 400])
def test_wrapped_lines_fit_and_the_last_tells_of_what_is_left_out(text):
    lines = wrapped(text, 16, 300, 3)
    assert len(lines) == 3
    assert all(0 < text_width(line, 16) <= 300 for line in lines)
    assert lines[-1].endswith("...")
    assert wrapped("short", 16, 300, 3) == ["short"]
