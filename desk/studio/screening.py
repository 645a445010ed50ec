"""Scores videos that visitors bring, as jobs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk.studio.jobs import Job, Stopped
from desk.studio.limits import Limits
from desk.studio.preview import picture_url
from desk.studio.studio import Studio
from desk.studio.uploads import check_upload
from desk.studio.wording import sentence
from holocine.decoding import DamagedVideo, VideoError
from holocine.storyboard import StoryboardError

if TYPE_CHECKING:
    from eval.evidence import Evidence
    from eval.request import Request

MAX_SHOTS = 60  # shown of a video without a storyboard


def submit(studio: Studio, visitor: str, upload: Path, name: str, request: Request | None, limits: Limits) -> Job:
    """Queue the scoring of an uploaded video; raises `VideoError`, `LimitError` or `QueueFull` in one sentence.

    name: what to call it, as text. request: what it was to show; None for the storyboard inside it, if there is one.
    """
    suffix = check_upload(upload, limits)
    studio.outputs.clean()
    return studio.jobs.submit(
        visitor,
        lambda job: _examine(studio, job, upload, f"video{suffix}", name, request),
        limits.job_seconds,
        kind="score",
    )


def _examine(studio: Studio, job: Job, upload: Path, file: str, name: str, request: Request | None) -> dict[str, Any]:
    from eval.gathering import Cancelled, request_of

    folder = studio.outputs.new_folder(job.id)
    video = folder / file
    try:
        job.say(stage="score", title=name)
        try:
            shutil.copyfile(upload, video)
        except FileNotFoundError:
            raise VideoError("the file that was brought is no longer kept; bring it again") from None
        found, evidence = studio.examine(job, folder, video, request_of(video, request))
        content = describe(evidence, name) | found
        content["files"] = {"video": file, **found["files"]}
    except Cancelled:
        studio.outputs.drop(job.id)
        raise Stopped(job.reason) from None
    except DamagedVideo as error:
        studio.outputs.drop(job.id)
        raise VideoError(
            f"the video is damaged or cut short: {error.reason}; upload the whole file again, or export it anew"
        ) from None
    except (VideoError, StoryboardError) as error:
        studio.outputs.drop(job.id)
        raise VideoError(str(error).replace(str(video), "the video")) from None
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def describe(evidence: Evidence, name: str) -> dict[str, Any]:
    """What the stage shows of a video that was brought: its planned shots, or else those that were detected."""
    from eval.scorecard import varying_times

    footage, asked = evidence.footage, evidence.asked
    if asked is not None:
        ranges, written = evidence.shots, asked.request.written
        captions = written.captions if written else [""] * len(ranges)
        title = (written.title or "Untitled scene") if written else name
        content = {"title": title, "cuts": list(asked.cuts or ())}
        if written and asked.request.timed:
            content["storyboard"] = json.loads(written.to_json())
    else:
        ranges = evidence.detection.shot_ranges[:MAX_SHOTS]
        captions = [""] * len(ranges)
        content = {"title": name, "unplanned": True, "cuts": list(evidence.detection.cuts)}
    content["shots"] = [
        {"first": shot.start, "last": max(shot.start, shot.stop - 1), "caption": caption}
        for shot, caption in zip(ranges, captions, strict=True)
    ]
    for shot, span in zip(content["shots"], ranges, strict=True):
        if len(span):
            shot["picture"] = picture_url(footage.pictures[span[len(span) // 2]])
    return {
        **content,
        "kind": "scored",
        "name": name,
        "fps": footage.fps,
        "times": varying_times(footage),
        "num_frames": footage.num_frames,
        "aspect": footage.size[0] / footage.size[1],
        "note": " ".join(map(sentence, footage.notes)),
    }
