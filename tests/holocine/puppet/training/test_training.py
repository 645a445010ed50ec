"""The recipe end to end on a few steps: what it writes, and that it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine import load_pipeline
from holocine.attention import AttentionSettings
from holocine.prompt import clean, text_windows
from holocine.puppet.__main__ import main
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import FACTS, shot_facts
from holocine.puppet.judge import CLIP_FRAMES, Judge, clip_frames
from holocine.puppet.renderer import render, trace
from holocine.puppet.stage import EXPOSURES, exposure
from holocine.puppet.training import batches, data, fused, judge, latents, preparation, reader, text
from holocine.puppet.training.amounts import Recipe
from holocine.puppet.training.assemble import BOUNDARY, FEW_STEPS, STEPS, assemble
from holocine.puppet.training.batches import TEXT_LENGTH, LatentBank
from holocine.puppet.training.data import render_shard, shard_lengths, shard_scenes
from holocine.puppet.training.latents import GRID, puppet_map
from holocine.puppet.training.optimisers import Average, Muon
from holocine.puppet.training.preparation import (
    TEXT_ROWS,
    WORDINGS,
    describe,
    start_preparing,
)
from holocine.puppet.training.reader import Reader, reading_loss
from holocine.puppet.training.resident import ResidentBank
from holocine.puppet.training.text import TEXT_DIM, load_language, train_text_encoder
from holocine.puppet.training.transformer import (
    build_transformer,
    fit_reader,
    losses,
    sigmas_by_shot,
    train_transformer,
    velocity_weight,
)
from holocine.puppet.training.vae import (
    LATENT_CHANNELS,
    detail_weight,
    join_shots,
    opening_difference,
    reconstruction_loss,
)
from holocine.puppet.world import NUM_STRETCHES, sample_scene
from holocine.timeline import ShotLayout
from holocine.transformer import HoloCineTransformer3DModel
from tests.programs import server

SHARD = 1  # the first of what is made here: a further round begins with others than those before it
SCENES, STILLS_SCENES = 4, 16  # of a shard, in these tests
SMALL = (  # shards, and the batches of a step
    (data, "SHARD_SCENES", SCENES),
    (latents, "SHARD_SCENES", SCENES),
    (data, "STILLS_SCENES", STILLS_SCENES),
    (batches, "_SCENE_TOKENS", 900),
    (batches, "_STILLS", 8),
)

TRAIN = f"--first-shard {SHARD} --scene-shards 1 --still-shards 1 --vae 0.02 --decoder 0.02 --text 0.02 --judge 0.02"
TRAIN += " --transformer 0.02 --distillation 0.02"


@pytest.fixture(scope="module")
def small_shards() -> Iterator[None]:
    """Shards and batches of few scenes, also in processes that prepare them."""

    def process(target: Callable, args: tuple, daemon: bool) -> BaseProcess:
        return server.Process(target=with_small_shards, args=(target, *args), daemon=daemon)

    with pytest.MonkeyPatch.context() as patched:
        for module, name, count in SMALL:
            patched.setattr(module, name, count)
        processes = SimpleNamespace(get_context=lambda method: SimpleNamespace(Process=process))
        patched.setattr(preparation, "multiprocessing", processes)
        yield


def with_small_shards(work: Callable, *arguments: object) -> None:
    for module, name, count in SMALL:
        setattr(module, name, count)
    work(*arguments)


@pytest.fixture(scope="module")
def folder(small_shards: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole recipe by its one command: a shard of everything, each part trained for a second or a step."""
    folder = tmp_path_factory.mktemp("puppet")
    assert main(["train", "--folder", str(folder), "--device", "cpu", "--batch-scale", "1", *TRAIN.split()]) == 0
    return folder


