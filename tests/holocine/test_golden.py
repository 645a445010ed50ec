"""Numbers that HoloCine's own code produced from tiny random weights, reproduced to 2e-5 relative L2 in float32.

Runs every *.safetensors in the folder named by the environment variable HOLOCINE_GOLDEN, or those in
tests/golden where it has none.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors import safe_open
from safetensors.torch import load_file

from holocine import AttentionSettings, HoloCineTransformer3DModel, ShotLayout, Storyboard, TextWindows
from tests.holocine.conftest import golden_files, golden_transformer

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

FILES = golden_files()
TOLERANCE = 2e-5
KERNELS = ["per-shot", "dense", "flex"]


@dataclass(frozen=True)
class Golden:
    """One file: its tensors, and its metadata read from JSON."""

    tensors: dict[str, torch.Tensor]
    facts: dict

    @classmethod
    @lru_cache(maxsize=4)
    def load(cls, path: Path) -> "Golden":
        with safe_open(path, "pt") as file:
            facts = {name: json.loads(value) for name, value in file.metadata().items()}
        return cls(load_file(path), facts)

    def expert(self, name: str) -> HoloCineTransformer3DModel:
        prefix = f"{name}."
        weights = {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
        return golden_transformer(self.facts["config"], weights)

    @property
    def layout(self) -> ShotLayout:
        *_, height, width = self.tensors["latents"].shape
        _, down, across = self.facts["config"]["patch_size"]
        return ShotLayout.from_cuts(
            self.facts["num_frames"], self.facts["shot_cut_frames"], height // down, width // across
        )

    @property
    def windows(self) -> TextWindows:
        spans = self.facts["text_spans"]
        return TextWindows(tuple(spans["global"]), tuple(map(tuple, spans["shots"])))

    @property
    def storyboard(self) -> Storyboard:
        cuts = self.facts["shot_cut_frames"]
        captions = [f"shot {i}" for i in range(len(cuts) + 1)]
        return Storyboard.from_captions("scene", captions, num_frames=self.facts["num_frames"], shot_cut_frames=cuts)


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def golden(request) -> Golden:
    return Golden.load(request.param)


def relative_error(output: torch.Tensor, expected: torch.Tensor) -> float:
    return float((output - expected).norm() / expected.norm())


def test_the_folder_holds_golden_files():
    assert FILES, "no golden files"


def test_the_layout_puts_shots_on_the_golden_latent_frames(golden):
    assert golden.layout.shot_ids.tolist() == golden.tensors["shot_ids"].tolist()


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_single_forward_pass_agrees(golden, kernel):
    model = golden.expert("high")
    names = [name for name in golden.tensors if name.startswith(("out.positive.", "out.negative."))]
    assert names
    for name in names:
        _, sign, mode, time = name.split(".", 3)
        positive = sign == "positive"
        with torch.no_grad(), model.cache_context("cond" if positive else "uncond"):
            output = model(
                hidden_states=golden.tensors["latents"],
                timestep=torch.tensor([float(time.removeprefix("t"))]),
                encoder_hidden_states=golden.tensors["context" if positive else "negative_context"],
                attention_kwargs={
                    "layouts": [golden.layout],
                    "windows": [golden.windows],
                    "settings": AttentionSettings(mode, kernel=kernel),
                },
            ).sample
        assert relative_error(output, golden.tensors[name]) <= TOLERANCE, name


@pytest.mark.parametrize("mode", ["full", "sparse"])
def test_the_pipeline_samples_the_golden_latents_with_both_experts(golden, mode, make_pipeline):
    facts, tensors = golden.facts, golden.tensors
    pipeline = make_pipeline(
        transformer=golden.expert("high"),
        transformer_2=golden.expert("low"),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=facts["shift"]),
        boundary_ratio=facts["boundary"],
    )
    *_, height, width = tensors["latents"].shape
    output = pipeline(
        golden.storyboard,
        height=8 * height,
        width=8 * width,
        num_inference_steps=facts["num_inference_steps"],
        guidance_scale=facts["guidance"],
        attention=mode,
        latents=tensors["latents"],
        prompt_embeds=tensors["context"],
        negative_prompt_embeds=tensors["negative_context"],
        text_windows=[golden.windows],
        output_type="latent",
    )
    assert relative_error(output.frames, tensors[f"out.sampled.{mode}"]) <= TOLERANCE
    torch.testing.assert_close(pipeline.scheduler.sigmas[:-1], tensors["sigmas"], rtol=0, atol=2e-7)
    torch.testing.assert_close(pipeline.scheduler.timesteps, tensors["timesteps"], rtol=0, atol=2e-4)
