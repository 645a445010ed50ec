"""Other models' videos of a storyboard: Wan itself, and the open multi-shot models of `holocine.families`.

Each is run as it was published: at its size, its rate and its lengths. What of a storyboard it cannot express is told
in the video's notes, and its video is scored against what was asked, in time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.systems.generation import IN_TIME, Video
from benchmarks.systems.models import Models, ModelSettings
from holocine.families import NAMES as FAMILIES
from holocine.families import find_family
from holocine.finding import SHELF
from holocine.storyboard import Storyboard
from holocine.wan import as_wan_runs, limits_of


def title(kind: str) -> str:
    """What the notes of a system's videos call it: its model's title where it is one of these."""
    return {"wan": "Wan"}.get(kind) or (find_family(kind).title if kind in FAMILIES else kind)


def by_family(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    """A video by a model of another family, which its folder names."""
    output = models.pipeline(settings)(storyboard, **settings.sampling)
    run = output.storyboards[0]
    return Video(output.frames[0], run.fps, run, output.notes[0], IN_TIME)


def wan(models: Models, settings: ModelSettings, storyboard: Storyboard) -> Video:
    """Wan's text-to-video model: the whole text, and no word of where shots begin."""
    pipeline = models.pipeline(settings)
    limits = limits_of(pipeline.config.expand_timesteps)
    told, run, notes = as_wan_runs(storyboard, limits)
    frames = pipeline(told, attention="full", window=False, **settings.sampling).frames[0]
    return Video(frames, limits.fps, run, notes, IN_TIME)


def settings_for(kind: str, model: str, settings: ModelSettings) -> ModelSettings:
    """The settings of a run as far as they mean something to a model: sizes are its own, only HoloCine has eta."""
    settings = replace(settings, model=model, height=None, width=None, eta=None, guidance_below=None)
    if kind in FAMILIES and find_family(kind).fixed_steps:
        settings = replace(settings, num_inference_steps=None, guidance_scale=None)
    return settings


# By systems of diffusers' own pipelines, what they are called and the options of sampling that those do not have.
TWO_STAGES = "two stages"
_WITHOUT = {
    "wan": ("Wan is", ("height", "width", "eta", "guidance_below")),
    TWO_STAGES: ("pictures and their shots are", ("eta", "guidance_below")),
}


def refused_options(kind: str, model: str | None, settings: ModelSettings) -> dict[str, str]:
    """By name, why a system does not take an option of sampling, in a sentence that ends with the remedy."""
    from holocine.checkpoints import describe
    from holocine.families.options import flag, refused

    given = settings.sampling
    if kind in FAMILIES:
        return refused(given, describe(model))
    title, foreign = _WITHOUT.get(kind, ("", ()))
    return {n: f"{title} run without {flag(n)}: leave it out ({given[n]})" for n in foreign if n in given}


def missing(kind: str, model: str | None = None) -> str | None:
    """Why a system cannot be run, in one line with the command that gets its weights; None if its model is here.

    model: as it was named, None for the folder `models/KIND`.
    """
    from holocine.checkpoints import CheckpointError, describe

    path = model or str(SHELF / kind)
    if model is None and not (SHELF / kind).is_dir():
        return f"{kind} needs its model in {path}, or named as {kind}@FOLDER: {COMMANDS[kind].format(out=path)}"
    try:
        facts = describe(path)
    except CheckpointError as error:
        get = "" if str(error).endswith("?") else f"; it is got by {COMMANDS[kind].format(out=SHELF / kind)}"
        return f"{kind}: {error}{get}"
    found = facts.family or facts.pipeline
    if found != (kind if kind in FAMILIES else "WanPipeline"):
        get = COMMANDS[kind].format(out=SHELF / kind)
        own = facts.family or ("wan" if facts.is_wan else "holocine")
        return (
            f"{kind} cannot be run with {path}, which is of {found}: get its own by {get}, or name the system "
            f"{own}@{path}"
        )
    return None


def _convert(family: str, hub: str, file: str, lora: bool = False) -> str:
    base = " --base files/diffusion_pytorch_model.safetensors" if lora else ""
    return (
        f"hf download Wan-AI/Wan2.1-T2V-1.3B --local-dir files && hf download {hub} {file} --local-dir files && "
        f"python -m holocine convert --family {family} --weights files/{file}{base} --vae files/Wan2.1_VAE.pth "
        "--text-encoder files/models_t5_umt5-xxl-enc-bf16.pth {out}"
    )


def _convert_longlive(hub: str, file: str) -> str:
    return (
        'hf download Wan-AI/Wan2.2-TI2V-5B --include "models_t5*" "google/*" --local-dir files && '
        'hf download Wan-AI/Wan2.2-TI2V-5B-Diffusers --include "vae/*" --local-dir files && '
        f"hf download {hub} {file} --local-dir files && "
        f"python -m holocine convert --family longlive --weights files/{file} --vae files/vae "
        "--text-encoder files/models_t5_umt5-xxl-enc-bf16.pth {out}"
    )


def _convert_storymem(hub: str, folder: str, base: str) -> str:
    opening, eye = "Wan-AI/Wan2.2-T2V-A14B", "openai/clip-vit-base-patch32"
    return (
        f"hf download {base} --local-dir files/base && "
        f'hf download {opening} --include "*_noise_model/*" --local-dir files/opening && '
        f'hf download {hub} --include "{folder}/*" --local-dir files && hf download {eye} --local-dir files/eye && '
        f"python -m holocine convert --family storymem --weights files/{folder} --base files/base "
        "--opening files/opening --image-encoder files/eye --vae files/base/Wan2.1_VAE.pth "
        "--text-encoder files/base/models_t5_umt5-xxl-enc-bf16.pth --dtype bfloat16 {out}"
    )


def _commands() -> dict[str, str]:
    commands = {"wan": "hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --local-dir {out}"}
    for name in FAMILIES:
        origin = find_family(name).origin
        if name == "longlive":
            commands[name] = _convert_longlive(origin.weights, origin.file)
        elif name == "storymem":
            commands[name] = _convert_storymem(origin.weights, origin.file, origin.base)
        else:
            commands[name] = _convert(name, origin.weights, origin.file, lora=name == "cinetrans")
    return commands


COMMANDS: dict[str, str] = _commands()
BASELINES: dict[str, Any] = {"wan": wan, **dict.fromkeys(FAMILIES, by_family)}
