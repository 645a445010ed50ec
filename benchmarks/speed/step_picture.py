"""Where the time of one denoising step goes: its parts, and what each is spent on, as numbers and as a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.speed.ledger import Values
from eval.calibration.pictures import empty_figure, save_figure

STEPS = 3  # that the profile is the mean of
MARK = "part: "
BESIDE, ENDS = "norms, modulation, sums", "before and after the blocks"
PARTS = {"attn1": "self-attention", "attn2": "cross-attention", "ffn": "feed-forward"}
KINDS = ("products of matrices", "attention kernel", "copies", "all else that computes", "Python")
COLOURS = ("#2f6db5", "#d9652b", "#c4a01f", "#3f9b5f", "#8a8f99")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear", "convolution", "conv3d", "mkldnn")
COPIES = ("copy_", "cat", "clone", "contiguous", "_to_copy", "index_select", "index")


def profile_step(transformer: torch.nn.Module, run: Callable[[], Any]) -> dict[str, Values]:
    """Milliseconds of one step by part and kind; run: makes the step. What the profiler itself takes is Python's."""
    with torch.no_grad(), marked(transformer):
        run()
        with profile(activities=[ProfilerActivity.CPU]) as recorded:
            for _ in range(STEPS):
                with record_function(MARK + ENDS):
                    run()
    spent: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(KINDS, 0.0))
    for event in recorded.events():
        part = _part_of(event)
        if part is not None:
            spent[part][kind_of(event.name)] += event.self_cpu_time_total / 1e3 / STEPS
    names = [name for name in (*PARTS.values(), BESIDE, ENDS) if name in spent]
    return {name: {"ms": sum(spent[name].values()), **spent[name]} for name in names}


def kind_of(name: str) -> str:
    """What an operation of PyTorch is counted as."""
    if name.startswith(MARK):
        return "Python"
    name = name.removeprefix("aten::")
    if "scaled_dot_product" in name or "flash_attention" in name:
        return "attention kernel"
    if name in COPIES:
        return "copies"
    return "products of matrices" if name.startswith(PRODUCTS) else "all else that computes"


def _part_of(event: Any) -> str | None:
    """The innermost part that an event happened in."""
    while event is not None:
        if event.name.startswith(MARK):
            return event.name.removeprefix(MARK)
        event = event.cpu_parent
    return None


@contextmanager
def marked(transformer: torch.nn.Module) -> Iterator[None]:
    """Inside, the parts of every block are ranges of the profile."""
    open_ranges: list[record_function] = []

    def begin(name: str) -> Callable:
        def hook(*_: Any) -> None:
            open_ranges.append(record_function(MARK + name))
            open_ranges[-1].__enter__()

        return hook

    def end(*_: Any) -> None:
        open_ranges.pop().__exit__(None, None, None)

    hooks = []
    for block in transformer.blocks:
        for module, name in ((block, BESIDE), *((getattr(block, part), name) for part, name in PARTS.items())):
            hooks += [module.register_forward_pre_hook(begin(name)), module.register_forward_hook(end)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def draw_step(path: Path, spent: Mapping[str, Values], title: str) -> None:
    """A bar for each part, longest first, divided by what it is spent on."""
    names = sorted(spent, key=lambda name: spent[name]["ms"])
    whole = sum(spent[name]["ms"] for name in names)
    figure = empty_figure(7.6, 0.9 + 0.36 * len(names))
    axes = figure.add_subplot()
    left = [0.0] * len(names)
    for kind, colour in zip(KINDS, COLOURS, strict=True):
        widths = [spent[name][kind] for name in names]
        axes.barh(names, widths, left=left, color=colour, label=kind, height=0.66)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, name in enumerate(names):
        axes.text(left[row] + 0.01 * max(left), row, f"{spent[name]['ms'] / whole:.0%}", va="center", fontsize=8)
    axes.set_xlim(0, 1.08 * max(left))
    axes.set_xlabel("milliseconds")
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    save_figure(figure, path)
