"""The tab "Direct": write a scene, watch it being made, take it along."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import gradio as gr

from desk.page import components, stage
from desk.scene import draft, vocabulary
from desk.studio.limits import LimitError, Limits
from desk.studio.models import Model, find, model_names
from desk.studio.settings import ATTENTION, Settings
from desk.studio.studio import Studio
from desk.studio.wording import sentence
from desk.tabs import going_on, own_scenes
from desk.tabs.examples import Example, load_examples
from desk.tabs.visits import IDLE, LASTING, QUIET, cancel, copied, known, read_seed, read_size, refusal, told_all
from holocine.from_pictures import files_named
from holocine.interchange import formats
from holocine.interchange.endings import FORMATS
from holocine.plurals import counted
from holocine.prompt import with_timeline
from holocine.storyboard import StoryboardError

ATTENTION_WORDS = {
    "sparse": "Sparse: own shot and summaries",
    "full": "Full: everything sees everything",
    "isolated": "Isolated: own shot only",
}


@dataclass(frozen=True)
class DirectTab:
    """The parts of the tab that other tabs and the page itself work with."""

    editor: gr.HTML
    stage: gr.HTML
    attention: gr.Radio
    model: gr.Dropdown
    history: gr.HTML
    settings: list  # the fields that `fields_of` fills
    changed: gr.events.Dependency  # after every change of the scene or the settings; its `then` listens


def build(studio: Studio, visitor: gr.BrowserState) -> DirectTab:
    """The tab, inside the `gr.Tab` that is open."""
    model = find()
    limits = Limits.of(model)
    examples = load_examples(model.theatre)
    first = examples[0] if examples else None
    board = first.storyboard if first else vocabulary.surprise(7)

    with gr.Row(equal_height=False, elem_classes=["desk-columns"]):
        with gr.Column(scale=7, min_width=320):
            world = _world(model, limits)
            editor = components.editor(
                draft.from_storyboard(board), world, model.name, _server_functions(), _seen(first)
            )
            with gr.Accordion("Settings", open=False, elem_classes=["desk-settings"]):
                settings = _settings(model, limits)
            with gr.Row(elem_classes=["desk-actions"]):
                run = gr.Button(
                    "Generate", variant="primary", size="lg", scale=3, elem_id="generate", interactive=False
                )  # until the page knows its visitor
                stop = gr.Button("Cancel", size="lg", scale=1, interactive=False, elem_id="cancel")
                settings["seed"] = components.seed()
            gr.HTML(f"<p>{limits.sentence()}</p>", apply_default_css=False, elem_classes=["desk-limits"])
        with gr.Column(scale=6, min_width=320, elem_classes=["stage-column"]):
            screen = components.stage(first.stage_value() if first else stage.empty())
            shown = components.scene_list(
                {"title": "Examples", "scenes": [_example_card(example) for example in examples]}
            )
            history = components.scene_list(own_scenes.listed([]))

    asked = [editor, settings["model"], *(settings[name] for name in _SETTINGS), visitor]
    seen = [screen, history, run, stop, editor]
    gr.on([run.click, editor.submit], _generate(studio), asked, [*seen, settings["seed"]], **LASTING)
    told = [settings[name] for name in _SETTINGS if name != "seed"]
    timed = [editor, settings["model"], *told]
    # One listener of a change waits for its turn and the others follow it: two that wait for the same change would wake
    # each other for ever (Gradio repeats a change for all that listen once one of them was late).
    changed = gr.on(
        [part.change for part in timed],
        _tell_time(studio),
        timed,
        settings["seed"],
        trigger_mode="always_last",
        **QUIET,
    )
    screen.retake(going_on.retake(studio), visitor, seen, **LASTING)
    screen.use(going_on.use_take(studio), visitor, seen, **LASTING)
    screen.open_scene(_open_shared(studio), None, editor, **QUIET)
    editor.retake(going_on.retake_changed(studio), [editor, visitor], seen, **LASTING)
    editor.continue_video(going_on.continue_video(studio), [editor, visitor], seen, **LASTING)
    editor.open_link(_open_link, None, told, **QUIET)
    gr.on([part.change for part in told], None, told, None, js=_TELL_SETTINGS, trigger_mode="multiple", **QUIET)
    gr.context.Context.root_block.load(None, told, None, js=_TELL_SETTINGS, **QUIET)
    stop.click(cancel(studio), visitor, None, queue=False, **QUIET)
    shown.choose(_choose_example(examples), None, [editor, screen], **QUIET)
    fields = [settings[name] for name in _SETTINGS]
    history.choose(_choose_own(studio), visitor, [editor, screen, *fields], **QUIET)
    settings["model"].change(_choose_model, settings["model"], editor, trigger_mode="multiple", **QUIET)
    _on_load(studio, visitor, first, seen)
    return DirectTab(editor, screen, settings["attention"], settings["model"], history, fields, changed)


_SETTINGS = ("attention", "steps", "guidance", "seed", "size")
_TELL_SETTINGS = """(attention, steps, guidance, size) => {
  globalThis.holocineSettings = { attention, steps, guidance, size };
  document.dispatchEvent(new CustomEvent('holocine-settings', { detail: globalThis.holocineSettings }));
}"""  # to the editor's script, which makes links, whichever part of the page is made first


def _open_link(event: gr.EventData) -> tuple:
    """The settings that a link brought, as far as this desk has them."""
    given = event._data.get("settings")
    given = given if isinstance(given, dict) else {}
    limits = Limits.of(model := find())
    steps, guidance, size = given.get("steps"), given.get("guidance"), given.get("size")
    known_steps = type(steps) is int and 1 <= steps <= limits.steps
    known_guidance = isinstance(guidance, int | float) and 1 <= guidance <= 10
    return (
        given["attention"] if given.get("attention") in ATTENTION else gr.skip(),
        steps if known_steps else gr.skip(),
        guidance if known_guidance else gr.skip(),
        size if size in sizes(model, limits) else gr.skip(),
    )


def _settings(model: Model, limits: Limits) -> dict[str, Any]:
    names = model_names()
    facts = model.facts
    with gr.Row():
        chosen = gr.Dropdown(list(names), value=names[0], label="Model", interactive=len(names) > 1)
        size = gr.Dropdown(sizes(model, limits), value=f"{facts.width} x {facts.height}", label="Size in pixels")
    attention = gr.Radio(
        [(ATTENTION_WORDS[mode], mode) for mode in ATTENTION], value=facts.attention, label="Attention between shots"
    )
    with gr.Row():
        steps = gr.Slider(1, limits.steps, value=model.steps, step=1, label="Steps")
        guidance = gr.Slider(1, 10, value=model.guidance, step=0.5, label="Guidance: how closely the text is followed")
    return {
        "model": chosen,
        "size": size,
        "attention": attention,
        "steps": steps,
        "guidance": guidance,
    }


def sizes(model: Model, limits: Limits) -> list[str]:
    """The frame sizes to choose from: the model's own, then wider, square and upright ones of whole tokens."""
    height, width = model.facts.height, model.facts.width
    down, across = model.facts.pixels_per_token
    side = (height * width) ** 0.5
    shapes = [(height, width), (height, height), (width, height), (side, side), (height * 1.5, width * 1.5)]
    found = dict.fromkeys((max(1, round(h / down)) * down, max(1, round(w / across)) * across) for h, w in shapes)
    return [f"{w} x {h}" for h, w in found if h * w <= limits.pixels]


