"""The judge: a small classifier that reads from a shot's pictures what the shot shows.

Trained (`training/judge.py`) on the theatre's own rendering, where every answer is known. It measures generated videos;
its own error on rendered truth is part of every report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from holocine.puppet.facts import FACTS

WEIGHTS = Path(__file__).parent / "judge.safetensors"
CLIP_FRAMES = 8


class Judge(nn.Module):
    """(B, CLIP_FRAMES, 64, 112, 3) pictures in [0, 1] -> logits for each of `FACTS`.

    The first two stages look at every frame alone and by the same weights, as somebody looks the same in all of them;
    the last two look at all frames at once, as actions and movements of the camera are seen in no single one.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.frames = nn.ModuleList([_stage(3, 2 * width // 3), _stage(2 * width // 3, 2 * width)])
        self.clip = nn.ModuleList([_stage(2 * width * CLIP_FRAMES, 4 * width), _stage(4 * width, 4 * width)])
        self.hidden = nn.Linear(4 * width * 4 * 7, 256)
        self.heads = nn.Linear(256, sum(map(len, FACTS.values())))

    def features(self, clips: torch.Tensor) -> list[torch.Tensor]:
        """What each of the four stages makes of the clips: (B, channels, height, width), sides halved by each."""
        found, x = [], clips.permute(0, 1, 4, 2, 3).flatten(0, 1) * 2 - 1
        for stage in self.frames:
            x = stage(x)
            found.append(x.unflatten(0, (-1, CLIP_FRAMES)).flatten(1, 2))
        x = found[-1]
        for stage in self.clip:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x = F.relu(self.hidden(self.features(clips)[-1].flatten(1)))
        sizes = [len(choices) for choices in FACTS.values()]
        return dict(zip(FACTS, self.heads(x).split(sizes, -1), strict=True))


def _stage(channels: int, out: int) -> nn.Sequential:
    layers = []
    for inside, stride in ((channels, 2), (out, 1)):
        layers += [nn.Conv2d(inside, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)


def clip_frames(start: int, length: int) -> np.ndarray:
    """The frames of a shot that the judge looks at, evenly spread from first to last."""
    return start + np.round(np.linspace(0, length - 1, CLIP_FRAMES)).astype(int)


def load_judge(path: Path = WEIGHTS) -> Judge:
    judge = Judge()
    judge.load_state_dict(
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()}
    )
    return judge.eval()


@torch.no_grad()
def read_shots(judge: Judge, frames: np.ndarray, cuts: tuple[int, ...]) -> list[dict[str, str]]:
    """What the judge sees in every shot of a video: uint8 (frames, H, W, 3), shots divided at `cuts`."""
    starts, ends = (0, *cuts), (*cuts, len(frames))
    clips = np.stack([frames[clip_frames(a, b - a)] for a, b in zip(starts, ends, strict=True)])
    logits = judge(torch.from_numpy(clips).float() / 255)
    return [{name: FACTS[name][int(x[i].argmax())] for name, x in logits.items()} for i in range(len(starts))]
