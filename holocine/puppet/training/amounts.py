"""How much of everything a training is given. Light to import: the command line lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Minutes of computing for every trained part, how much data they are given, and what they run on.

    device: "auto" for a GPU if there is one.
    """

    scene_shards: int = 300
    still_shards: int = 80
    vae: float = 240.0
    decoder: float = 240.0
    text: float = 15.0
    judge: float = 10.0
    transformer: float = 480.0
    distillation: float = 240.0
    device: str = "auto"
    batch_scale: int = 1
