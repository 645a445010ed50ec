"""What a link to the desk looks like elsewhere: its own title, description and picture in place of Gradio's.

A link to one video of the desk, `/?video=ID`, has that video's, for as long as it is kept; its files are then found
under `/shared/ID.mp4` and `/shared/ID.png`, which tell nothing of where they lie.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.responses import FileResponse

from desk.studio.outputs import Outputs
from holocine.plurals import counted

_FOREIGN = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*/>\s*')
_HEAD, _HEAD_END = b'<meta charset="utf-8" />', b"</head>"
PICTURE_PATH = "/preview.png"
_SHARED_PATH = re.compile(r"/shared/([\w-]+)\.(mp4|png)")
_LONGEST = 200  # characters of a description; what shows links cuts longer ones


@dataclass(frozen=True)
class Video:
    """A video that has a page of its own: `picture` shows all its shots; `width` and `height` are in pixels."""

    id: str
    title: str
    description: str
    file: Path
    picture: Path
    width: int | None
    height: int | None


def shared_video(outputs: Outputs, identifier: str) -> Video | None:
    """What can be said of a video to whoever has its link; None if there is none, or it is no longer kept."""
    record = outputs.shared(identifier)
    if record is None:
        return None
    content, folder = record.content, outputs.files / record.id
    length = f"{counted(len(content['shots']), 'shot')}, {content['num_frames'] / content['fps']:.1f} s."
    about = " ".join(content["storyboard"].get("global_caption", "").split())
    made = content.get("settings") or {}
    return Video(
        id=record.id,
        title=f"{content['title']}: a multi-shot video",
        description=textwrap.shorten(f"{length} {about}", _LONGEST, placeholder=" …"),
        file=folder / content["files"]["video"],
        picture=folder / content["files"]["sheet"],
        width=made.get("width"),
        height=made.get("height"),
    )


class Metadata:
    """ASGI middleware: the page's metadata, its picture under `PICTURE_PATH`, and files of shared videos.

    picture: a PNG file; where it is missing the page names none. find: a video by the id in its link, None if there is
    none of that id. head: HTML, what the page's head is to end with.
    """

    def __init__(
        self,
        app: Any,
        title: str,
        description: str,
        picture: Path | None = None,
        find: Callable[[str], Video | None] = lambda identifier: None,
        head: str = "",
    ) -> None:
        self.app, self.title, self.description, self.find, self.head = app, title, description, find, head
        self.picture = picture if picture is not None and picture.is_file() else None

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == PICTURE_PATH and self.picture is not None:
            return await _answer(send, self.picture.read_bytes(), b"image/png", scope["method"])
        if (named := _SHARED_PATH.fullmatch(path)) and (video := self.find(named[1])):
            file, kind = (video.file, "video/mp4") if named[2] == "mp4" else (video.picture, "image/png")
            if file.is_file():
                return await FileResponse(file, media_type=kind, headers=_A_DAY)(scope, receive, send)
        if path not in ("", "/"):
            return await self.app(scope, receive, send)
        await self._page(scope, receive, send)

    async def _page(self, scope: dict, receive: Any, send: Any) -> None:
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("video")
        video = self.find(asked[0]) if asked else None
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
            page = self.described(bytes(body), address(scope), video) if plain else bytes(body)
            kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            length = [(b"content-length", str(len(page)).encode())] if scope["method"] == "GET" else []
            await send({**start, "headers": [*kept, *length]})
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, collect)

    def described(self, page: bytes, url: str, video: Video | None = None) -> bytes:
        """The page with this desk's metadata, or with those of one video of it.

        url: where the desk is, without a slash at the end.
        """
        title, description = (video.title, video.description) if video else (self.title, self.description)
        told = self._of_video(video, url) if video else self._of_desk(url)
        told |= {"og:title": title, "og:description": description}
        named = {"description": description, "twitter:card": "summary_large_image" if "og:image" in told else "summary"}
        if video:
            named["robots"] = "noindex"  # who gives a link to somebody does not give it to all
        lines = [f"<title>{escape(title)}</title>"]
        lines += [f'<meta property="{name}" content="{escape(str(text))}" />' for name, text in told.items()]
        lines += [f'<meta name="{name}" content="{escape(text)}" />' for name, text in named.items()]
        page = _FOREIGN.sub(b"", page).replace(_HEAD, _HEAD + "".join(lines).encode(), 1)
        page = page.replace(_HEAD_END, self.head.encode() + _HEAD_END, 1)
        if video:  # Gradio's script writes its title over that of the page
            page = page.replace(_in_script("title", self.title), _in_script("title", title), 1)
        return page

    def _of_desk(self, url: str) -> dict[str, Any]:
        told = {"og:type": "website", "og:url": f"{url}/"}
        if self.picture is not None:
            told |= {"og:image": f"{url}{PICTURE_PATH}", "og:image:alt": "The desk with a scene and its video"}
        return told

    def _of_video(self, video: Video, url: str) -> dict[str, Any]:
        file = f"{url}/shared/{quote(video.id)}"
        told = {
            "og:type": "video.other",
            "og:url": f"{url}/?video={quote(video.id)}",
            "og:image": f"{file}.png",
            "og:image:alt": "Pictures of all shots",
            "og:video": f"{file}.mp4",
            "og:video:type": "video/mp4",
        }
        size = {"og:video:width": video.width, "og:video:height": video.height}
        return told | {name: pixels for name, pixels in size.items() if pixels}


def _in_script(name: str, text: str) -> bytes:
    """A text of the page's configuration, as Gradio writes it: JSON without what would end the script."""
    written = f"{json.dumps(name)}:{json.dumps(text, ensure_ascii=False)}"
    for letter in "<>&'":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return written.encode()


def address(scope: dict) -> str:
    """Where a client reaches the desk, as its request says it; behind a proxy as the proxy says."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http")).split(",")[0].strip()
    host = headers.get("x-forwarded-host", headers.get("host", "localhost")).split(",")[0].strip()
    return f"{scheme}://{host}{scope.get('root_path', '')}"


_A_DAY = {"cache-control": "private, max-age=86400"}


async def _answer(send: Any, body: bytes, kind: bytes, method: str) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    headers.append((b"cache-control", b"max-age=3600"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
