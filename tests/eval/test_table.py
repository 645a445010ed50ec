import pytest

from eval.table import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.000"),
        (1.0, "1.000"),
        (-0.0285, "-0.029"),
        (0.98765, "0.988"),
        (0.0012, "0.0012"),
        (0.00001234, "1.2e-05"),
        (12.345, "12.35"),
        (1234.5, "1234.5"),
    ],
)
def test_numbers_show_the_digits_that_tell_something(value, text):
    assert number(value) == text
