"""How a video came about, as its MP4 remembers: which take each shot is, and what its latents are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from holocine.decoding import VideoError


@dataclass(frozen=True)
class Take:
    """Which take a shot is, counted from 1, and the seed of its noise; None where that is not known.

    settings: those that it was made with where they are others than the video's; None is for one that it had not.
    """

    number: int = 1
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        return plain if plain["settings"] else {name: plain[name] for name in ("number", "seed")}


@dataclass(frozen=True)
class Making:
    """takes: of each shot. vae: the fingerprint of the VAE that decoded it. latents: the digest of the latents that lie
    beside the video, None where none were kept.
    """

    takes: tuple[Take, ...]
    vae: str | None = None
    latents: str | None = None

    @classmethod
    def in_one_go(cls, num_shots: int, seed: int | None, vae: str | None = None) -> Making:
        """Of a video whose shots were all made together."""
        return cls((Take(seed=seed),) * num_shots, vae)

    def retaken(
        self, shots: Iterable[int], seed: int | None, by: int = 1, settings: Mapping[str, Any] | None = None
    ) -> Making:
        """The same after new takes of `shots` (from 1), `by` takes later; its latents are not the old ones.

        settings: as of `Take`.
        """
        takes = list(self.takes)
        for shot in shots:
            takes[shot - 1] = Take(takes[shot - 1].number + by, seed, settings or {})
        return replace(self, takes=tuple(takes), latents=None)

    def continued(self, num_shots: int, seed: int | None, settings: Mapping[str, Any] | None = None) -> Making:
        """The same with more shots after the last."""
        new = (Take(seed=seed, settings=settings or {}),) * num_shots
        return replace(self, takes=(*self.takes, *new), latents=None)

    def made_later(self, seed: int | None) -> tuple[int, ...]:
        """The shots (from 1) that are not of the first go, whose seed is `seed`: retaken since, or continued."""
        return tuple(shot for shot, take in enumerate(self.takes, start=1) if take != Take(seed=seed))

    def to_plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"takes": [take.to_plain() for take in self.takes]}

    @classmethod
    def from_plain(cls, data: Any, num_shots: int, where: str) -> Making:
        """Read what `to_plain` wrote; raises `VideoError`, which names `where`, if it is something else."""
        try:
            takes = tuple(Take(**take) for take in data["takes"])
            made = cls(takes, data.get("vae"), data.get("latents"))
        except (TypeError, KeyError, AttributeError):
            raise VideoError(f"the takes embedded in {where} are damaged") from None
        sound = all(
            _is_count(take.number) and (take.seed is None or _is_whole(take.seed)) and isinstance(take.settings, dict)
            for take in takes
        )
        if not sound or len(takes) != num_shots or not all(isinstance(x, str | None) for x in (made.vae, made.latents)):
            raise VideoError(f"the takes embedded in {where} are damaged: they are not of its {num_shots} shots")
        return made

    def sentences(self) -> list[str]:
        """A sentence for each shot, unless all were made together: its take, its seed, and settings of its own."""
        if all(take == self.takes[0] for take in self.takes) and not self.takes[0].settings:
            return []
        return [
            ", ".join(
                [
                    f"shot {shot}: take {take.number}",
                    *([] if take.seed is None else [f"seed {take.seed}"]),
                    *(_told(name, value) for name, value in take.settings.items()),
                ]
            )
            for shot, take in enumerate(self.takes, start=1)
        ]


def _told(name: str, value: Any) -> str:
    return f"no {name}" if value is None else f"{name} {json.dumps(value, ensure_ascii=False)}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1
