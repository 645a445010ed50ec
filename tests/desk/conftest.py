"""A desk with a tiny model of the real classes, so that a video is made in well under a second; and served desks."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from desk.jobs import JobQueue
from desk.models import find
from desk.outputs import Outputs
from desk.studio import Settings, Studio, holder


@pytest.fixture
def tiny_model(make_pipeline, tmp_path, monkeypatch):
    """The desk's only model, by its name: 32 x 48 pixels, 2 steps."""
    folder = tmp_path / "model"
    make_pipeline().save_pretrained(folder)
    monkeypatch.setenv("HOLOCINE_MODEL", str(folder))
    holder.clear()
    yield find()
    holder.clear()


@pytest.fixture
def outputs(tmp_path):
    return Outputs(tmp_path / "outputs", most_bytes=10**9, most_seconds=3600)


@pytest.fixture
def jobs():
    queue = JobQueue(most_waiting=3)
    yield queue
    queue.close()


@pytest.fixture
def studio(outputs, jobs):
    return Studio(outputs, jobs)


@pytest.fixture
def settings(tiny_model, limits, storyboard):
    return Settings.of(tiny_model, limits, storyboard)


@pytest.fixture
def limits(tiny_model):
    from desk.limits import Limits

    return Limits.of(tiny_model)


@pytest.fixture
def wait():
    """Call with a job to wait until it has ended; returns it."""
    import time

    def until_ended(job, seconds=60):
        end = time.monotonic() + seconds
        while job.live and time.monotonic() < end:
            time.sleep(0.01)
        assert not job.live, f"the job is still {job.state}"
        return job

    return until_ended


ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Served:
    """A desk in a process of its own, as `python app.py` starts it."""

    def __init__(self, url, outputs, process):
        self.url, self.outputs, self.process = url, outputs, process

    @property
    def megabytes(self):
        """Main memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def serving(folder, model=None):
    """Serve a desk whose files are below `folder`, with the embedded model or another one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "HOLOCINE_OUTPUTS": str(folder / "outputs"),
        "HOLOCINE_MODEL": str(model or ""),
        "HF_HUB_OFFLINE": "1",
    }
    log = folder / "log.txt"
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **own}, stdout=written, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Served(url, folder / "outputs", process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """The desk with the embedded model."""
    with serving(tmp_path_factory.mktemp("desk")) as served:
        yield served


@pytest.fixture(scope="session")
def open_desks():
    """Desks that stay open to the end of all tests, by name, and what closes them."""
    with ExitStack() as closing:
        yield {}, closing


@pytest.fixture
def quick_desk(open_desks, make_pipeline, tmp_path_factory):
    """The desk with the tiny model, one for all tests."""
    desks, closing = open_desks
    if "quick" not in desks:
        folder = tmp_path_factory.mktemp("quick")
        make_pipeline().save_pretrained(folder / "model")
        desks["quick"] = closing.enter_context(serving(folder, folder / "model"))
    return desks["quick"]


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here; install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        yield chromium
        chromium.close()
