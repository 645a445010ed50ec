"""The scheduler that each family's folder is written with."""

from __future__ import annotations

from diffusers import SchedulerMixin

from holocine.families.cinetrans.scheduler import CineTransScheduler
from holocine.families.echoshot.scheduler import EchoShotScheduler
from holocine.families.longlive.scheduler import LongLiveScheduler
from holocine.families.storymem.scheduler import StoryMemScheduler
from holocine.scheduler import HoloCineScheduler

SHOTSTREAM_SHIFT = 8.0


def scheduler_of(family: str) -> SchedulerMixin:
    """A new scheduler as the family was sampled with; of ShotStream only its shift is used."""
    if family == "shotstream":
        return HoloCineScheduler(shift=SHOTSTREAM_SHIFT)
    known = {
        "echoshot": EchoShotScheduler,
        "cinetrans": CineTransScheduler,
        "longlive": LongLiveScheduler,
        "storymem": StoryMemScheduler,
    }
    return known[family]()
