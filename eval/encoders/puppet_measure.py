"""How well the theatre's CLIP finds the right words, on scenes that it was not trained on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.encoders.choosing import load_encoders
from eval.encoders.texts import describe_texts
from holocine.files import replacing
from holocine.prompt import character_descriptions
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import CAPTION_FACTS, FACTS, shot_facts
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, sample_scene

_FRAMES_A_SHOT = 4
_FIRST_SEED = 710_000
_SMALLEST_CROP = 10  # pixels
_SCENE_FACTS = ("setting", "lanterns")  # said in the global caption


@dataclass(frozen=True)
class Count:
    """`right` answers out of `of`; `chance` is the number of right answers to expect from guessing."""

    right: int = 0
    of: int = 0
    chance: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.right + other.right, self.of + other.of, self.chance + other.chance)


def measure_puppet_clip(folder: str | os.PathLike, num_scenes: int = 200, group: int = 100) -> dict[str, Count]:
    """Retrieval on `num_scenes` rendered scenes by the model in `folder`.

    A frame, and a video, has to find its own text among those of `group` scenes; scenes beyond whole groups are left
    out of these two questions.
    """
    clip = load_encoders(folder).clip
    frames, crops, shots = Count(), Count(), Count()
    middle, captions, scene_texts, scene_vectors = [], [], [], []
    for number in range(num_scenes):
        scene = sample_scene(_FIRST_SEED + number)
        texts = describe_texts(storyboard := to_storyboard(scene))
        chosen = [
            start + np.linspace(0, shot.num_frames - 1, _FRAMES_A_SHOT).round().astype(int)
            for start, shot in zip((0, *scene.cuts), scene.shots, strict=True)
        ]
        pictures, truths = render(scene, only=set(np.concatenate(chosen).tolist()))
        vectors = clip.embed_images(pictures).reshape(len(scene.shots), _FRAMES_A_SHOT, -1)
        of_shots, of_texts = _mean(vectors, 1), clip.embed_texts(texts.shots)
        shots += _own_is_best(of_shots @ of_texts.T, [_said(scene, i) for i in range(len(scene.shots))])
        looks = list(character_descriptions(storyboard.global_caption).values())
        crops += _crops(clip, pictures[::_FRAMES_A_SHOT], truths[::_FRAMES_A_SHOT], looks)
        asked = number % len(scene.shots)
        middle.append(vectors[asked, _FRAMES_A_SHOT // 2])
        captions.append((texts.shots[asked], _said(scene, asked)))
        scene_texts.append(texts.scene)
        scene_vectors.append(_mean(of_shots, 0))
    scenes = Count()
    for start in range(0, num_scenes - group + 1, group):
        chosen = slice(start, start + group)
        of_texts = clip.embed_texts([text for text, _ in captions[chosen]])
        frames += _own_is_best(np.stack(middle[chosen]) @ of_texts.T, [said for _, said in captions[chosen]])
        of_scenes = clip.embed_texts(scene_texts[chosen])
        scenes += _own_is_best(np.stack(scene_vectors[chosen]) @ of_scenes.T, list(range(group)))
    return {
        f"frame to its shot's caption among {group}, one of each scene": frames,
        "shot to its caption among those of its own storyboard": shots,
        f"video to its global caption among {group}": scenes,
        "cut-out puppet to its description among those of its scene": crops,
    }


def _said(scene: Scene, shot: int) -> tuple:
    """What the caption of a shot says: two captions that say the same are both right."""
    answers = dict(zip(FACTS, shot_facts(scene, shot), strict=True))
    said = [answer for name, answer in answers.items() if name in CAPTION_FACTS and name not in _SCENE_FACTS]
    return (*said, scene.shots[shot].lanterns_light_up)


def _own_is_best(similarity: np.ndarray, meanings: list) -> Count:
    """Rows that are most similar to the column of their own meaning; (n, n)."""
    if len(similarity) < 2:
        return Count()
    right = sum(meanings[int(row.argmax())] == meanings[i] for i, row in enumerate(similarity))
    chance = sum(sum(other == meaning for other in meanings) / len(meanings) for meaning in meanings)
    return Count(int(right), len(similarity), float(chance))


def _crops(clip, pictures: np.ndarray, truths: list, looks: list[str]) -> Count:
    """Puppets seen from the front, cut out of every picture: which of the scene's descriptions is theirs?"""
    found = Count()
    if len(looks) < 2:
        return found
    of_looks = clip.embed_texts(looks)
    for picture, truth in zip(pictures, truths, strict=True):
        for puppet in truth.puppets:
            x0, y0, x1, y1 = (int(round(value)) for value in puppet.box)
            if puppet.from_behind or min(x1 - x0, y1 - y0) < _SMALLEST_CROP:
                continue
            vector = clip.embed_images(picture[None, y0:y1, x0:x1])[0]
            found += Count(int((of_looks @ vector).argmax() == puppet.index), 1, 1 / len(looks))
    return found


def _mean(vectors: np.ndarray, axis: int) -> np.ndarray:
    mean = vectors.mean(axis)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def table(counts: dict[str, Count]) -> str:
    """The counts as a Markdown table."""
    rows = ["| question | right | by chance |", "|---|---|---|"]
    for name, count in counts.items():
        right = f"{count.right / count.of:.1%} ({count.right}/{count.of})" if count.of else "–"
        chance = f"{count.chance / count.of:.1%}" if count.of else "–"
        rows.append(f"| {name} | {right} | {chance} |")
    return "\n".join(rows)


def save_counts(counts: dict[str, Count], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({name: vars(count) for name, count in counts.items()}, indent=2) + "\n")
