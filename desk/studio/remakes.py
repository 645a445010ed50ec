"""Goes on from a finished video: new takes of some of its shots, the scene anew around locked ones, more shots."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from desk.studio.jobs import Job, Stopped
from desk.studio.limits import LimitError, Limits
from desk.studio.models import EMBEDDED_NAME, find, model_names
from desk.studio.outputs import Record
from desk.studio.settings import MOST_SEED, Settings, as_made
from desk.studio.studio import Made, Seen, Studio, describe, keep_latents, planned
from holocine.decoding import VideoError
from holocine.frame_stream import joined
from holocine.from_pictures import files_named, with_copies
from holocine.keeping import KeepError, check_shot
from holocine.making import Making, Take
from holocine.plurals import counted
from holocine.settings import of_its_own, remembered
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from holocine.continuing import Continuation
    from holocine.source import Source

logger = logging.getLogger(__name__)

MOST_TAKES = 4
CONTEXT = 2  # shots that a continuation sees


@dataclass(frozen=True, eq=False)
class Remake:
    """What is to be made of a finished video.

    source: it, as `holocine.source.open_source` found it. film: the storyboard of the video that comes out, as run.
    kept: {shot of the film: shot of the source} that is taken over as it is; retaken: the same for shots that are made
    anew. scene: the storyboard that the model is given; seen: {shot of the scene: shot of the source} that it is given
    finished. All from 1. anew: whether it is a scene of its own, with its own seed, and not the source's.
    """

    source: Source
    film: Storyboard
    kept: Mapping[int, int]
    retaken: Mapping[int, int]
    scene: Storyboard
    seen: Mapping[int, int]
    anew: bool = False

    @property
    def continues(self) -> bool:
        """Whether the model makes shots after the last, and is not given the whole film."""
        return self.scene is not self.film


def open_video(path: Path, limits: Limits) -> Source:
    """A video to go on from; raises `VideoError` or LimitError in one sentence that does not name the file."""
    from holocine.source import open_source

    try:
        source = open_source(path)
    except VideoError as error:
        raise VideoError(str(error).replace(str(path), "the video")) from None
    limits.of_film.check_storyboard(source.storyboard)
    board = with_copies(source.storyboard, source.pictures)
    if named := files_named(board):
        name = Path(named[0]).name[:80]
        raise VideoError(f"the video was made with {name}, of which it has no copy in it: go on where that file is")
    return source if board == source.storyboard else replace(source, storyboard=board)


def settings_of(source: Source, seed: int | None = None) -> Settings:
    """How a video was made, to go on in the same way, with another seed: drawn if it is None.

    Raises LimitError for a video of another model than those of this desk, or of a size that it does not make.
    """
    told = remembered(source.settings)
    name = told.get("model", EMBEDDED_NAME)
    if name not in model_names():
        raise LimitError(
            f"the video was made by the model {str(name)[:80]!r}, which is not offered here: "
            f"go on from a video of {' or '.join(model_names())}"
        )
    model = find(name)
    return Settings.of(
        model,
        Limits.of(model),
        source.storyboard,
        attention=told.get("attention"),
        steps=told.get("num_inference_steps"),
        guidance=told.get("guidance_scale"),
        seed=secrets.randbelow(MOST_SEED) if seed is None else seed,
        height=told.get("height", source.size[1]),
        width=told.get("width", source.size[0]),
    )


def retake(
    source: Source,
    shots: Sequence[int],
    changes: Mapping[int, Mapping[str, Any]] | None = None,
) -> Remake:
    """New takes of shots (from 1), with other fields if so wished, such as "caption", or "image" as a data URL.

    Raises `KeepError` or StoryboardError.
    """
    from holocine.retaking import shots_to_retake, with_changes

    chosen = shots_to_retake(source.storyboard, shots)
    film = with_changes(source.storyboard, changes or {})
    kept = {shot: shot for shot in range(1, film.num_shots + 1) if shot not in chosen}
    return Remake(source, film, kept, {shot: shot for shot in chosen}, film, kept)


def around_locked(
    source: Source, storyboard: Storyboard, locked: Mapping[int, int], known: Mapping[int, int]
) -> Remake:
    """The scene anew, but for locked shots: {shot of the storyboard: shot of the source}, from 1.

    known: the same for shots that are not locked but were in the source. Raises `KeepError` in one sentence.
    """
    film = storyboard.as_run()
    if not locked:
        raise KeepError("no shot is locked, so nothing of the video is kept")
    if len(locked) == film.num_shots:
        raise KeepError("all shots are locked, so there is nothing to make: unlock one")
    if film.fps != source.storyboard.fps:
        raise KeepError(
            f"locked shots have {source.storyboard.fps:g} frames a second and the scene {film.fps:g}: unlock them, or "
            f"give the scene {source.storyboard.fps:g}"
        )
    for shot, origin in locked.items():
        check_shot(origin, source.storyboard)
        before, now = source.storyboard.shots[origin - 1].num_frames, film.shots[shot - 1].num_frames
        if before != now:
            raise KeepError(
                f"shot {shot} of {film.num_shots}: it is locked with {before} frames, but has {now} now: "
                "unlock it, or give it its length back"
            )
    found = {shot: origin for shot, origin in known.items() if 1 <= origin <= source.storyboard.num_shots}
    return Remake(source, film, locked, found, film, locked, anew=True)


def continuation(source: Source, more: Storyboard, limits: Limits, context: int = CONTEXT) -> Remake:
    """More shots after the last, which see the last `context` shots.

    Raises `KeepError`, StoryboardError or LimitError in one sentence.
    """
    from holocine.continuing import plan_continuation

    count = source.storyboard.num_shots
    if context < 1:
        raise KeepError(f"context is {context}, but the new shots have to see at least one shot: give 1 or more")
    plan = plan_continuation(source.storyboard, more, range(max(1, count - context + 1), count + 1))
    _check_lengths(plan, limits)
    kept = {shot: shot for shot in range(1, count + 1)}
    return Remake(source, plan.film, kept, {}, plan.scene, dict(enumerate(plan.context, start=1)))


def _check_lengths(plan: Continuation, limits: Limits) -> None:
    """Raise LimitError for more than this desk makes in one go, or than a film may have."""
    from holocine.continuing import too_much

    for count, new, most, what in (
        (plan.scene.num_frames, plan.new.num_frames, limits.frames, "frame"),
        (plan.scene.num_shots, plan.num_new, limits.shots, "shot"),
    ):
        if count > most:
            found = f"{counted(count, what)}, and this desk makes at most {most} in one go"
            raise LimitError(too_much(plan, found, new < most))
    for count, most, what in (
        (plan.film.num_frames, limits.of_film.frames, "frame"),
        (plan.film.num_shots, limits.of_film.shots, "shot"),
    ):
        if count > most:
            raise LimitError(
                f"the film would have {counted(count, what)}, but one at this desk has at most {most}: "
                "begin another scene"
            )
    limits.of_film.check_storyboard(plan.film)


def check_same(source: Source, settings: Settings) -> None:
    """Raise LimitError if a scene is to be made by another model, or in another size, than the shots that are kept."""
    before, unlock = settings_of(source), "unlock the shots, or choose"
    if before.model != settings.model:
        raise LimitError(f"the locked shots are of the model {before.model}, not {settings.model}: {unlock} that")
    if (before.width, before.height) != (settings.width, settings.height):
        raise LimitError(
            f"the locked shots have {before.width} x {before.height} pixels, not {settings.width} x {settings.height}: "
            f"{unlock} that size"
        )


def submit(studio: Studio, visitor: str, remake: Remake, settings: Sequence[Settings], score: bool = True) -> Job:
    """Queue takes, one for each of the settings; raises QueueFull or LimitError in one sentence.

    One take becomes a video of the visitor's. Of several the visitor chooses; they are scored when they are chosen.
    """
    for one in settings:
        studio.check(remake.scene, one)
    seconds = len(settings) * Limits.of(find(settings[0].model)).job_seconds
    work = _one if len(settings) == 1 else _several
    told = {"seed": settings[0].seed, "takes": len(settings)}
    return studio.jobs.submit(visitor, lambda job: work(studio, job, remake, settings, score), seconds, progress=told)


def takes(settings: Settings, count: Any) -> list[Settings]:
    """Settings of so many takes, with seeds that follow one another; raises LimitError for none and for too many."""
    if count not in range(1, MOST_TAKES + 1):
        raise LimitError(f"{count!r} takes are asked for, but this desk makes 1 to {MOST_TAKES}")
    return [replace(settings, seed=settings.seed + take) for take in range(count)]


def _one(studio: Studio, job: Job, remake: Remake, settings: Sequence[Settings], score: bool) -> dict[str, Any]:
    folder = studio.outputs.new_folder(job.id)
    try:
        job.say(stage="model", **planned(remake.film))
        made, content = _make(studio, job, _with_pictures(remake), settings[0], folder, 1)
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    return studio.finish(job, folder, made.storyboard, content, score)


def _several(studio: Studio, job: Job, remake: Remake, settings: Sequence[Settings], score: bool) -> dict[str, Any]:
    """Takes to choose from, each in a folder of its own; those that are there when the job is cancelled are kept."""
    folder, rows, note = studio.outputs.new_folder(job.id), [], ""
    try:
        job.say(stage="model", **planned(remake.film))
        remake = _with_pictures(remake)
        for number, one in enumerate(settings, start=1):
            try:
                job.say(stage="model", take=number, step=0, seed=one.seed)
                own = folder / f"take_{number}"
                own.mkdir()
                rows.append(_make(studio, job, remake, one, own, number)[1])
            except Stopped:
                if not rows:
                    raise
                shutil.rmtree(folder / f"take_{number}", ignore_errors=True)
                note = f"Cancelled: {len(rows)} of {len(settings)} takes are there."
                break
            except Exception as error:
                if not rows:
                    raise
                logger.warning("take %d of %d failed: %s", number, len(settings), error)
                shutil.rmtree(folder / f"take_{number}", ignore_errors=True)
                note = f"Take {number} failed: {len(rows)} of {len(settings)} takes are there."
                break
    except BaseException:
        studio.outputs.drop(job.id)
        raise
    content = planned(remake.film) | {"kind": "takes", "retaken": sorted(remake.retaken), "takes": rows, "note": note}
    content["source"] = remake.source.path.parent.name
    studio.outputs.keep(job.id, job.visitor, content)
    return content


def _with_pictures(remake: Remake) -> Remake:
    """The same with the source's frames and, where they are kept, latents."""
    from holocine.source import read_source

    return replace(remake, source=read_source(remake.source.path))


