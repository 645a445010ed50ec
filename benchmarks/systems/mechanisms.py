"""What tells shots apart in other families, on models that were trained with it as HoloCine's ablations are.

phases       EchoShot's: rotary phases for each shot, in self- and cross-attention
block-mask   CineTrans's: a shot sees itself and the first frame of the video, in the middle blocks
causal       ShotStream's: one shot after the other, in blocks, from six latent frames of those before

Sampler, text encoder, video autoencoder and lengths are those of the model. ShotStream itself decodes every shot alone
and encodes the frames that it hands on; here all is one video, and latent frames are handed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.systems.models import Models, ModelSettings
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    import torch

    from holocine import HoloCinePipeline
    from holocine.families.mechanisms import Mechanism
    from holocine.families.text import Texts


def phases(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    return _together("phases", models.pipeline(settings), settings, storyboard)


def block_mask(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    return _together("block-mask", models.pipeline(settings), settings, storyboard)


def causal(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    """Raises ValueError for a model of two experts: what is finished is kept by one of them."""
    from holocine.families.mechanisms import MECHANISMS

    pipeline, run = models.pipeline(settings), storyboard.as_run()
    if pipeline.transformer_2 is not None:
        raise ValueError("causal runs a model of one expert, trained so, and this one has two: see `ablations`")
    texts = _texts(MECHANISMS["causal"], pipeline, run)
    return pipeline.decode(_one_after_the_other(pipeline, settings, run, texts))[0]


def _together(name: str, pipeline: HoloCinePipeline, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    from holocine.families.mechanisms import MECHANISMS
    from holocine.families.planning import Frames, planner

    mechanism, run = MECHANISMS[name], storyboard.as_run()
    config = pipeline.transformer.config
    texts = _texts(mechanism, pipeline, run)
    layout = run.layout(*_grid(pipeline, settings))
    plan = planner(
        mechanism.rules(config.num_layers),
        Frames.of(layout.shot_lengths, layout.height, layout.width),
        texts,
        config.attention_head_dim,
        mechanism.common(run.num_shots),
    )
    return pipeline(
        storyboard,
        attention="full",
        window=False,
        prompt_embeds=texts["cond"].rows,
        negative_prompt_embeds=texts["uncond"].rows,
        attention_kwargs={"planner": plan},
        **settings.sampling,
    ).frames[0]


def _grid(pipeline: HoloCinePipeline, settings: ModelSettings) -> tuple[int, int]:
    """Tokens down and across a latent frame."""
    size = settings.height or pipeline.config.default_height, settings.width or pipeline.config.default_width
    _, down, across = pipeline.transformer.config.patch_size
    scale = pipeline.vae_scale_factor_spatial
    return size[0] // scale // down, size[1] // scale // across


def _texts(mechanism: Mechanism, pipeline: HoloCinePipeline, storyboard: Storyboard) -> dict[str, Texts]:
    """The texts of a storyboard and of the negative prompt, for the branches of guidance."""
    import torch

    from holocine.attention_plan import compute_dtype
    from holocine.prompt import clean, text_windows

    negative = storyboard.negative_prompt
    if negative is None:
        negative = pipeline.config.default_negative_prompt
    most = pipeline.config.max_sequence_length

    def texts(prompt: str, has_windows: bool) -> Texts:
        windows = text_windows(clean(prompt), pipeline.tokenizer, max_length=most)
        with torch.no_grad():
            rows, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=most)
        used = len(pipeline.tokenizer(clean(prompt), verbose=False).input_ids)
        captions = mechanism.captions(rows[0, :used], windows if has_windows else None, storyboard.num_shots)
        return mechanism.joined([captions], compute_dtype(rows))

    return {"cond": texts(storyboard.prompt, True), "uncond": texts(negative, False)}


def _one_after_the_other(
    pipeline: HoloCinePipeline, settings: ModelSettings, storyboard: Storyboard, texts: dict[str, Texts]
) -> torch.Tensor:
    """The latents of a whole video, shot by shot and block by block, each guided as the model's own sampling is."""
    import torch

    from holocine.families.causal import Memory, predict
    from holocine.families.mechanisms import MECHANISMS, block_lengths, context_of
    from holocine.families.shotstream.context import NUM_CONTEXT, spread
    from holocine.families.shotstream.sampling import frames_of

    transformer, scheduler = pipeline.transformer, pipeline.scheduler
    rules = MECHANISMS["causal"].rules(transformer.config.num_layers)
    steps = settings.num_inference_steps or pipeline.config.default_num_inference_steps
    scale = _given(settings.guidance_scale, pipeline.config.default_guidance_scale)
    below = _given(settings.guidance_below, pipeline.config.default_guidance_below)
    eta = _given(settings.eta, pipeline.config.default_eta)
    device = pipeline._execution_device
    generator = torch.Generator("cpu").manual_seed(storyboard.seed or 0)
    grid = _grid(pipeline, settings)
    lengths = storyboard.layout(*grid).shot_lengths
    _, down, across = transformer.config.patch_size
    shape = (1, transformer.config.in_channels, 1, grid[0] * down, grid[1] * across)
    made = torch.zeros(shape, device=device)[:, :, :0]
    branches = ("cond", "uncond") if scale > 1 else ("cond",)
    for shot, length in enumerate(lengths):
        frames = frames_of(shot, *grid, num_frames=length)
        memories = {branch: Memory() for branch in branches}

        def run(branch, part, latents, timestep, keep=None, frames=frames, memories=memories):
            exchange = memories[branch].exchange(keep)
            return predict(transformer, rules, frames.part(*part), texts[branch], latents, timestep, exchange)

        places = spread(lengths[:shot])
        context = context_of(made if places else torch.zeros(shape, device=device), lengths, places)
        for branch in branches:
            run(branch, (0, NUM_CONTEXT), context, 0.0, keep=-1)
        start = NUM_CONTEXT
        for block, count in enumerate(block_lengths(length)):
            part = start, start + count
            latents = torch.randn((*shape[:2], count, *shape[3:]), generator=generator).to(device)
            scheduler.set_timesteps(steps, device=device)
            with scheduler.sampling(eta, generator):
                for timestep in scheduler.timesteps:
                    velocity = run("cond", part, latents, float(timestep))
                    if scale > 1 and float(timestep) <= below * scheduler.config.num_train_timesteps:
                        without = run("uncond", part, latents, float(timestep))
                        velocity = without + scale * (velocity - without)
                    latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            for branch in branches:
                run(branch, part, latents, 0.0, keep=block)
            made, start = torch.cat([made, latents], dim=2), start + count
    return made


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
