"""Numbers that other multi-shot models' own code produced from tiny random weights, reproduced to 1e-4 relative L2.

Runs every `FAMILY/*.safetensors` below the folder named by the environment variable HOLOCINE_GOLDEN; of a family that
it has no numbers of, and without it, those below tests/golden. What a rule is worth is in the files, too: a rule that
is dropped moves the output by as much as it moved the reference's.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from holocine import HoloCineTransformer3DModel, Storyboard
from holocine.families import NAMES, find_family
from holocine.families.cinetrans.scheduler import CineTransScheduler
from holocine.families.conversion import merged
from holocine.families.echoshot.prompt import decoded_frames, parse, split
from holocine.families.echoshot.scheduler import EchoShotScheduler
from holocine.families.longlive.prompt import caption_of_each_block
from holocine.families.longlive.sampling import Window, denoise_blocks
from holocine.families.longlive.scheduler import LongLiveScheduler
from holocine.families.pipeline import FamilyPipeline
from holocine.families.planning import Frames, planner
from holocine.families.shotstream.context import context_frames, flags
from holocine.families.shotstream.sampling import NUM_FRAMES, denoise_shot, frames_of, sigmas
from holocine.families.storymem import sampling as storymem_sampling
from holocine.families.storymem.conversion import scaled_lora
from holocine.families.storymem.memory import compared_size, keyframes, remembered, unlike
from holocine.families.storymem.prompt import CARRIED
from holocine.families.storymem.sampling import OPENING_BOUNDARY, OPENING_SHIFT, condition, denoise_part
from holocine.families.storymem.scheduler import StoryMemScheduler
from holocine.families.text import join
from holocine.released import TensorFile
from holocine.scheduler import HoloCineScheduler
from tests.holocine.conftest import NAMED, OURS, golden_files, golden_path, golden_transformer

FILES = {name: golden_files(name) for name in NAMES}
TOLERANCE = 1e-4
# Of what the reference moved by when a rule was dropped; the files round it to five places.
SENSITIVITY_TOLERANCE = 0.02


@dataclass(frozen=True)
class Golden:
    """One file: its tensors, and its metadata read from JSON where it is JSON."""

    path: Path
    tensors: dict[str, torch.Tensor]
    facts: dict

    @classmethod
    @lru_cache(maxsize=6)
    def load(cls, path: Path) -> "Golden":
        def read(value):
            try:
                return json.loads(value)
            except ValueError:
                return value

        with safe_open(path, "pt") as file:
            facts = {name: read(value) for name, value in file.metadata().items()}
        return cls(path, load_file(path), facts)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {k.removeprefix("model."): v for k, v in self.tensors.items() if k.startswith("model.")}

    def transformer(self, weights: dict[str, torch.Tensor] | None = None) -> HoloCineTransformer3DModel:
        return golden_transformer(self.facts["config"], weights or self.weights)

    @property
    def captions(self) -> list[torch.Tensor]:
        """The text of every shot."""
        shots = self.facts.get("num_shots") or len(self.facts["shot_lengths"])
        return [self[f"context.{shot}"] for shot in range(shots)]

    @property
    def frames(self) -> Frames:
        height, width = self["latents"].shape[-2:]
        _, down, across = self.facts["config"]["patch_size"]
        return Frames.of(self.facts["shot_lengths"], height // down, width // across)


def passes(golden: Golden, prefix: str) -> list[tuple[str, float]]:
    """The names of single forward passes that begin with `prefix`, and their timesteps."""
    names = [name for name in golden.tensors if name.startswith(f"{prefix}.t")]
    assert names, prefix
    return [(name, float(name.removeprefix(f"{prefix}.t"))) for name in names]


def cases(family: str, name: str) -> list[dict]:
    """What a JSON file beside the golden numbers lists, nothing if there is none."""
    path = golden_path(f"{family}/{name}")
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return content["shots"] if isinstance(content, dict) else content


def known(golden: Golden, dropped: dict) -> list[str]:
    """The rules that a file says the worth of and that are dropped here."""
    names = [name for name in dropped if name in golden.facts["sensitivity"]]
    assert names
    return names


def goldens(family: str):
    return pytest.mark.parametrize("golden", [Golden.load(p) for p in FILES[family]], ids=lambda g: g.path.stem)


def relative_error(output: torch.Tensor, expected: torch.Tensor) -> float:
    return float((output - expected).norm() / expected.norm())


def forward(model, latents, timestep, rules, frames, text, common=None, branch="cond"):
    """One forward pass without the batch dimension."""
    plan = planner(rules, frames, {branch: text}, model.config.attention_head_dim, common)
    with torch.no_grad(), model.cache_context(branch):
        return model(
            latents[None], torch.tensor([float(timestep)]), text.rows, attention_kwargs={"planner": plan}
        ).sample[0]


def assert_moved_as_much_as_the_reference(golden, name, output, expected):
    assert relative_error(output, expected) == pytest.approx(
        golden.facts["sensitivity"][name], rel=SENSITIVITY_TOLERANCE
    )


def storyboard_of(num_shots: int, fps: float = 16.0) -> Storyboard:
    captions = [f"shot {i}" for i in range(num_shots)]
    return Storyboard.from_captions("scene", captions, num_frames=16 * num_shots, fps=fps)


@pytest.fixture
def make_family_pipeline(tokenizer, text_encoder, vae):
    """A pipeline of a family around golden weights, at the size of the golden latents."""

    def make(family: str, golden: Golden, scheduler, height: int, width: int) -> FamilyPipeline:
        pipeline = FamilyPipeline(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            scheduler=scheduler,
            transformer=golden.transformer(),
            family=family,
            default_height=8 * height,
            default_width=8 * width,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return make


@pytest.fixture
def with_latent_lengths(monkeypatch):
    """Make a family's translation return the shot lengths of golden latents, which its published lengths forbid."""

    def set_lengths(family: str, lengths, captions: int):
        known = find_family(family)

        def translate(storyboard):
            made = known.translate(storyboard)
            return replace(
                made,
                latent_lengths=tuple(lengths),
                captions=("",) * captions,
                common=None if made.common is None else captions - 1,
            )

        monkeypatch.setattr("holocine.families.pipeline.find_family", lambda name: replace(known, translate=translate))

    return set_lengths