def _world(model: Model, limits: Limits) -> dict[str, Any]:
    return {
        "theatre": model.theatre,
        "phrases": vocabulary.phrases(),
        "choices": vocabulary.choices(),
        "most_shots": limits.shots,
        "most_frames": limits.frames,
    }


def _choose_model(name: str) -> dict[str, Any]:
    model = find(name)
    return gr.update(model=model.name, world=_world(model, Limits.of(model)))


# What the editor's script asks the server


def _server_functions() -> list:
    return [review_draft, parse_text, write_texts, surprise_me]


def review_draft(asked: dict[str, Any]) -> dict[str, Any]:
    """What can be said about a draft: findings, characters, tokens."""
    model = find(asked.get("model"))
    return draft.review(asked.get("draft"), model, Limits.of(model)).to_dict()


def parse_text(asked: dict[str, Any]) -> dict[str, Any]:
    """A draft from pasted text, with what was changed to make it valid; or an error in a sentence, `prose` if the text
    is plain words.

    The text of a file has its "name", too, by which that of a film tool is known.
    """
    text, name = str(asked.get("text") or ""), PurePath(str(asked.get("name") or ""))
    notes: tuple[str, ...] = ()
    try:
        limits = Limits.of(model := find()).of_editor
        usual = model.facts.card.fps[0] if model.facts.card else None
        if name.suffix.lower() in FORMATS:
            limits.check_text(text)
            storyboard, notes = formats.read_text(text, name.suffix, name.stem, usual_fps=usual)
            limits.check_storyboard(storyboard)
        else:
            storyboard = draft.parse(text, limits, Limits.of(model).frames, usual)
        run = storyboard.as_run()  # what the editor's timeline, which has a mark every four frames, can show
    except draft.Prose as error:
        return {"error": sentence(str(error)), "prose": True}
    except (StoryboardError, LimitError) as error:
        return {"error": sentence(f"the file {error}" if str(error).startswith("is ") else str(error))}
    left = [f"{path[:80]} is not here: drop the picture on its shot or its character" for path in files_named(run)]
    return {"draft": draft.from_storyboard(run), "notices": [sentence(text) for text in (*notes, *run.moved, *left)]}