def open_bank(folder: Path) -> LatentBank:
    """The latents and captions that the recipe made."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "text" / "tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(folder / "text" / "text_encoder")
    return LatentBank(folder / "latents", tokenizer, encoder, np.random.default_rng(0))


def test_rendered_shards_are_complete_and_are_not_rendered_twice(folder: Path) -> None:
    path = folder / "frames" / f"{SHARD:05d}.npy"
    before = path.stat().st_mtime_ns
    assert np.load(path, mmap_mode="r").shape == (SCENES, sum(shard_lengths(SHARD)), 64, 112, 3)
    render_shard(folder / "frames", SHARD)
    assert path.stat().st_mtime_ns == before
    assert not list((folder / "frames").glob("*.tmp"))


def test_latents_have_unit_variance_and_stills_are_first_frames(folder: Path) -> None:
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model")
    with np.load(folder / "latents" / f"stills-{SHARD:05d}.npz") as stills:
        assert stills["latents"].shape[1:] == (LATENT_CHANNELS, 1, 8, 14)
        assert list(stills["scene"]) == sorted(stills["scene"])
    assert len(vae.config.latents_std) == LATENT_CHANNELS
    assert min(vae.config.latents_std) > 0


def test_training_goes_on_where_it_stopped(folder: Path) -> None:
    before = torch.load(folder / "transformer" / "state.pt", weights_only=True)
    assert before["step"] >= 1
    train_transformer(folder / "transformer", open_bank(folder), minutes=10, most_steps=1)
    after = torch.load(folder / "transformer" / "state.pt", weights_only=True)
    assert after["step"] == before["step"] + 1
    assert after["spent"] > before["spent"]
    assert any(not torch.equal(before["model"][name], after["model"][name]) for name in before["model"])


def test_the_recipe_trains_the_decoder_alone_after_the_vae(folder: Path) -> None:
    vae, sharper = (AutoencoderKLWan.from_pretrained(folder / part / "model") for part in ("vae", "decoder"))
    changed = {n.split(".")[0] for n, p in vae.named_parameters() if not torch.equal(p, sharper.get_parameter(n))}
    assert "decoder" in changed
    assert changed <= {"decoder", "post_quant_conv"}
    assert (folder / "decoder" / "critic.pt").exists()


def test_a_tag_knows_its_place_in_the_shot_whichever_is_named_first(folder: Path) -> None:
    tokenizer, _ = load_language(folder / "text", "cpu")
    wordings = set()
    for seed in range(120):
        scene = text._random_scene(seed)
        prompt = clean(to_storyboard(scene).prompt)
        ids, labels = text._example(tokenizer, seed)
        for shot, (start, end) in zip(scene.shots, text_windows(prompt, tokenizer).shot_spans, strict=True):
            named = [i for i in range(start, end) if tokenizer.convert_ids_to_tokens(ids[i]).startswith("[character")]
            puppets = [int(tokenizer.convert_ids_to_tokens(ids[i])[-2]) - 1 for i in named]
            places = [text._PLACES[labels[i, -1]] for i in named]
            if len(shot.who) == 1:
                assert places == ["alone"]
            elif shot.who:
                assert {puppet: place for puppet, place in zip(puppets, places, strict=True)} == dict(
                    zip(shot.who, ("first", "second"), strict=True)
                )
                wordings.add((shot.framing, tuple(puppets) == shot.who))
    assert wordings == {("two-shot", True), ("over-the-shoulder", True), ("over-the-shoulder", False)}


def test_a_text_encoder_that_goes_on_stays_near_what_transformers_have_learnt_to_read(
    folder: Path, tmp_path: Path
) -> None:
    tokenizer, start = load_language(folder / "text", "cpu")
    ids, _ = text._batch(tokenizer, 0)
    before = text._read(start, ids).detach()
    went = {}
    for anchor in (0.0, 100.0):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(text, "_BATCH", 4)
            patched.setattr(text, "_ANCHOR", anchor)
            encoder = train_text_encoder(tokenizer, 60, tmp_path, start=deepcopy(start), most_steps=8)
        went[anchor] = text._distance(text._read(encoder, ids), before, ids).item()
    assert 0 < went[100.0] < went[0.0] / 2


def test_scenes_with_a_shot_over_a_shoulder_are_drawn_more_often(folder: Path) -> None:
    bank, scenes = open_bank(folder), [sample_scene(seed) for seed in range(60)]
    over = np.array([any(shot.framing == "over-the-shoulder" for shot in scene.shots) for scene in scenes])
    facts = reader.facts(scenes)
    weights = batches.drawing_weights(facts)
    drawn = np.concatenate([bank._drawn(weights, np.arange(60), 6) for _ in range(200)])
    assert 0.1 < over.mean() < 0.4
    assert over[drawn].mean() > 1.5 * over.mean()
    assert sorted(bank._drawn(weights, np.arange(3), 6)) == [0, 1, 2]
    np.testing.assert_array_equal(reader.over_shoulder(facts), over)


def test_a_puppet_counts_more_at_each_place_the_fewer_it_covers() -> None:
    who = torch.full((1, 3, 4, 7), -1, dtype=torch.int8)
    who[0, 1, :3, :4], who[0, 2, 1:3, 0], who[0, 2, 1:3, 4:6] = 0, 0, 2  # of 12 tokens, then of 2 beside one of 4
    weight = velocity_weight(who, torch.zeros(1, 3))[0, 0, :, ::2, ::2]
    background, beside = weight[1:][who[0, 1:] == -1].unique(), weight[who[0] == 2].unique()
    near, far = (weight[frame][who[0, frame] == 0].unique() for frame in (1, 2))
    assert [len(x) for x in (background, near, far, beside)] == [1, 1, 1, 1]
    assert background < near < beside < far
    assert 2 * far < 12 * near


def test_errors_count_more_where_the_picture_has_detail() -> None:
    video = torch.zeros(1, 3, 1, 20, 20)
    video[..., 12:, 12:] = 1.0
    weight = detail_weight(video)
    at_the_edge, in_the_sky = video.clone(), video.clone()
    at_the_edge[..., 12, 12] -= 0.5
    in_the_sky[..., 4, 4] -= 0.5
    plain = [float(reconstruction_loss(output, video)) for output in (at_the_edge, in_the_sky)]
    weighted = [float(reconstruction_loss(output, video, weight)) for output in (at_the_edge, in_the_sky)]
    assert plain[0] == pytest.approx(plain[1])
    assert weighted[0] > 2 * weighted[1]


def test_joined_clips_show_after_the_cut_the_same_in_pairs_and_another_clip_than_before() -> None:
    clips = torch.arange(8.0).view(8, 1, 1, 1, 1).expand(8, 3, 17, 4, 4)
    before, after = join_shots(clips, 5)[:, 0, [4, 5], 0, 0].unbind(1)
    assert before.tolist() == list(range(8))
    assert torch.equal(after[0::2], after[1::2])
    assert (before != after).all()


def test_openings_owe_nothing_to_the_shot_before_when_they_are_alike_after_different_shots() -> None:
    torch.manual_seed(0)
    alike = torch.randn(2, 3, 5, 6, 6).repeat_interleave(2, 0)
    assert opening_difference(alike, 5) == 0
    other = alike.clone()
    other[1::2, :, :2] = torch.randn(2, 3, 2, 6, 6)  # what lies before the cut at frame 5
    assert opening_difference(other, 5) == 0
    unrelated = torch.randn(4, 3, 5, 6, 6)
    assert opening_difference(unrelated, 5) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("kind", "by_shot", "dtype"),
    [
        ("stills", False, torch.float32),
        ("stills", True, torch.bfloat16),  # which a processor without it emulates, slowly
        ("scenes", False, torch.float32),
        ("scenes", True, torch.float32),
    ],
)
def test_fused_blocks_learn_the_same(
    folder: Path, fused_learns_the_same: Callable, kind: str, by_shot: bool, dtype: torch.dtype
) -> None:
    """Their sums, without the compiler: loss and gradient are those of diffusers' blocks but for rounding."""
    bank = open_bank(folder)
    batch = bank.single_frames(4) if kind == "stills" else bank.whole_scenes(900)
    fused_learns_the_same(lambda model, questions: losses(model, questions, batch, AttentionSettings(), by_shot), dtype)


