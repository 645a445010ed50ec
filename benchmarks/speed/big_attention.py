"""Attention of the large model alone: full against the shots' pattern, by kernel and by number of shots.

A kernel's time is held against that of full attention by the fastest of PyTorch's own backends on the same tokens, and
that ratio against the same ratio of the arithmetic ("over share"): 1 is all of the saving. The kernel "per-shot" is the
plain way, which HoloCine's own code goes: for each shot, concatenate the keys that it sees and call attention once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.speed.gpu_clock import Place
from benchmarks.speed.ledger import Ledger, Values
from holocine.attention import AttentionSettings, shot_pattern
from holocine.attention_plan import collapse_padding, make_plan
from holocine.kernels import KERNELS, dense, may_see, with_summaries
from holocine.processors import attend_to_text
from holocine.prompt import TextWindows
from holocine.timeline import ShotLayout, num_frames_of, num_latent_frames, spread_cuts

BACKENDS = {
    "torch's choice": None,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "FlashAttention-2": SDPBackend.FLASH_ATTENTION,
}
MAIN_SHOTS, SHOT_COUNTS = 5, (1, 3, 8, 13)
MAIN = f"attention, {MAIN_SHOTS} shots"  # the section that others are read beside
UNEVEN = (0.05, 0.33, 0.13, 0.41, 0.08)  # of the video, for each shot
DENSE_FRAMES = 20  # latent frames at most of the comparison with a dense mask, which grows with their square
AGREED_SHOTS = (2, 1, 3)


@dataclass(frozen=True)
class Sizes:
    """A transformer and its longest video. height, width: tokens of a latent frame; frames: of videos, rising.

    text_tokens: rows of the text; used: those that are no padding.
    """

    heads: int
    head_dim: int
    ffn: int
    text_dim: int
    layers: int
    height: int
    width: int
    frames: tuple[int, ...]
    text_tokens: int = 512
    used: int = 300
    matrix: int = 8192
    copied: int = 2**31

    @property
    def dim(self) -> int:
        return self.heads * self.head_dim

    def layout(self, num_shots: int, frames: int | None = None) -> ShotLayout:
        """Shots of even length."""
        frames = frames or self.frames[-1]
        return ShotLayout.from_cuts(frames, spread_cuts(num_shots, frames), self.height, self.width)

    def uneven_layout(self) -> ShotLayout:
        """Shots of very different length."""
        ends = np.round(np.cumsum(UNEVEN) * num_latent_frames(self.frames[-1])).astype(int)
        return ShotLayout(tuple(np.diff(ends, prepend=0)), self.height, self.width)

    def windows(self, num_shots: int) -> TextWindows:
        """A third of the text is the global caption's, the rest is divided among the shots."""
        ends = np.linspace(self.used // 3, self.used - 1, num_shots + 1).astype(int)
        return TextWindows((0, int(ends[0])), tuple(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)))


SIZES = {
    "14B": Sizes(40, 128, 13_824, 4096, 40, 30, 52, (81, 161, 241)),
    "tiny": Sizes(2, 16, 64, 24, 2, 2, 3, (33, 41, 65), text_tokens=40, used=30, matrix=64, copied=2**12),
}


def backend_context(name: str):
    """Inside, PyTorch's attention prefers a backend and uses others only where that one cannot run."""
    backend = BACKENDS[name]
    if backend is None:
        return nullcontext()
    return sdpa_kernel([backend, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH], set_priority=True)


def strictly(backend: SDPBackend | None, run: Callable[[], Any]) -> Callable[[], Any]:
    """The call with one backend and no other."""
    if backend is None:
        return run

    def inside() -> Any:
        with sdpa_kernel(backend):
            return run()

    return inside


