"""A desk in a process of its own, as `python app.py` starts it, for tests and for screenshots."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE = 120.0  # seconds until the page has to be there


@dataclass(frozen=True)
class Served:
    """A running desk: its address, the folder with its finished videos, and how long it took to answer, in seconds."""

    url: str
    outputs: Path
    process: subprocess.Popen
    seconds: float

    @property
    def megabytes(self) -> float:
        """Main memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def serving(folder: Path, model: str | os.PathLike | None = None, port: int | None = None) -> Iterator[Served]:
    """Serve a desk whose files are below `folder`, with the embedded model or another one, on a free port or this one.

    Raises RuntimeError with what the desk wrote if it ends before it answers, or does not answer.
    """
    port = port or _free_port()
    own = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HOLOCINE_OUTPUTS": str(folder / "outputs"),
        "HOLOCINE_MODEL": str(model or ""),
        "HF_HUB_OFFLINE": "1",
    }
    log = folder / "log.txt"
    begun = time.monotonic()
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **own}, stdout=written, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            if process.poll() is not None or time.monotonic() - begun > _PATIENCE:
                raise RuntimeError(f"the desk does not answer:\n{log.read_text()}")
            time.sleep(0.1)
        yield Served(url, folder / "outputs", process, time.monotonic() - begun)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
