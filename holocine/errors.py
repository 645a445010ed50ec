"""What loading a model says when it cannot."""

from __future__ import annotations


class CheckpointError(ValueError):
    """Weights that are absent or not what they should be. The message is one sentence with the remedy."""


def first_line(error: Exception) -> str:
    """What an exception says, short enough for one sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
