"""Rendered truth with known damage in, how far each metric can be trusted out."""
