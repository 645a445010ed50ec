"""How files and pages are sent: compressed where Gradio leaves them as they are, and kept by browsers that had them."""

from __future__ import annotations

import gzip
from typing import Any

_LEAST = 1024  # bytes that are worth it
_TEXT = (b"text/html", b"application/json", b"image/svg+xml")
# Names of Gradio's scripts and styles change with what is in them.
_KEPT = {"/assets/": b"public, max-age=31536000, immutable", "/static/": b"public, max-age=86400"}


class Sending:
    """ASGI middleware: gzip for pages and JSON whose address has no ending that Gradio compresses (the page itself has
    none, and holds all scripts of the desk), and how long scripts, styles and fonts may be kept.

    What is sent in parts (events, files) is passed on as it is.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        kept = next((value for start, value in _KEPT.items() if path.startswith(start)), None)
        takes = b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"") and scope["method"] == "GET"
        start: dict[str, Any] | None = None

        async def sending(message: dict) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message if kept is None or message["status"] != 200 else _kept(message, kept)
                if takes and kept is None and _compressible(start):
                    return  # until its body is there
                await send(start)
                start = None
                return
            if start is not None:
                body = message.get("body", b"")
                if not message.get("more_body") and len(body) >= _LEAST:
                    start, message = _compressed(start, body)
                await send(start)
                start = None
            await send(message)

        await self.app(scope, receive, sending)


def _compressible(start: dict) -> bool:
    headers = dict(start["headers"])
    kind = headers.get(b"content-type", b"")
    return start["status"] == 200 and b"content-encoding" not in headers and kind.startswith(_TEXT)


def _compressed(start: dict, body: bytes) -> tuple[dict, dict]:
    small = gzip.compress(body, 6, mtime=0)
    left = [(name, value) for name, value in start["headers"] if name not in (b"content-length", b"etag")]
    more = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    length = (b"content-length", str(len(small)).encode())
    return {**start, "headers": [*left, *more, length]}, {"type": "http.response.body", "body": small}


def _kept(start: dict, value: bytes) -> dict:
    left = [(name, old) for name, old in start["headers"] if name != b"cache-control"]
    return {**start, "headers": [*left, (b"cache-control", value)]}
