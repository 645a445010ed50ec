"""The arena: what is asked of two anonymous videos of a storyboard, and tables of what people answered.

Each question is a scale of its own: strengths of systems (`bradley_terry`), how far voters agree, and how often the
order of each metric is theirs (`agreement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reporting.agreement import Agreement, Judgement, between_voters, with_metric
from benchmarks.reporting.bradley_terry import strengths_by_group
from benchmarks.reporting.preference import NOTE, preference_table
from benchmarks.reporting.results import Results
from benchmarks.reporting.summary import Summary
from benchmarks.reporting.tables import NONE, Table, Text, heading, percent
from eval.metric import Metric
from holocine.plurals import counted


@dataclass(frozen=True)
class Question:
    """What is asked of two videos. text: as a person reads it. metrics: those that measure the same."""

    text: str
    metrics: tuple[str, ...]


QUESTIONS: dict[str, Question] = {
    "cuts": Question("Which one cuts when the storyboard says so?", ("sca",)),
    "characters": Question(
        "In which one do characters look the same from shot to shot?", ("character_consistency", "character_margin")
    ),
    "words": Question("Which one shows what the captions say?", ("text_video", "text_shot", "shot_retrieval")),
    "look": Question(
        "Which one looks better?", ("aesthetic", "subject_consistency", "background_consistency", "flicker")
    ),
    "overall": Question("Which one would you take?", ()),
}
"""In the order in which they are asked."""

FEW = 10  # storyboards, below which a bootstrap over them gives intervals that are too narrow

Answers = Mapping[str, Sequence[Judgement]]


def arena_tables(answers: Answers, summary: Summary) -> list[Table]:
    """What was answered on the videos of a run: a table of strengths a question, of voters' agreement, of metrics."""
    found = [table for name in QUESTIONS for table in strength_tables(name, answers.get(name, ()))]
    found += [table for table in (agreement_table(answers), accord_table(answers, summary)) if table is not None]
    return found


def strength_tables(question: str, judgements: Sequence[Judgement]) -> list[Table]:
    """Strengths by one question, a table for each group of systems that were compared; none without votes."""
    tables = []
    groups = strengths_by_group([one.choice for one in judgements])
    for number, group in enumerate(groups):
        title = f"{QUESTIONS[question].text} {counted(group_votes(group), 'vote')}"
        table = preference_table(group)
        notes = [NOTE, *(["Those of another table were never compared with these."] if len(groups) > 1 else [])]
        notes += _few_storyboards(judgements, any(one.low is not None for one in group))
        tables.append(Table(f"arena-{question}-{number}", title, table.head, table.rows, " ".join(notes)))
    return tables


def _few_storyboards(judgements: Sequence[Judgement], intervals: bool) -> list[str]:
    """That drawing from so few storyboards again and again shows too little of how they differ."""
    found = len({one.storyboard_id for one in judgements})
    if not intervals:
        return [f"All of it is on {counted(found, 'storyboard')}: there are too few votes for intervals."]
    if found >= FEW:
        return []
    return [f"All of it is on {counted(found, 'storyboard')}: with fewer than {FEW} these intervals are too narrow."]


def group_votes(group: Sequence) -> int:
    """How many votes a group of strengths is of: each is one of two systems."""
    return sum(one.votes for one in group) // 2


def agreement_table(answers: Answers) -> Table | None:
    """How far voters agree with one another, a row a question; None where no pair was judged twice."""
    rows = []
    for name, question in QUESTIONS.items():
        found = between_voters(answers.get(name, ()))
        if found is not None:
            texts = (question.text, f"{found.alpha:.2f}", _interval(found), percent(found.same), str(found.pairs))
            rows.append(tuple(map(Text, texts)))
    note = (
        "Krippendorff’s α of votes as 1, 0 for a tie and −1, squared differences, with its 95 % interval over pairs: 1 "
        "is agreement in everything, 0 is what chance gives. Beside it how often two voters say the same, and on how "
        "many pairs that two or more judged."
    )
    head = ("question", "α", "95 % interval", "same", "pairs")
    return Table("arena-agreement", "Do voters agree?", head, tuple(rows), note) if rows else None


def _interval(found: Agreement) -> str:
    return NONE if found.low is None or found.high is None else f"[{found.low:.2f}, {found.high:.2f}]"


def accord_table(answers: Answers, summary: Summary) -> Table | None:
    """How often each metric's order is that of voters, a row a metric, a column a question; None without any."""
    asked = [name for name in QUESTIONS if answers.get(name)]
    metrics = [metric for metric in summary.metrics if metric.direction != "none" and _is_shown(metric, summary)]
    rows = []
    for metric in metrics:
        values = video_values(summary.results, metric.name)
        cells = []
        for name in asked:
            found = with_metric(answers[name], lambda *video, v=values: v.get(video), metric.direction)
            its_own = metric.name in QUESTIONS[name].metrics
            text = NONE if found is None else f"{percent(found.share)} [{100 * found.low:.0f}, {100 * found.high:.0f}]"
            pairs = "" if found is None else f" ({found.pairs})"
            cells.append(Text(text + pairs, "best" if its_own and found is not None else None))
        if any(cell.text != NONE for cell in cells):
            rows.append((Text(heading(metric), hint=metric.meaning), *cells))
    note = (
        "Share of pairs in which the metric puts the video first that more voters put first, with its 95 % interval in "
        "per cent and the number of pairs: 50 % is a coin. Bold where the metric measures what was asked. Pairs on "
        "which voters are divided evenly are left out; one that a metric cannot tell apart counts half."
    )
    head = ("metric", *asked)
    return Table("arena-metrics", "Do metrics say what voters say?", head, tuple(rows), note) if rows else None


def _is_shown(metric: Metric, summary: Summary) -> bool:
    return metric in summary.main or any(metric.name in question.metrics for question in QUESTIONS.values())


def video_values(results: Results, metric: str) -> dict[tuple[str, str, int], float]:
    """A metric's value of every video that has one, by system, storyboard and repetition."""
    return {
        (item.system, item.storyboard_id, item.seed): item.scorecard[metric].value
        for item in results.items
        if item.scorecard and metric in item.scorecard and item.scorecard[metric].value is not None
    }
