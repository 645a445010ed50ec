"""How the page looks: on a phone, in light and dark, and while it opens. In a real browser."""

import pytest
from playwright.sync_api import expect

from desk.first_load import first_load, table
from desk.tabs.examples import VIDEOS
from tests.desk.browsing import LONG, SHIFTS, TABS, stage_of, until_done

BEACH = VIDEOS / "beach.mp4"


def test_on_a_phone_nothing_sticks_out_and_everything_can_be_reached(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator(".editor .guide-toggle").first.click()
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.locator(".tabitem:visible :visible").first).to_be_visible()
        if name == "Benchmark":
            page.locator(".league .open-row").first.click()
            expect(page.locator(".reel article").first).to_be_visible()
        if name == "Score":
            page.set_input_files("#upload input[type=file]", BEACH)
            expect(page.locator("#upload .file-preview")).to_be_visible()
        for fold in page.locator(".tabitem:visible .label-wrap:not(.open)").all():
            fold.click()
        page.evaluate("document.querySelectorAll('.tabitem details').forEach((part) => { part.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.evaluate(TOO_SMALL) == [], f"targets under 44 pixels in {name}"
    page.get_by_role("tab", name="Direct").click()
    for tool in ("open", "save"):
        page.locator(f".editor .{tool}").click()
        expect(page.locator(".desk-dialog textarea")).to_be_visible()
        assert page.evaluate(TOO_SMALL) == [], f"targets under 44 pixels in the dialog of {tool}"
        page.keyboard.press("Escape")
    for tab, text in (("Direct", "Attention between shots"), ("Score", "Video: at most")):
        page.get_by_role("tab", name=tab).click()
        named = page.get_by_role("tabpanel", name=tab).get_by_text(text)
        named.evaluate("part => scrollBy(0, part.getBoundingClientRect().top - 60)")
        assert not named.evaluate(ON_TOP), "names of fields lie over the pinned picture"
    page.get_by_role("tab", name="Direct").click()
    for width in (390, 720):  # as well as a desktop's window at 200 %
        page.set_viewport_size({"width": width, "height": 844})
        for name in ("planned", "detected"):
            assert stage_of(page).locator(f".lane.{name}").bounding_box()["width"] > width / 2, name
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("#generate")).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, document.querySelector('.stage .shots').getBoundingClientRect().top + scrollY - 400)")
    expect(page.locator("#generate")).to_be_in_viewport(ratio=1)


ON_TOP = """(part) => {
  const { x, y } = part.getBoundingClientRect();
  return part.contains(document.elementFromPoint(x + 9, y + 9));
}"""

# What a finger presses and cannot reach 44 pixels across and down of, or not at all
TOO_SMALL = """() => {
  const short = [], PRESSED = 'a, button, select, summary, input, textarea, fieldset label';
  const among = document.querySelector('dialog[open]') || document;
  for (const part of among.querySelectorAll(PRESSED)) {
    if (part.disabled || !part.checkVisibility({ visibilityProperty: true }) || !part.offsetWidth) continue;
    if (part.matches('.cut, .found, .visually-hidden *')) continue; // as wide as others leave room; seen by nobody
    const target = part.matches('[type=radio], [type=checkbox]') ? part.closest('label') : part;
    part.scrollIntoView({ block: 'center', behavior: 'instant' });
    const { x, y, width, height } = target.getBoundingClientRect(), middle = [x + width / 2, y + height / 2];
    const hit = (dx, dy) => target.contains(document.elementFromPoint(middle[0] + dx, middle[1] + dy));
    const sides = [[-1, 0], [1, 0], [0, -1], [0, 1]];
    const [left, right, up, down] = sides.map(([dx, dy]) => { let n = 0; while (n < 44 && hit(dx * (n + 1), dy * (n + 1))) n += 1; return n; });
    if (!hit(0, 0) || left + right + 1 < 43 || up + down + 1 < 43) short.push(`${part.outerHTML.slice(0, 90)} ${left + right + 1}x${up + down + 1}`);
  }
  scrollTo(0, 0);
  return short;
}"""  # noqa: E501


