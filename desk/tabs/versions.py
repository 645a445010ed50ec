"""Several versions of one scene, made and scored in one job, to be looked at side by side, and votes on them.

Each version is shown as soon as it is made. In a blind comparison none is before all are, and nothing that leaves the
server tells which is which: letters are drawn apart from the order in which versions are made, the videos that are
shown are copies without settings in a folder whose name is drawn as well, and how far a job is is one number for all.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
from dataclasses import asdict, replace
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


def alike(versions: list[dict[str, Any]]) -> str:
    """What finished versions have in common of how they were made, as their contents tell it, the seed first."""
    first, *others = (version["settings"] for version in versions)
    same = [name for name in ("seed", "attention", "steps", "guidance") if all(o[name] == first[name] for o in others)]
    return ", ".join(_words(name, first[name]) for name in same)


def _words(name: str, value: Any) -> str:
    value = f"{value:g}" if isinstance(value, float) else str(value)
    return {"model": value, "attention": f"{value} attention", "size": value}.get(name, f"{name} {value}")


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
    folder = studio.outputs.new_folder(job.id)
    letters = list(LETTERS[: len(versions)])
    if blind:
        random.SystemRandom().shuffle(letters)
    made: list[dict[str, Any]] = []
    try:
        job.say(**planned(storyboard.as_run()), count=len(versions), blind=blind)
        for letter, name, settings in zip(letters, names(versions), versions, strict=True):
            own = folder / _unguessable()
            own.mkdir()
            job.say(stage="model", made=len(made), versions=list(made), seed=settings.seed)
            content = _make_one(studio, job, own, storyboard, settings)
            made.append({"letter": letter, "name": name, "folder": own.name, "content": content})
        made.sort(key=lambda version: version["letter"])
        content = planned(storyboard.as_run()) | {"kind": "compared", "blind": blind, "voted": None, "versions": made}
        if blind:
            content["hidden"] = _hide(folder, made)
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def _unguessable() -> str:
    """A folder's name: who has the address of one version's video cannot tell that of another file."""
    return secrets.token_urlsafe(12)


def _hide(folder: Path, made: list[dict[str, Any]]) -> str:
    """Put copies of all versions that tell nothing of themselves into a folder of their own; returns its name."""
    from benchmarks.reporting.preference import anonymous_copy

    hidden = folder / _unguessable()
    hidden.mkdir()
    for version in made:
        copy = hidden / anonymous_name(version["letter"])
        anonymous_copy(folder / version["folder"] / "video.mp4", copy)
        os.utime(copy, (0, 0))  # servers say when a file was written
    return hidden.name


def anonymous_name(letter: str) -> str:
    return f"anonymous_{letter}.mp4"


def _make_one(studio: Studio, job: Job, folder: Path, storyboard: Storyboard, settings: Settings) -> dict[str, Any]:
    with studio.denoise(job, storyboard, settings, folder / "stop") as made:
        content = write_files(folder, replace(made, latents=None), settings)
    return content | studio.score(job, folder, made.storyboard, content)


def vote(outputs: Outputs, record: Record, visitor: str, choice: Any) -> Record:
    """Put down which version a visitor likes best, a letter or "tie", and uncover them; a second vote changes nothing.

    It counts as what it is: one choice among all versions that were shown. Raises LimitError for a choice that is none.
    """
    from benchmarks.reporting.bradley_terry import Pick
    from benchmarks.reporting.votes import add_pick
    from eval.scorecard import storyboard_hash

    letters = [version["letter"] for version in record.content["versions"]]
    if choice not in (*letters, TIE):
        raise LimitError(f"a vote is for {', '.join(letters)} or for none of them")
    if record.content["voted"] is not None:
        return record
    called = {version["letter"]: version["name"] for version in record.content["versions"]}
    board = Storyboard.model_validate(record.content["versions"][0]["content"]["storyboard"])
    pick = Pick(tuple(called.values()), called.get(choice), storyboard_hash(board)[:16])
    add_pick(outputs.folder / VOTES, record.id, owner_of(visitor), pick)
    return outputs.keep(record.id, visitor, {**record.content, "voted": choice})


# What the tab shows


def of_job(job: Job, jobs: JobQueue, folder: Path) -> dict[str, Any]:
    """A job as it stands, or what it made."""
    if job.state == "done":
        return shown(job.id, job.result, folder / job.id)
    said = job.progress
    plan = {name: value for name, value in said.items() if name in _PLAN}
    if not job.live:
        return {**plan, "state": job.state, "message": sentence(job.message)}
    told = {"stopping": job.stopping, "share": _share(said)}
    if job.state == "waiting":
        told |= {"before": jobs.place(job), "seconds_left": jobs.seconds_before(job)}
    if not plan.get("blind"):
        told |= {name: said[name] for name in ("stage", "made", "step", "of", "seconds_left", "seed") if name in said}
        plan["versions"] = _versions({"versions": said.get("versions", [])}, folder / job.id, hidden=False)
    return {**plan, "state": job.state, "progress": told}


def _share(said: dict[str, Any]) -> float:
    """How much of all versions is made, as a share."""
    steps = 0.9 * said.get("step", 0) / max(1, said.get("of", 1))
    of_one = {"model": 0.02, "denoise": steps, "decode": 0.9, "files": 0.93, "score": 0.95}.get(said.get("stage"), 0.0)
    return round((said.get("made", 0) + of_one) / max(1, said.get("count", 1)), 3)


_PLAN = ("title", "fps", "num_frames", "cuts", "shots", "count", "blind")


def shown(identifier: str, content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A finished comparison: while it is blind, nothing that tells which version is which."""
    hidden = content["blind"] and content["voted"] is None
    plan = {name: content[name] for name in (*_PLAN, "voted") if name in content}
    known: dict[str, Any] = {}
    if not hidden:  # by its id no other file of theirs can be asked for, either
        known = {"id": identifier, "alike": alike([version["content"] for version in content["versions"]])}
    return {**plan, **known, "state": "done", "hidden": hidden, "versions": _versions(content, folder, hidden)}


