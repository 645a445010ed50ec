from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from holocine.puppet.training.batches import Batch
from holocine.puppet.training.distil import (
    GUIDANCE,
    GUIDANCE_BELOW,
    clean_estimate,
    direction,
    distil,
    guided,
    make,
    sampler_levels,
)
from holocine.puppet.training.transformer import add_noise
from holocine.timeline import ShotLayout
from holocine.transformer import HoloCineTransformer3DModel
from tests.conftest import TEXT_DIM, build_transformer

SHAPE = (64, 2, 3, 4, 4)
EVERY = torch.ones(64, 3, dtype=torch.bool)


def around(mean: float, spread: float = 0.3):
    """The exact velocity for latents that are all normal with this mean and spread."""

    def velocity(noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        level = levels[:, None, :, None, None]
        variance = ((1 - level) * spread) ** 2 + level**2
        surprise = (noisy - (1 - level) * mean) / variance
        return level * surprise - (mean + (1 - level) * spread**2 * surprise)

    return velocity


def test_the_levels_are_the_samplers_and_end_clean() -> None:
    levels = sampler_levels(6)
    assert levels[0] == 1 and levels[-1] == 0 and len(levels) == 7
    assert all(a > b for a, b in zip(levels, levels[1:], strict=False))


def test_a_clean_estimate_of_what_is_known_is_what_is_known() -> None:
    torch.manual_seed(0)
    noisy, _ = add_noise(torch.full(SHAPE, 2.0), torch.full((64, 3), 0.7))
    assert torch.allclose(clean_estimate(around(2.0, 0.0), noisy, torch.full((64, 3), 0.7)), torch.tensor(2.0))


def test_scenes_move_from_where_the_student_is_to_where_the_teacher_is() -> None:
    """Following the direction takes a student of one number from the mean -1 to the teacher's 2."""
    torch.manual_seed(0)
    mean = torch.tensor(-1.0)
    for _ in range(200):
        scenes = mean + 0.3 * torch.randn(SHAPE)
        levels = torch.rand(64, 1).expand(-1, 3) * 0.9 + 0.05
        push = direction(around(2.0), around(float(mean)), scenes, EVERY, levels)
        mean = mean - 0.05 * push.mean()
    assert abs(float(mean) - 2.0) < 0.1


def test_where_both_opinions_agree_nothing_moves() -> None:
    torch.manual_seed(0)
    push = direction(around(1.0), around(1.0), torch.randn(SHAPE), EVERY, torch.full((64, 3), 0.5))
    assert push.abs().max() < 1e-5


def test_what_is_kept_stays_and_is_never_pushed() -> None:
    torch.manual_seed(0)
    made = EVERY.clone()
    made[:, 1] = False
    given = torch.randn(SHAPE)
    seen: list[torch.Tensor] = []

    def velocity(noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        seen.append(levels)
        assert torch.equal(noisy[:, :, 1], given[:, :, 1])
        return around(0.5)(noisy, levels.clamp(min=1e-3))

    found = make(velocity, given, made, sampler_levels(4), last=3)
    assert torch.equal(found[:, :, 1], given[:, :, 1])
    assert abs(float(found[:, :, [0, 2]].mean()) - 0.5) < 0.05
    assert len(seen) == 4 and all((levels[:, 1] == 0).all() and (levels[:, 0] > 0).all() for levels in seen)
    push = direction(around(2.0), around(0.5), found, made, 0.5 * made)
    assert (push[:, :, 1] == 0).all() and (push[:, :, 0] != 0).any()


def test_only_the_last_step_learns() -> None:
    weight = torch.tensor(1.0, requires_grad=True)
    steps: list[bool] = []

    def velocity(noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        steps.append(torch.is_grad_enabled())
        return weight * around(0.5)(noisy, levels)

    make(velocity, torch.zeros(SHAPE), EVERY, sampler_levels(4), last=2).sum().backward()
    assert steps == [False, False, True]
    assert weight.grad != 0


def test_the_teacher_is_guided_below_its_noise_level_only() -> None:
    velocity = guided(lambda noisy, levels: torch.ones(SHAPE), lambda noisy, levels: torch.zeros(SHAPE))
    low, high = (torch.full((64, 3), GUIDANCE_BELOW + change) for change in (-0.01, 0.01))
    assert (velocity(torch.zeros(SHAPE), low) == GUIDANCE).all()
    assert (velocity(torch.zeros(SHAPE), high) == 1).all()


def test_distillation_changes_the_student_alone_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_transformer(in_channels=2, out_channels=2, rope_max_seq_len=32)
    model.save_pretrained(tmp_path / "teacher")
    for steps in (1, 2):
        distil(tmp_path / "student", tmp_path / "teacher", Scenes(), minutes=10, lr=1e-2, most_steps=1)
        assert torch.load(tmp_path / "student" / "state.pt", weights_only=True)["step"] == steps
    student = HoloCineTransformer3DModel.from_pretrained(tmp_path / "student" / "model")
    teacher = HoloCineTransformer3DModel.from_pretrained(tmp_path / "teacher")
    assert any(not torch.equal(a, b) for a, b in zip(student.parameters(), teacher.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), model.parameters(), strict=True))


class Scenes:
    """Batches of two scenes of two shots each, of noise and without windows."""

    empty_share = 0.1

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return 1

    def next_batch(self, stills: bool) -> Batch:
        layout = ShotLayout((1, 2), 2, 2)
        shots = torch.tensor([[0, 1, 1]] * 2)
        who, none = torch.zeros(2, 3, 2, 2, dtype=torch.int8), torch.zeros(2, 1, dtype=torch.int64)
        text, told = torch.randn(2, 16, TEXT_DIM), torch.ones(2, dtype=torch.bool)
        return Batch(torch.randn(2, 2, 3, 4, 4), who, shots, none, none, text, told, layout, [None, None])

    def untold(self, batch: Batch) -> Batch:
        return replace(batch, text=torch.zeros_like(batch.text))
