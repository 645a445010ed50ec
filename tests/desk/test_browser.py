"""What visitors do, in a real browser, with the embedded model."""

import base64
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from holocine import Storyboard, read_storyboard, read_video, write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from tests.desk.conftest import until_ready

SCENE = """
title: A short walk
global_caption: The scene is set in a sunny beach. [character1] is a red round puppet with a golden crown.
fps: 12
seed: 6
shots:
- caption: Wide shot of [character1] walking to the left. The camera is static.
  num_frames: 17
- caption: Close-up of [character1] standing still. The camera is static.
  num_frames: 16
"""
TABS = ("Direct", "Compare", "Score", "Benchmark", "How it works")
LONG = 300_000  # milliseconds for what computes, on a slow and busy machine


def stage_of(page, panel="direct"):
    return page.locator(f"#{panel}-panel .stage")


def open_scene(page, text=SCENE):
    page.locator(".editor .open").click()
    page.locator(".desk-dialog .paste").fill(text)
    page.locator(".desk-dialog .use").click()
    expect(page.locator(".desk-dialog")).to_have_count(0)


def set_steps(page, steps):
    page.get_by_role("button", name="Settings").click()
    fill_steps(page, steps)


def fill_steps(page, steps):
    panel = page.locator("#direct-panel")
    box = panel.get_by_role("spinbutton", name="number input for Steps")
    # Number and slider show one value: when both have it, the page has taken what was typed. On a busy machine what was
    # typed right after the settings were unfolded has been lost, for a reason not known: it is typed again then.
    slider = panel.get_by_role("slider", name="range slider for Steps")
    for _ in range(5):
        box.fill(str(steps))
        box.press("Tab")
        with suppress(AssertionError):
            return expect(slider).to_have_value(str(steps), timeout=5000)
    expect(slider).to_have_value(str(steps))


def until_done(page, panel="direct"):
    expect(stage_of(page, panel)).to_have_attribute("data-state", "done", timeout=LONG)


def generate(page):
    """Press the button and wait for a video that was not there before."""
    before = [video.get_attribute("src") for video in stage_of(page).locator("video").all()]
    page.locator("#generate").click()
    until_new_video(page, before)


def until_new_video(page, before):
    page.wait_for_function(ENDED, arg=before, timeout=LONG)
    expect(stage_of(page)).to_have_attribute("data-state", "done")


ENDED = """(before) => {
  const stage = document.querySelector('#direct-panel .stage'), video = stage.querySelector('video');
  if (stage.dataset.state === 'failed') return true;
  return stage.dataset.state === 'done' && video && !before.includes(video.getAttribute('src'));
}"""


def drag(page, cut, share):
    """Drag a cut of the editor's timeline to a share of its width."""
    cut.hover()  # waits until it stands still
    page.mouse.down()
    strip = page.locator(".editor .strip").bounding_box()
    page.mouse.move(strip["x"] + strip["width"] * share, strip["y"] + strip["height"] / 2, steps=6)
    page.mouse.up()


def cuts(page):
    return [int(cut.get_attribute("aria-valuenow")) for cut in page.locator(".editor .cut").all()]


def captions(page):
    return [area.input_value() for area in page.locator(".editor .caption").all()]


def test_at_the_first_visit_an_example_plays(visit):
    page = visit()
    page.wait_for_function("document.querySelector('.stage video')?.currentTime > 0.2")
    expect(stage_of(page).locator(".note")).to_contain_text("An example")
    expect(page.locator(".findings")).to_contain_text("Ready")
    page.locator(".scene-list button").nth(1).click()
    expect(page.locator(".editor .title")).to_have_value("The lanterns light up")
    expect(stage_of(page).locator("video")).to_have_attribute("aria-label", "The lanterns light up")


def test_tabs_and_their_panels_have_names(visit):
    page = visit()
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


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
    from holocine import read_video

    found = load_detector().detect(thumbnails(read_video(tmp_path / "x.mp4").frames)).cuts
    assert all(min(abs(frame - cut) for frame in found) <= 2 for cut in board.cuts)
    marks = stage_of(page).locator(".found")
    assert [int(mark.get_attribute("title").split()[-1]) for mark in marks.all()] == list(found)
    expect(stage_of(page).locator(".score summary").first).to_contain_text("2 of 2 came where they were asked for")
    page.evaluate("document.querySelector('.stage video').pause()")
    stage_of(page).locator(".planned .segment").nth(2).click()
    page.wait_for_function(f"document.querySelector('.stage video').currentTime >= {29 / 12}")


def video_frames(page):
    """The frames of the video on the stage, as its file has them."""
    url = stage_of(page).locator(".downloads a", has_text="Video").get_attribute("href")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        file.write_bytes(page.request.get(url).body())
        return read_video(file).frames


