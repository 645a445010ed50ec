"""Muon for matrices and convolution kernels, AdamW for everything else, and an exponential moving average."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch
from torch import nn


def _orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Newton-Schulz iteration (n, rows, columns) towards the nearest semi-orthogonal matrices (Jordan et al., 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    # The iteration forgives rounding: its result is scaled by the learning rate and never fed back.
    x = x.bfloat16() if fast_bfloat16(x.device) else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised. Kernels of more than two dimensions count as (out, everything else)."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads, momentum = [p.grad for p in params], group["momentum"]
            buffers = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in params]
            torch._foreach_lerp_(buffers, grads, 1 - momentum)
            updates = [update.flatten(1) for update in torch._foreach_lerp(grads, buffers, momentum)]
            alike: dict[torch.Size, list[int]] = {}
            for i, update in enumerate(updates):
                alike.setdefault(update.shape, []).append(i)
            for shape, members in alike.items():
                found = _orthogonalise(torch.stack([updates[i] for i in members])) * (0.2 * max(shape) ** 0.5)
                for i, update in zip(members, found, strict=True):
                    updates[i] = update.view_as(params[i])
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(params, updates, alpha=-group["lr"])


def build_optimisers(model: nn.Module, lr: float, not_muon: tuple[str, ...] = ()) -> list[torch.optim.Optimizer]:
    """Optimisers for the trainable parameters; those whose name contains a word of `not_muon` go to AdamW."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    muon = [p for n, p in named if p.ndim >= 2 and min(p.flatten(1).shape) > 1 and not any(w in n for w in not_muon)]
    chosen = {id(p) for p in muon}
    rest = [p for _, p in named if id(p) not in chosen]
    return [Muon(muon, lr=lr), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)]


class Average:
    """Exponential moving average of a model's parameters, warmed up over its first steps."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        named = dict(model.named_parameters())
        torch._foreach_lerp_([self.values[name] for name in named], [p.detach() for p in named.values()], 1 - decay)

    def copy_to(self, model: nn.Module, prefix: str = "") -> None:
        """Give a model the averages of its parameters; `prefix`: its name in the model that is averaged."""
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(self.values[prefix + name])


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the quick way here: on a GPU, and on a CPU with instructions for it (AMX, AVX-512)."""
    if device.type != "cpu":
        return device.type == "cuda"
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16"))


def working_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where it is fast, single precision elsewhere."""
    return torch.bfloat16 if fast_bfloat16(device) else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Work in `working_dtype`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device))


def compute_seconds() -> float:
    """Seconds this process has computed, a budget that a busy machine does not eat up; seconds passed, on a GPU."""
    return time.monotonic() if torch.cuda.is_available() else time.process_time() / torch.get_num_threads()


def trapezoid(progress: float, warm: float = 0.02, decay: float = 0.35) -> float:
    """Learning-rate factor over a run's progress in [0, 1]: a short rise, a plateau, a linear fall."""
    return max(0.0, min(1.0, (progress + 1e-3) / warm, (1 - progress) / decay))
