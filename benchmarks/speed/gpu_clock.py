"""Where the large model is timed: a device, a type of numbers, and times of calls on it."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

import torch

FEWEST, MOST, ENOUGH = 3, 20, 0.4  # repeats of a call, and seconds that are enough of them


@dataclass(frozen=True)
class Place:
    """A device and the type of numbers on it."""

    device: torch.device
    dtype: torch.dtype

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def normal(self, *shape: int, dtype: torch.dtype | None = None, seed: int = 0) -> torch.Tensor:
        """Random numbers, the same ones for the same seed and shape."""
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=self.device, dtype=dtype or self.dtype)

    def wait(self) -> None:
        """Wait until all that was started has ended."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give the GPU's memory back that nobody holds."""
        if self.on_gpu:
            gc.collect()
            torch.cuda.empty_cache()

    def seconds(self, run: Callable[[], Any], repeats: int | None = None) -> float:
        """Seconds of one call: the median of `repeats`, or of as many as are enough, after one that does not count."""
        with torch.no_grad():
            self.once(run)
            if repeats is None:
                repeats = min(MOST, max(FEWEST, round(ENOUGH / max(self.once(run), 1e-6))))
            return statistics.median(self.once(run) for _ in range(repeats))

    def once(self, run: Callable[[], Any]) -> float:
        """Seconds of this call, by the device's own clock where it has one."""
        self.wait()
        if not self.on_gpu:
            start = time.perf_counter()
            run()
            return time.perf_counter() - start
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def reset_peak(self) -> None:
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> dict[str, float]:
        """GiB of the device's memory that were in use at most since `reset_peak`; nothing where nobody counts."""
        return {"peak GiB": torch.cuda.max_memory_allocated(self.device) / 2**30} if self.on_gpu else {}

    def describe(self) -> dict[str, Any]:
        """The machine in words."""
        words = {"dtype": str(self.dtype).removeprefix("torch."), "python": platform.python_version()}
        for package in ("torch", "diffusers", "triton", "flash-attn", "flash-attn-3"):
            try:
                words[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                words[package] = "absent"
        if not self.on_gpu:
            return {"device": f"{self.device} ({platform.machine()})", **words}
        card = torch.cuda.get_device_properties(self.device)
        return {
            "device": card.name,
            "memory GiB": round(card.total_memory / 2**30, 1),
            "multiprocessors": card.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            **words,
        }


def matrix_rate(place: Place, size: int) -> dict[str, float]:
    """Operations a second of a product of two square matrices: what everything else is held against."""
    a, b = (place.normal(size, size, seed=seed) for seed in range(2))
    seconds = place.seconds(partial(torch.mm, a, b))
    return {"ms": seconds * 1e3, "TFLOP/s": 2 * size**3 / seconds / 1e12}


def copy_rate(place: Place, count: int) -> dict[str, float]:
    """Bytes a second, those read and those written together."""
    a = place.normal(count)
    b = torch.empty_like(a)
    seconds = place.seconds(partial(b.copy_, a))
    return {"ms": seconds * 1e3, "TB/s": 2 * a.nbytes / seconds / 1e12}
