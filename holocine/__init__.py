"""HoloCine: a storyboard becomes a coherent multi-shot video, all shots denoised together (arXiv 2510.20822).

Names are imported when they are first used, so `import holocine` loads neither torch nor diffusers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holocine.lazy import lazily

if TYPE_CHECKING:
    from holocine.attention import AttentionSettings
    from holocine.checkpoints import CheckpointError, load_pipeline
    from holocine.conversion import convert
    from holocine.keeping import KeepError, Kept, keep_picture, keep_shots
    from holocine.pipeline import Cancelled, HoloCineOutput, HoloCinePipeline
    from holocine.prompt import PromptTooLong, TextWindows, text_windows
    from holocine.storyboard import Shot, Storyboard, StoryboardError
    from holocine.timeline import ShotLayout
    from holocine.transformer import HoloCineTransformer3DModel
    from holocine.video import VideoError, VideoFile, contact_sheet, read_storyboard, read_video, write_video

_MODULE_OF = {
    "AttentionSettings": "attention",
    "CheckpointError": "checkpoints",
    "convert": "conversion",
    "load_pipeline": "checkpoints",
    "KeepError": "keeping",
    "Kept": "keeping",
    "keep_picture": "keeping",
    "keep_shots": "keeping",
    "Cancelled": "pipeline",
    "HoloCineOutput": "pipeline",
    "HoloCinePipeline": "pipeline",
    "PromptTooLong": "prompt",
    "TextWindows": "prompt",
    "text_windows": "prompt",
    "Shot": "storyboard",
    "Storyboard": "storyboard",
    "StoryboardError": "storyboard",
    "ShotLayout": "timeline",
    "HoloCineTransformer3DModel": "transformer",
    "VideoError": "video",
    "VideoFile": "video",
    "contact_sheet": "video",
    "read_storyboard": "video",
    "read_video": "video",
    "write_video": "video",
}

__version__ = "0.1.0"
__all__ = [
    "AttentionSettings",
    "Cancelled",
    "CheckpointError",
    "HoloCineOutput",
    "HoloCinePipeline",
    "HoloCineTransformer3DModel",
    "KeepError",
    "Kept",
    "PromptTooLong",
    "Shot",
    "ShotLayout",
    "Storyboard",
    "StoryboardError",
    "TextWindows",
    "VideoError",
    "VideoFile",
    "contact_sheet",
    "convert",
    "keep_picture",
    "keep_shots",
    "load_pipeline",
    "read_storyboard",
    "read_video",
    "text_windows",
    "write_video",
]

__getattr__, __dir__ = lazily(__name__, _MODULE_OF)
