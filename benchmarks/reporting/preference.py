"""Human preference: blind pairs as a static page, votes back into SQLite, Bradley–Terry strengths of systems.

    RUN/preference/key.json       which pair is which, kept away from those who judge
    RUN/preference/votes.sqlite   what they said

The page holds copies of the videos under meaningless names and without the settings that videos carry inside. It works
from any web server or from a folder, keeps votes in the browser, and hands them over as a file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from benchmarks.reporting.bradley_terry import Strength, strengths
from benchmarks.reporting.charts import intervals
from benchmarks.reporting.results import Results, load_run
from benchmarks.reporting.tables import Table, Text
from benchmarks.reporting.votes import Pair, VotesError, add_vote, make_pairs, read_choices
from benchmarks.running.items import existing
from holocine.files import replacing
from holocine.plurals import counted
from holocine.program import whole_number

_ASSETS = Path(__file__).with_name("assets")
FORMAT = "holocine-votes/1"


def votes_file(run: Path) -> Path:
    return run / "preference" / "votes.sqlite"


def key_file(run: Path) -> Path:
    return run / "preference" / "key.json"


def export_page(results: Results, out: Path, pairs: Sequence[Pair]) -> None:
    """Write the static page with its videos into `out`, and the key into the run.

    Pairs of an earlier page stay in the key, so that its votes can still be read. Raises `VotesError` if the page would
    be inside the run, where the key is.
    """
    if out.resolve().is_relative_to(results.run.resolve()):
        raise VotesError(f"{out} is inside the run, where those who judge could find the key: choose another folder")
    videos = {(item.system, item.storyboard_id, item.seed): item.video for item in results.items}
    boards = {entry.id: entry.storyboard for entry in results.entries}
    (out / "videos").mkdir(parents=True, exist_ok=True)
    shown = []
    for pair in pairs:
        sides = {}
        for side, system in (("left", pair.left), ("right", pair.right)):
            name = hashlib.sha256(f"{pair.id} {side}".encode()).hexdigest()[:16] + ".mp4"
            anonymous_copy(videos[system, pair.storyboard_id, pair.seed], out / "videos" / name)
            sides[side] = f"videos/{name}"
        board = boards[pair.storyboard_id]
        shown.append({"id": pair.id, **sides, "global": board.global_caption, "captions": board.captions})
    page = _page({"format": FORMAT, "pairs": shown})
    key = {pair.id: pair for pair in read_key(results.run)} | {pair.id: pair for pair in pairs}
    key_file(results.run).parent.mkdir(exist_ok=True)
    with replacing(key_file(results.run)) as temporary:
        temporary.write_text(json.dumps([vars(pair) for pair in key.values()], indent=1) + "\n", encoding="utf-8")
    with replacing(out / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def read_key(run: Path) -> list[Pair]:
    """The pairs of all pages that were exported from a run."""
    try:
        return [Pair(**pair) for pair in json.loads(key_file(run).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise VotesError(f"{key_file(run)} is damaged ({error}): export the page again") from None


def import_votes(run: Path, file: Path) -> int:
    """Add the votes of a file that the page handed over; return how many of them are new.

    Raises `VotesError` for a file of another kind, and for pairs that are not of a page of this run.
    """
    pairs = {pair.id: pair for pair in read_key(run)}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        voter, votes = content["voter"], content["votes"]
        if content["format"] != FORMAT or not isinstance(voter, str) or not isinstance(votes, dict):
            raise KeyError("format")
    except OSError as error:
        raise VotesError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise VotesError(f"{file} holds no votes: it is the file that the page of pairs hands over") from None
    for id in votes:
        if id not in pairs:
            raise VotesError(f"{file}: pair {id} is not of a page that was exported from {run}")
    return sum(add_vote(votes_file(run), pairs[id], voter, choice) for id, choice in votes.items())


def preferences(run: Path) -> list[Strength]:
    """The strengths of a run's systems by its votes, strongest first; none without votes."""
    return strengths(read_choices(votes_file(run)))


