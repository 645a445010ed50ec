"""The transformer with a layout against diffusers' stock Wan with dense masks, written here, in float64."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttnProcessor

from holocine import AttentionSettings, HoloCineTransformer3DModel, ShotLayout, TextWindows

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

TEXT_LENGTH = 24
LAYOUTS = [ShotLayout((1, 3, 2), 2, 3), ShotLayout((4, 2), 2, 3), ShotLayout((6,), 2, 3)]
WINDOWS = [
    TextWindows((0, 4), ((4, 7), (7, 9), (9, 13))),
    TextWindows((0, 2), ((2, 9), (9, 11))),
    TextWindows((0, 3), ((3, 8),)),
]
# The end token lies past the last span's extra token, where zero embeddings have not begun yet.
USED = [15, 13, 10]
MODES = ["full", "sparse", "sparse:first+last", "sparse:mean", "isolated"]


def inputs(items, dtype=torch.float64) -> dict:
    """Latents, timesteps and text of the given items of LAYOUTS."""
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(3, 16, 6, 4, 6, generator=generator, dtype=torch.float64)
    text = torch.randn(3, TEXT_LENGTH, 32, generator=generator, dtype=torch.float64)
    for item, used in enumerate(USED):
        text[item, used:] = 0
    items = list(items)
    timestep = torch.tensor([900.0, 500.0, 100.0])
    return {
        "hidden_states": latents[items].to(dtype),
        "timestep": timestep[items],
        "encoder_hidden_states": text[items].to(dtype),
        "return_dict": False,
    }


def attention(items, mode="sparse", **fields) -> dict:
    items = list(items)
    return {
        "layouts": [LAYOUTS[i] for i in items],
        "windows": [WINDOWS[i] for i in items],
        "settings": AttentionSettings.parse(mode, **fields),
    }


class _MaskedProcessor(WanAttnProcessor):
    """Stock attention over keys extended by summaries, with a boolean mask of who sees what for each item."""

    def __init__(self, extend, mask):
        super().__init__()
        self.extend, self.mask = extend, mask

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(text)), attn.to_v(text)
        query, key, value = (x.unflatten(2, (attn.heads, -1)) for x in (query, key, value))
        if rotary_emb is not None:
            cos, sin = (x[..., ::2].double() for x in rotary_emb)
            turn = torch.complex(cos, sin)
            query, key = (
                torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turn).flatten(-2)
                for x in (query, key)
            )
        key, value = self.extend(key), self.extend(value)
        query, key, value = (x.transpose(1, 2) for x in (query, key, value))
        scores = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).masked_fill(~self.mask[:, None], -1e4)
        return attn.to_out[0]((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


def reference(model: HoloCineTransformer3DModel, item: int, mode: str, window: bool, leak_free=False) -> torch.Tensor:
    """What one item must come to: stock Wan, nothing collapsed, dense masks."""
    layout = LAYOUTS[item]
    spatial = layout.tokens_per_frame
    shots = torch.arange(layout.num_shots).repeat_interleave(torch.tensor(layout.shot_lengths))
    frames = []  # (shot, latent frames averaged) of each summary frame
    for shot, start in enumerate(layout.shot_starts):
        last = start + layout.shot_lengths[shot] - 1
        frames += {
            "sparse": [[start]],
            "sparse:first+last": [[start], [last]] if last > start else [[start]],
            "sparse:mean": [list(range(start, last + 1))],
        }.get(mode, [])

    def extend(x):
        by_frame = x.unflatten(1, (-1, spatial))
        return torch.cat([x, *(by_frame[:, members].mean(1) for members in frames)], dim=1)

    same = shots[:, None] == shots if mode != "full" else torch.ones(len(shots), len(shots), dtype=torch.bool)
    mask = torch.cat([same, torch.ones(len(shots), len(frames), dtype=torch.bool)], dim=1)
    mask = mask.repeat_interleave(spatial, 0).repeat_interleave(spatial, 1)
    text_mask = torch.ones(layout.num_tokens, TEXT_LENGTH, dtype=torch.bool)
    if window:
        windows = replace(WINDOWS[item], extra=0) if leak_free else WINDOWS[item]
        rows = torch.from_numpy(windows.visible(TEXT_LENGTH))
        text_mask = rows[shots].repeat_interleave(spatial, 0)
    stock = WanTransformer3DModel(**{k: v for k, v in model.config.items() if not k.startswith("_")}).double()
    stock.load_state_dict(model.state_dict())
    for block in stock.blocks:
        block.attn1.set_processor(_MaskedProcessor(extend, mask[None]))
        block.attn2.set_processor(_MaskedProcessor(lambda x: x, text_mask[None]))
    with torch.no_grad():
        return stock(**inputs([item]))[0]


@pytest.fixture
def model(make_transformer):
    model = make_transformer(7).double()
    with torch.no_grad():
        # Sharper attention than at initialisation, so that a wrong mask changes the output by far more than rounding.
        for block in model.blocks:
            for attn in (block.attn1, block.attn2):
                attn.norm_q.weight.mul_(2)
                attn.norm_k.weight.mul_(2)
    return model


@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", ["auto", "dense", "flex"])
def test_a_batch_of_different_layouts_equals_stock_wan_with_dense_masks(model, kernel, mode, window):
    items = [0, 1, 0, 2]
    with torch.no_grad():
        output = model(**inputs(items), attention_kwargs=attention(items, mode, kernel=kernel, window=window))[0]
    for row, item in zip(output, items, strict=True):
        torch.testing.assert_close(row, reference(model, item, mode, window)[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("kernel", ["auto", "dense"])
def test_items_of_one_layout_may_have_different_windows_or_none(model, kernel):
    kwargs = attention([0, 0, 0], kernel=kernel)
    kwargs["windows"] = [WINDOWS[0], TextWindows((0, 6), ((6, 8), (8, 9), (9, 13))), None]
    batch = inputs([0, 0, 0])
    batch["encoder_hidden_states"][1, :] = inputs([1])["encoder_hidden_states"]
    with torch.no_grad():
        together = model(**batch, attention_kwargs=kwargs)[0]
        for i in range(3):
            single = {k: v if k == "return_dict" else v[i : i + 1] for k, v in batch.items()}
            alone = model(**single, attention_kwargs={**attention([0]), "windows": kwargs["windows"][i : i + 1]})[0]
            torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-10)
    torch.testing.assert_close(together[:1], reference(model, 0, "sparse", True), rtol=0, atol=1e-8)
    torch.testing.assert_close(together[2:], reference(model, 0, "sparse", False), rtol=0, atol=1e-8)


def test_every_token_may_have_a_timestep_of_its_own(model):
    items = range(len(LAYOUTS))
    given, tokens = inputs(items), LAYOUTS[0].num_tokens
    with torch.no_grad():
        expected = model(**given, attention_kwargs=attention(items))[0]
        given["timestep"] = given["timestep"][:, None].repeat(1, tokens)
        torch.testing.assert_close(model(**given, attention_kwargs=attention(items))[0], expected, rtol=0, atol=1e-8)
        given["timestep"][:, : tokens // 2] = 0
        assert (model(**given, attention_kwargs=attention(items))[0] - expected).norm() > 1e-3 * expected.norm()


def test_every_rule_changes_the_output(model):
    """What the comparisons above tell apart is far larger than their tolerance."""
    outputs = [reference(model, 0, mode, window) for mode in MODES for window in (True, False)]
    outputs.append(reference(model, 0, "sparse", True, leak_free=True))
    for i, first in enumerate(outputs):
        assert all((first - second).norm() / first.norm() > 1e-3 for second in outputs[:i])


def test_leak_free_hides_the_token_after_each_caption(model):
    with torch.no_grad():
        output = model(**inputs([0]), attention_kwargs=attention([0], leak_free=True))[0]
    torch.testing.assert_close(output, reference(model, 0, "sparse", True, leak_free=True), rtol=0, atol=1e-8)


def test_the_negative_branch_has_no_window_and_keeps_its_self_attention(model):
    with torch.no_grad():
        with model.cache_context("uncond"):
            negative = model(**inputs([0]), attention_kwargs=attention([0]))[0]
        with model.cache_context("cond"):
            positive = model(**inputs([0]), attention_kwargs=attention([0]))[0]
    torch.testing.assert_close(negative, reference(model, 0, "sparse", False), rtol=0, atol=1e-8)
    torch.testing.assert_close(positive, reference(model, 0, "sparse", True), rtol=0, atol=1e-8)


def test_without_layouts_it_is_wan_to_the_bit(model, make_transformer):
    stock = make_transformer(7, cls=WanTransformer3DModel).double()
    stock.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(**inputs([0, 1]))[0], stock(**inputs([0, 1]))[0])


def test_in_half_precision_collapsed_padding_is_as_exact_as_wan(make_transformer):
    model = make_transformer(7).to(torch.bfloat16)
    batch = inputs([0], torch.bfloat16)
    batch["encoder_hidden_states"] = F.pad(batch["encoder_hidden_states"], (0, 0, 0, 450))
    with torch.no_grad():
        stock = model(**batch)[0].double()
        collapsed = model(**batch, attention_kwargs=attention([0], "full", window=False))[0].double()
        exact = model.double()(**{k: v.double() if torch.is_tensor(v) else v for k, v in batch.items()})[0]
    assert (collapsed - exact).norm() < 1.2 * (stock - exact).norm()


def test_fused_projections_give_the_same_output(model):
    with torch.no_grad():
        before = model(**inputs([0, 1]), attention_kwargs=attention([0, 1]))[0]
        model.fuse_qkv_projections()
        after = model(**inputs([0, 1]), attention_kwargs=attention([0, 1]))[0]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)


def gradients(model, **kwargs) -> list[torch.Tensor]:
    model.zero_grad()
    model(**inputs([0, 1]), **kwargs)[0].square().mean().backward()
    return [p.grad.clone() for p in model.parameters()]


def test_gradient_checkpointing_recomputes_with_the_layout_of_the_forward_pass(model):
    expected = gradients(model, attention_kwargs=attention([0, 1]))
    model.enable_gradient_checkpointing()
    torch.testing.assert_close(gradients(model, attention_kwargs=attention([0, 1])), expected, rtol=0, atol=1e-12)
    assert not torch.equal(gradients(model)[0], expected[0])


def test_gradients_of_a_batch_are_the_mean_of_single_gradients(model):
    together = gradients(model, attention_kwargs=attention([0, 1]))
    singles = []
    for item in (0, 1):
        model.zero_grad()
        model(**inputs([item]), attention_kwargs=attention([item]))[0].square().mean().backward()
        singles.append([p.grad.clone() for p in model.parameters()])
    mean = [(a + b) / 2 for a, b in zip(*singles, strict=True)]
    torch.testing.assert_close(together, mean, rtol=1e-5, atol=1e-8)


def test_the_layout_is_dropped_after_the_pass_and_after_an_error(model, monkeypatch):
    stock = model(**inputs([0]))[0]
    model(**inputs([0]), attention_kwargs=attention([0]))
    assert torch.equal(model(**inputs([0]))[0], stock)

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(model.blocks[1], "forward", fail)
    with pytest.raises(KeyboardInterrupt), model.cache_context("uncond"):
        model(**inputs([0]), attention_kwargs=attention([0]))
    monkeypatch.undo()
    assert torch.equal(model(**inputs([0]))[0], stock)
    with torch.no_grad():
        output = model(**inputs([0]), attention_kwargs=attention([0]))[0]
    torch.testing.assert_close(output, reference(model, 0, "sparse", True), rtol=0, atol=1e-8)


def test_it_survives_saving_and_loading(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = HoloCineTransformer3DModel.from_pretrained(tmp_path, dtype=torch.float64)
    for parameter, original in zip(loaded.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(parameter.double(), original, rtol=1e-6, atol=1e-6)
    loaded.load_state_dict(model.state_dict())
    loaded.double()
    with torch.no_grad():
        output, expected = (m(**inputs([0]), attention_kwargs=attention([0]))[0] for m in (loaded, model))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)


def test_a_stock_wan_folder_loads(make_transformer, tmp_path):
    stock = make_transformer(7, cls=WanTransformer3DModel)
    stock.save_pretrained(tmp_path)
    loaded = HoloCineTransformer3DModel.from_pretrained(tmp_path)
    batch = inputs([0], torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch)[0], stock(**batch)[0])
        shots = loaded(**batch, attention_kwargs=attention([0]))[0]
    assert not torch.allclose(shots, stock(**batch)[0], atol=1e-4)


def test_a_stock_model_is_adopted_in_place(make_transformer):
    stock = make_transformer(7, cls=WanTransformer3DModel)
    native = make_transformer(7)
    adopted = HoloCineTransformer3DModel.adopt(stock)
    assert adopted is stock
    batch = inputs([0], torch.float32)
    with torch.no_grad():
        outputs = [m(**batch, attention_kwargs=attention([0]))[0] for m in (adopted, native)]
    assert torch.equal(*outputs)


def test_copies_carry_their_own_layout(model):
    twin = copy.deepcopy(model)
    with torch.no_grad():
        output = twin(**inputs([0]), attention_kwargs=attention([0]))[0]
    torch.testing.assert_close(output, reference(model, 0, "sparse", True), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layouts": [LAYOUTS[0], LAYOUTS[0]]}, "2 layouts for a batch of 1; give one for each item"),
        ({"layouts": [ShotLayout((3, 2), 2, 3)]}, r"layout of item 0: \(5, 2, 3\) latent frames .* make \(6, 2, 3\)"),
        ({"windows": None}, "settings.window is on but no windows were given"),
        ({"windows": [WINDOWS[0]] * 2}, "2 text windows for 1 layouts"),
        ({"windows": [WINDOWS[1]]}, "item 0 of the batch: 2 text windows for a layout of 3 shots"),
        ({"windows": [TextWindows((0, 4), ((4, 7), (7, 9), (9, 99)))]}, "reach token 99"),
    ],
)
def test_layouts_and_windows_that_do_not_fit_are_errors(model, change, message):
    with pytest.raises(ValueError, match=message):
        model(**inputs([0]), attention_kwargs={**attention([0]), **change})


def test_a_foreign_attention_processor_is_an_error_rather_than_a_dropped_layout(model):
    model.blocks[1].attn1.set_processor(WanAttnProcessor())
    with pytest.raises(ValueError, match="an attention processor was replaced by one that knows no layouts"):
        model(**inputs([0]), attention_kwargs=attention([0]))
