"""`python -m benchmarks`: run, score, merge, report, compare, preference, publish, export,
systems, ablations.

Bad input is one line on stderr and exit code 2; items that failed make it 1. Ctrl-C is 130: what has landed stays, and
the same command goes on.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, in which Ctrl-C would otherwise be a traceback
    from holocine.starting import expect_interrupt

    expect_interrupt("benchmarks")

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from holocine.program import Parser, exit_code
from holocine.program import program as program_of

# Command: module, and the names of its functions that add arguments and run it.
COMMANDS = {
    "run": ("benchmarks.commands", "add_run", "run"),
    "score": ("benchmarks.commands", "add_score", "score"),
    "merge": ("benchmarks.commands", "add_merge", "merge"),
    "report": ("benchmarks.reporting.report", "add_arguments", "run"),
    "compare": ("benchmarks.reporting.side_by_side", "add_arguments", "run"),
    "preference": ("benchmarks.reporting.preference", "add_arguments", "run"),
    "publish": ("benchmarks.reporting.publish", "add_arguments", "run"),
    "export": ("benchmarks.reporting.export", "add_arguments", "run"),
    "systems": ("benchmarks.systems.catalogue", "add_arguments", "run"),
    "ablations": ("benchmarks.ablations", "add_arguments", "run"),
}
HELP = {
    "run": "make and score the videos of systems over a suite; the same command goes on where it stopped",
    "score": "score the videos of a run again; nothing is generated",
    "merge": "join the parts of a run that were computed apart",
    "report": "tables and pages of a run",
    "compare": "two systems side by side as a video",
    "preference": "blind pairs for people to judge, and what they said",
    "publish": "a run's small results into the repository, and its table into the README",
    "export": "a system's videos as another benchmark's evaluator reads them, with their scores",
    "systems": "every system, what it needs, its licence, and whether it is here",
    "ablations": "the paper's ablations on the puppet world: train each variant, run all, write the table",
}


PACKAGES = ("benchmarks", "eval", "holocine")  # whose messages are for those who run a command


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    stderr = logging.StreamHandler()
    stderr.addFilter(lambda record: record.name.partition(".")[0] in PACKAGES)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING, handlers=[stderr])
    argv = list(sys.argv[1:] if argv is None else argv)

    def work() -> int | None:
        options = _parser(argv).parse_args(argv)
        return options.run(options)

    return exit_code("benchmarks", work, "interrupted: what has landed stays, and the same command goes on")


def program() -> NoReturn:
    """Run the command line that this process was started with."""
    program_of("benchmarks", main)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the command in `argv` gets its arguments, as the others would load pandas and more."""
    parser = Parser(prog="python -m benchmarks", description="Systems that make multi-shot videos, compared on suites.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, add_arguments, run) in COMMANDS.items():
        command = commands.add_parser(name, help=HELP[name], description=f"{HELP[name].capitalize()}.")
        if argv[:1] == [name]:
            loaded = import_module(module)
            getattr(loaded, add_arguments)(command)
            command.set_defaults(run=getattr(loaded, run))
    return parser


if __name__ == "__main__":
    program()