def uncovered(content: dict[str, Any], letter: Any) -> dict[str, Any] | None:
    """What a version of a finished comparison was made from and how; None where that is not there or not to be told."""
    if content["kind"] != "compared" or (content["blind"] and content["voted"] is None):
        return None
    return next((one["content"] for one in content["versions"] if one["letter"] == letter), None)


def take_over(outputs: Outputs, record: Record, visitor: str, letter: Any) -> Record | None:
    """A version of a finished comparison as a video of the visitor's own, with files of its own; the same one when it
    is taken over again. None where `uncovered` is.
    """
    if (content := uncovered(record.content, letter)) is None:
        return None
    taken = record.content.get("taken", {})
    if (before := outputs.find(taken.get(letter), visitor)) is not None:
        return before
    folder = next(one["folder"] for one in record.content["versions"] if one["letter"] == letter)
    identifier = _unguessable()
    shutil.copytree(outputs.files / record.id / folder, outputs.new_folder(identifier), dirs_exist_ok=True)
    outputs.keep(record.id, visitor, {**record.content, "taken": {**taken, letter: identifier}})
    return outputs.keep(identifier, visitor, content)


def _versions(content: dict[str, Any], folder: Path, hidden: bool) -> list[dict[str, Any]]:
    rows = []
    for version in content["versions"]:
        letter, made = version["letter"], version["content"]
        own = folder / version.get("folder", letter) / "video.mp4"
        file = folder / content.get("hidden", "") / anonymous_name(letter) if hidden else own
        row = {"letter": letter, "aspect": made["aspect"], "video": served(file, f"{letter}.mp4")}
        if not hidden:
            told = {name: made.get(name) for name in ("settings", "scorecard", "detected")}
            row |= {"name": version["name"], **told}
        rows.append(row)
    return rows
