"""The endings of the files that `export` writes, beside those of storyboards."""

from __future__ import annotations

FORMATS = (".otio", ".edl", ".fcpxml", ".srt", ".vtt", ".fountain", ".csv")
PICTURES = (".gif", ".webp", ".png")
