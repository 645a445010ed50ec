"""A link to the desk looks like what it is, elsewhere; so does a link to one of its videos."""

import urllib.request

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from desk.service.metadata import Metadata, shared_video

VISITOR = "a visitor’s secret of some length"
PAGE = """<html><head><meta charset="utf-8" /><meta property="og:title" content="Gradio" />
<script>window.gradio_config = {"title":"The desk \\u0026 all"};</script></head></html>"""
CONTENT = {
    "kind": "made",
    "title": 'Night & "day"',
    "fps": 12,
    "num_frames": 30,
    "shots": [{}, {}],
    "files": {"video": "video.mp4", "sheet": "contact_sheet.png"},
    "storyboard": {"global_caption": "<b>Dusk</b>\nover a harbour. " + "words " * 60},
    "settings": {"width": 112, "height": 64},
}


def test_the_page_describes_itself_and_names_a_picture_that_is_there(quick_desk):
    page = urllib.request.urlopen(f"{quick_desk.url}/").read().decode()
    head = page.split("</head>")[0].split("<script")[0]
    assert '<meta property="og:title" content="HoloCine: a storyboard becomes a multi-shot video" />' in head
    assert '<meta property="og:description" content="Write a scene shot by shot.' in head
    assert f'<meta property="og:image" content="{quick_desk.url}/preview.png" />' in head
    assert "Click to try out the app" not in page and "@Gradio" not in page and "gradio-app/gradio/main" not in head
    with urllib.request.urlopen(f"{quick_desk.url}/preview.png") as answer:
        assert answer.headers["content-type"] == "image/png" and answer.read(8) == b"\x89PNG\r\n\x1a\n"


def test_behind_a_proxy_the_addresses_are_those_of_the_proxy(quick_desk):
    request = urllib.request.Request(f"{quick_desk.url}/", headers={"X-Forwarded-Proto": "https"})
    page = urllib.request.urlopen(request).read().decode()
    assert f'content="https://{quick_desk.url.split("//")[1]}/preview.png"' in page


@pytest.fixture
def web(outputs):
    """A page of the desk's kind, with one video "abc" and what was scored "def"."""
    for name, kind in (("abc", "made"), ("def", "scored")):
        folder = outputs.new_folder(name)
        (folder / "video.mp4").write_bytes(bytes(range(256)))
        (folder / "contact_sheet.png").write_bytes(b"PNG")
        outputs.keep(name, VISITOR, {**CONTENT, "kind": kind})

    def find(identifier):
        return shared_video(outputs, identifier)

    own = Middleware(Metadata, title="The desk & all", description="Videos.", find=find)
    app = Starlette(routes=[Route("/", lambda request: HTMLResponse(PAGE))], middleware=[own])
    with TestClient(app, base_url="http://desk.test") as client:
        yield client


def test_a_link_to_a_video_has_its_title_its_words_and_its_files(web):
    page = web.get("/?video=abc").text
    assert "<title>Night &amp; &quot;day&quot;: a multi-shot video</title>" in page
    assert '"title":"Night \\u0026 \\"day\\": a multi-shot video"' in page, "Gradio’s script shows it in the tab"
    assert 'content="2 shots, 2.5 s. &lt;b&gt;Dusk&lt;/b&gt; over a harbour. words' in page
    told = dict(line.split('" content="', 1) for line in page.split('<meta property="')[1:])
    told = {name: text.split('" />')[0] for name, text in told.items()}
    assert told["og:title"] == "Night &amp; &quot;day&quot;: a multi-shot video"
    assert len(told["og:description"]) < 240 and told["og:description"].endswith(" …")
    assert told["og:url"] == "http://desk.test/?video=abc" and told["og:type"] == "video.other"
    assert (told["og:video:width"], told["og:video:height"]) == ("112", "64")
    assert '<meta name="robots" content="noindex" />' in page and "Gradio" not in page
    video = web.get(told["og:video"])
    assert video.headers["content-type"] == "video/mp4" and video.content == bytes(range(256))
    assert web.get(told["og:video"], headers={"Range": "bytes=2-3"}).content == b"\x02\x03"
    assert web.get(told["og:image"]).content == b"PNG"
    assert "outputs" not in page, "nothing tells where the files lie"


@pytest.mark.parametrize("asked", ["def", "none", "../abc", ""])
def test_a_link_to_what_is_not_shared_is_the_desk_and_has_no_files(web, asked):
    page = web.get("/", params={"video": asked}).text
    assert "<title>The desk &amp; all</title>" in page and "noindex" not in page and "og:video" not in page
    assert '"title":"The desk \\u0026 all"' in page
    assert web.get(f"/shared/{asked}.mp4").status_code == 404


def test_a_video_that_is_no_longer_kept_has_no_page_of_its_own(web, outputs):
    outputs.drop("abc")
    assert "The desk &amp; all" in web.get("/?video=abc").text and web.get("/shared/abc.png").status_code == 404
