"""The prompt's tags, its cleaning, and the text windows of the shots."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from holocine.prompt import (
    DEFAULT_NEGATIVE_PROMPT,
    PromptTooLong,
    TextWindows,
    ascii_tags,
    character_descriptions,
    character_tags,
    clean,
    expand_characters,
    format_prompt,
    holds_tag,
    parse_prompt,
    spans_from_offsets,
    split_timeline,
    state_shots,
    text_windows,
    tidy_caption,
    tidy_global_caption,
    with_timeline,
)
from holocine.storyboard import Storyboard

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text_spans.json").read_text(encoding="utf-8"))
TWO_SHOTS = "[global caption] A pier. [per shot caption] Wide shot. [shot cut] Close-up."


@pytest.fixture(scope="module")
def tokenizer():
    """One token a word or punctuation mark, and an end token, as T5's tokenizer adds one."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "<pad>": 2}, unk_token="<unk>"))
    words.normalizer = normalizers.NFC()
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in _word_ranges(text)]


def _word_ranges(text: str) -> list[tuple[int, int]]:
    split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    return [offsets for _, offsets in split.pre_tokenize_str(text)]


def shown(windows: TextWindows, prompt: str, shot: int) -> str:
    """The words of the prompt that a shot sees, joined by spaces."""
    tokens = [*words(prompt), "</s>"]
    return " ".join(np.array(tokens)[windows.visible(len(tokens))[shot]])


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_cleaning_and_spans_are_the_references(case):
    assert clean(case["prompt"]) == case["cleaned"]
    windows = spans_from_offsets(case["prompt"], case["offsets"])
    if case["spans"]["global"] is None:
        assert windows is None
    else:
        assert list(windows.global_span) == case["spans"]["global"]
        assert [list(span) for span in windows.shot_spans] == case["spans"]["shots"]
        assert windows.extra == 1


def test_cleaning_mends_text_unescapes_it_twice_and_collapses_whitespace():
    assert clean("  a\n\tb  c &amp;amp; it&#39;s schÃ¶n 猫🎬 ") == "a b c & it's schön 猫🎬"


def test_windows_run_from_tag_to_tag(tokenizer):
    windows = text_windows(TWO_SHOTS, tokenizer, leak_free=True)
    cleaned = words(TWO_SHOTS)
    spans = [" ".join(cleaned[start:end]) for start, end in (windows.global_span, *windows.shot_spans)]
    assert spans == ["[ global caption ] A pier .", "[ per shot caption ] Wide shot . [ shot cut ]", "Close - up ."]


def test_each_span_shows_the_token_that_follows_it(tokenizer):
    windows = text_windows(TWO_SHOTS, tokenizer)
    assert (
        shown(windows, TWO_SHOTS, 0)
        == "[ global caption ] A pier . [ per shot caption ] Wide shot . [ shot cut ] Close"
    )
    assert shown(windows, TWO_SHOTS, 1) == "[ global caption ] A pier . [ Close - up . </s>"


def test_leak_free_windows_show_nothing_of_the_next_caption(tokenizer):
    windows = text_windows(TWO_SHOTS, tokenizer, leak_free=True)
    assert windows.extra == 0
    assert "Close" not in shown(windows, TWO_SHOTS, 0)
    assert shown(windows, TWO_SHOTS, 1) == "[ global caption ] A pier . Close - up . </s>"


def test_padding_after_the_last_window_is_visible_to_every_shot():
    windows = TextWindows(global_span=(0, 2), shot_spans=((2, 4), (4, 6)))
    assert windows.visible(9).astype(int).tolist() == [[1, 1, 1, 1, 1, 0, 0, 1, 1], [1, 1, 1, 0, 1, 1, 1, 1, 1]]


def test_a_window_at_the_very_end_of_the_text_has_no_token_after_it():
    assert TextWindows((0, 1), ((1, 3),)).visible(3).tolist() == [[True, True, True]]


def test_windows_that_do_not_fit_the_text_are_an_error():
    with pytest.raises(ValueError, match="reach token 6, but the text has only 5 tokens"):
        TextWindows((0, 2), ((2, 4), (4, 6))).visible(5)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=8), st.integers(1, 12), st.booleans())
