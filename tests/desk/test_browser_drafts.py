"""What visitors write is theirs: kept, taken back, shared; and what they came for is in sight. In a real browser."""

import base64
import json
import re
import zlib

import pytest
from playwright.sync_api import expect

from tests.desk.browsing import (
    LONG,
    SHIFTS,
    TABS,
    captions,
    fill_steps,
    generate,
    open_scene,
    set_steps,
    stage_of,
    until_new_video,
)
from tests.desk.conftest import until_ready

TWO = """
title: Two of them
global_caption: Dusk. The scene is set in a sunny beach. [character1] is a red round puppet with a golden crown.
  [character2] is a blue square puppet with no hat. They know each other.
fps: 12
seed: 6
shots:
- caption: Wide shot of [character1] and [character2] standing still. The camera is static.
  num_frames: 17
- caption: Close-up of [character2] standing still. The camera is static.
  num_frames: 16
"""
LONG_SCENE = (
    "title: Long\nglobal_caption: The scene is set in a sunny beach. [character1] is a red round puppet.\nshots:\n"
)
LONG_SCENE += "- caption: Wide shot of [character1] jumping. The camera is static.\n  num_frames: 20\n" * 13


def title(page):
    return page.locator(".editor .title")


def seed(page):
    return page.locator(".seed input")


def written(page):
    return title(page).input_value(), page.locator(".editor .about").input_value(), captions(page)


def test_a_draft_comes_back_after_a_reload_and_at_the_next_visit_and_is_nobody_elses(visit):
    page = visit()
    open_scene(page)
    page.locator(".editor .caption").first.fill("Wide shot of [character1] jumping. The camera is static.")
    title(page).fill("Mine alone")
    page.locator(".editor .add").click()
    page.locator(".editor .caption").last.fill("Not yet a shot")
    title(page).focus()
    mine, number = written(page), seed(page).input_value()
    page.reload()
    until_ready(page)
    assert (written(page), seed(page).input_value()) == (mine, number)
    again = visit(again=page)
    assert (written(again), seed(again).input_value()) == (mine, number)
    again.locator(".editor .undo").click()
    assert captions(again) != mine[2], "what was done before can still be taken back"
    assert written(visit())[0] == "Meeting on the beach"


TYPING = """async () => {
  const area = document.querySelector('.editor .about');
  for (let letter = 0; letter < 15; letter += 1) {
    area.value += 'x';
    area.dispatchEvent(new Event('input'));
    await new Promise((go) => setTimeout(go, 100));
  }
  return sessionStorage.getItem('holocine-draft');
}"""


def test_each_tab_keeps_its_own_draft_to_the_last_letter_and_an_old_one_is_still_read(visit):
    one = visit()
    two = visit(again=one)
    for page, words in ((one, "ONE"), (two, "TWO")):
        title(page).fill(words)
        title(page).blur()
    seed(two).fill("22")
    title(one).press("End")
    title(one).press_sequentially(" and more")
    one.reload()
    until_ready(one)
    expect(title(one)).to_have_value("ONE and more")
    assert seed(one).input_value() != "22"
    assert "xxxxx" in one.evaluate(TYPING), "nothing is kept of what is typed without a rest"
    expect(title(one)).to_have_value("ONE and more")
    two.reload()
    until_ready(two)
    expect(title(two)).to_have_value("TWO")

    old = {"title": "Old", "global_caption": "A room.", "shots": [{"caption": "A door.", "length": 5}]}
    one.evaluate("draft => localStorage.setItem('holocine-draft', draft)", json.dumps(old))
    assert written(visit(again=one)) == ("Old", "A room.", ["A door."])


def test_drafts_of_closed_tabs_are_offered_the_newest_first_and_opened_by_a_press(visit):
    page, drafts = visit(), ".editor .drafts button"
    for words in ("First", "Second", "Third", "Fourth"):
        title(page).fill(words)
        title(page).blur()
        page.reload()
        until_ready(page)
        title(page).press("End")
        title(page).press_sequentially("!")
        title(page).blur()
        again = visit(again=page)
        page.close()
        page = again
    expect(title(page)).to_have_value("Fourth!")
    assert page.locator(drafts).all_inner_texts() == ["Third!", "Second!"]
    number = seed(page).input_value()
    page.get_by_role("button", name="Second!").click()
    expect(title(page)).to_have_value("Second!")
    page.keyboard.press("Control+z")
    expect(title(page)).to_have_value("Fourth!")
    expect(seed(page)).to_have_value(number)
    expect(visit().locator(drafts)).to_have_count(0)


