"""What the decoder is taught with: energy of edges, features, a critic; and that its encoder stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan

from holocine.puppet.judge import WEIGHTS, load_judge
from holocine.puppet.renderer import render
from holocine.puppet.training.decoder import (
    Critic,
    JudgeFeatures,
    energy_loss,
    hinge_loss,
    pull,
    train_decoder,
)
from holocine.puppet.training.optimisers import build_optimisers
from holocine.puppet.world import sample_scene

VAE = WEIGHTS.parent / "weights" / "vae"


def clips(*seeds: int) -> torch.Tensor:
    """A clip of each scene: (n, 3, 17, 64, 112) in [-1, 1]."""
    frames = np.stack([render(sample_scene(seed, num_frames=33), only=set(range(17)))[0][:17] for seed in seeds])
    return torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def blurred(clip: torch.Tensor) -> torch.Tensor:
    """The clip after a mean over 3x3 pixels."""
    return F.avg_pool3d(clip, (1, 3, 3), 1, (0, 1, 1), count_include_pad=False)


def sharpness(output: torch.Tensor, target: torch.Tensor) -> float:
    """Gradient energy of `output` over that of `target`."""
    videos = (output.detach(), target)
    energies = [float(x.diff(dim=-1).square().sum() + x.diff(dim=-2).square().sum()) for x in videos]
    return energies[0] / energies[1]


def test_a_washed_out_edge_costs_more_than_one_a_pixel_off() -> None:
    target = torch.zeros(1, 3, 1, 24, 24)
    target[..., 12:] = 1.0
    off, washed_out = target.roll(1, -1), target.clone()
    washed_out[..., 8:16] = torch.linspace(0, 1, 8)
    assert (off - target)[..., 1:].abs().sum() < (washed_out - target).abs().sum()
    assert float(energy_loss(target, target)) == 0
    off, washed_out, target = (video[..., 2:] for video in (off, washed_out, target))
    assert float(energy_loss(washed_out, target)) > 2 * float(energy_loss(off, target))


def test_pixels_that_follow_the_energy_loss_become_as_sharp_as_the_truth() -> None:
    target = clips(1)[:, :, :4]
    output = blurred(target).requires_grad_()
    before = sharpness(output, target)
    optimiser = torch.optim.Adam([output], lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        energy_loss(output, target).backward()
        optimiser.step()
    assert before < 0.6
    assert sharpness(output, target) == pytest.approx(1, abs=0.15)


def test_detail_that_may_be_anywhere_is_drawn_somewhere_and_not_nowhere() -> None:
    rng = torch.Generator().manual_seed(0)
    targets = (torch.rand(16, 1, 1, 24, 24, generator=rng) < 0.01).float().expand(-1, 3, -1, -1, -1)
    output = targets.mean(0, keepdim=True).requires_grad_()
    before = sharpness(output.expand_as(targets), targets)
    optimiser = torch.optim.Adam([output], lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        energy_loss(output.expand_as(targets), targets).backward()
        optimiser.step()
    assert before < 0.2
    assert sharpness(output.expand_as(targets), targets) > 0.8


def test_features_tell_scenes_apart_and_leave_the_judge_alone() -> None:
    judge = load_judge()
    features = JudgeFeatures(judge)
    one, other = clips(1), clips(2)
    assert float(features.difference(one, one)) == 0
    output = blurred(one).requires_grad_()
    small = features.difference(output, one)
    assert 0 < float(small.detach()) < float(features.difference(other, one))
    small.backward()
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None for p in judge.parameters())
    crop = one[..., 16:48, 32:80]
    assert float(features.difference(crop, crop)) == 0  # pictures of any size


def test_each_loss_pulls_with_its_share_whatever_its_unit() -> None:
    output = torch.tensor([1.0, 1.0], requires_grad=True)
    first, second = output[0] * 3, output[1] * 1000
    assert pull(output, [(1.0, first), (0.5, second)]).tolist() == pytest.approx([3.0, 1.5])
    assert pull(output, [(1.0, first), (0.0, second)]).tolist() == pytest.approx([3.0, 0.0])


def test_a_critic_learns_to_tell_blurred_clips_from_rendered_ones() -> None:
    torch.manual_seed(0)
    critic, video = Critic(), clips(1, 2, 3, 5)
    seen, unseen = video[:, :, :8, 16:48, 32:80], video[:, :, 8:16, 16:48, 32:80]
    optimisers = build_optimisers(critic, 5e-3)
    for _ in range(25):
        loss = hinge_loss(critic(seen), critic(blurred(seen)))
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    with torch.no_grad():
        assert float(hinge_loss(critic(unseen), critic(blurred(unseen)))) < 1.7  # 2 by chance


def test_a_critic_that_is_sure_has_nothing_to_learn() -> None:
    sure, unsure = torch.tensor([1.5, 1.0]), torch.zeros(2)
    assert float(hinge_loss(sure, -sure)) == 0
    assert float(hinge_loss(unsure, unsure)) == 2


def test_the_decoder_learns_while_latents_stay_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    scenes = [sample_scene(1_000_000 + i, lengths=(17, 16)) for i in range(2)]
    np.save(frames / "00000.npy", np.stack([render(scene)[0] for scene in scenes]))

    def train(steps: int) -> dict[str, dict]:
        train_decoder(tmp_path / "out", frames, minutes=60, start=VAE, judge=WEIGHTS, most_steps=steps)
        return {name: torch.load(tmp_path / "out" / name, weights_only=True) for name in ("state.pt", "critic.pt")}

    first = train(1)
    second = train(2)
    assert (first["state.pt"]["step"], second["state.pt"]["step"]) == (1, 3)
    assert second["critic.pt"]["step"] >= first["critic.pt"]["step"]
    assert second["state.pt"]["spent"] > first["state.pt"]["spent"]
    before = AutoencoderKLWan.from_pretrained(VAE, torch_dtype=torch.float32)
    after = AutoencoderKLWan.from_pretrained(tmp_path / "out" / "model")
    same = {n: torch.equal(p, dict(after.named_parameters())[n]) for n, p in before.named_parameters()}
    assert all(same[n] for n in same if n.startswith(("encoder", "quant_conv")))
    assert not any(same[n] for n in same if n.startswith("decoder") and n.endswith("weight"))
    assert after.config.latents_mean == before.config.latents_mean
    assert after.config.latents_std == before.config.latents_std
