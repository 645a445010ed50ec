"""Two stages by two other models: a picture of each shot by a text-to-image model, then Wan's image-to-video.

HoloCine's table 1 has two rows of this kind (StoryDiffusion, IC-LoRA), whose text-to-image models draw the pictures of
a scene together. Here any text-to-image pipeline that diffusers knows will do: pictures of a scene share their text and
the noise that they begin with, and nothing else. Each shot is made of its own picture, by a model told of no other.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.systems.generation import IN_TIME, Video, animate, shot_alone
from benchmarks.systems.models import Models, ModelSettings
from holocine.families.translation import frames_at, timeline_notes
from holocine.plurals import few
from holocine.storyboard import Storyboard
from holocine.unread import unread_negative
from holocine.wan import Limits, limits_of
from holocine.wording import describe_texts, ended

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from PIL.Image import Image

_TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
_UNLIMITED = 10**6  # a tokenizer without a longest text names an enormous one


def draws_pictures(model: str | None) -> bool:
    """Whether a model is a text-to-image pipeline of diffusers; False for one that is not there."""
    from holocine.checkpoints import CheckpointError, find_model

    if model is None:
        return False
    try:
        index = find_model(model) / "model_index.json"
    except CheckpointError:
        return False
    if not index.is_file():
        return False
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    name = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    return name in {known.__name__ for known in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()}


def from_pictures(models: Models, settings: ModelSettings, storyboard: Storyboard, image_to_video: str) -> Video:
    """A picture of each shot by the text-to-image model of `settings`, then each shot of its own by `image_to_video`.

    A number of steps is for both models, a guidance scale for the second; the first has its own default.
    """
    animator = models.image_to_video(image_to_video, settings)
    limits = limits_of(animator.config.get("expand_timesteps", False))
    run = planned(storyboard, limits)
    size = settings.height or limits.height, settings.width or limits.width
    drawn = _draw(models.text_to_image(settings), settings, storyboard, *size)
    shots = [
        animate(animator, settings, shot_alone(run, index), picture)[: shot.num_frames]
        for index, (shot, picture) in enumerate(zip(run.shots, drawn.pictures, strict=True))
    ]
    makes = f"at most {limits.frames} frames a shot at {limits.fps:g} frames a second"
    guidance = 5.0 if settings.guidance_scale is None else settings.guidance_scale  # diffusers' own default
    unread = unread_negative("Wan's image-to-video", storyboard.negative_prompt, guidance, guidance > 1)
    notes = (*drawn.notes, *unread, *timeline_notes("Wan's image-to-video", run, makes, storyboard.timed))
    return Video(np.concatenate(shots), limits.fps, run, notes, IN_TIME)


def planned(storyboard: Storyboard, limits: Limits) -> Storyboard:
    """The storyboard on the frames that are made of it; raises `StoryboardError` for a shot of less than a frame."""
    bounds = [round(end) for end in (0.0, *frames_at(storyboard, limits.fps))]
    return storyboard.run_on([min(max(1, b - a), limits.frames) for a, b in pairwise(bounds)], limits.fps)


def limits_in(image_to_video: str) -> Limits:
    """The limits of an image-to-video model that is not loaded; raises `CheckpointError` if it is not there."""
    from holocine.checkpoints import find_model, read_config

    return limits_of(bool(read_config(find_model(image_to_video) / "model_index.json").get("expand_timesteps")))


@dataclass(frozen=True)
class _Drawn:
    pictures: Sequence[Image]
    notes: tuple[str, ...]


def _draw(
    pipeline: DiffusionPipeline, settings: ModelSettings, storyboard: Storyboard, height: int, width: int
) -> _Drawn:
    """A picture of each shot, and what of its text the model does not read.

    The shot's own caption comes first: a model that reads little text reads that.
    """
    import torch

    texts = describe_texts(storyboard)
    prompts = [f"{ended(shot)} {texts.scene}" for shot in texts.shots]
    steps = {} if settings.num_inference_steps is None else {"num_inference_steps": settings.num_inference_steps}
    options = {"height": height, "width": width, "output_type": "pil", **steps}
    known = inspect.signature(pipeline.__call__).parameters
    pictures = [
        pipeline(
            prompt=prompt,
            generator=torch.Generator("cpu").manual_seed(storyboard.seed or 0),
            **{name: value for name, value in options.items() if name in known},
        ).images[0]
        for prompt in prompts
    ]
    notes = list(_unread(pipeline, prompts))
    if storyboard.negative_prompt is not None:
        notes.append("the text-to-image model is not given the negative prompt of the storyboard")
    return _Drawn([picture.convert("RGB").resize((width, height)) for picture in pictures], tuple(notes))


def _unread(pipeline: DiffusionPipeline, prompts: Sequence[str]) -> Iterator[str]:
    """In a sentence, the shots whose text is longer than the longest that any text encoder of the pipeline reads."""
    tokenizers = [found for name in _TOKENIZERS if (found := getattr(pipeline, name, None)) is not None]
    if not tokenizers:
        return
    tokenizer = max(tokenizers, key=lambda one: one.model_max_length)
    most = tokenizer.model_max_length
    if most > _UNLIMITED:
        return
    counts = {str(n): len(tokenizer(prompt, verbose=False).input_ids) for n, prompt in enumerate(prompts, start=1)}
    if cut := {number: str(count) for number, count in counts.items() if count > most}:
        shots = f"shot{'s'[: len(cut) > 1]} {few([*cut])}"
        yield (
            f"{type(pipeline).__name__} reads {most} tokens of a text: the last ones of {shots} "
            f"({few([*cut.values()])} in all) are not read"
        )
