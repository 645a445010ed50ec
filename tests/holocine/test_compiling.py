"""A block that is compiled is one graph: nothing of the shots' attention is left to Python between two graphs."""

import pytest
import torch
import torch._dynamo

from holocine import AttentionSettings, HoloCineTransformer3DModel, ShotLayout, TextWindows, kernels
from holocine.attention_plan import make_plan


@torch.library.custom_op("holocine_tests::varlen", mutates_args=())
def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_offsets: torch.Tensor,
    key_offsets: torch.Tensor,
    max_query: int,
    max_key: int,
) -> torch.Tensor:
    """What a GPU's variable-length attention computes, as opaque to the compiler as that is."""
    outputs = []
    for i in range(len(query_offsets) - 1):
        q = query[query_offsets[i] : query_offsets[i + 1]]
        k, v = (x[key_offsets[i] : key_offsets[i + 1]] for x in (key, value))
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        outputs.append(torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1))
    return torch.cat(outputs)


@varlen.register_fake
def _(query, key, value, query_offsets, key_offsets, max_query, max_key):
    return torch.empty_like(query)


@pytest.mark.filterwarnings("ignore:.*lru_cache.*")
@pytest.mark.parametrize("kernel", ["per-shot", "flash"])
def test_a_block_has_no_graph_break(kernel, monkeypatch):
    monkeypatch.setattr(kernels, "_found_varlen", [lambda *given: torch.ops.holocine_tests.varlen(*given)])
    model = HoloCineTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, text_dim=8, freq_dim=16, ffn_dim=32, num_layers=1
    ).to(torch.bfloat16)
    layout, settings = ShotLayout((2, 3, 1), 2, 3), AttentionSettings(kernel=kernel)
    windows = TextWindows((0, 4), ((4, 6), (6, 8), (8, 9)))
    with torch.no_grad():
        plan = make_plan([layout], [windows], settings, 20, 12, torch.device("cpu"), torch.bfloat16)
        hidden, text = torch.randn(1, 36, 32), torch.randn(1, 15, 32)
        rotary = model.rope(torch.empty(1, 16, 6, 4, 6))
        given = (hidden.bfloat16(), text.bfloat16(), torch.randn(1, 6, 32).bfloat16(), rotary)
        with model._attention_context.using(plan):
            found = torch._dynamo.explain(model.blocks[0])(*given)
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons
