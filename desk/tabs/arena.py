"""The arena: two unknown systems on a storyboard of a suite, one question after the other, and what visitors said.

The videos are those that come with published results, and those of runs in the folder that the environment variable
HOLOCINE_RUNS names: runs, or one run. A visitor gets copies under names that are drawn for this one view, without what
a file says of how it was made, on sides that are drawn as well. Which system is which leaves the server only after the
visitor has ended the vote on these two, and from then on no vote of this visitor on them counts.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from benchmarks.reporting.arena import QUESTIONS, arena_tables
from benchmarks.reporting.results import Results, ResultsError
from benchmarks.reporting.summary import Summary
from benchmarks.reporting.votes import Pair, VotesError, make_pairs
from desk.page import components
from desk.page.components import served
from desk.studio.matchups import Matchup, Matchups
from desk.studio.outputs import Outputs, owner_of
from desk.studio.studio import Studio, planned
from desk.studio.wording import sentence
from desk.tabs import shipped
from desk.tabs.visits import QUIET, known

logger = logging.getLogger(__name__)

VARIABLE = "HOLOCINE_RUNS"
VOTES = "arena.sqlite"
LETTERS = {"left": "A", "right": "B"}
_INTRODUCTION = """
Two systems made this storyboard of a benchmark’s suite. You do not know which; say which one is better. Your votes,
with those of all visitors, say how strong each system is, and whether the benchmark’s metrics see what people see.
"""
_EMPTY = {"state": "empty"}


def build(studio: Studio, visitor: gr.BrowserState, what: gr.Radio, chosen: str) -> None:
    """The arena, inside the column that is open. It begins once `what` is `chosen`."""
    names = list(suites())
    components.introduction("Arena", _INTRODUCTION)
    suite = gr.Radio(names, value=names[0] if names else None, label="Suite", visible=len(names) > 1)
    screen = components.arena(_EMPTY)
    with gr.Accordion("What visitors said so far", open=False, elem_classes=["desk-settings"]) as told:
        tables = gr.HTML(_NOBODY, apply_default_css=False, elem_classes=["desk", "desk-votes"])

    def begin(what: str, name: str, visitor: str) -> Any:
        return _next(studio, name, visitor) if what == chosen else gr.skip()

    gr.on([what.change, suite.change], begin, [what, suite, visitor], screen, trigger_mode="always_last", **QUIET)
    screen.vote(_vote(studio), visitor, screen, **QUIET)
    screen.uncover(_uncover(studio), visitor, screen, **QUIET)
    screen.go_on(_go_on(studio), [suite, visitor], screen, **QUIET)
    gr.on([told.expand, suite.change], _tell(studio), suite, tables, trigger_mode="multiple", **QUIET)


# Where the videos come from


def suites() -> dict[str, Path]:
    """The results whose videos are compared, by name: published ones, and runs in the folder of the variable."""
    found = dict(shipped.shipped())
    if folder := os.environ.get(VARIABLE):
        try:
            more = shipped.shipped(Path(folder))
        except OSError as error:
            logger.warning("%s names %s, which cannot be read: %s", VARIABLE, folder, error.strerror)
            return found
        found |= more or shipped.alone(Path(folder))
    return found


def load(name: Any) -> Summary:
    """The results of a suite by its name; raises `ResultsError` in one sentence."""
    known_suites = suites()
    if name not in known_suites:
        raise ResultsError("these results are not here")
    return shipped.load(known_suites[name])


# What the page shows


def shown(matchup: Matchup, results: Results, outputs: Outputs) -> dict[str, Any]:
    """A matchup as the page shows it; the systems are in it only if it is uncovered.

    {state: "asking" or "uncovered", token, title, global, fps, num_frames, cuts, shots, sides: [{letter, side, video}],
    question: {name, text, number, of}, answers: {question: letter or "tie"}, names: {letter: system}}
    """
    board = next(entry.storyboard for entry in results.entries if entry.id == matchup.pair.storyboard_id)
    folder = _copies(matchup, results, outputs)
    letters = {**LETTERS, "tie": "tie"}
    value: dict[str, Any] = {
        **planned(board),
        "state": "uncovered" if matchup.uncovered else "asking",
        "token": matchup.token,
        "global": board.global_caption,
        "sides": [
            {"letter": letter, "side": side, "video": served(folder / f"{letter}.mp4")}
            for side, letter in LETTERS.items()
        ],
        "answers": [
            {"question": QUESTIONS[name].text, "choice": letters[choice]} for name, choice in matchup.answers.items()
        ],
    }
    if name := matchup.question:
        number = list(QUESTIONS).index(name) + 1
        value["question"] = {"name": name, "text": QUESTIONS[name].text, "number": number, "of": len(QUESTIONS)}
    if matchup.uncovered:
        value["names"] = {"A": matchup.pair.left, "B": matchup.pair.right}
    return value


def _copies(matchup: Matchup, results: Results, outputs: Outputs) -> Path:
    """The folder with copies of both videos that tell nothing of themselves; raises `ResultsError` if one is gone."""
    from benchmarks.reporting.preference import anonymous_copy

    folder = outputs.files / matchup.token
    folder.mkdir(exist_ok=True)
    pair = matchup.pair
    for side, system in (("left", pair.left), ("right", pair.right)):
        copy = folder / f"{LETTERS[side]}.mp4"
        if not copy.exists():
            anonymous_copy(_video(results, pair, system), copy)
        os.utime(copy, (0, 0))  # servers say when a file was written
    return folder


def _video(results: Results, pair: Pair, system: str) -> Path:
    for item in results.items:
        if (item.system, item.storyboard_id, item.seed) == (system, pair.storyboard_id, pair.seed) and item.video:
            return item.video
    raise ResultsError("one of these two videos is no longer here; take the next two")


def _next(studio: Studio, name: Any, visitor: Any) -> dict[str, Any]:
    """The visitor's next two videos, or why there are none."""
    try:
        results = load(name).results
        matchup = _matchups(studio).next(owner_of(known(visitor)), name, make_pairs(results), random.SystemRandom())
        if matchup is None:
            return {"state": "empty", "message": "You have seen all pairs of this suite. Thank you."}
        return shown(matchup, results, studio.outputs)
    except (ValueError, OSError) as error:
        return {"state": "empty", "message": sentence(str(error))}


