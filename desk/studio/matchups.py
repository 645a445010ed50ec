"""The arena's matchups: which two videos a visitor was shown, and what the visitor said of them, in an SQLite file.

A visitor is shown each pair once. Its questions are answered one after the other, each once, while the visitor does not
know which system is which; from when that is uncovered nothing more is put down. Any number of processes may write at
once: every change is one transaction.
"""

from __future__ import annotations

import random
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reporting.agreement import Judgement
from benchmarks.reporting.arena import QUESTIONS
from benchmarks.reporting.votes import CHOICES, Pair, VotesError, opened

AGAIN = 0.4  # how often a pair is shown that somebody else has judged, without which agreement cannot be known
_MATCHUPS = """
CREATE TABLE IF NOT EXISTS matchups (
    token TEXT PRIMARY KEY, voter TEXT NOT NULL, suite TEXT NOT NULL, pair TEXT NOT NULL,
    storyboard TEXT NOT NULL, seed INTEGER NOT NULL, left_system TEXT NOT NULL, right_system TEXT NOT NULL,
    uncovered INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL,
    UNIQUE (voter, suite, pair)
)
"""
_ANSWERS = """
CREATE TABLE IF NOT EXISTS answers (
    token TEXT NOT NULL REFERENCES matchups (token), question TEXT NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie')), at REAL NOT NULL,
    PRIMARY KEY (token, question)
)
"""


@dataclass(frozen=True)
class Matchup:
    """Two videos as one visitor sees them. answers: a side or "tie" by question, in the order of `QUESTIONS`."""

    token: str
    suite: str
    pair: Pair
    answers: Mapping[str, str]
    uncovered: bool

    @property
    def question(self) -> str | None:
        """What is asked next; None when all was answered, or when it is too late."""
        return None if self.uncovered else next((name for name in QUESTIONS if name not in self.answers), None)


class Matchups:
    """The matchups and answers in the file `path`, which need not exist yet. A voter is a text that tells one from
    another. Every method raises `VotesError` for a file that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def next(self, voter: str, suite: str, pairs: Sequence[Pair], draw: random.Random) -> Matchup | None:
        """The matchup that a voter has not finished, or else a new one of the pairs; None when all were shown."""
        by_key = {_key(pair): pair for pair in pairs}
        with opened(self.path, _MATCHUPS, _ANSWERS) as file:
            rows = file.execute(
                "SELECT token, pair, uncovered FROM matchups WHERE voter = ? AND suite = ?", (voter, suite)
            ).fetchall()
            for token, key, uncovered in rows:
                if not uncovered and key in by_key:
                    return _read(file, token)
            judged = file.execute(
                "SELECT pair, COUNT(*) FROM matchups WHERE suite = ? AND token IN (SELECT token FROM answers) "
                "GROUP BY pair",
                (suite,),
            )
            key = choose(by_key, Counter(dict(judged)), {key for _, key, _ in rows}, draw)
            if key is None:
                return None
            pair, token = by_key[key], secrets.token_urlsafe(16)
            left, right = draw.sample((pair.left, pair.right), 2)
            row = (token, voter, suite, key, pair.storyboard_id, pair.seed, left, right, 0, time.time())
            file.execute("INSERT INTO matchups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            return _read(file, token)

    def find(self, voter: str, token: object) -> Matchup:
        """A voter's own matchup; raises `VotesError` for any other."""
        with opened(self.path, _MATCHUPS, _ANSWERS) as file:
            return _own(file, voter, token)

    def answer(self, voter: str, token: object, question: str, choice: str) -> Matchup:
        """Put down what a voter says; a question that was answered stays as it was.

        Raises `VotesError` for a matchup that is not the voter's or is uncovered, and for what is no question or
        choice.
        """
        if question not in QUESTIONS or choice not in CHOICES:
            raise VotesError(f"{choice!r} answers no question of {', '.join(QUESTIONS)}")
        with opened(self.path, _MATCHUPS, _ANSWERS) as file:
            if _own(file, voter, token).uncovered:
                raise VotesError("you have seen which system is which; votes on these two are closed for you")
            row = (token, question, choice, time.time())
            file.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", row)
            return _own(file, voter, token)

    def uncover(self, voter: str, token: object) -> Matchup:
        """End a voter's matchup, so that it may be said which system is which."""
        with opened(self.path, _MATCHUPS, _ANSWERS) as file:
            _own(file, voter, token)
            file.execute("UPDATE matchups SET uncovered = 1 WHERE token = ?", (token,))
            return _own(file, voter, token)

    def judgements(self, suite: str) -> dict[str, list[Judgement]]:
        """What was said of a suite's videos, by question; only questions that were answered."""
        if not self.path.exists():
            return {}
        sides = {"left": "first", "right": "second", "tie": "tie"}
        found: dict[str, list[Judgement]] = {}
        with opened(self.path, _MATCHUPS, _ANSWERS) as file:
            rows = file.execute(
                "SELECT question, voter, storyboard, seed, left_system, right_system, choice FROM answers "
                "JOIN matchups USING (token) WHERE suite = ? ORDER BY answers.at, token, question",
                (suite,),
            )
            for question, *judged, choice in rows:
                found.setdefault(question, []).append(Judgement(*judged, sides[choice]))
        return found


def choose(
    pairs: Mapping[str, Pair], judged: Mapping[str, int], seen: Collection[str], draw: random.Random
) -> str | None:
    """The key of the pair to show next: of the two systems that were compared least, or, now and then, one that others
    have judged, the least judged of these; None when all were seen.

    judged: how many voters each pair has, by key.
    """
    left = [key for key in pairs if key not in seen]
    again = [key for key in left if judged.get(key)]
    if again and draw.random() < AGAIN:
        return min(again, key=lambda key: (judged[key], draw.random()))
    compared: Counter[frozenset[str]] = Counter()
    for key, pair in pairs.items():
        compared[frozenset((pair.left, pair.right))] += judged.get(key, 0)

    def order(key: str) -> tuple:
        systems = frozenset((pairs[key].left, pairs[key].right))
        return compared[systems], judged.get(key, 0), draw.random()

    return min(left, key=order, default=None)


def _key(pair: Pair) -> str:
    """The same for both orders of a pair."""
    return Pair(pair.storyboard_id, pair.seed, *sorted((pair.left, pair.right))).id


def _own(file: sqlite3.Connection, voter: str, token: object) -> Matchup:
    known = isinstance(token, str) and file.execute("SELECT voter FROM matchups WHERE token = ?", (token,)).fetchone()
    if not known or known[0] != voter:
        raise VotesError("these two videos were not shown to you; take the next two")
    return _read(file, token)


def _read(file: sqlite3.Connection, token: str) -> Matchup:
    suite, *pair, uncovered = file.execute(
        "SELECT suite, storyboard, seed, left_system, right_system, uncovered FROM matchups WHERE token = ?", (token,)
    ).fetchone()
    said = dict(file.execute("SELECT question, choice FROM answers WHERE token = ?", (token,)))
    answers = {name: said[name] for name in QUESTIONS if name in said}
    return Matchup(token, suite, Pair(*pair), answers, bool(uncovered))
