"""`python -m benchmarks.suites`: list, check, sign and build suites."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.suites.interchange import FORMATS, read_scripts, to_suite
from benchmarks.suites.suite import FOLDER, WORLDS, Suite, SuiteError, load_suite, suite_names, write_suite
from holocine.plurals import counted


def main(arguments: Sequence[str] | None = None) -> int:
    """List, check, sign and import suites, and build those of worlds with truth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suites", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the suites that come with the program")
    check = commands.add_parser("check", help="load a suite and say what is in it")
    check.add_argument("suite", help="a name or the path of a .jsonl file")
    sign = commands.add_parser("sign", help="write the hash of every line, after an edit that was meant")
    sign.add_argument("file", type=Path)
    other = commands.add_parser("import", help="turn scripts of another benchmark into a suite")
    other.add_argument("format", choices=tuple(FORMATS))
    other.add_argument("source", type=Path, help="a script, or the folder that they lie in")
    other.add_argument("-o", "--out", type=Path, required=True, help="the suite, a .jsonl file")
    other.add_argument("--seconds", type=float, default=5.0, help="how long every prompt lasts (5)")
    other.add_argument("--fps", type=float, default=16.0, help="frames a second (16)")
    other.add_argument("--language", choices=("en", "ch"), default="en", help="of ViStoryBench (en)")
    for world in WORLDS:
        build = commands.add_parser(f"build-{world}", help=f"write the suite of the {world} world again from its seed")
        build.add_argument("-o", "--out", type=Path, default=FOLDER / f"{world}.jsonl")
        build.set_defaults(world=world)
    options = parser.parse_args(arguments)
    try:
        if options.command == "list":
            for name in suite_names():
                _describe(load_suite(name))
        elif options.command == "check":
            suite = load_suite(options.suite)
            _describe(suite)
            for entry in suite.entries:
                for warning in entry.storyboard.warnings:
                    print(f"  {entry.id}: {warning}")
        elif options.command == "sign":
            write_suite(options.file, load_suite(options.file, verify=False))
        elif options.command == "import":
            scripts = read_scripts(options.format, options.source, options.language)
            suite = to_suite(options.format, scripts, options.out.stem, options.fps, options.seconds)
            write_suite(options.out, suite)
            _describe(suite)
        else:
            write_suite(options.out, WORLDS[options.world].build())
    except (SuiteError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
