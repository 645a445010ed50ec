"""A stand-in for Hugging Face's `spaces` that lends a "GPU" as ZeroGPU does: a fork of the process for each call, with
what was loaded before, killed when the time that was asked for is over. It writes what it was asked for into the file
that LENT names.
"""

import io
import json
import multiprocessing
import os
import queue
import time
from functools import wraps

import torch


class Compiled:
    """A program that was exported: bytes on its way to another process, and run by PyTorch, which compiles nothing."""

    def __init__(self, program):
        self.data = io.BytesIO()
        torch.export.save(program, self.data)

    def __call__(self, *args):
        if not hasattr(self, "run"):
            self.data.seek(0)
            self.run = torch.export.load(self.data).module()
        return self.run(*args)

    def __getstate__(self):
        return {"data": self.data}


def aoti_compile(exported_program, inductor_configs=None):
    with open(os.environ["LENT"], "a") as file:
        file.write(json.dumps({"compiled": list(exported_program.range_constraints)[0].name}) + "\n")
    return Compiled(exported_program)


def GPU(task=None, *, duration=None, size=None):
    assert task is None, "used with arguments only"

    def decorate(function):
        @wraps(function)
        def call(*args, **kwargs):
            seconds = duration(*args, **kwargs) if callable(duration) else duration
            with open(os.environ["LENT"], "a") as file:
                file.write(json.dumps({"seconds": seconds, "size": size}) + "\n")
            kill_after = float(os.environ.get("LENT_SECONDS", seconds))
            context = multiprocessing.get_context("fork")
            made = context.Queue()

            def run():
                try:
                    for value in function(*args, **kwargs):
                        made.put(("value", value))
                    made.put(("end", None))
                except Exception as error:
                    made.put(("error", error))

            process = context.Process(target=run, daemon=True)
            process.start()
            deadline = time.monotonic() + kill_after
            try:
                while True:
                    try:
                        kind, value = made.get(timeout=max(0.0, deadline - time.monotonic()))
                    except queue.Empty:
                        raise RuntimeError("GPU task aborted") from None
                    if kind == "end":
                        return
                    if kind == "error":
                        raise value
                    yield value
            finally:
                process.kill()

        return call

    return decorate
