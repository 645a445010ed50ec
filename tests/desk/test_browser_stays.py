"""What was made stays in sight while something new is made, in a real browser, with the embedded model."""

import re

from playwright.sync_api import expect

from desk.service.serving import serving
from holocine import write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from tests.desk.browsing import LONG, open_scene, set_steps, stage_of, steps_of_versions, until_done, until_new_video
from tests.desk.conftest import PATIENCE, until_ready

# A page on a slow processor: it reads that its listeners were begun, all but the first, when they have told all.
SLOW = """(() => {
  const ask = globalThis.fetch;
  let asked = 0, told;
  const all_told = new Promise((go) => { told = go; });
  globalThis.fetch = async (...what) => {
    const address = String(what[0]?.url ?? what[0]), answer = await ask(...what);
    if (address.includes('/queue/data')) answer.clone().text().catch(() => {}).finally(told);
    if (address.includes('/queue/join') && asked++ > 0) {
      await Promise.all([all_told, new Promise((go) => setTimeout(go, 2500))]);
    }
    return answer;
  };
})()"""


def sources(page, place):
    return [video.get_attribute("src") for video in page.locator(f"{place} video").all()]


def test_an_earlier_comparison_stays_and_can_be_used_until_there_is_another(visit):
    page = visit()
    open_scene(page)
    page.get_by_role("tab", name="Compare").click()
    steps_of_versions(page, 1)
    compare = page.locator(".compare")
    page.locator("#compare").click()
    expect(compare).to_have_attribute("data-state", "done", timeout=LONG)
    expect(compare.locator("tbody tr").first).to_be_visible()
    earlier = sources(page, ".compare")
    assert len(earlier) == 2
    place = compare.locator("table").bounding_box()["y"]

    steps_of_versions(page, 50)
    page.locator("#compare").click()
    expect(compare).to_have_attribute("data-state", "running", timeout=LONG)
    expect(compare.locator(".status p")).to_contain_text(re.compile(r"Version 1 of 2: step \d+ of 50"), timeout=LONG)
    assert sources(page, ".compare") == earlier
    assert abs(compare.locator("table").bounding_box()["y"] - place) < 1, "nothing moves"
    page.locator("#compare-panel").get_by_role("button", name="Cancel").click()
    expect(compare).to_have_attribute("data-state", "cancelled", timeout=LONG)
    expect(compare.locator(".status p")).to_have_text("Cancelled.")
    assert sources(page, ".compare") == earlier
    compare.locator("[data-use=B]").click()
    expect(page.locator(".editor .title")).to_have_value("A short walk")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("radio", name="Full: everything sees everything")).to_be_checked()
    expect(stage_of(page).locator("video")).to_have_attribute("aria-label", "A short walk")
    expect(stage_of(page).locator(".facts")).to_contain_text("Attention full")
    expect(page.locator("#direct-panel .scene-list").last.locator("button")).to_have_count(1)


def test_a_scored_video_and_its_scene_stay_when_nothing_comes_of_the_next(visit, tmp_path):
    scene = sample_scene(21, lengths=(17, 16))
    write_video(tmp_path / "ours.mp4", render(scene)[0], 12, to_storyboard(scene, title="Rendered"))
    (tmp_path / "text.mp4").write_text("no video")
    page = visit()
    page.get_by_role("tab", name="Score").click()
    panel = stage_of(page, "score")
    page.set_input_files("#upload input[type=file]", tmp_path / "ours.mp4")
    expect(page.locator("#upload").get_by_role("cell", name="ours.mp4")).to_be_visible()
    page.locator("#score").click()
    until_done(page, "score")
    earlier = panel.locator("video").get_attribute("src")
    page.locator("#upload").get_by_label("Clear").click()
    page.locator("#score").click()
    expect(panel.locator(".status p")).to_contain_text("There is no video yet")
    page.set_input_files("#upload input[type=file]", tmp_path / "text.mp4")
    expect(page.locator("#upload").get_by_role("cell", name="text.mp4")).to_be_visible()
    page.locator("#score").click()
    expect(panel.locator(".status p")).to_contain_text("This file is no video", timeout=LONG)
    assert panel.locator("video").get_attribute("src") == earlier
    expect(panel.locator(".status p")).to_contain_text("What you see is ours.mp4, which was scored before.")
    expect(panel.locator(".card h2")).to_have_text("How ours.mp4 came out")
    expect(panel.locator(".score summary").first).to_contain_text("1 of 1 came where they were asked for")
    page.locator("#edit-scene").click()
    expect(page.locator(".editor .title")).to_have_value("Rendered")


