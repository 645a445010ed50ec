"""The training data of a GPU: latents and texts of all scenes on the device, and batches of them with mixed layouts.

A small model on a fast GPU waits for whatever a processor does at each step, so none of it is done there: captions are
worded and encoded beforehand, and a batch is nothing but an index.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine.puppet.training.batches import EMPTY_PROMPTS, TEXT_LENGTH, Batch, drawing_weights
from holocine.puppet.training.fused import Masks
from holocine.puppet.training.latents import GRID, normalised_latents
from holocine.puppet.training.optimisers import autocast
from holocine.puppet.training.preparation import TEXT_ROWS

_AT_ONCE = 64  # stills to encode in one pass
_LOOK_SECONDS, _TAKE_SECONDS = 10, 1  # between looks for new shards, and to take some in


class ResidentBank:
    """Random batches of about `tokens` tokens from what `preparation` has written so far.

    folder: the one given to `start_preparing`. vae: makes the latents.
    """

    def __init__(
        self,
        folder: Path,
        vae: AutoencoderKLWan,
        tokenizer: PreTrainedTokenizerFast,
        encoder: UMT5EncoderModel,
        tokens: int,
    ) -> None:
        self.folder, self.vae, self.encoder, self.tokens = folder, vae.eval(), encoder.eval(), tokens
        self.device = vae.device
        self.rng, self.empty_share = np.random.default_rng(), EMPTY_PROMPTS
        self.taken: set[Path] = set()
        # By kind, and by latent frames of a video or shots of a scene of stills.
        self.stores: dict[tuple[str, int], dict[str, torch.Tensor]] = {}
        empty = torch.zeros(1, TEXT_ROWS, dtype=torch.int64)
        ids = tokenizer("")["input_ids"]
        empty[0, : len(ids)] = torch.tensor(ids)
        self.empty = self._encode_text(empty)[0]
        self.looked = time.monotonic()

    def __len__(self) -> int:
        """Shards taken in."""
        return len(self.taken)

    def refresh(self, seconds: float | None = None) -> None:
        """Take in shards that have been prepared since, as many as can be in about so many seconds, all if None."""
        paths = sorted((self.folder / "notes").glob("*.npz"), key=lambda path: path.stat().st_mtime)
        found: dict[tuple[str, int], list[dict[str, torch.Tensor]]] = {}
        begun = time.monotonic()
        for path in paths:
            if path in self.taken:
                continue
            kind = path.stem.split("-")[0]
            with np.load(path) as file:
                arrays = self._scenes(path, dict(file)) if kind == "scenes" else self._stills(dict(file))
            found.setdefault((kind, arrays["shots"].shape[1]), []).append(arrays)
            self.taken.add(path)
            late = seconds is not None and time.monotonic() - begun > seconds
            if late and {kind for kind, _ in (*self.stores, *found)} == {"scenes", "stills"}:
                break
        for key, parts in found.items():
            parts = [self.stores[key], *parts] if key in self.stores else parts
            self.stores[key] = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        self.looked = time.monotonic()

    def _scenes(self, path: Path, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        frames = np.load(self.folder / "frames" / f"{path.stem.split('-')[1]}.npy")
        arrays["shots"] = np.tile(arrays["shots"], (len(frames), 1))
        return {"latents": normalised_latents(self.vae, frames).half(), **self._notes(arrays)}

    def _stills(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        pictures = arrays.pop("pictures")
        scenes, shots, per_shot = pictures.shape[:3]
        clips = pictures.reshape(-1, 1, *pictures.shape[3:])
        latents = [normalised_latents(self.vae, clips[i : i + _AT_ONCE]) for i in range(0, len(clips), _AT_ONCE)]
        latents = torch.cat(latents).half().squeeze(2).unflatten(0, (scenes, shots, per_shot))
        arrays["shots"] = np.tile(np.arange(shots), (scenes, 1))
        return {"latents": latents, **self._notes(arrays)}

    def _notes(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        arrays = {**arrays, "weight": drawing_weights(arrays["facts"])}
        notes = {name: torch.from_numpy(x).to(self.device) for name, x in arrays.items()}
        ids = notes.pop("ids").long()
        return {**notes, "text": self._encode_text(ids.flatten(0, 1)).unflatten(0, ids.shape[:2])}

    @torch.no_grad()
    def _encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, TEXT_ROWS, TEXT_DIM) of token ids (n, TEXT_ROWS), zero after the prompt."""
        ids = ids.to(self.device)
        mask = (ids != 0).long()
        with autocast(self.device):
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return (hidden * mask[..., None]).bfloat16()

    def next_batch(self, stills: bool) -> Batch:
        """Scenes of one length, or stills of scenes with equally many shots; each as often as there are of it.

        Those with a shot over a shoulder come more often, as in a `LatentBank`.
        """
        if time.monotonic() - self.looked > _LOOK_SECONDS:
            self.refresh(_TAKE_SECONDS)
        kind = "stills" if stills else "scenes"
        keys = [key for key in self.stores if key[0] == kind]
        sizes = np.array([len(self.stores[key]["who"]) for key in keys], float)
        key = keys[self.rng.choice(len(keys), p=sizes / sizes.sum())]
        store = self.stores[key]
        count = max(1, round(self.tokens / (key[1] * GRID[0] * GRID[1])))
        rows = torch.multinomial(store["weight"], count, replacement=True)
        wording = torch.randint(store["text"].shape[1], (count,), device=self.device)
        latents, who, shots = store["latents"][rows], store["who"][rows], store["shots"][rows]
        if stills:
            which = torch.randint(latents.shape[2], (count, key[1]), device=self.device)
            scene, shot = torch.arange(count, device=self.device)[:, None], torch.arange(key[1], device=self.device)
            latents, who = latents[scene, shot, which].transpose(1, 2), who[scene, shot, which]
        told = torch.rand(count, device=self.device) >= self.empty_share
        text = torch.where(told[:, None, None], store["text"][rows, wording], self.empty)
        sees = store["sees"][rows, wording].masked_fill(~told[:, None], 255)
        return Batch(
            latents=latents.float(),
            who=who,
            shots=shots,
            looks=store["looks"][rows],
            facts=store["facts"][rows],
            text=Masks.padded(text),
            told=told,
            masks=Masks.of(shots, sees, GRID[0] * GRID[1], TEXT_LENGTH),
        )

    def untold(self, batch: Batch) -> Batch:
        """The same scenes with empty prompts."""
        count, told = len(batch.told), torch.zeros_like(batch.told)
        sees = torch.full((count, TEXT_ROWS), 255, dtype=torch.uint8, device=self.device)
        masks = Masks.of(batch.shots, sees, GRID[0] * GRID[1], TEXT_LENGTH)
        return replace(batch, text=Masks.padded(self.empty.expand(count, -1, -1)), told=told, masks=masks)
