"""HoloCine: a storyboard becomes a multi-shot video in one diffusion pass (arXiv 2510.20822), on diffusers' Wan classes.

Importing this package loads nothing heavy: every public name is imported from its module when it is first used.
"""

from importlib import import_module

_HOME = {
    "Storyboard": "storyboard",
    "Shot": "storyboard",
    "StoryboardError": "storyboard",
    "ShotLayout": "timeline",
    "TextWindows": "prompt",
    "AttentionSettings": "attention",
    "HoloCineTransformer3DModel": "transformer",
    "HoloCinePipeline": "pipeline",
    "HoloCineOutput": "pipeline",
    "Cancelled": "pipeline",
    "CheckpointError": "checkpoints",
    "load_pipeline": "checkpoints",
    "convert": "checkpoints",
    "VideoError": "video",
    "VideoFile": "video",
    "write_video": "video",
    "read_video": "video",
    "read_storyboard": "video",
    "contact_sheet": "video",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
