"""Several versions of one scene, made and scored in one job, to be looked at side by side, and votes on them."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from desk.page.components import served
from desk.studio.jobs import Job, JobQueue
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from desk.studio.outputs import Outputs, Record, owner_of
from desk.studio.settings import Settings
from desk.studio.studio import Studio, planned, write_files
from desk.studio.wording import sentence
from holocine.storyboard import Storyboard

FEWEST, MOST = 2, 4
LETTERS = "ABCD"
TIE = "tie"
VOTES = "votes.sqlite"


def names(versions: list[Settings]) -> list[str]:
    """What to call each version: that in which they differ, or all of it where they do not."""
    shown = [{**asdict(version), "size": f"{version.width} x {version.height}"} for version in versions]
    for fields in shown:
        del fields["width"], fields["height"]
    differ = [name for name in shown[0] if len({str(fields[name]) for fields in shown}) > 1]
    return [", ".join(_words(name, fields[name]) for name in differ or ("attention", "seed")) for fields in shown]


def _words(name: str, value: Any) -> str:
    return {"model": str(value), "attention": f"{value} attention", "size": str(value)}.get(name, f"{name} {value}")


def submit(studio: Studio, visitor: str, storyboard: Storyboard, versions: list[Settings], blind: bool) -> Job:
    """Queue two to four versions of a scene as one job; raises LimitError or QueueFull in one sentence."""
    if not FEWEST <= len(versions) <= MOST:
        raise LimitError(f"{len(versions)} versions are asked for, but {FEWEST} to {MOST} can be compared")
    if len(set(versions)) < len(versions):
        raise LimitError("two of the versions are the same; change the attention, the steps or the seed of one")
    seconds = sum(Limits.of(find(version.model)).job_seconds for version in versions)
    studio.outputs.clean()
    return studio.jobs.submit(visitor, lambda job: _make(studio, job, storyboard, versions, blind), seconds, "compare")


def _make(studio: Studio, job: Job, storyboard: Storyboard, versions: list[Settings], blind: bool) -> dict[str, Any]:
    from benchmarks.reporting.preference import anonymous_copy

    folder = studio.outputs.new_folder(job.id)
    order = list(range(len(versions)))
    if blind:
        random.SystemRandom().shuffle(order)
    called = names(versions)
    made: list[dict[str, Any]] = []
    try:
        job.say(**planned(storyboard.as_run()), count=len(versions), blind=blind)
        for letter, index in zip(LETTERS, order, strict=False):
            own = folder / letter
            own.mkdir()
            job.say(stage="model", version=letter)
            content = _make_one(studio, job, own, storyboard, versions[index])
            anonymous_copy(own / "video.mp4", own / "anonymous.mp4")
            made.append({"letter": letter, "name": called[index], "content": content})
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    content = planned(storyboard.as_run()) | {"kind": "compared", "blind": blind, "voted": None, "versions": made}
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def _make_one(studio: Studio, job: Job, folder: Path, storyboard: Storyboard, settings: Settings) -> dict[str, Any]:
    with studio.denoise(job, storyboard, settings, folder / "stop") as made:
        content = write_files(folder, replace(made, latents=None), settings)
    return content | studio.score(job, folder, made.storyboard, content)


def vote(outputs: Outputs, record: Record, visitor: str, choice: Any) -> Record:
    """Put down which version a visitor likes best, a letter or "tie", and uncover them; a second vote changes nothing.

    Raises LimitError for a choice that is none.
    """
    from benchmarks.reporting.votes import Pair, add_vote
    from eval.scorecard import storyboard_hash

    letters = [version["letter"] for version in record.content["versions"]]
    if choice not in (*letters, TIE):
        raise LimitError(f"a vote is for {', '.join(letters)} or for none of them")
    if record.content["voted"] is not None:
        return record
    for first, second in combinations(record.content["versions"], 2):
        made = first["content"]["settings"]
        board = Storyboard.model_validate(first["content"]["storyboard"])
        pair = Pair(storyboard_hash(board)[:16], made["seed"], first["name"], second["name"])
        if choice == TIE or choice in (first["letter"], second["letter"]):
            side = TIE if choice == TIE else "left" if choice == first["letter"] else "right"
            add_vote(outputs.folder / VOTES, pair, owner_of(visitor), side)
    return outputs.keep(record.id, visitor, {**record.content, "voted": choice})


# What the tab shows


def of_job(job: Job, jobs: JobQueue, folder: Path) -> dict[str, Any]:
    """A job as it stands, or what it made."""
    if job.state == "done":
        return shown(job.id, job.result, folder / job.id)
    plan = {name: value for name, value in job.progress.items() if name in _PLAN}
    if not job.live:
        return {**plan, "state": job.state, "message": sentence(job.message)}
    told = {name: value for name, value in job.progress.items() if name not in (*_PLAN, "content")}
    if job.state == "waiting":
        told |= {"before": jobs.place(job), "seconds_left": jobs.seconds_before(job)}
    if plan.get("blind"):
        told.pop("previews", None)
    return {**plan, "state": job.state, "progress": {**told, "stopping": job.stopping}}


_PLAN = ("title", "fps", "num_frames", "cuts", "shots", "count", "blind")


def shown(identifier: str, content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A finished comparison: while it is blind, nothing that tells which version is which."""
    hidden = content["blind"] and content["voted"] is None
    plan = {name: content[name] for name in (*_PLAN, "voted") if name in content}
    return {**plan, "state": "done", "id": identifier, "hidden": hidden, "versions": _versions(content, folder, hidden)}


def _versions(content: dict[str, Any], folder: Path, hidden: bool) -> list[dict[str, Any]]:
    rows = []
    for version in content["versions"]:
        letter, made = version["letter"], version["content"]
        file = folder / letter / ("anonymous.mp4" if hidden else "video.mp4")
        row = {"letter": letter, "aspect": made["aspect"], "video": served(file, f"{letter}.mp4")}
        if not hidden:
            told = {name: made.get(name) for name in ("settings", "scorecard", "detected")}
            row |= {"name": version["name"], **told}
        rows.append(row)
    return rows
