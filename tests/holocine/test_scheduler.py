"""The noise schedule of HoloCine's released checkpoints."""

import numpy as np
import pytest
import torch

from holocine.scheduler import FRESH_DOWN_TO, HoloCineScheduler


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


def first_step(scheduler, clean, noise, sigma, following):
    """One step along the straight path from `noise` to `clean`."""
    scheduler.set_timesteps(sigmas=[sigma, following])
    noisy = (1 - sigma) * clean + sigma * noise
    return scheduler.step(noise - clean, scheduler.timesteps[0], noisy, return_dict=False)[0]


@pytest.mark.parametrize("eta", [0.5, 1.0])
@pytest.mark.parametrize(("sigma", "following"), [(1.0, 0.95), (0.9, 0.8), (0.7, 0.65)])
def test_fresh_noise_takes_the_place_of_old_and_leaves_as_much_of_it(eta, sigma, following):
    scheduler, clean = HoloCineScheduler(shift=1.0), torch.tensor(5.0)
    noise, generator = (
        torch.randn(100_000, generator=torch.Generator().manual_seed(0)),
        torch.Generator().manual_seed(1),
    )
    with scheduler.sampling(eta, generator):
        rest = (first_step(scheduler, clean, noise, sigma, following) - (1 - following) * clean) / following
    assert rest.mean().abs() < 0.02 and rest.std().item() == pytest.approx(1.0, abs=0.01)
    # Training's noising from `following` up to `sigma` would leave this share of the old noise.
    shared = following * (1 - sigma) / (sigma * (1 - following))
    old = torch.corrcoef(torch.stack([rest, noise]))[0, 1].item()
    assert old == pytest.approx((1 - eta**2 * (1 - shared**2)) ** 0.5, abs=0.01)


def test_steps_are_plain_without_eta_outside_of_sampling_and_where_there_is_little_noise():
    scheduler, clean, noise = HoloCineScheduler(shift=1.0), torch.randn(50), torch.randn(50)
    below = FRESH_DOWN_TO - 0.05
    with scheduler.sampling(0.0, None):
        torch.testing.assert_close(first_step(scheduler, clean, noise, 0.9, 0.8), 0.2 * clean + 0.8 * noise)
    with scheduler.sampling(1.0, torch.Generator().manual_seed(1)):
        kept = first_step(scheduler, clean, noise, FRESH_DOWN_TO, below)
        torch.testing.assert_close(kept, (1 - below) * clean + below * noise)
    torch.testing.assert_close(first_step(scheduler, clean, noise, 0.9, 0.8), 0.2 * clean + 0.8 * noise)


def test_where_a_step_was_heading_is_known_while_sampling():
    scheduler, clean, noise = HoloCineScheduler(shift=1.0), torch.randn(50), torch.randn(50)
    with scheduler.sampling(1.0, torch.Generator().manual_seed(1)):
        first_step(scheduler, clean, noise, 0.9, 0.8)
        torch.testing.assert_close(scheduler.pred_original_sample, clean)
    assert scheduler.pred_original_sample is None


def test_a_few_step_model_goes_to_clean_latents_and_on_with_fresh_noise_of_the_generator():
    scheduler, clean = HoloCineScheduler(shift=1.0, stochastic_sampling=True), torch.tensor(5.0)
    noise = torch.randn(100_000, generator=torch.Generator().manual_seed(0))

    def rest(seed):
        with scheduler.sampling(0.0, torch.Generator().manual_seed(seed)):
            stepped = first_step(scheduler, clean, noise, 0.9, 0.6)
            torch.testing.assert_close(scheduler.pred_original_sample, clean.expand_as(noise), atol=1e-5, rtol=0)
        return (stepped - 0.4 * clean) / 0.6

    assert torch.equal(rest(1), rest(1)) and not torch.equal(rest(1), rest(2))
    assert rest(1).mean().abs() < 0.02 and rest(1).std().item() == pytest.approx(1.0, abs=0.01)
    assert torch.corrcoef(torch.stack([rest(1), noise]))[0, 1].abs() < 0.02
