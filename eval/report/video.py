"""What the page says about one video."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from eval.combining import Combined
from eval.metric import Metric
from eval.report.charts import Stills, cut_line, distance_curve, matrix, strip
from eval.report.html import Html, tag
from eval.scorecard import MetricRecord, Scorecard
from eval.stills import A_SHOT, shown_shots, spread
from eval.table import counted, number

GROUPS = {
    "transitions": "Cuts",
    "inter-shot": "From shot to shot",
    "intra-shot": "Within shots",
    "adherence": "As the text asks",
    "quality": "Picture quality",
}
BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "neither is better"}
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
_WORST = 3
_TAG = re.compile(r"(\[character\d+\])")


def video_section(
    card: Scorecard, metrics: Mapping[str, Metric], anchor: str, sheet: str | None, low: float, open_: bool
) -> Html:
    """All about one video. `sheet`: class of its stills; `low`: where the scale of similarities begins."""
    stills = Stills(card, sheet)
    board = card.storyboard or {}
    video = card.video
    facts = (
        f"{counted(video.num_frames, 'frame')} · {video.seconds(video.num_frames):.1f} s at {video.fps:.4g} fps · "
        f"{video.size[0]} × {video.size[1]}"
    )
    title = board.get("title")
    summary = tag("summary", tag("h2", video.name), tag("span", facts, class_="facts"))
    pairs, heat, curve = worst_pairs(card, stills), matrix(card, low), distance_curve(card)
    return tag(
        "details",
        summary,
        tag("p", title, class_="title") if title else None,
        tag("p", with_tags(board["global_caption"]), class_="scene") if board else None,
        [tag("p", note[0].upper() + note[1:] + ".", class_="note") for note in card.notes],
        tag("div", strip(stills), cut_line(card), class_="film"),
        shot_cards(card, stills),
        tag("div", heat, curve, pairs, class_="pairs") if heat or curve or pairs else None,
        metric_table(card.metrics, metrics),
        id=anchor,
        class_="video",
        open=open_,
    )


def with_tags(text: str) -> list[object]:
    """A caption with its character tags set off."""
    return [tag("b", part, class_="tag") if _TAG.fullmatch(part) else part for part in _TAG.split(text)]


def shot_cards(card: Scorecard, stills: Stills) -> Html:
    """A row a shot: pictures, caption, and what the metrics say about it."""
    shots = shown_shots(card)
    if card.storyboard is None:
        captions: list[str | None] = [None] * len(shots)
    else:
        captions = [s["caption"] for s, r in zip(card.storyboard["shots"], card.shots, strict=True) if len(r)]
    rows = []
    for index, shot in enumerate(shots):
        pictures = [stills.show(frame) for frame in spread(shot, A_SHOT)]
        seconds = f"{card.video.seconds(shot.start):.1f}–{card.video.seconds(shot.stop):.1f} s"
        about = tag("span", f"frames {shot.start}–{shot.stop - 1} · {seconds}", class_="facts")
        caption = captions[index] if index < len(captions) else None
        rows.append(
            tag(
                "li",
                tag("h3", f"Shot {index + 1}", about),
                tag("div", pictures, class_="pictures"),
                tag("p", with_tags(caption)) if caption else None,
                tag("p", shot_facts(card, index + 1), class_="chips"),
            )
        )
    hidden = max(0, len(card.boundaries) + 1 - len(shots)) if card.storyboard is None else len(captions) - len(shots)
    more = tag("p", f"{counted(hidden, 'more shot')} not shown.", class_="facts") if hidden else None
    return tag("section", tag("ol", rows, class_="shots"), more)


def shot_facts(card: Scorecard, shot: int) -> Iterable[Html]:
    """What metrics say about one requested shot, counted from 1."""
    if (fit := of_shot(card, "text_shot", shot)) and fit["value"] is not None:
        yield chip("fits its caption", f"{fit['value']:.3f}")
    if (told := of_shot(card, "shot_retrieval", shot)) and told["value"] is not None:
        best = max(range(len(told["similarities"])), key=lambda i: told["similarities"][i]) + 1
        text = "own caption fits best" if told["value"] == 1 else f"caption of shot {best} fits better"
        if 0 < told["value"] < 1:
            text = "another caption fits as well"
        yield chip(text, None, "good" if told["value"] == 1 else "bad")
    for name, text, kind in (
        ("character_presence", "not seen", "bad"),
        ("character_intruders", "not asked for", "bad"),
    ):
        wrong = 0.0 if name == "character_presence" else 1.0
        record = card.metrics.get(name)
        for row in record.detail if record else ():
            if row.get("shot") == shot and row["value"] == wrong:
                yield chip(row["character"], text, kind)
    for name, what in (("shot_size", "size"), ("camera_movement", "camera"), ("camera_angle", "angle")):
        if (seen := of_shot(card, name, shot)) and seen["value"] is None:
            yield chip(what, seen["why"])
        elif seen:
            right = seen["value"] == 1
            text = seen["seen"] if right else f"{seen['seen']}, asked {seen['asked']}"
            yield chip(what, text, "good" if right else "bad")


def of_shot(card: Scorecard, metric: str, shot: int) -> dict[str, Any] | None:
    record = card.metrics.get(metric)
    return next((entry for entry in record.detail if entry.get("shot") == shot), None) if record else None


def chip(name: str, value: str | None, kind: str = "") -> Html:
    return tag("span", name, tag("b", value) if value else None, class_=("chip", kind))


def worst_pairs(card: Scorecard, stills: Stills) -> Html | None:
    """The pairs of shots of one character that look least alike, side by side."""
    record = card.metrics.get("character_consistency")
    found = [e for e in record.detail if e.get("shots") and e.get("value") is not None] if record else []
    if not found or stills.sheet is None or card.shots is None:
        return None
    figures = []
    for entry in sorted(found, key=lambda e: e["value"])[:_WORST]:
        pictures = []
        for shot in entry["shots"]:
            middle = card.shots[shot - 1]
            pictures.append(stills.show(middle[len(middle) // 2], f"shot {shot}"))
        first, second = entry["shots"]
        text = f"shots {first} and {second}"
        caption = tag(
            "figcaption", tag("b", f"{entry['value']:.2f}"), f" {text}, ", with_tags(" ".join(entry["characters"]))
        )
        figures.append(tag("figure", tag("div", pictures, class_="pair"), caption))
    total = f"of {len(found)} pairs of shots with a common character" if len(found) > 1 else "one pair of shots"
    heading = tag("h3", "Least alike", tag("span", total, class_="facts"))
    return tag("div", heading, tag("div", figures, class_="worst"))


def metric_table(records: Mapping[str, MetricRecord], metrics: Mapping[str, Metric]) -> Html:
    """Every metric that has a value in plain words with what it covers, then the others with the reason."""
    bodies = []
    for group, heading in GROUPS.items():
        rows = [
            tag(
                "tr",
                tag("th", tag("code", metric.id), scope="row"),
                tag("td", value_of(records[name].value, metric), class_="value"),
                tag("td", covered(records[name].covered, records[name].of), class_="covered"),
                tag("td", records[name].trust or "–", class_="covered"),
                tag("td", metric.meaning, [tag("em", text) for text in _remarks(records[name])]),
            )
            for name, metric in metrics.items()
            if metric.group == group and name in records and records[name].value is not None
        ]
        if rows:
            head = tag("tr", tag("th", heading, colspan="5", scope="rowgroup"), class_="group")
            bodies.append(tag("tbody", head, rows))
    titles = ("Metric", "Value", "Covered", "Trust", "What it says")
    columns = tag("tr", [tag("th", title, scope="col") for title in titles])
    table = tag("table", tag("thead", columns), bodies, class_="metrics")
    return tag(
        "details",
        tag("summary", tag("h3", "All metrics")),
        tag("div", table, class_="wide"),
        without_value(records, metrics),
        class_="numbers",
    )


def without_value(records: Mapping[str, MetricRecord], metrics: Mapping[str, Metric]) -> Html | None:
    """The metrics that have no value, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, metric in metrics.items():
        if name in records and records[name].value is None:
            by_reason.setdefault(records[name].reason or metric.absent_when, []).append(metric.id)
    if not by_reason:
        return None
    rows = [
        tag(
            "li",
            reason[0].upper() + reason[1:] + ": ",
            [[", "] * (i > 0) + [tag("code", m)] for i, m in enumerate(ids)],
        )
        for reason, ids in by_reason.items()
    ]
    return tag("div", tag("h3", "Without a value"), tag("ul", rows), class_="without")


def value_of(value: float | None, metric: Metric) -> list[object]:
    """A number with its unit, and an arrow for the better direction."""
    if value is None:
        return ["–"]
    arrow = tag("i", ARROWS[metric.direction], title=BETTER[metric.direction], class_="arrow")
    return [tag("b", number(value)), arrow, tag("small", metric.unit) if metric.unit else None]


def _remarks(record: MetricRecord) -> list[str]:
    """What is to be said of a value beside what it means."""
    return [text for text in (record.reason, limits_of(record)) if text]


def limits_of(one: MetricRecord | Combined) -> str | None:
    """Where not to trust a value, as words that can stand alone."""
    return one.limits and f"Trust: {one.trust}, {one.limits}"


def covered(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "–"
