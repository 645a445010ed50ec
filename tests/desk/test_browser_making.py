"""Videos are made, cancelled and found again, in a real browser, with the embedded model."""

import re

from playwright.sync_api import expect

from holocine import read_storyboard, read_video
from tests.desk.browsing import (
    LONG,
    SCENE,
    captions,
    cuts,
    fill_steps,
    generate,
    open_scene,
    set_steps,
    stage_of,
    until_new_video,
)
from tests.desk.conftest import until_ready


def drag(page, cut, share):
    """Drag a cut of the editor's timeline to a share of its width."""
    cut.hover()  # waits until it stands still
    page.mouse.down()
    strip = page.locator(".editor .strip").bounding_box()
    page.mouse.move(strip["x"] + strip["width"] * share, strip["y"] + strip["height"] / 2, steps=6)
    page.mouse.up()


def test_at_the_first_visit_an_example_plays(visit):
    page = visit()
    page.wait_for_function("document.querySelector('.stage video')?.currentTime > 0.2")
    expect(stage_of(page).locator(".note")).to_contain_text("An example")
    expect(page.locator(".findings")).to_contain_text("Ready")
    page.locator(".scene-list button").nth(1).click()
    expect(page.locator(".editor .title")).to_have_value("The lanterns light up")
    expect(stage_of(page).locator("video")).to_have_attribute("aria-label", "The lanterns light up")


def test_an_edited_storyboard_becomes_a_video_with_its_cuts(visit, tmp_path):
    page = visit()
    open_scene(page)
    shot, cut = page.locator(".editor .shot"), page.locator(".editor .cut")
    page.locator(".editor .add").click()
    shot.last.locator(".caption").fill("Insert shot of the empty stage. The camera is static.")
    shot.nth(1).get_by_label("Duplicate shot 2").click()
    shot.nth(0).get_by_label("Delete shot 1").click()
    shot.nth(2).get_by_label("Move shot 3 up").click()
    assert [text.split()[0] for text in captions(page)] == ["Close-up", "Insert", "Close-up"]
    assert cuts(page) == [13, 33]

    shot.nth(2).get_by_label("Shorter").click(click_count=2)
    drag(page, cut.first, 5.2 / 11)
    assert cuts(page) == [17, 33]
    cut.first.focus()
    page.keyboard.press("ArrowLeft")
    drag(page, cut.last, 7.9 / 11)
    assert cuts(page) == [13, 29]

    set_steps(page, 3)
    generate(page)
    with page.expect_download() as download:
        stage_of(page).locator(".downloads a", has_text="Video").click()
    download.value.save_as(tmp_path / "x.mp4")
    board = read_storyboard(tmp_path / "x.mp4")
    assert board.cuts == (13, 29) and board.captions == tuple(captions(page))
    assert download.value.suggested_filename == "A_short_walk.mp4"

    from eval import load_detector
    from eval.shots import thumbnails

    found = load_detector().detect(thumbnails(read_video(tmp_path / "x.mp4").frames)).cuts
    assert all(min(abs(frame - cut) for frame in found) <= 2 for cut in board.cuts)
    marks = stage_of(page).locator(".found")
    assert [int(mark.get_attribute("title").split()[-1]) for mark in marks.all()] == list(found)
    expect(stage_of(page).locator(".score summary").first).to_contain_text("2 of 2 came where they were asked for")
    page.evaluate("document.querySelector('.stage video').pause()")
    stage_of(page).locator(".planned .segment").nth(2).click()
    page.wait_for_function(f"document.querySelector('.stage video').currentTime >= {29 / 12}")


def test_cancel_stops_and_the_next_video_is_made(visit):
    page = visit()
    set_steps(page, 50)
    seed = page.locator(".seed input").input_value()
    page.locator("#generate").click()
    expect(stage_of(page).locator(".status p")).to_contain_text(
        re.compile(rf"Step \d+ of 50.*, seed {seed}\."), timeout=LONG
    )
    expect(stage_of(page).locator(".previews img")).to_have_count(3, timeout=LONG)
    page.locator("#cancel").click()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=LONG)
    expect(stage_of(page).locator(".status p")).to_have_text("Cancelled.")
    open_scene(page)
    fill_steps(page, 1)
    generate(page)


def test_who_waits_is_told_the_seed_that_is_used(visit):
    first, second = visit(), visit()
    set_steps(first, 50)
    first.locator("#generate").click()
    expect(stage_of(first).locator(".status p")).to_contain_text("Step", timeout=LONG)
    seed, told = second.locator(".seed input").input_value(), stage_of(second).locator(".status p")
    second.locator("#generate").click()
    expect(told).to_have_text(re.compile(rf"1 scene is before yours.*, seed {seed}\."))
    first.locator("#cancel").click()
    expect(told).to_have_text(re.compile(rf"Step \d+ of .*, seed {seed}\."), timeout=LONG)
    second.locator("#cancel").click()
    for page in (first, second):
        expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=LONG)


def test_visitors_find_their_own_scenes_again_and_nobody_elses(visit):
    first, second = visit(), visit()
    for page, title in ((first, "Mine"), (second, "Yours")):
        open_scene(page, SCENE.replace("A short walk", title))
        set_steps(page, 1)
        before = [stage_of(page).locator("video").get_attribute("src")]
        page.locator("#generate").click()
    for page, title, other in ((first, "Mine", "Yours"), (second, "Yours", "Mine")):
        until_new_video(page, before)
        page.reload()
        until_ready(page)
        history = page.locator(".scene-list").last
        expect(history).to_contain_text(title)
        assert other not in page.locator("body").inner_text()
        expect(stage_of(page).locator("video")).to_have_attribute("aria-label", title)
        history.locator("button").first.click()
        expect(page.locator(".editor .title")).to_have_value(title)


def test_a_reload_finds_the_video_that_is_being_made(visit):
    page = visit()
    set_steps(page, 50)
    page.locator("#generate").click()
    expect(stage_of(page).locator(".status p")).to_contain_text("Step", timeout=LONG)
    page.reload()
    until_ready(page)
    expect(stage_of(page)).to_have_attribute("data-state", "running")
    page.locator("#cancel").click()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=LONG)


def test_the_keyboard_reaches_cuts_and_makes_videos(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    cut = page.locator(".editor .cut")
    page.locator(".editor .title").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "slider":
            break
    before = int(cut.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowLeft")
    assert int(cut.get_attribute("aria-valuenow")) == before - 4
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.locator(".editor .caption").first.focus()
    before = [stage_of(page).locator("video").get_attribute("src")]
    page.keyboard.press("Control+Enter")
    until_new_video(page, before)
