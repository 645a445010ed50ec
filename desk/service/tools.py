"""What models that use tools are told of an endpoint, and how they get its results: whole sentences, and JSON."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Any

_ARGUMENT = re.compile(r"    \w+: ")


def told_whole(function: Callable) -> Callable:
    """The function with each argument and result of its docstring on a line of its own: Gradio reads one line of each,
    and what it does not read nobody is told.
    """
    lines: list[str] = []
    for line in inspect.cleandoc(function.__doc__ or "").split("\n"):
        goes_on = line.startswith("    ") and lines[-1].startswith("    ") and not _ARGUMENT.match(line)
        if goes_on:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    function.__doc__ = "\n".join(lines)
    return function


def results_as_json() -> None:
    """Let tools answer JSON where Gradio writes what Python prints of a dict or a list; files stay links.

    What is no picture is there once more as structured content, {"result": [...]}, JSON read and links as they are.
    """
    from gradio.mcp import GradioMCPServer
    from gradio_client.utils import is_file_obj_with_meta

    if getattr(GradioMCPServer, "answers_json", False):
        return
    as_it_is, made = GradioMCPServer.postprocess_output_data, GradioMCPServer.create_mcp_server

    def answer(server: Any, data: Any, root_url: str) -> Any:
        if len(data) == 1 and isinstance(data[0], list | tuple):
            data = data[0]  # several results, which Gradio wraps once too often where a call was queued
        return as_it_is(server, [_text(part) for one in data for part in _parts(one)], root_url)

    def _parts(one: Any) -> list:
        """Several files are a link each."""
        return one if isinstance(one, list) and one and all(map(is_file_obj_with_meta, one)) else [one]

    def _text(one: Any) -> Any:
        plain = isinstance(one, dict | list) and not is_file_obj_with_meta(one)
        return json.dumps(one, ensure_ascii=False) if plain else one

    def create(server: Any) -> Any:
        from mcp.types import CallToolRequest

        created = made(server)
        call = created.request_handlers[CallToolRequest]

        async def call_structured(request: CallToolRequest) -> Any:
            answered = await call(request)
            result = answered.root
            if not result.isError and result.structuredContent is None:
                texts = [part.text for part in result.content if part.type == "text"]
                result.structuredContent = {"result": [_read(text) for text in texts]}
            return answered

        created.request_handlers[CallToolRequest] = call_structured
        return created

    def _read(text: str) -> Any:
        """What a text says as JSON, if it is an object or a list, or else the text."""
        try:
            found = json.loads(text)
        except ValueError:
            return text
        return found if isinstance(found, dict | list) else text

    GradioMCPServer.postprocess_output_data, GradioMCPServer.create_mcp_server = answer, create
    GradioMCPServer.answers_json = True
