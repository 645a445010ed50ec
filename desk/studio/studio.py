"""Makes a video as a job: from a storyboard and settings to the files and facts that the stage shows."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from desk.studio.cutting import copy_shots
from desk.studio.gpu import borrowed, most_seconds, on_zero_gpu
from desk.studio.gpu_time import check_time, expected_seconds
from desk.studio.jobs import Job, JobQueue, Stopped
from desk.studio.limits import Limits
from desk.studio.models import ModelHolder, find
from desk.studio.outputs import Outputs
from desk.studio.pace import Pace
from desk.studio.preview import decode_frames, middle_frames, picture_url
from desk.studio.scoring import Scorer, shown_scores, write_scorecard
from desk.studio.settings import Settings, as_made
from holocine.frame_stream import FrameStream, watched
from holocine.making import Making
from holocine.storyboard import Storyboard
from holocine.timeline import FRAMES_PER_LATENT
from holocine.video import Thumbnails, contact_sheet, visible_size, write_video

if TYPE_CHECKING:
    from eval.evidence import Evidence
    from eval.request import Request
    from holocine.keeping import Kept

logger = logging.getLogger(__name__)

PREVIEW_SHARE = 0.1  # of the time that denoising takes
AHEAD = 4  # events: pictures that are decoded before those before them are written

holder = ModelHolder()  # beside the functions, since ZeroGPU's other process sees what is there when it is forked


@dataclass(frozen=True, eq=False)
class Made:
    """What a model made: frames (T, H, W, 3) uint8, its storyboard as run, and how many seconds what took.

    Frames of a stream are decoded while they are read, once; what that takes is in `timings` when all were.
    latents: float32 (channels, latent frames, latent height, latent width); made_by: the fingerprint of their VAE.
    defaults: of the pipeline, for what no setting says.
    """

    frames: np.ndarray | FrameStream
    storyboard: Storyboard
    timings: dict[str, float]
    latents: np.ndarray | None = None
    made_by: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _borrowed_seconds(
    storyboard: str, settings: dict[str, Any], stop_file: str, kept: Sequence[dict[str, Any]] = ()
) -> float:
    asked = Settings(**settings)
    return expected_seconds(Storyboard.from_json(storyboard), asked, find(asked.model).facts)


@borrowed(duration=_borrowed_seconds)
def generate(
    storyboard: str, settings: dict[str, Any], stop_file: str, kept: Sequence[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Make a video: yields {"step", "of", "previews"} at each step, then the fields of `Made` with the "shape" of the
    frames in their place, and at last {"frames", "timings"} again and again, some frames (n, H, W, 3) at a time.

    storyboard: as JSON. settings: as of `Settings`. kept: shots that are given, each as `keeping.Kept` with arrays for
    tensors. Stops after the running step, with `Stopped`, once `stop_file` exists. Only plain data goes in and out, so
    this may run in another process.
    """
    events: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue(AHEAD)
    thread = threading.Thread(target=_denoise, args=(storyboard, settings, Path(stop_file), kept, events), daemon=True)
    thread.start()
    event = {}
    try:
        while (event := events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        if event is not None:  # it was left before its end
            Path(stop_file).touch()
            while events.get() is not None:  # a full queue would hold the thread
                pass
        thread.join()


def _denoise(
    storyboard: str,
    settings: dict[str, Any],
    stop_file: Path,
    kept: Sequence[dict[str, Any]],
    events: queue.Queue,
) -> None:
    try:
        pipeline = holder.take(settings["model"])
        from holocine.from_pictures import open_pictures, run_with_pictures
        from holocine.pipeline import Cancelled

        board = Storyboard.from_json(storyboard)
        previews = _Previews(pipeline, board, settings)

        def step_end(_, step: int, timestep, tensors: dict) -> dict:
            if not stop_file.exists():
                pictures = previews.after(step)
                events.put({"step": step + 1, "of": settings["steps"], "previews": pictures})
            return {"cancel": stop_file.exists()}

        try:
            given = [_given(shot, pipeline.vae) for shot in kept]
            whole = {shot.shot for shot in given if shot.part == "whole"}
            made = [number for number in range(1, board.num_shots + 1) if number not in whole]
            output = run_with_pictures(
                pipeline,
                board,
                open_pictures(board.as_run(), (settings["height"], settings["width"]), shots=made),
                given or None,
                height=settings["height"],
                width=settings["width"],
                num_inference_steps=settings["steps"],
                guidance_scale=settings["guidance"],
                attention=settings["attention"],
                seed=settings["seed"],
                callback_on_step_end=step_end,
                output_type="stream",
            )
        except Cancelled:
            raise Stopped("Cancelled.") from None
        made = {"storyboard": output.storyboards[0].asked.to_json(), "timings": dict(output.timings)}
        made |= {"latents": output.latents[0].float().cpu().numpy(), "made_by": output.made_by}
        made["defaults"] = {name: x for name, x in pipeline.config.items() if name.startswith("default_")}
        events.put({"shape": output.frames[0].shape, **made})
        decoded = iter(output.frames[0])
        while frames := list(islice(decoded, FRAMES_PER_LATENT)):
            if stop_file.exists():
                raise Stopped("Cancelled.")
            events.put({"frames": np.stack(frames), "timings": dict(output.timings)})
    except Exception as error:
        events.put(error)
    finally:
        events.put(None)


def _given(shot: dict[str, Any], vae) -> Kept:
    """A shot that is kept; its latents are left where another VAE made them, and its frames are encoded instead."""
    import torch

    from holocine.encoding import vae_fingerprint
    from holocine.keeping import Kept

    if shot["latents"] is None or shot["made_by"] != vae_fingerprint(vae):
        return Kept(**{**shot, "latents": None, "made_by": None})
    return Kept(**{**shot, "latents": torch.from_numpy(shot["latents"])})


class _Previews:
    """Decodes one frame a shot now and then, in a small part of the time that denoising takes."""

    def __init__(self, pipeline, storyboard: Storyboard, settings: dict[str, Any]) -> None:
        self.pipeline = pipeline
        self.frames = middle_frames(storyboard.layout(1, 1))
        self.begun, self.spent = time.monotonic(), 0.0

    def after(self, step: int) -> list[str] | None:
        """Pictures of all shots after a step, as data URLs; None if it is too early or would take too long."""
        now = time.monotonic()
        if step == 0 or self.spent > PREVIEW_SHARE * (now - self.begun):
            return None
        clean = self.pipeline.scheduler.pred_original_sample
        pictures = [picture_url(picture) for picture in decode_frames(self.pipeline, clean, self.frames)]
        self.spent += time.monotonic() - now
        return pictures


class Studio:
    """Takes requests for videos and turns each into a job of the queue and, once it is made, a folder of outputs."""

    def __init__(self, outputs: Outputs, jobs: JobQueue) -> None:
        self.outputs, self.jobs, self.scorer, self.pace = outputs, jobs, Scorer(), Pace()

    def submit(self, visitor: str, storyboard: Storyboard, settings: Settings, score: bool = True) -> Job:
        """Queue a video, to be scored if `score`; raises QueueFull if there is no room, and LimitError for a video that
        takes a GPU for longer than this Space may borrow one.
        """
        self.check(storyboard, settings)
        limits = Limits.of(find(settings.model))
        return self.jobs.submit(
            visitor,
            lambda job: self._make(job, storyboard, settings, score),
            limits.job_seconds,
            progress={"seed": settings.seed},
        )

    def check(self, storyboard: Storyboard, settings: Settings) -> None:
        """Make room for a video; raises LimitError for one that names files, or takes a GPU for longer than it may be
        borrowed.
        """
        Limits.of(find(settings.model)).check_pictures(storyboard)
        if (seconds := most_seconds()) is not None:
            check_time(storyboard, settings, find(settings.model).facts, seconds)
        self.outputs.clean()

    def _make(self, job: Job, storyboard: Storyboard, settings: Settings, score: bool) -> dict[str, Any]:
        """The work of a job; what it returns and leaves on disk is what `stage.finished` describes."""
        folder = self.outputs.new_folder(job.id)
        try:
            job.say(stage="model", **planned(storyboard.as_run()))
            with self.denoise(job, storyboard, settings, folder / "stop") as made:
                content = write_files(folder, made, settings)
        except BaseException:
            self.outputs.drop(job.id)
            raise
        content = self.finish(job, folder, made.storyboard, content, score)
        if score:
            seconds = time.monotonic() - job.started
            self.pace.learn(storyboard, settings, find(settings.model).facts, seconds, made.timings["denoise"])
        return content

    def finish(
        self, job: Job, folder: Path, storyboard: Storyboard, content: dict[str, Any], score: bool
    ) -> dict[str, Any]:
        """Keep a video that lies in `folder`, before it is scored and with its scores; returns what the stage shows."""
        self.outputs.keep(job.id, job.visitor, content)
        if score:
            content = content | self.score(job, folder, storyboard, content)
            content["settings"] = {**content["settings"], "seconds": round(time.monotonic() - job.started, 1)}
            self.outputs.keep(job.id, job.visitor, content)
        return content

    def score(self, job: Job, folder: Path, storyboard: Storyboard, content: dict[str, Any]) -> dict[str, Any]:
        """What the stage shows of the scores. A video without them, for a fault or because of Cancel, is one too."""
        from eval.gathering import Cancelled

        try:
            job.say(stage="score", content=content)
            found, _ = self.examine(job, folder, folder / content["files"]["video"], storyboard)
        except (Cancelled, Stopped):
            return {"note": "Scoring was cancelled."}
        except (ValueError, OSError) as error:
            logger.warning("scoring failed: %s", error)
            return {"note": f"This video could not be scored: {error}"}
        except Exception:
            logger.exception("scoring failed")
            return {"note": "This video could not be scored; the server's log says why."}
        return {**found, "files": {**content["files"], **found["files"]}}

    def examine(
        self, job: Job, folder: Path, video: Path, request: Request | Storyboard | None
    ) -> tuple[dict[str, Any], Evidence]:
        """Score a video, write scorecard and report into `folder`, and return what the stage shows of them.

        Raises `VideoError` or `StoryboardError` in one sentence, and `eval.Cancelled`.
        """

        def stopped() -> bool:
            try:
                job.check()
            except Stopped:
                return True
            return False

        card, evidence = self.scorer.score(video, request, stopped)
        return {"files": write_scorecard(folder, card, evidence), **shown_scores(card)}, evidence

    @contextmanager
    def denoise(
        self,
        job: Job,
        storyboard: Storyboard,
        settings: Settings,
        stop_file: Path,
        kept: Sequence[dict[str, Any]] = (),
        context: int = 0,
    ) -> Iterator[Made]:
        """Make a video with the model, around shots that are `kept` as `generate` takes them; the job says how far.

        Its frames are decoded while they are read, inside the block and once. context: how many shots at the beginning
        are no part of what is made, and not shown.
        """
        begun, rest = None, self.pace.rest(storyboard, settings)
        try:
            with (
                closing(_events(job, generate(storyboard.to_json(), asdict(settings), str(stop_file), kept))) as events,
                job.stopped_by(stop_file.touch),
            ):
                for event in events:
                    if "shape" in event:
                        yield _made(job, event, events)
                        return
                    now = time.monotonic()
                    begun = begun or (event["step"], now)
                    steps_timed = event["step"] - begun[0]
                    left = (now - begun[1]) / steps_timed * (event["of"] - event["step"]) if steps_timed else None
                    left = None if left is None or rest is None else left + rest
                    said = {"previews": event["previews"][context:]} if event["previews"] else {}
                    stage = "denoise" if event["step"] < event["of"] else "decode"
                    job.say(stage=stage, step=event["step"], of=event["of"], seconds_left=left, **said)
        finally:
            stop_file.unlink(missing_ok=True)


def _events(job: Job, events: Generator[dict[str, Any]]) -> Generator[dict[str, Any]]:
    """The events of `generate`; raises Stopped or a sentence where they end before they should."""
    try:
        yield from events
    except (ValueError, OSError, Stopped):
        raise
    except Exception as error:
        if not on_zero_gpu():
            raise
        lost = f"The borrowed GPU was taken back ({error}): try again, or take fewer frames."
        raise InterruptedError(lost) from None
    if job.stopping:
        raise Stopped(job.reason)
    raise InterruptedError("The making of this scene was interrupted; please try again.")


def _made(job: Job, event: dict[str, Any], events: Generator[dict[str, Any]]) -> Made:
    """What `event` tells of, with the frames of the events that follow it."""
    shape, timings = event.pop("shape"), event["timings"]

    def frames() -> Iterator[np.ndarray]:
        left = shape[0]
        for part in events:
            timings.update(part["timings"])
            left -= len(part["frames"])
            job.check()
            if not left:
                job.say(stage="files")
            yield from part["frames"]

    board = Storyboard.from_json(event["storyboard"]).as_run()
    return Made(FrameStream(shape, frames), **event | {"storyboard": board})


def planned(storyboard: Storyboard) -> dict[str, Any]:
    """What is known of a video before it is made, as the stage shows it."""
    return {
        "title": storyboard.title or "Untitled scene",
        "fps": storyboard.fps,
        "num_frames": storyboard.num_frames,
        "cuts": list(storyboard.cuts),
        "shots": [
            {"first": frames.start, "last": frames.stop - 1, "caption": caption}
            for frames, caption in zip(storyboard.shot_ranges, storyboard.captions, strict=True)
        ],
    }


def write_files(folder: Path, made: Made, settings: Settings) -> dict[str, Any]:
    """Write all that a visitor may take along, and return what the stage shows of it, files by their names."""
    from holocine.latents_file import latents_path

    video, board, seen = folder / "video.mp4", made.storyboard, Seen(made)
    making = Making.in_one_go(board.num_shots, settings.seed, made.made_by)
    making = replace(making, latents=keep_latents(latents_path(video), made))
    size = visible_size(made.frames)
    how = as_made(settings, made.defaults, size)
    write_video(video, seen.frames, board.fps, board, how, size=size, making=making)
    return describe(folder, made, asdict(settings), seen)


def keep_latents(path: Path, made: Made) -> str | None:
    """Write the latents of a video beside it, for retakes and continuations; returns their digest."""
    if made.latents is None:
        return None
    import torch

    from holocine.latents_file import write_latents

    return write_latents(path, torch.from_numpy(made.latents), made.made_by)


class Seen:
    """Takes what a page shows of a video out of its frames while it is written.

    frames: those of the video, to be read from here. thumbnails: of its contact sheet. pictures: the middle frame of
    each shot, as data URLs, by number.
    """

    def __init__(self, made: Made) -> None:
        self.thumbnails = Thumbnails(made.storyboard, made.frames.shape)
        self.frames = watched(made.frames, self._see)
        self.pictures: dict[int, str] = {}
        self._middles = {middle(span) for span in made.storyboard.shot_ranges}

    def _see(self, index: int, frame: np.ndarray) -> None:
        self.thumbnails.see(index, frame)
        if index in self._middles:
            self.pictures[index] = picture_url(frame)


def middle(span: range) -> int:
    return span[len(span) // 2]


def describe(folder: Path, made: Made, told: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """Write what goes with the video that lies in `folder`, and return what the stage shows of it.

    told: the settings that made it. seen: what was taken out of its frames, all of which were written.
    """
    shape, board = made.frames.shape, made.storyboard
    told = {**told, "seconds": round(sum(made.timings.values()), 2)}
    contact_sheet(seen.thumbnails, board, folder / "contact_sheet.png")
    (folder / "storyboard.yaml").write_text(board.asked.to_yaml(), encoding="utf-8")
    content = planned(board) | {"kind": "made"}
    for number, (shot, span) in enumerate(zip(content["shots"], board.shot_ranges, strict=True), start=1):
        shot["video"] = f"shot_{number:02d}.mp4"
        shot["picture"] = seen.pictures[middle(span)]
    copy_shots(folder / "video.mp4", board.shot_ranges, [folder / shot["video"] for shot in content["shots"]])
    return {
        **content,
        "aspect": shape[2] / shape[1],
        "files": {"video": "video.mp4", "sheet": "contact_sheet.png", "storyboard": "storyboard.yaml"},
        "storyboard": json.loads(board.asked.to_json()),
        "settings": told,
    }
