"""Rotary tables with a phase for every shot.

Tables are cosines and sines (1, tokens, 1, head dim), each angle twice, as Wan's blocks take them. Angles are computed
in float64, as all families do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

THETA = 10000.0

Table = tuple[torch.Tensor, torch.Tensor]


def video_table(
    head_dim: int,
    positions: Sequence[float],
    phases: Sequence[float],
    height: int,
    width: int,
    device: torch.device | str = "cpu",
) -> Table:
    """Wan's table for latent frames at any temporal position.

    positions: of each latent frame; phases: radians added to all temporal angles of each. height, width: tokens of a
    latent frame. A head is divided as Wan divides it: a third for rows, a third for columns, the rest for time.
    """
    side = 2 * (head_dim // 6)
    time = torch.tensor(positions, dtype=torch.float64)[:, None] * frequencies(head_dim - 2 * side)
    time = time + torch.tensor(phases, dtype=torch.float64)[:, None]
    rows, columns = (torch.arange(n, dtype=torch.float64)[:, None] * frequencies(side) for n in (height, width))
    grid = (len(positions), height, width)
    angles = torch.cat(
        [
            time[:, None, None].expand(*grid, -1),
            rows[None, :, None].expand(*grid, -1),
            columns[None, None].expand(*grid, -1),
        ],
        dim=-1,
    )
    return _table(angles.flatten(0, 2), device)


def phase_table(head_dim: int, phases: Sequence[float], device: torch.device | str = "cpu") -> Table:
    """A table over the whole head for tokens at the given phases."""
    return _table(torch.tensor(phases, dtype=torch.float64)[:, None] * frequencies(head_dim), device)


def frequencies(dim: int) -> torch.Tensor:
    """THETA^(-2j / dim) for each of the dim / 2 pairs, float64."""
    return THETA ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)


def _table(angles: torch.Tensor, device: torch.device | str) -> Table:
    """angles: (tokens, pairs)."""
    angles = angles.repeat_interleave(2, dim=-1)[None, :, None]
    return angles.cos().float().to(device), angles.sin().float().to(device)
