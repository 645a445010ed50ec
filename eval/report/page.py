"""The page as a whole: what was scored, the summary over all videos, a section for each."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.combining import Combined, combine
from eval.metric import Metric
from eval.metrics import all_metrics
from eval.report.html import Html, tag
from eval.report.video import ARROWS, BETTER, GROUPS, covered, limits_of, value_of, video_section
from eval.scorecard import Scorecard, ScorecardError
from eval.table import counted, number
from holocine.files import check_writable, replacing

STYLE = Path(__file__).with_name("style.css")
NAME = "report.html"
_OPEN = 4  # videos whose sections are open from the start
# The columns of the table with a row a video.
_HEADLINES = (
    "sca",
    "cut_f1_2",
    "character_presence",
    "character_consistency",
    "character_margin",
    "subject_consistency",
    "motion_smoothness",
    "text_shot",
    "shot_retrieval",
    "aesthetic",
    "sharpness",
)


def write_report(folder: str | os.PathLike, out: str | os.PathLike | None = None) -> tuple[Path, int]:
    """Write one page about the scorecards in a folder; return its path and how many videos it shows.

    Files that are no scorecards are left out and named on the page. Raises `ScorecardError` if there is no scorecard,
    and `OSError` if the page cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ScorecardError(
            f"{folder} is not a folder of scorecards: fill one with `python -m eval score … --out DIR`"
        )
    out = Path(out) if out is not None else folder / NAME
    check_writable(out)
    cards, broken = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            cards[path] = Scorecard.load(path)
        except ScorecardError as error:
            broken.append(str(error))
    if not cards:
        raise ScorecardError(f"{folder} holds no scorecard: fill it with `python -m eval score … --out {folder}`")
    with replacing(out) as temporary:
        temporary.write_text(page(cards, broken), encoding="utf-8")
    return out, len(cards)