def write_texts(asked: dict[str, Any]) -> dict[str, Any]:
    """A draft as YAML, JSON and HoloCine's prompt string; or an error in a sentence.

    With the "form" of a film tool, an ending without its dot, it is that "text" alone, and "notices" on what is lost.
    """
    try:
        storyboard = draft.to_storyboard(asked.get("draft"), Limits.of(find()))
        if asked.get("form"):
            written = formats.write_text(storyboard, f".{asked['form']}")
            return {"text": written.text, "notices": [sentence(text) for text in written.notes]}
    except (StoryboardError, LimitError) as error:
        return {"error": sentence(str(error))}
    prompt = with_timeline(storyboard.prompt, storyboard.num_frames, storyboard.fps, storyboard.cuts)
    return {"yaml": storyboard.to_yaml(), "json": storyboard.to_json(), "prompt": prompt}


def surprise_me(asked: dict[str, Any]) -> dict[str, Any]:
    """A scene of the theatre that nobody thought of, as a draft."""
    return {"draft": draft.from_storyboard(vocabulary.surprise(secrets.randbelow(10**6)))}


# Making a video


def _generate(studio: Studio):
    async def generate(
        written: dict[str, Any],
        model_name: str,
        attention: str,
        steps: float,
        guidance: float,
        seed: dict[str, Any] | None,
        size: str,
        visitor: str,
    ) -> AsyncIterator[tuple]:
        try:
            model = find(model_name)
            limits = Limits.of(model)
            storyboard = draft.to_storyboard(written, limits)
            width, height = read_size(size)
            chosen = seed if isinstance(seed, dict) else {}
            settings = Settings.of(
                model, limits, storyboard, attention, steps, guidance, read_seed(chosen.get("seed")), height, width
            )
            review = draft.review(written, model, limits, attention)
            if not review.valid:
                raise StoryboardError(review.findings[0].text)
            job = going_on.locked_job(studio, known(visitor), written, storyboard, settings)
            job = job or studio.submit(visitor, storyboard, settings)
        except (ValueError, OSError) as error:
            yield refusal(error), *going_on.NOTHING, gr.skip()
            return
        another = {"seed": None, "dice": True, "after": job.id} if chosen.get("dice") else gr.skip()
        update = gr.skip(), *going_on.NOTHING
        yield *update, another
        async for update in own_scenes.follow(studio, job, visitor):
            yield *copied(update), gr.skip()
        yield *update, another  # the last update says all: see `visits.arrival`

    return generate


def _tell_time(studio: Studio):
    """A listener: how long the video takes, by how long the last ones took."""

    def tell(written: dict[str, Any], model_name: str, attention: str, steps: float, guidance: float, size: str) -> Any:
        try:
            model = find(model_name)
            storyboard = draft.to_storyboard(written, limits := Limits.of(model))
            width, height = read_size(size)
            settings = Settings.of(model, limits, storyboard, attention, steps, guidance, 0, height, width)
            seconds = studio.pace.seconds(storyboard, settings, model.facts)
        except ValueError:
            seconds = None
        return gr.update(time=seconds or 0)  # None would leave the time of another scene there

    return tell


