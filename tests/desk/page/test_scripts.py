"""The scripts of components alone, in a real browser: what they show of one value after the other."""

import pytest

from desk.page import components
from desk.page.theme import CSS

BEGIN = """([template, script]) => {
  const element = document.body.appendChild(document.createElement('div')), watched = {};
  element.innerHTML = template;
  window.props = { value: { state: 'empty' } };
  window.told = [];
  const watch = (name, listener) => { watched[name] = listener; }, trigger = (name, data) => told.push([name, data]);
  new Function('element', 'props', 'trigger', 'watch', script)(element, props, trigger, watch);
  window.give = (value) => { props.value = value; watched.value(); };
}"""
PLAN = {"title": "A walk", "fps": 12, "num_frames": 33, "cuts": [17], "shots": [], "count": 2, "blind": False}
STEP = {"stage": "denoise", "step": 1, "of": 2, "share": 0.1}


@pytest.fixture
def show(browser):
    """Call with a component for a page that has nothing else, whose `give` gives it a value."""
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def begin(component):
        page.add_style_tag(path=CSS)
        page.evaluate(BEGIN, [component.html_template, component.js_on_load])
        return page

    yield begin
    page.close()
    assert not errors


def give(page, **value):
    page.evaluate("(value) => give(value)", value)


def file(name):
    return {"url": f"data:video/mp4;name={name},"}


def version(letter, of):
    return {"letter": letter, "name": f"version {letter}", "aspect": 1.75, "video": file(f"{of}{letter}")}


def videos(page):
    return [video.get_attribute("src").split("name=")[1].rstrip(",") for video in page.locator("video").all()]


@pytest.fixture
def compared(show):
    """A finished comparison on the page."""
    page = show(components.comparison({}))
    give(page, **PLAN, state="done", versions=[version("A", "old"), version("B", "old")])
    return page


def test_an_earlier_comparison_stays_until_a_version_of_the_next_is_there(compared):
    for state, progress in (("waiting", {"before": 1}), ("running", STEP), ("running", STEP | {"stopping": True})):
        give(compared, **PLAN | {"count": 3}, state=state, progress=progress, versions=[])
        assert videos(compared) == ["oldA", "oldB"] and compared.locator(".blank").count() == 0
        assert compared.locator("[data-use]").count() == 2 and compared.locator(".status p").inner_text()
    give(compared, **PLAN | {"count": 3}, state="running", progress=STEP | {"made": 1}, versions=[version("A", "new")])
    assert videos(compared) == ["newA"] and compared.locator(".blank").count() == 2


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_an_earlier_comparison_comes_back_when_nothing_comes_of_the_next(compared, state):
    give(compared, **PLAN, state="running", progress=STEP | {"made": 1}, versions=[version("A", "new")])
    give(compared, state=state, message="Nothing came of it.")
    assert videos(compared) == ["oldA", "oldB"] and compared.locator("[data-use]").count() == 2
    assert compared.locator(".status p").inner_text() == "Nothing came of it."


def test_nothing_moves_when_a_comparison_is_begun_and_a_blind_one_shows_nothing_of_itself(compared):
    before = compared.locator(".transport").bounding_box()["y"]
    give(compared, **PLAN | {"blind": True}, state="running", progress={"share": 0.2})
    assert compared.locator(".transport").bounding_box()["y"] == before
    assert videos(compared) == ["oldA", "oldB"]
    sides = [{name: version(letter, "blind")[name] for name in ("letter", "aspect", "video")} for letter in "AB"]
    give(compared, **PLAN | {"blind": True}, state="done", hidden=True, voted=None, versions=sides)
    assert videos(compared) == ["blindA", "blindB"] and compared.locator("[data-use]").count() == 0