def _make(
    studio: Studio, job: Job, remake: Remake, settings: Settings, folder: Path, take: int
) -> tuple[Made, dict[str, Any]]:
    context = len(remake.seen) if remake.continues else 0
    job.say(first_preview=1 + (remake.source.storyboard.num_shots if remake.continues else 0))
    told = asdict(settings)
    if not remake.anew:
        told["seed"] = remake.source.storyboard.seed
    with studio.denoise(job, remake.scene, settings, folder / "stop", _kept(remake), context) as made:
        made = _whole(remake, made)
        seen = Seen(made)
        making = _write(remake, replace(made, frames=seen.frames), settings, folder, take)
    content = describe(folder, made, told, seen)
    for shot, one in zip(content["shots"], making.takes, strict=True):
        shot |= {"take": one.number, "seed": one.seed}
    return made, content | {"retaken": sorted(set(range(1, made.storyboard.num_shots + 1)) - set(remake.kept))}


def _kept(remake: Remake) -> list[dict[str, Any]]:
    """What the model is given of the source, as `studio.generate` takes it.

    A continuation sees frames alone: its first shot begins a scene, and what it was before is no latent frame of that.
    """
    from holocine.continuing import keep_context

    source = remake.source
    if remake.continues:
        spans = source.storyboard.shot_ranges
        kept = keep_context(
            remake.seen.values(), remake.scene, lambda shot: source.frames[spans[shot - 1].start : spans[shot - 1].stop]
        )
    else:
        kept = source.keep(remake.seen)
    return [
        {
            "shot": given.shot,
            "latents": None if given.latents is None else given.latents.numpy(),
            "frames": given.frames,
            "made_by": given.made_by,
            "fps": given.fps,
        }
        for given in kept
    ]


