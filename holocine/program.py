"""What `python -m holocine`, `eval` and `benchmarks` have in common: one line on stderr for a fault of the input."""

from __future__ import annotations

import argparse
import atexit
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn


class UsageError(ValueError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def program(main: Callable[[], int], terminated: BaseException) -> NoReturn:
    """Run the command line that this process was started with. SIGTERM raises `terminated`, which cleans up."""

    def terminate(*_: object) -> NoReturn:
        raise terminated

    signal.signal(signal.SIGTERM, terminate)
    leave(main())


def leave(code: int) -> NoReturn:
    """End the process: what was to be done at its end is, but its modules are not taken apart, which takes a second."""
    atexit._run_exitfuncs()  # as the interpreter does; worker processes and temporary folders go by it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_code(name: str, work: Callable[[], int | None], interrupted: str, too_large: str | None = None) -> int:
    """Do the work of a command and return its exit code: 2 for what the input can cause, 130 for Ctrl-C.

    interrupted: what is said after Ctrl-C, unless the interrupt says something itself. too_large: what is said where
    there is not enough memory; None lets the error through.
    """
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        return complain(name, _noted(str(interrupt) or interrupted, interrupt), 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ImportError) as error:
        return complain(name, _noted(str(error), error), 2)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return complain(name, _noted(said, error), 2)
    except (MemoryError, RuntimeError) as error:
        if too_large is None or not (isinstance(error, MemoryError) or "out of memory" in str(error)):
            raise
        return complain(name, _noted(too_large, error), 2)


def _noted(message: str, error: BaseException) -> str:
    """The message with the notes that were added to an error on its way."""
    return "; ".join([message, *getattr(error, "__notes__", ())])


def complain(name: str, message: str, code: int) -> int:
    """Say what is wrong, in one line, and return the exit code."""
    print(f"{name}: " + " ".join(message.split()), file=sys.stderr)
    return code


def tell(name: str, sentences: Iterable[str]) -> None:
    """Say what is worth knowing of work that goes on, a line each on stderr."""
    for sentence in sentences:
        print(f"{name}: {sentence}", file=sys.stderr)


def mp4_path(text: str) -> Path:
    """Where a video is to be written; raises UsageError for a name that does not end in .mp4."""
    path = Path(text)
    if path.suffix.lower() != ".mp4":
        raise UsageError(f"the output is {str(path)!r}, but has to end in .mp4")
    return path


def whole_number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def count(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
