"""Scores videos that visitors bring, as jobs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk.studio.jobs import Job, Stopped
from desk.studio.limits import Limits
from desk.studio.preview import picture_url
from desk.studio.studio import Studio, planned
from desk.studio.uploads import check_upload
from holocine.decoding import VideoError, count_frames
from holocine.storyboard import Storyboard, StoryboardError

if TYPE_CHECKING:
    from eval.evidence import Evidence

MAX_SHOTS = 60  # shown of a video without a storyboard


def submit(studio: Studio, visitor: str, upload: Path, name: str, storyboard: Storyboard | None, limits: Limits) -> Job:
    """Queue the scoring of an uploaded video; raises `VideoError`, `LimitError` or `QueueFull` in one sentence.

    name: what to call it, as text. storyboard: what it was to show; None for the one inside it, if there is one.
    """
    suffix = check_upload(upload, limits)
    studio.outputs.clean()
    return studio.jobs.submit(
        visitor,
        lambda job: _examine(studio, job, upload, f"video{suffix}", name, storyboard),
        limits.job_seconds,
        kind="score",
    )


def _examine(
    studio: Studio, job: Job, upload: Path, file: str, name: str, storyboard: Storyboard | None
) -> dict[str, Any]:
    from eval.gathering import Cancelled, storyboard_of

    folder = studio.outputs.new_folder(job.id)
    video = folder / file
    try:
        job.say(stage="score", title=name)
        try:
            shutil.copyfile(upload, video)
        except FileNotFoundError:
            raise VideoError("the file that was brought is no longer kept; bring it again") from None
        storyboard = storyboard_of(video, storyboard)
        found, evidence = studio.examine(job, folder, video, storyboard)
        content = describe(evidence, name) | found
        content["files"] = {"video": file, **found["files"]}
    except Cancelled:
        studio.outputs.drop(job.id)
        raise Stopped(job.reason) from None
    except (VideoError, StoryboardError) as error:
        studio.outputs.drop(job.id)
        raise VideoError(str(error).replace(str(video), "the video")) from None
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def num_frames(upload: Path) -> int:
    """How many frames an uploaded video has."""
    return count_frames(upload)


def describe(evidence: Evidence, name: str) -> dict[str, Any]:
    """What the stage shows of a video that was brought: its planned shots, or else those that were detected."""
    footage, storyboard = evidence.footage, evidence.storyboard
    if storyboard is not None:
        content = planned(storyboard) | {"storyboard": json.loads(storyboard.to_json())}
        ranges = evidence.shots
    else:
        ranges = evidence.detection.shot_ranges[:MAX_SHOTS]
        shots = [{"first": shot.start, "last": shot.stop - 1, "caption": ""} for shot in ranges]
        content = {"title": name, "unplanned": True, "cuts": list(evidence.detection.cuts), "shots": shots}
    for shot, span in zip(content["shots"], ranges, strict=True):
        if len(span):
            shot["picture"] = picture_url(footage.pictures[span[len(span) // 2]])
    return {
        **content,
        "kind": "scored",
        "name": name,
        "fps": footage.fps,
        "num_frames": footage.num_frames,
        "aspect": footage.size[0] / footage.size[1],
    }
