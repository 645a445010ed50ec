"""HoloCine's prompt: its tags, its cleaning, and which text tokens each shot may see.

A prompt reads `[global caption] G [per shot caption] c1 [shot cut] c2 [shot cut] c3`. HoloCine's window
cross-attention (arXiv 2510.20822, section 3.2.1) shows the video tokens of shot i the text tokens of the global caption
and of shot i's own caption; `text_windows` finds those tokens the way the released checkpoints were run.

Tags are ASCII, as models were trained on them. Chinese and Japanese keyboards write other brackets, spaces and digits:
`ascii_tags` reads those, once, wherever text comes in.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import ftfy
import numpy as np

GLOBAL_TAG = "[global caption]"
SHOTS_TAG = "[per shot caption]"
CUT_TAG = "[shot cut]"
MAX_TEXT_TOKENS = 512
DEFAULT_NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，"
    "形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
"""Wan's standard negative prompt."""

_TAG = re.compile(r"\[\s*(global\s+caption|per\s+shot\s+caption|shot\s+cut)\s*\]", re.IGNORECASE)
_CHARACTER = re.compile(r"\[character\d+\]")
_TIMELINE = re.compile(
    r"\s*^frames: *(\d{1,6})\s*(?:^fps: *(\d{1,3}(?:\.\d+)?)\s*)?^cuts: *(none|\d{1,6}(?:, *\d{1,6})*)\s*\Z",
    re.I | re.M,
)
_NEARLY = 0.75  # of the letters of a tag, in order
_OPENING, _CLOSING = "[［【〔〖〚", "]］】〕〗〛"
_BRACKETED = re.compile(rf"[{re.escape(_OPENING)}]([^{re.escape(_OPENING + _CLOSING)}]{{1,40}})[{re.escape(_CLOSING)}]")
_CHARACTER_WORD = re.compile(r"character\s*(\d+)", re.IGNORECASE)
_COUNTS_SHOTS = "This scene contains"
_STATED_SHOTS = re.compile(rf"{_COUNTS_SHOTS}\s+(\d{{1,6}})\s+shot")


class PromptTooLong(ValueError):
    """The prompt has more text tokens than the text encoder is given.

    tokens, most: how many the whole prompt has and how many are read; None for another text.
    """

    def __init__(self, message: str, tokens: int | None = None, most: int | None = None) -> None:
        super().__init__(message)
        self.tokens, self.most = tokens, most


def clean(text: str) -> str:
    """Return `text` as it is tokenised: mended by ftfy, HTML entities unescaped twice, whitespace collapsed."""
    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text)))).strip()


def ascii_tags(text: str) -> str:
    """Return `text` with every tag that is written in other brackets, letters, digits or spaces in its ASCII form.

    ［shot cut］, 【shot cut】 and [ｓｈｏｔ　ｃｕｔ] become [shot cut], 【character１】 becomes [character1]. Tags that
    are ASCII already, and all other text, stay as they are.
    """
    return _BRACKETED.sub(_ascii_tag, text)


def _ascii_tag(match: re.Match[str]) -> str:
    if match[0].isascii():
        return match[0]
    word = unicodedata.normalize("NFKC", match[1]).strip()
    if character := _CHARACTER_WORD.fullmatch(word):
        return f"[character{''.join(str(unicodedata.digit(digit)) for digit in character[1])}]"
    tag = f"[{' '.join(word.lower().split())}]"
    return tag if tag in (GLOBAL_TAG, SHOTS_TAG, CUT_TAG) else match[0]


def holds_tag(text: str) -> bool:
    """Tell whether `text` would hold one of the prompt's structural tags once it is cleaned."""
    return _TAG.search(ascii_tags(clean(text))) is not None


def begins_with_tag(text: str) -> bool:
    """Tell whether `text` is a prompt by its beginning, which is one of the structural tags."""
    return _TAG.match(ascii_tags(text).lstrip()) is not None


def format_prompt(global_caption: str, captions: Sequence[str]) -> str:
    """Return HoloCine's prompt string, with "This scene contains N shots." added where the global caption lacks it."""
    if _COUNTS_SHOTS not in global_caption:
        global_caption = f"{global_caption} {_shot_count(len(captions))}"
    return f"{GLOBAL_TAG} {global_caption} {SHOTS_TAG} {f' {CUT_TAG} '.join(captions)}"


