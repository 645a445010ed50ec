"""What a link to the desk looks like elsewhere: its own title, description and picture in place of Gradio's."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

_FOREIGN = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*/>\s*')
_HEAD = b'<meta charset="utf-8" />'
PICTURE_PATH = "/preview.png"


class Metadata:
    """ASGI middleware: the page's metadata, and its picture under `PICTURE_PATH`.

    picture: a PNG file; where it is missing the page names none.
    """

    def __init__(self, app: Any, title: str, description: str, picture: Path | None = None) -> None:
        self.app, self.title, self.description = app, title, description
        self.picture = picture if picture is not None and picture.is_file() else None

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == PICTURE_PATH and self.picture is not None:
            return await _answer(send, self.picture.read_bytes(), b"image/png", scope["method"])
        if path not in ("", "/"):
            return await self.app(scope, receive, send)
        await self._page(scope, receive, send)

    async def _page(self, scope: dict, receive: Any, send: Any) -> None:
        start: dict[str, Any] = {}
        body = bytearray()

        async def collect(message: dict) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = dict(start["headers"])
            plain = b"content-encoding" not in headers and headers.get(b"content-type", b"").startswith(b"text/html")
            page = self.described(bytes(body), address(scope)) if plain else bytes(body)
            kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            length = [(b"content-length", str(len(page)).encode())] if scope["method"] == "GET" else []
            await send({**start, "headers": [*kept, *length]})
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, collect)

    def described(self, page: bytes, url: str) -> bytes:
        """The page with this desk's metadata; `url`: where it is, without a slash at the end."""
        told = {"og:type": "website", "og:url": f"{url}/", "og:title": self.title, "og:description": self.description}
        if self.picture is not None:
            told |= {"og:image": f"{url}{PICTURE_PATH}", "og:image:alt": "The desk with a scene and its video"}
        lines = [f'<meta property="{name}" content="{escape(text)}" />' for name, text in told.items()]
        lines += [
            f'<meta name="description" content="{escape(self.description)}" />',
            f'<meta name="twitter:card" content="{"summary_large_image" if self.picture else "summary"}" />',
        ]
        return _FOREIGN.sub(b"", page).replace(_HEAD, _HEAD + "".join(lines).encode(), 1)


def address(scope: dict) -> str:
    """Where a client reaches the desk, as its request says it; behind a proxy as the proxy says."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http")).split(",")[0].strip()
    host = headers.get("x-forwarded-host", headers.get("host", "localhost")).split(",")[0].strip()
    return f"{scheme}://{host}{scope.get('root_path', '')}"


async def _answer(send: Any, body: bytes, kind: bytes, method: str) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    headers.append((b"cache-control", b"max-age=3600"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