def test_a_shot_gets_a_new_take_of_old_words_and_of_new_ones_and_locked_shots_stay(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    generate(page)
    first, before = video_frames(page), page.locator(".stage video").first.get_attribute("src")
    page.get_by_role("button", name="Retake shot 2").click()
    until_new_video(page, [before])
    expect(stage_of(page).locator(".thumb").nth(1)).to_contain_text("take 2")
    second = video_frames(page)
    assert np.array_equal(first[:17], second[:17]) and not np.array_equal(first[17:], second[17:])
    expect(page.locator(".scene-list").last.locator("button")).to_have_count(2)

    page.locator(".editor .caption").nth(1).fill("Close-up of [character1] jumping. The camera is static.")
    before = page.locator(".stage video").first.get_attribute("src")
    expect(page.get_by_role("button", name="Make all anew")).to_be_visible()
    page.get_by_role("button", name="Retake this shot").click()
    until_new_video(page, [before])
    expect(stage_of(page).locator(".thumb").nth(1)).to_have_attribute("title", re.compile("jumping"))
    expect(page.get_by_role("button", name="Retake this shot")).to_have_count(0)

    third = video_frames(page)
    page.get_by_role("button", name="Lock shot 2", exact=True).click()
    expect(page.get_by_role("button", name="Unlock shot 2")).to_have_attribute("aria-pressed", "true")
    page.locator(".editor .caption").first.fill("Wide shot of [character1] standing still. The camera is static.")
    generate(page)
    fourth = video_frames(page)
    assert np.array_equal(third[17:], fourth[17:]) and not np.array_equal(third[:17], fourth[:17])
    page.get_by_role("button", name="Lock shot 1", exact=True).click()
    page.locator("#generate").click()
    expect(stage_of(page).locator(".status p")).to_contain_text("All shots are locked")


DROP = """(part, [name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), given = new DataTransfer();
  given.items.add(new File([bytes], name, { type: 'image/png' }));
  const options = { dataTransfer: given, bubbles: true, cancelable: true };
  for (const type of ['dragover', 'drop']) part.dispatchEvent(new DragEvent(type, options));
}"""


def drop(part, name, picture):
    """Drop a file on a part of the page; picture: an image, or any bytes."""
    file = BytesIO()
    if isinstance(picture, bytes):
        file.write(picture)
    else:
        picture.save(file, "PNG")
    part.evaluate(DROP, [name, base64.b64encode(file.getvalue()).decode()])


def test_pictures_are_dropped_on_shots_and_characters_and_a_shot_is_retaken_from_another(visit):
    scene = sample_scene(3, num_frames=33)
    still = Image.fromarray(render(scene, only=range(1))[0][0])
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    shot = page.locator(".editor .shot").nth(1)
    drop(shot, "notes.png", b"no picture")
    expect(page.locator(".editor .findings")).to_contain_text("notes.png is no picture that this browser can read")
    drop(shot, "still.png", still.resize((1120, 640)))
    drop(page.locator(".editor .member").first, "hero.png", still)
    expect(shot.locator(".picture img")).to_be_visible()
    expect(page.locator(".editor .member .picture img")).to_be_visible()
    generate(page)
    frames = video_frames(page)
    small = still.resize(frames.shape[2:0:-1], Image.Resampling.LANCZOS)
    assert np.abs(frames[17].astype(int) - np.asarray(small)).mean() < 6, "the shot begins with the picture"

    drop(shot, "other.png", Image.new("RGB", still.size, (30, 90, 160)))
    before = page.locator(".stage video").first.get_attribute("src")
    page.get_by_role("button", name="Retake this shot").click()
    until_new_video(page, [before])
    again = video_frames(page)
    assert np.array_equal(frames[:17], again[:17])
    assert np.abs(again[17].astype(int) - (30, 90, 160)).mean() < 8

    page.get_by_role("button", name="Remove: The picture of character 1").click()
    expect(page.locator(".editor .member .picture")).to_have_count(0)
    page.locator(".editor .undo").click()
    expect(page.locator(".editor .member .picture img")).to_be_visible()


def test_takes_lie_side_by_side_one_is_used_and_the_video_goes_on(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    generate(page)
    first = video_frames(page)
    page.get_by_role("radio", name="Four takes").click()
    page.get_by_role("button", name="Retake shot 1").click()
    takes = stage_of(page).locator(".take")
    expect(takes).to_have_count(4, timeout=LONG)
    assert all(box["height"] >= 44 for box in (b.bounding_box() for b in takes.get_by_role("button").all()))
    page.reload()
    until_ready(page)
    expect(takes).to_have_count(4)
    page.locator(".scene-list").last.locator("button").first.click()
    expect(page.locator(".editor .title")).to_have_value("A short walk")
    page.get_by_role("button", name="Use take 3").click()
    expect(takes).to_have_count(0)
    until_done(page)
    expect(stage_of(page).locator(".thumb").first).to_contain_text("take 3")
    used = video_frames(page)
    assert np.array_equal(first[17:], used[17:]) and not np.array_equal(first[:17], used[:17])

    before = page.locator(".stage video").first.get_attribute("src")
    page.locator(".editor .add").click()
    page.locator(".editor .caption").last.fill("Insert shot of the empty stage. The camera is static.")
    page.get_by_role("button", name="Continue this video").click()
    until_new_video(page, [before])
    expect(stage_of(page).locator(".thumb")).to_have_count(3)
    film = video_frames(page)
    assert len(film) == 53 and np.array_equal(film[:33], used)


def test_cancel_stops_and_the_next_video_is_made(visit):
    page = visit()
    set_steps(page, 50)
    page.locator("#generate").click()
    expect(stage_of(page).locator(".status p")).to_contain_text(re.compile(r"Step \d+ of 50"), timeout=LONG)
    expect(stage_of(page).locator(".previews img")).to_have_count(3, timeout=LONG)
    page.locator("#cancel").click()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=LONG)
    expect(stage_of(page).locator(".status p")).to_have_text("Cancelled.")
    open_scene(page)
    fill_steps(page, 1)
    generate(page)


def test_an_invalid_storyboard_is_a_sentence_and_no_job(visit, desk):
    page = visit()
    open_scene(page)
    page.locator(".editor .caption").first.fill("")
    expect(page.locator(".findings .error")).to_contain_text("Shot 1 of 2: the caption is empty")
    page.get_by_role("button", name="Generate").click()
    expect(stage_of(page)).to_have_attribute("data-state", "failed")
    expect(stage_of(page).locator(".status p")).to_contain_text("the caption is empty")
    page.locator(".editor .undo").click()
    page.locator(".editor .caption").first.fill("Wide shot of [character1] riding a dragon.")
    expect(page.locator(".findings .warning")).to_contain_text("“riding”, “dragon”")


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


def test_a_foreign_video_is_scored_and_ours_can_be_edited(visit, tmp_path):
    scene = sample_scene(21, lengths=(17, 16))
    frames, board = render(scene)[0], to_storyboard(scene, title="Rendered")
    write_video(tmp_path / "foreign.mp4", frames, 12)
    write_video(tmp_path / "ours.mp4", frames, 12, board)
    (tmp_path / "text.mp4").write_text("no video")
    page = visit()
    page.get_by_role("tab", name="Score").click()
    panel = stage_of(page, "score")
    page.set_input_files("#upload input[type=file]", tmp_path / "foreign.mp4")
    expect(page.locator("#upload").get_by_role("cell", name="foreign.mp4")).to_be_visible()
    page.locator("#score").click()
    until_done(page, "score")
    assert [mark.get_attribute("title") for mark in panel.locator(".found").all()] == ["Detected cut at frame 17"]
    expect(panel.locator(".thumb")).to_have_count(2)
    expect(page.locator("#edit-scene")).to_be_hidden()

    for name, state in (("text.mp4", "failed"), ("ours.mp4", "done")):
        page.locator("#upload").get_by_label("Clear").click()
        page.set_input_files("#upload input[type=file]", tmp_path / name)
        expect(page.locator("#upload").get_by_role("cell", name=name)).to_be_visible()
        page.locator("#score").click()
        expect(panel).to_have_attribute("data-state", state, timeout=LONG)
        if state == "failed":
            expect(panel.locator(".status p")).to_contain_text("This file is no video")
    expect(panel.locator(".score summary").first).to_contain_text("1 of 1 came where they were asked for")
    page.locator("#edit-scene").click()
    expect(page.locator(".editor .title")).to_have_value("Rendered")
    assert captions(page) == list(board.captions)


def test_two_modes_are_compared_blind_and_voted_on(visit):
    page = visit()
    open_scene(page)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".scene-line")).to_contain_text("A short walk")
    for box in page.get_by_role("spinbutton", name="Steps").all():
        if box.is_visible():
            box.fill("1")
            box.press("Tab")
    page.locator("#blind input").check()
    page.locator("#compare").click()
    compare = page.locator(".compare")
    expect(compare).to_have_attribute("data-state", "done", timeout=LONG)
    expect(compare.locator("video")).to_have_count(2)
    assert "attention" not in compare.inner_text()
    sources = [video.get_attribute("src") for video in compare.locator("video").all()]
    assert all("anonymous" in source for source in sources)
    page.wait_for_function("[...document.querySelectorAll('.compare video')].every((video) => video.currentTime > 0.2)")
    compare.locator("[data-choice=A]").click()
    expect(compare.locator(".vote")).to_contain_text("You chose A.")
    names = {compare.locator("figcaption").nth(i).inner_text() for i in (0, 1)}
    assert {name.split(maxsplit=1)[1] for name in names} == {"sparse attention", "full attention"}
    expect(compare.locator("tbody tr").first).to_contain_text("Cuts")
    page.get_by_role("tab", name="Benchmark").click()
    expect(page.locator("div.desk-votes").last).to_contain_text("full attention")


