"""Counts of right answers, by question, that add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Right answers out of all, for a number of questions."""

    right: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def add(self, question: str, answers: Iterable[bool]) -> None:
        answers = list(answers)
        self.right[question] = self.right.get(question, 0) + sum(answers)
        self.asked[question] = self.asked.get(question, 0) + len(answers)

    def __add__(self, other: Tally) -> Tally:
        """Both together, the questions in the order in which they came up first."""
        total = Tally(dict(self.right), dict(self.asked))
        for question, asked in other.asked.items():
            total.right[question] = total.right.get(question, 0) + other.right[question]
            total.asked[question] = total.asked.get(question, 0) + asked
        return total

    def share(self, question: str) -> float | None:
        """Share of right answers; None when the question was never asked."""
        asked = self.asked.get(question, 0)
        return self.right[question] / asked if asked else None
