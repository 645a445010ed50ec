"""Words to a person: every message is a sentence."""

from __future__ import annotations


def sentence(text: str) -> str:
    """`text` as a sentence: with a capital at the beginning and a full stop at the end."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
