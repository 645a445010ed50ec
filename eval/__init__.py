"""Scoring of multi-shot videos: a video and its storyboard in, a scorecard out."""
