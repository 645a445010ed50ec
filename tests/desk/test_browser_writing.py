"""Scenes are written, pasted and drawn, and what is wrong with them is said, in a real browser."""

import re

from playwright.sync_api import expect

from desk.tabs.examples import VIDEOS
from holocine import Storyboard, read_storyboard
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


SERVER = re.compile("component_server")  # what the editor asks


def test_any_file_and_any_text_is_opened_or_answered_with_what_to_do(visit, tmp_path):
    page = visit()
    said, use = page.locator(".desk-dialog .error"), page.locator(".desk-dialog .use")

    def choose(name, content):
        (tmp_path / name).write_bytes(content)
        page.locator(".desk-dialog input[type=file]").set_input_files(tmp_path / name)

    video = VIDEOS / "lanterns.mp4"
    page.locator(".editor .open").click()
    choose("picture.png", bytes(1000))
    expect(said).to_contain_text("picture.png is no text: open YAML, JSON")
    choose("broken.mp4", video.read_bytes()[:500])
    expect(said).to_contain_text("broken.mp4 has no storyboard inside")
    choose("large.txt", b"a" * 5_000_000)
    expect(said).to_contain_text("large.txt has 5.0 MB, but a storyboard has at most 4")
    choose("mine.mp4", video.read_bytes())
    expect(page.locator(".desk-dialog .paste")).to_have_value(re.compile('"shots"'))
    expect(said).to_be_empty()
    use.click()
    expect(page.locator(".desk-dialog")).to_have_count(0)
    assert captions(page) == list(read_storyboard(video).captions)

    page.locator(".editor .open").click()
    page.locator(".desk-dialog .paste").fill("A young painter stands in a room: it is night.\nShe waits.")
    page.route(SERVER, lambda route: route.abort())
    use.click()
    expect(said).to_have_text("The server does not answer; is it still there?")
    page.unroute(SERVER)
    use.click()
    expect(said).to_contain_text("These are plain words, not a storyboard")
    page.get_by_role("button", name="Use it as the scene’s text").click()
    expect(page.locator(".editor .about")).to_have_value(re.compile("^A young painter .*waits.$", re.DOTALL))
    assert captions(page) == list(read_storyboard(video).captions)


def test_a_prompt_in_the_field_of_the_scene_becomes_scene_and_shots(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    about, before = page.locator(".editor .about"), captions(page)
    prompt = "[global caption] A room. [per shot caption] Wide shot. [shot cut] Close-up."
    page.evaluate("text => navigator.clipboard.writeText(text)", prompt)
    about.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+v")
    expect(about).to_have_value("A room.")
    assert captions(page) == ["Wide shot.", "Close-up."]
    expect(page.locator(".findings")).to_contain_text("The prompt was divided into the scene and 2 shots")
    expect(page.locator(".editor .total")).to_contain_text("129 frames")
    page.keyboard.press("Control+z")
    assert captions(page) == before
    about.fill(prompt)
    expect(page.locator(".forbids")).to_contain_text("The scene holds a prompt of 2 shots")
    page.locator(".forbids").get_by_role("button", name="Divide it into scene and shots").click()
    expect(about).to_have_value("A room.")
    assert captions(page) == ["Wide shot.", "Close-up."]
    page.locator(".editor .about").fill("A room. [shot cut]")
    expect(page.locator(".forbids")).to_contain_text("take these tags out")


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
