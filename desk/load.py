"""Asks a desk from many programs at once and says whether each got its own: `python -m desk.load`.

Every client asks for short videos, one after the other, through the API, and checks that what it gets has its seed and
its storyboard. Printed are: jobs lost and mixed up, the desk's memory, how long a job took, and how far the places in
the queue that clients were told were from the number of videos that really came before theirs.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from desk.service.serving import Served, serving
from holocine.storyboard import Storyboard
from holocine.video import read_storyboard

_PLACE = re.compile(r"Waiting: (\d+) before this one")
_LOOK_EVERY = 0.05  # seconds between two looks at a job


@dataclass
class Asked:
    """One job of a client. Times are of `time.monotonic`; `told`: when it was told which place in the queue."""

    seed: int
    begun: float
    ended: float = 0.0
    told: list[tuple[float, int]] = field(default_factory=list)
    error: str = ""
    own: bool = False


def ask(desk, board: Storyboard, seed: int, steps: int = 1) -> Asked:
    """Make one video over a `gradio_client.Client` and put down what was said on the way. Never raises."""
    asked = Asked(seed, time.monotonic())
    text = board.model_copy(update={"title": f"Scene {seed}"}).to_json()
    try:
        job = desk.submit(text, steps=steps, seed=seed, score=False, api_name="/storyboard_to_video")
        while not job.done():
            for unit in job.status().progress_data or ():
                place = _PLACE.fullmatch(unit.desc or "")
                if place and (not asked.told or asked.told[-1][1] != int(place[1])):
                    asked.told.append((time.monotonic(), int(place[1])))
            time.sleep(_LOOK_EVERY)
        video, facts = job.result()
        inside = read_storyboard(video)
        asked.own = facts["seed"] == seed == inside.seed and inside.title == f"Scene {seed}"
    except Exception as error:
        asked.error = repr(error)[:200]
    asked.ended = time.monotonic()
    return asked


def load(url: str, board: Storyboard, clients: int, seconds: float, steps: int = 1) -> list[Asked]:
    """Let `clients` programs ask a desk again and again for so many seconds; returns their jobs as they ended."""
    from gradio_client import Client

    done: list[Asked] = []
    until = time.monotonic() + seconds

    def client(number: int) -> None:
        desk = Client(url, verbose=False, download_files=folder, httpx_kwargs={"timeout": 300})
        for turn in count():
            done.append(ask(desk, board, 100_000 * number + turn, steps))
            if time.monotonic() > until:
                return

    with tempfile.TemporaryDirectory() as folder:
        threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sorted(done, key=lambda asked: asked.ended)


def place_errors(done: Sequence[Asked]) -> list[int]:
    """For every place that a client was told: how far it was from the videos that came between then and its own.

    The video that had just been made may have been on its way to its client still, so it counts as either.
    """
    ends = [asked.ended for asked in done if asked.own]
    came = (
        (place, sum(when < end < asked.ended for end in ends))
        for asked in done
        if asked.own
        for when, place in asked.told
    )
    return [max(0, place - videos, videos - 1 - place) for place, videos in came]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a `share` of the values lies below; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def table(done: Sequence[Asked], memory: Sequence[float]) -> str:
    """The jobs in numbers. memory: MiB while the jobs went on; its thirds are compared by the least in each."""
    third = max(1, len(memory) // 3)
    errors, seconds = place_errors(done), [asked.ended - asked.begun for asked in done if asked.own]
    rows = {
        "jobs": f"{len(done)}",
        "lost": f"{sum(bool(asked.error) for asked in done)}",
        "mixed up": f"{sum(not asked.own and not asked.error for asked in done)}",
        "seconds a job, half / 95 %": f"{quantile(seconds, 0.5):.1f} / {quantile(seconds, 0.95):.1f}",
        "places told": f"{len(errors)}",
        "places wrong by, half / 95 %": f"{quantile(errors, 0.5):g} / {quantile(errors, 0.95):g}",
    }
    if memory:
        first, last = min(memory[:third]), min(memory[-third:])
        rows["memory, first / last third"] = f"{first:.0f} / {last:.0f} MiB (most {max(memory):.0f})"
    lost = sorted({asked.error for asked in done if asked.error})[:5]
    return "\n".join([*(f"{name:30} {value}" for name, value in rows.items()), *lost])


def _watch(served: Served, memory: list[float], ended: threading.Event) -> None:
    with suppress(OSError, IndexError):  # the desk has ended
        while not ended.wait(0.5):
            memory.append(served.megabytes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m desk.load", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=20, help="programs at once (%(default)s)")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long they ask (%(default)s)")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps of each video (%(default)s)")
    parser.add_argument("--storyboard", type=Path, help="a file; two short shots of the theatre if it is left out")
    parser.add_argument("--model", default=os.environ.get("HOLOCINE_MODEL"), help="as HOLOCINE_MODEL of app.py")
    parser.add_argument("--url", help="a running desk, whose memory is then not looked at; else one is started")
    options = parser.parse_args(arguments)
    board = Storyboard.load(options.storyboard) if options.storyboard else _SHORT
    memory: list[float] = []
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        url = options.url
        if url is None:
            served = closing.enter_context(serving(Path(folder), options.model))
            url = served.url
            ask_once = load(url, board, options.clients, 0, options.steps)  # libraries, weights and stacks come first
            print(f"first round: {sum(asked.own for asked in ask_once)} of {options.clients} got their own", flush=True)
            threading.Thread(target=_watch, args=(served, memory, ended), daemon=True).start()
        done = load(url, board, options.clients, 60 * options.minutes, options.steps)
        ended.set()
    print(table(done, memory))
    return 0 if all(asked.own for asked in done) else 1


_SHORT = Storyboard.from_captions(
    "The scene is set in a sunny beach. [character1] is a red round puppet with a golden crown.",
    ["Wide shot of [character1] standing still. The camera is static."] * 2,
    num_frames=17,
    fps=12,
)


if __name__ == "__main__":
    raise SystemExit(main())
