from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from holocine.attention import AttentionSettings, shot_pattern
from holocine.attention_plan import collapse_padding
from holocine.checkpoints import describe
from holocine.cost import HOPPER_RATE, TransformerShape, amount, duration, pass_cost, run_cost
from holocine.plan import make_plan
from holocine.prompt import TextWindows
from holocine.storyboard import Storyboard
from holocine.timeline import ShotLayout
from tests.conftest import TEXT_LENGTH, build_transformer

WAN_14B = TransformerShape.of({"freq_dim": 256})
LAYOUT = ShotLayout.from_cuts(17, (5, 13), 4, 6)


@pytest.mark.parametrize("mode", ["full", "isolated", "sparse"])
def test_a_pass_costs_what_a_profiler_counts(mode):
    transformer = build_transformer(3).eval()
    config, settings = transformer.config, AttentionSettings(mode=mode, kernel="dense")
    text = torch.zeros(1, TEXT_LENGTH, config.text_dim)
    text[:, :9] = 1.0
    windows = TextWindows((0, 3), ((3, 5), (5, 7), (7, 8)))
    latents = torch.zeros(1, config.in_channels, LAYOUT.num_latent_frames, 8, 12)
    kwargs = {"layouts": [LAYOUT], "windows": [windows], "settings": settings}
    with torch.no_grad(), FlopCounterMode(display=False) as counted, transformer.cache_context("cond"):
        transformer(latents, torch.tensor([500.0]), text, attention_kwargs=kwargs)
    # the dense kernel multiplies every query with every key and every text token, seen or not
    pattern = shot_pattern(LAYOUT, mode, settings.summary)
    text_tokens = collapse_padding(text)[0].shape[1]
    tokens = LAYOUT.num_tokens
    pairs = tokens * (tokens + pattern.num_summary_tokens)
    cost = pass_cost(TransformerShape.of(config), tokens, pairs, text_tokens, tokens * text_tokens)
    assert counted.get_total_flops() == cost.total


def test_wans_14b_at_full_size_takes_what_its_layers_multiply():
    """241 frames of 480 x 832: 95,160 tokens, 2.3 PFLOP in the layers and 7.4 in full attention."""
    tokens = 61 * 30 * 52
    cost = pass_cost(WAN_14B, tokens, tokens**2, 512, tokens * 512)
    assert cost.self_attention == pytest.approx(7.4e15, rel=0.01)
    assert cost.linear == pytest.approx(2.28e15, rel=0.01)


def test_a_run_adds_prompted_and_guided_passes():
    visible = np.ones((3, 10), bool)
    cost = run_cost(WAN_14B, LAYOUT, LAYOUT.num_tokens**2, visible, 7, steps=50, guided=20)
    assert cost.prompted.cross_attention == 10 / 7 * cost.negative.cross_attention
    assert cost.total == 50 * cost.prompted.total + 20 * cost.negative.total
    assert cost.seconds(2 * HOPPER_RATE) == cost.seconds() / 2


def test_windows_spare_arithmetic_of_the_text():
    seen = np.eye(3, 10, dtype=bool)
    pairs = LAYOUT.num_tokens**2
    some, all_ = (
        run_cost(WAN_14B, LAYOUT, pairs, v, 7, steps=1, guided=0).prompted for v in (seen, np.ones_like(seen))
    )
    assert some.cross_attention * 10 == all_.cross_attention and some.linear == all_.linear


def test_a_plan_counts_the_models_own_steps_and_guided_steps():
    from holocine import load_pipeline

    pipeline, seen = load_pipeline(), []
    for expert in (pipeline.transformer, pipeline.transformer_2):
        expert.blocks[0].register_forward_pre_hook(lambda *_: seen.append(1))
    board = Storyboard.from_captions("A beach with [character1].", ["[character1] jumping."] * 2, 9, seed=1)
    facts = describe()
    plan = make_plan(board, replace(facts, shot_guidance=1.0))
    pipeline.set_progress_bar_config(disable=True)
    pipeline(board, output_type="latent", shot_guidance=1.0)
    assert len(seen) == plan.cost.passes == 12 + 3
    seen.clear()
    plan = make_plan(board, facts)
    pipeline(board, output_type="latent")
    assert len(seen) == plan.cost.passes == 12 + 3 + plan.cost.moved == 12 + 3 + 7
    assert plan.cost.total == 12 * plan.cost.prompted.total + 3 * plan.cost.negative.total + 7 * plan.cost.apart.total
    assert plan.cost.apart.self_attention < plan.cost.prompted.self_attention
    assert make_plan(board, describe(), guidance=1.0).cost.guided == 0
    assert replace(describe(), guidance_below=1.0).guided_steps(12, 3.0) == 10  # the low-noise expert takes two
    assert replace(describe(), guidance_below=1.0, guidance_2=None).guided_steps(24, 3.0) == 24


def test_amounts_and_times_are_words():
    assert [amount(n) for n in (5e9, 2.5e13, 4.3e15)] == ["5 GFLOP", "25 TFLOP", "4.3 PFLOP"]
    assert [duration(s) for s in (0.01, 0.42, 95, 900)] == ["less than 0.1 s", "0.4 s", "95 s", "15 min"]
