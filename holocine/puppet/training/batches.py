"""Batches for the transformer's training: latents of scenes, their texts, and what is asked about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine.prompt import TextWindows, clean, text_windows
from holocine.puppet.captions import to_storyboard
from holocine.puppet.training import reader
from holocine.puppet.training.data import STILLS_PER_SHOT, shard_lengths, shard_scenes, still_scenes
from holocine.puppet.training.fused import Masks
from holocine.puppet.training.latents import GRID
from holocine.puppet.training.optimisers import autocast
from holocine.puppet.training.text import TEXT_DIM, load_language
from holocine.puppet.world import Scene
from holocine.timeline import ShotLayout

TEXT_LENGTH = 512
EMPTY_PROMPTS = 0.1
_SCENE_TOKENS, _STILLS = 3_800, 32  # of a step, for one core
_LOOK_SECONDS = 60  # between looks for new shards
# A shot over a shoulder is the rarest of two puppets, and the only one whose words say who is where.
_SHOULDER_WEIGHT = 4.0


@dataclass
class Batch:
    """What a training step sees of B scenes, on the training device.

    latents (B, z, T, h, w); who (B, T, rows, columns), the puppet that each token shows, -1 for none; shots (B, T), the
    shot of each latent frame; looks, facts: as `reader` asks about them; text (B, rows, TEXT_DIM); told (B,), False for
    an empty prompt.

    Who sees which text is said in one of three ways: by the `layout` of all scenes and a window for each, None for an
    empty prompt; by `masks`, for any mix of layouts; or by the `planner` of another mechanism, see
    `holocine.transformer`. blocks (T,): of a causal one, the block that each latent frame is made in, -1 for those that
    are given clean.
    """

    latents: torch.Tensor
    who: torch.Tensor
    shots: torch.Tensor
    looks: torch.Tensor
    facts: torch.Tensor
    text: torch.Tensor
    told: torch.Tensor
    layout: ShotLayout | None = None
    windows: list[TextWindows | None] | None = None
    masks: Masks | None = None
    planner: Callable | None = None
    blocks: torch.Tensor | None = None


def drawing_weights(facts: np.ndarray) -> np.ndarray:
    """How often scenes are drawn, one beside another, by their `reader.facts`: (B,)."""
    return np.where(reader.over_shoulder(facts), _SHOULDER_WEIGHT, 1.0)


class LatentBank:
    """Random batches from the latent shards made so far, with freshly worded captions; each batch has one layout.

    scale: how many times the batch that suits one core, at most 2.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: PreTrainedTokenizerFast,
        encoder: UMT5EncoderModel,
        rng: np.random.Generator,
        scale: int = 1,
    ) -> None:
        self.folder, self.tokenizer, self.encoder, self.rng = folder, tokenizer, encoder.eval(), rng
        self.scale, self.empty_share = scale, EMPTY_PROMPTS
        self.scene_lists: dict[tuple[str, int], list[Scene]] = {}
        self.arrays: dict[Path, dict[str, np.ndarray]] = {}
        self.refresh()

    @classmethod
    def open(cls, latents: Path, text: Path, device: str | torch.device = "cpu", scale: int = 1) -> LatentBank:
        """Batches of the latents and with the language that are in these folders."""
        return cls(latents, *load_language(text, device), np.random.default_rng(), scale)

    def __len__(self) -> int:
        """Shards of whole scenes."""
        return len(self.scenes)

    def refresh(self) -> None:
        """Notice shards that have been made since."""
        self.scenes, self.stills = (sorted(self.folder.glob(f"{kind}-*.npz")) for kind in ("scenes", "stills"))
        self.looked = time.monotonic()
        if not self.scenes or not self.stills:
            raise FileNotFoundError(f"{self.folder} holds no latents yet: run the latents stage first")

    def _load(self, path: Path) -> tuple[dict[str, np.ndarray], list[Scene]]:
        kind, number = path.stem.split("-")
        if path not in self.arrays:
            with np.load(path) as file:
                self.arrays[path] = dict(file)
            build = shard_scenes if kind == "scenes" else still_scenes
            scenes = self.scene_lists[kind, int(number)] = build(int(number))
            self.arrays[path]["weight"] = drawing_weights(reader.facts(scenes))
        return self.arrays[path], self.scene_lists[kind, int(number)]

    def next_batch(self, stills: bool) -> Batch:
        if time.monotonic() - self.looked > _LOOK_SECONDS:
            self.refresh()
        return self.single_frames(_STILLS * self.scale) if stills else self.whole_scenes(_SCENE_TOKENS * self.scale)

    def whole_scenes(self, tokens: int) -> Batch:
        """Scenes of one timeline, drawn from one shard, as many as have about `tokens` tokens together."""
        path = self.scenes[self.rng.integers(len(self.scenes))]
        arrays, scenes = self._load(path)
        count = round(tokens / (arrays["latents"].shape[2] * GRID[0] * GRID[1]))
        chosen = self._drawn(arrays["weight"], np.arange(len(scenes)), max(count, 1))
        lengths = shard_lengths(int(path.stem.split("-")[1]))
        cuts = tuple(int(c) for c in np.cumsum(lengths)[:-1])
        layout = ShotLayout.from_cuts(sum(lengths), cuts, *GRID)
        latents, who = torch.from_numpy(arrays["latents"][chosen]).float(), torch.from_numpy(arrays["who"][chosen])
        return self._batch([scenes[i] for i in chosen], latents, who, layout)

    def single_frames(self, most: int) -> Batch:
        """Scenes whose shots are one still each: at most `most` of one number of shots, from one shard."""
        arrays, scenes = self._load(self.stills[self.rng.integers(len(self.stills))])
        num_shots = len(scenes[self.rng.integers(len(scenes))].shots)
        alike = [i for i, scene in enumerate(scenes) if len(scene.shots) == num_shots]
        chosen = self._drawn(arrays["weight"], np.array(alike), most)
        # A scene's stills lie together in the shard, STILLS_PER_SHOT of each shot in turn.
        first = np.searchsorted(arrays["scene"], chosen)
        rows = first[:, None] + np.arange(num_shots) * STILLS_PER_SHOT
        rows = rows + self.rng.integers(STILLS_PER_SHOT, size=rows.shape)
        latents = torch.from_numpy(arrays["latents"][rows][:, :, :, 0]).float().transpose(1, 2)
        who = torch.from_numpy(arrays["who"][rows])
        return self._batch([scenes[i] for i in chosen], latents, who, ShotLayout((1,) * num_shots, *GRID))

    def _drawn(self, weights: np.ndarray, among: np.ndarray, most: int) -> np.ndarray:
        """At most `most` of the scenes `among` a shard's, by the shard's weights and none twice."""
        chances = weights[among] / weights[among].sum()
        return self.rng.choice(among, min(most, len(among)), replace=False, p=chances)

    def _batch(self, scenes: list[Scene], latents: torch.Tensor, who: torch.Tensor, layout: ShotLayout) -> Batch:
        text, windows = self._texts(scenes)
        tensors = {
            "latents": latents,
            "who": who,
            "shots": torch.from_numpy(layout.shot_ids).expand(len(scenes), -1),
            "looks": torch.from_numpy(reader.looks(scenes)),
            "facts": torch.from_numpy(reader.facts(scenes)),
            "text": text,
            "told": torch.tensor([window is not None for window in windows]),
        }
        device = self.encoder.device
        return Batch(**{name: x.to(device) for name, x in tensors.items()}, layout=layout, windows=windows)

    def untold(self, batch: Batch) -> Batch:
        """The same scenes with empty prompts."""
        text, windows = self._encode([""] * len(batch.latents))
        return replace(batch, text=text.to(batch.text), told=torch.zeros_like(batch.told), windows=windows)

    def _texts(self, scenes: list[Scene]) -> tuple[torch.Tensor, list[TextWindows | None]]:
        prompts = [clean(to_storyboard(scene, wording=int(self.rng.integers(2**31))).prompt) for scene in scenes]
        return self._encode(["" if self.rng.random() < self.empty_share else prompt for prompt in prompts])

    @torch.no_grad()
    def _encode(self, prompts: list[str]) -> tuple[torch.Tensor, list[TextWindows | None]]:
        windows = [text_windows(p, self.tokenizer) if p else None for p in prompts]
        tokens = self.tokenizer(prompts, padding=True, return_tensors="pt")
        mask = tokens["attention_mask"]
        device = self.encoder.device
        with autocast(device):
            hidden = self.encoder(input_ids=tokens["input_ids"].to(device), attention_mask=mask.to(device))
        hidden = hidden.last_hidden_state.float().cpu()
        text = torch.zeros(len(prompts), TEXT_LENGTH, TEXT_DIM)
        text[:, : hidden.shape[1]] = hidden * mask[..., None]
        return text, windows
