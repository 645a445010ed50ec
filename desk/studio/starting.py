"""What a desk says when it starts, and what of its environment cannot work here: before a visitor finds it out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from desk.studio import gpu, models
from eval.encoders.choosing import ENVIRONMENT as ENCODERS_VARIABLE
from holocine.plurals import are, listed
from holocine.presets import VARIABLE as PRESET_VARIABLE
from holocine.presets import Preset, environment_presets, made_for


def opening() -> list[str]:
    """What to say at the start: the model, where and how it runs, and which variables mean nothing here.

    Raises ValueError, in one sentence that names the variable, for what no request could be made with.
    """
    import torch

    model, presets = models.find(), environment_presets()
    shape = model.facts.transformer
    meant = made_for(presets, shape.layers, shape.width)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _check(meant, device)
    where = "a GPU that is borrowed" if gpu.on_zero_gpu() else "a GPU" if device.type == "cuda" else "the CPU"
    how = f", preset {listed([preset.name for preset in meant])}" if meant else ""
    compiled = ", fused blocks" if gpu.compiles() else ""
    size = f"{model.facts.width} x {model.facts.height}"
    return [f"{model.name} model, {size}, on {where}{how}{compiled}", *_unused(presets, meant)]


def _check(presets: tuple[Preset, ...], device) -> None:
    """Raise ValueError for presets, or fused blocks, that a model cannot be loaded with on a device."""
    from holocine.fusing import why_not

    fetching = [p.name for p in presets if p.settings.get("group_offload")]
    moving = [p.name for p in presets if p.settings.get("group_offload") or p.settings.get("model_cpu_offload")]
    if moving and device.type != "cuda":
        raise ValueError(
            f"{PRESET_VARIABLE}: {moving[0]} moves weights between main memory and a GPU, but no GPU is here: leave it "
            "out"
        )
    if not gpu.compiles():
        return
    if fetching and not gpu.on_zero_gpu():
        raise ValueError(
            f"{gpu.COMPILE_VARIABLE} and {PRESET_VARIABLE}={fetching[0]}, which fetches layers one by one, exclude "
            "each other: choose one"
        )
    if missing := why_not(device):
        raise ValueError(f"{gpu.COMPILE_VARIABLE} needs {missing}, which is not here: leave it out")


def _unused(presets: tuple[Preset, ...], meant: tuple[Preset, ...]) -> Iterator[str]:
    """What of the environment means nothing here, a sentence each."""
    if left := [preset.name for preset in presets if preset not in meant]:
        yield (
            f"{PRESET_VARIABLE}: {listed(left)} {are(len(left))} left out, made for Wan2.2's experts of 40 layers and "
            "not for this model"
        )
    if gpu.on_zero_gpu():
        if memory := [preset.name for preset in meant if preset.kind == "memory"]:
            yield f"{PRESET_VARIABLE}: {listed(memory)} is for a GPU of one's own; on ZeroGPU leave it out"
    else:
        for name in (gpu.VARIABLE, gpu.SIZE_VARIABLE):
            if os.environ.get(name, "").strip():
                yield f"{name} is for a Space on ZeroGPU, which this is not: it is left out"
    if not gpu.knows_compiling():
        yield f"{gpu.COMPILE_VARIABLE} is {os.environ[gpu.COMPILE_VARIABLE]!r}, but has to be 1 or 0: 0 is taken"
    clip = os.environ.get(ENCODERS_VARIABLE, "").split(",")[0].strip()
    if clip and ":" not in clip and not Path(clip).is_dir():
        yield f"{ENCODERS_VARIABLE} is {clip!r}, which is no encoder: name one as `python -m eval encoders` lists them"
