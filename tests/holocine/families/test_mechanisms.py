"""Mechanisms of other families on a model of HoloCine's kind: whose text is whose, and that training is as running."""

import pytest
import torch

from holocine.attention import RunPattern
from holocine.families.causal import Memory, predict
from holocine.families.mechanisms import MECHANISMS, PADDED_TO, block_lengths, context_of, teacher_forcing
from holocine.families.planning import Frames, planner
from holocine.families.shotstream.context import spread
from holocine.families.shotstream.sampling import frames_of
from holocine.families.text import PADDING, join
from holocine.prompt import TextWindows
from tests.conftest import TEXT_DIM

GRID = 2, 3
WINDOWS = TextWindows((0, 4), ((4, 7), (7, 12), (12, 14)))


@pytest.fixture
def model(make_transformer):
    """Eight blocks, whose attention matters more than an untrained model's."""
    model = make_transformer(7, num_layers=8)
    for block in model.blocks:
        for attention in (block.attn1, block.attn2):
            attention.to_out[0].weight.data *= 4
            attention.norm_q.weight.data *= 2
    return model


def text(seed: int, rows: int = 14) -> torch.Tensor:
    return torch.randn(rows, TEXT_DIM, generator=torch.Generator().manual_seed(seed))


def latents(batch: int, frames: int) -> torch.Tensor:
    return torch.randn(batch, 16, frames, 4, 6, generator=torch.Generator().manual_seed(9))


def texts(mechanism, items):
    return mechanism.joined(items, torch.float32)


def run(model, latents, timestep, texts, plan):
    with torch.no_grad():
        return model(latents, timestep, texts.rows, attention_kwargs={"planner": plan}).sample


def test_captions_are_the_parts_of_a_prompt_that_each_family_shows_to_a_shot():
    whole = text(1)
    g, shots = whole[:4], [whole[4:7], whole[7:12], whole[12:14]]
    after, apart, before = (MECHANISMS[name].captions(whole, WINDOWS, 3) for name in MECHANISMS)
    assert all(torch.equal(a, torch.cat([s, g])) for a, s in zip(after, shots, strict=True))
    assert all(torch.equal(a, torch.cat([g, s])) for a, s in zip(before, shots, strict=True))
    assert len(apart) == 4 and torch.equal(apart[3], g) and torch.equal(apart[1], shots[1])
    assert MECHANISMS["block-mask"].common(3) == 3 and MECHANISMS["phases"].common(3) is None
    assert [len(MECHANISMS[name].captions(whole[:1], None, 3)) for name in MECHANISMS] == [3, 4, 3]


def test_captions_that_repeat_the_global_one_may_be_longer_together_than_what_texts_are_padded_to():
    many, short = [text(n, 103) for n in range(5)], [text(n, 20) for n in range(5)]
    long, padded = (texts(MECHANISMS["phases"], [captions]) for captions in (many, short))
    assert PADDING not in long.captions and long.captions.count(4) == 103
    alone = join(short, PADDED_TO, "together", torch.float32)
    assert torch.equal(padded.scores[0], alone.bias(torch.float32))
    both = texts(MECHANISMS["phases"], [many, short])
    assert torch.isinf(both.scores[0]).sum() == both.captions.count(PADDING)  # the longer one has none, in a batch too
    with pytest.raises(ValueError, match="2,?100 tokens and the model reads 2,?048"):
        texts(MECHANISMS["phases"], [[text(n, 420) for n in range(5)]])


def test_masks_act_in_the_same_share_of_blocks_as_in_the_family_itself():
    rules = MECHANISMS["block-mask"].rules(8)
    assert rules.masked_layers == (2, 6) and MECHANISMS["block-mask"].rules(30).masked_layers == (6, 27)
    assert MECHANISMS["phases"].rules(8).frames_per_shot == 4


@pytest.mark.parametrize("name", ["phases", "block-mask"])
def test_a_batch_of_different_texts_is_what_each_item_is_alone(name, model):
    mechanism, frames = MECHANISMS[name], Frames.of((2, 1, 3), *GRID)
    items = [mechanism.captions(text(1), WINDOWS, 3), mechanism.captions(text(2, 2), None, 3)]
    rules, common = mechanism.rules(8), mechanism.common(3)
    noisy, timestep = latents(2, 6), torch.tensor([900.0, 300.0])

    def planned(texts):
        return planner(rules, frames, {"cond": texts}, model.config.attention_head_dim, common)

    together = texts(mechanism, items)
    both = run(model, noisy, timestep, together, planned(together))
    for item, captions in enumerate(items):
        alone = join(captions, PADDED_TO, rules.padded, torch.float32)
        output = run(model, noisy[item : item + 1], timestep[item : item + 1], alone, planned(alone))
        torch.testing.assert_close(both[item : item + 1], output, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("shot", "lengths"), [(0, (7, 2)), (1, (5, 4)), (2, (1, 2, 8))])
def test_a_causal_pass_over_all_blocks_is_what_each_block_sees_when_it_is_made(shot, lengths, model):
    mechanism = MECHANISMS["causal"]
    rules, length = mechanism.rules(8), lengths[shot]
    together = texts(mechanism, [mechanism.captions(text(1), WINDOWS, 3)])
    frames = frames_of(shot, *GRID, num_frames=length)
    twice, pattern = teacher_forcing(frames)
    scene = latents(1, sum(lengths))
    start = sum(lengths[:shot])
    context = context_of(scene, lengths, spread(lengths[:shot]))
    clean, noisy = scene[:, :, start : start + length], latents(2, length)[1:]
    levels = torch.tensor([0.0] * (6 + length) + [900.0 - 200 * (frame // 3) for frame in range(length)])
    plan = planner(rules, twice, {"cond": together}, model.config.attention_head_dim, pattern=pattern)
    tokens = levels.repeat_interleave(GRID[0] * GRID[1])[None]
    whole = run(model, torch.cat([context, clean, noisy], dim=2), tokens, together, plan)[:, :, 6 + length :]

    memory = Memory()
    predict(model, rules, frames.part(0, 6), together, context, 0.0, memory.exchange(keep=-1))
    begin = 0
    for block, count in enumerate(block_lengths(length)):
        part, own = frames.part(6 + begin, 6 + begin + count), slice(begin, begin + count)
        made = predict(model, rules, part, together, noisy[:, :, own], 900.0 - 200 * block, memory.exchange())
        torch.testing.assert_close(whole[:, :, own], made, rtol=0, atol=2e-5)
        predict(model, rules, part, together, clean[:, :, own], 0.0, memory.exchange(keep=block))
        begin += count
    assert begin == length and len(pattern.runs) == 1 + 2 * len(block_lengths(length))


def test_a_run_sees_no_frame_that_it_is_not_shown():
    pattern = RunPattern(((2, ((0, 2),)), (1, ((0, 1), (2, 3)))), 6)
    assert pattern.group_tokens == [12, 6] and pattern.key_counts == [12, 12]
