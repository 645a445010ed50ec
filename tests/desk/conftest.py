"""A desk with a tiny model of the real classes, so that a video is made in well under a second."""

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
