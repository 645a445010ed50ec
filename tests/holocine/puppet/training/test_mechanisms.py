"""Training with other families' mechanisms: what a batch of each is, and that fused blocks learn the same of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from holocine.attention import AttentionSettings
from holocine.checkpoints import find_model
from holocine.families.mechanisms import MECHANISMS
from holocine.puppet.training.data import SHARD_SCENES, STILLS_PER_SHOT, shard_lengths, still_scenes
from holocine.puppet.training.latents import GRID
from holocine.puppet.training.mechanisms import MechanismBank
from holocine.puppet.training.transformer import losses, sigmas_by_block


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> MechanismBank:
    """Latents of noise, and where puppets are: what is learnt is no matter here."""
    folder, rng = tmp_path_factory.mktemp("latents"), np.random.default_rng(0)
    channels = json.loads((find_model(None) / "vae" / "config.json").read_text())["z_dim"]

    def write(name: str, scenes: int, frames: int, **more):
        latents = rng.standard_normal((scenes, channels, frames, 2 * GRID[0], 2 * GRID[1])).astype(np.float16)
        who = rng.integers(-1, 1, (scenes, frames, *GRID)).astype(np.int8)
        np.savez(folder / name, latents=latents, who=who, **more)

    write("scenes-00000.npz", SHARD_SCENES, (sum(shard_lengths(0)) - 1) // 4 + 1)
    owners = np.repeat(np.arange(64), [STILLS_PER_SHOT * len(scene.shots) for scene in still_scenes(0)])
    latents = rng.standard_normal((len(owners), channels, 1, 2 * GRID[0], 2 * GRID[1])).astype(np.float16)
    who = np.zeros((len(owners), *GRID), np.int8)
    np.savez(folder / "stills-00000.npz", latents=latents, who=who, scene=owners)
    return MechanismBank.open(folder, Path(find_model(None)))


def follow(bank: MechanismBank, name: str) -> MechanismBank:
    bank.rng = np.random.default_rng(3)
    return bank.follow(MECHANISMS[name], 64, 8)


def test_a_causal_batch_is_context_the_clean_shot_and_the_same_shot_to_be_denoised(bank):
    batch = follow(bank, "causal").whole_scenes(900)
    given = int((batch.blocks < 0).sum())
    length = batch.latents.shape[2] - given
    assert given == 6 + length
    assert torch.equal(batch.latents[:, :, 6 : 6 + length], batch.latents[:, :, 6 + length :])
    assert len(set(batch.shots[0, 6:].tolist())) == 1
    assert batch.blocks.tolist()[given:] == [frame // 3 for frame in range(length)]
    sigmas = sigmas_by_block(batch.blocks, len(batch.latents))
    assert not sigmas[:, :given].any() and (sigmas[:, given:] > 0).all()
    assert torch.equal(sigmas[:, given], sigmas[:, min(given + 2, batch.latents.shape[2] - 1)])


@pytest.mark.parametrize("kind", ["stills", "scenes"])
@pytest.mark.parametrize("name", MECHANISMS)
def test_fused_blocks_learn_the_same_of_every_mechanism(bank, fused_learns_the_same, name, kind):
    batch = follow(bank, name)
    batch = batch.single_frames(3) if kind == "stills" else batch.whole_scenes(500)
    fused_learns_the_same(lambda model, questions: losses(model, questions, batch, AttentionSettings()))
