"""What of the options of `load_pipeline` cannot be, known before anything is loaded: so `plan` refuses what it does.

What this machine has, a GPU above all, is not asked here: a plan may be of another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.errors import CheckpointError

if TYPE_CHECKING:
    from holocine.model_facts import ModelFacts

EXCLUSIVE = (
    ("model_cpu_offload", "group_offload"),
    ("layerwise_casting", "int8", "gguf"),
    ("compile", "group_offload"),
)
OF_HOLOCINE = ("drop_text_encoder", "compile")  # not of the models of other families
SCHEDULERS = ("HoloCineScheduler", "FlowMatchEulerDiscreteScheduler")  # whose shift can be another one


def check_loading(facts: ModelFacts, options: Mapping[str, Any]) -> None:
    """Raise `CheckpointError` for options that exclude each other, are not for the model, or name files that are not.

    options: of `load_pipeline`, by name; absent or None is the default. Files are looked at unless the model itself is
    not here (`holocine.known`).
    """
    for names in EXCLUSIVE:
        if len(given := [name for name in names if options.get(name)]) > 1:
            raise CheckpointError(f"{' and '.join(given)} exclude each other: choose one")
    if facts.family is not None:
        for name in OF_HOLOCINE:
            if options.get(name):
                raise CheckpointError(f"{name} is not for {facts.family}: leave it out")
    is_here = facts.folder.is_dir()
    if options.get("gguf"):
        for file in gguf_files(options["gguf"], facts).values():
            if is_here:
                check_gguf(Path(file).expanduser())
    if (shift := options.get("shift")) is not None and facts.scheduler not in SCHEDULERS:
        raise CheckpointError(
            f"shift is {shift:g}, but this model has a schedule of its own ({facts.scheduler}): leave it out"
        )
    if loras := [*(options.get("lora") or ()), *([options["distilled"]] if options.get("distilled") else [])]:
        from holocine.lora import check_loras

        shape = (facts.transformer.layers, facts.transformer.width)
        check_loras(loras, facts.num_experts, shape, look=is_here)


def gguf_files(spec: str, facts: ModelFacts) -> dict[str, str]:
    """The GGUF file of each expert."""
    names = ["transformer", "transformer_2"][: facts.num_experts]
    files = spec.split(",")
    if len(files) != len(names):
        raise CheckpointError(f"gguf {spec!r} names {len(files)} files, but the model has {len(names)} expert(s)")
    return dict(zip(names, files, strict=True))


def check_gguf(path: Path) -> None:
    """Raise `CheckpointError` unless `path` is a complete GGUF file and the package that reads it is there."""
    from importlib.util import find_spec

    if not path.is_file():
        raise CheckpointError(f"the GGUF file {path} does not exist")
    if find_spec("gguf") is None:
        raise CheckpointError(f"{path} needs the package gguf, which is not installed: `pip install gguf`")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise CheckpointError(f"{path} is not a GGUF file: name one, or leave gguf out")
    from gguf import GGUFReader

    try:
        GGUFReader(path)
    except Exception:  # of a file that ends early, whatever its last bytes are taken for
        raise CheckpointError(f"{path} is damaged or cut short: download it again") from None
