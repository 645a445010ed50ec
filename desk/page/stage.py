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
    """What is there: `content` as `studio.write_files` returned it, with its files served; or takes to choose from."""
    if content.get("kind") == "takes":
        return _takes(content, folder)
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
        "id": folder.name if content.get("kind") == "made" else None,
        "state": "done",
        "message": "",
        "note": note or content.get("note", ""),
        "shots": shots,
        "files": files,
    }


def shared(record: Record, folder: Path) -> Value:
    """Somebody's video for one who came by its link: to be seen and taken along, and its scene to be edited."""
    note = "Somebody shared this video with you. It is kept here for a day at most."
    return {**finished(record.content, folder / record.id, note), "id": None, "shared": record.id}


def _takes(content: Value, folder: Path) -> Value:
    """Takes side by side: of each the shot that is new, or the whole video where several are."""
    new, rows = content["retaken"], []
    for number, take in enumerate(content["takes"], start=1):
        file = take["shots"][new[0] - 1]["video"] if len(new) == 1 else take["files"]["video"]
        video = served(folder / f"take_{number}" / file, f"take_{number}.mp4")
        shot = take["shots"][new[0] - 1]
        name = shot["take"] if len(new) == 1 else number
        rows.append({"take": number, "name": name, "seed": shot["seed"], "video": video})
    return {
        "state": "done",
        "id": folder.name,
        "title": content["title"],
        "note": content["note"],
        "aspect": content["takes"][0]["aspect"],
        "retaken": new,
        "takes": rows,
    }


def scene_card(record: Record) -> Value:
    """A finished video, or takes to choose from, in a list of scenes."""
    content, new = record.content, record.content.get("retaken")
    when, of = time.strftime("%H:%M", time.localtime(record.created)), new and _shots(new)
    if content["kind"] == "takes":
        told, picture = f"{len(content['takes'])} takes of {of}", content["takes"][0]["shots"][new[0] - 1]["picture"]
    else:
        told, picture = f"{of} anew" if new else f"seed {content['settings']['seed']}", content["shots"][0]["picture"]
    return {"id": record.id, "name": content["title"], "when": f"{when}, {told}", "picture": picture}


def _shots(numbers: list[int]) -> str:
    return f"shot{'s'[: len(numbers) > 1]} {', '.join(map(str, numbers))}"
