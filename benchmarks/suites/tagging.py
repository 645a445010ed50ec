"""Names in texts, replaced by tags."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Languages without spaces end no word: a name may stand right beside their signs.
_UNSPACED = "\u2e80-\U0003ffff"
_LETTER = rf"[^\W{_UNSPACED}]"
_BEFORE = rf"(?<!{_LETTER})(?<!{_LETTER}[-'’])"
_ENDING = rf"(?:s|d|m|ll|re|ve)(?!{_LETTER})"
_AFTER = rf"(?!-?{_LETTER})(?!['’](?!{_ENDING}){_LETTER})"


def tagged(text: str, tags: Mapping[str, str]) -> str:
    """Text with whole names replaced by tags, the longest first: Ana is no part of Anaïs, Ana-Maria or O'Ana.

    An apostrophe with the ending of a possessive or of a verb ("Ana's", "Ana'll") does not belong to the name.
    """
    names = sorted((name for name in tags if name.strip()), key=len, reverse=True)
    if not names:
        return text
    found = re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, names))}){_AFTER}")
    return found.sub(lambda match: tags[match[0]], text)
