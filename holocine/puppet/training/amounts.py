"""How much of everything a training is given. Light to import: the command line lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Minutes of computing for every trained part, how much data they are given, and what they run on.

    first_shard: number of the first shard. Its scenes follow from its number: a further round learns more from those
        that no round before it has seen.
    device: "auto" for a GPU if there is one.
    """

    scene_shards: int = 300
    still_shards: int = 80
    first_shard: int = 0
    vae: float = 240.0
    decoder: float = 240.0
    text: float = 15.0
    judge: float = 60.0
    transformer: float = 480.0
    distillation: float = 240.0
    device: str = "auto"
    batch_scale: int = 1

    def __post_init__(self) -> None:
        if self.first_shard < 0:
            raise ValueError(f"the first shard is {self.first_shard}: shards are numbered from 0")

    @property
    def scenes(self) -> range:
        """Numbers of the shards of whole scenes."""
        return range(self.first_shard, self.first_shard + self.scene_shards)

    @property
    def stills(self) -> range:
        """Numbers of the shards of stills."""
        return range(self.first_shard, self.first_shard + self.still_shards)
