"""What visitors do in the other tabs, in a real browser, with the embedded model."""

import json

from playwright.sync_api import expect

from desk.service.serving import ROOT
from holocine import write_video
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene
from tests.desk.browsing import LONG, TABS, captions, open_scene, stage_of, steps_of_versions, until_done


def test_tabs_and_their_panels_have_names_and_so_has_what_is_in_them(visit):
    page = visit()
    expect(page.get_by_role("link", name="Code")).to_have_attribute("href", "https://github.com/yihao-meng/HoloCine")
    expect(stage_of(page).locator(".note")).to_contain_text("An example")
    assert "Made in" not in stage_of(page).inner_text()
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        if name == "Benchmark":
            expect(page.locator(".league h2")).to_be_visible()
        levels = page.evaluate(HEADINGS)
        assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), (name, levels)
        assert not page.evaluate(UNSAID), name


# Levels of the headings that can be seen, in order
HEADINGS = """[...document.querySelectorAll('h1, h2, h3, h4')].filter((one) => one.checkVisibility())
  .map((one) => Number(one.tagName[1]))"""
# Names of what is pressed that leave out words that are on it: who speaks to the page says those.
UNSAID = """() => {
  const plain = (text) => text.toLowerCase().replace(/[^a-z0-9. ]+/g, ' ').replace(/\\s+/g, ' ').trim();
  return [...document.querySelectorAll('button[aria-label]')].filter((one) => one.checkVisibility() && one.innerText)
    .filter((one) => !plain(one.getAttribute('aria-label')).includes(plain(one.innerText)))
    .map((one) => one.getAttribute('aria-label'));
}"""


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

    page.reload()
    page.get_by_role("tab", name="Score").click()
    page.wait_for_timeout(2000)  # for all that a page is told when it is opened
    expect(panel).to_have_attribute("data-state", "done")
    expect(panel.locator("video")).to_have_count(1)


def test_two_modes_are_compared_blind_and_voted_on(visit):
    page = visit()
    open_scene(page)
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".scene-line")).to_contain_text("A short walk")
    steps_of_versions(page, 1)
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

    page.reload()
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_timeout(2000)  # for all that a page is told when it is opened
    expect(compare).to_have_attribute("data-state", "done")
    expect(compare.locator("video")).to_have_count(2)


def test_published_results_sort_and_a_small_run_shows_its_videos(visit):
    page = visit()
    page.get_by_role("tab", name="Benchmark").click()
    table = page.locator(".league")
    expect(table.locator("h2")).to_contain_text("Suite")  # the results that come with the desk
    table.locator("[data-system=truth]").click()
    published = json.loads((ROOT / "benchmarks" / "results" / "puppet" / "run.json").read_text())["made"]["storyboards"]
    expect(page.locator(".reel .note")).to_contain_text(f"of these {published} videos along")
    video = page.locator(".reel video").first
    video.evaluate("(video) => video.play()")
    page.wait_for_function("document.querySelector('.reel video').currentTime > 0.2")
    scenes = page.locator(".reel article")
    expect(scenes).to_have_count(12)
    page.locator(".reel [data-more]").click()
    expect(scenes).to_have_count(24)
    table.locator("[data-system=single-prompt]").click()
    expect(page.locator(".reel h2")).to_have_text("Behind single-prompt")
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