def test_on_a_phone_nothing_moves_when_a_video_is_begun_and_cancelled(visit):
    page = visit(watch=SHIFTS, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.wait_for_function("document.querySelector('.stage video')?.readyState > 1")
    place, before = page.locator(".editor .title").bounding_box(), page.evaluate("shifted")
    page.locator("#generate").tap()
    expect(stage_of(page).locator(".previews img").first).to_be_visible(timeout=LONG)
    assert page.locator(".editor .title").bounding_box() == place
    page.locator("#cancel").tap()
    expect(stage_of(page)).to_have_attribute("data-state", "cancelled", timeout=LONG)
    assert page.locator(".editor .title").bounding_box() == place
    assert page.evaluate("shifted") - before < 0.01


def test_on_a_phone_nothing_is_pinned_until_there_is_something_to_see(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.get_by_role("tab", name="Score").click()
    panel, down = stage_of(page, "score"), "scrollTo(0, document.documentElement.scrollHeight)"
    expect(panel.locator(".screen")).to_be_in_viewport()
    page.evaluate(down)
    expect(panel.locator(".screen")).not_to_be_in_viewport()
    page.locator("#score").tap()  # without a video
    expect(panel.locator(".status p")).to_contain_text("There is no video yet")
    expect(panel.locator(".status p")).to_be_in_viewport(ratio=1)
    page.evaluate(down)
    expect(panel.locator(".screen")).not_to_be_in_viewport()
    page.set_input_files("#upload input[type=file]", BEACH)
    expect(page.locator("#upload").get_by_role("cell", name="beach.mp4")).to_be_visible()
    page.locator("#score").tap()
    until_done(page, "score")
    page.evaluate(down)
    expect(panel.locator("video")).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("width", [390, 360, 320])
def test_on_a_phone_the_tools_of_the_editor_are_one_line_of_named_buttons(visit, width):
    page = visit(viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tools = page.locator(".editor .tools")
    boxes = [tool.bounding_box() for tool in tools.get_by_role("button").all()]
    assert len(boxes) == 6 and len({round(box["y"]) for box in boxes}) == 1, "one line"
    assert all(box["width"] >= 44 and box["height"] >= 44 for box in boxes)
    assert min(box["x"] for box in boxes) >= 0 and max(box["x"] + box["width"] for box in boxes) <= width
    for name in ("Surprise me", "Open", "Save as", "Copy link", "Undo (Ctrl+Z)", "Redo (Ctrl+Shift+Z)"):
        expect(tools.get_by_role("button", name=name, exact=True)).to_have_count(1)
    tools.get_by_role("button", name="Copy link").tap()
    told = tools.get_by_text("Link copied")
    expect(told).to_be_visible()
    box = told.bounding_box()
    assert box["width"] > 60 and box["x"] >= 0 and box["x"] + box["width"] <= width, "the answer can be read"


@pytest.mark.parametrize("size", [(1366, 768), (683, 384)], ids=["laptop", "at 200 %"])
def test_what_the_keyboard_comes_to_is_not_under_what_is_pinned(visit, size):
    page = visit(viewport=dict(zip(("width", "height"), size, strict=True)))
    assert page.locator("#generate").evaluate(ON_TOP), "the bar lies above the picture"
    page.locator(".editor .title").focus()
    for key, times in (("Tab", 36), ("Shift+Tab", 24)):
        for _ in range(times):
            page.keyboard.press(key)
            page.evaluate("() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
            assert page.evaluate(IN_SIGHT), page.evaluate("document.activeElement.outerHTML")


IN_SIGHT = """() => {
  const part = document.activeElement, { x, y, width, height } = part.getBoundingClientRect();
  return [3, height / 2, height - 3].every((down) => {
    const there = document.elementFromPoint(x + width / 2, y + down);
    return part.contains(there) || part.matches('.cut'); // whose ends stick out of the strip
  });
}"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious_in_any_tab(visit, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(color_scheme=scheme, viewport={"width": width, "height": 844})
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        if name == "Benchmark":
            expect(page.locator(".league table")).to_be_visible()
        found = Axe().run(page).response["violations"]
        serious = [
            (problem["id"], [node["target"] for node in problem["nodes"]])
            for problem in found
            if problem["impact"] in ("serious", "critical")
        ]
        assert not serious, name


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


def test_the_first_load_is_less_than_a_megabyte_and_of_the_desk_itself_few_requests(browser, desk):
    fetched = first_load(browser, desk.url)
    assert sum(one.num_bytes for one in fetched) <= 1_000_000, table(fetched)
    assert len([one for one in fetched if one.kind == "Gradio's scripts and styles"]) <= 50, table(fetched)
    styles = [one.url for one in fetched if ".css" in one.url]
    assert len(styles) == 3, f"all but Gradio's main one and the theme are joined: {styles}"
    own = [one for one in fetched if one.kind != "Gradio's scripts and styles"]
    assert len(own) <= 24 and not [one.url for one in own if not one.url.startswith(desk.url)], table(fetched)
    assert len([one for one in own if one.kind == "videos and pictures"]) == 1, "videos of other tabs are not fetched"
