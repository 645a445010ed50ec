"""Components with scripts of their own, as `gr.HTML` with a template: the editor, the stage, a list of scenes.

They draw their own content in the browser and put text on the page as text, never as HTML, whatever it says. They are
made by functions: Gradio writes a stub file beside every module that has a subclass of a component.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from desk.page.theme import STATIC


def editor(
    value: dict[str, Any], world: dict[str, Any], model: str, functions: list[Callable], made: dict[str, Any]
) -> gr.HTML:
    """A storyboard editor; its value is a draft (see `desk.scene.draft`).

    world: what the guided picker offers and the limits that the editor keeps by itself. model: the name that the draft
    is reviewed for. Its script calls the functions `review_draft`, `parse_text`, `write_texts` and `surprise_me`.
    made: the scene and seed of the video that is shown, with its `id` if shots may be kept of it (see
    `tabs.own_scenes.linked`).
    Events: change, submit for Ctrl+Enter, retake and continue_video for what goes on from that video, and open_link,
    whose data has the `settings` that a link brought.
    """
    value = value | {"opening": True}  # which a page that has a draft of its own passes over
    return _component("editor", value, server_functions=functions, world=world, model=model, made=made)


def stage(value: dict[str, Any]) -> gr.HTML:
    """Shows a video that is waited for, made, or there; its value is what `desk.page.stage` describes.

    Events: retake, with the video's `id`, a `shot` and how many `takes`; use, with the `id` of takes and one `take`, 0
    for none of them; open_scene, with the `id` of a video that somebody shared. An update of `arrived` says that a page
    that was opened has been told all that is known of its visitor: what it had begun and is not there was lost.
    """
    return _component("stage", value, arrived=False)


def seed() -> gr.HTML:
    """The seed of the next video; its value is {seed, dice}, dice for a new one each time. An update of `time` says how
    many seconds the video takes, 0 if that is not known.
    """
    return _component("seed", {"seed": None, "dice": True, "opening": True}, time=None)


def scene_list(value: dict[str, Any]) -> gr.HTML:
    """A row of scenes to choose from; its value is {title, empty, scenes: [{id, name, when, picture}]}.

    Event: choose, whose data has the `id` of the scene.
    """
    return _component("scene-list", value)


def comparison(value: dict[str, Any]) -> gr.HTML:
    """Versions of a scene side by side; its value is what `tabs.versions` describes.

    Events: vote, with the `choice`; use, with the `letter` of a version. `arrived` is as for the `stage`.
    """
    return _component("compare", value, arrived=False)


def arena(value: dict[str, Any]) -> gr.HTML:
    """Two unknown videos of a storyboard and a question; its value is what `tabs.arena` describes.

    Events: vote, with the `token` of the two, the `question` and the `choice`; uncover and go_on, with the `token`.
    """
    return _component("arena", value)


def league(value: dict[str, Any]) -> gr.HTML:
    """A table of systems to sort; its value is what `desk.tabs.league` makes. Event: choose, with the `id` of a row."""
    return _component("league", value)


def reel(value: dict[str, Any]) -> gr.HTML:
    """The videos behind a row of results. Event: open_scene, with the `id` of a storyboard."""
    return _component("reel", value)


# Scripts in files of their own
_PARTS = {
    "compare": ("together",),
    "arena": ("together",),
    "seed": ("editor_buttons",),
    "editor": (
        "editor_buttons",
        "editor_history",
        "editor_drafts",
        "editor_guide",
        "editor_texts",
        "editor_dialogs",
        "editor_link",
        "editor_pictures",
        "editor_share",
    ),
}


def _component(name: str, value: dict[str, Any], **options: Any) -> gr.HTML:
    scripts = ("elements", *_PARTS.get(name, ()), name.replace("-", "_"))
    return gr.HTML(
        value,
        html_template=f'<div class="{name}"></div>',
        js_on_load="\n".join((STATIC / f"{script}.js").read_text(encoding="utf-8") for script in scripts),
        apply_default_css=False,
        elem_classes=["desk"],
        **options,
    )


def introduction(title: str, text: str) -> gr.HTML:
    """What a tab is for. Not `gr.Markdown`, whose scripts are 4 requests."""
    html = f"<h2>{escape(title)}</h2><p>{escape(text.strip())}</p>"
    return gr.HTML(html, apply_default_css=False, elem_classes=["desk-intro"])


def served(path: Path, name: str | None = None) -> dict[str, Any]:
    """A file of the output folder, for a component's value: Gradio adds the address under which it is served."""
    return FileData(path=str(path), orig_name=name or path.name).model_dump()