def _vote(studio: Studio):
    def vote(visitor: str, event: gr.EventData) -> Any:
        said = event._data
        return _changed(
            studio,
            lambda matchups, voter: matchups.answer(
                voter, said.get("token"), str(said.get("question")), str(said.get("choice"))
            ),
            visitor,
        )

    return vote


def _uncover(studio: Studio):
    def uncover(visitor: str, event: gr.EventData) -> Any:
        token = event._data.get("token")
        return _changed(studio, lambda matchups, voter: matchups.uncover(voter, token), visitor)

    return uncover


def _changed(studio: Studio, change: Any, visitor: str) -> Any:
    """What the page shows after a change of a matchup; all that is asked being answered, it is uncovered."""
    try:
        matchups, voter = _matchups(studio), owner_of(known(visitor))
        matchup = change(matchups, voter)
        if matchup.question is None and not matchup.uncovered:
            matchup = matchups.uncover(voter, matchup.token)
        return shown(matchup, load(matchup.suite).results, studio.outputs)
    except (ValueError, OSError) as error:
        gr.Warning(sentence(str(error)))
        return gr.skip()


def _go_on(studio: Studio):
    """A listener: the next two; those that were shown are done with, whatever was said of them."""

    def go_on(name: str, visitor: str, event: gr.EventData) -> Any:
        token = event._data.get("token")
        if token is not None:
            try:
                _matchups(studio).uncover(owner_of(known(visitor)), token)
                shutil.rmtree(studio.outputs.files / token, ignore_errors=True)
            except VotesError:
                logger.info("a matchup that is not the visitor’s was to be ended")
        return _next(studio, name, visitor)

    return go_on


def _matchups(studio: Studio) -> Matchups:
    return Matchups(studio.outputs.folder / VOTES)


# What was said

_NOBODY = "<p class='note'>Nobody has voted yet.</p>"


def _tell(studio: Studio):
    from benchmarks.reporting.page import table_html

    def tell(name: str) -> str:
        try:
            answers = _matchups(studio).judgements(name)
            tables = arena_tables(answers, load(name)) if answers else []
        except (ValueError, OSError) as error:
            return f"<p class='note'>{escape(sentence(str(error)))}</p>"
        return "".join(f"<h3>{escape(table.title)}</h3>{table_html(table)}" for table in tables) or _NOBODY

    return tell
