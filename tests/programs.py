"""Programs in processes of their own that are there at once: forked from a server that has imported what they use.

A fresh interpreter takes seconds to import torch and diffusers before it does anything that a test is about.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp

PATIENCE = 300  # seconds, on a machine that does much else

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["tests.conftest", "holocine.__main__", "benchmarks.commands", "eval.batch"])


class Program:
    """A program that runs, with what `subprocess.Popen` has of its kind.

    program: importable, as `holocine.__main__.program` is. before: importable too; called in the process beforehand.
    env: variables of its own.
    """

    def __init__(
        self,
        program: Callable[[], None],
        arguments: Sequence[str],
        before: Callable[[], None] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.said = Path(mkdtemp())
        given = (program, [str(argument) for argument in arguments], before, env or {}, Path.cwd(), self.said)
        self.process = server.Process(target=_run, args=given)
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float = PATIENCE) -> int:
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"process {self.pid} has not ended in {timeout} seconds"
        return self.process.exitcode

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """What it wrote to stdout and stderr until it ended."""
        self.wait(timeout)
        return self.output, self.errors

    @property
    def output(self) -> str:
        return (self.said / "1").read_text()

    @property
    def errors(self) -> str:
        return (self.said / "2").read_text()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(program, arguments, before, env, folder, said) -> None:
    os.chdir(folder)
    os.environ.update(env)
    for number in (1, 2):
        os.dup2(os.open(said / str(number), os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell ignore it,
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and those of `nohup` this
    sys.argv = [program.__module__, *arguments]
    if before:
        before()
    program()


def as_a_terminal_starts_it() -> None:
    """In a process group of its own, which Ctrl-C reaches as a whole."""
    os.setsid()