def with_timeline(prompt: str, num_frames: int, fps: float, cuts: Sequence[int]) -> str:
    """Return a prompt with lines below it that say its frames, rate and cuts, as frames: the whole scene as text."""
    return f"{prompt}\n\nframes: {num_frames}\nfps: {fps:g}\ncuts: {', '.join(map(str, cuts)) or 'none'}"


def split_timeline(text: str) -> tuple[str, dict[str, Any] | None]:
    """Undo `with_timeline`: the prompt, and its num_frames, shot_cut_frames and, if it is said, fps; None without."""
    match = _TIMELINE.search(text)
    if match is None:
        return text, None
    timeline = {"num_frames": int(match[1]), "shot_cut_frames": tuple(map(int, re.findall(r"\d+", match[3])))}
    return text[: match.start()], timeline | ({"fps": float(match[2])} if match[2] else {})


def parse_prompt(prompt: str) -> tuple[str, tuple[str, ...]]:
    """Split HoloCine's prompt string into the global caption and the captions of the shots: undoes `format_prompt`.

    The count of shots that `format_prompt` adds and a `|` that closes a shot are left out. Raises ValueError if the
    tags are missing or out of order, or if there is text before the first.
    """
    prompt = ascii_tags(prompt)
    sections = _sections(prompt)
    if sections is None:
        raise ValueError(f"the prompt has no tags; write {_PATTERN}")
    texts = [_TAG.sub("", prompt[start:end]) for start, end in sections]
    captions = tuple(map(tidy_caption, texts[1:]))
    return tidy_global_caption(texts[0], len(captions)), captions


def tidy_caption(text: str) -> str:
    """Return a shot's caption without surrounding whitespace and without the ` |` that some users end shots with.

    Its tags are those of `ascii_tags`.
    """
    return re.sub(r"[\s|]+\Z", "", ascii_tags(text)).lstrip()


def tidy_global_caption(text: str, num_shots: int) -> str:
    """Return the global caption without surrounding whitespace and without the sentence that `format_prompt` adds.

    Its tags are those of `ascii_tags`.
    """
    text = ascii_tags(text).strip()
    shorter = text.removesuffix(_shot_count(num_shots))
    if shorter.strip() and shorter[-1].isspace() and _COUNTS_SHOTS not in shorter:
        return shorter.strip()
    return text


def stated_shots(global_caption: str) -> int | None:
    """Return how many shots the global caption says the scene contains, or None if it does not say."""
    match = _STATED_SHOTS.search(global_caption)
    return int(match[1]) if match else None


def state_shots(global_caption: str, num_shots: int) -> str:
    """Return the global caption with the right number where it says how many shots the scene contains."""
    return _STATED_SHOTS.sub(lambda match: match[0].replace(match[1], str(num_shots)), global_caption)


@dataclass(frozen=True)
class TextWindows:
    """Which text tokens each shot may see.

    global_span, shot_spans: half-open token ranges. The global span runs up to `[per shot caption]`; the first shot
        begins at that tag, and every shot but the last ends after its own `[shot cut]`.
    extra: tokens shown past the end of each span. The released checkpoints were run with 1, so a shot also sees the
        token that follows its caption; 0 shows a shot its own caption and nothing of the next.
    """

    global_span: tuple[int, int]
    shot_spans: tuple[tuple[int, int], ...]
    extra: int = 1

    @property
    def num_shots(self) -> int:
        return len(self.shot_spans)

    def visible(self, text_length: int) -> np.ndarray:
        """Return which of `text_length` text tokens each shot sees: bool, shape (num_shots, text_length).

        A shot sees the global span, its own span, and every position after the last span (with their extra tokens):
        the padding, which Wan does not mask. Raises ValueError if the spans do not fit into `text_length`.
        """
        end_of_text = max(end for _, end in (self.global_span, *self.shot_spans))
        if end_of_text > text_length:
            raise ValueError(f"the text windows reach token {end_of_text}, but the text has only {text_length} tokens")
        visible = np.zeros((self.num_shots, text_length), dtype=bool)
        for row, own_span in zip(visible, self.shot_spans, strict=True):
            for start, end in (self.global_span, own_span):
                row[start : end + self.extra] = True
        visible[:, end_of_text + self.extra :] = True
        return visible


