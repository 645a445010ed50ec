"""What this desk accepts, said to visitors in one place and enforced on the server in the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holocine.from_pictures import files_named, pictures_of
from holocine.storyboard import Storyboard
from holocine.storyboard_input import ENCLOSED

if TYPE_CHECKING:
    from desk.studio.models import Model


class LimitError(ValueError):
    """A request beyond what this desk accepts; the message is one sentence with the limit."""


@dataclass(frozen=True)
class Limits:
    """Of a generation: frames, pixels, steps, shots and seconds. Of an upload: bytes, pixels and seconds."""

    frames: int
    pixels: int  # width x height of a generated frame
    steps: int
    job_seconds: int
    shots: int = 13
    guidance: float = 20.0
    caption_characters: int = 2_000
    text_characters: int = 100_000  # of a storyboard that is pasted or opened
    picture_characters: int = 700_000  # of a picture that a shot begins from, as a data URL: half a megabyte
    upload_bytes: int = 200 * 2**20
    upload_seconds: float = 120.0
    upload_pixels: int = 7680 * 4320  # of a frame; decoding one takes ten times as many bytes
    waiting: int = 24
    output_bytes: int = 4 * 2**30  # kept on disk for all visitors together; as much again of what they bring
    output_hours: float = 24.0

    @property
    def of_film(self) -> Limits:
        """The limits of a video that was continued, which the model never sees whole."""
        return replace(self, frames=4 * self.frames, shots=40)

    @property
    def of_editor(self) -> Limits:
        """The limits of a scene that is opened: what is too long to be made can be shortened there."""
        return replace(self, frames=20 * self.frames)

    @classmethod
    def of(cls, model: Model) -> Limits:
        """The limits of a model: the embedded one runs on two CPU cores, others on a GPU."""
        if model.theatre:
            return cls(frames=129, pixels=224 * 128, steps=50, job_seconds=600)
        facts = model.facts
        return cls(frames=241, pixels=max(480 * 832, facts.height * facts.width), steps=60, job_seconds=3600)

    def check_storyboard(self, storyboard: Storyboard) -> None:
        """Raise LimitError, naming the limit, for a storyboard that is too long."""
        if storyboard.num_frames > self.frames:
            raise LimitError(
                f"the scene has {storyboard.num_frames} frames, but this desk makes at most {self.frames}; "
                "shorten a shot"
            )
        if storyboard.num_shots > self.shots:
            raise LimitError(f"the scene has {storyboard.num_shots} shots, but this desk makes at most {self.shots}")
        texts = {
            "the global caption": storyboard.global_caption,
            "the negative prompt": storyboard.negative_prompt or "",
        }
        of = storyboard.num_shots
        texts |= {f"shot {i} of {of}: the caption": text for i, text in enumerate(storyboard.captions, start=1)}
        for name, text in texts.items():
            if len(text) > self.caption_characters:
                raise LimitError(
                    f"{name} has {len(text):,} characters, but at most {self.caption_characters:,} are read; shorten it"
                )

    def check_pictures(self, storyboard: Storyboard) -> None:
        """Raise LimitError for a storyboard that names files, which a desk never opens, or whose pictures are large."""
        if named := files_named(storyboard):
            raise LimitError(
                f"the storyboard names the file {named[0][:80]!r}, which is not here: give a picture as a data URL, "
                "data:image/jpeg;base64,…, or drop it on its shot"
            )
        most = max(map(len, pictures_of(storyboard)), default=0)
        if most > self.picture_characters:
            raise LimitError(
                f"a picture has {most:,} characters as a data URL, but at most {self.picture_characters:,} are taken: "
                "make it smaller"
            )

    def check_text(self, text: str) -> None:
        """Raise LimitError for the text of a storyboard that is too long; pictures inside of it are not counted, but
        have a limit of their own.
        """
        if len(text) > (whole := 2 * self.shots * self.picture_characters):
            raise LimitError(
                f"the text has {len(text):,} characters, but at most {whole:,} are read, pictures included"
            )
        length = len(re.sub(rf"{ENCLOSED},[\w+/=]+", "", text))
        if length > self.text_characters:
            raise LimitError(f"the text has {length:,} characters, but at most {self.text_characters:,} are read")

    def check_settings(self, steps: int, guidance: float, height: int, width: int) -> None:
        """Raise LimitError for more steps, guidance or pixels than this desk gives a visitor."""
        if not 1 <= steps <= self.steps:
            raise LimitError(f"{steps} steps are asked for, but this desk takes 1 to {self.steps}")
        if not 0 <= guidance <= self.guidance:
            raise LimitError(f"the guidance is {guidance:g}, but has to lie between 0 and {self.guidance:g}")
        if height * width > self.pixels:
            raise LimitError(
                f"{width} x {height} pixels are asked for, but this desk makes at most {self.pixels:,} pixels a frame"
            )

    def sentence(self) -> str:
        """The limits in two sentences, for the interface."""
        video = f"{self.frames} frames, {self.shots} shots, {self.steps} steps and {_minutes(self.job_seconds)} a video"
        upload = f"uploads of at most {self.upload_bytes // 2**20} MB and {_minutes(self.upload_seconds)}"
        return f"At most {video}; {upload}. Videos are kept for {self.output_hours:g} hours."


def _minutes(seconds: float) -> str:
    return f"{seconds:g} seconds" if seconds < 180 else f"{seconds / 60:g} minutes"
