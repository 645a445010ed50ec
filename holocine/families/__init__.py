"""Other open multi-shot models behind the same storyboard: each a set of rules, a prompt, a sampler, a converter.

A family is a folder with a card (README.md). What it does otherwise than Wan is data (`rules`), and one transformer and
one pipeline carry it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holocine.families.family import Family

NAMES = ("echoshot", "cinetrans", "shotstream", "longlive", "storymem")


def find_family(name: str) -> Family:
    """The family of a name; raises ValueError for one that is not known."""
    from importlib import import_module

    if name not in NAMES:
        raise ValueError(f"the family {name!r} is unknown; choose one of {', '.join(NAMES)}")
    return import_module(f"holocine.families.{name}").FAMILY