@pytest.mark.parametrize("by_shot", [False, True], ids=["one level", "levels by shot"])
def test_masks_say_what_the_plan_of_each_layout_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_shot: bool
) -> None:
    """What a GPU trains with: one batch of several layouts, with texts that were prepared for it."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "text" / "tokenizer")
    scenes = [sample_scene(seed, lengths=lengths) for seed, lengths in enumerate([(17, 32), (33, 16), (17, 16, 16)])]
    notes = describe(scenes, tokenizer, seed=4)
    rng = np.random.default_rng((10, 4))
    prompts = [
        clean(to_storyboard(s, wording=int(rng.integers(2**31))).prompt) for s in scenes for _ in range(WORDINGS)
    ]
    windows = [text_windows(prompt, tokenizer) for prompt in prompts[::WORDINGS]]
    layouts = [ShotLayout.from_cuts(scene.num_frames, scene.cuts, *GRID) for scene in scenes]
    ids, sees = (torch.from_numpy(notes[name][:, 0]) for name in ("ids", "sees"))
    torch.manual_seed(0)
    text = torch.randn(len(scenes), TEXT_ROWS, TEXT_DIM) * (ids != 0)[..., None]
    latents = torch.randn(len(scenes), LATENT_CHANNELS, 13, 8, 14)
    timesteps = torch.tensor([900.0, 500.0, 100.0])[:, None].expand(-1, latents.shape[2])
    timestep = timesteps[:, 0]
    if by_shot:
        timesteps = torch.stack([torch.tensor([0.0, 900.0, 500.0])[layout.shot_ids] for layout in layouts])
        timestep = timesteps.repeat_interleave(GRID[0] * GRID[1], 1)
    model = build_transformer().eval()
    for block in model.blocks:  # an untrained model's attention hardly matters
        for attention in (block.attn1, block.attn2):
            attention.to_out[0].weight.data *= 4
    padded = torch.nn.functional.pad(text, (0, 0, 0, TEXT_LENGTH - TEXT_ROWS))
    attention = {"layouts": layouts, "windows": windows}
    with torch.no_grad():
        planned = model(latents, timestep, padded, attention_kwargs=attention, return_dict=False)[0]
        pieces = SimpleNamespace(**{piece.__name__: piece for piece in fused.PIECES})
        monkeypatch.setattr(fused, "compiled", lambda: pieces)
        monkeypatch.setattr(fused, "fast_bfloat16", lambda device: True)
        monkeypatch.setattr(fused, "working_dtype", lambda device: torch.bfloat16)
        monkeypatch.setattr("shutil.which", lambda program: program)
        assert fused.fuse(model)
        shots = torch.stack([torch.from_numpy(layout.shot_ids) for layout in layouts])

        def masked(shots: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
            masks = fused.Masks.of(shots, sees, GRID[0] * GRID[1], TEXT_LENGTH)
            return fused.run_masked(model, latents, timesteps, fused.Masks.padded(text), masks)

        def distance(found: torch.Tensor) -> float:
            return float((found - planned).norm() / planned.norm())

        assert distance(masked(shots, sees)) < 0.01  # bfloat16
        assert distance(masked(torch.zeros_like(shots), sees)) > 0.03
        assert distance(masked(shots, torch.full_like(sees, 255))) > 0.03


def test_every_shot_has_a_noise_level_of_its_own_or_none_and_one_shot_at_least_is_noisy() -> None:
    torch.manual_seed(0)
    shots = torch.tensor([[0, 0, 0, 1, 1, 2]] * 200 + [[0, 0, 1, 1, 1, 1]] * 200)
    sigmas = sigmas_by_shot(shots)
    assert torch.equal(sigmas[:200, [0, 3]], sigmas[:200, [2, 4]])
    assert torch.equal(sigmas[200:, [0, 2]], sigmas[200:, [1, 5]])
    assert (sigmas > 0).any(1).all()
    assert 0.2 < float((sigmas == 0).float().mean()) < 0.5
    both = (sigmas[:, 0] > 0) & (sigmas[:, -1] > 0)
    assert (sigmas[both, 0] != sigmas[both, -1]).all()
    assert sigmas.max() < 1


def test_kept_shots_are_seen_clean_and_nothing_is_asked_of_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = open_bank(folder).whole_scenes(900)
    kept = (batch.shots == 0)[:, None, :, None, None]
    seen: dict[str, torch.Tensor] = {}

    class Model(torch.nn.Module):
        """Right about noisy shots, far off about kept ones."""

        def __init__(self) -> None:
            super().__init__()
            self.blocks = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(4))

        def forward(self, noisy, timestep, text, attention_kwargs, return_dict):
            seen.update(noisy=noisy, timestep=timestep)
            self.blocks[3](torch.zeros(*timestep.shape, 8))
            noise = (noisy - 0.5 * batch.latents) / 0.5
            return (torch.where(kept, 1e3, noise - batch.latents),)

    monkeypatch.setattr(f"{losses.__module__}.sigmas_by_shot", lambda shots: 0.5 * (shots > 0))
    loss, frame_loss, _ = losses(Model(), Reader(8), batch, AttentionSettings(), by_shot=True)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(frame_loss) == pytest.approx(0, abs=1e-6)
    assert torch.equal(seen["noisy"][kept.expand_as(batch.latents)], batch.latents[kept.expand_as(batch.latents)])
    assert torch.equal(seen["timestep"][0].unique(), torch.tensor([0.0, 500.0]))


def test_a_gpu_trains_on_what_processors_have_prepared(folder: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "text" / "tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(folder / "text" / "text_encoder")
    for process in start_preparing(folder, folder / "text" / "tokenizer", [SHARD], [SHARD], workers=1):
        process.join()
        assert process.exitcode == 0
    bank = ResidentBank(folder, AutoencoderKLWan.from_pretrained(folder / "vae" / "model"), tokenizer, encoder, 1200)
    bank.refresh()
    scenes, stills = bank.next_batch(stills=False), bank.next_batch(stills=True)
    assert scenes.latents.shape[2] == (sum(shard_lengths(SHARD)) + 3) // 4
    assert scenes.shots.max() == len(shard_lengths(SHARD)) - 1
    assert list(stills.shots[0]) == list(range(stills.latents.shape[2]))
    for batch in (scenes, stills):
        assert batch.latents.shape[1] == LATENT_CHANNELS
        assert batch.who.shape == (len(batch.latents), batch.latents.shape[2], *GRID)
        assert 0.5 < float(batch.latents.std()) < 2
    if not fused.fast_bfloat16(torch.device("cpu")):
        pytest.skip("the blocks of a GPU compute in bfloat16, which this processor would emulate for minutes")
    train_transformer(folder / "resident", bank, minutes=10, most_steps=2)
    assert (folder / "resident" / "model" / "config.json").exists()


def test_a_trained_model_is_an_ordinary_pipeline_folder(folder: Path) -> None:
    pipeline = load_pipeline(folder / "weights")
    storyboard = to_storyboard(sample_scene(1, num_frames=33), seed=5)
    output = pipeline(storyboard, num_inference_steps=1)
    assert output.frames[0].shape == (33, 64, 112, 3)
    assert output.storyboards == [storyboard]


def test_a_distilled_transformer_is_the_low_noise_expert_and_runs_without_guidance(folder: Path) -> None:
    both = load_pipeline(folder / "weights")
    assert both.config.default_num_inference_steps == FEW_STEPS
    assert both.config.boundary_ratio == BOUNDARY
    assert both.config.default_guidance_scale > 1 == both.config.default_guidance_scale_2
    assert both.transformer_2 is not None
    assemble(folder / "text", folder / "vae" / "model", folder / "transformer" / "model", folder / "many")
    alone = load_pipeline(folder / "many")
    assert alone.transformer_2 is None and alone.config.default_num_inference_steps == STEPS


def test_stills_of_a_scene_come_with_the_caption_of_their_shot(folder: Path) -> None:
    batch = open_bank(folder).single_frames(6)
    shots = batch.latents.shape[2]
    assert batch.layout.shot_lengths == (1,) * shots
    assert batch.who.shape == (len(batch.latents), shots, *GRID)
    assert all(window is None or window.num_shots == shots for window in batch.windows)


def test_a_puppet_map_shows_the_puppets_where_they_are_drawn() -> None:
    scene = sample_scene(5)
    frames, truths = render(scene)
    assert trace(scene) == truths
    found = [puppet_map(truth) for truth in truths]
    for truth, who in zip(truths, found, strict=True):
        visible = {p.index for p in truth.puppets if p.box[2] - p.box[0] > 20 and p.box[3] - p.box[1] > 20}
        assert visible <= set(who.flatten().tolist()) <= {-1, *(p.index for p in truth.puppets)}
    assert any((who >= 0).any() and (who < 0).any() for who in found)


def test_the_reader_learns_what_hidden_tokens_know() -> None:
    """Tokens that carry the answers are read without an error, tokens that carry nothing are not."""
    torch.manual_seed(0)
    scenes = [sample_scene(seed, lengths=(17, 16)) for seed in range(4)]
    layout = ShotLayout.from_cuts(33, (17,), *GRID)
    who = torch.from_numpy(np.stack([[puppet_map(trace(s)[f]) for f in (0, *range(2, 33, 4))] for s in scenes]))
    knowing = torch.nn.functional.one_hot(torch.arange(4 * layout.num_tokens)).float().view(4, layout.num_tokens, -1)
    shots = torch.from_numpy(layout.shot_ids).expand(4, -1)
    looks, facts = (torch.from_numpy(found(scenes)) for found in (reader.looks, reader.facts))
    reached = []
    for hidden in (knowing, torch.zeros_like(knowing)):
        questions = Reader(hidden.shape[-1])
        optimiser = torch.optim.Adam(questions.parameters(), lr=0.05)
        for _ in range(40):
            loss = reading_loss(questions, hidden, who, shots, looks, facts, torch.ones_like(shots, dtype=torch.bool))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        reached.append(float(loss.detach()))
    assert reached[0] < 0.1 < 0.5 < reached[1]


def test_a_new_reader_learns_to_read_a_trained_transformer_which_stays_as_it_is(folder: Path) -> None:
    torch.manual_seed(0)
    config = HoloCineTransformer3DModel.load_config(folder / "transformer" / "model")
    model = HoloCineTransformer3DModel.from_config(config | {"num_attention_heads": 1, "ffn_dim": 64, "num_layers": 4})
    before, questions, settings = deepcopy(model.state_dict()), Reader(64), AttentionSettings()
    batch = open_bank(folder).next_batch(stills=False)

    def reading() -> float:
        torch.manual_seed(1)
        with torch.no_grad():
            return float(losses(model, questions, batch, settings)[2])

    at_first = reading()
    fit_reader(questions, model, open_bank(folder), settings, minutes=0.1)
    assert reading() < 0.8 * at_first
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_reader_is_asked_how_a_shot_and_its_neighbours_face_the_light() -> None:
    scene = sample_scene(3, lengths=(17, 16, 16, 16))
    here, before, after = reader.facts([scene])[0, :4, -3:].T
    assert [exposure(scene, shot.stretch) for shot in scene.shots] == [EXPOSURES[i] for i in here]
    assert before.tolist() == [NUM_STRETCHES, *here[:-1]]
    assert after.tolist() == [*here[1:], NUM_STRETCHES]


def test_the_judge_looks_at_a_shot_from_its_first_frame_to_its_last() -> None:
    scene = sample_scene(2)
    frames = clip_frames(scene.cuts[0], scene.shots[1].num_frames)
    assert len(frames) == CLIP_FRAMES
    assert frames[0] == scene.cuts[0]
    assert frames[-1] == scene.cuts[0] + scene.shots[1].num_frames - 1
    answers = Judge()(torch.from_numpy(render(scene)[0][frames]).float()[None] / 255)
    assert [len(choices) for choices in FACTS.values()] == [x.shape[1] for x in answers.values()]
    assert all(0 <= a < len(c) for a, c in zip(shot_facts(scene, 1), FACTS.values(), strict=True))


def test_the_judge_learns_to_read_what_a_vae_makes_of_scenes(folder: Path) -> None:
    vae = AutoencoderKLWan.from_pretrained(folder / "vae" / "model")
    for parameter in (vae.decoder.conv_out.weight, vae.decoder.conv_out.bias):
        torch.nn.init.zeros_(parameter)  # grey pictures, to be known among the others
    for frames in (folder / "frames", folder / "nothing"):
        for maker, grey in ((None, 0), (vae, 4)):
            clips, answers = judge._Shots(frames, np.random.default_rng(0), maker).batch(12)
            assert len(clips) == len(answers) == 12
            assert int((clips.flatten(1).std(1) < 0.08).sum()) == grey


def test_muon_solves_a_matrix_that_plain_steps_find_hard() -> None:
    torch.manual_seed(0)
    target = torch.randn(8, 8) @ torch.diag(10.0 ** -torch.arange(8)) @ torch.randn(8, 8)
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    optimiser = Muon([weight], lr=0.3, weight_decay=0.0)
    for step in range(400):
        optimiser.zero_grad()
        (weight - target).square().sum().backward()
        for group in optimiser.param_groups:
            group["lr"] = 0.3 * (1 - step / 400)
        optimiser.step()
    assert float((weight.detach() - target).norm() / target.norm()) < 0.05


def test_the_average_follows_the_weights_slowly() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average = Average(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for _ in range(200):
        average.update(model)
    other = torch.nn.Linear(1, 1, bias=False)
    average.copy_to(other)
    assert 0.99 < float(other.weight.detach()) <= 1.0


def test_a_further_round_is_given_shards_of_its_own() -> None:
    further = Recipe(scene_shards=2, still_shards=1, first_shard=300)
    assert (list(further.scenes), list(further.stills)) == ([300, 301], [300])
    assert not {scene.seed for scene in shard_scenes(300)} & {scene.seed for scene in shard_scenes(299)}
    with pytest.raises(ValueError, match="the first shard is -1"):
        Recipe(first_shard=-1)
