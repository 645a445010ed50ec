"""What the first visit of a desk fetches: requests, and bytes as they are sent, by what they are and whose.

    python app.py &
    python -m desk.first_load http://127.0.0.1:7860

Needs Chromium and Playwright; the browser's cache is empty. What a page fetches until it is ready, and in the eight
seconds after that, is counted.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_AFTERWARDS = 8000  # milliseconds
_READY = "document.querySelector('#generate')?.disabled === false"
_PATIENCE = 300_000  # milliseconds until a desk on a busy machine is there


@dataclass(frozen=True)
class Fetched:
    """One request: what it is for, and the bytes of its answer as they were sent, with its headers."""

    url: str
    num_bytes: int

    @property
    def kind(self) -> str:
        path = urlsplit(self.url).path
        if "/assets/" in path or path.endswith(("/theme.css", "iframeResizer.contentWindow.min.js")):
            return "Gradio's scripts and styles"
        if "/fonts/" in path:
            return "fonts"
        if "/gradio_api/file=" in path:
            return "videos and pictures"
        return "questions to the server" if "/gradio_api/" in path else "the page and its icon"


def first_load(browser: Any, url: str, width: int = 1280, height: int = 900) -> list[Fetched]:
    """Open a desk in a browser of Playwright that has never been there, and return all that it fetched."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    session = context.new_cdp_session(page)
    asked: dict[str, str] = {}
    sent: dict[str, int] = {}
    session.on("Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", lambda event: sent.update({event["requestId"]: event["encodedDataLength"]}))
    session.send("Network.enable")
    try:
        page.goto(url, timeout=_PATIENCE)
        page.wait_for_function(_READY, timeout=_PATIENCE)
        page.wait_for_timeout(_AFTERWARDS)
    finally:
        context.close()
    return [Fetched(url, int(sent.get(key, 0))) for key, url in asked.items() if url.startswith("http")]


def table(fetched: list[Fetched]) -> str:
    """How many requests and bytes each kind has, and all together."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for one in fetched:
        kinds[one.kind].append(one.num_bytes)
    rows = sorted(kinds.items(), key=lambda row: -sum(row[1]))
    rows.append(("all", [one.num_bytes for one in fetched]))
    return "\n".join(f"{name:28} {len(sizes):4} requests {sum(sizes) / 1000:8.1f} kB" for name, sizes in rows)


def main() -> None:
    from playwright.sync_api import sync_playwright

    from desk.service.serving import CHROMIUM, CHROMIUM_OPTIONS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:7860", help="address of a running desk")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        print(table(first_load(browser, options.url, options.width)))
        browser.close()


if __name__ == "__main__":
    main()
