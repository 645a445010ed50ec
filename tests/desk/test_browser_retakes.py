"""Shots of a finished video are made anew, locked, begun from pictures and gone on from, in a real browser."""

import base64
import re
from io import BytesIO

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from tests.desk.browsing import (
    LONG,
    generate,
    open_scene,
    set_steps,
    stage_of,
    until_done,
    until_new_video,
    video_frames,
)
from tests.desk.conftest import until_ready


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


LISTEN = """() => {
  const line = document.querySelector('#direct-panel .stage .status p');
  window.told = [];
  new MutationObserver(() => told.push(line.textContent)).observe(line, { childList: true, characterData: true, subtree: true });
}"""  # noqa: E501


def test_takes_lie_side_by_side_one_is_used_and_the_video_goes_on(visit):
    page = visit()
    open_scene(page)
    set_steps(page, 1)
    generate(page)
    first = video_frames(page)
    page.get_by_role("radio", name="Four takes").click()
    page.evaluate(LISTEN)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Retake shot 1").click()
    takes = stage_of(page).locator(".take")
    expect(takes).to_have_count(4, timeout=LONG)
    expect(page.get_by_role("heading", name="Which take of shot 1?")).to_be_in_viewport(ratio=1)
    said = "\n".join(page.evaluate("told"))
    for number, take in enumerate(takes.locator("p").all(), start=1):
        seed = take.inner_text().split()[-1]
        assert re.search(rf"^Take {number} of 4, seed {seed}: ", said, re.M), "whose seed is used is said"
    assert all(box["height"] >= 44 for box in (b.bounding_box() for b in takes.get_by_role("button").all()))
    page.set_viewport_size({"width": 1366, "height": 768})
    expect(stage_of(page).locator(".downloads *")).to_have_count(0)  # each is a video only once it is chosen
    page.reload()
    until_ready(page)
    expect(takes).to_have_count(4)
    last, below = takes.last.bounding_box(), page.locator("#direct-panel .scene-list").first.bounding_box()
    assert last["y"] + last["height"] <= below["y"], "takes lie over what follows, or that lies beside them"
    assert below["x"] + below["width"] <= 1366
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
