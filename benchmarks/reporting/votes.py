"""Votes of people on videos whose makers they do not know, in an SQLite file that many processes may write to at once.

votes   on a pair; a voter who judges it again changes the vote
picks   of one from several that were made for the voter, who sees afterwards which is which: the first one counts
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from benchmarks.reporting.bradley_terry import Choice, Pick
from benchmarks.reporting.results import Results

CHOICES = ("left", "right", "tie")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    pair TEXT NOT NULL, voter TEXT NOT NULL, storyboard TEXT NOT NULL, seed INTEGER NOT NULL,
    left_system TEXT NOT NULL, right_system TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie')),
    at TEXT NOT NULL,
    PRIMARY KEY (pair, voter)
)
"""
_PICKS = """
CREATE TABLE IF NOT EXISTS picks (
    shown TEXT NOT NULL, voter TEXT NOT NULL, storyboard TEXT NOT NULL, systems TEXT NOT NULL, chosen TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (shown, voter)
)
"""


class VotesError(ValueError):
    """Votes or pairs that cannot be used. The message is one sentence."""


@dataclass(frozen=True)
class Pair:
    """Two systems' videos of one storyboard; which is on which side was drawn once."""

    storyboard_id: str
    seed: int
    left: str
    right: str

    @property
    def id(self) -> str:
        """Tells pairs apart and nothing of the systems."""
        text = "\n".join((self.storyboard_id, str(self.seed), self.left, self.right))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_pairs(
    results: Results, systems: Sequence[str] | None = None, per_storyboard: int | None = None, seed: int = 0
) -> list[Pair]:
    """Pairs of videos to judge, in random order; every system is left as often as right, up to chance.

    systems: those to compare, by default all that compete. per_storyboard: at most so many pairs of each storyboard and
    repetition, the least compared first. Raises `VotesError` for fewer than two systems that have videos.
    """
    systems = tuple(systems or results.competing)
    for name in systems:
        if name not in results.systems:
            raise VotesError(f"the run has no system {name!r}; it has {', '.join(results.systems)}")
    videos: dict[tuple[str, int], set[str]] = {}
    for item in results.items:
        if item.video is not None and item.error is None and item.system in systems:
            videos.setdefault((item.storyboard_id, item.seed), set()).add(item.system)
    draw = random.Random(seed)
    compared = dict.fromkeys(combinations(sorted(set(systems)), 2), 0)
    pairs = []
    for (storyboard_id, repetition), present in sorted(videos.items()):
        possible = list(combinations(sorted(present), 2))
        draw.shuffle(possible)
        for two in sorted(possible, key=compared.__getitem__)[:per_storyboard]:
            compared[two] += 1
            left, right = draw.sample(two, 2)
            pairs.append(Pair(storyboard_id, repetition, left, right))
    if not pairs:
        raise VotesError(
            "there is nothing to compare: at least two systems need a video of one storyboard, and truth, still and "
            "shuffled count only where --systems names them"
        )
    draw.shuffle(pairs)
    return pairs


def add_vote(path: str | Path, pair: Pair, voter: str, choice: str) -> bool:
    """Put a vote down; a voter who judges a pair again changes the vote. Tells whether it was new.

    Raises `VotesError` for a choice that is none and a voter without a name, and OSError if the file cannot be written.
    """
    if choice not in CHOICES:
        raise VotesError(f"a choice is one of {', '.join(CHOICES)}, not {choice!r}")
    if not voter.strip():
        raise VotesError("a vote needs the name of its voter; any text will do")
    row = (pair.id, voter, pair.storyboard_id, pair.seed, pair.left, pair.right, choice, datetime.now(UTC).isoformat())
    with opened(path, _SCHEMA) as votes:
        known = votes.execute("SELECT 1 FROM votes WHERE pair = ? AND voter = ?", (pair.id, voter)).fetchone()
        votes.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return known is None


def read_choices(path: str | Path) -> list[Choice]:
    """Every vote as a choice between systems; none if there is no such file."""
    if not Path(path).exists():
        return []
    sides = {"left": "first", "right": "second", "tie": "tie"}
    with opened(path, _SCHEMA) as votes:
        rows = votes.execute("SELECT left_system, right_system, choice, storyboard FROM votes ORDER BY at, pair, voter")
        return [Choice(left, right, sides[choice], storyboard) for left, right, choice, storyboard in rows]


def add_pick(path: str | Path, shown: str, voter: str, pick: Pick) -> bool:
    """Put down which of several a voter chose, or that none is better; `shown` says what they were shown.

    Only the first counts: tells whether this was it. Raises `VotesError` for a choice that was not shown.
    """
    if len(set(pick.systems)) < 2 or pick.chosen not in (*pick.systems, None):
        raise VotesError(f"a choice is one of {', '.join(pick.systems)} or none of them, not {pick.chosen!r}")
    systems = json.dumps(pick.systems, ensure_ascii=False)
    row = (shown, voter, pick.storyboard_id, systems, pick.chosen, datetime.now(UTC).isoformat())
    with opened(path, _PICKS) as votes:
        return votes.execute("INSERT OR IGNORE INTO picks VALUES (?, ?, ?, ?, ?, ?)", row).rowcount == 1


def read_picks(path: str | Path) -> list[Pick]:
    """Every choice from several, in order; none if there is no such file."""
    if not Path(path).exists():
        return []
    with opened(path, _PICKS) as votes:
        rows = votes.execute("SELECT systems, chosen, storyboard FROM picks ORDER BY at, shown, voter")
        return [Pick(tuple(json.loads(systems)), chosen, storyboard) for systems, chosen, storyboard in rows]


def next_pair(path: str | Path, pairs: Sequence[Pair], voter: str) -> Pair | None:
    """The pair that fewest have judged and this voter has not; None when all are done."""
    counts: dict[str, int] = {}
    done: set[str] = set()
    if Path(path).exists():
        with opened(path, _SCHEMA) as votes:
            counts = dict(votes.execute("SELECT pair, COUNT(*) FROM votes GROUP BY pair"))
            done = {pair for (pair,) in votes.execute("SELECT pair FROM votes WHERE voter = ?", (voter,))}
    left = [pair for pair in pairs if pair.id not in done]
    return min(left, key=lambda pair: counts.get(pair.id, 0), default=None)


@contextmanager
def opened(path: str | Path, *tables: str) -> Iterator[sqlite3.Connection]:
    """A connection with the tables, in a transaction that nothing else can write beside.

    tables: statements that make them where they are not there. Raises `VotesError` for a file that is none of SQLite's.
    """
    try:
        connection = sqlite3.connect(path, timeout=30)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for table in tables:
                    connection.execute(table)
                yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise VotesError(f"{path} cannot be used for votes: {error}") from None