class Attention:
    """The measurements of attention, written to one ledger. rate: operations a second of the machine's matrices."""

    def __init__(self, sizes: Sizes, place: Place, ledger: Ledger, rate: float | None):
        self.sizes, self.place, self.ledger, self.rate = sizes, place, ledger, rate
        self.full: dict[int, float] = {}
        self.best_full, self.best_sparse = "torch's choice", ("per-shot", "torch's choice")

    def qkv(self, tokens: int) -> list[torch.Tensor]:
        shape = (1, tokens, self.sizes.heads, self.sizes.head_dim)
        return [self.place.normal(*shape, seed=seed) for seed in range(3)]

    def timed(self, run: Callable[[], Any], pairs: int, tokens: int) -> Values:
        """What one way to attend takes, and how that stands to full attention of as many tokens, once that is known."""
        seconds = self.place.seconds(run)
        operations = 4 * pairs * self.sizes.dim
        values: Values = {"ms": seconds * 1e3, "share": pairs / tokens**2}
        if tokens in self.full:
            ratio = seconds / self.full[tokens]
            values |= {"of full": ratio, "over share": ratio / values["share"]}
        values["TFLOP/s"] = operations / seconds / 1e12
        if self.rate:
            values["of matrix rate"] = operations / seconds / self.rate
        return values

    def needs(self, pairs: int, calls: int = 6) -> float:
        """Seconds that a row is expected to take, at a third of the machine's rate."""
        return calls * 4 * pairs * self.sizes.dim / (self.rate / 3) if self.rate else 0.0

    def measure(self) -> None:
        """Everything that compiles nothing."""
        self.agreement()
        self.full_attention(MAIN, self.sizes.layout(MAIN_SHOTS).num_tokens)
        self.main_shots()
        self.other_shots()
        self.text()

    def agreement(self) -> None:
        """How far kernels are from a dense mask in float32: ‖out − reference‖ / ‖reference‖."""
        layout = ShotLayout(AGREED_SHOTS, self.sizes.height, self.sizes.width)
        pattern = shot_pattern(layout, "sparse", "first")
        expected: list[torch.Tensor] = []
        for (kernel, attend), (backend, only) in product(KERNELS.items(), BACKENDS.items()):
            if kernel == "flex" or (only is not None and kernel != "per-shot"):
                continue

            def compare(attend=attend, only=only) -> Values:
                qkv = self.qkv(layout.num_tokens)
                with torch.no_grad():
                    if not expected:
                        expected.append(dense(*(x.float() for x in qkv), pattern))
                    output = strictly(only, partial(attend, *qkv, pattern))()
                return {"relative error": float((output.float() - expected[0]).norm() / expected[0].norm())}

            name = kernel if kernel != "per-shot" else f"{kernel}, {backend}"
            self.ledger.measure(f"agreement with a dense mask in float32, {layout.num_tokens:,} tokens", name, compare)

    def full_attention(self, section: str, tokens: int) -> None:
        """Full attention by each backend; the fastest is what others are held against."""
        qkv = [x.transpose(1, 2) for x in self.qkv(tokens)]
        run, times = partial(F.scaled_dot_product_attention, *qkv), {}
        for backend, only in BACKENDS.items():
            measure = partial(self.timed, strictly(only, run), tokens**2, tokens)
            name = f"full, {backend}{_chosen(only, qkv)}"
            values = self.ledger.measure(section, name, measure, self.needs(tokens**2))
            if values is not None:
                times[backend] = values["ms"] / 1e3
        if times:
            self.best_full = min(times, key=times.get)
            self.full[tokens] = times[self.best_full]

    def main_shots(self) -> None:
        """The pattern by every kernel, at the main number of shots; the fastest serves what follows."""
        layout, times = self.sizes.layout(MAIN_SHOTS), {}
        for backend, only in BACKENDS.items():
            values = self.pattern(MAIN, f"per-shot, {backend}", layout, "per-shot", only)
            times["per-shot", backend] = values and values["ms"]
        values = self.pattern(MAIN, f"flash: all shots in one call{_whose()}", layout, "flash")
        times["flash", self.best_full] = values and values["ms"]
        times = {way: ms for way, ms in times.items() if ms is not None}
        if times:
            self.best_sparse = min(times, key=times.get)

    def other_shots(self) -> None:
        """The fastest way to loop over shots, and the one call for all of them, at other numbers of shots."""
        layouts = {f"{count} shots": partial(self.sizes.layout, count) for count in SHOT_COUNTS}
        layouts["5 uneven shots"] = self.sizes.uneven_layout
        only = BACKENDS[self.best_sparse[1]]
        for words, layout in layouts.items():
            self.pattern("attention, other numbers of shots", f"{words}, per-shot", layout(), "per-shot", only)
            self.pattern("attention, other numbers of shots", f"{words}, flash", layout(), "flash")

    def pattern(self, section: str, name: str, layout: ShotLayout, kernel: str, only: SDPBackend | None = None):
        """One row: a kernel over the shots of a layout."""
        pattern = shot_pattern(layout, "sparse", "first")
        pairs, tokens = pattern.num_pairs, layout.num_tokens

        def run() -> Values:
            call = partial(KERNELS[kernel], *self.qkv(tokens), pattern)
            return self.timed(strictly(only, call), pairs, tokens)

        return self.ledger.measure(section, name, run, self.needs(pairs))

    def flex(self) -> None:
        """The pattern by FlexAttention, compiled on a GPU."""
        self.pattern(MAIN, "flex (compiled on a GPU)", self.sizes.layout(MAIN_SHOTS), "flex")

    def dense_mask(self) -> None:
        """One call with a mask of all tokens, on fewer of them; the mask is made before the clock starts."""
        frames = min(DENSE_FRAMES, num_latent_frames(self.sizes.frames[-1]))
        layout = self.sizes.layout(MAIN_SHOTS, num_frames_of(frames))
        section, tokens = f"attention with a dense mask, {layout.num_tokens:,} tokens, 5 shots", layout.num_tokens
        self.full_attention(section, tokens)
        pattern = shot_pattern(layout, "sparse", "first")

        def masked() -> Values:
            sees = torch.from_numpy(may_see(pattern)).to(self.place.device)
            query, *others = self.qkv(tokens)
            key, value = (with_summaries(x, pattern) for x in others)
            query, key, value = (x.transpose(1, 2) for x in (query, key, value))
            call = partial(F.scaled_dot_product_attention, query, key, value, attn_mask=sees)
            return self.timed(call, pattern.num_pairs, tokens)

        self.ledger.measure(section, "dense mask", masked, self.needs(tokens**2))
        kernel, backend = self.best_sparse
        self.pattern(section, f"{kernel}, {backend}", layout, kernel, None if kernel == "flash" else BACKENDS[backend])

    def text(self) -> None:
        """Cross-attention: through the windows of shots, and all text for all tokens."""
        sizes, layout = self.sizes, self.sizes.layout(MAIN_SHOTS)
        for name, windows in (("windows of 5 shots", sizes.windows(MAIN_SHOTS)), ("all text, padding joined", None)):

            def run(windows=windows) -> Values:
                text, used = collapse_padding(text_rows(sizes, self.place))
                settings = AttentionSettings(window=windows is not None)
                place = (self.place.device, self.place.dtype)
                plan = make_plan([layout], [windows], settings, sizes.text_tokens, used, *place)
                query = self.qkv(layout.num_tokens)[0]
                key, value = self.qkv(text.shape[1])[:2]
                seconds = self.place.seconds(partial(attend_to_text, plan.groups[0], query, key, value))
                return {"ms": seconds * 1e3, "rows of text": text.shape[1]}

            self.ledger.measure("cross-attention", name, run)

        def all_rows() -> Values:
            query, (key, value) = self.qkv(layout.num_tokens)[0], self.qkv(sizes.text_tokens)[:2]
            call = partial(F.scaled_dot_product_attention, *(x.transpose(1, 2) for x in (query, key, value)))
            return {"ms": self.place.seconds(call) * 1e3, "rows of text": sizes.text_tokens}

        self.ledger.measure("cross-attention", "all text with its padding, no mask", all_rows)


def text_rows(sizes: Sizes, place: Place) -> torch.Tensor:
    """Embeddings of a text as they come from the text encoder, zero after it: (1, text tokens, text dim)."""
    text = place.normal(1, sizes.text_tokens, sizes.text_dim)
    text[:, sizes.used :] = 0
    return text


def _chosen(only: SDPBackend | None, qkv: list[torch.Tensor]) -> str:
    """Which backend PyTorch's choice is, in brackets; nothing where that cannot be told."""
    if only is not None:
        return ""
    try:
        return f" ({SDPBackend(torch._fused_sdp_choice(*qkv)).name.lower()})"
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return ""


def _whose() -> str:
    """Whose kernel for sequences of variable length there is, in brackets."""
    from holocine.kernels import _flash_varlen

    attend = _flash_varlen()
    return "" if attend is None else f" ({attend.__module__})"
