"""Where a run stands after a step, in a file beside its video: a run that goes on from there ends in the same video."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.files import replacing
from holocine.settings import CALL_SETTINGS, STORAGE

if TYPE_CHECKING:
    import torch

    from holocine.locking import LatentLock
    from holocine.storyboard import Storyboard
    from holocine.summary_reuse import SummaryReuse

FORMAT = "holocine-unfinished/1"
# What a scheduler works out anew from its config and the number of steps.
_WORKED_OUT = ("timesteps", "sigmas")
_EDGE = 2**20  # bytes at both ends of a file of weights that tell it from others
# The settings that decide what is denoised. How it is then decoded, and where it is computed, may change on the way.
DECIDING = (*CALL_SETTINGS, "model", "dtype", *STORAGE, "lora", "distilled", "shift")


class ResumeError(ValueError):
    """A run that cannot be gone on from. The message is one sentence."""


@dataclass(frozen=True, eq=False)
class RunState:
    """Where a run stands: `step` of `of` steps are done.

    latents: float32 (batch, channels, latent frames, height, width) after that step, on the CPU as all tensors here.
    noise: what the run began with, where latents are locked and it is still needed. seeds: of the storyboards.
    generators: their states. scheduler: what it remembers of the steps before.
    """

    step: int
    of: int
    latents: torch.Tensor
    seeds: tuple[int | None, ...]
    noise: torch.Tensor | None = None
    generators: tuple[torch.Tensor, ...] = ()
    scheduler: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether only decoding is left."""
        return self.step == self.of


def memory_of(scheduler: Any) -> dict[str, Any]:
    """What a scheduler of diffusers remembers of its steps: numbers, tensors on the CPU, and lists of them."""
    found = {}
    for name, value in vars(scheduler).items():
        if name not in (*_WORKED_OUT, "_internal_dict"):
            try:
                found[name] = _each_tensor(value, lambda tensor: tensor.detach().to("cpu", copy=True))
            except TypeError:  # generators, methods, configs: not of one step
                continue
    return found


def remind(scheduler: Any, memory: Mapping[str, Any], device: torch.device) -> None:
    """Give a scheduler back what `memory_of` found."""
    for name, value in memory.items():
        setattr(scheduler, name, _each_tensor(value, lambda tensor: tensor.to(device)))


