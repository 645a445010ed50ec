"""From the name of an encoder to the encoder. Nothing is downloaded that was not asked for by its name."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.encoders.known import AESTHETIC_HEAD, check_hub, known

if TYPE_CHECKING:
    import torch

    from eval.encoders.models import AestheticPredictor, ClipEncoder, FeatureEncoder, Source, TimmEncoder

logger = logging.getLogger(__name__)

PUPPET_ID = "puppet-clip"
PUPPET_FOLDER = Path(__file__).resolve().parents[1] / "puppet_clip"
FOLDER, _HUB = "local-dir:", "hf-hub:"  # open_clip's own marks
WEIGHTS = "open_clip_model.safetensors"
_UNKNOWN_LICENCE = "not known here; see where the weights come from"
_HOW_TO_NAME = (
    "name one as ViT-B-32:laion2b_s34b_b79k, as MODEL:CHECKPOINT_FILE, as hf-hub:OWNER/NAME, or give a folder with "
    "open_clip_config.json"
)


class EncoderError(ValueError):
    """An encoder that was asked for by name cannot be had; the message says which, why and what to do."""


def resolved(spec: str) -> str:
    """A spec of the user's in the form that `load_clip` takes."""
    if Path(spec).is_dir():
        return f"{FOLDER}{Path(spec).resolve()}"
    return spec


@lru_cache(maxsize=2)
def load_clip(spec: str, device: torch.device) -> ClipEncoder:
    """An open_clip model by "MODEL:TAG", "MODEL:FILE", "hf-hub:…" or "local-dir:FOLDER"."""
    import open_clip

    from eval.encoders.models import ClipEncoder

    try:
        if spec.startswith((FOLDER, _HUB)):
            name, weights, settings = spec, _weights_of(spec), {}
        else:
            name, weights, settings = _named(spec)
            settings["pretrained"] = str(weights)
        model, _, preprocess = open_clip.create_model_and_transforms(name, device=device, **settings)
        tokenizer = open_clip.get_tokenizer(name)
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(f"the encoder {spec} cannot be loaded: {error}") from error
    return ClipEncoder(_source(spec, weights), model, preprocess, tokenizer)


def _named(spec: str) -> tuple[str, Path, dict[str, Any]]:
    """Model name, weights and settings of "MODEL:TAG" or "MODEL:FILE"; downloads the weights of a tag if need be."""
    import open_clip
    from open_clip.pretrained import download_pretrained

    name, _, tag = spec.partition(":")
    if name not in open_clip.list_models() or not tag:
        raise EncoderError(f"{spec!r} is no encoder: {_HOW_TO_NAME}")
    if Path(tag).is_file():
        return name, Path(tag), {}
    config = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise EncoderError(f"{tag!r} is neither a file nor weights of {name} (known: {tags})")
    weights = (here := known(spec)) and here.weights()
    if weights is None:
        logger.info("downloading the weights of %s", spec)
        wanted = f"the weights of {spec}" + (f" ({here.megabytes} MB)" if here else "")
        try:
            if config.get("hf_hub"):
                check_hub(wanted)
            weights = Path(download_pretrained(config))
        except Exception as error:
            said = str(error)
            raise EncoderError(said if wanted in said else f"{wanted} cannot be downloaded: {said}") from error
    return (
        name,
        weights,
        {
            "force_quick_gelu": config.get("quick_gelu", False),
            "image_mean": config.get("mean"),
            "image_std": config.get("std"),
            "image_interpolation": config.get("interpolation"),
            "image_resize_mode": config.get("resize_mode"),
        },
    )


def _weights_of(spec: str) -> Path:
    """The weights' file of a folder or a Hub repository in open_clip's format."""
    if spec.startswith(_HUB):
        from open_clip.pretrained import download_pretrained_from_hf

        check_hub(spec)
        return Path(download_pretrained_from_hf(spec.removeprefix(_HUB)))
    folder = Path(spec.removeprefix(FOLDER))
    if not (folder / "open_clip_config.json").is_file():
        raise EncoderError(f"{folder} has no open_clip_config.json: {_HOW_TO_NAME}")
    files = [folder / WEIGHTS, *sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.bin"))]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise EncoderError(f"{folder} has no weights: put {WEIGHTS} there")
    return found


def features_of(clip: ClipEncoder) -> FeatureEncoder:
    from eval.encoders.models import FeatureEncoder, Source

    source = Source(f"{clip.id}:features", clip.sha256, clip.licence, clip.download_mb)
    return FeatureEncoder(source, clip.model, clip.preprocess)


@lru_cache(maxsize=2)
def load_timm(spec: str, device: torch.device) -> TimmEncoder:
    """A timm model by "NAME", downloaded if need be, or "NAME:FILE"."""
    import timm
    from timm.data import create_transform, resolve_model_data_config

    from eval.encoders.models import TimmEncoder

    name, _, file = spec.partition(":")
    if not timm.is_model(name):
        raise EncoderError(f"{spec!r} is no model of timm's: name one such as vit_base_patch16_224.dino")
    if file and not Path(file).is_file():
        raise EncoderError(f"{file} is not a file: give the checkpoint of {name}, or {name} alone to download it")
    weights = Path(file) if file else (here := known(name)) and here.weights()
    try:
        if weights is None:
            from huggingface_hub import hf_hub_download

            repository = timm.models.get_pretrained_cfg(name).hf_hub_id
            logger.info("downloading the weights of %s", name)
            check_hub(f"the weights of {name}")
            weights = Path(hf_hub_download(repository, "model.safetensors"))
        overlay = {"file": str(weights)}
        model = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except Exception as error:
        raise EncoderError(f"the encoder {spec} cannot be loaded: {error}") from error
    preprocess = create_transform(**resolve_model_data_config(model), is_training=False)
    licence = timm.models.get_pretrained_cfg(name).license or _UNKNOWN_LICENCE
    return TimmEncoder(_source(spec, weights, licence), model.to(device), preprocess)


def load_aesthetic(path: Path, clip: Any) -> AestheticPredictor:
    from eval.encoders.models import AestheticPredictor
    from holocine.checkpoints import CheckpointError
    from holocine.released import open_tensors, some

    try:
        file = open_tensors(path)
        if missing := {"weight", "bias"} - set(file.shapes):
            raise CheckpointError(f"it has no {' or '.join(sorted(missing))}, but {some(file.shapes)}")
        weight, bias = (file.read(name).double().numpy().reshape(-1) for name in ("weight", "bias"))
    except CheckpointError as error:
        raise EncoderError(f"{path} is not LAION's predictor ({AESTHETIC_HEAD}): {error}") from None
    if len(weight) != clip.dim:
        raise EncoderError(f"{path} rates vectors of {len(weight)} values, but {clip.id} gives {clip.dim}")
    return AestheticPredictor(_source(path.name, path, "MIT"), clip, weight, float(bias[0]))


def _source(spec: str, weights: Path, licence: str | None = None) -> Source:
    from eval.encoders.models import Source

    name, _, rest = spec.partition(":")
    if spec == f"{FOLDER}{PUPPET_FOLDER}":
        return Source(PUPPET_ID, _sha256(weights), "Apache-2.0", 0.0)
    if spec.startswith(FOLDER):
        name_of_weights = Path(rest).name
    elif rest and not spec.startswith(_HUB) and Path(rest).is_file():
        name_of_weights = f"{name}:{Path(rest).name}"
    else:
        name_of_weights = spec
    licence = licence or (known(spec).licence if known(spec) else _UNKNOWN_LICENCE)
    return Source(name_of_weights, _sha256(weights), licence, round(weights.stat().st_size / 1e6, 1))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