def page(cards: Mapping[Path, Scorecard], broken: Sequence[str] = ()) -> str:
    """The page about scorecards by the files that hold them; stills are taken from beside these files."""
    metrics = all_metrics()
    sheets = {path: _sheet(path) for path in cards}
    names = {path: f"sheet{i}" for i, path in enumerate(cards) if sheets[path]}
    style = STYLE.read_text(encoding="utf-8") + "".join(
        f".{names[path]}{{background-image:url(data:image/jpeg;base64,{sheets[path]})}}\n" for path in names
    )
    low = _lowest(cards.values())
    anchors = {path: f"video{i}" for i, path in enumerate(cards, start=1)}
    sections = [
        video_section(card, metrics, anchors[path], names.get(path), low, len(cards) <= _OPEN)
        for path, card in cards.items()
    ]
    body = tag(
        "main",
        _header(list(cards.values())),
        [tag("p", sentence, class_="note") for sentence in broken],
        _overview(cards, anchors, metrics) if len(cards) > 1 else None,
        sections,
        _footer(list(cards.values())),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"Scorecards of {counted(len(cards), 'video')}"),
        tag("style", Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _sheet(path: Path) -> str | None:
    """The stills beside a scorecard in base64; None without any."""
    try:
        return base64.b64encode(path.with_suffix(".jpg").read_bytes()).decode()
    except OSError:
        return None


def _lowest(cards) -> float:
    """Where the scale of all similarity matrices begins, so that they can be compared."""
    values = [
        value
        for card in cards
        for i, row in enumerate(card.similarity or ())
        for j, value in enumerate(row)
        if i != j and value is not None
    ]
    return min(values, default=0.0)


def _header(cards: list[Scorecard]) -> Html:
    frames = sum(card.video.num_frames for card in cards)
    with_board = sum(card.storyboard is not None for card in cards)
    facts = f"{counted(len(cards), 'video')} · {counted(frames, 'frame')} · {with_board} with a storyboard"
    return tag("header", tag("h1", "Scorecards"), tag("p", facts, class_="facts"))


def _overview(cards: Mapping[Path, Scorecard], anchors: Mapping[Path, str], metrics: Mapping[str, Metric]) -> Html:
    try:
        combined: object = _combined_table(combine(cards.values()), metrics)
    except ScorecardError as error:
        combined = tag("p", f"There is no number over all videos: {error}.", class_="note")
    return tag(
        "section",
        tag("h2", "By video"),
        tag("div", _video_table(cards, anchors, metrics), class_="wide"),
        tag("h2", "All videos together"),
        tag("div", combined, class_="wide"),
        class_="overview",
    )


def _video_table(cards: Mapping[Path, Scorecard], anchors: Mapping[Path, str], metrics: Mapping[str, Metric]) -> Html:
    shown = [name for name in _HEADLINES if any(_value(card, name) is not None for card in cards.values())]
    head = tag(
        "tr",
        tag("th", "Video", scope="col"),
        [
            tag(
                "th",
                _heading(metrics[name]),
                scope="col",
                title=metrics[name].meaning,
            )
            for name in shown
        ],
    )
    rows = [
        tag(
            "tr",
            tag("th", tag("a", card.video.name, href=f"#{anchors[path]}"), scope="row"),
            [tag("td", number(_value(card, name)), class_="value") for name in shown],
        )
        for path, card in cards.items()
    ]
    return tag("table", tag("thead", head), tag("tbody", rows), class_="videos")


def _heading(metric: Metric) -> list[object]:
    """A metric's name, its last word on one line with the arrow for the better direction."""
    *words, last = metric.name.split("_")
    arrow = tag("i", ARROWS[metric.direction], title=BETTER[metric.direction], class_="arrow")
    return [" ".join([*words, ""]), tag("span", last, arrow, class_="nobreak")]


def _value(card: Scorecard, name: str) -> float | None:
    return card.metrics[name].value if name in card.metrics else None


def _combined_table(combined: Mapping[str, Combined], metrics: Mapping[str, Metric]) -> Html:
    bodies = []
    for group, heading in GROUPS.items():
        rows = []
        for name, metric in metrics.items():
            if metric.group != group or name not in combined:
                continue
            one = combined[name]
            error = f"± {number(one.standard_error)}" if one.standard_error is not None else ""
            rows.append(
                tag(
                    "tr",
                    tag("th", tag("code", metric.id), scope="row"),
                    tag("td", value_of(one.value, metric), class_="value"),
                    tag("td", error, class_="covered"),
                    tag("td", covered(one.videos, one.num_videos), class_="covered"),
                    tag("td", covered(one.covered, one.of), class_="covered"),
                    tag("td", one.trust or "–", class_="covered"),
                    tag("td", metric.meaning, tag("em", limits) if (limits := limits_of(one)) else None),
                    class_="absent" if one.value is None else None,
                )
            )
        if rows:
            head = tag("tr", tag("th", heading, colspan="7", scope="rowgroup"), class_="group")
            bodies.append(tag("tbody", head, rows))
    titles = ("Metric", "Value", "Standard error", "Videos", "Covered", "Trust", "What it says")
    columns = tag("tr", [tag("th", title, scope="col") for title in titles])
    return tag("table", tag("thead", columns), bodies, class_="metrics")


def _footer(cards: list[Scorecard]) -> Html:
    detectors = sorted({card.detector for card in cards})
    encoders = sorted({f"{role}: {one.id} ({one.licence})" for card in cards for role, one in card.encoders.items()})
    lines = [f"Cuts found by {', '.join(detectors)}.", *(f"{encoder}." for encoder in encoders)]
    if not encoders:
        lines.append("No encoder looked at these videos: `python -m eval encoders` says which there are.")
    covers = "Covered: how many of the things that a metric is about (frames, shots, pairs, cuts) it could look at."
    trust = "Trust: how far calibration on known damage (`python -m eval calibrate`) found that a value can be trusted."
    return tag("footer", [tag("p", line) for line in [*lines, covers, trust]])