def _each_tensor(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return [_each_tensor(part, change) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(type(value))


def generators_of(generator: torch.Generator | Sequence[torch.Generator] | None) -> list[torch.Generator]:
    """The generators of a run, however they were given."""
    if generator is None:
        return []
    return list(generator) if isinstance(generator, list | tuple) else [generator]


@dataclass(frozen=True, eq=False)
class Saving:
    """Tells where a run stands: `tell` is called after every `every` of `steps` steps, and at the end."""

    tell: Callable[[RunState], Any]
    every: int | None
    steps: int
    seeds: Sequence[int | None]
    generator: torch.Generator | Sequence[torch.Generator] | None
    lock: LatentLock | None
    reuse: SummaryReuse | None

    def after(self, callback: Callable | None) -> Callable:
        """Wrap a callback_on_step_end of diffusers, or None, so that the run's state is told after it.

        The callback has to be given "latents".
        """

        def step_end(pipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
            result = callback(pipeline, step, timestep, tensors) if callback else {}
            latents = result.get("latents", tensors["latents"])
            if self._is_due(pipeline, step + 1) and latents.isfinite().all():  # a run of others leads to no video
                self.tell(self._state(step + 1, latents, memory_of(pipeline.scheduler)))
            return result

        return step_end

    def finished(self, latents: torch.Tensor) -> None:
        """Tell that the run is denoised, to these latents."""
        self.tell(self._state(self.steps, latents, {}))

    def _is_due(self, pipeline, done: int) -> bool:
        if self.every is None or done % self.every or done == self.steps:
            return False
        if any(expert.is_cache_enabled for expert in pipeline.experts):
            return False  # what a cache holds of earlier steps is in memory only
        return self.reuse is None or self.reuse.is_renewed(done, self.steps)

    def _state(self, step: int, latents: torch.Tensor, scheduler: Mapping[str, Any]) -> RunState:
        latents, noise = (
            None if x is None else x.detach().to("cpu", copy=True)
            for x in (latents, None if self.lock is None else self.lock.noise)
        )
        states = tuple(one.get_state() for one in generators_of(self.generator))
        return RunState(step, self.steps, latents, tuple(self.seeds), noise, states, scheduler)


# Files


def state_path(video: str | os.PathLike) -> Path:
    """Where a run that makes a video keeps its state: scene.unfinished.safetensors beside scene.mp4."""
    return Path(video).with_suffix(".unfinished.safetensors")


def write_state(path: str | os.PathLike, state: RunState, run: Mapping[str, Any]) -> None:
    """Write a state and what the run is of, see `run_of`; the file appears complete or not at all."""
    from safetensors.torch import save

    tensors = {"latents": state.latents.contiguous()}
    if state.noise is not None:
        tensors["noise"] = state.noise.contiguous()
    tensors |= {f"generator.{number}": found for number, found in enumerate(state.generators)}

    def stored(tensor: torch.Tensor) -> dict[str, str]:
        name = f"scheduler.{len(tensors)}"
        tensors[name] = tensor.contiguous()
        return {"tensor": name}

    scheduler = {name: _each_tensor(value, stored) for name, value in state.scheduler.items()}
    note = {"format": FORMAT, "run": run, "step": state.step, "of": state.of, "seeds": state.seeds}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, {"holocine": json.dumps(note | {"scheduler": scheduler})}))


def read_state(path: str | os.PathLike) -> tuple[RunState, dict[str, Any]]:
    """A state and what the run is of; raises `ResumeError` if there is none in the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {}).get("holocine", "{}"))
            if note.get("format") != FORMAT:
                raise ResumeError(f"{path} holds no unfinished run: move it out of the way, or leave --resume out")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        states = [tensors[name] for name in (f"generator.{n}" for n in range(len(tensors))) if name in tensors]
        state = RunState(
            note["step"],
            note["of"],
            tensors["latents"],
            tuple(note["seeds"]),
            tensors.get("noise"),
            tuple(states),
            {name: _read_back(value, tensors) for name, value in note["scheduler"].items()},
        )
        return state, note["run"]
    except (SafetensorError, json.JSONDecodeError, KeyError, TypeError, FileNotFoundError) as error:
        raise ResumeError(f"{path} cannot be read as an unfinished run: {error}") from None


def _read_back(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        return tensors[value["tensor"]]
    return [_read_back(part, tensors) for part in value] if isinstance(value, list) else value


# Which run it is


def run_of(storyboard: Storyboard, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What decides a run, as plain data: the storyboard as run, without its seed, the settings and the weights.

    folder: of the model.
    """
    board = json.loads(storyboard.as_run().to_json())
    board.pop("seed", None)
    chosen = {name: settings.get(name) for name in DECIDING}
    return json.loads(json.dumps({"storyboard": board, "settings": chosen, "weights": weights_digest(folder)}))


def weights_digest(folder: Path) -> str:
    """What tells the weights and configs in a folder from others, by the ends of its files: 16 hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json")):
        size = path.stat().st_size
        found.update(f"{path.relative_to(folder)} {size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(_EDGE))
            file.seek(max(0, size - _EDGE))
            found.update(file.read())
    return found.hexdigest()[:16]


def check_same_run(path: str | os.PathLike, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `ResumeError` that names what differs between the run in a file and the one that is to go on."""
    was, given = before.get("settings", {}), now["settings"]
    found = [f"{name} was {was.get(name)} and is {given[name]}" for name in given if was.get(name) != given[name]]
    if before.get("storyboard") != now["storyboard"]:
        found.insert(0, "the storyboard was another one")
    if not found and before.get("weights") != now["weights"]:
        found = ["the model had other weights"]
    if found:
        raise ResumeError(
            f"{path} is of another run ({'; '.join(found)}): give what it was begun with, or leave --resume out to "
            "begin anew"
        )


def check_same_seed(path: str | os.PathLike, state: RunState, seed: int | None) -> None:
    """Raise `ResumeError` for another seed than that of the run; None is any."""
    if seed is not None and seed != state.seeds[0]:
        raise ResumeError(f"{path} is of a run with the seed {state.seeds[0]}, not {seed}: give that, or none")
