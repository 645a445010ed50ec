"""The recipe of the theatre's CLIP: a small open_clip model that knows the puppet theatre and its captions.

Three kinds of pairs are learned at once: a frame and its shot's caption, a frame and its scene's global caption, and
the crop of a puppet and that puppet's description. A batch holds whole scenes, so the other shots of a scene are the
hard negatives. Texts that say the same are not negatives of each other. A linear layer shared by both towers also reads
the facts (`holocine.puppet.facts`) from every embedding, which teaches them long before the pairs alone would; it is
left out of the finished model.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from eval.encoders.texts import describe_texts
from holocine.files import replacing
from holocine.prompt import character_descriptions
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import FACTS, TRAITS, shot_facts
from holocine.puppet.renderer import FrameTruth, render
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.world import HEIGHT, WIDTH, Scene, sample_scene

logger = logging.getLogger(__name__)

SIZE = 96  # both sides of the pictures that the image tower sees
EMBED_DIM = 128
TOKENIZER = Path(__file__).parents[2] / "holocine" / "puppet" / "weights" / "tokenizer"
_FIRST_SEED = 4_000_000_000  # scenes made up for this model alone
_CONTEXT = 77
_MOST_SCENES = 3000  # held in memory: 0.5 GB
_BATCH_SCENES = 32
_SMALLEST_CROP = 10  # pixels
_MEAN, _STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
_NOT_IN_A_FRAME = ("camera", "lanterns")
_SAID_OF_SHOTS = ("framing", "size", "action", *(f"{trait}{slot}" for slot in (0, 1) for trait in TRAITS))
_UNKNOWN = -100


def model_config(tokenizer: PreTrainedTokenizerFast) -> dict:
    """open_clip's description of the model and of its preprocessing, as it stands in open_clip_config.json."""
    return {
        "model_cfg": {
            "embed_dim": EMBED_DIM,
            "vision_cfg": {"image_size": SIZE, "layers": [1, 2, 2, 1], "width": 16, "head_width": 64},
            "text_cfg": {
                "context_length": _CONTEXT,
                "vocab_size": len(tokenizer),
                "hf_tokenizer_name": "puppet-theatre",
                "width": 128,
                "heads": 4,
                "layers": 3,
                "pool_type": "eos",
                "pad_id": tokenizer.pad_token_id,
                "eos_id": tokenizer.eos_token_id,
            },
        },
        "preprocess_cfg": {
            "mean": list(_MEAN),
            "std": list(_STD),
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }


@dataclass(frozen=True, eq=False)
class _Shot:
    """Some frames of a shot, uint8 (n, HEIGHT, WIDTH, 3), what is in each, and the answers to `FACTS`."""

    frames: np.ndarray
    truths: list[FrameTruth]
    facts: dict[str, int]


class _Scenes:
    """A growing store of rendered scenes: new ones are added while training goes on, the oldest give way."""

    def __init__(self, rng: np.random.Generator, first_seed: int) -> None:
        self.rng, self.next_seed = rng, first_seed
        self.stored: list[tuple[Scene, list[_Shot]]] = []

    def add(self, count: int) -> None:
        """Render two frames of every shot of `count` new scenes."""
        for _ in range(count):
            scene = sample_scene(self.next_seed, num_frames=int(self.rng.choice((33, 49, 65, 81, 97))))
            self.next_seed += 1
            starts = (0, *scene.cuts)
            chosen = [
                start + self.rng.choice(shot.num_frames, 2, replace=False)
                for start, shot in zip(starts, scene.shots, strict=True)
            ]
            frames, truths = render(scene, only=set(np.concatenate(chosen).tolist()))
            shots = []
            for i in range(len(scene.shots)):
                here = [k for k, truth in enumerate(truths) if truth.shot == i]
                facts = dict(zip(FACTS, shot_facts(scene, i), strict=True))
                shots.append(_Shot(frames[here], [truths[k] for k in here], facts))
            self.stored.append((scene, shots))
        del self.stored[:-_MOST_SCENES]

    def sample(self, count: int) -> list[tuple[Scene, list[_Shot]]]:
        return [self.stored[i] for i in self.rng.choice(len(self.stored), count, replace=False)]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Pictures float32 (frames and then crops, 3, SIZE, SIZE), normalised; texts as token ids of equal meaning.

    scene_of: the scene of each frame. The facts are answers as indices, _UNKNOWN where a text or picture does not say.
    """

    pictures: torch.Tensor
    shot_texts: list[str]
    scene_texts: list[str]
    crop_texts: list[str]
    scene_of: torch.Tensor
    picture_facts: torch.Tensor
    shot_facts: torch.Tensor
    crop_facts: torch.Tensor


def _known(facts: dict[str, int], names: tuple[str, ...]) -> list[int]:
    return [facts[name] if name in names else _UNKNOWN for name in FACTS]


def _crop(frame: np.ndarray, box: tuple[float, float, float, float], rng: np.random.Generator) -> np.ndarray | None:
    """A box with a margin around it, a little displaced; None where too little of it is in the picture."""
    x0, y0, x1, y1 = box
    if x1 - x0 < _SMALLEST_CROP or y1 - y0 < _SMALLEST_CROP:
        return None
    dx, dy = 0.1 * (x1 - x0), 0.1 * (y1 - y0)
    x0, x1 = x0 - dx * rng.uniform(0, 2), x1 + dx * rng.uniform(0, 2)
    y0, y1 = y0 - dy * rng.uniform(0, 2), y1 + dy * rng.uniform(0, 2)
    left, top = int(max(0, round(x0))), int(max(0, round(y0)))
    return frame[top : int(min(HEIGHT, round(y1))), left : int(min(WIDTH, round(x1)))]


def degrade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as generators, enlargements and codecs leave it: shifted, soft, noisy, compressed; uint8 (H, W, 3)."""
    height, width = picture.shape[:2]
    if rng.random() < 0.7:
        h, w = (max(4, int(side * rng.uniform(0.86, 1.0))) for side in (height, width))
        top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        picture = picture[top : top + h, left : left + w]
    if rng.random() < 0.2:
        scale = rng.uniform(0.45, 1.0)
        small = (max(4, int(picture.shape[1] * scale)), max(4, int(picture.shape[0] * scale)))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.6:
        values = picture.astype(np.float32) * np.float32(1 + 0.07 * rng.standard_normal())
        values += np.float32(14 * rng.random()) * rng.standard_normal(values.shape, np.float32)
        picture = values.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def _to_input(pictures: list[np.ndarray]) -> torch.Tensor:
    """Pictures of any size as the image tower sees them: the same resizing and scaling as open_clip's own."""
    resized = [
        F.interpolate(
            torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None].float(),
            (SIZE, SIZE),
            mode="bicubic",
            antialias=True,
        ).clamp(0, 255)
        for p in pictures
    ]
    return (torch.cat(resized) / 255 - _MEAN[0]) / _STD[0]


