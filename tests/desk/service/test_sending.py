"""Pages come compressed, scripts may be kept, and what is sent in parts is left alone."""

import gzip
import urllib.request

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from desk.service.sending import Sending

PAGE = "<html>" + "words " * 2000


@pytest.fixture
def web():
    def parts(request):
        return StreamingResponse(iter([b"data: 1\n\n", b"data: 2\n\n"]), media_type="text/event-stream")

    def page_in_parts(request):
        return StreamingResponse(iter([PAGE[:50], PAGE[50:]]), media_type="text/html")

    routes = [
        Route("/", lambda request: HTMLResponse(PAGE, headers={"Vary": "Origin"})),
        Route("/config", lambda request: JSONResponse({"words": PAGE})),
        Route("/small", lambda request: HTMLResponse("<html>")),
        Route("/video", lambda request: Response(bytes(5000), media_type="video/mp4")),
        Route("/gone", lambda request: HTMLResponse(PAGE, 404)),
        Route("/events", parts),
        Route("/parts", page_in_parts),
        Route("/assets/Index-abc.js", lambda request: Response("x" * 5000, media_type="text/javascript")),
    ]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(Sending)])) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/config"])
def test_pages_and_their_data_are_compressed_for_those_who_can_read_that(web, path):
    small = web.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert small.headers["content-encoding"] == "gzip" and int(small.headers["content-length"]) < len(PAGE) / 10
    assert "Accept-Encoding" in small.headers.get_list("vary")[-1]
    plain = web.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == small.text


@pytest.mark.parametrize("path", ["/small", "/video", "/gone", "/events", "/parts"])
def test_all_else_is_sent_as_it_is(web, path):
    answer = web.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.content == web.get(path, headers={"Accept-Encoding": "identity"}).content
    assert "cache-control" not in answer.headers


def test_scripts_are_kept_by_the_browser_and_what_is_not_there_is_not(web):
    assert "immutable" in web.get("/assets/Index-abc.js").headers["cache-control"]
    assert "cache-control" not in web.get("/assets/Index-none.js").headers


def test_the_desk_itself_sends_its_page_compressed(quick_desk):
    request = urllib.request.Request(f"{quick_desk.url}/", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        small = answer.read()
        assert answer.headers["content-encoding"] == "gzip"
    page = gzip.decompress(small)
    assert b"gradio_config" in page and len(small) < len(page) / 3
