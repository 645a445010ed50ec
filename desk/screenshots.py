"""Makes the pictures of the desk in docs/ anew: every tab, light, dark and on a phone, in a real browser.

`python -m desk.screenshots` starts the desk with the embedded model, makes a scene, compares two versions of another,
scores a video, and takes a picture of each tab. It needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from desk.service.serving import CHROMIUM, CHROMIUM_OPTIONS, ROOT, serving
from desk.tabs.examples import FOLDER, VIDEOS
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = ROOT / "docs"
TABS = {"direct": "Direct", "compare": "Compare", "score": "Score", "benchmark": "Benchmark", "how": "How it works"}
KINDS = {"light": (1280, 900), "dark": (1280, 900), "phone": (390, 844)}  # width and height of the window
MOST_BYTES = 250_000
_MOST_HEIGHT = 1700
_LONG = 1_800_000  # milliseconds for what computes
_FRAME = 8  # shown of every video


def name_of(tab: str, kind: str) -> str:
    """The file name of a picture."""
    return f"desk_{tab}_{kind}.png"


def save_small(picture: bytes, target: Path, most_bytes: int = MOST_BYTES) -> None:
    """Save a PNG with a palette, and smaller if that is not enough, so that it has at most `most_bytes`."""
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    for scale in (1, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1):
        size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
        image = whole.resize(size, Image.Resampling.LANCZOS) if scale < 1 else whole
        file = io.BytesIO()
        image.quantize(256).save(file, format="PNG", optimize=True)
        if file.tell() <= most_bytes:
            break
    target.write_bytes(file.getvalue())


def take(page: Page, url: str, folder: Path, steps: int | None = None) -> Iterator[Path]:
    """Visit a desk, use every tab once, and save a picture of each; yields what was saved.

    steps: denoising steps of what is made; the model's own number if None.
    """
    page.set_default_timeout(300_000)
    page.set_viewport_size(dict(zip(("width", "height"), KINDS["light"], strict=True)))
    _visit(page, url)
    _make(page, steps)
    _compare(page, steps)
    _score(page)
    for kind, (width, height) in KINDS.items():
        page.emulate_media(color_scheme="dark" if kind == "dark" else "light")
        page.set_viewport_size({"width": width, "height": height})
        _visit(page, url)
        for tab, title in TABS.items():
            _open(page, title)
            if tab == "compare":
                page.locator(".compare .scrub").wait_for()  # what was made before the page was left
            if tab == "benchmark":
                _open_row(page)
            page.evaluate(_STILL, _FRAME)
            page.wait_for_timeout(500)
            page.mouse.move(0, 0)
            high = page.evaluate("document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": width, "height": min(high, _MOST_HEIGHT)}
            save_small(page.screenshot(full_page=True, clip=clip), folder / name_of(tab, kind))
            yield folder / name_of(tab, kind)


# All videos stand at the same frame, without the browser's own buttons
_STILL = """(frame) => {
  for (const slider of document.querySelectorAll('.compare .scrub input')) {
    slider.value = frame;
    slider.dispatchEvent(new Event('input'));
  }
  for (const video of document.querySelectorAll('video')) {
    video.controls = false;
    if (video.closest('.compare')) continue;
    video.pause();
    video.currentTime = (frame + 0.5) / 12;
  }
}"""


def _visit(page: Page, url: str) -> None:
    page.goto(url)
    page.locator(".editor .shot").first.wait_for()
    page.locator(".findings p").first.wait_for()
    page.wait_for_timeout(2000)  # the page finds again what its visitor made


def _open(page: Page, title: str) -> None:
    tab = page.get_by_role("tab", name=title)
    if tab.is_visible():
        tab.click()
    else:
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text=title).click()
    page.wait_for_timeout(1500)


def _fill(page: Page, name: str, number: int | None) -> None:
    for box in page.get_by_role("spinbutton", name=name).all() if number else ():
        if box.is_visible():
            box.fill(str(number))
            box.press("Tab")


def _make(page: Page, steps: int | None) -> None:
    if steps:
        page.get_by_role("button", name="Settings").click()
        _fill(page, "number input for Steps", steps)
    seed = page.locator(".seed input")
    seed.fill(str(Storyboard.load(FOLDER / "beach.yaml").seed))  # so it is the video of the front page's first command
    seed.press("Tab")
    page.locator("#generate").click()
    page.locator("#generate:disabled").wait_for()
    page.locator("#generate:not(:disabled)").wait_for(timeout=_LONG)


def _compare(page: Page, steps: int | None) -> None:
    _open(page, TABS["compare"])
    _fill(page, "Steps", steps)
    page.locator("#compare").click()
    page.locator(".compare[data-state=done]").wait_for(timeout=_LONG)


def _score(page: Page) -> None:
    _open(page, TABS["score"])
    page.set_input_files("#upload input[type=file]", sorted(VIDEOS.glob("*.mp4"))[-1])
    page.locator("#upload .file-preview").wait_for()
    page.locator("#score").click()
    page.locator("#score-panel .stage[data-state=done]").wait_for(timeout=_LONG)


def _open_row(page: Page) -> None:
    page.locator(".league tbody tr").first.wait_for()
    row = page.locator(".league .open-row")
    if row.count():
        row.first.click()
        page.locator(".reel article").first.wait_for()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m desk.screenshots", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the pictures; docs/ if it is left out")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's own number if left out")
    parser.add_argument("--url", help="a running desk; one is started if this is left out")
    options = parser.parse_args()
    if CHROMIUM is None:
        parser.error("there is no Chromium here; install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        url = options.url or closing.enter_context(serving(Path(folder))).url
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        for path in take(browser.new_page(), url, options.out, options.steps):
            print(path)


if __name__ == "__main__":
    main()
