"""`python -m benchmarks.suites`: list, check, sign and build suites."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.suites.interchange import FORMATS, LANGUAGES, notes_of, read_scripts, to_suite
from benchmarks.suites.suite import FOLDER, WORLDS, Suite, is_id, load_suite, suite_names, write_suite
from holocine.files import check_writable
from holocine.plurals import counted
from holocine.program import Parser, UsageError, exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """List, check, sign and import suites, and build those of worlds with truth."""

    def work() -> None:
        options = _parser().parse_args(arguments)
        options.run(options)

    return exit_code("benchmarks.suites", work, "interrupted, nothing was written")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks.suites", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the suites that come with the program").set_defaults(run=_list)
    check = commands.add_parser("check", help="load a suite and say what is in it")
    check.add_argument("suite", help="a name or the path of a .jsonl file")
    check.set_defaults(run=_check)
    sign = commands.add_parser("sign", help="write the hash of every line, after an edit that was meant")
    sign.add_argument("file", type=Path)
    sign.set_defaults(run=_sign)
    other = commands.add_parser("import", help="turn scripts of another benchmark into a suite")
    other.add_argument("format", choices=tuple(FORMATS))
    other.add_argument("source", type=Path, help="a script, or the folder that they lie in")
    other.add_argument("-o", "--out", type=_suite_file, required=True, help="the suite, a .jsonl file")
    other.add_argument("--seconds", type=_seconds, default=5.0, help="how long every prompt lasts (5)")
    other.add_argument("--fps", type=_rate, default=16.0, help="frames a second (16)")
    other.add_argument("--language", choices=LANGUAGES, help="of ViStoryBench (en)")
    other.add_argument("--force", action="store_true", help="replace a suite that exists")
    other.set_defaults(run=_import)
    for world in WORLDS:
        build = commands.add_parser(f"build-{world}", help=f"write the suite of the {world} world again from its seed")
        build.add_argument("-o", "--out", type=Path, default=FOLDER / f"{world}.jsonl")
        build.set_defaults(world=world, run=_build)
    return parser


def _list(options: argparse.Namespace) -> None:
    for name in suite_names():
        _describe(load_suite(name))


def _check(options: argparse.Namespace) -> None:
    suite = load_suite(options.suite)
    _describe(suite)
    for entry in suite.entries:
        board = entry.storyboard
        cuts = ", ".join(map(str, board.cuts))
        even = f"its shots have no lengths, so all systems are asked for even ones, cut at {cuts}"
        for warning in (*([] if board.timed else [even]), *board.warnings):
            print(f"  {entry.id}: {warning}")


def _sign(options: argparse.Namespace) -> None:
    write_suite(options.file, load_suite(options.file, verify=False))


def _import(options: argparse.Namespace) -> None:
    if round(options.seconds * options.fps) < 1:
        raise UsageError(f"--seconds {options.seconds:g} is less than a frame at --fps {options.fps:g}: raise one")
    check_writable(options.out)
    if options.out.exists() and not options.force:
        raise UsageError(f"{options.out} exists: name another suite, or add --force to replace it")
    scripts = read_scripts(options.format, options.source, options.language)
    suite = to_suite(options.format, scripts, options.out.stem, options.fps, options.seconds)
    write_suite(options.out, suite)
    _describe(suite)
    for script, entry in zip(scripts, suite.entries, strict=True):
        for note in notes_of(script, entry.storyboard):
            print(f"  {entry.id}: {note}")


def _build(options: argparse.Namespace) -> None:
    write_suite(options.out, WORLDS[options.world].build())


def _suite_file(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".jsonl" or not is_id(path.stem):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no suite: take letters, digits, '.', '_' and '-', and .jsonl at the end"
        )
    return path


def _seconds(text: str) -> float:
    return _between(text, 0.0, 3600.0, "a number of seconds above 0 and at most 3600, such as 5")


def _rate(text: str) -> float:
    return _between(text, 1.0, 240.0, "a rate from 1 to 240 frames a second, such as 16")


def _between(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most or value == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _describe(suite: Suite) -> None:
    frames = ", ".join(map(str, suite.num_frames))
    print(
        f"{suite.name} {suite.version}: {counted(len(suite), 'storyboard')} of {frames} frames at "
        f"{suite.fps:g} fps, {suite.size[0]}x{suite.size[1]}, sha256 {suite.sha256[:12]}"
    )
    if suite.description:
        print(f"  {suite.description}")


if __name__ == "__main__":
    sys.exit(main())
