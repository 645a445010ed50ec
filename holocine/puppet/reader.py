"""An exercise for the transformer in training: say what is shown where, from its hidden tokens.

Denoising alone teaches slowly which words are about which tokens. Linear readers on the tokens in the middle of the
network have to tell, from the noisy video and the text, where a puppet is, what it looks like, and what its shot
does; also a puppet's scarf and the light, which no text says and the other shots show. They are dropped after
training. (The idea of aligning hidden tokens with what a picture shows: REPA, Yu et al., 2024; here the world's own
truth takes the place of a pretrained encoder.)
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from holocine.puppet.facts import CAPTION_FACTS, FACTS, TRAITS, shot_facts
from holocine.puppet.world import SCARVES, Scene
from holocine.timeline import ShotLayout

MOST_PUPPETS = 3
LOOKS = {**TRAITS, "scarf": tuple(SCARVES)}
SHOT_FACTS = (*(name for name in CAPTION_FACTS if name[:-1] not in TRAITS), "light")
_FACT_NUMBERS = [list(FACTS).index(name) for name in SHOT_FACTS]


class Reader(nn.Module):
    """Hidden tokens (B, n, width) -> logits: whether there is a puppet, its traits, the facts of its shot."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [1, *map(len, LOOKS.values()), *(len(FACTS[name]) for name in SHOT_FACTS)]
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(self.sizes))

    def forward(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        return list(self.heads(self.norm(hidden)).split(self.sizes, -1))


def looks(scenes: list[Scene]) -> torch.Tensor:
    """Looks of every puppet of every scene, as indices into `LOOKS`: (B, MOST_PUPPETS, looks)."""
    found = np.zeros((len(scenes), MOST_PUPPETS, len(LOOKS)), np.int64)
    for row, scene in zip(found, scenes, strict=True):
        for number, puppet in enumerate(scene.puppets):
            row[number] = [values.index(getattr(puppet, trait)) for trait, values in LOOKS.items()]
    return torch.from_numpy(found)


def facts(scenes: list[Scene]) -> torch.Tensor:
    """Facts of every shot of scenes with equally many shots, as indices into their choices: (B, N, SHOT_FACTS)."""
    found = np.array([[shot_facts(scene, i) for i in range(len(scene.shots))] for scene in scenes])
    return torch.from_numpy(found[..., _FACT_NUMBERS])


def reading_loss(
    reader: Reader,
    hidden: torch.Tensor,
    who: torch.Tensor,
    scenes: list[Scene],
    layout: ShotLayout,
) -> torch.Tensor:
    """Mean cross-entropy of the three kinds of questions, added up.

    hidden: (B, tokens, width). who: (B, T, h, w), which puppet a token shows, -1 for none. layout: that of all scenes.
    """
    device = hidden.device
    presence, *logits = reader(hidden)
    which = who.flatten(1).to(device).long()
    there = which >= 0
    loss = F.binary_cross_entropy_with_logits(presence.squeeze(-1), there.float())
    if there.any():
        table = looks(scenes).to(device)
        index = which.clamp(min=0)[..., None].expand(-1, -1, table.shape[-1])
        traits = table.gather(1, index)
        for number in range(len(LOOKS)):
            loss = loss + F.cross_entropy(logits[number][there], traits[..., number][there]) / len(LOOKS)
    shot_of_token = torch.from_numpy(np.repeat(layout.shot_ids, layout.tokens_per_frame)).to(device)
    asked = facts(scenes).to(device)[:, shot_of_token]
    for number in range(len(SHOT_FACTS)):
        answers = logits[len(LOOKS) + number].flatten(0, 1)
        loss = loss + F.cross_entropy(answers, asked[..., number].flatten()) / len(SHOT_FACTS)
    return loss