def test_results_stay_while_a_small_run_is_made_and_when_one_comes_back_to_the_tab(visit):
    page = visit()
    page.get_by_role("tab", name="Benchmark").click()
    league, reel = page.locator(".league"), page.locator(".reel")
    league.get_by_role("button", name="SCA").click()
    league.locator("[data-system=truth]").click()
    expect(reel.locator("article")).to_have_count(12, timeout=LONG)
    page.get_by_role("button", name="Run a small benchmark now").click()
    page.locator("#run").click()
    expect(page.locator(".run-status")).to_contain_text(re.compile(r"\d of \d+ done"), timeout=LONG)
    page.get_by_role("tab", name="Direct").click()
    page.get_by_role("tab", name="Benchmark").click()
    page.wait_for_timeout(2000)  # for an answer that would empty them
    expect(reel.locator("h2")).to_have_text("Behind truth")
    expect(league.locator("thead th[aria-sort=descending]")).to_contain_text("SCA")
    page.locator("#benchmark-panel").get_by_role("button", name="Cancel").click()
    expect(page.locator(".run-status")).to_contain_text("Cancelled", timeout=LONG)
    expect(reel.locator("h2")).to_have_text("Behind truth")


def test_a_server_that_is_started_anew_has_lost_what_was_begun_and_says_so(browser, tmp_path):
    page = browser.new_page()
    expect.set_options(timeout=PATIENCE)
    with serving(tmp_path) as first:
        page.goto(first.url)
        until_ready(page)
        open_scene(page)
        set_steps(page, 50)
        page.locator("#generate").click()
        expect(stage_of(page).locator(".previews img").first).to_be_visible(timeout=LONG)
        first.process.kill()
    with serving(tmp_path, port=int(first.url.rpartition(":")[2])):
        expect(stage_of(page).locator(".status p")).to_contain_text("the server was started anew", timeout=LONG)
        expect(page.locator("#generate")).to_be_enabled()
        expect(page.locator(".editor .title")).to_have_value("A short walk")
        expect(stage_of(page).locator("video")).to_be_visible()
        page.locator("#generate").click()
        expect(stage_of(page)).to_have_attribute("data-state", "running", timeout=LONG)
        page.locator("#cancel").click()
        expect(stage_of(page).locator(".status p")).to_have_text("Cancelled.", timeout=LONG)
        page.reload()
        until_ready(page)
        expect(stage_of(page)).to_have_attribute("data-state", "done")
    page.close()


def test_a_page_that_is_slow_to_read_answers_is_told_all_the_same(visit, tmp_path):
    page = visit(watch=SLOW)
    expect(page.locator(".scene-list").last).to_contain_text("What you make is listed here")
    open_scene(page)
    set_steps(page, 1)
    page.locator(".seed .mode").click()  # a new one each time
    before, seed = sources(page, "#direct-panel"), page.locator(".seed input").input_value()
    page.locator("#generate").click()
    until_new_video(page, before)
    expect(page.locator("#generate")).to_be_enabled()
    expect(page.locator(".seed input")).not_to_have_value(seed)
    page.get_by_role("tab", name="Score").click()
    write_video(tmp_path / "scene.mp4", render(sample_scene(3, num_frames=33))[0], 12)
    page.set_input_files("#upload input[type=file]", tmp_path / "scene.mp4")
    expect(page.locator("#upload").get_by_role("cell", name="scene.mp4")).to_be_visible()
    page.locator("#score").click()
    until_done(page, "score")
    shown = [sources(page, panel) for panel in ("#direct-panel", "#score-panel")]

    page.reload()
    until_ready(page)
    assert shown[0] == sources(page, "#direct-panel")
    expect(page.locator(".scene-list").last).to_contain_text("A short walk")
    page.get_by_role("tab", name="Score").click()
    expect(page.locator("#score-panel video")).to_have_attribute("src", shown[1][0])
