"""The first that the programs import: it takes no time, and what is imported after it may be interrupted."""

from __future__ import annotations

import os
import signal


def expect_interrupt(name: str) -> None:
    """Let Ctrl-C end the process in one line while the modules of a command line are imported, until it runs."""

    def end(*_: object) -> None:
        os.write(2, f"{name}: interrupted\n".encode())
        os._exit(130)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