def test_every_shot_sees_the_global_caption_itself_and_the_padding_and_no_other_shot(sizes, padding, leak_free):
    ends = np.cumsum(sizes)
    spans = [(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]
    extra = 0 if leak_free else 1
    visible = TextWindows(spans[0], tuple(spans[1:]), extra).visible(int(ends[-1]) + padding)
    for shot, (start, end) in enumerate(spans[1:]):
        seen = set(np.flatnonzero(visible[shot]))
        assert set(range(*spans[0])) | set(range(start, end)) <= seen
        assert set(range(ends[-1] + extra, visible.shape[1])) <= seen
        others = {token for other in spans[1:] if other != (start, end) for token in range(*other)}
        assert seen & others <= ({spans[0][1], end} if extra else set())


def test_a_token_across_the_border_of_two_captions_belongs_to_the_first():
    prompt = "[global caption] g [per shot caption] a [shot cut]b"
    border = prompt.index("]b")
    offsets = [(0, 18), (19, border), (border, border + 2), (border + 2, border + 2)]
    with pytest.raises(ValueError, match="shot 2 of 2: the prompt has no text for it"):
        spans_from_offsets(prompt, offsets)
    assert spans_from_offsets(prompt + " c", [*offsets, (border + 3, border + 4)]).shot_spans == ((1, 3), (4, 5))


def test_windows_of_uncleaned_prompts_are_shifted_as_in_the_reference_and_those_of_cleaned_ones_are_not(tokenizer):
    prompt = TWO_SHOTS.replace("A pier.", "A     pier.\n\n")
    assert text_windows(prompt, tokenizer) != text_windows(clean(prompt), tokenizer)
    assert text_windows(clean(prompt), tokenizer) == text_windows(TWO_SHOTS, tokenizer)


def test_a_prompt_without_tags_has_no_windows(tokenizer):
    assert text_windows("A cat walks across a kitchen, past [character1].", tokenizer) is None


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("[global caption] g", r"the prompt has no \[per shot caption\]; write \[global caption\]"),
        ("[per shot caption] a [shot cut] b", r"has \[per shot caption\] where \[global caption\] belongs"),
        ("a [shot cut] b", r"has \[shot cut\] where \[global caption\] belongs"),
        ("[global caption] g [shot cut] a", r"has \[shot cut\] where \[per shot caption\] belongs"),
        (TWO_SHOTS + " [per shot caption] c", r"has \[per shot caption\] where \[shot cut\] belongs"),
        ("In colour. " + TWO_SHOTS, r"no shot can see the text before \[global caption\] \('In colour.'\)"),
    ],
)
def test_tags_out_of_order_are_errors_for_windows_and_for_parsing(prompt, message, tokenizer):
    with pytest.raises(ValueError, match=message):
        text_windows(prompt, tokenizer)
    with pytest.raises(ValueError, match=message):
        parse_prompt(prompt)


def test_a_caption_without_text_has_no_window(tokenizer):
    with pytest.raises(ValueError, match="shot 2 of 2: the prompt has no text for it"):
        text_windows("[global caption] g [per shot caption] a [shot cut]", tokenizer)


def test_a_prompt_that_just_fits_is_accepted_and_one_token_less_room_is_an_error(tokenizer):
    length = len(words(TWO_SHOTS)) + 1
    assert text_windows(TWO_SHOTS, tokenizer, max_length=length).num_shots == 2
    with pytest.raises(
        PromptTooLong, match=rf"takes {length} text tokens and the model reads {length - 1}; shot 2 of 2"
    ):
        text_windows(TWO_SHOTS, tokenizer, max_length=length - 1)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((3000, 5, 5), "; the global caption alone does not fit; shorten the captions"),
        ((100, 200, 300), "; shot 2 of 2 is the first that does not fit; shorten the captions"),
        ((100, 600, 5), "; shot 1 of 2 is the first that does not fit; shorten the captions"),
    ],
)
def test_a_prompt_of_more_than_512_tokens_names_the_first_shot_that_falls_off(counts, message, tokenizer):
    general, *captions = ("word " * count for count in counts)
    with pytest.raises(PromptTooLong, match=message):
        text_windows(format_prompt(general.strip(), [caption.strip() for caption in captions]), tokenizer)


def test_a_long_prompt_without_tags_is_an_error_too(tokenizer):
    with pytest.raises(PromptTooLong, match="takes 601 text tokens and the model reads 512; shorten the captions"):
        text_windows("word " * 600, tokenizer)


def test_a_tokenizer_without_offsets_is_an_error():
    with pytest.raises(ValueError, match="object reports no character offsets; text windows need a fast tokenizer"):
        text_windows(TWO_SHOTS, object())


