"""What visitors do in Compare, the arena and Benchmark, in a real browser, with the embedded model."""

import re

from playwright.sync_api import expect

from benchmarks.reporting.arena import QUESTIONS
from tests.desk.browsing import LONG, stage_of, steps_of_versions


def test_the_arena_asks_one_thing_after_the_other_and_then_says_which_is_which(visit):
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Arena: two unknown systems").check()
    arena = page.locator(".arena")
    expect(arena.locator("video")).to_have_count(2, timeout=LONG)
    page.wait_for_function("[...document.querySelectorAll('.arena video')].every((video) => video.currentTime > 0.2)")
    for number, question in enumerate(QUESTIONS.values(), start=1):
        expect(arena.locator(".vote")).to_contain_text(f"Question {number} of {len(QUESTIONS)}")
        expect(arena.locator(".vote")).to_contain_text(question.text)
        expect(arena.locator("figcaption").first).to_have_text("A")
        arena.locator("[data-choice=left]").click()
    expect(arena.locator(".vote")).to_contain_text(re.compile("A is .+, B is "))
    names = [arena.locator("figcaption span").nth(i).inner_text() for i in (0, 1)]
    assert all(names) and not [url for url in asked for name in names if name in url and "/files/" in url]
    first = arena.locator("video").first.get_attribute("src")
    arena.locator("[data-next]").click()
    expect(arena.locator("video").first).not_to_have_attribute("src", first)
    page.get_by_role("button", name="What visitors said so far").click()
    said = page.locator("div.desk-votes").first
    expect(said).to_contain_text("there are too few votes for intervals", timeout=LONG)
    expect(page.locator("div.desk-votes").first).to_contain_text(f"{QUESTIONS['cuts'].text} 1 vote", timeout=LONG)


def test_versions_come_one_by_one_stand_at_one_frame_and_one_is_taken_to_direct(visit):
    page = visit()
    page.get_by_role("tab", name="Compare").click()
    steps_of_versions(page, 1)
    page.locator("#compare").click()
    compare = page.locator(".compare")
    expect(compare.locator("video")).to_have_count(1, timeout=LONG)
    expect(compare.locator(".blank")).to_have_count(1)
    expect(compare).to_have_attribute("data-state", "done", timeout=LONG)
    shared = int(re.match(r"All versions: seed (\d+), ", compare.locator(".alike").inner_text())[1])
    slider = compare.get_by_label("Frame")
    slider.fill("9")
    at_nine = "!video.seeking && Math.abs(video.currentTime - 9.5 / 12) < 0.02"
    page.wait_for_function(f"[...document.querySelectorAll('.compare video')].every((video) => {at_nine})")
    compare.locator("[data-use=B]").click()
    expect(page.locator(".editor")).to_be_visible()
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("radio", name="Full: everything sees everything")).to_be_checked()
    expect(page.get_by_role("spinbutton", name="number input for Steps")).to_have_value("1")
    expect(stage_of(page).locator(".facts")).to_contain_text(f"Seed {shared}")


def test_a_press_anywhere_in_a_row_of_results_opens_it_and_all_columns_can_be_reached(visit):
    page = visit(viewport={"width": 390, "height": 844})
    held, league = [], page.locator(".league")
    page.route("**/queue/join*", lambda route: held.append(route))  # as on a server that has just begun
    page.get_by_role("tab", name="Benchmark").click()
    expect(league).to_have_text("The results are being read.")
    for asked in held:
        asked.continue_()
    page.unroute("**/queue/join*")
    expect(league.locator(".verdict")).to_contain_text("Of ", timeout=LONG)
    scroll = league.locator(".scroll")
    first = league.locator("tbody th").first
    before = first.bounding_box()["x"]
    scroll.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
    assert abs(first.bounding_box()["x"] - before) < 1, "the first column stays"
    last = league.locator("thead th").last.bounding_box()
    assert last["x"] + last["width"] <= 390 + 1, "the last column is reached"
    row = league.locator("tbody tr.opens").first
    row.locator("td").last.click()
    expect(page.locator(".reel h2")).to_have_text(f"Behind {row.locator('th').inner_text()}")
    expect(league.locator(".systems")).to_contain_text("sparse attention with summaries")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
