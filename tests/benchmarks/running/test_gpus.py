"""Every worker has GPUs of its own; no GPU is needed to see that."""

import os
import time
from pathlib import Path

import pytest

from benchmarks.running.gpus import gpus_of_workers, visible_gpus
from benchmarks.running.items import RunError
from benchmarks.running.local_engine import run_local
from benchmarks.running.ray_engine import _gpus_of_each


@pytest.mark.parametrize(
    ("workers", "each", "visible", "wanted"),
    [
        (2, None, ["0", "1"], [["0"], ["1"]]),
        (3, None, ["4", "7"], [["4"], ["7"], ["4"]]),
        (2, None, ["0"], [None, None]),
        (1, None, ["0", "1"], [None]),
        (2, 2, ["0", "1", "2", "3"], [["0", "1"], ["2", "3"]]),
        (4, 0.5, ["0", "1"], [["0"], ["0"], ["1"], ["1"]]),
        (3, 1 / 3, ["0"], [["0"]] * 3),
        (2, 0, ["0", "1"], [[], []]),
    ],
)
def test_workers_have_gpus_of_their_own_as_far_as_they_go(workers, each, visible, wanted):
    assert gpus_of_workers(workers, each, visible) == wanted


@pytest.mark.parametrize(
    ("workers", "each", "says"),
    [(3, 1, "3 workers of 1 GPUs each need 3, and there are 2"), (1, 1.5, "1.5 GPUs for each worker: give a whole")],
)
def test_more_gpus_than_there_are_is_an_error(workers, each, says):
    with pytest.raises(RunError, match=says):
        gpus_of_workers(workers, each, ["0", "1"])


@pytest.mark.parametrize(
    ("named", "found"), [("0,2", ["0", "2"]), ("", []), ("-1", []), ("GPU-8f, GPU-9a", ["GPU-8f", "GPU-9a"])]
)
def test_the_gpus_that_the_process_may_use_are_shared(monkeypatch, named, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == found


class Telling:
    """A worker that says which GPUs it sees, and dies at the first job that it is told to die at."""

    def __init__(self, scratch):
        self.scratch = scratch

    def do(self, job):
        mark = Path(job["mark"])
        if job["dies"] and not mark.exists():
            mark.touch()
            os._exit(1)
        (mark.parent / f"worker-{os.environ['CUDA_VISIBLE_DEVICES']}").touch()
        end = time.monotonic() + 60
        while len(list(mark.parent.glob("worker-*"))) < 2 and time.monotonic() < end:
            time.sleep(0.05)  # until there are two, lest one does it all
        return job["item"], os.environ.get("CUDA_VISIBLE_DEVICES")


class _Job(dict):
    item = property(lambda self: self["item"])


def test_a_worker_sees_its_own_gpus_only_and_so_does_the_one_that_takes_its_place(tmp_path):
    jobs = [_Job(item=i, dies=i == 1, mark=str(tmp_path / "died")) for i in range(6)]
    told = dict(run_local(jobs, Telling, workers=2, gpus=[["3"], ["5"]]))
    assert sorted(told) == list(range(6)) and set(told.values()) == {"3", "5"}


def test_on_ray_workers_share_the_gpus_of_the_cluster():
    assert _gpus_of_each(None, 2, 4) == 1 and _gpus_of_each(None, 4, 2) == 0.5 and _gpus_of_each(None, 2, 0) == 0
    with pytest.raises(RunError, match="2 workers of 1 GPUs each need 2, and the cluster has 1"):
        _gpus_of_each(1, 2, 1)