def test_the_prompt_is_written_as_the_reference_writes_it():
    expected = (
        "[global caption] A pier. This scene contains 2 shots. [per shot caption] Wide shot. [shot cut] Close-up."
    )
    assert format_prompt("A pier.", ["Wide shot.", "Close-up."]) == expected
    assert format_prompt("A pier. This scene contains 2 shots.", ["Wide shot.", "Close-up."]) == expected


@pytest.mark.parametrize("ending", ["", " |", "|", " | ", " |\n", "\n|\n", " ||"])
def test_shots_may_end_with_a_bar(ending):
    prompt = f"[global caption] A pier. [per shot caption] Wide shot.{ending} [shot cut] Close-up.{ending}"
    assert parse_prompt(prompt) == ("A pier.", ("Wide shot.", "Close-up."))


def test_tags_are_found_in_any_case_and_spacing():
    prompt = "[Global Caption]A pier.\n[per  shot\ncaption]\nWide shot.\n[ SHOT CUT ] Close-up."
    assert parse_prompt(prompt) == ("A pier.", ("Wide shot.", "Close-up."))


FOREIGN_TAGS = pytest.mark.parametrize(
    "write",
    [
        lambda tag: f"［{tag}］",
        lambda tag: f"【{tag}】",
        lambda tag: f"〔 {tag} 〕",
        lambda tag: "".join(chr(ord(c) + 0xFEE0) if c != " " else "\u3000" for c in f"[{tag}]"),
        lambda tag: f"[\u3000{tag.replace(' ', chr(0x3000))}]",
        lambda tag: f"【{tag.upper()}]",
    ],
    ids=["fullwidth", "lenticular", "tortoise shell", "all fullwidth", "ideographic space", "mixed"],
)


@FOREIGN_TAGS
def test_tags_of_other_keyboards_are_read_as_the_tags_they_are(write, tokenizer):
    tags = [write(tag) for tag in ("global caption", "character1", "per shot caption", "shot cut")]
    prompt = "{0} A pier. {1} is a sailor. {2} Wide shot of {1}. {3} Close-up.".format(*tags)
    plain = (
        "[global caption] A pier. [character1] is a sailor. [per shot caption] Wide shot of [character1]. [shot cut] "
        "Close-up."
    )
    assert ascii_tags(prompt) == plain == ascii_tags(plain)
    assert parse_prompt(prompt) == ("A pier. [character1] is a sailor.", ("Wide shot of [character1].", "Close-up."))
    assert text_windows(prompt, tokenizer) == text_windows(plain, tokenizer)
    assert holds_tag(f"a {tags[3]} b") and not holds_tag(tags[1])
    assert tidy_caption(f" Wide shot of {tags[1]}. |") == "Wide shot of [character1]."
    assert tidy_global_caption(f"{tags[1]} is a sailor. ", 2) == "[character1] is a sailor."
    assert character_tags(tags[1]) == ("[character1]",)
    assert character_descriptions(f"{tags[1]} is a sailor.") == {"[character1]": "a sailor"}
    assert expand_characters(f"Wide shot of {tags[1]}.", f"{tags[1]} is a sailor.") == "Wide shot of a sailor."


@pytest.mark.parametrize(
    "text",
    [
        "【第一章】",
        "［shot］ ［cut］",
        "[Character1] and [ SHOT CUT ]",
        "【shot cut",
        "「shot cut」",
        "［characters］",
        "【】",
    ],
)
def test_all_that_is_no_tag_stays_as_it_is(text):
    assert ascii_tags(text) == text


def test_digits_of_every_script_number_a_character():
    assert ascii_tags("［character１２］ [character٣] 【Character 4】") == "[character12] [character3] [character4]"


def test_the_stated_number_of_shots_is_put_right():
    assert state_shots("A pier. This scene contains 5 shots. It rains.", 6) == (
        "A pier. This scene contains 6 shots. It rains."
    )
    assert state_shots("A pier of 5 planks.", 6) == "A pier of 5 planks."


def test_only_the_right_count_of_shots_is_left_out_of_the_global_caption():
    assert tidy_global_caption("A pier.\n This scene contains 2 shots. ", 2) == "A pier."
    assert tidy_global_caption("A pier. This scene contains 5 shots.", 2) == "A pier. This scene contains 5 shots."
    assert tidy_global_caption("This scene contains 2 shots.", 2) == "This scene contains 2 shots."


