"""A desk with a tiny model of the real classes, so that a video is made in well under a second; and served desks."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from desk.service.serving import serving
from desk.studio.jobs import JobQueue
from desk.studio.models import find
from desk.studio.outputs import Outputs
from desk.studio.settings import Settings
from desk.studio.studio import Studio, holder
from holocine import Storyboard


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
def storyboard():
    """Three shots of 5, 8 and 4 frames that ask for no size, so that scoring need not look for faces."""
    captions = ["[character1] is painting.", "Her hand.", "The studio at night."]
    return Storyboard.from_captions("[character1] is a young painter.", captions, 17, [5, 13], seed=11)


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
    from desk.studio.limits import Limits

    return Limits.of(tiny_model)


@pytest.fixture
def wait():
    """Call with a job to wait until it has ended; returns it."""

    def until_ended(job, seconds=60):
        end = time.monotonic() + seconds
        while job.live and time.monotonic() < end:
            time.sleep(0.01)
        assert not job.live, f"the job is still {job.state}"
        return job

    return until_ended


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


@pytest.fixture
def run_async():
    """Runs a coroutine to its end, on a thread of its own: Playwright keeps a loop running on that of the tests."""

    def run(coroutine):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, coroutine).result()

    return run


PATIENCE = 120_000  # milliseconds for what a page does at once


@pytest.fixture
def visit(browser, desk):
    """Call to visit the desk as somebody new; fails the test if the page reports an error.

    again: a page whose browser comes once more. address: what follows the desk's own.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    contexts, errors = [], []

    def open_page(watch="", again=None, address="", **options):
        context = (
            again.context if again else browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        )
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(watch)
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(desk.url + address)
        until_ready(page)
        return page

    yield open_page
    for context in dict.fromkeys(contexts):
        context.close()
    assert not errors


def until_ready(page):
    """Wait until the page has its editor, knows its visitor, and the storyboard was looked through."""
    from playwright.sync_api import expect

    expect(page.locator(".editor .findings p").first).to_be_attached()
    running = page.locator("#generate, #cancel").and_(page.locator(":enabled"))
    expect(running).to_have_count(1)
