"""From the name of an encoder to the encoder. Nothing is downloaded that was not asked for by its name."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.encoders.cache import RememberingEncoder
from eval.encoders.known import AESTHETIC_CLIP, AESTHETIC_HEAD, KNOWN, downloaded, known
from eval.encoders.theatre import is_of_the_theatre
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    import torch

    from eval.encoders.models import AestheticPredictor, ClipEncoder, FeatureEncoder, Source, TimmEncoder

logger = logging.getLogger(__name__)

PUPPET, PUPPET_ID = "puppet", "puppet-clip"
PUPPET_FOLDER = Path(__file__).resolve().parents[1] / "puppet_clip"
_FOLDER, _HUB = "local-dir:", "hf-hub:"  # open_clip's own marks
_WEIGHTS = "open_clip_model.safetensors"
_UNKNOWN_LICENCE = "not known here; see where the weights come from"
_HOW_TO_NAME = (
    "name one as ViT-B-32:laion2b_s34b_b79k, as MODEL:CHECKPOINT_FILE, as hf-hub:OWNER/NAME, or give a folder with "
    "open_clip_config.json"
)


class EncoderError(ValueError):
    """An encoder that was asked for by name cannot be had; the message says which, why and what to do."""


@dataclass(frozen=True, eq=False)
class Encoders:
    """The models that look at a video. What is None has its reason in `missing`, by field name."""

    clip: ClipEncoder | RememberingEncoder | None = None
    dino: TimmEncoder | FeatureEncoder | RememberingEncoder | None = None
    aesthetic: AestheticPredictor | None = None
    missing: dict[str, str] = field(default_factory=dict)


def load_encoders(
    spec: str | os.PathLike | Encoders = "auto",
    storyboard: Storyboard | None = None,
    *,
    dino: str = "auto",
    aesthetic: str | os.PathLike | None = None,
    device: str | torch.device | None = None,
    cache: str | os.PathLike | None = None,
) -> Encoders:
    """Load the encoders for a video.

    spec: the CLIP model. "puppet" is the embedded one, which knows the puppet theatre alone; "ViT-B-32:openai" is a
        model and weights by open_clip's names, downloaded if need be; "ViT-B-32:FILE" a checkpoint of one's own,
        "hf-hub:OWNER/NAME" and a folder are open_clip's own formats. A file of OpenAI's weights needs a name that ends
        in -quickgelu, as open_clip calls their activation. "auto" takes the embedded one for a storyboard of
        the theatre, and for any other a known one that was downloaded before.
    dino: "auto" or a name of timm's, with ":FILE" behind it for a checkpoint of one's own. In the theatre "auto" is the
        embedded CLIP's image tower before its last layer, whose id says so.
    aesthetic: the weights of LAION's linear predictor for CLIP ViT-L/14.
    device: "cpu", "cuda", …; a GPU if there is one by default.
    cache: a folder that keeps embeddings from one run to the next.

    Raises EncoderError if something that was asked for by name cannot be had.
    """
    if isinstance(spec, Encoders):
        return spec
    device = _device(device)
    folder = Path(cache) if cache is not None else None
    in_theatre = storyboard is not None and is_of_the_theatre(storyboard)
    missing: dict[str, str | None] = {}
    clip, missing["clip"] = _choose_clip(os.fspath(spec), storyboard, in_theatre, device)
    frames, missing["dino"] = _choose_dino(dino, clip, device)
    if clip is not None and (folder is not None or aesthetic is not None):
        clip = RememberingEncoder(clip, folder)
    if frames is not None and folder is not None:
        frames = RememberingEncoder(frames, folder)
    predictor, missing["aesthetic"] = _choose_aesthetic(aesthetic, clip, folder, device)
    return Encoders(clip, frames, predictor, {name: reason for name, reason in missing.items() if reason})


def list_encoders() -> list[dict[str, Any]]:
    """What can be used here now and what is missing: for each encoder its role, spec, licence, size and how to get it.

    `here`: whether its weights are on this machine.
    """
    rows: list[dict[str, Any]] = [
        {
            "role": "clip",
            "spec": PUPPET,
            "here": (PUPPET_FOLDER / _WEIGHTS).is_file(),
            "megabytes": 0,
            "licence": "Apache-2.0",
            "how": "part of this repository; for videos of the puppet theatre only",
        },
        *(
            {
                "role": encoder.role,
                "spec": encoder.spec,
                "here": encoder.weights() is not None,
                "megabytes": encoder.megabytes,
                "licence": encoder.licence,
                "how": f"downloaded from huggingface.co/{encoder.hub} when it is asked for by name",
            }
            for encoder in KNOWN
        ),
        {
            "role": "aesthetic",
            "spec": AESTHETIC_HEAD,
            "here": False,
            "megabytes": 0,
            "licence": "MIT",
            "how": f"give the file, from github.com/LAION-AI/aesthetic-predictor; it works on {AESTHETIC_CLIP}",
        },
    ]
    return rows


def _choose_clip(
    spec: str, storyboard: Storyboard | None, in_theatre: bool, device: torch.device
) -> tuple[ClipEncoder | None, str | None]:
    """The CLIP model for a spec, or None and the reason."""
    if spec == PUPPET and storyboard is not None and not in_theatre:
        return None, f"the embedded CLIP knows the puppet theatre alone, this storyboard is of another world; {_ask()}"
    if spec == PUPPET or (spec == "auto" and in_theatre):
        return _load_clip(f"{_FOLDER}{PUPPET_FOLDER}", device), None
    if spec != "auto":
        return _load_clip(_resolved(spec), device), None
    if (here := downloaded("clip")) is not None:
        return _load_clip(here.spec, device), None
    if storyboard is None:
        return None, f"without a storyboard it is not known which CLIP model knows this video; {_ask()}"
    return None, f"no CLIP model that knows this video is on this machine; {_ask()}"


def _ask() -> str:
    first = KNOWN[0]
    return f"ask for {first.spec} by name to download one ({first.megabytes} MB, {first.licence}), or give a folder"


def _choose_dino(
    spec: str, clip: ClipEncoder | None, device: torch.device
) -> tuple[TimmEncoder | FeatureEncoder | None, str | None]:
    """The model for VBench's subject consistency, or None and the reason."""
    if spec != "auto":
        return _load_timm(spec, device), None
    if clip is not None and clip.id == PUPPET_ID:
        return _features_of(clip), None
    if (here := downloaded("dino")) is not None:
        return _load_timm(here.spec, device), None
    first = next(encoder for encoder in KNOWN if encoder.role == "dino")
    return None, (
        f"no DINO model is on this machine; ask for {first.spec} by name to download it ({first.megabytes} MB, "
        f"{first.licence})"
    )


