"""Presets: settings that belong together, by name; one for speed and one for the memory of a GPU may be given.

A preset stands in for options that were not given: what a command line names wins. It replaces what a video remembers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

VARIABLE = "HOLOCINE_PRESET"

# Four steps without guidance, rank 64; run here with plain Euler steps at shift 5, half of the steps for
# each expert: timesteps 1000, 937.5, 833.3 and 625 (ModelTC/Wan2.2-Lightning, Apache-2.0).
LIGHTNING = ",".join(
    f"lightx2v/Wan2.2-Lightning/Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1/{expert}_noise_model.safetensors"
    for expert in ("high", "low")
)
DISTILLED_SHIFT = 5.0
EXPERTS = (40, 5120)  # layers and width of the experts that the pair is for

SPEED = ("num_inference_steps", "guidance_scale", "guidance_scale_2", "guidance_below", "shot_guidance")
SPEED += ("shot_guidance_above", "distilled", "distilled_below", "shift", "layerwise_casting")
MEMORY = ("model_cpu_offload", "group_offload", "layerwise_casting", "int8", "vae_tiling", "drop_text_encoder")


@dataclass(frozen=True)
class Preset:
    """A name, what it is for in a sentence, and the settings it makes; kind: "speed" or "memory".

    gigabytes: of a GPU, which a memory preset is for.
    """

    name: str
    kind: str
    text: str
    settings: Mapping[str, Any]
    gigabytes: int | None = None

    @property
    def governed(self) -> tuple[str, ...]:
        """The settings that it decides on; those that it does not make are left to the model."""
        return SPEED if self.kind == "speed" else MEMORY


def _speed(name: str, text: str, **settings: Any) -> Preset:
    return Preset(name, "speed", text, MappingProxyType(settings))


def _memory(gigabytes: int, text: str, **settings: Any) -> Preset:
    return Preset(f"{gigabytes}GB", "memory", text, MappingProxyType(settings), gigabytes)


_SMALL = {"group_offload": True, "layerwise_casting": True, "vae_tiling": True, "drop_text_encoder": True}
_FAST = {"distilled": LIGHTNING, "shift": DISTILLED_SHIFT, "layerwise_casting": True}

PRESETS = {
    preset.name: preset
    for preset in (
        _speed(
            "fast",
            "4 steps without guidance, by a step-distilled LoRA for Wan2.2's 14B experts; weights stored in float8",
            **_FAST,
            num_inference_steps=4,
            guidance_scale=1.0,
            shot_guidance=1.0,
        ),
        _speed(
            "mixed",
            "8 steps: the first two guided and without that LoRA, which decide on the colours; the others as in fast",
            **_FAST,
            num_inference_steps=8,
            distilled_below=0.95,
        ),
        _speed("quality", "the model's own steps and guidance, no distilled LoRA, nothing in float8"),
        _memory(12, "layers fetched from main memory in float8, text encoder dropped after use, VAE tiled", **_SMALL),
        _memory(16, "as 12GB: what is left is for longer or larger videos", **_SMALL),
        _memory(24, "as 12GB: what is left is for longer or larger videos", **_SMALL),
        _memory(
            48,
            "one model at a time on the GPU, text encoder dropped after use, VAE tiled",
            model_cpu_offload=True,
            vae_tiling=True,
            drop_text_encoder=True,
        ),
        _memory(80, "both experts on the GPU, text encoder dropped after use", drop_text_encoder=True),
    )
}


def find_presets(names: str | Sequence[str] | None) -> tuple[Preset, ...]:
    """The presets that are named, one text with commas or several; at most one of each kind.

    Raises ValueError for an unknown name and for two of a kind.
    """
    texts = [names] if isinstance(names, str) else list(names or ())
    found: dict[str, Preset] = {}
    for name in (part.strip() for text in texts for part in text.split(",")):
        if not name:
            continue
        preset = next((preset for known, preset in PRESETS.items() if known.lower() == name.lower()), None)
        if preset is None:
            raise ValueError(f"the preset {name!r} is unknown; choose from {', '.join(PRESETS)}")
        other = found.setdefault(preset.kind, preset)
        if other is not preset:
            raise ValueError(f"the presets {other.name} and {preset.name} exclude each other: choose one")
    return tuple(found.values())


def preset_settings(presets: Sequence[Preset]) -> dict[str, Any]:
    """Every setting that presets decide on; None where they leave it to the model."""
    settings: dict[str, Any] = {}
    for preset in presets:
        for name in preset.governed:
            if settings.get(name) is None:
                settings[name] = preset.settings.get(name)
    return settings


def made_for(presets: Sequence[Preset], layers: int, width: int) -> tuple[Preset, ...]:
    """Those of the presets that mean something for experts of these sizes: the published pair fits only Wan2.2's."""
    return tuple(p for p in presets if "distilled" not in p.settings or (layers, width) == EXPERTS)


def environment_presets() -> tuple[Preset, ...]:
    """The presets that the variable HOLOCINE_PRESET names, for a desk; raises ValueError as `find_presets` does."""
    try:
        return find_presets(os.environ.get(VARIABLE))
    except ValueError as error:
        raise ValueError(f"{VARIABLE}: {error}") from None


def listed() -> str:
    """The names and texts of all presets, a line each."""
    width = max(map(len, PRESETS))
    return "\n".join(f"  {preset.name:<{width}}  {preset.text}" for preset in PRESETS.values())