def test_what_came_back_is_what_is_made(visit):
    page = visit()
    open_scene(page)
    title(page).fill("After a reload")
    title(page).blur()
    page.reload()
    until_ready(page)
    set_steps(page, 1)  # without a word being touched
    generate(page)
    expect(stage_of(page).locator("video")).to_have_attribute("aria-label", "After a reload")
    expect(stage_of(page).locator(".facts")).to_contain_text("Seed 6")
    expect(seed(page)).to_have_value("6")


def test_one_history_takes_back_words_shots_and_whole_scenes_and_puts_them_back(visit):
    page = visit()
    open_scene(page)
    steps = [written(page)]
    first = page.locator(".editor .caption").first
    first.press_sequentially(" More words", delay=10)
    first.blur()
    steps.append(written(page))
    page.get_by_label("Delete shot 1").click()
    steps.append(written(page))
    page.locator(".scene-list button").nth(1).click()
    expect(title(page)).to_have_value("The lanterns light up")
    steps.append(written(page))
    page.locator(".editor .surprise").click()
    expect(title(page)).not_to_have_value("The lanterns light up")
    steps.append(written(page))

    for before in reversed(steps[:-1]):
        page.keyboard.press("Control+z")
        assert written(page) == before
        page.evaluate("document.activeElement.blur()")  # the keys are the whole tab's
    seed(page).fill("5")
    page.keyboard.press("Control+y")
    assert written(page) == steps[0], "a field of text elsewhere has its own history"
    page.locator(".scene-list button").first.focus()
    for after, keys in zip(steps[1:], ("Control+Shift+z", "Control+y", "Control+y", "Control+y"), strict=True):
        page.keyboard.press(keys)
        assert written(page) == after
    expect(page.locator(".editor .redo")).to_be_disabled()
    page.locator(".editor .undo").click()
    assert written(page) == steps[-2]
    page.locator(".scene-guide summary").click()
    for place in ("snow", "room"):
        words = page.locator(".editor .about").input_value()
        page.get_by_label("Setting", exact=True).select_option(place)
        expect(page.locator(".editor .about")).not_to_have_value(words)
    for _ in range(2):
        page.keyboard.press("Control+z")
    assert written(page) == steps[-2]


def test_the_stage_is_set_in_the_words_that_are_there_and_only_what_was_chosen_changes(visit):
    page = visit()
    open_scene(page, TWO)
    page.locator(".scene-guide summary").click()
    expect(page.get_by_label("2 body")).to_have_value("square")
    page.get_by_label("1 colour").select_option("green")
    page.get_by_label("Setting", exact=True).select_option("snow")
    expect(page.locator(".editor .about")).to_have_value(
        "Dusk. The scene is set in a snowy field. [character1] is a green round puppet with a golden crown. "
        "[character2] is a blue square puppet with no hat. They know each other."
    )