texts = st.text(
    st.one_of(st.sampled_from(" \n\t|[]().,&;character1shotcut［］【】"), st.characters(codec="utf-8")), max_size=60
)
pieces = st.lists(
    st.one_of(
        texts,
        st.sampled_from(
            ["This scene contains 2 shots.", "[character1]", "［character1］", "[shot cut", "shot cut]", "&#39;"]
        ),
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(pieces, st.lists(pieces, min_size=1, max_size=4))
def test_parsing_undoes_formatting(general, captions):
    captions = tuple(map(tidy_caption, captions))
    general = tidy_global_caption(general, len(captions))
    assume(general and all(captions) and not any(map(holds_tag, (general, *captions))))
    assert parse_prompt(format_prompt(general, captions)) == (general, captions)


@given(pieces)
def test_tidying_twice_changes_nothing_more(text):
    assert tidy_caption(tidy_caption(text)) == tidy_caption(text)
    assert tidy_global_caption(tidy_global_caption(text, 2), 2) == tidy_global_caption(text, 2)


@pytest.mark.parametrize(
    "text", ["a [shot cut] b", "[Shot\n Cut]", "&#91;shot cut&#93;", "［shot cut］", "[global caption]"]
)
def test_tags_are_recognised_as_they_will_be_after_cleaning(text):
    assert holds_tag(text)


@pytest.mark.parametrize("text", ["a shot, cut short", "[character1]", "[shot] [cut]", "[shotcut]"])
def test_ordinary_text_holds_no_tag(text):
    assert not holds_tag(text)


def test_character_tags_are_listed_once_in_order():
    assert character_tags("[character2] meets [character10] and [character2]; [characters]") == (
        "[character2]",
        "[character10]",
    )


@pytest.mark.parametrize(
    ("caption", "descriptions"),
    [
        (
            "[character1] is a red round puppet with a golden crown. [character2] is a blue square puppet.",
            ["a red round puppet with a golden crown", "a blue square puppet"],
        ),
        (
            "The scene features a young painter, [character1], with paint-smudged cheeks and focused eyes. It rains.",
            ["a young painter with paint-smudged cheeks and focused eyes"],
        ),
        (
            "[character1] is a weary coach in his mid-40s, and [character2], a boxer with wrapped hands, listens.",
            ["a weary coach in his mid-40s", "a boxer with wrapped hands"],
        ),
        ("It features one character: [character1], a tall man in grey.", ["a tall man in grey"]),
        ("A detective ([character1]) follows [character2] (a thief in black).", ["A detective", "a thief in black"]),
        ("[character1]: an old dog.", ["an old dog"]),
    ],
)
def test_descriptions_are_read_from_the_global_caption(caption, descriptions):
    assert list(character_descriptions(caption).values()) == descriptions


def test_a_character_without_a_description_is_left_out_and_its_tag_stays():
    caption = "Two friends, [character1] and [character2], meet. [character2] is an old sailor."
    assert character_descriptions(caption) == {"[character2]": "an old sailor"}
    assert expand_characters("[character2] waves. [character2] sees [character1].", caption) == (
        "An old sailor waves. An old sailor sees [character1]."
    )


def test_the_negative_prompt_is_wans():
    assert DEFAULT_NEGATIVE_PROMPT.startswith("色调艳丽，过曝，静态")
    assert DEFAULT_NEGATIVE_PROMPT.endswith("背景人很多，倒着走")
    assert DEFAULT_NEGATIVE_PROMPT.count("，") == 27


@pytest.mark.parametrize("cuts", [(5, 13), ()])
def test_lines_below_a_prompt_say_its_length_rate_and_cuts_unless_cuts_are_given(cuts):
    board = Storyboard.from_captions("A pier.", ["Wide shot.", "Close-up.", "Gulls."][: len(cuts) + 1], 17, cuts)
    board = board.model_copy(update={"fps": 12.5})
    text = with_timeline(board.prompt, board.num_frames, board.fps, board.cuts)
    timeline = {"num_frames": 17, "shot_cut_frames": cuts, "fps": 12.5}
    assert split_timeline(text) == split_timeline(text.replace("\n", "\r\n")) == (board.prompt, timeline)
    assert "fps" not in split_timeline(text.replace("fps: 12.5\n", ""))[1]
    assert split_timeline(board.prompt) == (board.prompt, None)
    again = Storyboard.model_validate({"prompt": text})
    assert again == board and again.timed
    other = Storyboard.from_prompt(board.prompt, [9, 12][: len(cuts)], 21)
    assert Storyboard.from_prompt(text, other.cuts, 21) == other
    assert split_timeline(f"{board.prompt} frames: 3 cuts: 1")[1] is None, "words of a caption"
