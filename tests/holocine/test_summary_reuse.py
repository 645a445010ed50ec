"""Summaries of kept shots used again: the same as a whole pass where they are fresh, and cheaper everywhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from holocine import AttentionSettings, Storyboard, keep_picture, keep_shots
from holocine.attention import shot_pattern
from holocine.attention_plan import AttentionPlan
from holocine.encoding import encode_frames
from holocine.finding import EMBEDDED
from holocine.keeping import keep_of_video, placed
from holocine.kernels import KERNELS
from holocine.restoring import LEAD, decode_with_kept, latents_to_decode
from holocine.summary_reuse import SummaryReuse, reuse_of
from holocine.timeline import ShotLayout

LAYOUT = ShotLayout((2, 3, 1, 2), 2, 3)
KEPT = frozenset({0, 2})
SUMMARIES = ["sparse", "sparse:first+last", "sparse:linspace:2", "sparse:mean"]


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    latents, text = (torch.randn(shape, generator=generator) for shape in ((1, 16, 8, 4, 6), (1, 20, 32)))
    return latents, text


def run(model, inputs, reuse, settings, step, timestep=700.0, branch="cond", **extra):
    latents, text = inputs
    attention = {"layouts": [LAYOUT], "windows": [None], "settings": settings, "reuse": reuse, **extra}
    with torch.no_grad(), model.cache_context(branch, step_index=step):
        return model(latents, torch.tensor([timestep]), text, attention_kwargs=attention, return_dict=False)[0]


@pytest.mark.parametrize("attention", SUMMARIES)
@pytest.mark.parametrize("kernel", ["per-shot", "dense", "flex"])
def test_fresh_summaries_make_the_same_of_the_other_shots_as_a_whole_pass(make_transformer, inputs, attention, kernel):
    model, settings = make_transformer(3), AttentionSettings.parse(attention, kernel=kernel)
    reuse = SummaryReuse(LAYOUT, KEPT, every=2)
    whole = run(model, inputs, reuse, settings, step=1)
    partly = run(model, inputs, reuse, settings, step=2)
    made = reuse.made_frames
    assert made == [2, 3, 4, 6, 7]
    torch.testing.assert_close(partly[:, :, made], whole[:, :, made], rtol=1e-4, atol=1e-5)
    assert not partly[:, :, [0, 1, 5]].any()
    torch.testing.assert_close(whole, run(model, inputs, None, settings, step=0))


def test_isolated_shots_need_no_summaries(make_transformer, inputs):
    model, settings = make_transformer(3), AttentionSettings("isolated")
    reuse = SummaryReuse(LAYOUT, KEPT, every=4)
    partly, whole = run(model, inputs, reuse, settings, step=0), run(model, inputs, None, settings, step=0)
    torch.testing.assert_close(partly[:, :, reuse.made_frames], whole[:, :, reuse.made_frames], rtol=1e-4, atol=1e-5)
    assert not partly[:, :, 0].any()


def test_summaries_serve_as_many_steps_as_were_asked_for_in_their_own_branch_and_model(make_transformer, inputs):
    model, other, settings = make_transformer(3), make_transformer(4), AttentionSettings()
    reuse = SummaryReuse(LAYOUT, KEPT, every=3)
    partly = [not run(model, inputs, reuse, settings, step)[:, :, 0].any() for step in range(8)]
    # those of the first step, where kept shots are pure noise, serve no other
    assert partly == [False, False, True, True, False, True, True, False]
    assert run(model, inputs, reuse, settings, 8, branch="uncond")[:, :, 0].any()
    assert run(other, inputs, reuse, settings, 8)[:, :, 0].any()
    assert not run(other, inputs, reuse, settings, 9)[:, :, 0].any()


def test_shots_that_are_shown_clean_look_alike_in_all_steps_the_first_included(make_transformer, inputs):
    model, settings = make_transformer(3), AttentionSettings()
    reuse = SummaryReuse(LAYOUT, KEPT, every=3, clean=True)
    whole = [bool(run(model, inputs, reuse, settings, step)[:, :, 0].any()) for step in range(7)]
    assert whole == [True, False, False, True, False, False, True]


def test_full_attention_and_one_step_are_never_reused(make_transformer, inputs):
    model = make_transformer(3)
    for settings, every in ((AttentionSettings("full"), 4), (AttentionSettings(), 1)):
        reuse = SummaryReuse(LAYOUT, KEPT, every)
        for step in range(3):
            assert run(model, inputs, reuse, settings, step)[:, :, 0].any()


def test_clean_frames_have_a_timestep_of_their_own(make_transformer, inputs):
    model, settings = make_transformer(3), AttentionSettings()
    clean = torch.zeros(1, 8, dtype=torch.bool)
    plain = run(model, inputs, None, settings, 0)
    torch.testing.assert_close(run(model, inputs, None, settings, 0, clean_frames=clean), plain)
    clean[:, [0, 1, 5]] = True
    mixed = run(model, inputs, None, settings, 0, clean_frames=clean)
    assert not torch.allclose(mixed, plain)
    latents, text = inputs
    timesteps = torch.where(clean, 0.0, 700.0).repeat_interleave(6, dim=1)
    attention = {"layouts": [LAYOUT], "windows": [None], "settings": settings}
    with torch.no_grad():
        expected = model(latents, timesteps, text, attention_kwargs=attention, return_dict=False)[0]
    torch.testing.assert_close(mixed, expected)
    reuse = SummaryReuse(LAYOUT, KEPT, every=2)
    run(model, inputs, reuse, settings, 1, clean_frames=clean)
    partly = run(model, inputs, reuse, settings, 2, clean_frames=clean)
    torch.testing.assert_close(partly[:, :, reuse.made_frames], mixed[:, :, reuse.made_frames], rtol=1e-4, atol=1e-5)


def test_a_batch_reuses_only_what_its_items_have_in_common():
    assert reuse_of([LAYOUT, LAYOUT], [KEPT, KEPT], 4).kept == KEPT
    assert reuse_of([LAYOUT, LAYOUT], [KEPT, frozenset({1})], 4) is None
    assert reuse_of([LAYOUT, ShotLayout((3, 2, 1, 2), 2, 3)], [KEPT, KEPT], 4) is None
    assert reuse_of([LAYOUT], [frozenset()], 4) is None
    assert reuse_of([LAYOUT], [KEPT], 1) is None


def test_kernels_see_keys_from_outside():
    pattern = replace(shot_pattern(ShotLayout((2, 1), 1, 3), "sparse", "first"), num_outside=2)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 9, 2, 4, generator=generator)
    key, value = (torch.randn(1, 11, 2, 4, generator=generator) for _ in range(2))
    shot, other = [0, 1, 2, 3, 4, 5], [6, 7, 8]
    seen = {tuple(shot): [*shot, 0, 1, 2, *other, 9, 10], tuple(other): [*other, 0, 1, 2, *other, 9, 10]}
    expected = torch.cat(
        [
            torch.nn.functional.scaled_dot_product_attention(
                *(x[:, rows].transpose(1, 2) for x, rows in ((query, list(rows)), (key, keys), (value, keys)))
            ).transpose(1, 2)
            for rows, keys in seen.items()
        ],
        dim=1,
    )
    for name in ("dense", "per-shot", "flex"):
        torch.testing.assert_close(KERNELS[name](query, key, value, pattern), expected, rtol=1e-4, atol=1e-5)


# In the pipeline


def test_kept_shots_are_exact_however_often_they_are_looked_at_and_the_new_one_is_close(make_pipeline, storyboard):
    pipeline = make_pipeline(experts=2, default_num_inference_steps=8)
    first = pipeline(storyboard)
    keep = keep_shots(first, [1, 3])
    exact = pipeline(storyboard, seed=5, keep=keep, keep_every=1).latents
    for every in (2, 4, 8):
        reused = pipeline(storyboard, seed=5, keep=keep, keep_every=every).latents
        assert torch.equal(reused[:, :, :2], first.latents[:, :, :2])
        assert torch.equal(reused[:, :, 4:], first.latents[:, :, 4:])
        assert 0 < float((reused - exact).norm() / exact.norm()) < 0.05


def test_fewer_tokens_are_computed(make_pipeline, storyboard):
    pipeline = make_pipeline(default_num_inference_steps=8)
    keep, tokens = keep_shots(pipeline(storyboard), [1, 3]), []
    pipeline.transformer.blocks[0].register_forward_pre_hook(lambda block, args: tokens.append(args[0].shape[1]))
    pipeline(storyboard, keep=keep, keep_every=4, output_type="latent")
    whole, part = 5 * 6, 2 * 6
    looks = [index in (0, 1, 3, 7) for index in range(8)]  # the first for itself alone, then 2 and 4 steps
    assert tokens == [whole if look else part for look in looks for _ in ("cond", "uncond")]


def test_the_config_says_how_often_and_how_noisy_kept_shots_are_seen(make_pipeline, storyboard, tmp_path):
    pipeline = make_pipeline(default_num_inference_steps=4, default_keep_every=4, default_keep_level="clean")
    keep = keep_shots(pipeline(storyboard), [1])
    given = pipeline(storyboard, seed=5, keep=keep, keep_every=4, keep_level="clean").latents
    assert torch.equal(pipeline(storyboard, seed=5, keep=keep).latents, given)
    assert not torch.equal(pipeline(storyboard, seed=5, keep=keep, keep_level="same").latents, given)
    assert torch.equal(given[:, :, :2], keep[0].latents[None])
    for options, message in (
        ({"keep_every": 0}, "keep_every 0 is not a whole number of 1 or more; 1 is exact"),
        ({"keep_level": "noisy"}, "keep_level 'noisy' is unknown; choose one of same, clean"),
    ):
        with pytest.raises(ValueError, match=message):
            pipeline(storyboard, keep=keep, **options)


def test_pictures_of_a_shot_that_is_made_are_no_reason_to_skip_it(make_pipeline, storyboard):
    pipeline = make_pipeline(default_num_inference_steps=4)
    first = pipeline(storyboard)
    keep = [*keep_shots(first, [1]), keep_picture(2, first.frames[0][0])]
    made = pipeline(storyboard, seed=5, keep=keep, keep_every=4)
    assert np.array_equal(made.frames[0][5], first.frames[0][0])


def test_what_comes_after_is_not_decoded_and_nothing_changes(pipeline):
    board = Storyboard.from_captions("A room.", ["a.", "b.", "c."], num_frames=69, shot_cut_frames=[45, 53], seed=1)
    first = pipeline(board)
    keep = keep_shots(first, [1, 3])
    assert latents_to_decode([placed(keep, board)], 18) == range(14)
    assert latents_to_decode([placed(keep, board)], 18, LEAD) == range(12 - LEAD, 14)
    made = pipeline(board, seed=2, keep=keep, keep_every=1)
    assert np.array_equal(made.frames[0][45:53], pipeline.decode(made.latents)[0][45:53])
    assert np.array_equal(made.frames[0][:45], first.frames[0][:45])
    assert np.array_equal(made.frames[0][53:], first.frames[0][53:])


def test_the_embedded_vae_remembers_no_more_than_the_lead():
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan.from_pretrained(EMBEDDED / "vae").eval()
    clip = np.random.default_rng(0).integers(0, 256, (53, 2, 3, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    clip = clip[np.repeat([0, 20, 40, 9], [13, 16, 12, 12])]  # three cuts
    latents = encode_frames(vae, clip)[None]

    def decode(latents, output_type="np"):
        with torch.no_grad():
            shift, scale = (
                torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std)
            )
            video = vae.decode(latents * scale + shift).sample
        return list(((video + 1) * 127.5).round().byte().permute(0, 2, 3, 4, 1).numpy())

    board = Storyboard.from_captions("A.", ["a.", "b."], num_frames=53, shot_cut_frames=[41])
    kept = placed(keep_of_video(board, [1], frames=clip), board)
    short, whole = (decode_with_kept(decode, latents, [kept], "np", lead)[0] for lead in (LEAD, None))
    assert np.array_equal(short[:41], clip[:41])
    assert np.abs(short[41:].astype(int) - whole[41:]).max() <= 1


def test_without_pictures_all_is_decoded(pipeline, storyboard):
    latents = pipeline(storyboard).latents[0]
    places = placed(keep_of_video(storyboard, [1, 2], latents=latents), storyboard)
    assert latents_to_decode([places], 5) == range(5)


def test_a_plan_without_reuse_has_nothing_from_outside():
    assert AttentionPlan((), None, 0, "auto").exchange is None
