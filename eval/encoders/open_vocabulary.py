"""Boxes of characters found by their descriptions, with OWLv2 (arXiv 2306.09683) through transformers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.boxes import Box, overlap
from eval.encoders.known import check_hub
from eval.encoders.loading import EncoderError
from eval.encoders.texts import split_text
from eval.footage import MAX_FRAMES, observe, sampled_frames
from eval.sighting import Candidate
from holocine.decoding import VideoReader
from holocine.hub import cached_file
from holocine.prompt import character_descriptions, character_tags
from holocine.storyboard import Storyboard

EXAMPLE = "google/owlv2-base-patch16-ensemble"
MEGABYTES = 620
THRESHOLD = 0.2  # of the model's own score between 0 and 1
_SAME_FIGURE = 0.6  # boxes that overlap by more (intersection over union) are one figure


class BoxFinder:
    """An OWLv2 model with its processor. A box is found where the model's score is at least `threshold`.

    As a finder (`eval.encoders.finders.Finder`) it fits characters by that score; CLIP looks at what it finds.
    """

    licence = "Apache-2.0"
    encoder = None

    def __init__(self, model: Any, processor: Any, threshold: float = THRESHOLD, id: str = "owlv2", sha256: str = ""):
        self.model, self.processor, self.threshold = model.eval(), processor, threshold
        self.id, self.sha256 = id, sha256
        self.seen_from = self.sure_from = threshold
        self._length = model.config.text_config.max_position_embeddings

    def known(self, descriptions: Mapping[str, str]) -> dict[str, str]:
        """All descriptions: it knows no closed vocabulary."""
        return dict(descriptions)

    def candidates(self, pictures: np.ndarray, descriptions: Mapping[str, str]) -> list[list[Candidate]]:
        """The best place for each description in each picture of uint8 (n, H, W, 3), with its score for all of them."""
        if not descriptions:
            return [[] for _ in pictures]
        return [self._candidates(picture, descriptions) for picture in pictures]

    def _candidates(self, picture: np.ndarray, descriptions: Mapping[str, str]) -> list[Candidate]:
        scores, centres = self._places(picture, descriptions)
        found: list[Candidate] = []
        for place in sorted({int(scores[:, column].argmax()) for column in range(scores.shape[1])}):
            box = _to_pixels(centres[place], *picture.shape[:2])
            fits = dict(zip(descriptions, map(float, scores[place]), strict=True))
            if max(fits.values()) < self.threshold or box[0] >= box[2] or box[1] >= box[3]:
                continue
            same = next((i for i, other in enumerate(found) if overlap(box, other.box) >= _SAME_FIGURE), None)
            if same is None:
                found.append(Candidate(box, fits))
                continue
            merged = {tag: max(fit, found[same].fits[tag]) for tag, fit in fits.items()}
            better = box if max(fits.values()) > max(found[same].fits.values()) else found[same].box
            found[same] = Candidate(better, merged)
        return found

    def _places(self, picture: np.ndarray, descriptions: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Scores (places, texts) in [0, 1] and boxes (places, 4) as x, y, width, height relative to a square."""
        import torch

        texts = [split_text(text, self._fits)[0] for text in descriptions.values()]
        inputs = self.processor(text=[texts], images=picture, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            output = self.model(**inputs)
        return output.logits[0].sigmoid().float().cpu().numpy(), output.pred_boxes[0].float().cpu().numpy()

    def find(self, picture: np.ndarray, descriptions: Mapping[str, str]) -> dict[str, Box]:
        """The best box for each description, by its key, in pixels of `picture` uint8 (H, W, 3); only those found.

        The model reads a few words (16 tokens): of a longer description, those that fit.
        """
        if not descriptions:
            return {}
        scores, centres = self._places(picture, descriptions)
        found = {}
        for column, name in enumerate(descriptions):
            place = int(np.argmax(scores[:, column]))
            if scores[place, column] >= self.threshold:
                box = _to_pixels(centres[place], *picture.shape[:2])
                if box[0] < box[2] and box[1] < box[3]:
                    found[name] = box
        return found

    def _fits(self, text: str) -> bool:
        return len(self.processor.tokenizer(text).input_ids) <= self._length


def _to_pixels(centre: np.ndarray, height: int, width: int) -> Box:
    """A box of the model, relative to the picture padded to a square, in pixels within the picture."""
    x, y, w, h = (float(value) * max(height, width) for value in centre)
    left, right = (min(max(edge, 0.0), float(width)) for edge in (x - w / 2, x + w / 2))
    top, bottom = (min(max(edge, 0.0), float(height)) for edge in (y - h / 2, y + h / 2))
    return left, top, right, bottom


def load_box_finder(spec: str | os.PathLike, threshold: float = THRESHOLD, device: str | None = None) -> BoxFinder:
    """Load OWLv2 from a folder, or by its id from the Hub: google/owlv2-base-patch16-ensemble is 620 MB, Apache-2.0.

    Raises EncoderError.
    """
    import torch
    from transformers import Owlv2ForObjectDetection, Owlv2Processor

    try:
        if not Path(spec).exists() and cached_file(str(spec), ("model.safetensors", "pytorch_model.bin")) is None:
            check_hub(str(spec))
        model = Owlv2ForObjectDetection.from_pretrained(spec)
        processor = Owlv2Processor.from_pretrained(spec)
    except (OSError, ValueError) as error:
        if Path(spec).exists():
            raise EncoderError(f"{spec} is no OWLv2 model: name one such as {EXAMPLE}, or its folder") from error
        raise EncoderError(
            f"{spec} cannot be had: OWLv2 ({EXAMPLE}, {MEGABYTES} MB) is downloaded from huggingface.co when first "
            "asked for; where there is no network, give a folder that holds it"
        ) from error
    model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return BoxFinder(model, processor, threshold, f"owlv2:{Path(spec).name}", _fingerprint(model))


def _fingerprint(model: Any) -> str:
    """SHA-256 in hex of a model's weights."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def find_boxes(
    source: str | os.PathLike,
    storyboard: Storyboard,
    finder: BoxFinder,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, dict[int, Box]]:
    """Boxes of the characters that each requested shot names, in the frames that encoders look at: tag -> frame -> box.

    A character that the global caption does not describe is not looked for. Raises VideoError for what is no video.
    """
    with VideoReader(source) as reader:
        fps = reader.fps or storyboard.fps
    wanted = sampled_frames(MAX_FRAMES, fps, storyboard.shot_ranges)
    described = character_descriptions(storyboard.global_caption)
    shots = [
        (shot, {tag: described[tag] for tag in character_tags(caption) if tag in described})
        for shot, caption in zip(storyboard.shot_ranges, storyboard.captions, strict=True)
    ]
    found: dict[str, dict[int, Box]] = {}

    def look(first: int, frames: np.ndarray) -> None:
        for number in wanted[(wanted >= first) & (wanted < first + len(frames))].tolist():
            named = next((tags for shot, tags in shots if number in shot), {})
            for tag, box in finder.find(frames[number - first], named).items():
                found.setdefault(tag, {})[number] = box

    observe(source, fps, [look], progress)
    return found