def test_published_results_sort_and_a_small_run_shows_its_videos(visit):
    page = visit()
    page.get_by_role("tab", name="Benchmark").click()
    table = page.locator(".league")
    expect(table.locator("h3")).to_contain_text("Suite")  # the results that come with the desk
    table.locator("[data-system=truth]").click()
    expect(page.locator(".reel .note")).to_contain_text("of these 100 videos along")
    video = page.locator(".reel video").first
    video.evaluate("(video) => video.play()")
    page.wait_for_function("document.querySelector('.reel video').currentTime > 0.2")
    scenes = page.locator(".reel article")
    expect(scenes).to_have_count(12)
    page.locator(".reel [data-more]").click()
    expect(scenes).to_have_count(24)
    table.locator("[data-system=single-prompt]").click()
    expect(page.locator(".reel h3")).to_have_text("Behind single-prompt")
    order = page.get_by_label("Order of the scenes")
    order.select_option("lowest cuts first")
    lowest = float(scenes.first.locator(".scores").inner_text().split()[1])
    order.select_option("highest cuts first")
    assert float(scenes.first.locator(".scores").inner_text().split()[1]) > lowest
    expect(scenes).to_have_count(12)
    page.get_by_label("The paper’s Table 1").check()
    expect(table.locator("tbody tr")).to_have_count(5)
    table.get_by_role("button", name="SCA").click()
    expect(table.locator("tbody th").first).to_have_text("HoloCine")
    table.get_by_role("button", name="SCA").click()
    expect(table.locator("tbody th").first).to_have_text("Wan2.2 14B")
    page.get_by_role("button", name="Run a small benchmark now").click()
    for name in ("holocine", "isolated"):
        page.get_by_label(name, exact=True).uncheck()
    count = page.get_by_role("spinbutton", name="number input for Storyboards")
    count.fill("1")
    count.press("Tab")
    page.locator("#run").click()
    expect(page.locator(".run-status")).to_contain_text("Done", timeout=LONG)
    expect(table.locator("tbody tr")).to_have_count(2)
    table.locator("[data-system=truth]").click()
    expect(page.locator(".reel video")).to_have_count(1)
    page.locator(".reel [data-id]").click()
    expect(page.locator(".editor")).to_be_visible()
    expect(page.locator(".editor .title")).not_to_have_value("Meeting on the beach")


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


