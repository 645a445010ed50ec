"""What a program asks of several versions of a scene, read with the embedded model."""

import json

import pytest

from desk.service.several import read_versions
from desk.studio.limits import LimitError
from desk.studio.models import EMBEDDED_NAME
from desk.studio.wording import sentence
from holocine import Storyboard

BOARD = Storyboard.model_validate(
    {"global_caption": "A room.", "fps": 12, "seed": 11, "shots": [{"caption": "Wide shot.", "num_frames": 17}]}
)


def test_versions_share_a_seed_unless_they_have_their_own():
    asked = [{"attention": "full"}, {"attention": "isolated", "steps": 3, "seed": 4, "model": EMBEDDED_NAME}]
    for text in (json.dumps(asked), str(asked)):
        first, second = read_versions(text, 2, BOARD)
        assert (first.attention, first.seed) == ("full", 11)
        assert (second.attention, second.steps, second.seed) == ("isolated", 3, 4)
    first, second = read_versions("- steps: 2\n- {steps: 3, seed: null}", 2, BOARD.model_copy(update={"seed": None}))
    assert first.seed == second.seed and (first.steps, second.steps) == (2, 3)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_without_a_list_versions_differ_in_their_seed_alone(text):
    versions = read_versions(text, 3.0, BOARD)
    assert [version.seed for version in versions] == [11, 12, 13]
    assert len({(version.attention, version.steps, version.guidance) for version in versions}) == 1


@pytest.mark.parametrize(
    ("text", "count", "says"),
    [
        (None, 5, "2 to 4 versions can be compared, not 5."),
        (None, 2.5, "The count is 2.5, but has to be a whole number."),
        (None, float("nan"), "The count is nan, but has to be a whole number."),
        (None, None, "The count is None, but has to be a whole number."),
        ("attention: full", 2, "The versions are no list; write one such as"),
        ("[{steps: 2}]", 2, "2 to 4 versions can be compared, not 1."),
        (str([{}] * 5000), 2, "2 to 4 versions can be compared, not 5000."),
        ("[{steps: 2}, full]", 2, "Version 2 of 2 is 'full', but has to say what it has of attention, steps"),
        ("[{steps: 2}, {step: 3}]", 2, "Version 2 of 2: 'step' is unknown; it can have attention, steps"),
        ("[{steps: 2}, {steps: 9999}]", 2, "Version 2 of 2: 9999 steps are asked for"),
        ("[{steps: 2}, {steps: many}]", 2, "Version 2 of 2: the steps is 'many', but has to be a number"),
        ("[{steps: 2}, {attention: [1]}]", 2, "Version 2 of 2: the attention [1] is unknown"),
        (f"[{{seed: {10**30}}}, {{steps: 1}}]", 2, "Version 1 of 2: the seed is 1000"),
        ("[{steps: 2}, {model: other}]", 2, "Version 2 of 2: the model 'other' is not offered here"),
        ("[{", 2, "YAML error"),
    ],
)
def test_what_cannot_be_made_is_a_sentence_that_names_the_version(text, count, says):
    with pytest.raises(ValueError) as raised:
        read_versions(text, count, BOARD)
    assert sentence(str(raised.value)).startswith(says)


def test_a_text_without_an_end_is_not_read():
    with pytest.raises(LimitError, match="100,000 are read"):
        read_versions("[" + "{}, " * 50_000 + "]", 2, BOARD)