def test_the_last_video_stays_when_nothing_comes_of_the_next(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    generate(page)
    video = stage_of(page).locator(".screen video")
    before = video.get_attribute("src")
    fill_steps(page, 50)
    page.locator("#generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "running", timeout=300_000)
    page.locator("#cancel").click()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=300_000)
    expect(video).to_have_attribute("src", before)
    expect(stage_of(page).locator(".thumb")).to_have_count(2)
    page.locator(".editor .caption").first.fill("")
    page.locator("#generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "failed")
    expect(video).to_have_attribute("src", before)


PRESS_WHEN_DONE = """() => new Promise((pressed) => {
  const stage = document.querySelector('#direct-panel .stage'), button = document.querySelector('#generate');
  const look = () => {
    if (stage.dataset.state !== 'done' || button.disabled) return requestAnimationFrame(look);
    button.click();
    pressed(stage.querySelector('.screen video').getAttribute('src'));
  };
  look();
})"""


def test_a_press_the_moment_a_video_is_there_begins_the_next(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    page.locator("#generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "running", timeout=LONG)
    made = page.evaluate(PRESS_WHEN_DONE)
    until_new_video(page, [made])


def seed_of_link(page):
    page.locator(".editor .copy-link").click()
    expect(page.locator(".editor .copy-link")).to_have_text("Link copied")
    expect(page.locator(".editor .copy-link")).to_have_text("Copy link")
    packed = page.evaluate("navigator.clipboard.readText()").partition("#scene=")[2]
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "==="), -15))["draft"]["seed"]


def test_the_seed_that_is_shown_is_the_seed_that_is_used(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = seed(page).input_value()
    assert shown != "2", "the first video is no copy of the example"
    set_steps(page, 1)
    generate(page)
    facts = stage_of(page).locator(".facts")
    expect(facts).to_contain_text(f"Seed {shown}")
    expect(seed(page)).not_to_have_value(shown)
    assert seed_of_link(page) == int(shown), "a link sends what is seen"
    locks = page.locator(".editor .lock").filter(visible=True)
    expect(locks).not_to_have_count(0)
    page.locator(".scene-list button").first.click()
    expect(locks).to_have_count(0)
    assert seed_of_link(page) == 2
    shown = seed(page).input_value()
    page.locator(".editor .caption").first.fill("Wide shot of [character1] jumping. The camera is static.")
    assert seed_of_link(page) == int(shown)
    page.locator(".seed .mode").click()
    generate(page)
    expect(facts).to_contain_text(f"Seed {shown}")
    expect(seed(page)).to_have_value(shown)
    seed(page).fill("41")
    generate(page)
    expect(facts).to_contain_text("Seed 41")
    expect(page.locator(".seed .time")).to_contain_text(re.compile(r"about \d+ s"))
    open_scene(page, LONG_SCENE)
    expect(page.locator(".seed .time")).to_be_empty()
    open_scene(page)
    expect(seed(page)).to_have_value("6")
    seed(page).fill("many")
    page.locator("#generate").click()
    expect(stage_of(page).locator(".status p")).to_contain_text("The seed is 'many'")


@pytest.mark.parametrize("size", [(1280, 900), (1366, 650), (390, 844)], ids=["desktop", "laptop", "phone"])
def test_what_one_came_for_is_in_sight_and_nothing_jumps(visit, size):
    page = visit(watch=SHIFTS, viewport=dict(zip(("width", "height"), size, strict=True)))
    set_steps(page, 2)
    page.locator(".editor .shot").last.scroll_into_view_if_needed()
    page.evaluate("window.shifted = 0")
    expect(page.locator("#generate")).to_be_in_viewport(ratio=1)
    expect(seed(page)).to_be_in_viewport(ratio=1)
    generate(page)
    expect(stage_of(page).locator(".screen video")).to_be_in_viewport(ratio=0.95)
    assert page.evaluate("shifted") < 0.1
    scores = stage_of(page).locator(".scores")
    expect(scores.locator("summary").first).to_contain_text("Cuts: 2 of 2 came where they were asked for")
    expect(scores.locator(".score").first).to_be_hidden()
    scores.locator("summary").first.click()
    expect(scores.locator(".score").first).to_be_visible()


def test_a_scene_that_is_too_long_says_what_fits_and_is_shortened_by_a_press(visit):
    page = visit()
    open_scene(page, LONG_SCENE)
    expect(page.locator(".findings .error")).to_contain_text("at most 129: its 13 shots fit with 129 frames, about 10")
    forbids = page.locator(".desk-actions .forbids")
    expect(forbids).to_contain_text("The scene has 261 frames")
    generate = page.locator("#generate")
    for part in (forbids, generate, seed(page)):
        expect(part).to_be_in_viewport(ratio=1)
    assert forbids.bounding_box()["y"] < generate.bounding_box()["y"]
    forbids.get_by_role("button", name="Shorten all shots").click()
    expect(forbids).to_have_count(0)
    expect(page.locator(".editor .total")).to_contain_text("129 frames")
    expect(page.locator(".findings .error")).to_have_count(0)


def test_the_first_doubt_is_said_beside_generate_and_leads_to_all(visit):
    page = visit()
    page.set_viewport_size({"width": 1280, "height": 700})
    page.locator(".editor textarea").first.fill("A cat on a sunny beach. [character1] is a red round puppet.")
    doubts = page.locator(".desk-actions .doubts")
    expect(doubts).to_contain_text("has never heard of “cat”")
    page.evaluate("scrollTo(0, 0)")
    expect(doubts).to_be_in_viewport()
    findings = page.locator(".editor .findings")
    expect(findings).not_to_be_in_viewport(ratio=1)
    doubts.get_by_role("button", name=re.compile("And [0-9]+ more")).click()
    expect(findings).to_be_in_viewport(ratio=1)
    page.locator(".editor textarea").first.fill("The setting is a sunny beach. [character1] is a red round puppet.")
    expect(doubts).not_to_contain_text("cat")


def test_a_word_outside_the_theatre_is_exchanged_by_a_press(visit):
    page = visit()
    open_scene(page)
    page.locator(".editor .caption").first.fill("Wide shot of [character1] dancing. It rains. The camera is static.")
    expect(page.locator(".findings .warning")).to_contain_text("“rains”: the theatre has no weather")
    page.get_by_role("button", name="dancing → jumping").click()
    expect(page.locator(".editor .caption").first).to_have_value(re.compile(r"\[character1\] jumping\."))
    page.locator(".editor .about").fill(
        "The scene is set in a beach. [character1] is a crimson round puppet with a cap."
    )
    page.get_by_role("button", name="crimson → red").click()
    expect(page.locator(".editor .about")).to_have_value(re.compile("a red round puppet"))
    expect(page.locator("header.desk-header")).to_contain_text("knows a puppet theatre and nothing else")


def test_a_link_opens_the_scene_with_its_seed_and_settings_elsewhere(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_scene(page)
    title(page).fill("Grüße 🎬 سلام")
    seed(page).fill("77")
    set_steps(page, 7)
    page.wait_for_function("globalThis.holocineSettings.steps === 7")  # nobody presses in the moment before
    page.locator(".editor .copy-link").click()
    expect(page.locator(".editor .copy-link")).to_have_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    mine = written(page)

    first = visit()
    title(first).fill("My own")
    title(first).blur()
    other = visit(again=first, address="/#" + link.partition("#")[2])
    expect(title(other)).to_have_value("Grüße 🎬 سلام")
    expect(seed(other)).to_have_value("77")
    assert written(other) == mine and "#scene" not in other.url
    other.get_by_role("button", name="Settings").click()
    expect(other.locator("#direct-panel").get_by_role("slider", name="range slider for Steps")).to_have_value("7")
    other.locator(".editor .undo").click()
    expect(title(other)).to_have_value("My own")

    sent = visit(address="/#" + link.partition("#")[2] + ").")  # as a message had it in brackets
    expect(title(sent)).to_have_value("Grüße 🎬 سلام")


@pytest.mark.parametrize(
    "packed", ["AAAA", "", "AAAA…", {"shots": [{"caption": "A.", "num_frames": "x"}]}, {"shots": []}]
)
def test_a_link_that_is_damaged_or_cut_short_says_so_and_changes_nothing(visit, packed):
    if isinstance(packed, dict):
        deflate = zlib.compressobj(wbits=-15)
        body = deflate.compress(json.dumps({"draft": packed}).encode()) + deflate.flush()
        packed = base64.urlsafe_b64encode(body).decode().rstrip("=")
    page = visit(address=f"/#scene={packed}")
    expect(page.locator(".findings")).to_contain_text("The link is damaged or cut short")
    expect(title(page)).to_have_value("Meeting on the beach")
    assert "#scene" not in page.url


def test_tabs_are_in_the_address_and_back_goes_back(visit):
    page = visit()
    for name in TABS[1:3]:
        page.get_by_role("tab", name=name).click()
    assert page.url.endswith("#score")
    page.go_back()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_role("tab", name="Direct")).to_have_attribute("aria-selected", "true")
    linked = visit(address="/#benchmark")
    expect(linked.get_by_role("tab", name="Benchmark")).to_have_attribute("aria-selected", "true")


def test_the_keyboard_is_where_it_was_after_cancel(visit):
    page = visit()
    set_steps(page, 50)
    page.locator("#generate").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#cancel")).to_be_focused(timeout=300_000)
    page.keyboard.press("Enter")
    expect(page.locator("#generate")).to_be_focused(timeout=300_000)


def test_a_video_has_a_page_of_its_own_for_those_who_have_its_link(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_scene(page)
    set_steps(page, 1)
    generate(page)
    stage_of(page).get_by_role("button", name="Copy a link to it").click()
    expect(stage_of(page).locator(".downloads")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    other = visit(address=link[link.index("/?") :])
    expect(stage_of(other).locator("video")).to_have_attribute("aria-label", "A short walk")
    expect(stage_of(other).locator(".note")).to_contain_text("Somebody shared this video with you")
    expect(stage_of(other).locator(".retake")).to_have_count(0)
    assert title(other).input_value() == "Meeting on the beach"
    stage_of(other).get_by_role("button", name="Edit this scene").click()
    expect(title(other)).to_have_value("A short walk")
    gone = visit(address="/?video=" + "a" * 22)
    expect(gone.get_by_text("The video of this link is no longer kept here.")).to_be_visible()


NO_STORES = """for (const name of ['localStorage', 'sessionStorage'])
  Object.defineProperty(window, name, { configurable: true, get() { throw new DOMException('denied'); } });"""


def test_the_desk_works_in_a_browser_that_lets_pages_keep_nothing(visit):
    page = visit(watch=NO_STORES)
    open_scene(page)
    expect(title(page)).to_have_value("A short walk")
    page.locator("#generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "running", timeout=300_000)
    page.locator("#cancel").click()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=300_000)
