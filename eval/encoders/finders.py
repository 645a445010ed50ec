"""Who finds characters in pictures by their descriptions: the theatre's locator, or OWLv2 by name."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from eval.encoders.theatre import is_of_the_theatre
from eval.sighting import Candidate
from holocine.files import replacing
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from eval.encoders.puppet_locator import PuppetLocator

logger = logging.getLogger(__name__)

OWLV2 = "owlv2"
_FROM_BEHIND = 0.5


class Finder(Protocol):
    """Finds characters. `id`, `sha256` and `licence` say what it is.

    seen_from, sure_from: see `eval.sighting.Look`. encoder: name of the vectors that its candidates carry, None if they
    carry none and CLIP has to look at the crops.
    """

    id: str
    sha256: str
    licence: str
    seen_from: float
    sure_from: float
    encoder: str | None

    def known(self, descriptions: Mapping[str, str]) -> dict[str, str]:
        """Those of the descriptions, by tag, that it can look for."""

    def candidates(self, pictures: np.ndarray, descriptions: Mapping[str, str]) -> list[list[Candidate]]:
        """The figures in each picture of uint8 (n, H, W, 3), and how well each fits every description."""


class PuppetFinder:
    """The theatre's locator as a finder: a figure fits by the traits that a description names."""

    seen_from = 0.5  # two traits out of three, read with some doubt
    sure_from = 0.75  # all of them
    encoder = "puppet-locator:looks"

    def __init__(self, locator: PuppetLocator) -> None:
        self.locator = locator
        self.id, self.sha256, self.licence = locator.id, locator.sha256, locator.licence

    def known(self, descriptions: Mapping[str, str]) -> dict[str, str]:
        from eval.encoders.puppet_locator import described_looks

        return {tag: text for tag, text in descriptions.items() if described_looks(text)}

    def candidates(self, pictures: np.ndarray, descriptions: Mapping[str, str]) -> list[list[Candidate]]:
        from eval.encoders.puppet_locator import described_looks

        described = {tag: described_looks(text) for tag, text in descriptions.items()}
        return [
            [
                Candidate(
                    figure.box,
                    {tag: figure.fit(traits) for tag, traits in described.items()},
                    figure.from_behind < _FROM_BEHIND,
                    figure.vector,
                )
                for figure in figures
            ]
            for figures in self.locator.figures(pictures)
        ]


class RememberingFinder:
    """A finder that does not look again at pictures it has seen, for the same descriptions; kept in `folder`.

    What it remembers is found by the content of the pictures, the descriptions, the finder's id and the hash of its
    weights. A file that cannot be read is made again; a folder that cannot be written is only logged.
    """

    def __init__(self, finder: Finder, folder: Path) -> None:
        self.finder, self.folder = finder, folder

    def __getattr__(self, name: str):
        return getattr(self.finder, name)

    def candidates(self, pictures: np.ndarray, descriptions: Mapping[str, str]) -> list[list[Candidate]]:
        """As the finder's own."""
        path = self._path(pictures, descriptions)
        found = _read(path, len(pictures))
        if found is None:
            found = self.finder.candidates(pictures, descriptions)
            self._store(path, found)
        return found

    def _path(self, pictures: np.ndarray, descriptions: Mapping[str, str]) -> Path:
        what = (self.finder.id, self.finder.sha256, pictures.shape, sorted(descriptions.items()))
        digest = hashlib.sha256(repr(what).encode())
        digest.update(np.ascontiguousarray(pictures))
        key = digest.hexdigest()
        return self.folder / key[:2] / f"{key}.json"

    def _store(self, path: Path, found: Sequence[Sequence[Candidate]]) -> None:
        rows = [
            [
                [one.box, dict(one.fits), one.shows_looks, None if one.vector is None else one.vector.tolist()]
                for one in figures
            ]
            for figures in found
        ]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(rows) + "\n")
        except OSError as error:
            logger.warning("boxes cannot be kept in %s: %s", self.folder, error)


def _read(path: Path, count: int) -> list[list[Candidate]] | None:
    try:
        rows = json.loads(path.read_text())
        found = [
            [
                Candidate(tuple(box), fits, shows, None if vector is None else np.array(vector, np.float32))
                for box, fits, shows, vector in figures
            ]
            for figures in rows
        ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        logger.warning("boxes in %s cannot be read and are found again: %s", path, error)
        return None
    return found if len(found) == count else None


def load_finder(
    spec: str | os.PathLike | None,
    storyboard: Storyboard | None,
    device: Any = None,
    cache: str | os.PathLike | None = None,
) -> tuple[Finder | None, str | None]:
    """What looks for the characters of a storyboard, or None and the reason.

    spec: None for the theatre's locator where the storyboard is of the theatre; "owlv2" for the OWLv2 model that is
    downloaded by default, or its id or folder. cache: a folder that keeps what was found. Raises EncoderError if what
    was asked for by name cannot be had.
    """
    if spec is not None:
        finder = load_owlv2(os.fspath(spec), device)
    elif storyboard is None:
        return None, "there is no storyboard: nobody is looked for"
    elif is_of_the_theatre(storyboard):
        from eval.encoders.puppet_locator import load_locator

        finder = PuppetFinder(load_locator())
    else:
        return None, "nobody looked for the characters: owlv2 finds them by their descriptions, or give their boxes"
    return (RememberingFinder(finder, Path(cache)) if cache is not None else finder), None


@lru_cache(maxsize=1)
def load_owlv2(spec: str, device: Any = None) -> Finder:
    """OWLv2 as it is downloaded by default ("owlv2"), or by id or folder; raises EncoderError."""
    from eval.encoders.open_vocabulary import EXAMPLE, load_box_finder

    return load_box_finder(EXAMPLE if spec == OWLV2 else spec, device=device)


def names_finder(boxes: Any) -> bool:
    """Whether what was given for boxes names a model that finds them: owlv2, its id, or a folder."""
    if not isinstance(boxes, str | os.PathLike):
        return False
    text = os.fspath(boxes)
    return text == OWLV2 or text.startswith("google/owlv2") or Path(text).is_dir()