def _make_batch(scenes: _Scenes, num_scenes: int, rng: np.random.Generator) -> _Batch:
    frames, crops, shot_texts, scene_texts, crop_texts = [], [], [], [], []
    scene_of, frame_facts, said_facts, crop_facts = [], [], [], []
    seen = tuple(name for name in FACTS if name not in _NOT_IN_A_FRAME)
    for number, (scene, shots) in enumerate(scenes.sample(num_scenes)):
        storyboard = to_storyboard(scene, wording=int(rng.integers(2**31)))
        looks = list(character_descriptions(storyboard.global_caption).values())
        texts = describe_texts(storyboard)
        scene_texts.append(texts.scene)
        for shot, text in zip(shots, texts.shots, strict=True):
            k = int(rng.integers(len(shot.frames)))
            frames.append(degrade(shot.frames[k], rng))
            shot_texts.append(text)
            scene_of.append(number)
            frame_facts.append(_known(shot.facts, seen))
            said_facts.append(_known(shot.facts, _SAID_OF_SHOTS))
        shot = shots[int(rng.integers(len(shots)))]
        k = int(rng.integers(len(shot.frames)))
        for puppet in shot.truths[k].puppets[:1]:
            crop = _crop(shot.frames[k], puppet.box, rng)
            if crop is None or puppet.from_behind:
                continue
            crops.append(degrade(crop, rng))
            crop_texts.append(looks[puppet.index])
            plan = scene.shots[shot.truths[k].shot]
            slot = plan.who.index(puppet.index)
            traits = {f"{t}0": shot.facts[f"{t}{slot}"] for t in (*TRAITS, "scarf")}
            crop_facts.append(_known(traits, tuple(traits)))
    return _Batch(
        _to_input(frames + crops),
        shot_texts,
        scene_texts,
        crop_texts,
        torch.tensor(scene_of),
        torch.tensor(frame_facts + crop_facts),
        torch.tensor(said_facts),
        torch.tensor(crop_facts),
    )


