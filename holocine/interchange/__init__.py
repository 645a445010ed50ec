"""Storyboards and finished videos as the files of film tools, and back: one file a format, found by its ending."""
