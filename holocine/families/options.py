"""What of a command line means nothing to a model of another family: said by its option, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holocine.checkpoints import ModelFacts
from holocine.families import find_family
from holocine.program import UsageError
from holocine.settings import CALL_SETTINGS

FLAGS = {
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "window": "--no-window",
    "first_frame": "--first-frame",
    "keep_latents": "--keep-latents",
}
_OWN = ("height", "width", "num_inference_steps", "guidance_scale")  # of `CALL_SETTINGS`, what a family has
_FOREIGN = ("preset", "memory", "keep_latents", "first_frame", "drop_text_encoder", "distilled", "shift")


def settings_of_another(remembered: Mapping[str, Any], model: str | None, facts: ModelFacts) -> Mapping[str, Any]:
    """What a video remembers, as far as it holds for a model: of another one than made it, for a family's nothing."""
    if facts.family is None or remembered.get("model") == model:
        return remembered
    return {name: value for name, value in remembered.items() if name in ("size", "resample")}


def check_options(given: Mapping[str, Any], settings: Mapping[str, Any], facts: ModelFacts) -> None:
    """Raise UsageError, naming the option, for what a family's model does not know; given: the command line's."""
    family = find_family(facts.family)
    known = (*(name for name in CALL_SETTINGS if name not in _OWN), *_FOREIGN)
    for name in known:
        value = given.get(name) or settings.get(name)
        if value or (name == "window" and settings[name] is False):
            flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
            shown = "" if isinstance(value, bool | list) else f" {value}"
            raise UsageError(f"{family.title} has no {name.replace('_', ' ')}: leave it out ({flag}{shown})")
    own = facts.height, facts.width
    try:
        family.check_call(*(settings[name] for name in _OWN), own, FLAGS)
    except ValueError as error:
        raise UsageError(str(error)) from None