def _pair_loss(a: torch.Tensor, b: torch.Tensor, same: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """InfoNCE in both directions between unit vectors (n, d) and (m, d) where `same` (n, m) marks every right pair."""
    logits, same = scale * a @ b.T, same.float()
    rows = F.cross_entropy(logits, same / same.sum(1, keepdim=True))
    return (rows + F.cross_entropy(logits.T, same.T / same.T.sum(1, keepdim=True))) / 2


def _fact_loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    sizes = [len(choices) for choices in FACTS.values()]
    losses = [
        F.cross_entropy(x, answers[:, i], ignore_index=_UNKNOWN)
        for i, x in enumerate(logits.split(sizes, -1))
        if (answers[:, i] != _UNKNOWN).any()
    ]
    return torch.stack(losses).mean()


def _encode_texts(clip: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """Embeddings (n, d), not yet of unit length, as open_clip's `encode_text` computes them, without its padding."""
    ids = tokenizer(texts, padding=True, truncation=True, max_length=_CONTEXT, return_tensors="pt").input_ids
    ids = ids.to(clip.logit_scale.device)
    length = ids.shape[1]
    x = clip.token_embedding(ids) + clip.positional_embedding[:length]
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
    ends = (ids == clip.text_eos_id).int().argmax(-1)
    return x[torch.arange(len(x), device=x.device), ends] @ clip.text_projection


def _loss(model: nn.ModuleDict, tokenizer: PreTrainedTokenizerFast, batch: _Batch) -> dict[str, torch.Tensor]:
    clip, facts = model["clip"], model["facts"]
    device = clip.logit_scale.device
    pictures = F.normalize(clip.visual(batch.pictures.to(device)), dim=-1)
    num_shots, num_scenes = len(batch.shot_texts), len(batch.scene_texts)
    every_text = batch.shot_texts + batch.scene_texts + batch.crop_texts
    texts = F.normalize(_encode_texts(clip, tokenizer, every_text), dim=-1)
    of_shots, of_scenes, of_crops = texts.split((num_shots, num_scenes, len(batch.crop_texts)))
    said, looks = batch.shot_facts.to(device), batch.crop_facts.to(device)
    own_scene = batch.scene_of.to(device)[:, None] == torch.arange(num_scenes, device=device)[None]
    frames, crops = pictures[:num_shots], pictures[num_shots:]
    scale = clip.logit_scale.exp().clamp(max=100)
    # The scarf is seen in a crop but not said of it.
    said_looks = looks[:, [i for i, name in enumerate(FACTS) if name.rstrip("01") in TRAITS]]
    same_looks = (said_looks[:, None] == said_looks[None]).all(-1)
    said_of_crops = looks.clone()
    said_of_crops[:, list(FACTS).index("scarf0")] = _UNKNOWN
    return {
        "shots": _pair_loss(frames, of_shots, (said[:, None] == said[None]).all(-1), scale),
        "scenes": 0.5 * _pair_loss(frames, of_scenes, own_scene, scale),
        "crops": 0.5 * _pair_loss(crops, of_crops, same_looks, scale),
        "facts": _fact_loss(facts(pictures), batch.picture_facts.to(device)),
        "said": 0.5 * _fact_loss(facts(torch.cat([of_shots, of_crops])), torch.cat([said, said_of_crops])),
    }


def write_model(clip: nn.Module, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write open_clip's own files, weights in half precision, into `folder`; each file is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in clip.state_dict().items()
    }
    with replacing(folder / "open_clip_model.safetensors") as temporary:
        save_file(state, temporary)
    with replacing(folder / "open_clip_config.json") as temporary:
        temporary.write_text(json.dumps(model_config(tokenizer), indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        with replacing(folder / name) as temporary:
            shutil.copyfile(TOKENIZER / name, temporary)


def train_puppet_clip(
    folder: str | os.PathLike,
    minutes: float,
    out: str | os.PathLike,
    num_scenes: int | None = None,
    lr: float = 2e-3,
    device: str | torch.device = "cpu",
    progress: Callable[[str], None] = logger.info,
    most_steps: int | None = None,
    start: str | os.PathLike | None = None,
) -> None:
    """Train for `minutes` of compute in all and write the model to `out`; the same call goes on from where it stopped.

    folder: holds the checkpoint, written every few minutes. num_scenes: scenes in a batch. most_steps: stop early.
    start: a folder written before, whose weights a new training begins with.
    """
    folder, out, num_scenes = Path(folder), Path(out), num_scenes or _BATCH_SCENES
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    config = model_config(tokenizer)["model_cfg"]
    clip = open_clip.model.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    with torch.no_grad():
        clip.logit_scale.fill_(np.log(10.0))
    if start:
        clip.load_state_dict(load_file(Path(start) / "open_clip_model.safetensors"))
    facts = nn.Sequential(nn.Linear(EMBED_DIM, sum(map(len, FACTS.values()))))
    nn.init.normal_(facts[0].weight, std=1.0)
    model = nn.ModuleDict({"clip": clip, "facts": facts}).to(device).train()
    trainer = Trainer(
        model, minutes, lr, folder / "checkpoint.pt", most_steps, not_muon=("facts", "embedding", "projection")
    )
    rng = np.random.default_rng((7, trainer.step_count))
    scenes = _Scenes(rng, _FIRST_SEED + trainer.step_count * 1000)
    scenes.add(8 * num_scenes)
    for step in trainer.steps(lambda: write_model(clip, tokenizer, out)):
        scenes.add(2)
        losses = _loss(model, tokenizer, _make_batch(scenes, num_scenes, rng))
        trainer.step(sum(losses.values()))
        if step % 25 == 0:
            terms = ", ".join(f"{name} {float(value.detach()):.3f}" for name, value in losses.items())
            progress(f"step {step}, {trainer.spent_minutes:.1f} of {minutes:g} min: {terms}")
