"""What `python -m holocine`, `eval` and `benchmarks` have in common: one line on stderr for a fault of the input."""

from __future__ import annotations

import argparse
import atexit
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO


class UsageError(ValueError):
    """A command line that cannot be understood."""


def check_strict(is_strict: bool, refused: Sequence[str]) -> None:
    """Raise UsageError, saying what of a storyboard is `refused`, where nothing is to be let through."""
    if is_strict and refused:
        raise UsageError(f"{'; '.join(refused)} (without --strict it is made all the same)")


def add_command(commands: argparse._SubParsersAction, name: str, text: str, **options: Any) -> argparse.ArgumentParser:
    """A command that its own help and the list of all tell of in the same words; `options`: the parser's."""
    return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", **options)


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse; what is unknown is an error of the command that it was given to, whose help is the one to be read."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


class StdoutError(OSError):
    """Stdout that cannot be written."""


class _Stdout:
    """A stream whose errors are `StdoutError`, but for that of a reader that is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._named():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._named():
            self._stream.flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StdoutError(error.errno, error.strerror) from None


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which clean up and say what Ctrl-C does; `code` is the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def program(name: str, main: Callable[[], int]) -> NoReturn:
    """Run the command line that this process was started with. SIGTERM and SIGHUP clean up as Ctrl-C does."""
    started = os.getpid()

    def terminate(number: int, _: object) -> NoReturn:
        raise Terminated(number) if os.getpid() == started else SystemExit(128 + number)  # a forked worker says nothing

    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, terminate)
    _open_streams()
    try:
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except KeyboardInterrupt as interrupt:
        code = complain(name, str(interrupt) or "interrupted", getattr(interrupt, "code", 130))
    except SystemExit as end:  # --help
        code = complain(name, end.code, 1) if isinstance(end.code, str) else end.code or 0
        code = code or exit_code(name, lambda: None, "interrupted")  # which says if stdout cannot be written
    leave(code)


def ignore_interrupts() -> None:
    """Ignore what a terminal sends to all its processes, Ctrl-C and its own end: for workers of one that does not."""
    for name in ("SIGINT", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)


def _open_streams() -> None:
    """Let stdout say that it is stdout which failed, and put streams in the place of those that were closed before."""
    if sys.stdout is None:  # opened for reading, so that it fails as soon as there is something to be written
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: SIM115  for the rest of the process
    sys.stdout = _Stdout(sys.stdout)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def leave(code: int) -> NoReturn:
    """End the process: what was to be done at its end is, but its modules are not taken apart, which takes a second."""
    atexit._run_exitfuncs()  # as the interpreter does; worker processes and temporary folders go by it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def exit_code(name: str, work: Callable[[], int | None], interrupted: str, too_large: str | None = None) -> int:
    """Do the work of a command and return its exit code: 2 for what the input can cause, 130 for Ctrl-C.

    interrupted: what is said after Ctrl-C or another signal that ends the process, unless the interrupt says something
    itself. too_large: what is said where there is not enough memory; None lets the error through.
    """
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        said = _noted(str(interrupt) or interrupted, interrupt)
        return complain(name, said, getattr(interrupt, "code", 130))
    except BrokenPipeError:
        _close_stdout()
        return 0
    except StdoutError as error:
        _close_stdout()
        return complain(name, f"stdout could not be written ({error.strerror}): name another place for it", 2)
    except (ValueError, ImportError) as error:
        return complain(name, _noted(str(error), error), 2)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return complain(name, _noted(said, error), 2)
    except (MemoryError, RuntimeError) as error:
        if too_large is None or not (isinstance(error, MemoryError) or "out of memory" in str(error)):
            raise
        return complain(name, _noted(too_large, error), 2)


def _close_stdout() -> None:
    """Let what is still to be written to stdout go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
