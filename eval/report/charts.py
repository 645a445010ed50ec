"""The drawings of the page: stills, the line of cuts, the matrix of similarities."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.html import Html, tag
from eval.scorecard import Scorecard
from eval.stills import STRIP, sheet_places, spread
from eval.table import counted
from holocine.prompt import character_tags

_NUMBERED = 16  # shots up to which the cells of the matrix hold numbers


class Stills:
    """The pictures of one video as places on its sheet, which the page's style holds under the class `sheet`."""

    def __init__(self, card: Scorecard, sheet: str | None) -> None:
        self.card, self.sheet = card, sheet
        self.columns, self.rows, self.places = sheet_places(card)

    def show(self, frame: int, text: str | None = None) -> Html | None:
        """The still nearest to a frame; None without a sheet."""
        if self.sheet is None:
            return None
        nearest = min(self.places, key=lambda kept: abs(kept - frame))
        column, row = self.places[nearest]
        x, y = _percent(column, self.columns - 1), _percent(row, self.rows - 1)
        width, height = self.card.video.size
        style = (
            f"aspect-ratio:{width}/{height};background-position:{x} {y};"
            f"background-size:{100 * self.columns}% {100 * self.rows}%"
        )
        label = text or f"frame {nearest}"
        return tag("span", class_=("still", self.sheet), role="img", aria_label=label, title=label, style=style)


def strip(stills: Stills) -> Html | None:
    """The whole video as a row of evenly spaced frames."""
    if stills.sheet is None:
        return None
    frames = spread(range(stills.card.video.num_frames), STRIP)
    return tag("div", [stills.show(frame) for frame in frames], class_="strip")


def cut_line(card: Scorecard) -> Html:
    """Requested shots above, detected ones below, to scale, with the cuts that do not fit marked."""
    last = card.video.num_frames
    cuts = [boundary.frame for boundary in card.boundaries]
    found = [range(a, b) for a, b in zip([0, *cuts], [*cuts, last], strict=True)]
    bands = []
    if card.shots is not None:
        bands.append(_band("asked", [shot for shot in card.shots if len(shot)], last))
    gradual = [boundary for boundary in card.boundaries if boundary.kind == "gradual"]
    bands.append(_band("found", found, last, [_block(range(b.start, b.stop), last, "gradual") for b in gradual]))
    marks = [_mark(entry, last) for entry in _cut_entries(card)]
    seconds = f"{card.video.seconds(last):.1f} s"
    axis = tag("div", tag("span", "0"), tag("span", f"{counted(last, 'frame')}, {seconds}"), class_="axis")
    line = tag("div", bands, tag("div", marks, class_="marks"), axis, class_="cutline")
    return tag("figure", line, tag("figcaption", _cut_sentence(card)), class_="cuts")


def _band(name: str, shots: Sequence[range], last: int, extra: Sequence[Html] = ()) -> Html:
    blocks = [_block(shot, last, "block", str(i)) for i, shot in enumerate(shots, start=1)]
    return tag("div", tag("b", name), tag("div", blocks, extra, class_="track"), class_=("band", name))


def _block(shot: range, last: int, kind: str, text: str | None = None) -> Html:
    style = f"left:{_percent(shot.start, last)};width:{_percent(len(shot), last)}"
    return tag("i", text, class_=kind, style=style, title=f"frames {shot.start} to {shot.stop - 1}")


def _cut_entries(card: Scorecard) -> Sequence[dict]:
    record = card.metrics.get("sca")
    return record.detail if record is not None else ()


def _mark(entry: dict, last: int) -> Html | None:
    """A mark between the bands where a cut is missing, not asked for, or off."""
    asked, detected = entry["requested"], entry["detected"]
    if asked is not None and detected is not None:
        offset = entry["offset"]
        if not offset:
            return None
        text, kind = f"{offset:+d}", "off"
        title = f"asked at frame {asked}, found at frame {detected}"
    elif detected is None:
        text, kind, title = "missed", "wrong", f"asked at frame {asked}, not found"
    else:
        text, kind, title = "extra", "wrong", f"found at frame {detected}, not asked for"
    place = min(asked if detected is None else detected, last)
    return tag("span", text, class_=("mark", kind), style=f"left:{_percent(place, last)}", title=title)


