"""Encoders that are known by name: what they are for, how big their weights are, where these are once downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holocine.hub import cached_file, hub_problem

_OPEN_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
AESTHETIC_CLIP = "ViT-L-14:openai"
AESTHETIC_HEAD = "sa_0_4_vit_l_14_linear.pth"


@dataclass(frozen=True)
class Known:
    """`spec`: what to ask for. `hub`: repository of the weights on the Hugging Face Hub, `megabytes` in size."""

    role: Literal["clip", "dino"]
    spec: str
    hub: str
    megabytes: int
    licence: str

    def weights(self) -> Path | None:
        """The weights' file where an earlier download left it; None if it is not on this machine."""
        return cached_file(self.hub, _OPEN_CLIP_FILES if self.role == "clip" else _TIMM_FILES)


KNOWN = (
    Known("clip", "ViT-L-14:laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 1711, "MIT"),
    Known("clip", "ViT-B-16:laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 599, "MIT"),
    Known("clip", "ViT-B-32:laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605, "MIT"),
    Known("clip", AESTHETIC_CLIP, "timm/vit_large_patch14_clip_224.openai", 1711, "MIT"),
    Known("clip", "ViT-B-32:openai", "timm/vit_base_patch32_clip_224.openai", 605, "MIT"),
    Known("dino", "vit_base_patch16_224.dino", "timm/vit_base_patch16_224.dino", 343, "Apache-2.0"),
    Known("dino", "vit_small_patch16_224.dino", "timm/vit_small_patch16_224.dino", 87, "Apache-2.0"),
    Known("dino", "vit_base_patch14_dinov2.lvd142m", "timm/vit_base_patch14_dinov2.lvd142m", 346, "Apache-2.0"),
)
"""The best first: "auto" takes the first of its role that is on this machine."""

RECOMMENDED = ("ViT-B-32:laion2b_s34b_b79k", "vit_base_patch16_224.dino")
"""What is downloaded where nothing is named: a CLIP that a CPU runs too, and the DINO of VBench."""


def known(spec: str) -> Known | None:
    return next((encoder for encoder in KNOWN if encoder.spec == spec), None)


def downloaded(role: str) -> Known | None:
    """The first known encoder of a role whose weights are on this machine."""
    return next((encoder for encoder in KNOWN if encoder.role == role and encoder.weights()), None)


def recommended(role: str) -> Known:
    return next(encoder for encoder in map(known, RECOMMENDED) if encoder.role == role)


def wanting() -> tuple[Known, ...]:
    """The recommended encoders of those roles for which nothing is on this machine."""
    return tuple(recommended(role) for role in ("clip", "dino") if downloaded(role) is None)


def fetch(encoder: Known) -> Path:
    """Download the weights of a known encoder, with a bar on stderr where somebody looks; what is there is kept.

    Raises OSError, in one sentence, if they cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    where = f"{encoder.spec} ({encoder.megabytes} MB, huggingface.co/{encoder.hub})"
    check_hub(where)
    for name in _OPEN_CLIP_FILES if encoder.role == "clip" else _TIMM_FILES:
        try:
            return Path(hf_hub_download(encoder.hub, name))
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):  # which it also raises where the connection was lost
                raise _not_had(where, error) from None
        except (HfHubHTTPError, OSError) as error:
            raise _not_had(where, error) from None
    raise OSError(f"{where} cannot be downloaded: none of the files that its weights can be is there")


def check_hub(wanted: str) -> None:
    """Raise OSError, in one sentence, if the Hub does not answer within some seconds; `wanted`: what from there."""
    if problem := hub_problem():
        raise OSError(
            f"{wanted} cannot be downloaded: {problem}; where there is no network, give the weights as a file or a "
            "folder"
        )


def _not_had(where: str, error: Exception) -> OSError:
    return OSError(f"{where} cannot be downloaded: {str(error).splitlines()[0]}")
