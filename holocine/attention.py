"""Who sees whom in a multi-shot video: sparse inter-shot self-attention and window cross-attention.

HoloCine (arXiv 2510.20822) changes two attentions of Wan's transformer and adds no weight:

* sparse inter-shot self-attention (section 3.2.2): the tokens of a shot see all tokens of their shot and a summary of
  every shot, the keys and values of its first latent frame after QK-norm and rotary embedding;
* window cross-attention (section 3.2.1): the tokens of a shot see the text of the global caption and of their shot.

Patterns are data, made here once per layout and without torch. `holocine.attention_plan` carries them through a forward
pass, `holocine.processors` and `holocine.kernels` execute them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .timeline import ShotLayout

MODES = ("full", "sparse", "isolated")
SUMMARIES = ("first", "first+last", "linspace:n", "mean")
KERNEL_NAMES = ("dense", "per-shot", "flex", "flash")
EVERY_GROUP = -1


@dataclass(frozen=True)
class AttentionSettings:
    """How shots attend to one another and to the text.

    mode: "full" (every token sees every token), "sparse" (own shot and the summaries of all shots) or "isolated"
        (own shot only).
    summary: what a shot shows to all shots in mode "sparse": "first" latent frame (HoloCine), "first+last",
        "linspace:n" (n latent frames spread evenly from the first to the last, each once) or "mean" (one frame, the
        mean over the shot's latent frames of the keys after rotary embedding, and of the values). A shot sees its own
        summary too, beside all of its tokens, so its summary frames weigh double in the softmax, as in HoloCine.
    window: whether a shot sees only its own caption and the global one; never applied to the negative prompt.
    leak_free: drop the extra token that HoloCine shows past the end of each text span.
    kernel: "auto", or one of `holocine.kernels`: "dense", "per-shot", "flex", "flash". The result is the same.
    """

    mode: str = "sparse"
    summary: str = "first"
    window: bool = True
    leak_free: bool = False
    kernel: str = "auto"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"attention mode {self.mode!r} is unknown; choose one of {', '.join(MODES)}")
        if self.summary not in SUMMARIES[:2] + SUMMARIES[3:] and not re.fullmatch(r"linspace:[1-9]\d*", self.summary):
            raise ValueError(
                f"summary {self.summary!r} is unknown; choose one of {', '.join(SUMMARIES)} (n a number of 1 or more)"
            )
        if self.kernel != "auto" and self.kernel not in KERNEL_NAMES:
            raise ValueError(f"kernel {self.kernel!r} is unknown; choose one of auto, {', '.join(KERNEL_NAMES)}")

    @classmethod
    def parse(cls, text: str, **fields) -> AttentionSettings:
        """Read "full", "isolated", "sparse" or "sparse:SUMMARY" (as in "sparse:linspace:3"); `fields` set the rest."""
        mode, _, summary = text.partition(":")
        if summary and mode != "sparse":
            raise ValueError(f"attention {text!r}: only mode sparse has a summary; write {mode!r} alone")
        return cls(mode=mode, **({"summary": summary} if summary else {}), **fields)


@dataclass(frozen=True)
class ShotPattern:
    """Which keys each query of the self-attention sees: those of its own group of frames, and all summaries.

    group_lengths: latent frames of each group; a group is a shot, or the whole video in mode "full".
    summaries: for each group the summary frames it shows to all groups, its own included. A summary frame is a tuple of
        latent frames, counted from the group's first, whose keys and values are averaged.
    tokens_per_frame: tokens of one latent frame.
    num_outside: keys, after those of all groups, that come from outside the queries' tokens and that all groups see:
        summaries of shots whose own tokens are not there.
    shared_frames: latent frames, the first of the first group, that all groups see beside their own; nobody sees them
        twice.
    """

    group_lengths: tuple[int, ...]
    summaries: tuple[tuple[tuple[int, ...], ...], ...]
    tokens_per_frame: int
    num_outside: int = 0
    shared_frames: int = 0

    @property
    def group_tokens(self) -> list[int]:
        """Tokens of each group."""
        return [length * self.tokens_per_frame for length in self.group_lengths]

    @property
    def num_tokens(self) -> int:
        return sum(self.group_tokens)

    @property
    def num_summary_tokens(self) -> int:
        """Tokens of all summaries together, those from outside included."""
        return sum(map(len, self.summaries)) * self.tokens_per_frame + self.num_outside

    @property
    def num_shared_tokens(self) -> int:
        """Tokens of the frames that all groups see beside their own."""
        return self.shared_frames * self.tokens_per_frame

    @property
    def key_counts(self) -> list[int]:
        """How many keys the queries of each group see, summaries and shared frames included."""
        shown = [self.num_summary_tokens + self.num_shared_tokens * (group > 0) for group in range(len(self.summaries))]
        return [tokens + more for tokens, more in zip(self.group_tokens, shown, strict=True)]

    @property
    def num_pairs(self) -> int:
        """Pairs of a query and a key that it sees, which is what attention's arithmetic grows with."""
        return sum(queries * keys for queries, keys in zip(self.group_tokens, self.key_counts, strict=True))

    @property
    def query_groups(self) -> np.ndarray:
        """The group of each query: int64, shape (num_tokens,)."""
        return np.repeat(np.arange(len(self.group_lengths)), self.group_tokens)

    @property
    def key_groups(self) -> np.ndarray:
        """The group that sees each key when the summaries follow the tokens: shape (num_tokens + num_summary_tokens,).

        A summary has EVERY_GROUP (-1): all groups see it.
        """
        return np.concatenate([self.query_groups, np.full(self.num_summary_tokens, EVERY_GROUP)])


@dataclass(frozen=True)
class RunPattern:
    """Queries in runs of latent frames, each of which sees some runs of frames whole, as causal models are trained.

    runs: for each run its number of frames, and the half-open ranges of frames that it sees.
    """

    runs: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    tokens_per_frame: int

    @property
    def group_tokens(self) -> list[int]:
        """Tokens of each run."""
        return [length * self.tokens_per_frame for length, _ in self.runs]

    @property
    def key_counts(self) -> list[int]:
        """How many keys the queries of each run see."""
        return [sum(stop - start for start, stop in sees) * self.tokens_per_frame for _, sees in self.runs]


@lru_cache(maxsize=256)
def shot_pattern(layout: ShotLayout, mode: str, summary: str) -> ShotPattern:
    """Return who sees whom for one layout; see `AttentionSettings` for `mode` and `summary`."""
    if mode == "full":
        return ShotPattern((layout.num_latent_frames,), ((),), layout.tokens_per_frame)
    frames = [_summary_frames(summary, length) if mode == "sparse" else () for length in layout.shot_lengths]
    return ShotPattern(layout.shot_lengths, tuple(frames), layout.tokens_per_frame)


@lru_cache(maxsize=256)
def first_frame_pattern(layout: ShotLayout) -> ShotPattern:
    """Return CineTrans's pattern: a shot sees itself and the first latent frame of the video, nothing twice."""
    return ShotPattern(layout.shot_lengths, ((),) * layout.num_shots, layout.tokens_per_frame, shared_frames=1)


def _summary_frames(summary: str, length: int) -> tuple[tuple[int, ...], ...]:
    if summary == "mean":
        return (tuple(range(length)),)
    count = {"first": 1, "first+last": 2}.get(summary) or int(summary.removeprefix("linspace:"))
    return tuple((int(frame),) for frame in np.unique(np.linspace(0, length - 1, count).round()))
