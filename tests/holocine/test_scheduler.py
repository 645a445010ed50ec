"""The noise schedule of HoloCine's released checkpoints."""

import numpy as np
import pytest
import torch

from holocine.scheduler import HoloCineScheduler


@pytest.mark.parametrize("steps", [1, 8, 50])
@pytest.mark.parametrize("shift", [1.0, 5.0])
def test_sigmas_are_evenly_spaced_from_one_and_then_shifted(steps, shift):
    scheduler = HoloCineScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    even = np.linspace(1, 0, steps + 1)
    np.testing.assert_allclose(scheduler.sigmas, shift * even / (1 + (shift - 1) * even), atol=1e-7)
    assert scheduler.timesteps.dtype == torch.float32
    np.testing.assert_allclose(scheduler.timesteps, 1000 * scheduler.sigmas[:-1], atol=1e-4)


def test_sigmas_may_be_chosen_freely():
    scheduler = HoloCineScheduler(shift=1.0)
    scheduler.set_timesteps(sigmas=[1.0, 0.3])
    assert scheduler.sigmas.tolist() == pytest.approx([1.0, 0.3, 0.0])


def test_a_step_keeps_the_precision_of_the_sample():
    scheduler = HoloCineScheduler(shift=1.0)
    scheduler.set_timesteps(2)
    sample = torch.full((1, 2), 1 / 3)
    velocity = torch.ones(1, 2, dtype=torch.bfloat16)
    result = scheduler.step(velocity, scheduler.timesteps[0], sample, return_dict=False)[0]
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.full((1, 2), 1 / 3 - 0.5))