def test_every_family_has_golden_files_and_no_folder_of_them_is_left_out():
    assert all(FILES.values()), f"no golden files of {[name for name, files in FILES.items() if not files]}"
    there = set(NAMED.glob("*/*.safetensors"))
    assert there <= {path for files in FILES.values() for path in files}, f"{NAMED} holds more than {NAMES}"


def test_a_folder_of_some_families_stands_for_these_and_ours_for_the_others(tmp_path):
    (tmp_path / "echoshot").mkdir()
    (tmp_path / "echoshot" / "five_shots.safetensors").touch()
    assert golden_files("echoshot", tmp_path) == [tmp_path / "echoshot" / "five_shots.safetensors"]
    assert golden_files("longlive", tmp_path) == sorted((OURS / "longlive").glob("*.safetensors"))
    assert golden_path("echoshot/shot_lengths.json", tmp_path) == OURS / "echoshot" / "shot_lengths.json"


# EchoShot


ECHOSHOT = find_family("echoshot")


def echoshot_text(golden, rules=ECHOSHOT.rules, negative=False):
    captions = [golden["negative_context"]] * len(golden.captions) if negative else golden.captions
    return join(captions, rules.text_length, rules.padded, torch.float32)


@goldens("echoshot")
def test_echoshot_every_forward_pass_agrees(golden):
    model = golden.transformer()
    for sign in ("positive", "negative"):
        text = echoshot_text(golden, negative=sign == "negative")
        for name, timestep in passes(golden, f"out.{sign}"):
            output = forward(model, golden["latents"], timestep, ECHOSHOT.rules, golden.frames, text)
            assert relative_error(output, golden[name]) <= TOLERANCE, name


@goldens("echoshot")
def test_echoshot_the_pipeline_samples_the_golden_latents(golden, make_family_pipeline, with_latent_lengths):
    lengths = golden.facts["shot_lengths"]
    with_latent_lengths("echoshot", lengths, len(lengths))
    pipeline = make_family_pipeline("echoshot", golden, EchoShotScheduler(), *golden["latents"].shape[-2:])
    output = pipeline(
        storyboard_of(len(lengths)),
        num_inference_steps=golden.facts["num_inference_steps"],
        latents=golden["latents"][None],
        caption_embeds=golden.captions,
        negative_embeds=golden["negative_context"],
        output_type="latent",
    )
    assert relative_error(output.frames[0], golden["out.sampled.dpmpp"]) <= TOLERANCE
    assert torch.equal(pipeline.scheduler.timesteps, golden["timesteps"])
    torch.testing.assert_close(pipeline.scheduler.sigmas, golden["sigmas"], rtol=0, atol=1e-7)


def _echoshot_dropped(golden):
    last = len(golden.captions) - 1
    return {
        "no temporal phase shift (self-attention)": {"frames_per_shot": 0},
        "temporal shift 3 instead of 4": {"frames_per_shot": 3},
        "no cross-attention phase at all": {"text_phase": None},
        "no shot phase in cross-attention (padding phase kept)": {"text_phase": 0},
        "cross shift 3 instead of 4": {"text_phase": 3},
        "padding at phase 0": {"padding_phase": -last},
        "padding at phase 4*last+10": {"padding_phase": 3 * last + 10},
        "padding masked": {"text_length": sum(golden.facts["text_lengths"])},
        "padded to 512 instead of 2048": {"text_length": 512},
    }


