"""How a run gets on and how it ended, for people at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.running.items import Item
from benchmarks.running.refused import told
from benchmarks.running.run import Progress, Summary
from holocine.plurals import counted, of_all
from holocine.program import tell


class ProgressLine:
    """Progress on stderr: one line that changes on a terminal, else a line for each item that has ended."""

    def __init__(self) -> None:
        self.changes = sys.stderr.isatty()
        self.announced: frozenset[Item] = frozenset()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self.changes:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def announce(self, refused: Mapping[Item, str], due: int) -> None:
        """Say what of a run is refused, once for each kind; these items are not told one by one any more."""
        self.announced = frozenset(refused)
        tell("benchmarks", told(refused, due))

    def show(self, progress: Progress) -> None:
        ended = progress.done + progress.failed
        last = progress.last
        eta = "" if progress.eta is None or ended == progress.total else f", ETA {duration(progress.eta)}"
        head = f"[{ended}/{progress.total}{eta}]"
        is_news = last is not None and not (last.refused and last.item in self.announced)
        if is_news and (last.error or not self.changes):
            what = f"failed: {last.error}" if last.error else f"{sum(last.seconds.values()):.1f} s"
            clear = "\r\x1b[K" if self.changes else ""
            print(f"{clear}{head} {last.item}: {what}", file=sys.stderr, flush=True)
        if self.changes:
            now = ", ".join(map(str, progress.current))
            print(f"\r\x1b[K{head} {now}"[:160], end="", file=sys.stderr, flush=True)


def conclude(summary: Summary, out: Path) -> int:
    """Say how it ended; exit code 1 if items have failed."""
    failed = summary.failed + summary.kept_failed
    kept = f", {summary.kept} {'was' if summary.kept == 1 else 'were'} there" if summary.kept else ""
    part, whole = summary.storyboards or (0, 0)
    of = f" ({of_all(part, whole, 'storyboard')})" if part < whole else ""
    print(f"{out}: {counted(summary.done, 'item')} done{kept}, {failed} failed, {duration(summary.seconds)}{of}")
    if failed:
        first, may_succeed = summary.first_failed, failed - summary.refused
        where = f"why is in each item's record.json and log.txt, first of {first} in {first.folder(out)}"
        if not may_succeed:
            again = "the same would come of another attempt, as these videos cannot be made"
        elif summary.refused:
            again = f"--retry-failed works again on {may_succeed} that may succeed, and {summary.refused} cannot"
        else:
            again = "--retry-failed works on them again"
        print(f"{where}; {again}")
    return 1 if failed else 0


def duration(seconds: float) -> str:
    """Seconds in words: 8.2 s, 3 min, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
