"""An exercise for the transformer in training: say what is shown where, from its hidden tokens.

Denoising alone teaches slowly which words are about which tokens. Linear readers on the tokens in the middle of the
network have to tell, from the noisy video and the text, where a puppet is, what it looks like, and what its shot
does; also what no text says and the other shots show: a puppet's scarf, the light, and how the shots before and after
face it, from which this one has to differ for the cut to be seen. They are dropped after training. (The idea of
aligning hidden tokens with what a picture shows: REPA, Yu et al., 2024; here the world's own truth takes the place of
a pretrained encoder.)
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from holocine.puppet.facts import CAPTION_FACTS, FACTS, TRAITS, shot_facts
from holocine.puppet.stage import stretch_order
from holocine.puppet.world import MOST_PUPPETS, MOST_SHOTS, NUM_STRETCHES, SCARVES, Scene

LOOKS = {**TRAITS, "scarf": tuple(SCARVES)}
_FACT_NAMES = (*(name for name in CAPTION_FACTS if name[:-1] not in TRAITS), "light")
_FACT_NUMBERS = [list(FACTS).index(name) for name in _FACT_NAMES]
# Choices of each fact of a shot; at last how the stretch of stage faces the light, here, before and after, or no shot.
SHOT_FACTS = (*(len(FACTS[name]) for name in _FACT_NAMES), *[NUM_STRETCHES + 1] * 3)
_UNSAID_WEIGHT = 3.0  # of scarf and light, which shots can only learn from one another


class Reader(nn.Module):
    """Hidden tokens (B, n, width) -> logits: whether there is a puppet, its traits, the facts of its shot."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [1, *map(len, LOOKS.values()), *SHOT_FACTS]
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(self.sizes))

    def forward(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        return list(self.heads(self.norm(hidden)).split(self.sizes, -1))


def looks(scenes: list[Scene]) -> np.ndarray:
    """Looks of every puppet of every scene, as indices into `LOOKS`: (B, MOST_PUPPETS, looks)."""
    found = np.zeros((len(scenes), MOST_PUPPETS, len(LOOKS)), np.int64)
    for row, scene in zip(found, scenes, strict=True):
        for number, puppet in enumerate(scene.puppets):
            row[number] = [values.index(getattr(puppet, trait)) for trait, values in LOOKS.items()]
    return found


def facts(scenes: list[Scene]) -> np.ndarray:
    """Facts of every shot of every scene, as indices into their choices: (B, MOST_SHOTS, SHOT_FACTS)."""
    found = np.zeros((len(scenes), MOST_SHOTS, len(SHOT_FACTS)), np.int64)
    for row, scene in zip(found, scenes, strict=True):
        for index in range(len(scene.shots)):
            row[index, : len(_FACT_NUMBERS)] = np.array(shot_facts(scene, index))[_FACT_NUMBERS]
        faces = [NUM_STRETCHES, *stretch_order(scene)[[shot.stretch for shot in scene.shots]], NUM_STRETCHES]
        row[: len(scene.shots), len(_FACT_NUMBERS) :] = np.stack([faces[1:-1], faces[:-2], faces[2:]], 1)
    return found


def over_shoulder(facts: np.ndarray) -> np.ndarray:
    """Which scenes have a shot over a shoulder, of their `facts`: bool (B,)."""
    return (facts[..., _FACT_NAMES.index("framing")] == FACTS["framing"].index("over-the-shoulder")).any(1)


def reading_loss(
    reader: Reader,
    hidden: torch.Tensor,
    who: torch.Tensor,
    shots: torch.Tensor,
    looks: torch.Tensor,
    facts: torch.Tensor,
    asked: torch.Tensor,
) -> torch.Tensor:
    """Mean cross-entropy of the three kinds of questions, added up.

    hidden: (B, tokens, width). who: (B, T, h, w), which puppet a token shows, -1 for none. shots: (B, T), the shot of
    each latent frame. looks, facts: of the scenes. asked: (B, T), whether a latent frame is asked about: not where the
    scene's text was not given or the shot is clean.
    """
    presence, *logits = reader(hidden)
    which = who.flatten(1).long()
    tokens = which.shape[1] // shots.shape[1]
    shot_of_token, asked = shots.repeat_interleave(tokens, 1), asked.repeat_interleave(tokens, 1)
    there = (which >= 0) & asked
    loss = F.binary_cross_entropy_with_logits(presence.squeeze(-1), (which >= 0).float(), reduction="none")
    loss = (loss * asked).sum() / asked.sum().clamp(min=1)
    traits = looks.gather(1, which.clamp(min=0)[..., None].expand(-1, -1, looks.shape[-1]))
    for number, look in enumerate(LOOKS):
        weight = (_UNSAID_WEIGHT if look == "scarf" else 1.0) / len(LOOKS)
        loss = loss + weight * _cross_entropy(logits[number], traits[..., number], there)
    answers = facts.gather(1, shot_of_token[..., None].expand(-1, -1, facts.shape[-1]))
    for number in range(len(SHOT_FACTS)):
        weight = (_UNSAID_WEIGHT if number == len(_FACT_NAMES) - 1 else 1.0) / len(SHOT_FACTS)
        loss = loss + weight * _cross_entropy(logits[len(LOOKS) + number], answers[..., number], asked)
    return loss


def _cross_entropy(logits: torch.Tensor, answers: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Mean over what is asked; 0 where nothing is. (Without waiting for a GPU to say what that is.)"""
    losses = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none")
    return (losses * asked.flatten()).sum() / asked.sum().clamp(min=1)
