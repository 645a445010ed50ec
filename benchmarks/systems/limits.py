"""What Wan's own models were made for: size, rate and length."""

from __future__ import annotations

from dataclasses import dataclass

from holocine.checkpoints import SIZE, SIZE_5B

IN_TIME = {"align": "seconds"}  # how to compare: rates and lengths are the model's own


@dataclass(frozen=True)
class Limits:
    """fps; frames: at most; height, width: pixels."""

    fps: float
    frames: int
    height: int
    width: int


WAN = Limits(16.0, 81, *SIZE)  # Wan2.1 and Wan2.2-A14B
WAN_5B = Limits(24.0, 121, *SIZE_5B)  # Wan2.2-TI2V-5B


def limits_of(expand_timesteps: bool) -> Limits:
    """The limits of a pipeline; expand_timesteps: its config's, which only Wan2.2-TI2V-5B has."""
    return WAN_5B if expand_timesteps else WAN
