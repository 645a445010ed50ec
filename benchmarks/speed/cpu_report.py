"""The part "cpu" of `benchmarks.speed`: what a processor takes, from one attention to whole videos, in one run.

Attention, blocks and steps are those of transformers with random weights, for which times are the same: of the embedded
model's size, and layers of the 14B's size over fewer tokens of a frame. All ways of one length take turns, so that "of
full", the time over that of full attention, holds on a machine that does other things as well; "over share" is the same
over the part of the arithmetic that is left: 1 is all of the saving. Arithmetic counts products of matrices, two
operations for a multiplication and an addition; "of matrix rate" is the part of the rate at which the machine
multiplies two large matrices of float32. Peak MiB is the most memory of its own (anonymous, without mapped files) that
the process held, libraries and all weights included; of processes of their own it is all that was resident.

Left out, because a processor has not done it in minutes: blocks of the 14B's size beyond 15 s and its whole
transformer, whose arithmetic alone is fitted; decoding and videos by the 14B's VAE; and videos of 60 s by the embedded
model, which has positions for 509 frames, 42 s. Memory of decoding longer videos is in the part "stream".
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.big_attention import SIZES, Sizes
from benchmarks.speed.big_model import Model
from benchmarks.speed.cpu_layers import Layers, Scope, at_full_size
from benchmarks.speed.cpu_video import Made, Videos, readme_command
from benchmarks.speed.gpu_clock import Place, copy_rate, matrix_rate
from benchmarks.speed.ledger import Ledger, Values

SECONDS = 900.0  # for all of it, unless others are given
SHOTS, FEW = (1, 3, 5, 8, 13), (1, 5, 13)
PICTURE = "step.png"
THEATRE = Sizes(3, 64, 768, 192, 8, 4, 7, (61, 241, 721), used=120, matrix=2048, copied=2**28)
FEWER = Sizes(40, 128, 13_824, 4096, 40, 3, 4, (81, 241, 961))


@dataclass(frozen=True)
class Extent:
    """How much is measured. scopes: of transformers; counted: frames of the step whose arithmetic is counted twice;
    decoded: frames; videos: made end to end; profiled: frames; full_size: for arithmetic alone; options: of the command
    as a process of its own. repeats: of that and of the video of the usual size.
    """

    scopes: tuple[Scope, ...]
    counted: int
    decoded: tuple[int, ...]
    videos: tuple[Made, ...]
    profiled: int
    full_size: Sizes
    options: tuple[str, ...] = ()
    repeats: int = 3


EXTENTS = {
    "14B": Extent(
        scopes=(
            Scope(
                *("the embedded model's size", THEATRE, 12, SHOTS, FEW),
                *(THEATRE.frames, THEATRE.frames, THEATRE.frames),
                *(15, (1, 2, 3, 5, 8, 13), ("attention", "block", "step")),
            ),
            Scope(
                *("the 14B's size, 12 tokens a latent frame", FEWER, 16, SHOTS, (5, 13)),
                *(FEWER.frames, FEWER.frames[:2], ()),
                *(20, (1, 2, 3, 5, 8, 13), ("attention",)),
            ),
        ),
        counted=61,
        decoded=(61, 241, 721),
        videos=(Made(61, 13), Made(241, 5), Made(241, 5, "full"), Made(241, 13), Made(481, 8), Made(481, 8, "full")),
        profiled=65,
        full_size=SIZES["14B"],
    ),
    "tiny": Extent(
        scopes=(
            Scope(
                *("a tiny size", SIZES["tiny"], 12, (1, 5), (1, 5), (33,), (33,), (33,)),
                *(2, (1, 2), ("attention", "block", "step")),
            ),
        ),
        counted=33,
        decoded=(9,),
        videos=(Made(17, 3, "full"),),
        profiled=17,
        full_size=SIZES["14B"],
        options=("--steps", "1"),
        repeats=1,
    ),
}


def measure_all(
    out: Path,
    seconds: float = SECONDS,
    size: str = "14B",
    model: str | None = None,
    command: Sequence[str] = (),
    start: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Ledger:
    """Measure everything that there is time for and return the rows: in `out` they are cpu.json, cpu.md and step.png.

    size: "14B", or "tiny" to see that it runs. model: of whole videos, the embedded one if None. command: the options
    that it was asked for with. start: when the time began that `seconds` are counted in, on the clock `time.monotonic`.
    """
    extent, place = EXTENTS[size], Place(torch.device("cpu"), torch.float32)
    start = time.monotonic() if start is None else start
    machine = {"command": " ".join(["python -m benchmarks.speed", *map(unplaced, command)]), **processor()}
    machine |= {key: value for key, value in place.describe().items() if value != "absent"}
    ledger = Ledger(out, "cpu", seconds, machine, start, say=say, title="Speed on a CPU", text=_text())
    sizes = extent.scopes[0].sizes
    ledger.measure("the machine", "before", load)
    rate = ledger.measure("the machine", "matrix product", partial(matrix_rate, place, sizes.matrix))
    rate = rate and rate["TFLOP/s"] * 1e12
    ledger.measure("the machine", "copy", partial(copy_rate, place, sizes.copied // place.dtype.itemsize))
    readme_command(ledger, [*extent.options, *(["--model", model] if model else [])], extent.repeats)
    videos = Videos(ledger, rate, model)
    videos.end_to_end(extent.videos, extent.repeats)
    videos.decode(extent.decoded)
    videos.profile(extent.profiled, PICTURE)
    del videos
    place.tidy()
    layers = [Layers(scope, place, ledger, rate) for scope in extent.scopes]
    layers[0].counted(extent.counted)
    for one in layers:
        one.measure()
        place.tidy()
    at_full_size(ledger, Model(extent.full_size, place, ledger, layers[0].attention), 21, (1, 2, 3, 5, 8, 13))
    ledger.measure("the machine", "matrix product, after all this", partial(matrix_rate, place, sizes.matrix))
    ledger.measure("the machine", "after", load)
    return ledger


def processor() -> dict[str, Any]:
    """The machine's processor and memory in words."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    words = {"processor": name, "cores": os.cpu_count(), "threads of torch": torch.get_num_threads()}
    words["instructions"] = torch.backends.cpu.get_cpu_capability()
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        words["main memory GiB"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return words | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set")}


def load() -> Values:
    """How busy the machine is: processes that ran or waited to run, on average over a minute and over five."""
    minute, five, _ = os.getloadavg()
    return {"load, 1 min": minute, "load, 5 min": five}


def unplaced(argument: str) -> str:
    """An argument without the folders of this machine: an absolute path is told by its last part."""
    path = Path(argument)
    return path.name if path.is_absolute() else argument


def _text() -> str:
    return sys.modules[__name__].__doc__.split("\n\n", 1)[1].strip()
