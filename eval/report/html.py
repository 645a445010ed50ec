"""HTML from Python calls. Every text is escaped; only what these functions made is taken for HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = {"meta", "br", "hr", "img", "link"}


class Html(str):
    """Text that is HTML already."""


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. Children are texts, elements, lists of them, or None; so is `class_`, joined by spaces.

    Other attributes are written as they are named, `_` as `-`; True is an attribute without a value, None is none.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: object) -> Html:
    """Texts and elements, however nested, one after the other."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, Iterable) and not isinstance(children, str):
        return Html("".join(join(child) for child in children))
    return Html(escape(str(children)))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    key = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {key}"
    if key == "class" and not isinstance(value, str):
        value = " ".join(part for part in value if part)
    return f' {key}="{escape(str(value))}"'
