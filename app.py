"""The Space: a director's desk in the browser. `desk/` has its parts, `holocine/` makes the videos.

The model is the embedded one, or what the environment variable HOLOCINE_MODEL names: folders or hub ids, divided by
commas. Finished videos lie below HOLOCINE_OUTPUTS, or in the system's folder for temporary files.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import threading
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from desk.studio.gpu import on_zero_gpu

if on_zero_gpu():
    import spaces  # noqa: F401 - before anything looks for a GPU

from desk.page.theme import CSS, ICON, SCRIPT, STORAGE, theme
from desk.scene import draft
from desk.service import service
from desk.service.bodies import BodyLimit
from desk.service.metadata import Metadata, shared_video
from desk.service.sending import Sending
from desk.service.styles import Styles, style_links
from desk.studio.jobs import JobQueue
from desk.studio.limits import Limits
from desk.studio.models import Model, find, import_libraries
from desk.studio.outputs import Outputs
from desk.studio.starting import opening
from desk.studio.studio import Studio, holder
from desk.tabs import bench, compare, direct, how, score
from desk.tabs.examples import VIDEOS
from desk.tabs.shipped import RUNS
from desk.tabs.visits import QUIET
from holocine.program import tell

TITLE = "HoloCine: a storyboard becomes a multi-shot video"
DESCRIPTION = "Write a scene shot by shot. One model makes all of it in one pass, with the cuts where you ask for them."
PREVIEW = Path(__file__).parent / "docs" / "desk_direct_light.png"
_M_ARENA_MAX = -8  # of glibc's malloc.h


def build(outputs: str | None = None) -> gr.Blocks:
    """The interface, without the model. `outputs`: the folder for finished videos."""
    model = find()
    limits = Limits.of(model)
    kept = Outputs(outputs, limits.output_bytes, limits.output_hours * 3600)
    os.environ["GRADIO_TEMP_DIR"] = str(kept.uploads)  # a folder of its own, which can be cleaned
    studio = Studio(kept, JobQueue(limits.waiting))
    gr.set_static_paths([kept.files, VIDEOS, RUNS])
    with gr.Blocks(title=TITLE, delete_cache=(600, 3600), analytics_enabled=False) as demo:
        gr.HTML(_header(model), apply_default_css=False)
        visitor = gr.BrowserState(None, storage_key="holocine-visitor", secret="holocine-visitor")
        with gr.Tabs() as tabs:
            with gr.Tab("Direct", id="direct", elem_id="direct-panel"):
                desk = direct.build(studio, visitor)
            with gr.Tab("Compare", id="compare", elem_id="compare-panel") as tab:
                compare.build(studio, visitor, desk, tabs, tab)
            with gr.Tab("Score", id="score", elem_id="score-panel"):
                score.build(studio, visitor, desk.editor, tabs)
            with gr.Tab("Benchmark", id="benchmark", elem_id="benchmark-panel") as tab:
                bench.build(studio, visitor, desk.editor, tabs, tab)
            with gr.Tab("How it works", id="how", elem_id="how-panel") as tab:
                page = gr.HTML(apply_default_css=False, elem_classes=["desk"], elem_id="how")

        def explain(written: dict, name: str, attention: str) -> str:
            chosen = find(name)
            return how.page(draft.review(written, chosen, Limits.of(chosen), attention), attention)

        asked = [desk.editor, desk.model, desk.attention]
        for event in (tab.select, desk.changed.then):
            event(explain, asked, page, trigger_mode="always_last", **QUIET)
        service.build(studio)
    demo.studio = studio
    return demo


_LINKS = {
    "Paper": "https://arxiv.org/abs/2510.20822",
    "Code": "https://github.com/yihao-meng/HoloCine",
    "14B weights": "https://huggingface.co/hlwang06/HoloCine",
}


def _header(model: Model) -> str:
    size = f"{model.facts.width} × {model.facts.height}"
    links = "".join(f'<a href="{url}" target="_blank" rel="noopener">{name}</a>' for name, url in _LINKS.items())
    known = (
        "<p class='world'>The small model of this desk knows a puppet theatre and nothing else: eight colours, three "
        "bodies, hats, and six places. HoloCine’s own 14B weights, which know the world, run here on a GPU.</p>"
        if model.theatre
        else ""
    )
    return (
        '<header class="desk-header"><h1>HoloCine</h1><p>Write a scene, shot by shot. One model makes all of it.</p>'
        f'<nav aria-label="About HoloCine">{links}</nav>'
        f'<span class="model">{escape(model.name)} model, {size}</span>{known}</header>'
    )


def launch(demo: gr.Blocks, **options):
    """Serve the interface as it is meant to look; `options` are Gradio's."""
    limits = Limits.of(find())
    return demo.launch(
        theme=theme(),
        css_paths=CSS,
        js=SCRIPT.read_text(encoding="utf-8"),
        max_file_size=limits.upload_bytes,
        app_kwargs={
            "middleware": [
                Middleware(BodyLimit, upload_bytes=limits.upload_bytes),
                Middleware(Sending),
                Middleware(Styles),
                Middleware(
                    Metadata,
                    title=TITLE,
                    description=DESCRIPTION,
                    picture=PREVIEW,
                    find=partial(shared_video, demo.studio.outputs),
                    head=f"{style_links()}<script>{STORAGE.read_text(encoding='utf-8')}</script>",
                ),
            ]
        },
        favicon_path=ICON,
        ssr_mode=False,
        footer_links=["api"],
        **options,
    )


def _keep_few_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc; before there are threads.

    It gives each of many threads a heap of its own, and each of them keeps the most that its thread ever held: with 20
    visitors at once the desk grew to 1.6 GB, and stays at 1.2 GB with two.
    """
    with suppress(AttributeError, TypeError):  # another C library, or Windows
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, usage="python app.py").parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # the address is there at once where it goes to a file, too
    _keep_few_heaps()
    try:
        tell("app", opening())
        interface = build()
    except ValueError as error:
        raise SystemExit(f"app: {error}") from None
    if on_zero_gpu():
        holder.take(find().name)  # once and here: what borrows a GPU is a fork of this process
    else:
        threading.Thread(target=import_libraries, daemon=True).start()
    launch(interface, mcp_server=True)
