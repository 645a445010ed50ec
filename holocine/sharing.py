"""One forward pass of the transformer by several processes: each has a part of the tokens, and of the heads.

Ulysses (Jacobs et al., 2023): linear layers and cross-attention run on an even part of the tokens of the whole video,
wherever its cuts are; for self-attention, all-to-all gives every process the whole sequence of some heads and back. So
patterns of shots are those of one process, and shots of very different length cost every process the same. The branches
of guidance may run beside each other, on half of the processes each.

diffusers' own context parallelism does the same for Wan's full attention, but wants the tokens, and with them the
window of each shot, to divide by the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist

BRANCHES = ("cond", "uncond")


def even_shares(total: int, parts: int) -> list[int]:
    """Split a number into so many whole ones that differ by 1 at most, the larger first."""
    return [total // parts + (part < total % parts) for part in range(parts)]


@dataclass(frozen=True)
class Ulysses:
    """Some processes that share the tokens of a forward pass. index: which of them this one is, of `size`."""

    group: Any
    index: int
    size: int

    def span(self, num_tokens: int) -> range:
        """This process's tokens, of so many."""
        counts = even_shares(num_tokens, self.size)
        start = sum(counts[: self.index])
        return range(start, start + counts[self.index])

    def to_heads(self, x: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """This process's tokens of all heads -> all tokens of its heads: (batch, tokens, heads, head dim)."""
        tokens, heads = even_shares(num_tokens, self.size), even_shares(x.shape[2], self.size)
        parts = self._exchange(x.split(heads, dim=2), [(x.shape[0], n, heads[self.index], x.shape[3]) for n in tokens])
        return torch.cat(parts, dim=1)

    def to_tokens(self, x: torch.Tensor, num_heads: int) -> torch.Tensor:
        """The way back; num_heads: of all processes together."""
        tokens, heads = even_shares(x.shape[1], self.size), even_shares(num_heads, self.size)
        parts = self._exchange(x.split(tokens, dim=1), [(x.shape[0], tokens[self.index], n, x.shape[3]) for n in heads])
        return torch.cat(parts, dim=2)

    def gathered(self, x: torch.Tensor, num_tokens: int) -> torch.Tensor:
        """All tokens, of which every process gives its own: (batch, tokens, …)."""
        counts = even_shares(num_tokens, self.size)
        shapes = [(x.shape[0], count, *x.shape[2:]) for count in counts]
        return torch.cat(self._exchange([x] * self.size, shapes), dim=1)

    def _exchange(self, parts: Sequence[torch.Tensor], shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
        """Send a part to each process and receive one of the given shape from each."""
        sizes = [torch.Size(shape).numel() for shape in shapes]
        sent = torch.cat([part.reshape(-1) for part in parts])
        received = sent.new_empty(sum(sizes))
        dist.all_to_all_single(received, sent, sizes, [part.numel() for part in parts], group=self.group)
        return [part.view(shape) for part, shape in zip(received.split(sizes), shapes, strict=True)]


@dataclass(frozen=True)
class Share:
    """This process's part of one forward pass: `span` of `num_tokens` tokens."""

    ulysses: Ulysses
    num_tokens: int

    @property
    def span(self) -> range:
        return self.ulysses.span(self.num_tokens)

    def of(self, x: torch.Tensor, dim: int = 1) -> torch.Tensor:
        """The part of tensors of all tokens."""
        return x.narrow(dim, self.span.start, len(self.span))

    def attended(self, attend: Callable, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Self-attention of the part, where `attend` takes and returns all tokens of some heads."""
        heads = query.shape[2]
        whole = self.ulysses.to_heads(torch.cat([query, key, value]), self.num_tokens).chunk(3)
        # There may be more processes than heads; those without one only take part in the exchange.
        result = attend(*whole) if whole[0].shape[2] else whole[0].contiguous()
        return self.ulysses.to_tokens(result, heads)


@dataclass
class Team:
    """The processes that make one video together.

    everyone: all of them, as they share the tokens; None for one alone. half: those that compute the same branch of
    guidance as this one, None for this one alone; pair: this process and its like in the other half, None where
    branches are not computed beside each other; branch: this half's.
    """

    rank: int
    size: int
    everyone: Ulysses | None
    half: Ulysses | None = None
    pair: Any = None
    branch: str | None = None
    _held: torch.Tensor | None = field(default=None, repr=False)

    @classmethod
    def of_all(cls, split_guidance: bool) -> Team:
        """Of all processes of `torch.distributed`, which has to be initialised.

        split_guidance: whether the branches of guidance run beside each other; their number has to be even.
        """
        rank, size = dist.get_rank(), dist.get_world_size()
        everyone = Ulysses(dist.group.WORLD, rank, size) if size > 1 else None
        if not split_guidance:
            return cls(rank, size, everyone)
        if size % 2:
            raise ValueError(f"{size} processes cannot be halved for guidance: start an even number, or split tokens")
        middle, half, pair = size // 2, None, None
        for begin in (0, middle):  # every process has to make every group
            ranks = range(begin, begin + middle)
            group = dist.new_group(list(ranks)) if middle > 1 else None
            if rank in ranks and middle > 1:
                half = Ulysses(group, rank - begin, middle)
        for first in range(middle):
            group = dist.new_group([first, first + middle])
            pair = group if rank in (first, first + middle) else pair
        return cls(rank, size, everyone, half, pair, BRANCHES[rank >= middle])

    @property
    def splits_guidance(self) -> bool:
        return self.pair is not None

    def of_branch(self, branch: str | None, like: torch.Tensor, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The velocity of a branch, computed by its half: "cond" is complete only when "uncond" is returned.

        like: a tensor of the shape and type of velocities.
        """
        velocity = compute() if branch == self.branch else torch.empty_like(like)
        if branch == BRANCHES[0]:
            self._held = velocity
            return velocity
        held, self._held = self._held, None
        mine = (held if self.branch == BRANCHES[0] else velocity).contiguous()
        both = [torch.empty_like(mine) for _ in BRANCHES]
        dist.all_gather(both, mine, group=self.pair)
        held.copy_(both[0])
        return both[1]

    def broadcast(self, value: Any) -> Any:
        """What the first process has, for all."""
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]
