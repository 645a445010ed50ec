"""Embeddings that are computed once: an encoder that remembers what it has seen, in memory and on disk."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from holocine.files import replacing

logger = logging.getLogger(__name__)

_IN_MEMORY = 2  # batches of pictures


class RememberingEncoder:
    """An encoder whose `embed_images` does not compute again what it gave for the same pictures.

    What it remembers is found by the content of the pictures, the encoder's id and the hash of its weights, so it
    belongs to the same frames of the same video and to nothing else. The latest batches are held in memory, all of them
    in `folder` if one is given. A file there that cannot be read, or holds something else, is computed again and
    replaced; a folder that cannot be written is only logged.
    """

    def __init__(self, encoder: Any, folder: Path | None = None) -> None:
        self.encoder, self.folder = encoder, folder
        self._latest: OrderedDict[str, np.ndarray] = OrderedDict()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def embed_images(self, pictures: np.ndarray) -> np.ndarray:
        """As the encoder's own."""
        key = self._key(pictures)
        if key not in self._latest:
            vectors = self._stored(key, len(pictures))
            if vectors is None:
                vectors = self.encoder.embed_images(pictures)
                self._store(key, vectors)
            self._latest[key] = vectors
            if len(self._latest) > _IN_MEMORY:
                self._latest.popitem(last=False)
        return self._latest[key]

    def _key(self, pictures: np.ndarray) -> str:
        digest = hashlib.sha256(repr((self.encoder.id, self.encoder.sha256, pictures.shape, pictures.dtype)).encode())
        digest.update(np.ascontiguousarray(pictures))
        return digest.hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npy"

    def _stored(self, key: str, count: int) -> np.ndarray | None:
        if self.folder is None:
            return None
        try:
            vectors = np.load(self._path(key), allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            logger.warning("embeddings in %s cannot be read and are computed again: %s", self._path(key), error)
            return None
        usable = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == count
        return vectors if usable and np.isfinite(vectors).all() else None

    def _store(self, key: str, vectors: np.ndarray) -> None:
        if self.folder is None or not np.isfinite(vectors).all():
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, vectors)
        except OSError as error:
            logger.warning("embeddings cannot be kept in %s: %s", self.folder, error)
