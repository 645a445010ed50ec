"""Boxes of characters found by their descriptions, with OWLv2 (arXiv 2306.09683) through transformers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eval.boxes import Box
from eval.encoders.loading import EncoderError
from eval.encoders.texts import split_text
from eval.footage import MAX_FRAMES, observe, sampled_frames
from holocine.decoding import VideoReader
from holocine.prompt import character_descriptions, character_tags
from holocine.storyboard import Storyboard

EXAMPLE = "google/owlv2-base-patch16-ensemble"
THRESHOLD = 0.2  # of the model's own score between 0 and 1


class BoxFinder:
    """An OWLv2 model with its processor. A box is found where the model's score is at least `threshold`."""

    def __init__(self, model: Any, processor: Any, threshold: float = THRESHOLD) -> None:
        self.model, self.processor, self.threshold = model.eval(), processor, threshold
        self._length = model.config.text_config.max_position_embeddings

    def find(self, picture: np.ndarray, descriptions: Mapping[str, str]) -> dict[str, Box]:
        """The best box for each description, by its key, in pixels of `picture` uint8 (H, W, 3); only those found.

        The model reads a few words (16 tokens): of a longer description, those that fit.
        """
        import torch

        if not descriptions:
            return {}
        texts = [split_text(text, self._fits)[0] for text in descriptions.values()]
        inputs = self.processor(text=[texts], images=picture, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            output = self.model(**inputs)
        scores = output.logits[0].sigmoid().float().cpu().numpy()  # (places, texts)
        centres = output.pred_boxes[0].float().cpu().numpy()  # (places, 4): x, y, width, height
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
        model = Owlv2ForObjectDetection.from_pretrained(spec)
        processor = Owlv2Processor.from_pretrained(spec)
    except (OSError, ValueError) as error:
        raise EncoderError(f"{spec} is no OWLv2 model: name one such as {EXAMPLE}, or its folder ({error})") from error
    return BoxFinder(model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")), processor, threshold)


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
