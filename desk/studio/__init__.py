"""Storyboards and uploads of visitors in; videos, scores and progress out. Knows nothing of Gradio."""
