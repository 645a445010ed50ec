"""A link to the desk looks like what it is, elsewhere."""

import urllib.request


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
