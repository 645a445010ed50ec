"""One stylesheet in place of the dozens that Gradio's components are divided into, a request each.

Gradio's loader (Vite's) fetches no stylesheet that the page already links. So the page links all the small ones as
disabled, which browsers do not fetch, and one file that holds what is in them.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

_LARGEST = 12_500  # bytes; above are those of components that a desk seldom has: data frames, chats, formulas
_ASSETS = "assets"  # where the page finds Gradio's own


@cache
def _joined() -> tuple[str, bytes, tuple[str, ...]]:
    """The name of the joined stylesheet, which changes with what is in it; what is in it; and its parts."""
    import gradio

    found = sorted((Path(gradio.__file__).parent / "templates" / "frontend" / _ASSETS).glob("*.css"))
    # An address in a style is relative to its file, and would be to another one here.
    parts = {file.name: text for file in found if len(text := file.read_bytes()) < _LARGEST and b"url(" not in text}
    body = b"\n".join(parts.values())
    return f"{_ASSETS}/styles-{hashlib.sha256(body).hexdigest()[:12]}.css", body, tuple(parts)


def style_links() -> str:
    """What the page's head has to hold, HTML."""
    name, _, parts = _joined()
    links = [f'<link rel="stylesheet" href="./{name}" />']
    return "".join(links + [f'<link rel="stylesheet" href="./{_ASSETS}/{part}" disabled />' for part in parts])


@cache
def _compressed() -> bytes:
    return gzip.compress(_joined()[1], 9, mtime=0)


class Styles:
    """ASGI middleware that serves the stylesheet of `style_links`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path != f"/{_joined()[0]}":
            return await self.app(scope, receive, send)
        body, headers = _joined()[1], [(b"content-type", b"text/css; charset=utf-8"), (b"vary", b"Accept-Encoding")]
        if b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
            body = _compressed()
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
