"""Tables as Markdown, LaTeX and plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import chain
from unicodedata import east_asian_width

from benchmarks.reporting.tables import TOLD, Table, Text

_WIDTH = 120
_PLAIN = {"best": "*", "second": "'", None: ""}
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"$^\dagger$", "≈": r"$^\approx$", "–": "--", "<": "$<$", ">": "$>$", "…": r"\ldots{}",
}  # fmt: skip


def markdown(table: Table, level: int = 2) -> str:
    """A Markdown table under its title; best in bold, runner-up underlined."""
    lines = ["#" * level + " " + table.title, "", *([_escaped(table.lead), ""] if table.lead else [])]
    lines += [_row(table.head), _row(["---", *["---:"] * (len(table.head) - 1)])]
    for number, row in enumerate(table.rows):
        note = (table.lines or {}).get(number)
        if note:
            lines.append(_row([f"*{_escaped(note)}*", *[""] * (len(table.head) - 1)]))
        lines.append(_row([_markdown_text(text) for text in row]))
    lines += ["", _escaped(table.note)] if table.note else []
    lines += ["", TOLD, "", *(f"- {_escaped(line)}" for line in table.told)] if table.told else []
    return "\n".join([*lines, ""])


def latex(table: Table) -> str:
    """A booktabs table; best in bold, runner-up underlined."""
    columns = "l" + "r" * (len(table.head) - 1)
    lines = [r"\begin{table}", r"\centering\small", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(_latex, table.head)) + r" \\", r"\midrule"]
    for number, row in enumerate(table.rows):
        if number in (table.lines or {}):
            if number:
                lines.append(r"\midrule")
            if note := table.lines[number]:
                span = rf"\multicolumn{{{len(table.head)}}}{{p{{0.95\linewidth}}}}"
                lines.append(rf"{span}{{\footnotesize\itshape {_latex(note)}}} \\")
        lines.append(" & ".join(map(_latex_text, row)) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    told = f" {TOLD} {'; '.join(table.told)}." if table.told else ""
    note = table.note if table.paper is None else table.paper
    lines += [
        rf"\caption{{{_latex(table.title)}. {_latex(note.replace('`', '') + told)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def plain(table: Table) -> str:
    """For a terminal: best marked *, runner-up marked '."""
    rows = [[text.text + _PLAIN[text.emphasis] for text in row] for row in table.rows]
    widths = [max(map(_wide, column)) for column in zip(table.head, *rows, strict=True)]
    lead = [*textwrap.wrap(table.lead, _WIDTH), ""] if table.lead else []
    lines = [table.title, "", *lead, _aligned(table.head, widths), "-" * (sum(widths) + 2 * len(widths) - 2)]
    for number, row in enumerate(rows):
        if number in (table.lines or {}):
            lines += [""] if number else []
            lines += textwrap.wrap(table.lines[number], _WIDTH)
        lines.append(_aligned(row, widths))
    note = table.note.replace("best in bold, runner-up underlined", "best marked *, runner-up marked '")
    lines += ["", *textwrap.wrap(note, _WIDTH)] if note else []
    told = (textwrap.wrap(f"- {line}", _WIDTH, subsequent_indent="  ") for line in table.told)
    lines += ["", TOLD, *chain.from_iterable(told)] if table.told else []
    return "\n".join([*lines, ""])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, numbers to the right with room for their marks."""
    first, *others = (" " * (width - _wide(text)) for text, width in zip(row, widths, strict=True))
    return "  ".join([row[0] + first, *(pad + text for pad, text in zip(others, row[1:], strict=True))]).rstrip()


def _wide(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_text(text: Text) -> str:
    escaped = _escaped(text.text)
    return {"best": f"**{escaped}**", "second": f"<u>{escaped}</u>"}.get(text.emphasis, escaped)


def _escaped(text: str) -> str:
    for letter in ("\\", "|", "*", "_", "<", ">", "`"):
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())


def _latex_text(text: Text) -> str:
    escaped = _latex(text.text)
    return {"best": rf"\textbf{{{escaped}}}", "second": rf"\underline{{{escaped}}}"}.get(text.emphasis, escaped)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
