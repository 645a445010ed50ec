"""Storyboards to frames by a model: HoloCine, its ablations, and the paradigms it is compared with.

Each function takes the process's `Models`, the `ModelSettings` and a storyboard with a seed, and returns frames uint8
(num_frames, height, width, 3). What differs from HoloCine is one thing each:

holocine            sparse inter-shot self-attention with summaries, text windows
holocine-full       every token sees every token; text windows
isolated            no summaries: a shot sees itself alone (HoloCine, table 2: sparse without summary)
no-window           every shot sees all captions (table 2: without window cross-attention)
single-prompt       the base model: one shot whose caption is the whole text, full attention
independent-shots   one generation a shot, joined: shots share their text and nothing else
keyframe            first frames of all shots made together, then each shot from its own first frame; where a
                    text-to-image model draws them, see `two_stages`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.systems.models import Models, ModelSettings
from eval.encoders.texts import describe_texts
from holocine.families.translation import timeline_notes
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT
from holocine.storyboard import Shot, Storyboard
from holocine.wan import GRID, as_one_shot, whole_text_notes

if TYPE_CHECKING:
    import torch
    from diffusers import WanImageToVideoPipeline
    from PIL.Image import Image

    from holocine import HoloCinePipeline

IN_TIME = {"align": "seconds"}  # how to compare videos of a model's own rate and length


@dataclass(frozen=True, eq=False)
class Video:
    """What a system made: frames uint8 (T, H, W, 3) at `fps`.

    storyboard: as it was run, None if it is the suite's on its own frames. notes: what the system cannot express of the
    storyboard, or what was done to its pictures, a sentence each. how: the way to compare the two where it is not the
    usual one, see `eval.request`.
    """

    frames: np.ndarray
    fps: float
    storyboard: Storyboard | None = None
    notes: tuple[str, ...] = ()
    how: Mapping[str, Any] = field(default_factory=dict)


def moved_notes(title: str, storyboard: Storyboard) -> tuple[str, ...]:
    """What is different about the times of shots that are moved to the frames that the video autoencoder can cut at."""
    return tuple(timeline_notes(title, storyboard.as_run(), GRID, storyboard.timed))


def holocine(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    return _scene(models, settings, storyboard, attention="sparse", window=True)


def holocine_full(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    return _scene(models, settings, storyboard, attention="full", window=True)


def isolated(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    return _scene(models, settings, storyboard, attention="isolated", window=True)


def no_window(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    return _scene(models, settings, storyboard, attention="sparse", window=False)


def single_prompt(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    frames = _frames(models.pipeline(settings), settings, as_one_shot(storyboard), attention="full", window=False)
    notes = tuple(whole_text_notes("single-prompt", storyboard.as_run(), GRID, storyboard.timed))
    return Video(frames, storyboard.fps, notes=notes)


def independent_shots(models: Models, settings: ModelSettings, storyboard: Storyboard) -> np.ndarray:
    """Each shot from noise of its own.

    A shot of 4t frames is made as 4t + 1, what the model can make, and its last frame is dropped.
    """
    pipeline = models.pipeline(settings)
    shots = []
    for index, shot in enumerate(storyboard.shots):
        alone = shot_alone(storyboard, index)
        shots.append(_frames(pipeline, settings, alone)[: shot.num_frames])
    return np.concatenate(shots)


def shot_alone(storyboard: Storyboard, index: int) -> Storyboard:
    """One shot as a storyboard of its own, of 4t + 1 frames, with a seed of its own.

    Its text is what HoloCine's window shows to the shot, the global caption and its own, with every character tag
    replaced by the description it stands for and without the count of shots.
    """
    shot, texts = storyboard.shots[index], describe_texts(storyboard)
    seed = np.random.SeedSequence((storyboard.seed or 0, index)).generate_state(1)[0]
    return storyboard.model_copy(
        update={
            "global_caption": texts.scene,
            "shots": (Shot(caption=texts.shots[index], num_frames=(shot.num_frames + 2) // 4 * 4 + 1),),
            "seed": int(seed),
            "references": None,  # nobody is called by a tag any more
        }
    )


def keyframe(
    models: Models, settings: ModelSettings, storyboard: Storyboard, image_to_video: str | None = None
) -> np.ndarray:
    """The two-stage pipeline: consistent first frames, then shots that know nothing of each other.

    First stage: all shots as one latent frame each, in one pass with HoloCine's attention. Second stage: with
    `image_to_video`, a model folder, diffusers' image-to-video pipeline; without, the same model with the first latent
    frame held on the path from its noise to the keyframe.
    """
    pipeline = models.pipeline(settings)
    keyframes = pipeline(first_frames(storyboard), output_type="latent", **settings.sampling).frames
    if image_to_video is not None:
        from PIL.Image import fromarray

        animator = models.image_to_video(image_to_video, settings)
        pictures = [pipeline.decode(keyframes[:, :, i : i + 1])[0][0] for i in range(storyboard.num_shots)]
    shots = []
    for index, shot in enumerate(storyboard.shots):
        alone = shot_alone(storyboard, index)
        if image_to_video is None:
            frames = _from_first_latent(pipeline, settings, alone, keyframes[:, :, index : index + 1])
        else:
            frames = animate(animator, settings, alone, fromarray(pictures[index]))
        shots.append(frames[: shot.num_frames])
    return np.concatenate(shots)


def first_frames(storyboard: Storyboard) -> Storyboard:
    """The storyboard with shots of one latent frame each: 1 frame, then 4 frames a shot."""
    lengths = [1] + [4] * (storyboard.num_shots - 1)
    shots = (shot.model_copy(update={"num_frames": n}) for shot, n in zip(storyboard.shots, lengths, strict=True))
    return storyboard.model_copy(update={"shots": tuple(shots)})


def _frames(pipeline: HoloCinePipeline, settings: ModelSettings, storyboard: Storyboard, **options) -> np.ndarray:
    return pipeline(storyboard, **settings.sampling, **options).frames[0]


def _scene(models: Models, settings: ModelSettings, storyboard: Storyboard, **options) -> Video:
    """A storyboard as `python -m holocine generate` makes it, from its pictures where it names some."""
    from holocine.from_pictures import Opened, open_pictures, run_with_pictures

    pipeline, opened = models.pipeline(settings), Opened()
    if storyboard.has_pictures:
        size = settings.height or pipeline.config.default_height, settings.width or pipeline.config.default_width
        opened = open_pictures(storyboard.as_run(), size)
    output = run_with_pictures(pipeline, storyboard, opened, **settings.sampling, **options)
    return Video(output.frames[0], storyboard.fps, notes=tuple(opened.notes))


def _from_first_latent(
    pipeline: HoloCinePipeline, settings: ModelSettings, storyboard: Storyboard, first: torch.Tensor
) -> np.ndarray:
    """Denoise a shot whose first latent frame (1, channels, 1, h, w) is given.

    At every noise level sigma that frame is (1 - sigma) * first + sigma * noise, where the model expects it, and the
    other frames follow it through the shot's self-attention.
    """
    import torch

    generator = torch.Generator("cpu").manual_seed(storyboard.seed)
    noise = torch.randn((*first.shape[:2], (storyboard.num_frames - 1) // 4 + 1, *first.shape[3:]), generator=generator)
    own_noise = noise[:, :, :1].to(first)

    def hold(pipeline: HoloCinePipeline, step: int, timestep: torch.Tensor, tensors: dict) -> dict:
        sigma = pipeline.scheduler.sigmas[step + 1].to(first)
        latents = tensors["latents"]
        latents[:, :, :1] = (1 - sigma) * first + sigma * own_noise
        return {"latents": latents}

    return _frames(pipeline, settings, storyboard, latents=noise, generator=generator, callback_on_step_end=hold)


def animate(
    animator: WanImageToVideoPipeline, settings: ModelSettings, storyboard: Storyboard, picture: Image
) -> np.ndarray:
    """A storyboard of one shot by diffusers' image-to-video pipeline, beginning with `picture` and at its size."""
    import torch

    width, height = picture.size
    options = {
        name: value for name, value in settings.sampling.items() if name in ("num_inference_steps", "guidance_scale")
    }
    video = animator(
        image=picture,
        prompt=f"{storyboard.global_caption} {storyboard.captions[0]}",
        negative_prompt=DEFAULT_NEGATIVE_PROMPT if storyboard.negative_prompt is None else storyboard.negative_prompt,
        height=height,
        width=width,
        num_frames=storyboard.num_frames,
        generator=torch.Generator("cpu").manual_seed(storyboard.seed),
        **options,
    ).frames[0]
    return (video * 255).round().astype(np.uint8)
