"""What the stage shows, as plain JSON: before, while and after a video is made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from desk.page.components import served
from desk.studio.jobs import Job, JobQueue
from desk.studio.outputs import Record
from desk.studio.wording import sentence

Value = dict[str, Any]


def empty() -> Value:
    return {"state": "empty"}


def failed(message: str) -> Value:
    """Nothing was made, and why."""
    return {"state": "failed", "message": sentence(message)}


def of_job(job: Job, jobs: JobQueue, folder: Path) -> Value:
    """A job as it stands; `folder` is the one whose folders hold finished videos."""
    if job.state == "done":
        return finished(job.result, folder / job.id)
    if not job.live:
        return {**_plan(job), "state": job.state, "message": sentence(job.message)}
    progress = {name: value for name, value in job.progress.items() if name not in (*_PLAN, "content")}
    progress["stopping"] = job.stopping
    if content := job.progress.get("content"):
        return {**finished(content, folder / job.id), "state": job.state, "progress": progress}
    if job.state == "waiting":
        progress |= {"before": jobs.place(job), "seconds_left": jobs.seconds_before(job)}
    return {**_plan(job), "state": job.state, "progress": progress}


_AS_THEY_ARE = ("scorecard", "report")
_PLAN = ("title", "fps", "num_frames", "cuts", "shots")


def _plan(job: Job) -> Value:
    return {name: job.progress[name] for name in _PLAN if name in job.progress}


def finished(content: Value, folder: Path, note: str = "") -> Value:
    """A video that is there: `content` as `studio.write_files` returned it, with its files served."""
    stem = "".join(letter if letter.isalnum() else "_" for letter in content["title"]).strip("_")[:40] or "scene"
    shots = [
        {**shot, "video": served(folder / shot["video"], f"{stem}_{shot['video']}")} if shot.get("video") else shot
        for shot in content["shots"]
    ]
    files = {
        name: served(folder / file, file if name in _AS_THEY_ARE else f"{stem}{Path(file).suffix}")
        for name, file in content["files"].items()
    }
    return {
        **content,
        "state": "done",
        "message": "",
        "note": note or content.get("note", ""),
        "shots": shots,
        "files": files,
    }


def scene_card(record: Record) -> Value:
    """A finished video in a list of scenes."""
    content = record.content
    when = time.strftime("%H:%M", time.localtime(record.created))
    return {
        "id": record.id,
        "name": content["title"],
        "when": f"{when}, seed {content['settings']['seed']}",
        "picture": content["shots"][0]["picture"],
    }