def _choose_aesthetic(
    path: str | os.PathLike | None,
    clip: ClipEncoder | RememberingEncoder | None,
    folder: Path | None,
    device: torch.device,
) -> tuple[AestheticPredictor | None, str | None]:
    """LAION's predictor on the CLIP model it was made for, or None and the reason."""
    needed = known(AESTHETIC_CLIP)
    if path is None:
        return None, (
            f"LAION's aesthetic predictor needs its own weights ({AESTHETIC_HEAD}, 4 kB, from github.com/LAION-AI/"
            f"aesthetic-predictor) and {AESTHETIC_CLIP} ({needed.megabytes} MB)"
        )
    if clip is None or not _is_for_aesthetics(clip.id):
        if needed.weights() is None:
            return None, (
                f"LAION's aesthetic predictor works on {AESTHETIC_CLIP}, which is not on this machine; ask for it by "
                f"name to download it ({needed.megabytes} MB, {needed.licence})"
            )
        clip = RememberingEncoder(_load_clip(AESTHETIC_CLIP, device), folder)
    return _load_aesthetic(Path(path), clip), None


def _is_for_aesthetics(clip_id: str) -> bool:
    """Whether a model is OpenAI's ViT-L/14, or one of the user's own in its shape."""
    return clip_id == AESTHETIC_CLIP or (clip_id.startswith("ViT-L-14:") and known(clip_id) is None)


def _resolved(spec: str) -> str:
    """A spec of the user's in the form that `_load_clip` takes."""
    if Path(spec).is_dir():
        return f"{_FOLDER}{Path(spec).resolve()}"
    return spec


@lru_cache(maxsize=2)
def _load_clip(spec: str, device: torch.device) -> ClipEncoder:
    """An open_clip model by "MODEL:TAG", "MODEL:FILE", "hf-hub:…" or "local-dir:FOLDER"."""
    import open_clip

    from eval.encoders.models import ClipEncoder

    try:
        if spec.startswith((_FOLDER, _HUB)):
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
        try:
            weights = Path(download_pretrained(config))
        except Exception as error:
            size = f" ({here.megabytes} MB)" if here else ""
            raise EncoderError(f"the weights of {spec}{size} cannot be downloaded: {error}") from error
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

        return Path(download_pretrained_from_hf(spec.removeprefix(_HUB)))
    folder = Path(spec.removeprefix(_FOLDER))
    if not (folder / "open_clip_config.json").is_file():
        raise EncoderError(f"{folder} has no open_clip_config.json: {_HOW_TO_NAME}")
    files = [folder / _WEIGHTS, *sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.bin"))]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise EncoderError(f"{folder} has no weights: put {_WEIGHTS} there")
    return found


def _features_of(clip: ClipEncoder) -> FeatureEncoder:
    from eval.encoders.models import FeatureEncoder, Source

    source = Source(f"{clip.id}:features", clip.sha256, clip.licence, clip.download_mb)
    return FeatureEncoder(source, clip.model, clip.preprocess)


@lru_cache(maxsize=2)
def _load_timm(spec: str, device: torch.device) -> TimmEncoder:
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
            weights = Path(hf_hub_download(repository, "model.safetensors"))
        overlay = {"file": str(weights)}
        model = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except Exception as error:
        raise EncoderError(f"the encoder {spec} cannot be loaded: {error}") from error
    preprocess = create_transform(**resolve_model_data_config(model), is_training=False)
    licence = timm.models.get_pretrained_cfg(name).license or _UNKNOWN_LICENCE
    return TimmEncoder(_source(spec, weights, licence), model.to(device), preprocess)


def _load_aesthetic(path: Path, clip: Any) -> AestheticPredictor:
    from eval.encoders.models import AestheticPredictor

    try:
        state = _read_tensors(path)
        weight, bias = (state[name].double().numpy().reshape(-1) for name in ("weight", "bias"))
    except Exception as error:
        raise EncoderError(f"{path} is not LAION's predictor ({AESTHETIC_HEAD}): {error}") from error
    if len(weight) != clip.dim:
        raise EncoderError(f"{path} rates vectors of {len(weight)} values, but {clip.id} gives {clip.dim}")
    return AestheticPredictor(_source(path.name, path, "MIT"), clip, weight, float(bias[0]))


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _source(spec: str, weights: Path, licence: str | None = None) -> Source:
    from eval.encoders.models import Source

    name, _, rest = spec.partition(":")
    if spec == f"{_FOLDER}{PUPPET_FOLDER}":
        return Source(PUPPET_ID, _sha256(weights), "Apache-2.0", 0.0)
    if spec.startswith(_FOLDER):
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


def _device(device: str | torch.device | None) -> torch.device:
    import torch

    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
