"""Scenes are written, pasted and drawn, and what is wrong with them is said, in a real browser."""

import re

from playwright.sync_api import expect

from holocine import Storyboard
from tests.desk.browsing import captions, open_scene, stage_of


def test_an_invalid_storyboard_is_a_sentence_and_no_job(visit, desk):
    page = visit()
    open_scene(page)
    page.locator(".editor .caption").first.fill("")
    expect(page.locator(".findings .error")).to_contain_text("Shot 1 of 2: the caption is empty")
    page.get_by_role("button", name="Generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "failed")
    expect(stage_of(page).locator(".status p")).to_contain_text("the caption is empty")
    page.locator(".editor .undo").click()
    expect(stage_of(page).locator(".status p")).to_be_empty()  # it was said of another scene
    page.locator(".editor .caption").first.fill("Wide shot of [character1] riding a dragon.")
    expect(page.locator(".findings .warning")).to_contain_text("“riding”, “dragon”")


def test_text_from_right_to_left_is_laid_out_so(visit):
    page = visit()
    open_scene(page, "title: نزهة\nglobal_caption: شاطئ. [character1] دمية.\nshots: [{caption: لقطة., num_frames: 17}]")
    for field in (".title", ".about", ".caption"):
        direction = page.locator(f".editor {field}").first.evaluate("field => getComputedStyle(field).direction")
        assert direction == "rtl", field


def test_a_prompt_is_pasted_and_comes_back(visit):
    page = visit()
    prompt = "[global caption] A room. [per shot caption] Wide shot. [shot cut] Close-up. |"
    open_scene(page, f'prompt: "{prompt}"\nnum_frames: 50\nshot_cut_frames: [20]')
    assert captions(page) == ["Wide shot.", "Close-up."]
    expect(page.locator(".findings")).to_contain_text("cut at frame 20 was moved to frame 21")
    page.locator(".editor .save").click()
    page.get_by_role("radio", name="HoloCine prompt").click()
    text = page.locator(".desk-dialog textarea").input_value()
    assert text.startswith("[global caption] A room. This scene contains 2 shots. [per shot caption] Wide shot.")
    assert "cuts: 21" in text
    page.get_by_role("radio", name="YAML").click()
    yaml = page.locator(".desk-dialog textarea").input_value()
    assert Storyboard.from_yaml(yaml).cuts == (21,)
    page.keyboard.press("Escape")
    page.locator(".editor .open").click()
    page.locator(".desk-dialog .paste").fill("shots: 3")
    page.locator(".desk-dialog .use").click()
    expect(page.locator(".desk-dialog .error")).to_contain_text("Shots should be a list")


def test_surprise_and_guide_write_captions_of_the_theatre(visit):
    page = visit()
    page.locator(".editor .surprise").click()
    expect(page.locator(".editor .title")).not_to_have_value("Meeting on the beach")
    expect(page.locator(".findings")).to_contain_text("Ready")
    open_scene(page)
    shot = page.locator(".editor .shot").nth(1)
    shot.locator(".guide-toggle").click()
    shot.get_by_label("Action").select_option("jumping")
    shot.get_by_label("Camera").select_option("zoom in")
    expect(shot.locator(".caption")).to_have_value("Close-up of [character1] jumping. The camera zooms in.")
    page.locator(".scene-guide summary").click()
    page.get_by_label("Setting", exact=True).select_option("snow")
    page.get_by_role("button", name="Add a character").click()
    expect(page.locator(".editor .about")).to_have_value(re.compile(r"a snowy field.*\[character2\] is an? "))
    expect(page.locator(".editor .chip")).to_have_count(2)


def test_what_visitors_write_is_shown_as_text(visit):
    page = visit()
    evil = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
    open_scene(page)
    page.locator(".editor .title").fill(evil)
    page.locator(".editor .about").fill(f"{evil} [character1] is {evil}.")
    page.locator(".editor .caption").first.fill(evil)
    expect(page.locator(".findings")).to_contain_text("“onerror”")
    page.get_by_role("tab", name="How it works").click()
    expect(page.locator(".how b").first).to_have_text(evil)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".scene-line b")).to_have_text(evil)
    assert page.title() != "broken"