@goldens("echoshot")
def test_echoshot_a_rule_that_is_dropped_breaks_the_numbers(golden):
    model, timestep = golden.transformer(), golden.facts["timesteps"][0]
    dropped = _echoshot_dropped(golden)
    for name in known(golden, dropped):
        rules = replace(ECHOSHOT.rules, **dropped[name])
        text = echoshot_text(golden, rules)
        output = forward(model, golden["latents"], timestep, rules, golden.frames, text)
        assert_moved_as_much_as_the_reference(golden, name, output, golden[f"out.positive.t{timestep}"])


@pytest.mark.parametrize("case", cases("echoshot", "shot_lengths.json"), ids=lambda case: case["prompt"][:12])
def test_echoshot_prompts_and_lengths_are_divided_as_the_reference_does(case):
    ratios = [float(ratio) for ratio in case["shot_len"].split(",")] if case["shot_len"] else None
    if case.get("error"):
        with pytest.raises(ValueError, match="shot"):
            split(case["latent_frames"], len(parse(case["prompt"])), ratios)
        return
    captions = parse(case["prompt"])
    lengths = split(case["latent_frames"], len(captions), ratios)
    assert list(captions) == case["captions"]
    assert list(lengths) == case["shot_lengths"]
    assert [decoded_frames(length) for length in lengths] == case["decoded_frames"]


# CineTrans


CINETRANS = find_family("cinetrans")


def cinetrans_captions(golden, negative=False):
    captions = [*golden.captions, golden["context.general"]]
    return [golden["negative_context"]] * len(captions) if negative else captions


def cinetrans_forward(golden, model, timestep, rules=CINETRANS.rules, captions=None, branch="cond", **options):
    captions = captions or cinetrans_captions(golden, negative=branch == "uncond")
    text = options.pop("text", None) or join(captions, rules.text_length, rules.padded, torch.float32)
    common = options.get("common", len(golden.facts["shot_lengths"]))
    return forward(model, golden["latents"], timestep, rules, golden.frames, text, common, branch)


@goldens("cinetrans")
def test_cinetrans_every_forward_pass_agrees(golden):
    model = golden.transformer()
    for sign, branch in (("positive", "cond"), ("negative", "uncond")):
        for name, timestep in passes(golden, f"out.{sign}"):
            output = cinetrans_forward(golden, model, timestep, branch=branch)
            assert relative_error(output, golden[name]) <= TOLERANCE, name


@goldens("cinetrans")
def test_cinetrans_without_a_general_caption_agrees(golden):
    [(name, timestep)] = passes(golden, "out.no_general")
    output = cinetrans_forward(golden, golden.transformer(), timestep, captions=golden.captions, common=None)
    assert relative_error(output, golden[name]) <= TOLERANCE


@goldens("cinetrans")
def test_cinetrans_the_pipeline_samples_the_golden_latents(golden, make_family_pipeline, with_latent_lengths):
    lengths = golden.facts["shot_lengths"]
    with_latent_lengths("cinetrans", lengths, len(lengths) + 1)
    pipeline = make_family_pipeline("cinetrans", golden, CineTransScheduler(), *golden["latents"].shape[-2:])
    output = pipeline(
        storyboard_of(len(lengths)),
        num_inference_steps=golden.facts["num_inference_steps"],
        latents=golden["latents"][None],
        caption_embeds=cinetrans_captions(golden),
        negative_embeds=golden["negative_context"],
        output_type="latent",
    )
    assert relative_error(output.frames[0], golden["out.sampled.unipc"]) <= TOLERANCE
    assert torch.equal(pipeline.scheduler.timesteps, golden["timesteps"])
    torch.testing.assert_close(pipeline.scheduler.sigmas, golden["sigmas"], rtol=0, atol=1e-7)


def _cinetrans_dropped(golden, model):
    rules, shots = CINETRANS.rules, len(golden.facts["shot_lengths"])
    padded = join(cinetrans_captions(golden), rules.text_length, rules.padded, torch.float32)
    own = [row for row, padding in enumerate(padded.padding) if not padding]
    bare = replace(
        padded,
        rows=padded.rows[:, own],
        captions=tuple(padded.captions[row] for row in own),
        padding=(0,) * len(own),
    )

    def run(timestep=golden.facts["timesteps"][0], **options):
        changes = {key: options.pop(key) for key in list(options) if key in rules.__dataclass_fields__}
        return cinetrans_forward(golden, model, timestep, replace(rules, **changes), **options)

    captions = cinetrans_captions(golden)
    return {
        "no masks at all": lambda: run(sees="all", reads="all"),
        "no self-attention mask": lambda: run(sees="all"),
        "no text mask": lambda: run(reads="all"),
        "first latent frame not shared": lambda: run(sees="own"),
        "general prompt hidden in masked layers": lambda: run(common=None),
        "general prompt first instead of last (encoded order)": lambda: run(
            captions=[captions[-1], *captions[:-1]], common=shots
        ),
        "negative pass with no masks (change of the negative output)": lambda: run(
            masks_negative=False, branch="uncond"
        ),
        "mask in all 30 layers": lambda: run(masked_layers=None),
        "mask from layer 7": lambda: run(masked_layers=(7, 27)),
        "mask from layer 5": lambda: run(masked_layers=(5, 27)),
        "mask to layer 26": lambda: run(masked_layers=(6, 26)),
        "mask to layer 28": lambda: run(masked_layers=(6, 28)),
        "text padding hidden": lambda: run(text=bare),
    }


