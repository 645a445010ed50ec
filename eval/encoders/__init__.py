"""Encoders: pictures and texts to unit vectors, by models that say what they are and where they come from.

Names are imported when they are first used, so that nothing here loads torch before a model is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holocine.lazy import lazily

if TYPE_CHECKING:
    from eval.encoders.choosing import Encoders, list_encoders, load_encoders
    from eval.encoders.loading import EncoderError
    from eval.encoders.texts import Texts, describe_texts, split_text
    from eval.encoders.theatre import is_of_the_theatre

_MODULE_OF = {
    "EncoderError": "loading",
    "Encoders": "choosing",
    "Texts": "texts",
    "describe_texts": "texts",
    "is_of_the_theatre": "theatre",
    "list_encoders": "choosing",
    "load_encoders": "choosing",
    "split_text": "texts",
}

__all__ = [
    "EncoderError",
    "Encoders",
    "Texts",
    "describe_texts",
    "is_of_the_theatre",
    "list_encoders",
    "load_encoders",
    "split_text",
]

__getattr__, __dir__ = lazily(__name__, _MODULE_OF)
