"""What the page asks the server when something changes, and that it comes to rest."""

from collections import Counter

import gradio as gr

import app
from tests.desk.test_browser_drafts import title


def test_no_two_listeners_wait_for_their_turn_at_the_same_event(tmp_path):
    """Gradio would call them in turns without an end as soon as both were late once."""
    demo: gr.Blocks = app.build(str(tmp_path))
    waiting = [d for d in demo.config["dependencies"] if d["trigger_mode"] == "always_last"]
    events = Counter(tuple(target) for d in waiting for target in d["targets"] if target[0] is not None)
    assert events and max(events.values()) == 1


def test_a_page_that_comes_back_with_a_draft_asks_no_more_once_it_is_there(visit):
    page = visit()
    title(page).fill("Kept")
    title(page).blur()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_function("document.querySelector('#generate')?.disabled === false")
    page.wait_for_timeout(3000)
    before = len(asked)
    page.wait_for_timeout(2000)
    assert before and asked[before:] == []