@goldens("cinetrans")
def test_cinetrans_a_rule_that_is_dropped_breaks_the_numbers(golden):
    dropped = _cinetrans_dropped(golden, golden.transformer())
    for name in known(golden, dropped):
        sign = "negative" if "negative" in name else "positive"
        expected = golden[f"out.{sign}.t{golden.facts['timesteps'][0]}"]
        assert_moved_as_much_as_the_reference(golden, name, dropped[name](), expected)


# ShotStream


SHOTSTREAM = find_family("shotstream")


def shot_of(golden, shot, model, rules=SHOTSTREAM.rules, context=..., **options):
    """The latents of a golden shot, without the batch dimension."""
    frames = options.pop("frames", None) or frames_of(shot, *(n // 2 for n in golden["shot0.noise"].shape[-2:]))
    return denoise_shot(
        model,
        rules,
        frames,
        golden.captions[: shot + 1],
        golden[f"shot{shot}.condition_latents"][None] if context is ... else context,
        golden[f"shot{shot}.noise"][None],
        lambda block, step: golden[f"shot{shot}.renoise"][block, step][None],
        golden.facts["shift"],
        **options,
    )[0]


@goldens("shotstream")
def test_shotstream_every_shot_agrees(golden):
    model = golden.transformer()
    for shot in range(golden.facts["num_shots"]):
        assert relative_error(shot_of(golden, shot, model), golden[f"out.shot{shot}.latents"]) <= TOLERANCE


@goldens("shotstream")
def test_shotstream_every_golden_step_agrees(golden):
    model = golden.transformer()
    for shot in range(golden.facts["num_shots"]):
        seen = []
        hook = model.register_forward_hook(
            lambda module, given, made, seen=seen: seen.append((given[0][0], made[0][0])),
        )
        shot_of(golden, shot, model)
        hook.remove()
        seen.pop(0)  # the context; then four steps and the clean pass of each block
        inputs = [name for name in golden.tensors if re.fullmatch(rf"shot{shot}\.block\d+\.step\d+\.input", name)]
        assert inputs
        for name in inputs:
            block, step = map(int, re.findall(r"\d+", name)[1:])
            given, velocity = seen[5 * block + step]
            assert relative_error(given, golden[name]) <= TOLERANCE, name
            assert relative_error(velocity, golden[f"out.{name.removesuffix('input')}flow"]) <= TOLERANCE, name


@goldens("shotstream")
def test_shotstream_steps_flags_and_context_frames_are_the_reference_s(golden):
    levels = sigmas(golden.facts["shift"])
    np.testing.assert_allclose(levels, golden["sigmas"].numpy(), atol=1e-7)
    np.testing.assert_allclose(1000 * levels[:-1], golden["timesteps"].numpy(), atol=1e-4)
    for shot in range(golden.facts["num_shots"]):
        assert list(frames_of(shot, 2, 3).shots) == golden[f"shot{shot}.flags"].tolist()
        chosen = [81 * one + frame for one, frame in context_frames(shot)] or [-1] * 6
        assert chosen == golden[f"shot{shot}.condition_frames"].tolist()


@pytest.mark.parametrize("case", cases("shotstream", "context_frames.json"), ids=lambda case: str(case["shot"]))
def test_shotstream_context_of_nine_shots_is_the_reference_s(case):
    assert [81 * shot + frame for shot, frame in context_frames(case["shot"])] == (case["condition_frames"] or [])
    assert flags(case["shot"]) == (tuple(case["condition_flags"]), case["new_frame_flag"])


def teacher_forward(golden, model, timestep, latents, negative=False, rules=SHOTSTREAM.rules, captions=None):
    """The bidirectional model over context and new frames of the last shot."""
    shot = golden.facts["num_shots"] - 1
    frames = frames_of(shot, *(n // 2 for n in latents.shape[-2:]))
    if captions is not None:
        frames = replace(frames, captions=captions)
    texts = [golden["negative_context"]] * (shot + 1) if negative else golden.captions
    return forward(model, latents, timestep, rules, frames, join(texts, 512, "each", torch.float32))


@goldens("shotstream")
def test_shotstream_its_teacher_agrees_and_samples_the_golden_latents(golden):
    model, shot = golden.transformer(), golden.facts["num_shots"] - 1
    context, noise = golden[f"shot{shot}.condition_latents"], golden[f"shot{shot}.noise"]
    for sign in ("positive", "negative"):
        for name, timestep in passes(golden, f"out.teacher.{sign}"):
            latents = torch.cat([context, noise], dim=1)
            output = teacher_forward(golden, model, timestep, latents, negative=sign == "negative")
            assert relative_error(output, golden[name]) <= TOLERANCE, name
    scheduler = HoloCineScheduler(shift=golden.facts["shift"])
    scheduler.set_timesteps(4)
    torch.testing.assert_close(scheduler.timesteps, golden["teacher.timesteps"], rtol=0, atol=1e-3)
    latents = noise[None]
    for timestep in scheduler.timesteps:
        both = torch.cat([context, latents[0]], dim=1)
        positive, negative = (teacher_forward(golden, model, timestep, both, negative=n) for n in (False, True))
        velocity = (negative + golden.facts["teacher_guidance"] * (positive - negative))[None, :, -NUM_FRAMES:]
        latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
    assert relative_error(latents[0], golden["out.teacher.sampled"]) <= TOLERANCE


def _shotstream_dropped(golden, model):
    """Name -> the output without a rule, and the one with it."""
    rules, last = SHOTSTREAM.rules, golden.facts["num_shots"] - 1
    frames, first = (frames_of(n, *(n // 2 for n in golden["shot0.noise"].shape[-2:])) for n in (last, 0))
    from_zero = (*frames.positions[:6], *range(NUM_FRAMES))
    flagged_0 = replace(first, shots=(0,) * 27)
    one_caption = (last,) * 27
    latents = torch.cat([golden[f"shot{last}.condition_latents"], golden[f"shot{last}.noise"]], dim=1)
    timestep = golden.facts["teacher_timesteps"][0]

    def run(shot=last, **options):
        changes = {key: options.pop(key) for key in list(options) if key in rules.__dataclass_fields__}
        return shot_of(golden, shot, model, replace(rules, **changes), **options), golden[f"out.shot{shot}.latents"]

    def teach(**changes):
        captions = changes.pop("captions", None)
        output = teacher_forward(golden, model, timestep, latents, rules=replace(rules, **changes), captions=captions)
        return output, golden[f"out.teacher.positive.t{timestep}"]

    return {
        "no shot phase (last shot)": lambda: run(radians_per_shot=0.0),
        "shot phase 1/5 rad instead of 1/6 (last shot)": lambda: run(radians_per_shot=0.2),
        "phase as an offset of flag/6 frames instead of flag/6 radians on every temporal channel": lambda: run(
            radians_per_shot=0.0, frames_per_shot=1 / 6
        ),
        "new frames start at position 0 instead of 6": lambda: run(frames=replace(frames, positions=from_zero)),
        "no context keys (last shot)": lambda: run(context=None),
        "zero context of the FIRST shot dropped (shot 0)": lambda: run(shot=0, context=None),
        "first shot flagged 0 instead of 1 (shot 0)": lambda: run(shot=0, frames=flagged_0),
        "all frames read the new shot's caption": lambda: run(frames=replace(frames, captions=one_caption)),
        "no clean pass at t=0 (noisy last step kept in the cache)": lambda: run(clean_pass=False),
        "teacher: no shot phase": lambda: teach(radians_per_shot=0.0),
        "teacher: one caption for all frames": lambda: teach(captions=one_caption),
    }


@goldens("shotstream")
def test_shotstream_a_rule_that_is_dropped_breaks_the_numbers(golden):
    dropped = _shotstream_dropped(golden, golden.transformer())
    # That context frames see one another is no rule here but how the pass over them is made.
    for name in known(golden, dropped):
        assert_moved_as_much_as_the_reference(golden, name, *dropped[name]())


# LongLive


LONGLIVE = find_family("longlive")


def longlive_captions(golden):
    return [golden[f"context.{n}"] for n in range(max(golden.facts["caption_of_block"]) + 1)]


def longlive_frames(golden) -> Frames:
    blocks, (height, width) = golden.facts["blocks_per_shot"], golden["noise"].shape[-2:]
    frames = Frames.of([8 * n for n in blocks], height // 2, width // 2)
    return replace(frames, captions=tuple(n for n in golden.facts["caption_of_block"] for _ in range(8)))


def longlive_latents(golden, model, rules=LONGLIVE.rules, captions=None, **options):
    scheduler, steps = LongLiveScheduler(), golden.facts["num_inference_steps"]
    captions = captions or longlive_captions(golden)
    noise, frames = golden["noise"][None], longlive_frames(golden)
    return denoise_blocks(model, rules, frames, captions, noise, scheduler, steps, **options)[0]


@goldens("longlive")
def test_longlive_the_sampled_latents_and_every_golden_step_agree(golden):
    model, seen = golden.transformer(), []
    hook = model.register_forward_hook(lambda module, given, made: seen.append((given[0][0], made[0][0])))
    assert relative_error(longlive_latents(golden, model), golden["out.latents"]) <= TOLERANCE
    hook.remove()
    inputs = [name for name in golden.tensors if re.fullmatch(r"block\d+\.step\d+\.input", name)]
    assert len(inputs) == 6
    for name in inputs:
        block, step = map(int, re.findall(r"\d+", name))
        given, velocity = seen[5 * block + step]  # four steps and the clean pass of each block
        assert relative_error(given, golden[name]) <= TOLERANCE, name
        assert relative_error(velocity, golden[f"out.{name.removesuffix('input')}flow"]) <= TOLERANCE, name


@goldens("longlive")
def test_longlive_the_pipeline_samples_the_golden_latents(golden, make_family_pipeline, with_latent_lengths):
    lengths = [8 * n for n in golden.facts["blocks_per_shot"]]
    assert caption_of_each_block(lengths) == _in_our_order(golden)
    order = dict(zip(_in_our_order(golden), golden.facts["caption_of_block"], strict=True))
    captions = [longlive_captions(golden)[order[n]] for n in range(len(order))]
    with_latent_lengths("longlive", lengths, len(captions))
    pipeline = make_family_pipeline("longlive", golden, LongLiveScheduler(), *golden["noise"].shape[-2:])
    output = pipeline(
        storyboard_of(len(lengths)),
        latents=golden["noise"][None],
        caption_embeds=captions,
        output_type="latent",
    )
    assert relative_error(output.frames[0], golden["out.latents"]) <= TOLERANCE
    assert torch.equal(pipeline.scheduler.timesteps, golden["timesteps"])
    torch.testing.assert_close(pipeline.scheduler.sigmas, golden["sigmas"], rtol=0, atol=1e-7)


def _in_our_order(golden) -> tuple[int, ...]:
    """The caption of each block, counted as the family does: one a shot, then those with the transition."""
    blocks = golden.facts["blocks_per_shot"]
    opens = [sum(blocks[:shot]) for shot in range(len(blocks))]
    shots = [shot for shot, n in enumerate(blocks) for _ in range(n)]
    return tuple(len(blocks) + shot - 1 if shot and n == opens[shot] else shot for n, shot in enumerate(shots))


def _longlive_dropped(golden, model):
    blocks = sum(golden.facts["blocks_per_shot"])
    captions, read = longlive_captions(golden), golden.facts["caption_of_block"]
    plain = dict(zip(read, _in_our_order(golden), strict=True))
    shots = len(golden.facts["blocks_per_shot"])
    of_shot = {shot: caption for caption, shot in plain.items() if shot < shots}
    untold = [captions[of_shot.get(plain[n] - shots + 1, n)] if plain[n] >= shots else captions[n] for n in plain]

    def run(**options):
        changes = {key: options.pop(key) for key in list(options) if key in LONGLIVE.rules.__dataclass_fields__}
        return longlive_latents(golden, model, replace(LONGLIVE.rules, **changes), **options)

    return {
        "no rotary offset of shots": lambda: run(frames_per_shot=0),
        "offset 4 instead of 8": lambda: run(frames_per_shot=4),
        "the first block of a shot is not kept": lambda: run(window=Window(keeps_openings=False)),
        "no sink at all": lambda: run(window=Window(sink=0, keeps_openings=False)),
        "window of 24 latent frames instead of 32": lambda: run(window=Window(blocks=3)),
        "nothing is let go of": lambda: run(window=Window(blocks=blocks)),
        "no clean pass at t=0 (noisy last step kept in the cache)": lambda: run(clean_pass=False),
        "the block that opens a shot reads its caption without the transition": lambda: run(captions=untold),
        "every block reads the first caption": lambda: run(captions=captions[:1] * len(captions)),
    }


def test_longlive_a_rule_that_is_dropped_breaks_the_numbers():
    golden = Golden.load(FILES["longlive"][-1])  # one of them: it samples nine videos
    dropped = _longlive_dropped(golden, golden.transformer())
    assert set(golden.facts["sensitivity"]) == set(dropped)
    for name in known(golden, dropped):
        assert golden.facts["sensitivity"][name] > 100 * TOLERANCE
        assert_moved_as_much_as_the_reference(golden, name, dropped[name](), golden["out.latents"])


def test_longlive_a_block_sees_the_first_the_one_that_opens_its_shot_and_the_latest():
    seen = [Window().seen(block, {2, 6}) for block in range(10)]
    assert seen[:4] == [(), (0,), (0, 1), (0, 1, 2)]
    assert seen[4:7] == [(0, 2, 3), (0, 2, 4), (0, 2, 5)]
    assert seen[7:] == [(0, 5, 6), (0, 6, 7), (0, 6, 8)], "an opening that is past is let go of"


# StoryMem


STORYMEM = find_family("storymem")


def storymem_file(golden, prefix):
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): t for name, t in golden.tensors.items() if name.startswith(prefix)}


def tensor_file(tensors):
    return TensorFile(
        Path("golden"),
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        {name: tensor.dtype for name, tensor in tensors.items()},
        tensors.__getitem__,
    )


def storymem_experts(golden, lora="scaled"):
    """Both experts; lora: "scaled" as it is trained, "plain" of scale 1, None for the base alone."""
    experts = []
    for expert in ("high", "low"):
        weights = storymem_file(golden, f"{expert}.")
        if lora is not None:
            file = scaled_lora(tensor_file(storymem_file(golden, f"lora.{expert}.")))
            whole = merged(tensor_file(weights), file if lora == "scaled" else _unscaled(file, golden))
            weights = {name: whole.read(name) for name in weights}
        experts.append(golden_transformer(golden.facts["config"], weights))
    return experts


def _unscaled(lora, golden):
    scale = golden.facts["lora_rank"] ** 0.5
    return replace(lora, read=lambda name: lora.read(name) / (scale if name.endswith(".lora_up.weight") else 1))


def storymem_openings(golden):
    weights = [storymem_file(golden, f"opening.{expert}.") for expert in ("high", "low")]
    return [golden_transformer(golden.facts["opening_config"], one) for one in weights]


def storymem_known(golden, shot, memory=None):
    memory = golden[f"shot{shot}.memory"] if memory is None else memory
    carried = 0 if golden.facts["cuts"][shot] else CARRIED
    return condition(memory[None], golden[f"shot{shot}.opening"][None], carried)


def storymem_part(golden, shot, experts, *, shift=4.0, known=None, noise=None, guidance=3.5):
    opens = shot == 0
    return denoise_part(
        experts,
        STORYMEM.rules,
        golden[f"context.{shot}"],
        golden["negative_context"],
        golden[f"shot{shot}.noise"][None] if noise is None else noise,
        None if opens else storymem_known(golden, shot) if known is None else known,
        StoryMemScheduler(shift=OPENING_SHIFT if opens else shift),
        golden.facts["num_inference_steps"],
        guidance,
        OPENING_BOUNDARY if opens else 0.9,
    )[0]


@goldens("storymem")
def test_storymem_every_forward_pass_agrees(golden):
    openings, experts = storymem_openings(golden), storymem_experts(golden)
    seen = set()
    for shot in range(len(golden.facts["cuts"])):
        models = dict(zip(("high", "low"), experts if shot else openings, strict=True))
        for name, model in models.items():
            for sign, context in (("positive", f"context.{shot}"), ("negative", "negative_context")):
                text = join([golden[context]], 512, "each", torch.float32)
                for output, timestep in passes(golden, f"out.shot{shot}.{name}.{sign}"):
                    latents = golden[f"shot{shot}.{name}.input"]
                    if shot:
                        latents = torch.cat([latents, storymem_known(golden, shot)[0]])
                    frames = Frames.of((latents.shape[1],), latents.shape[2] // 2, latents.shape[3] // 2)
                    made = forward(model, latents, timestep, STORYMEM.rules, frames, text)
                    assert relative_error(made, golden[output]) <= TOLERANCE, output
                    seen.add((bool(shot), name, sign))
    assert len(seen) == 8


@goldens("storymem")
def test_storymem_what_is_known_stands_beside_the_latents_as_in_the_reference(golden):
    for shot in range(1, len(golden.facts["cuts"])):
        assert torch.equal(storymem_known(golden, shot)[0], golden[f"shot{shot}.condition"])


@goldens("storymem")
def test_storymem_every_shot_is_denoised_as_the_reference_does(golden):
    openings, experts = storymem_openings(golden), storymem_experts(golden)
    for shot in range(len(golden.facts["cuts"])):
        made = storymem_part(golden, shot, experts if shot else openings)
        assert relative_error(made, golden[f"out.shot{shot}.latents"]) <= TOLERANCE, shot


def _storymem_dropped(golden, monkeypatch):
    shot = len(golden.facts["cuts"]) - 1
    experts, known = storymem_experts(golden), storymem_known(golden, shot)
    memories = golden[f"shot{shot}.memory"].shape[1]
    noise = golden[f"shot{shot}.noise"][None]
    video = slice(memories, None)

    def run(models=experts, **options):
        return storymem_part(golden, shot, models, **options)[:, -golden[f"shot{shot}.opening"].shape[1] :]

    def changed(*place, to=0.0):
        other = known.clone()
        other[:, place[0], place[1]] = to
        return run(known=other)

    def apart():
        class Apart:
            @staticmethod
            def of(lengths, height, width):
                frames = Frames.of(lengths, height, width)
                new = frames.positions[: lengths[0] - memories]
                positions = [5 * n for n in range(memories)] + [5 * memories + n for n in new]
                return replace(frames, positions=tuple(positions))

        with monkeypatch.context() as patch:
            patch.setattr(storymem_sampling, "Frames", Apart)
            return run()

    mask, latents, memory = slice(0, 4), slice(4, None), slice(0, memories)
    reverse = known.clone()
    reverse[:, :, memory] = reverse[:, :, memory].flip(2)
    dropped = {
        "memory left out": lambda: run(known=known[:, :, video], noise=noise[:, :, video]),
        "memory's mask 0": lambda: changed(mask, memory),
        "memory's latents 0": lambda: changed(latents, memory),
        "memory in reverse order": lambda: run(known=reverse),
        "memory five frames apart": apart,
        "shift 5 instead of 4": lambda: run(shift=5.0),
        "one expert for all": lambda: run([experts[0]] * 2),
        "guidance 5 instead of 3.5": lambda: run(guidance=5.0),
        "no LoRA": lambda: run(storymem_experts(golden, None)),
        "LoRA of scale 1": lambda: run(storymem_experts(golden, "plain")),
    }
    if not golden.facts["cuts"][shot]:
        cut = golden["shot1.opening"][None]  # after a cut nothing is known of the video
        dropped["opening's mask 0"] = lambda: changed(mask, video)
        dropped["opening of nothing"] = lambda: changed(latents, video, to=cut)
    return dropped, golden[f"out.shot{shot}.latents"][:, video]


@goldens("storymem")
def test_storymem_a_rule_that_is_dropped_breaks_the_numbers(golden, monkeypatch):
    dropped, expected = _storymem_dropped(golden, monkeypatch)
    assert set(golden.facts["sensitivity"]) - set(dropped) == {"negative pass without memory"}
    for name in known(golden, dropped):
        assert golden.facts["sensitivity"][name] > 100 * TOLERANCE, name
        assert_moved_as_much_as_the_reference(golden, name, dropped[name](), expected)


def storymem_cases():
    path = golden_path("storymem/keyframes.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"stories": [], "sizes": []}


@pytest.mark.parametrize("story", storymem_cases()["stories"])
def test_storymem_keeps_the_frames_that_the_reference_keeps(story):
    def similarity(one, other):
        return 1 - abs(one - other) / 420

    album = []
    for part in story:
        chosen = keyframes(part["values"], similarity)
        assert chosen == part["keyframes"]
        new = unlike([part["values"][n] for n in chosen], album, similarity)
        assert [chosen[n] for n in new] == part["kept"]
        album += [part["values"][n] for n in part["kept"]]


def test_storymem_compares_frames_at_the_reference_s_size():
    for height, width, rows, columns in storymem_cases()["sizes"]:
        assert compared_size(height, width) == (rows, columns)


def test_storymem_sees_ten_memories_the_first_three_and_the_last_seven():
    assert remembered(range(10)) == list(range(10))
    assert remembered(range(14)) == [0, 1, 2, 7, 8, 9, 10, 11, 12, 13]


# Frames that are read while they are decoded


def assert_the_stream_is_the_video(pipeline, *arguments, **options):
    wanted, stream = (pipeline(*arguments, output_type=kind, **options).frames[0] for kind in ("np", "stream"))
    assert stream.shape == wanted.shape and np.array_equal(np.stack(list(stream)), wanted)


@pytest.mark.parametrize("family", ["echoshot", "cinetrans"])
def test_a_video_can_be_read_while_it_is_decoded(family, make_family_pipeline, with_latent_lengths):
    golden = Golden.load(FILES[family][0])
    lengths, captions = golden.facts["shot_lengths"], golden.captions
    scheduler = EchoShotScheduler()
    if family == "cinetrans":
        captions, scheduler = cinetrans_captions(golden), CineTransScheduler()
    with_latent_lengths(family, lengths, len(captions))
    pipeline = make_family_pipeline(family, golden, scheduler, *golden["latents"].shape[-2:])
    options = {"latents": golden["latents"][None], "caption_embeds": captions}
    board = storyboard_of(len(lengths))
    assert_the_stream_is_the_video(pipeline, board, num_inference_steps=2, guidance_scale=1.0, **options)


def test_longlive_a_video_can_be_read_while_it_is_decoded(make_family_pipeline, with_latent_lengths):
    golden = Golden.load(FILES["longlive"][0])
    lengths = [8 * n for n in golden.facts["blocks_per_shot"]]
    captions = longlive_captions(golden)
    with_latent_lengths("longlive", lengths, len(captions))
    pipeline = make_family_pipeline("longlive", golden, LongLiveScheduler(), *golden["noise"].shape[-2:])
    options = {"latents": golden["noise"][None], "caption_embeds": captions}
    assert_the_stream_is_the_video(pipeline, storyboard_of(len(lengths)), **options)


def test_a_scene_that_echoshot_makes_longer_says_in_its_video_that_it_is_for_the_least_length():
    moved = find_family("echoshot").translate(storyboard_of(2)).storyboard.moved
    assert any("was changed to 90 (EchoShot makes 24 to 32 latent frames a scene" in sentence for sentence in moved)
    fits = find_family("echoshot").translate(Storyboard.from_captions("s", ["a", "b"], num_frames=100, fps=16))
    assert all("EchoShot makes shots of 4t - 3 frames)" in sentence for sentence in fits.storyboard.moved)
