"""The joined stylesheet is there under the name that the page links, and holds what the parts hold."""

import gzip
import re
import urllib.request
from pathlib import Path

import gradio

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"


def test_the_page_links_one_stylesheet_that_holds_the_disabled_ones(quick_desk):
    page = urllib.request.urlopen(f"{quick_desk.url}/").read().decode()
    (joined,) = re.findall(r'href="\./(assets/styles-\w+\.css)" />', page)
    parts = re.findall(r'href="\./assets/([^"]+)" disabled />', page)
    assert len(parts) > 30
    assert page.index("./assets/index-") < page.index(joined) < page.index("</head>"), "parts win over the main one"
    answer = urllib.request.urlopen(f"{quick_desk.url}/{joined}")
    assert answer.headers["content-type"].startswith("text/css") and "immutable" in answer.headers["cache-control"]
    body = answer.read()
    assert all((ASSETS / part).read_bytes() in body for part in parts)
    asked = urllib.request.Request(f"{quick_desk.url}/{joined}", headers={"Accept-Encoding": "gzip"})
    small = urllib.request.urlopen(asked).read()
    assert gzip.decompress(small) == body and len(small) < len(body) / 4
