"""How a video is made, beside its storyboard: settings from the command line, remembered in the MP4, used again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holocine.presets import find_presets, preset_settings
from holocine.program import UsageError

_LEAST_SIZE, _MOST_SIZE = 16, 8192  # of a video's pictures, in pixels

# What a video remembers of how it was made, and the type that each value has to have when it is read back from a file.
# The storyboard holds the rest: captions, cuts, frames a second, negative prompt and seed.
SETTINGS = {
    "model": str,
    "height": int,
    "width": int,
    "num_inference_steps": int,
    "guidance_scale": (int, float),
    "guidance_scale_2": (int, float),
    "guidance_below": (int, float),
    "shot_guidance": (int, float),
    "shot_guidance_above": (int, float),
    "distilled_below": (int, float),
    "eta": (int, float),
    "attention": str,
    "window": bool,
    "leak_free": bool,
    "kernel": str,
    "dtype": str,
    "vae_dtype": str,
    "layerwise_casting": bool,
    "int8": bool,
    "gguf": str,
    "vae_tiling": bool,
    "lora": list,
    "distilled": str,
    "shift": (int, float),
    "size": str,
    "resample": str,
}
CALL_SETTINGS = (
    "height",
    "width",
    "num_inference_steps",
    "guidance_scale",
    "guidance_scale_2",
    "guidance_below",
    "shot_guidance",
    "shot_guidance_above",
    "distilled_below",
    "eta",
    "attention",
    "window",
    "leak_free",
    "kernel",
)
LOAD_SETTINGS = (
    "dtype",
    "vae_dtype",
    "device",
    "layerwise_casting",
    "vae_tiling",
    "model_cpu_offload",
    "group_offload",
    "int8",
    "gguf",
    "drop_text_encoder",
    "lora",
    "distilled",
    "shift",
    "compile",
)
# What a take may have beside these that is not as its video's, and what all takes of a video have in common.
OF_TAKES = ("negative_prompt", "keep_every", "keep_level")
OF_FILES = ("height", "width", "size", "resample")
DESK_NAMES = {"steps": "num_inference_steps", "guidance": "guidance_scale"}  # in videos that the desk made once
# How weights are stored: one that is given takes the place of any other that a preset or a video says.
STORAGE = ("layerwise_casting", "int8", "gguf")


def checked(settings: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The known settings that a video remembers; raises `VideoError` if one of them is no such value."""
    from holocine.video import VideoError

    known = remembered(settings)
    for name, value in known.items():
        if not isinstance(value, SETTINGS[name]):
            raise VideoError(f"the settings in {path} are damaged: {name} is {value!r}")
    return known


def remembered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings in a video that are known here, by the names that they have here."""
    named = {DESK_NAMES.get(name, name): value for name, value in settings.items()}
    if DESK_NAMES.keys() <= settings.keys() and named.get("model") == "embedded":
        del named["model"]
    return {name: value for name, value in named.items() if name in SETTINGS}


def of_its_own(made: Mapping[str, Any], video: Mapping[str, Any]) -> dict[str, Any]:
    """What of the settings that shots were made with is not as the video's (`making.Take.settings`).

    None for what the video's other shots have and these have not.
    """
    video = remembered(video)
    names = [name for name in (*SETTINGS, *OF_TAKES) if name not in OF_FILES]
    return {name: made.get(name) for name in names if made.get(name) != video.get(name)}


def chosen(given: Mapping[str, Any], remembered: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting: as given, or else as the presets that are given have it, or else as remembered, or else None.

    Raises ValueError for presets that are unknown or exclude each other.
    """
    remembered = {**remembered, **preset_settings(find_presets(given.get("preset")))}
    for kinds in (STORAGE, ("model_cpu_offload", "group_offload")):
        if any(given.get(name) for name in kinds):
            remembered |= dict.fromkeys(kinds)
    if given.get("distilled_below") == 1 or given.get("guidance_scale") == 1:
        remembered["distilled_below"] = None
    return {
        name: first_of(given.get(name), remembered.get(name)) for name in dict.fromkeys((*SETTINGS, *LOAD_SETTINGS))
    }


def load_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `load_pipeline` is called with beside the model."""
    return {name: settings[name] for name in LOAD_SETTINGS if settings[name] is not None}


def call_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipeline is called with beside the storyboard."""
    return {name: settings[name] for name in CALL_SETTINGS}


def pixels_of(settings: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the frames that are made by a model whose own size is `size`."""
    return first_of(settings["height"], size[0]), first_of(settings["width"], size[1])


def as_made(
    settings: Mapping[str, Any], defaults: Any, pixels: tuple[int, int], size: tuple[int, int] | None
) -> dict[str, Any]:
    """What a video is to remember: the settings with the model's defaults where none were chosen.

    defaults: the config of the pipeline. pixels: (height, width) of the frames as made; size: (width, height) that the
    video was enlarged to, None for not at all.
    """
    names = ("num_inference_steps", "guidance_scale", "guidance_below", "shot_guidance", "shot_guidance_above", "eta")
    resolved = {
        **settings,
        **{name: first_of(settings[name], defaults.get(f"default_{name}")) for name in (*names, "attention")},
        "height": pixels[0],
        "width": pixels[1],
        "size": f"{size[0]}x{size[1]}" if size else "native",
    }
    return {name: resolved[name] for name in SETTINGS if resolved[name] is not None}


def output_size(text: str | None) -> tuple[int, int] | str | None:
    """(width, height) for "WxH", None for "native", and "auto" for the default."""
    if text is None or text == "auto":
        return "auto"
    if text == "native":
        return None
    match = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not match:
        raise UsageError(f"size is {text!r}, but has to be WIDTHxHEIGHT as in 784x448, or native, or auto")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < _LEAST_SIZE or max(width, height) > _MOST_SIZE:
        raise UsageError(f"size is {text}, but both have to lie between {_LEAST_SIZE} and {_MOST_SIZE} pixels")
    return width, height


def fitted_size(
    size: tuple[int, int] | str | None, pixels: tuple[int, int]
) -> tuple[tuple[int, int] | str | None, tuple[str, ...]]:
    """What `output_size` returned, smaller where frames of (height, width) `pixels` fill it only if they are stretched.

    With it comes a sentence about that, if it is so. A pixel more or less is nothing.
    """
    if not isinstance(size, tuple):
        return size, ()
    height, width = pixels
    scale = min(size[0] / width, size[1] / height)
    fitted = max(round(width * scale), 1), max(round(height * scale), 1)
    if size[0] - fitted[0] <= 1 and size[1] - fitted[1] <= 1:
        return size, ()
    asked, fits, made = (f"{across}x{down}" for across, down in (size, fitted, (width, height)))
    if min(fitted) < _LEAST_SIZE:
        raise UsageError(f"size is {asked}, in which pictures of {made} are {fits}: ask for one of their shape")
    return fitted, (f"the video is {fits}: pictures of {made} have another shape than the {asked} that were asked for",)


def took(timings: Mapping[str, float]) -> str:
    """How many seconds what took, as in "denoise 12.0 s, decode 1.3 s"."""
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in timings.items())


def first_of(*values: Any) -> Any:
    """The first value that is not None."""
    return next((value for value in values if value is not None), None)
