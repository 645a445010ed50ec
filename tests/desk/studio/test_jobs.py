import contextvars
import ctypes
import threading

import pytest

from desk.studio import jobs as module
from desk.studio.jobs import QueueFull, Stopped


@pytest.fixture
def blocked(jobs):
    """A running job that goes on until `release` is set."""
    started, release = threading.Event(), threading.Event()

    def work(job):
        started.set()
        while not release.wait(0.005):
            job.check()
        return "made"

    job = jobs.submit("first", work, 60)
    assert started.wait(10)
    yield job, release
    release.set()


def test_work_is_done_and_its_result_kept(jobs, wait):
    job = wait(jobs.submit("a", lambda job: job.say(step=1) or "made", 60))
    assert (job.state, job.result, job.progress) == ("done", "made", {"step": 1})


def test_jobs_run_one_after_the_other_in_order(jobs, wait, blocked):
    order = []
    waiting = [jobs.submit(name, lambda job: order.append(job.visitor), 60) for name in "abc"]
    assert [jobs.place(job) for job in waiting] == [1, 2, 3] and not order
    blocked[1].set()
    for job in waiting:
        wait(job)
    assert order == ["a", "b", "c"]


def test_a_full_queue_says_so_and_a_visitor_has_one_job(jobs, blocked):
    for name in "abc":
        jobs.submit(name, lambda job: None, 60)
    with pytest.raises(QueueFull, match="3 scenes are waiting already"):
        jobs.submit("d", lambda job: None, 60)
    with pytest.raises(QueueFull, match="still being made"):
        jobs.submit("a", lambda job: None, 60)


def test_cancelling_ends_a_waiting_job_at_once_and_a_running_one_at_its_next_step(jobs, wait, blocked):
    waiting = jobs.submit("a", lambda job: None, 60)
    jobs.cancel(waiting)
    assert waiting.state == "cancelled" and jobs.of("a") is None
    jobs.cancel(blocked[0])
    assert wait(blocked[0]).state == "cancelled" and blocked[0].message == "Cancelled."
    assert wait(jobs.submit("a", lambda job: "again", 60)).result == "again"


def test_a_job_that_takes_too_long_is_ended(jobs, wait):
    def endless(job):
        while True:
            job.check()

    assert "longer than the 0.05 seconds" in wait(jobs.submit("a", endless, 0.05)).message


def test_errors_become_sentences_and_surprises_do_not_leak(jobs, wait):
    def refuse(job):
        raise ValueError("shot 3 is too long")

    def surprise(job):
        raise KeyError("/secret/path")

    assert wait(jobs.submit("a", refuse, 60)).message == "shot 3 is too long"
    failed = wait(jobs.submit("a", surprise, 60))
    assert failed.state == "failed" and "secret" not in failed.message


def test_a_waiting_job_that_nobody_looks_at_is_given_up(jobs, wait, blocked, monkeypatch):
    monkeypatch.setattr(module, "ABANDONED_AFTER", -1)
    left = jobs.submit("a", lambda job: "made", 60)
    blocked[1].set()
    assert wait(left).state == "cancelled" and "Nobody" in left.message


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_killed_worker_fails_its_job_and_a_new_one_goes_on(jobs, wait, blocked, run_async):
    after = jobs.submit("a", lambda job: "made", 60)
    killed = ctypes.c_ulong(jobs._worker.ident)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(killed, ctypes.py_object(SystemExit)) == 1
    assert "interrupted" in wait(blocked[0]).message and blocked[0].state == "failed"

    async def last():
        return [job async for job in jobs.follow(after, 0.01)][-1]

    assert run_async(last()).result == "made"


def test_following_shows_every_state_and_ends(jobs, blocked, run_async):
    job = jobs.submit("a", lambda job: job.say(step=1), 60)
    seen = []

    async def follow():
        async for now in jobs.follow(job, 0.005):
            seen.append((now.state, jobs.place(now)))
            blocked[1].set()

    run_async(follow())
    assert seen[0] == ("waiting", 1) and seen[-1] == ("done", 0)


def test_the_end_of_a_job_is_shown_even_if_it_comes_while_the_reader_is_busy(jobs, wait, blocked, run_async):
    seen = []

    async def follow():
        async for now in jobs.follow(blocked[0], 0.005):
            seen.append(now.state)
            jobs.cancel(now)
            wait(now)

    run_async(follow())
    assert seen == ["running", "cancelled"]


def test_the_wait_is_estimated_from_the_jobs_before(jobs, wait, blocked):
    waiting = jobs.submit("a", lambda job: None, 60)
    assert jobs.seconds_before(waiting) is None
    jobs._last_seconds.append(30.0)
    assert 0 < jobs.seconds_before(waiting) <= 30


def test_work_runs_in_the_context_of_the_request(jobs, wait):
    token = contextvars.ContextVar("token", default=None)
    token.set("mine")
    assert wait(jobs.submit("a", lambda job: token.get(), 60)).result == "mine"


def test_a_closed_queue_ends_its_jobs_and_takes_no_more(jobs, wait, blocked):
    waiting = jobs.submit("a", lambda job: None, 60)
    jobs.close()
    assert wait(waiting).state == wait(blocked[0]).state == "cancelled"
    with pytest.raises(QueueFull, match="closing"):
        jobs.submit("b", lambda job: None, 60)


def test_saying_something_stops_a_cancelled_job():
    job = module.Job("a", lambda job: None, 60)
    job.stop("Enough.")
    with pytest.raises(Stopped, match="Enough"):
        job.say(step=1)
