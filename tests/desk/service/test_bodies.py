import pytest

from desk.service.bodies import BodyLimit

CHUNK = bytes(2**20)


async def ask(path, chunks, declared=None):
    """The status of a request with so many chunks of 1 MiB, and how many of them were read."""
    read, sent = [], []

    async def app(scope, receive, send):
        more = True
        while more:
            more = (await receive()).get("more_body")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": CHUNK, "more_body": len(read) < chunks}

    async def send(message):
        sent.append(message)

    headers = [(b"content-length", str(declared).encode())] if declared is not None else []
    scope = {"type": "http", "path": path, "headers": headers}
    await BodyLimit(app, 8 * 2**20)(scope, receive, send)
    return sent[0]["status"], len(read)


@pytest.mark.parametrize(
    ("path", "chunks", "declared", "status", "read"),
    [
        ("/gradio_api/upload", 8, None, 200, 8),
        ("/gradio_api/upload", 2048, None, 413, 10),
        ("/gradio_api/upload", 2048, 2**31, 413, 0),
        ("/gradio_api/queue/join", 4, None, 200, 4),
        ("/gradio_api/queue/join", 2048, None, 413, 5),
        ("/gradio_api/queue/join", 2048, 2**31, 413, 0),
        ("/gradio_api/queue/join", 2048, "many", 413, 5),
    ],
)
def test_a_body_is_read_no_further_than_its_limit(path, chunks, declared, status, read, run_async):
    assert run_async(ask(path, chunks, declared)) == (status, read)
