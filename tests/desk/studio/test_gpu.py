import sys
from types import SimpleNamespace

from desk.studio import gpu


def numbers(count):
    yield from range(count)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert gpu.borrowed(lambda count: count)(numbers) is numbers


def test_on_zero_gpu_a_call_asks_for_its_own_time_within_bounds(monkeypatch):
    asked = []

    def lend(duration):
        def decorate(function):
            def call(*args):
                asked.append(duration(*args))
                return function(*args)

            return call

        return decorate

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend, __spec__=SimpleNamespace()))
    function = gpu.borrowed(lambda count: 1.2 * count)(numbers)
    assert [list(function(count))[-1] for count in (3, 100, 1000)] == [2, 99, 999]
    assert asked == [10, 120, gpu.LONGEST]
