"""A step-distilled LoRA pair of the puppet theatre, as published ones for Wan2.2 are: to see what such a pair costs.

The embedded model's low-noise expert is its other expert after distillation to few steps (`distil`). The difference of
their linear layers, cut down to a rank (the best one by Eckart and Young, 1936), is what a distilled LoRA holds. It is
written in lightx2v's names beside a model of which neither expert is distilled.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from holocine.files import replacing

if TYPE_CHECKING:
    import torch

RANK = 64
BASE, HIGH, LOW = "undistilled", "high_noise_model.safetensors", "low_noise_model.safetensors"


def write_pair(model: Path, folder: Path, rank: int = RANK) -> None:
    """Write the undistilled model and the pair of a pipeline folder whose low-noise expert was distilled.

    Both files hold the same: the student was distilled for all noise levels. Raises ValueError for a model with one
    expert, or a rank below 1.
    """
    from safetensors.torch import save_file

    from holocine import load_pipeline

    if rank < 1:
        raise ValueError(f"the rank is {rank}, but has to be 1 or more")
    pipeline = load_pipeline(model)
    if pipeline.transformer_2 is None:
        raise ValueError(f"{model} has one expert: there is no distilled one to compare it with")
    state = low_rank_difference(pipeline.transformer, pipeline.transformer_2, rank)
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / BASE
    with replacing(base) as temporary:
        shutil.copytree(model, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.png", "*.md"))
        shutil.rmtree(temporary / "transformer_2")
        shutil.copytree(temporary / "transformer", temporary / "transformer_2")
    for name in (HIGH, LOW):
        with replacing(folder / name) as temporary:
            save_file(state, temporary)


def low_rank_difference(teacher: torch.nn.Module, student: torch.nn.Module, rank: int) -> dict[str, torch.Tensor]:
    """What a LoRA of a rank adds to linear layers of `teacher` to come closest to `student`, in lightx2v's names."""
    import torch

    from holocine.lora import wan_name

    state = {}
    changed = dict(student.named_modules())
    for name, module in teacher.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        other, key = changed[name], f"diffusion_model.{wan_name(name)}"
        left, sizes, right = torch.linalg.svd((other.weight - module.weight).detach().float(), full_matrices=False)
        share = sizes[:rank].sqrt()
        state[f"{key}.lora_up.weight"] = (left[:, :rank] * share).contiguous()
        state[f"{key}.lora_down.weight"] = (share[:, None] * right[:rank]).contiguous()
        state[f"{key}.alpha"] = torch.tensor(float(len(share)))
        if module.bias is not None:
            state[f"{key}.diff_b"] = (other.bias - module.bias).detach().float()
    return state
