"""The models that this desk offers: their names, what is known of them without weights, and the one that is loaded."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk.studio.gpu import compile_ahead, load_options
from holocine.checkpoints import ModelFacts, describe, hide_loading_bars, load_pipeline
from holocine.finding import EMBEDDED
from holocine.lazy import without_collection
from holocine.presets import environment_presets, made_for, preset_settings
from holocine.settings import LOAD_SETTINGS

if TYPE_CHECKING:
    from holocine.pipeline import HoloCinePipeline

VARIABLE = "HOLOCINE_MODEL"
EMBEDDED_NAME = "embedded"
_importing = threading.Lock()


@dataclass(frozen=True)
class Model:
    """A model by the name that visitors see, and what its configs say; with the settings of the desk's presets."""

    name: str
    facts: ModelFacts
    settings: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """The default number of denoising steps."""
        return self.facts.steps

    @property
    def guidance(self) -> float:
        """The default guidance scale."""
        return self.facts.guidance

    @property
    def theatre(self) -> bool:
        """Whether it is the embedded model, which knows the puppet theatre only."""
        return self.facts.folder == EMBEDDED


def model_names() -> tuple[str, ...]:
    """The models that the variable HOLOCINE_MODEL names, divided by commas; the embedded one if it is unset.

    Raises ValueError for commas alone.
    """
    given = os.environ.get(VARIABLE, "").strip()
    names = tuple(dict.fromkeys(name for part in given.split(",") if (name := part.strip())))
    if given and not names:
        raise ValueError(f"{VARIABLE} is {given!r}, but names no model: leave it out for the embedded one")
    return names or (EMBEDDED_NAME,)


def find(name: str | None = None) -> Model:
    """A model of this desk, the first if `name` is None; raises ValueError for a name that is not offered."""
    names = model_names()
    if name is not None and name not in names:
        raise ValueError(f"the model {name!r} is not offered here; choose one of {', '.join(names)}")
    name = name or names[0]
    facts = describe(None if name == EMBEDDED_NAME else name)
    if facts.family is not None:
        raise ValueError(
            f"the desk makes videos with HoloCine's and Wan's models, and {name} is one of {facts.family}: take "
            "`python -m holocine generate`, or name another model in HOLOCINE_MODEL"
        )
    settings = preset_settings(made_for(environment_presets(), facts.transformer.layers, facts.transformer.width))
    return Model(name, facts.with_settings(settings), settings)


def import_libraries() -> None:
    """Import the model's libraries, which takes seconds, in one thread at a time, as diffusers needs it."""
    with _importing, without_collection():
        importlib.import_module("holocine.pipeline")


def weight_bytes(folder: Path) -> int:
    """How large a model's weights are as files."""
    return sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))


class ModelHolder:
    """Holds the one pipeline that is loaded. Used by the worker alone, so it needs no lock."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._pipeline: HoloCinePipeline | None = None

    def clear(self) -> None:
        """Let go of the pipeline."""
        self._name = self._pipeline = None

    def take(self, name: str) -> HoloCinePipeline:
        """The pipeline of a model; loads it in place of the one before."""
        if name != self._name:
            import_libraries()
            self.clear()
            hide_loading_bars()
            model = find(name)
            folder, settings = model.facts.folder, model.settings
            options = {option: settings[option] for option in LOAD_SETTINGS if settings.get(option) is not None}
            pipeline = load_pipeline(folder, **{**load_options(weight_bytes(folder)), **options})
            if settings.get("distilled_below") is not None:
                pipeline.register_to_config(default_distilled_below=settings["distilled_below"])
            compile_ahead(pipeline.experts)
            pipeline.set_progress_bar_config(disable=True)
            self._name, self._pipeline = name, pipeline
        return self._pipeline
