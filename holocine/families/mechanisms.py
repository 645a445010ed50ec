"""How other families tell shots apart, on a model that reads one prompt: mechanisms compared on equal terms.

EchoShot, CineTrans and ShotStream differ in more than a mechanism: in data, text, lengths, sampler. To compare the
mechanisms alone, models of one kind (`holocine.puppet`) are trained with each of them on the same latents. They read
the same encoded prompt as HoloCine does; a caption is the part of it that HoloCine's window shows to the shot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from holocine.attention import RunPattern
from holocine.families import find_family
from holocine.families.planning import Frames
from holocine.families.rules import Rules
from holocine.families.shotstream.context import NUM_CONTEXT
from holocine.families.shotstream.sampling import FRAMES_PER_BLOCK
from holocine.families.text import Text, Texts, batched, join
from holocine.prompt import TextWindows

PADDED_TO = 512  # tokens, as the texts of the embedded model are; only a longer text takes more of EchoShot's 2,048
_BLOCKS = 30  # of the model that a family's masked layers are counted in


@dataclass(frozen=True)
class Mechanism:
    """A family's rules, and where the global caption goes: "after" each caption, "before" it, or a text "apart"."""

    family: str
    general: str
    causal: bool = False

    def rules(self, num_layers: int) -> Rules:
        """The rules for a model of so many blocks: masks act in the same share of them."""
        rules = find_family(self.family).rules
        layers = rules.masked_layers
        if layers is not None:
            first, stop = (round(num_layers * bound / _BLOCKS) for bound in (layers[0], layers[1] + 1))
            layers = first, stop - 1
        return replace(rules, masked_layers=layers)

    def joined(self, items: Sequence[Sequence[torch.Tensor]], dtype: torch.dtype) -> Texts:
        """The captions of several items, as many of each, as this mechanism's texts, see `families.text.join`."""
        rules = find_family(self.family).rules

        def text(captions: Sequence[torch.Tensor]) -> Text:
            whole = sum(map(len, captions)) if rules.padded == "together" else 0
            return join(captions, min(rules.text_length, max(PADDED_TO, whole)), rules.padded, dtype)

        return batched([text(captions) for captions in items], dtype)

    def common(self, num_shots: int) -> int | None:
        """The number of the text that all shots read, if there is one."""
        return num_shots if self.general == "apart" else None

    def captions(self, text: torch.Tensor, windows: TextWindows | None, num_shots: int) -> list[torch.Tensor]:
        """The texts of an encoded prompt (tokens, text dim); windows: None for a prompt that has none, as an empty one.

        Such a prompt is the text of every shot.
        """
        if windows is None:
            return [text] * (num_shots + (self.general == "apart"))
        shared = text[slice(*windows.global_span)]
        shots = [text[slice(*span)] for span in windows.shot_spans]
        if self.general == "apart":
            return [*shots, shared]
        pairs = ((shot, shared) if self.general == "after" else (shared, shot) for shot in shots)
        return [torch.cat(pair) for pair in pairs]


MECHANISMS = {
    "phases": Mechanism("echoshot", "after"),
    "block-mask": Mechanism("cinetrans", "apart"),
    "causal": Mechanism("shotstream", "before", causal=True),
}


def block_lengths(num_frames: int) -> list[int]:
    """Latent frames of the blocks that a shot is made in, one after the other; the last may be shorter."""
    whole, rest = divmod(num_frames, FRAMES_PER_BLOCK)
    return [FRAMES_PER_BLOCK] * whole + [rest] * (rest > 0)


def teacher_forcing(frames: Frames) -> tuple[Frames, RunPattern]:
    """All blocks of a shot in one pass: context, the clean shot, and after it the shot as it is to be denoised.

    frames: of context and shot, see `shotstream.sampling.frames_of`. A noisy block sees the context, the clean blocks
    before it and itself: what it sees when it is made.
    """
    total = len(frames.shots)
    twice = Frames(
        *(values + values[NUM_CONTEXT:] for values in (frames.shots, frames.positions, frames.captions)),
        frames.height,
        frames.width,
    )
    runs: list[tuple[int, tuple[tuple[int, int], ...]]] = [(NUM_CONTEXT, ((0, NUM_CONTEXT),))]
    noisy, start = [], NUM_CONTEXT
    for length in block_lengths(total - NUM_CONTEXT):
        runs.append((length, ((0, start + length),)))
        own = start + total - NUM_CONTEXT
        noisy.append((length, ((0, start), (own, own + length))))
        start += length
    return twice, RunPattern((*runs, *noisy), frames.tokens_per_frame)


def context_of(latents: torch.Tensor, lengths: Sequence[int], places: Sequence[tuple[int, int]]) -> torch.Tensor:
    """The latent frames at `places` (shot, frame of it) of latents (B, z, T, h, w); zeros for none."""
    if not places:
        return torch.zeros_like(latents[:, :, :1]).expand(-1, -1, NUM_CONTEXT, -1, -1)
    starts = [sum(lengths[:shot]) for shot in range(len(lengths))]
    return latents[:, :, [starts[shot] + frame for shot, frame in places]]
