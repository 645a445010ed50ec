"""Models under test: which one, how it is run, its hash, and one loaded pipeline at a time."""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline, WanImageToVideoPipeline

    from holocine import HoloCinePipeline

_WHERE = ("device", "vae_tiling", "model_cpu_offload")


SAMPLING = ("num_inference_steps", "guidance_scale", "guidance_below", "eta", "height", "width")


@dataclass(frozen=True)
class ModelSettings:
    """A model and how it is run; None is the model's own default.

    model: None for the embedded one, a folder, or a hub id. height, width: pixels. The rest: see
    `holocine.load_pipeline` and `HoloCinePipeline`.
    """

    model: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    guidance_below: float | None = None
    eta: float | None = None
    height: int | None = None
    width: int | None = None
    dtype: str | None = None
    device: str | None = None
    vae_tiling: bool = False
    model_cpu_offload: bool = False

    @property
    def sampling(self) -> dict[str, Any]:
        """The arguments of a call."""
        return {name: value for name in SAMPLING if (value := getattr(self, name)) is not None}

    @property
    def loading(self) -> dict[str, Any]:
        """The arguments of `load_pipeline`."""
        return {name: value for name in ("dtype", *_WHERE) if (value := getattr(self, name))}

    def definition(self) -> dict[str, Any]:
        """What a video depends on, beside the weights: everything but where and in what memory it is computed."""
        return {name: value for name, value in asdict(self).items() if name not in ("model", *_WHERE)}


def model_sha256(model: str | None) -> str:
    """Hash of the files of a model; raises `CheckpointError` if it is not there. Read once in a process."""
    return _hashes(model)[0]


def transformer_sha256(model: str | None) -> str:
    """Hash of the weights of a model's transformer: of one file its own, of several that of their names and hashes."""
    return _hashes(model)[1]


@cache
def _hashes(model: str | None) -> tuple[str, str]:
    from holocine.checkpoints import find_model

    digests = model_digests(find_model(model))
    weights = {name: digest for name, digest in digests.items() if re.fullmatch(r"transformer/.*\.safetensors", name)}
    return _joined(digests), next(iter(weights.values())) if len(weights) == 1 else _joined(weights)


def folder_sha256(folder: Path) -> str:
    """Hash of names and contents of all configs and weights of a pipeline; what else lies there does not count."""
    return _joined(model_digests(folder))


def file_sha256(path: Path) -> str:
    """Hash of what a file holds."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a pipeline that counts, by its place in the folder."""
    found = {}
    patterns = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.model")
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        found[path.relative_to(folder).as_posix()] = file_sha256(path)
    return found


def _joined(digests: dict[str, str]) -> str:
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in digests.items()).encode()).hexdigest()


class Models:
    """The pipelines that one process has loaded: one of each kind at a time, as several may not fit into memory.

    seconds: what loading them has taken so far.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[tuple, Any]] = {}
        self.seconds = 0.0

    def pipeline(self, settings: ModelSettings) -> HoloCinePipeline:
        """The text-to-video pipeline; raises `CheckpointError`."""

        def load() -> HoloCinePipeline:
            from holocine import load_pipeline
            from holocine.checkpoints import hide_loading_bars

            hide_loading_bars()
            return load_pipeline(settings.model, **settings.loading)

        return self._load("text-to-video", (settings.model, tuple(settings.loading.items())), load)

    def image_to_video(self, folder: str, settings: ModelSettings) -> WanImageToVideoPipeline:
        """Diffusers' pipeline in `folder` (or of a hub id); raises `CheckpointError`."""

        def load() -> WanImageToVideoPipeline:
            return _load_image_to_video(folder, settings)

        return self._load("image-to-video", (folder, tuple(settings.loading.items())), load)

    def text_to_image(self, settings: ModelSettings) -> DiffusionPipeline:
        """The pipeline of diffusers that draws pictures; raises `CheckpointError`."""

        def load() -> DiffusionPipeline:
            return _load_text_to_image(settings)

        return self._load("text-to-image", (settings.model, tuple(settings.loading.items())), load)

    def _load(self, kind: str, key: tuple, load) -> Any:
        if self._loaded.get(kind, (None,))[0] != key:
            self._loaded.pop(kind, None)  # before the next is loaded
            start = time.perf_counter()
            _hand_on_messages()
            pipeline = load()
            self.seconds += time.perf_counter() - start
            pipeline.set_progress_bar_config(disable=True)
            self._loaded[kind] = key, pipeline
        return self._loaded[kind][1]


def _hand_on_messages() -> None:
    """Have what diffusers and transformers tell logged as all else is: in a run that is in the item's log."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_default_handler()
        library.utils.logging.enable_propagation()


def check_image_to_video(folder: Path) -> None:
    """Raise `CheckpointError` unless a folder is that of an image-to-video model."""
    from holocine.errors import CheckpointError

    index = folder / "model_index.json"
    found = json.loads(index.read_text(encoding="utf-8")).get("_class_name") if index.is_file() else None
    if found != "WanImageToVideoPipeline":
        raise CheckpointError(
            f"{folder} is a {found or 'folder without model_index.json'}, not a WanImageToVideoPipeline, which is what "
            "sets first frames in motion (keyframe:FOLDER): name one, or leave it out (keyframe@MODEL)"
        )


def _load_image_to_video(name: str, settings: ModelSettings) -> WanImageToVideoPipeline:
    import torch
    from diffusers import WanImageToVideoPipeline

    from holocine.finding import find_model

    folder = find_model(name)
    check_image_to_video(folder)
    dtypes = {"default": _dtype(settings), "vae": torch.float32}
    pipeline = _load_whole(WanImageToVideoPipeline, folder, dtypes, "an image-to-video model")
    if settings.vae_tiling:
        pipeline.vae.enable_tiling()
    return _placed(pipeline, settings)


def _load_text_to_image(settings: ModelSettings) -> DiffusionPipeline:
    from diffusers import DiffusionPipeline

    from holocine.checkpoints import find_model

    folder = find_model(settings.model)
    return _placed(_load_whole(DiffusionPipeline, folder, _dtype(settings), "a text-to-image model"), settings)


def _load_whole(kind: type[DiffusionPipeline], folder: Path, dtype: Any, what: str) -> Any:
    from holocine.checkpoints import CheckpointError, first_line, hide_loading_bars

    hide_loading_bars()
    try:
        return kind.from_pretrained(folder, dtype=dtype, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{folder} cannot be loaded as {what}: {first_line(error)}") from error


def _dtype(settings: ModelSettings) -> torch.dtype:
    import torch

    if settings.dtype:
        return getattr(torch, settings.dtype)
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def _placed(pipeline: DiffusionPipeline, settings: ModelSettings) -> Any:
    import torch

    if settings.model_cpu_offload:
        pipeline.enable_model_cpu_offload(device=settings.device)
    else:
        pipeline.to(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return pipeline