def test_nothing_plays_by_itself_for_who_wants_no_motion(show):
    page = show(components.stage({}))
    made = {**PLAN, "state": "done", "files": {"video": file("one")}}
    give(page, **made)
    assert page.locator("video[autoplay]").count() == 1
    page.emulate_media(reduced_motion="reduce")
    give(page, **made | {"files": {"video": file("two")}})
    takes = [{"take": 1, "name": 2, "seed": 1, "video": file("take")}]
    assert videos(page) == ["two"] and page.locator("video[autoplay]").count() == 0
    give(page, state="done", id="x", title="A walk", aspect=1.75, note="", retaken=[1], takes=takes)
    assert videos(page) == ["take"] and page.locator("video[autoplay]").count() == 0


def test_a_comparison_waits_for_play_where_no_motion_is_wanted(compared):
    assert compared.locator(".play").inner_text() == "Pause"
    compared.emulate_media(reduced_motion="reduce")
    give(compared, **PLAN, state="done", versions=[version("A", "new"), version("B", "new")])
    assert compared.locator(".play").inner_text() == "Play"


def test_what_is_not_made_yet_stands_in_the_middle(show):
    page = show(components.comparison({}))
    give(page, state="empty")
    box, text = page.locator(".blank").first.bounding_box(), page.locator(".blank span").first.bounding_box()
    assert abs(box["x"] + box["width"] / 2 - text["x"] - text["width"] / 2) < 2
    assert abs(box["y"] + box["height"] / 2 - text["y"] - text["height"] / 2) < 2


def test_takes_to_choose_from_stay_until_there_is_something_else_to_see(show):
    page = show(components.stage({}))
    takes = [{"take": n, "name": n + 1, "seed": n, "video": file(f"take{n}")} for n in (1, 2)]
    give(page, state="done", id="x", title="A walk", aspect=1.75, note="", retaken=[1], takes=takes)
    assert videos(page) == ["take1", "take2"]
    give(page, state="failed", message="The caption is empty.")
    assert videos(page) == ["take1", "take2"] and page.get_by_role("button", name="Use take 2").is_visible()
    assert page.locator(".status p").inner_text() == "The caption is empty."
    give(page, **PLAN, state="running", progress=STEP | {"previews": ["data:image/gif;base64,R0lGODlhAQABAAAAACw="]})
    assert videos(page) == [] and page.locator(".previews img").count() == 1
    give(page, **PLAN, state="cancelled", message="Cancelled.")
    assert videos(page) == ["take1", "take2"]
    give(page, **PLAN, state="done", files={"video": file("whole")})
    assert videos(page) == ["whole"]


PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw="


def scored(aspect, *rows, detected=()):
    shots = [{"first": 0, "last": 32, "picture": PIXEL, "caption": ""}]
    made = {**PLAN, "cuts": [], "kind": "scored", "unplanned": True, "shots": shots, "aspect": aspect, "state": "done"}
    return made | {"files": {"video": file(str(aspect))}, "scorecard": list(rows), "detected": list(detected)}


def row(name, value, verdict=""):
    return {"name": name, "value": value, "verdict": verdict, "measured": value is not None, "meaning": "."}


def test_of_a_video_that_nothing_was_asked_of_it_is_said_what_was_found(show):
    page, said = show(components.stage({})), ".scores summary p"
    give(page, **scored(1.75, row("Cuts", None), row("Motion", "0.4"), row("Flicker", "0.0"), detected=[17]))
    assert page.locator(said).inner_text().startswith("1 cut was found. Motion: 0.4. Flicker: 0.0. The other scores")
    give(page, **scored(1.8, row("Cuts", None)))
    assert page.locator(said).inner_text().startswith("No cuts were found. The other scores")
    give(page, **scored(1.9, row("Cuts", "1.000", "1 of 1 came where they were asked for"), row("Motion", "0.4")))
    assert page.locator(said).inner_text() == "Cuts: 1 of 1 came where they were asked for."


def test_shots_of_an_upright_video_push_what_is_below_little_farther_down_than_those_of_a_wide_one(show):
    page, tops = show(components.stage({})), []
    for aspect in (1.75, 0.56):
        give(page, **scored(aspect, row("Motion", "0.4")))
        tops.append(page.locator(".thumb").bounding_box()["height"])
    assert tops[1] < 1.4 * tops[0]