def test_on_a_phone_nothing_sticks_out_and_everything_can_be_reached(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.locator(".tabitem:visible :visible").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(visit, scheme):
    page = visit(color_scheme=scheme)
    expect(stage_of(page).locator(".note")).to_contain_text("An example")
    ratios = page.evaluate(CONTRAST)
    assert len(ratios) > 20
    page.get_by_role("tab", name="Benchmark").click()
    page.locator(".league [data-system=holocine]").click()
    expect(page.locator(".reel select")).to_be_visible()
    ratios += page.evaluate(CONTRAST)
    assert not [(text, ratio) for text, ratio in ratios if ratio < 4.5]


CONTRAST = """() => {
  const rgb = (text) => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('.desk *, .desk-header *, #generate')) {
    const written = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const own = written || node.matches('select');
    if (!own || !node.offsetParent || node.closest(':disabled') || node.closest('.screen, .previews')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    found.push([node.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""


def test_opening_the_page_and_writing_do_not_make_it_jump(visit):
    page = visit(watch=SHIFTS)
    page.wait_for_function("document.querySelector('.stage video')?.readyState > 1")
    assert page.evaluate("shifted") < 0.1  # what web.dev calls good
    expect(page.locator(".editor .tokens").first).to_contain_text("text tokens")
    tokens, before = page.locator(".editor .tokens").first.inner_text(), page.locator("#generate").bounding_box()
    page.locator(".editor .caption").first.fill("Wide shot of [character1].")
    expect(page.locator(".editor .tokens").first).not_to_have_text(tokens)  # what was written has been read
    assert page.locator("#generate").bounding_box() == before


SHIFTS = """
window.shifted = 0;
const add = (list) => list.getEntries().forEach((entry) => { window.shifted += entry.value; });
new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });
"""
