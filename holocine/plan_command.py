"""`python -m holocine plan`: what a storyboard will be for a model, and what that takes, before anything is made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holocine.presets import find_presets
from holocine.program import check_strict, tell
from holocine.settings import chosen, load_options

if TYPE_CHECKING:
    from holocine.storyboard import Storyboard


def plan(
    options: argparse.Namespace,
    storyboard: Storyboard,
    remembered: Mapping[str, Any],
    pictures: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Print the plan of a storyboard; remembered, pictures: the settings and pictures of the video that it is of.

    What `generate` refuses is refused, with --strict too.
    """
    from holocine.known import find_facts
    from holocine.loading import check_loading
    from holocine.unread import unread

    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = chosen(given, remembered)
    facts = find_facts(settings["model"])
    left = unread(storyboard, facts, settings)
    doubts = facts.doubts(storyboard, settings["height"], settings["width"])
    check_strict(options.strict, refused(storyboard, facts.family, (*doubts, *left)))
    if facts.family is not None:
        from holocine.families.options import family_settings
        from holocine.families.plan import format_family_plan, make_family_plan

        settings = family_settings(given, remembered, settings["model"], facts)
        check_loading(facts, load_options(settings))
        size = {name: settings[name] for name in ("height", "width")}
        made = make_family_plan(storyboard, facts, **size)
        made = replace(made, notes=(*made.notes, *left))
        _print(made, format_family_plan(made), options.json)
        return
    from holocine.plan import format_plan, make_plan

    check_loading(facts, load_options(settings))
    facts = facts.with_settings(settings)
    size = {name: settings[name] for name in ("height", "width")}
    made = make_plan(storyboard, facts, **size, attention=settings["attention"])
    _check_pictures(storyboard, (made.height, made.width), pictures)
    made = replace(made, warnings=(*made.warnings, *left))
    gigabytes = next((preset.gigabytes for preset in find_presets(options.preset) if preset.gigabytes), None)
    if gigabytes is None and not options.memory:
        _print(made, format_plan(made), options.json)
        return
    from holocine.memory import format_memory, predict, remedies
    from holocine.rehearsal import Loading

    loading = Loading.of(settings)
    memory = predict(facts, made, loading, gigabytes, lambda what: tell("holocine", [f"rehearsing {what}"]))
    if memory.fits is False:
        tell("holocine", ["rehearsing what would make it fit"])
        memory = replace(memory, remedies=remedies(facts, made, loading, memory))
    text = f"{format_plan(made)}\n\n{format_memory(memory)}"
    _print(made, text, options.json, {"memory": memory.to_dict()})


def refused(storyboard: Storyboard, family: str | None, doubts: Sequence[str]) -> tuple[str, ...]:
    """What --strict lets no model make of a storyboard: mistakes, doubts, and what a family's model is not given."""
    from holocine.families import find_family

    left_out = find_family(family).left_out(storyboard) if family else ()
    return (*storyboard.mistakes, *doubts, *left_out)


def _check_pictures(
    storyboard: Storyboard, size: tuple[int, int], stored: Mapping[str, Mapping[str, str]] | None
) -> None:
    """Raise `PictureError` for a picture that is not there, or none."""
    if storyboard.has_pictures:
        from holocine.from_pictures import open_pictures

        open_pictures(storyboard.as_run(), size, stored)


def _print(made: Any, text: str, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    content = {**made.to_dict(), **(more or {})} if as_json else None
    print(text if content is None else json.dumps(content, ensure_ascii=False, indent=2))