def spans_from_offsets(prompt: str, offsets: Sequence[tuple[int, int]], leak_free: bool = False) -> TextWindows | None:
    """Find the text windows of `prompt` from the character range [start, end) of each of its tokens.

    A token across the border of two captions belongs to the first; an empty range is a special token and belongs to
    none. Returns None for a prompt without tags. Raises ValueError if tags are out of order or a shot has no token.
    """
    sections = _sections(prompt)
    if sections is None:
        return None
    owned: list[list[int]] = [[] for _ in sections]
    for token, (token_start, token_end) in enumerate(offsets):
        for section, (start, end) in enumerate(sections):
            if max(token_start, start) < min(token_end, end):
                owned[section].append(token)
                break
    for section, tokens in enumerate(owned):
        if not tokens:
            raise ValueError(f"shot {section} of {len(sections) - 1}: the prompt has no text for it")
    spans = [(tokens[0], tokens[-1] + 1) for tokens in owned]
    return TextWindows(spans[0], tuple(spans[1:]), extra=0 if leak_free else 1)


def text_windows(
    prompt: str, tokenizer: Any, max_length: int = MAX_TEXT_TOKENS, leak_free: bool = False
) -> TextWindows | None:
    """Find the text tokens of `prompt` that each shot may see; None for a prompt without tags, which has no windows.

    The tags are found in `prompt` as given, the tokens in the cleaned prompt, as HoloCine's released code does: if
    cleaning shortens the prompt (double spaces, line breaks, HTML entities), every later window moves by as much. Pass
    `clean(prompt)` to have windows that begin and end with their captions.

    tokenizer: a fast transformers tokenizer (one that reports character offsets).

    Raises PromptTooLong, naming the first shot that would be cut off, if there are more than `max_length` tokens with
    the tokenizer's own end token.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{type(tokenizer).__name__} reports no character offsets; text windows need a fast tokenizer")
    prompt = ascii_tags(prompt)
    encoded = tokenizer(clean(prompt), add_special_tokens=True, return_offsets_mapping=True, verbose=False)
    offsets = encoded["offset_mapping"]
    windows = spans_from_offsets(prompt, offsets, leak_free)
    if len(offsets) > max_length:
        closing = next(i for i, (start, end) in enumerate(reversed(offsets)) if end > start)
        where = _first_cut_off(windows, max_length - closing)
        raise PromptTooLong(
            f"the prompt takes {len(offsets)} text tokens and the model reads {max_length}{where}; "
            "shorten the captions",
            tokens=len(offsets),
            most=max_length,
        )
    return windows


def check_length(tokens: int, most: int) -> None:
    """Raise `PromptTooLong` for more tokens of text than a model reads."""
    if tokens > most:
        raise PromptTooLong(f"the text has {tokens} tokens and the model reads {most}: shorten it")


def count_tokens(text: str, tokenizer: Any, most: int, name: str) -> int:
    """How many text tokens a text takes; raises PromptTooLong, which calls it `name`, for more than `most`."""
    tokens = len(tokenizer(clean(text), verbose=False)["input_ids"])
    if tokens > most:
        raise PromptTooLong(f"{name} takes {tokens} text tokens and the model reads {most}; shorten it")
    return tokens


def character_tags(text: str) -> tuple[str, ...]:
    """Return the character tags in `text`, such as `[character1]`, each once and in order of appearance."""
    return tuple(dict.fromkeys(_CHARACTER.findall(ascii_tags(text))))


def misspelt_tags(text: str) -> dict[str, str]:
    """What in brackets is nearly a character tag, and the tag that is meant: `[charcter1]` -> `[character1]`."""
    found = {}
    for match in _BRACKETED.finditer(text):
        if _CHARACTER.fullmatch(written := ascii_tags(match[0])) or not (number := re.search(r"\d+", written)):
            continue
        meant = f"[character{number[0]}]"
        if SequenceMatcher(None, re.sub(r"\s", "", written.lower()), meant).ratio() > _NEARLY:
            found[match[0]] = meant
    return found


def character_descriptions(global_caption: str) -> dict[str, str]:
    """Return how the global caption describes each character: `[character1]` -> "a tall man in a raincoat".

    Reads, in this order, "[character1] is a tall man …", "[character1]: …" or "[character1] (…)", "[character1], a tall
    man …, …" and "a tall man, [character1], in …". A description ends with its sentence or before the next tag.
    Characters whose description is not found in one of these forms are left out.
    """
    text = clean(ascii_tags(global_caption))
    descriptions = {tag: _description(text, tag) for tag in character_tags(text)}
    return {tag: description for tag, description in descriptions.items() if description}


def expand_characters(text: str, global_caption: str) -> str:
    """Replace every character tag in `text` with its description in the global caption, where it has one.

    For readers that see one shot and not the whole prompt: baselines that generate shots one by one, text encoders
    that score a single shot. Tags without a description stay as they are.
    """
    text, descriptions = ascii_tags(text), character_descriptions(global_caption)

    def expand(match: re.Match[str]) -> str:
        description = descriptions.get(match[0], match[0])
        begins_sentence = re.search(r"(?:^|[.!?])\s*\Z", text[: match.start()]) is not None
        return description[0].upper() + description[1:] if begins_sentence else description

    return _CHARACTER.sub(expand, text)


def _shot_count(num_shots: int) -> str:
    return f"{_COUNTS_SHOTS} {num_shots} shots."


_PATTERN = f"{GLOBAL_TAG} … {SHOTS_TAG} … {CUT_TAG} …"


def _sections(text: str) -> list[tuple[int, int]] | None:
    """Return the character ranges of the global caption and of each shot, tags included; None if there are no tags."""
    tags = list(_TAG.finditer(text))
    if not tags:
        return None
    kinds = [f"[{' '.join(tag[1].lower().split())}]" for tag in tags]
    expected = [GLOBAL_TAG, SHOTS_TAG, *[CUT_TAG] * (len(tags) - 2)]
    for i, tag in enumerate(expected):
        if i == len(kinds):
            raise ValueError(f"the prompt has no {tag}; write {_PATTERN}")
        if kinds[i] != tag:
            raise ValueError(f"the prompt has {kinds[i]} where {tag} belongs; write {_PATTERN}")
    before = text[: tags[0].start()].strip()
    if before:
        raise ValueError(f"no shot can see the text before {GLOBAL_TAG} ({before[:40]!r}); move it behind the tag")
    starts = [tags[0].start(), tags[1].start(), *(tag.end() for tag in tags[2:])]
    ends = [tags[1].start(), *(tag.end() for tag in tags[2:]), len(text)]
    return list(zip(starts, ends, strict=True))


def _first_cut_off(windows: TextWindows | None, room: int) -> str:
    """Say which caption is the first to end beyond `room` tokens."""
    if windows is None:
        return ""
    if windows.global_span[1] > room:
        return "; the global caption alone does not fit"
    shot = next(shot for shot, (_, end) in enumerate(windows.shot_spans, start=1) if end > room)
    return f"; shot {shot} of {windows.num_shots} is the first that does not fit"


_ARTICLE = r"(?:a|an|another|one|the|his|her|their|its)"
_INDEFINITE = re.compile(r"\b((?:an?|another|one)\s.*)", re.IGNORECASE)
_DEFINITE = re.compile(r".*\b((?:the|his|her|their|its)\s.*)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")
_CONNECTIVES = re.compile(
    r"(?:[\s,(:–—-]|\b(?:and|or|while|but|with|to|by|of|beside|behind|next|named|called|from))+\Z"
)


def _description(text: str, tag: str) -> str | None:
    """Return the words that describe the character `tag` in a cleaned global caption, or None."""
    for match in re.finditer(re.escape(tag), text):
        before = _clause_before(text[: match.start()])
        after = _until_next_tag(text[match.end() :])
        if found := re.match(rf"\s+(?:is|are|was|were)\s+({_ARTICLE}\b.*)", after, re.IGNORECASE):
            return found[1]
        if found := re.match(r"\s*[:=–—]\s*(.+)", after):
            return found[1]
        if found := re.match(r"\s*\(([^)]+)\)", after):
            return found[1]
        if found := re.match(rf",\s+({_ARTICLE}\b[^,]*)", after, re.IGNORECASE):
            return found[1]
        if found := _INDEFINITE.search(before) or _DEFINITE.match(before):
            traits = re.match(r",?\s+((?:with|in|wearing|dressed|holding|carrying|who)\b.*)", after)
            return f"{found[1]} {traits[1]}" if traits else found[1]
    return None


def _clause_before(text: str) -> str:
    """Return the end of `text` behind its last punctuation mark, without what joins it to a following tag."""
    return re.split(r"[.!?;:,()\[\]]", _CONNECTIVES.sub("", text))[-1]


def _until_next_tag(text: str) -> str:
    """Return `text` up to the end of the sentence or the next character tag, without what joins it to that tag."""
    sentence = _SENTENCE_END.split(text, maxsplit=1)[0]
    own, *others = _CHARACTER.split(sentence, maxsplit=1)
    return _CONNECTIVES.sub("", own) if others else own.rstrip()
