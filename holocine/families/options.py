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
_CALLED = {"attention": "other attention"}
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
    own = {name: given[name] for name in (*_FOREIGN, "negative_prompt") if given.get(name)}
    for sentence in refused(settings | own, facts).values():
        raise UsageError(sentence)


def refused(settings: Mapping[str, Any], facts: ModelFacts) -> dict[str, str]:
    """By name, why a family's model does not take an option, in a sentence that ends with the remedy."""
    family, found = find_family(facts.family), {}
    for name in (*_FOREIGN, *(name for name in CALL_SETTINGS if name not in _OWN)):
        value = settings.get(name)
        if value or (name == "window" and value is False):
            shown = "" if isinstance(value, bool | list) else f" {value}"
            called = _CALLED.get(name, name.replace("_", " "))
            found[name] = f"{family.title} has no {called}: leave it out ({flag(name)}{shown})"
    if family.fixed_steps and settings.get("negative_prompt"):
        text = settings["negative_prompt"]
        found["negative_prompt"] = (
            f"{family.title} has no guidance and reads no negative prompt: leave it out (--negative-prompt {text!r})"
        )
    for name in _OWN:
        alone = (settings.get(name) if name == one else None for one in _OWN)
        try:
            family.check_call(*alone, (facts.height, facts.width), FLAGS)
        except ValueError as error:
            found[name] = str(error)
    return found


def flag(name: str) -> str:
    """What an option is called on a command line."""
    return FLAGS.get(name, f"--{name.replace('_', '-')}")
