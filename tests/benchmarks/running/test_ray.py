"""Real Ray on this machine: two workers, one of which is killed in the middle of a run."""

import os
import signal
import threading
import time
from functools import partial

import pytest

ray = pytest.importorskip("ray")

from benchmarks.running.items import Item, RunError, read_record  # noqa: E402  the module needs no Ray, but its tests do
from benchmarks.running.local_engine import run_local  # noqa: E402
from benchmarks.running.ray_engine import run_ray  # noqa: E402
from benchmarks.running.run import Plan, run  # noqa: E402
from benchmarks.systems.models import ModelSettings  # noqa: E402
from benchmarks.systems.systems import parse_systems  # noqa: E402


@pytest.fixture
def plan(tiny, cheap):
    specs = ["truth", "still", "shuffled"]
    return Plan(tiny, parse_systems(specs, ModelSettings()), specs, scoring=cheap)


def ray_workers() -> set[int]:
    """Processes of this machine in which an actor is at work."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                title = file.read()
                if title.startswith(b"ray::") and b".do" in title:
                    found.add(int(pid))
        except OSError:
            continue
    return found


def test_a_run_on_ray_outlives_a_killed_worker_and_gives_the_same_results(plan, tmp_path, scores):
    killed = []

    def kill_one(item: Item) -> None:
        """When the second item begins, kill a worker as soon as there is one that works."""
        if len(begun) == 1 and not killed:
            threading.Thread(target=_kill_a_worker, args=(killed,)).start()
        begun.append(item)

    begun: list[Item] = []

    def engine(jobs, make_worker, scratch, begun):
        def both(item):
            begun(item)
            kill_one(item)

        return run_ray(jobs, make_worker, workers=2, begun=both)

    summary = run(plan, tmp_path / "ray", engine)
    assert killed and (summary.done, summary.failed) == (9, 0)
    assert len(begun) == 10, "the item of the killed worker was begun twice"
    run(plan, tmp_path / "local", run_local)
    assert scores(tmp_path / "ray") == scores(tmp_path / "local")
    assert not ray.is_initialized(), "the cluster that the run has started ends with it"


def _kill_a_worker(killed: list[int]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for pid in ray_workers():
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def test_a_cluster_that_is_not_there_is_said(plan, tmp_path):
    with pytest.raises(RunError, match="the Ray cluster 127.0.0.1:1 cannot be reached .Connection refused.: check"):
        run(plan, tmp_path, partial(run_ray, address="127.0.0.1:1"))


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one worker that outlives runs, as one that others have started."""
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


def test_an_item_whose_workers_keep_dying_fails_alone(cluster, plan, tmp_path):
    killed = []

    def engine(jobs, make_worker, scratch, begun):
        def watched(item):
            begun(item)
            if item == Item("still", "scene-0", 0):
                threading.Thread(target=_kill_a_worker, args=(killed,)).start()

        return run_ray(jobs, make_worker, begun=watched)

    one = Plan(plan.suite, plan.systems[1:2], plan.specs[1:2], scoring=plan.scoring, limit=2)
    summary = run(one, tmp_path, engine)
    assert len(killed) == 2 and ray.is_initialized()
    assert (summary.done, summary.failed) == (1, 1)
    assert "the worker died 2 times on the cluster" in read_record(tmp_path, Item("still", "scene-0", 0)).error
    assert read_record(tmp_path, Item("still", "scene-1", 0)).status == "done"


def test_workers_that_cannot_start_on_the_cluster_end_the_run(cluster, plan, tmp_path):
    def engine(jobs, make_worker, **options):
        return run_ray(jobs, os.rmdir, **options)

    with pytest.raises(RunError, match="a worker could not start"):
        run(plan, tmp_path, engine)


class Telling:
    """A worker that says which GPUs it sees, once there are two of them at work."""

    def __init__(self, scratch):
        self.seen = os.environ.get("CUDA_VISIBLE_DEVICES")

    def do(self, job):
        time.sleep(0.5)
        return job.item, self.seen


class Task:
    def __init__(self, item):
        self.item = item


def test_each_worker_on_a_cluster_with_gpus_has_one_of_its_own():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    environment = {"env_vars": {"PYTHONPATH": root}}
    ray.shutdown()  # one that another test may have left
    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    try:
        told = dict(run_ray(map(Task, range(4)), Telling, workers=2))
        assert set(told) == set(range(4)) and set(told.values()) == {"0", "1"}
        with pytest.raises(RunError, match="3 workers of 1 GPUs each need 3, and the cluster has 2"):
            list(run_ray(map(Task, range(4)), Telling, workers=3, gpus=1))
    finally:
        ray.shutdown()
