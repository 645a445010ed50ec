"""Requests of a stated size: a larger body is refused, by what it declares or as soon as it has grown too large."""

from __future__ import annotations

from typing import Any

_UPLOAD = "/upload"
_AROUND = 2**20  # bytes of a form beside the file in it


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware: at most `upload_bytes` for a file that is uploaded, `other_bytes` for every other request.

    What declares to be larger is not read at all; what grows larger is read up to its limit, then refused with 413.
    """

    def __init__(self, app: Any, upload_bytes: int, other_bytes: int = 4 * 2**20) -> None:
        self.app, self.upload_bytes, self.other_bytes = app, upload_bytes, other_bytes

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        most = self.upload_bytes + _AROUND if scope["path"].endswith(_UPLOAD) else self.other_bytes
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most:
            return await _refuse(send, most)
        seen, answered = 0, False

        async def counted() -> dict:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise _TooLarge
            return message

        async def noted(message: dict) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not answered:
                await _refuse(send, most)


async def _refuse(send: Any, most: int) -> None:
    text = f"This is too large: at most {most // 2**20} MB are taken.".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})
