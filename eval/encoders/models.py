"""Models as functions from pictures and texts to unit vectors. Every one says what it is: id, hash, licence, size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from eval.encoders.texts import split_text

_BATCH = {"cuda": 64}  # pictures and texts that go through a model at a time; elsewhere _SMALL_BATCH
_SMALL_BATCH = 8


@dataclass(frozen=True)
class Source:
    """Where a model comes from: `id` names model and weights, `sha256` is the hash of the weights' file."""

    id: str
    sha256: str
    licence: str
    download_mb: float  # size of the weights


class _Sourced:
    """A model that says of itself what its `source` says."""

    source: Source

    @property
    def id(self) -> str:
        return self.source.id

    @property
    def sha256(self) -> str:
        return self.source.sha256

    @property
    def licence(self) -> str:
        return self.source.licence

    @property
    def download_mb(self) -> float:
        return self.source.download_mb


class _Encoder(_Sourced):
    """What all encoders share. `model` is used in evaluation mode on `device`."""

    def __init__(self, source: Source, model: nn.Module, preprocess: Callable[[Image.Image], torch.Tensor]) -> None:
        self.source = source
        self.model, self.preprocess = model.eval(), preprocess
        self.device = next(model.parameters()).device
        self.batch = _BATCH.get(self.device.type, _SMALL_BATCH)

    def embed_images(self, pictures: np.ndarray) -> np.ndarray:
        """Unit vectors float32 (n, d) of pictures uint8 (n, H, W, 3), prepared as the model was trained.

        Vectors of a damaged model are not numbers (NaN), never a picture's score.
        """
        parts = []
        for start in range(0, len(pictures), self.batch):
            batch = [self.preprocess(Image.fromarray(picture)) for picture in pictures[start : start + self.batch]]
            with torch.inference_mode():
                parts.append(self._look(torch.stack(batch).to(self.device)).float().cpu().numpy())
        return _unit_vectors(parts)

    def _look(self, pictures: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class ClipEncoder(_Encoder):
    """An open_clip model with its own preprocessing and tokenizer."""

    def __init__(
        self,
        source: Source,
        model: nn.Module,
        preprocess: Callable[[Image.Image], torch.Tensor],
        tokenizer: Any,
    ) -> None:
        super().__init__(source, model, preprocess)
        self.tokenizer = tokenizer
        self.context_length = int(tokenizer.context_length)

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.embed_texts(["."]).shape[1]

    def _look(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.model.encode_image(pictures)

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes, those at its beginning and end included."""
        return count_tokens(self.tokenizer, text)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors float32 (n, d) of texts of any length.

        A text longer than the model reads is divided at sentence ends, and the unit vectors of its pieces are averaged,
        each weighing as much as it has tokens.
        """
        pieces = [split_text(text, lambda part: self.count_tokens(part) <= self.context_length) for text in texts]
        vectors = iter(self._read([piece for group in pieces for piece in group]))
        pooled = [
            np.average([next(vectors) for _ in group], axis=0, weights=[self.count_tokens(piece) for piece in group])
            for group in pieces
        ]
        return _unit_vectors([vector[None].astype(np.float32) for vector in pooled])

    def _read(self, pieces: Sequence[str]) -> np.ndarray:
        parts = []
        for start in range(0, len(pieces), self.batch):
            tokens = self.tokenizer(list(pieces[start : start + self.batch])).to(self.device)
            with torch.inference_mode():
                parts.append(self.model.encode_text(tokens).float().cpu().numpy())
        return _unit_vectors(parts)


class TimmEncoder(_Encoder):
    """A timm model without its classifier, such as DINO: the pooled features of a picture."""

    def _look(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.model(pictures)


class FeatureEncoder(_Encoder):
    """The image tower of a CLIP with residual blocks, read before its attention pooling: features averaged over space.

    They have not been drawn towards what captions say, so they stand in for a self-supervised model where there is
    none that knows the pictures.
    """

    def _look(self, pictures: torch.Tensor) -> torch.Tensor:
        tower = self.model.visual
        x = tower.stem(pictures)
        for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
            x = layer(x)
        return x.mean((2, 3))


class AestheticPredictor(_Sourced):
    """LAION's aesthetic predictor: a linear layer on unit vectors of CLIP ViT-L/14, whose ratings are out of 10.

    weight: (d,), bias: scalar. `clip` embeds the pictures.
    """

    def __init__(self, source: Source, clip: Any, weight: np.ndarray, bias: float) -> None:
        self.source, self.clip = source, clip
        self.weight, self.bias = np.asarray(weight, np.float64), float(bias)

    @property
    def id(self) -> str:
        return f"{self.source.id} on {self.clip.id}"

    def rate_images(self, pictures: np.ndarray) -> np.ndarray:
        """Ratings float64 (n,) of pictures uint8 (n, H, W, 3), between 0 and 1."""
        return self.rate_vectors(self.clip.embed_images(pictures))

    def rate_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """Ratings float64 (n,) from unit vectors (n, d) of `clip`; limited to [0, 1], NaN where a vector is none."""
        return np.clip((vectors @ self.weight + self.bias) / 10, 0.0, 1.0)


def count_tokens(tokenizer: Any, text: str) -> int:
    """Tokens of a text, special ones included, of any of open_clip's tokenizers."""
    if not hasattr(tokenizer, "tokenizer"):
        return len(tokenizer.encode(text)) + 2
    text = tokenizer.clean_fn(text) if hasattr(tokenizer, "clean_fn") else text
    if getattr(tokenizer, "tokenizer_mode", "") == "clips":
        return len(tokenizer.tokenizer(text, add_special_tokens=False, verbose=False).input_ids) + 3
    return len(tokenizer.tokenizer(text, verbose=False).input_ids)


def _unit_vectors(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Batches of vectors as one array (n, d), each vector at length 1; those without a direction are NaN."""
    if not parts:
        return np.zeros((0, 0), np.float32)
    vectors = np.concatenate(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
