"""What of a command line means nothing to a model of another family: said by its option, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holocine.checkpoints import ModelFacts
from holocine.families import find_family
from holocine.program import UsageError
from holocine.settings import CALL_SETTINGS, chosen

FLAGS = {
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "window": "--no-window",
}
_OWN = ("height", "width", "num_inference_steps", "guidance_scale")  # of `CALL_SETTINGS`, what a family has
_FOREIGN = ("preset", "memory", "keep_latents", "first_frame", "drop_text_encoder", "distilled", "shift")


def family_settings(
    given: Mapping[str, Any], remembered: Mapping[str, Any], model: str | None, facts: ModelFacts
) -> dict[str, Any]:
    """Every setting of a run of a family's model, as `chosen` does: of what another model's video remembers nothing.

    given: the command line's. Raises UsageError, naming the option, for what the model does not know.
    """
    if remembered.get("model") != model:
        remembered = {name: value for name, value in remembered.items() if name in ("size", "resample")}
    settings = chosen(given, remembered)
    _check(given, settings, facts)
    return settings


def _check(given: Mapping[str, Any], settings: Mapping[str, Any], facts: ModelFacts) -> None:
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