def _whole(remake: Remake, made: Made) -> Made:
    """What was made, as the whole film: a continuation's new shots after the source's."""
    if remake.anew:
        return replace(made, storyboard=remake.film.model_copy(update={"seed": made.storyboard.seed}))
    if not remake.continues:
        return replace(made, storyboard=remake.film)
    from holocine.timeline import FRAMES_PER_LATENT

    source, new = remake.source, remake.film.num_frames - remake.source.storyboard.num_frames
    latents = None
    if source.latents is not None and made.latents is not None and source.making.vae == made.made_by:
        latents = np.concatenate([source.latents.numpy(), made.latents[:, -(new // FRAMES_PER_LATENT) :]], axis=1)
    return replace(made, frames=joined(source.frames, made.frames[-new:]), storyboard=remake.film, latents=latents)


def _write(remake: Remake, made: Made, settings: Settings, folder: Path, take: int) -> Making:
    """Write the video, kept shots copied as they are, and its latents; returns how it came about."""
    from holocine.latents_file import latents_path
    from holocine.retaking import write_around

    source, video = remake.source, folder / "video.mp4"
    how = as_made(settings, made.defaults, source.size)
    first = how if remake.anew else source.settings
    takes = tuple(_takes(remake, settings.seed, how, first, take))
    making = Making(takes, made.made_by, keep_latents(latents_path(video), made))
    write_around(video, source, remake.kept, made.frames, made.storyboard, first, making)
    return making


def _takes(remake: Remake, seed: int, how: Mapping[str, Any], first: Mapping[str, Any], take: int) -> list[Take]:
    """Which take each shot of the film is; one made anew is `take` takes later than it was.

    how: the settings of the shots that are made; first: those that the video remembers.
    """
    before, video = remake.source.making.takes, remembered(remake.source.settings)

    def of(shot: int) -> Take:
        if shot in remake.kept:
            kept = before[remake.kept[shot] - 1]
            return replace(kept, settings=of_its_own({**video, **kept.settings}, first))
        number = before[remake.retaken[shot] - 1].number + take if shot in remake.retaken else 1
        return Take(number, seed, of_its_own(how, first))

    return [of(shot) for shot in range(1, remake.film.num_shots + 1)]


def use(studio: Studio, visitor: str, record: Record, take: Any, score: bool = True) -> Job:
    """Make a take a video of the visitor's own, as a job that scores it; raises LimitError for a take that is none."""
    rows = record.content["takes"]
    if not isinstance(take, int) or not 1 <= take <= len(rows):
        raise LimitError(f"there is no take {take!r}; choose one of 1 to {len(rows)}")
    return studio.jobs.submit(
        visitor,
        lambda job: _use(studio, job, studio.outputs.files / record.id / f"take_{take}", rows[take - 1], score),
        Limits.of(find(rows[take - 1]["settings"]["model"])).job_seconds,
    )


def _use(studio: Studio, job: Job, take: Path, content: dict[str, Any], score: bool) -> dict[str, Any]:
    folder = studio.outputs.new_folder(job.id)
    try:
        shutil.copytree(take, folder, dirs_exist_ok=True)
    except FileNotFoundError:
        studio.outputs.drop(job.id)
        raise LimitError("these takes are no longer kept; make them again") from None
    board = Storyboard.model_validate(content["storyboard"]).as_run()
    return studio.finish(job, folder, board, content, score)