# Examples, history and coming back


def _example_card(example: Example) -> dict[str, Any]:
    picture = example.content["shots"][0]["picture"] if example.content else _BLANK
    name = example.storyboard.title or example.id
    return {
        "id": example.id,
        "name": name,
        "when": f"{counted(example.storyboard.num_shots, 'shot')}, {example.storyboard.seconds:.1f} s",
        "picture": picture,
    }


_BLANK = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 7 4'/%3E"


def _seen(example: Example | None) -> dict[str, Any]:
    """The scene and the seed of an example's video, for the editor; no shot can be kept of it."""
    if example is None or example.content is None:
        return own_scenes.NO_VIDEO
    return own_scenes.scene_of(example.content, json.loads(example.storyboard.to_json()))


def _choose_example(examples: tuple[Example, ...]):
    known = {example.id: example for example in examples}

    def choose(event: gr.EventData) -> tuple:
        example = known.get(str(event._data.get("id")))
        if example is None:
            return gr.skip(), gr.skip()
        scene = draft.from_storyboard(example.storyboard) | {"seed": None}  # its video is there: the next is another
        return {**gr.update(made=_seen(example)), "value": scene}, example.stage_value()

    return choose


def _open_shared(studio: Studio):
    def open_scene(event: gr.EventData) -> Any:
        record = studio.outputs.shared(event._data.get("id"))
        if record is None:
            gr.Warning("This video is no longer kept.")
            return gr.skip()
        return {**gr.update(made=own_scenes.NO_VIDEO), "value": {"shots": [], **record.content["storyboard"]}}

    return open_scene


def _choose_own(studio: Studio):
    def choose(visitor: str, event: gr.EventData) -> tuple:
        record = studio.outputs.find(event._data.get("id"), known(visitor))
        if record is None or record.content["kind"] not in own_scenes.KINDS:
            gr.Warning("This scene is no longer kept.")
            return (gr.skip(),) * (2 + len(_SETTINGS))
        content = record.content["takes"][0] if record.content["kind"] == "takes" else record.content
        return (
            {**own_scenes.linked(record.id, record.content), "value": {"shots": [], **content["storyboard"]}},
            stage.finished(record.content, studio.outputs.files / record.id),
            *fields_of(content["settings"]),
        )

    return choose


def fields_of(made: dict[str, Any]) -> tuple:
    """The settings that made a video, as the fields of the tab show them."""
    size = f"{made['width']} x {made['height']}"
    return made["attention"], made["steps"], made["guidance"], {"seed": made["seed"], "dice": False}, size


def _on_load(studio: Studio, visitor: gr.BrowserState, first: Example | None, seen: list) -> None:
    """When the page opens: know the visitor, and show what is being made, or was made last, or an example."""

    async def arrive(token: str | None, request: gr.Request) -> AsyncIterator[tuple]:
        try:
            token = known(token)
        except LimitError:
            token = secrets.token_urlsafe(24)
        studio.outputs.clean()
        job = studio.jobs.of(token)
        mine = own_scenes.own(studio.outputs.of(token))
        value = stage.finished(mine[0].content, studio.outputs.files / mine[0].id) if mine else gr.skip()
        linked = own_scenes.linked(mine[0].id, mine[0].content) if mine else gr.skip()
        asked = request.query_params.get("video")
        if record := studio.outputs.shared(asked):
            value = stage.shared(record, studio.outputs.files)
        elif asked:
            gr.Warning("The video of this link is no longer kept here.")
        update = value, own_scenes.listed(mine), IDLE["run"], IDLE["stop"], linked
        if job is not None and job.kind == "video":
            yield token, *copied(update)
            async for update in own_scenes.follow(studio, job, token):
                yield token, *copied(update)
        yield token, told_all(update[0]), *update[1:]  # the last update says all: see `visits.arrival`

    gr.context.Context.root_block.load(arrive, visitor, [visitor, *seen], concurrency_limit=None, **QUIET)