def _cut_sentence(card: Scorecard) -> str:
    number = len(card.boundaries)
    found = f"{counted(number, 'cut') if number else 'no cut'} found by {card.detector}"
    if card.shots is None:
        return f"{found}; there is no storyboard to compare them with."
    entries = _cut_entries(card)
    exact = sum(entry["offset"] == 0 for entry in entries)
    asked = sum(entry["requested"] is not None for entry in entries)
    return f"{found}; {exact} of {asked} requested cuts fall on their frame."


def matrix(card: Scorecard, low: float) -> Html | None:
    """How alike every two shots look to CLIP, from `low` (paper) to 1 (ink); shots with a common character framed."""
    rows = card.similarity
    if rows is None or len(rows) < 2:
        return None
    shown = _characters(card)
    head = tag("tr", tag("td"), [tag("th", str(i), scope="col") for i in range(1, len(rows) + 1)])
    body = [
        tag("tr", tag("th", str(i + 1), scope="row"), [_cell(rows, shown, low, i, j) for j in range(len(rows))])
        for i in range(len(rows))
    ]
    kind = "requested" if card.shots is not None else "detected"
    about = f"CLIP cosine of every two {kind} shots"
    framed = any(shown[i] & shown[j] for i in range(len(rows)) for j in range(i)) if shown else False
    legend = tag(
        "figcaption",
        tag("span", about, class_="about"),
        tag("span", f"{low:.2f}", tag("i", class_="ramp"), "1.00", class_="legend"),
        tag("span", tag("i", class_="frame"), "same character asked for", class_="legend") if framed else None,
    )
    return tag("figure", tag("table", head, body, class_="matrix"), legend, class_="similarity")


def distance_curve(card: Scorecard) -> Html | None:
    """How alike a character looks with more and more shots in between, and when it comes back after shots without it.

    None with fewer than two distances.
    """
    record = card.metrics.get("character_consistency")
    rows = [row for row in record.detail if "apart" in row] if record is not None else []
    every = [row for row in rows if not row["returning"]]
    if len(every) < 2:
        return None
    low = min(0.0, *(row["value"] for row in rows))
    last = max(row["apart"] for row in every)

    def place(row: dict) -> tuple[float, float]:
        across = (row["apart"] - 1) / (last - 1)
        return 34 + 296 * across, 10 + 100 * (1 - row["value"]) / (1 - low)

    lines = []
    for kind, of_kind in (("every", every), ("back", [row for row in rows if row["returning"]])):
        points = [(*place(row), row) for row in of_kind]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        dots = [
            tag(
                "circle",
                tag("title", f"{row['value']:.3f} over {counted(row['pairs'], 'pair')}, {row['apart']} apart"),
                cx=f"{x:.1f}",
                cy=f"{y:.1f}",
                r="4",
            )
            for x, y, row in points
        ]
        lines.append(tag("g", tag("polyline", points=path), dots, class_=kind))
    labels = [tag("text", f"{row['apart']}", x=f"{place(row)[0]:.1f}", y="128", class_="across") for row in every]
    ends = [tag("text", f"{value:g}", x="26", y=f"{y}", class_="up") for value, y in ((1, 14), (low, 114))]
    drawing = tag("svg", lines, labels, ends, viewBox="0 0 340 132", role="img", aria_label="Similarity by distance")
    returns = tag("span", tag("i", class_="dash"), "after shots without it", class_="legend")
    legend = tag(
        "figcaption",
        tag("span", "How alike a character looks, by how many shots apart", class_="about"),
        returns if any(row["returning"] for row in rows) else None,
    )
    return tag("figure", drawing, legend, class_="curve")


def _characters(card: Scorecard) -> list[set[str]]:
    if card.storyboard is None:
        return []
    return [set(character_tags(shot["caption"])) for shot in card.storyboard["shots"]]


def _cell(rows: Sequence[Sequence[float | None]], shown: list[set[str]], low: float, i: int, j: int) -> Html:
    value = rows[i][j]
    if i == j or value is None:
        return tag("td", "" if i == j else "–", class_="self" if i == j else "none")
    share = min(1.0, max(0.0, (value - low) / max(1 - low, 1e-6)))
    same = bool(shown) and bool(shown[i] & shown[j])
    classes = ("heat", "strong" if share > 0.5 else "", "same" if same else "")
    text = f"{value:.2f}" if len(rows) <= _NUMBERED else None
    return tag(
        "td", text, class_=classes, style=f"--v:{100 * share:.0f}%", title=f"shots {i + 1} and {j + 1}: {value:.3f}"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3f}%" if whole else "0%"
