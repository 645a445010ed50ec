"""The latents of a video, in a safetensors file beside it: what is kept of the video later is then exact."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from holocine.files import replacing

if TYPE_CHECKING:
    import torch

FORMAT = "holocine-latents/1"
NAME = "latents"


class LatentsError(ValueError):
    """A file that holds no latents. The message is one sentence."""


def latents_path(video: str | os.PathLike) -> Path:
    """Where the latents of a video lie: scene.latents.safetensors beside scene.mp4."""
    return Path(video).with_suffix(".latents.safetensors")


def remove_stale(video: str | os.PathLike) -> list[str]:
    """Remove the latents of a video that another has taken the place of; returns a sentence if there were any."""
    path = latents_path(video)
    try:
        read_latents(path)
    except (LatentsError, OSError):  # none, or somebody else's file
        return []
    path.unlink()
    return [f"{path} held the latents of the video that was there before, and is removed"]


def digest(latents: torch.Tensor) -> str:
    """What tells these latents from others: 16 hexadecimal digits."""
    return hashlib.sha256(latents.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()[:16]


def write_latents(path: str | os.PathLike, latents: torch.Tensor, made_by: str | None) -> str:
    """Write latents (channels, latent frames, height, width) as float32 and return their digest.

    made_by: the fingerprint of their VAE. The file appears complete or not at all.
    """
    from safetensors.torch import save

    found = digest(latents)
    note = json.dumps({"format": FORMAT, "made_by": made_by, "digest": found})
    with replacing(path) as temporary:
        temporary.write_bytes(save({NAME: latents.detach().cpu().float().contiguous()}, {"holocine": note}))
    return found


def read_latents(path: str | os.PathLike) -> tuple[torch.Tensor, str | None]:
    """The latents in a file and the fingerprint of their VAE; raises `LatentsError` if there are none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {}).get("holocine", "{}"))
            if note.get("format") != FORMAT:
                raise LatentsError(f"{path} holds no latents of a video")
            return file.get_tensor(NAME), note["made_by"]
    except FileNotFoundError:
        raise LatentsError(f"{path} does not exist") from None
    except SafetensorError:
        raise LatentsError(f"{path}, {os.path.getsize(path):,} bytes, is damaged or cut short") from None
    except (json.JSONDecodeError, KeyError, AttributeError):
        raise LatentsError(f"{path} holds no latents of a video that can be read") from None
