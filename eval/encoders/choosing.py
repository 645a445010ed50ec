"""Which encoders look at a video: those asked for by name, or those that know its world and are at hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.encoders.cache import RememberingEncoder
from eval.encoders.known import AESTHETIC_CLIP, AESTHETIC_HEAD, KNOWN, downloaded, known, recommended
from eval.encoders.loading import (
    FOLDER,
    PUPPET_FOLDER,
    PUPPET_ID,
    WEIGHTS,
    EncoderError,
    features_of,
    load_aesthetic,
    load_clip,
    load_timm,
    resolved,
)
from eval.encoders.theatre import is_of_the_theatre
from holocine.checkpoints import find_device
from holocine.hub import cached_file
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    import torch

    from eval.encoders.models import AestheticPredictor, ClipEncoder, FeatureEncoder, TimmEncoder

PUPPET = "puppet"
NONE = "none"
_GETS_ONE = "`python -m eval encoders --download` gets one"
ENVIRONMENT = "HOLOCINE_ENCODERS"  # CLIP[,DINO] that "auto" takes for what is not of the theatre, for a Space


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
        the theatre, and for any other the one that the environment's HOLOCINE_ENCODERS names, or else the best known
        one that was downloaded before.
    dino: "auto" or a name of timm's, with ":FILE" behind it for a checkpoint of one's own. In the theatre "auto" is the
        embedded CLIP's image tower before its last layer, whose id says so.
    aesthetic: the weights of LAION's linear predictor for CLIP ViT-L/14.
    device: "cpu", "cuda", …; a GPU if there is one by default.
    cache: a folder that keeps embeddings from one run to the next.

    Raises EncoderError if something that was asked for by name cannot be had.
    """
    if isinstance(spec, Encoders):
        return spec
    device = find_device(device)
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
    from eval.encoders.open_vocabulary import EXAMPLE, MEGABYTES

    rows: list[dict[str, Any]] = [
        {
            "role": "clip",
            "spec": PUPPET,
            "here": (PUPPET_FOLDER / WEIGHTS).is_file(),
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
        {
            "role": "finder",
            "spec": PUPPET,
            "here": True,
            "megabytes": 1,
            "licence": "Apache-2.0",
            "how": "part of this repository; finds the characters of the puppet theatre alone",
        },
        {
            "role": "finder",
            "spec": "owlv2",
            "here": cached_file(EXAMPLE, ("model.safetensors", "pytorch_model.bin")) is not None,
            "megabytes": MEGABYTES,
            "licence": "Apache-2.0",
            "how": f"downloaded from huggingface.co/{EXAMPLE} when --boxes owlv2 asks for it; or give its folder",
        },
    ]
    return rows


def _choose_clip(
    spec: str, storyboard: Storyboard | None, in_theatre: bool, device: torch.device
) -> tuple[ClipEncoder | None, str | None]:
    """The CLIP model for a spec, or None and the reason."""
    if spec == NONE:
        return None, "no CLIP model was wanted"
    if spec == PUPPET and storyboard is not None and not in_theatre:
        return None, f"the embedded CLIP knows the puppet theatre alone, this storyboard is of another world; {_ask()}"
    if spec == PUPPET or (spec == "auto" and in_theatre):
        return load_clip(f"{FOLDER}{PUPPET_FOLDER}", device), None
    if spec != "auto":
        return load_clip(resolved(spec), device), None
    if (named := _named("clip")) is not None:
        try:
            return load_clip(resolved(named), device), None
        except EncoderError as error:
            raise EncoderError(f"{error} (it is what the environment's {ENVIRONMENT} names)") from None
    if (here := downloaded("clip")) is not None:
        return load_clip(here.spec, device), None
    if storyboard is None:
        return None, f"without a storyboard it is not known which CLIP model knows this video; {_ask()}"
    return None, f"no CLIP model that knows this video is on this machine; {_ask()}"


def _named(role: str) -> str | None:
    """What the environment names for a role."""
    specs = [spec.strip() for spec in os.environ.get(ENVIRONMENT, "").split(",")]
    return dict(zip(("clip", "dino"), specs, strict=False)).get(role) or None


def _ask() -> str:
    first = recommended("clip")
    return (
        f"{_GETS_ONE}, or --encoders {first.spec} by name ({first.megabytes} MB, {first.licence}); a folder with one "
        f"does, too, and {ENVIRONMENT} names one for a Space"
    )


def _choose_dino(
    spec: str, clip: ClipEncoder | None, device: torch.device
) -> tuple[TimmEncoder | FeatureEncoder | None, str | None]:
    """The model for VBench's subject consistency, or None and the reason."""
    if spec != "auto":
        return load_timm(spec, device), None
    if clip is not None and clip.id == PUPPET_ID:
        return features_of(clip), None
    if (named := _named("dino")) is not None:
        return load_timm(named, device), None
    if (here := downloaded("dino")) is not None:
        return load_timm(here.spec, device), None
    first = recommended("dino")
    return None, (
        f"no DINO model is on this machine; {_GETS_ONE}, or --dino {first.spec} by name "
        f"({first.megabytes} MB, {first.licence})"
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
    if not Path(path).is_file():
        raise EncoderError(f"{path} is not a file: give LAION's predictor ({AESTHETIC_HEAD})")
    if clip is None or not _is_for_aesthetics(clip.id):
        if needed.weights() is None:
            return None, (
                f"LAION's aesthetic predictor works on {AESTHETIC_CLIP}, which is not on this machine; ask for it by "
                f"name to download it ({needed.megabytes} MB, {needed.licence})"
            )
        clip = RememberingEncoder(load_clip(AESTHETIC_CLIP, device), folder)
    return load_aesthetic(Path(path), clip), None


def _is_for_aesthetics(clip_id: str) -> bool:
    """Whether a model is OpenAI's ViT-L/14, or one of the user's own in its shape."""
    return clip_id == AESTHETIC_CLIP or (clip_id.startswith("ViT-L-14:") and known(clip_id) is None)
