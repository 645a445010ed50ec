"""A step-distilled LoRA pair made of the embedded model's two experts."""

import logging

import torch

from holocine import load_pipeline
from holocine.finding import EMBEDDED
from holocine.puppet.training.pair import BASE, HIGH, LOW, low_rank_difference, write_pair

QUERY = "blocks.3.attn1.to_q"


def difference(a, b):
    return torch.linalg.norm(a - b).item()


def test_the_higher_the_rank_the_closer_a_lora_comes_to_the_distilled_expert():
    pipeline = load_pipeline(EMBEDDED)
    teacher, student = pipeline.transformer, pipeline.transformer_2
    wanted = (student.get_submodule(QUERY).weight - teacher.get_submodule(QUERY).weight).detach()
    left = []
    for rank in (4, 64, 192):
        state = low_rank_difference(teacher, student, rank)
        key = "diffusion_model.blocks.3.self_attn.q"
        up, down = state[f"{key}.lora_up.weight"], state[f"{key}.lora_down.weight"]
        assert down.shape == (rank, 192) and state[f"{key}.alpha"] == rank
        left.append(difference(up @ down, wanted))
    assert torch.linalg.norm(wanted) > left[0] > left[1] > left[2] and left[2] < 1e-4


def test_the_pair_is_read_as_published_ones_are_and_all_of_it_is_used(tmp_path, caplog):
    write_pair(EMBEDDED, tmp_path / "pair", rank=192)
    with caplog.at_level(logging.WARNING):
        pair = f"{tmp_path / 'pair' / HIGH},{tmp_path / 'pair' / LOW}"
        pipeline = load_pipeline(tmp_path / "pair" / BASE, distilled=pair)
    assert not [record for record in caplog.records if "fit nothing" in record.message]
    student = load_pipeline(EMBEDDED).transformer_2
    for expert in pipeline.experts:
        layer, x = expert.get_submodule(QUERY), torch.randn(5, 192, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            distilled, without, wanted = layer(x), layer.base_layer(x), student.get_submodule(QUERY)(x)
        assert difference(distilled, wanted) < 1e-3 < difference(without, wanted)