NOTE = (
    "Bradley–Terry scores, mean 0, with 95 % intervals over storyboards; a system that is 1 above another is "
    "preferred to it in 73 % of cases. A choice among several is one choice (Luce), and one without a winner counts in "
    "equal parts for all that were shown."
)


def preference_table(found: Sequence[Strength]) -> Table:
    """Strengths as a table."""
    rows = []
    for one in found:
        interval = "–" if one.low is None else f"[{one.low:+.2f}, {one.high:+.2f}]"
        rows.append(
            tuple(map(Text, (one.system, f"{one.score:+.2f}", interval, f"{100 * one.won:.0f} %", str(one.votes))))
        )
    head = ("system", "score", "95 % interval", "preferred", "votes")
    return Table("preference", "What people prefer", head, tuple(rows), NOTE)


def preference_plot(found: Sequence[Strength]) -> str:
    """Strengths with their intervals as SVG; empty where there are none."""
    rows = {one.system: (one.score, one.low, one.high) for one in found if one.low is not None and one.high is not None}
    return intervals(rows, "Preference (Bradley–Terry score)") if rows else ""


def anonymous_copy(source: Path, target: Path) -> None:
    """Copy a video's pictures without decoding them, and without what is written inside about how it was made: neither
    what the file says of itself nor what an encoder notes of its settings among the pictures.
    """
    with (
        replacing(target) as temporary,
        av.open(str(source)) as old,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as new,
    ):
        pictures = old.streams.video[0]
        stream = new.add_stream_from_template(pictures)
        notes = _NOTES.get(pictures.codec_context.name)
        kept = BitStreamFilterContext(f"filter_units=remove_types={notes}" if notes else "null", pictures, stream)
        for packet in old.demux(pictures):
            for one in kept.filter(packet):
                one.stream = stream
                new.mux(one)


_NOTES = {"h264": "6", "hevc": "39-40"}  # the types of units with an encoder's own notes (SEI)


def _page(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    assets = {name: (_ASSETS / name).read_text(encoding="utf-8") for name in ("preference.css", "preference.js")}
    body = (_ASSETS / "preference.html").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Which video is better?</title><style>{assets['preference.css']}</style></head><body>{body}"
        f'<script type="application/json" id="data">{text}</script><script>{assets["preference.js"]}</script>'
        "</body></html>\n"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks preference`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = commands.add_parser("export", help="write a page of blind pairs")
    export.add_argument("run_folder", type=Path, metavar="RUN")
    export.add_argument("--out", type=Path, required=True, help="folder of the page, outside the run")
    export.add_argument("--systems", help="those to compare, with commas between; by default all but the bounds")
    export.add_argument("--pairs", type=whole_number, metavar="N", help="at most so many pairs of a storyboard")
    export.add_argument("--seed", type=int, default=0, help="of the order and the sides")
    collect = commands.add_parser("import", help="add the votes of files that the page handed over")
    collect.add_argument("run_folder", type=Path, metavar="RUN")
    collect.add_argument("files", type=Path, nargs="+", metavar="FILE")
    show = commands.add_parser("show", help="what was preferred so far")
    show.add_argument("run_folder", type=Path, metavar="RUN")


def run(options: argparse.Namespace) -> int:
    """Export pairs, import votes, or show what was preferred."""
    from benchmarks.reporting.render import plain

    folder: Path = options.run_folder
    if options.action == "export":
        results = load_run(folder)
        systems = options.systems.split(",") if options.systems else None
        pairs = make_pairs(results, systems, options.pairs, options.seed)
        export_page(results, options.out, pairs)
        print(f"{options.out / 'index.html'}: {counted(len(pairs), 'pair')}; the key stays in {key_file(folder)}")
    elif options.action == "import":
        existing(folder)
        for file in options.files:
            print(f"{file}: {import_votes(folder, file)} new votes")
    else:
        existing(folder)
        found = preferences(folder)
        print(plain(preference_table(found)) if found else f"{folder} has no votes yet")
    return 0
