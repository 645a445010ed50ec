"""The desk for programs, `gradio_client` and MCP: storyboard to video, versions of it, retakes, continuations, scores.

Every function is an endpoint under its own name; its docstring is what programs, and models that use tools, are told.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from desk.scene import draft, vocabulary
from desk.service.several import read_versions
from desk.service.tools import results_as_json, told_whole
from desk.studio import remakes, screening
from desk.studio.jobs import Job
from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from desk.studio.settings import ATTENTION, Settings
from desk.studio.studio import Studio
from desk.studio.wording import sentence
from desk.tabs import versions
from desk.tabs.score import read_request
from holocine.storyboard import Storyboard


def build(studio: Studio) -> None:
    """Offer the endpoints, inside the `gr.Blocks` that is open; nothing of it is seen on the page."""
    results_as_json()
    files = {"visible": False}
    storyboard = gr.Textbox(label="storyboard", **files)
    attention = gr.Dropdown(list(ATTENTION), value=None, label="attention", **files)
    steps, guidance, seed = (gr.Number(None, label=name, **files) for name in ("steps", "guidance", "seed"))
    score = gr.Checkbox(True, label="score", **files)
    video = gr.File(label="video", **files)
    asked, cuts = (gr.Textbox(None, label=name, **files) for name in ("storyboard", "cuts"))
    align = gr.Dropdown(["auto", "seconds", "frames", "share"], value="auto", label="align", **files)
    start = gr.Number(0, label="start", **files)
    made, facts, card = (
        gr.File(label="video", **files),
        gr.JSON(label="result", **files),
        gr.JSON(label="scorecard", **files),
    )
    gr.Button(**files).click(
        storyboard_to_video(studio),
        [storyboard, attention, steps, guidance, seed, score],
        [made, facts],
        api_name="storyboard_to_video",
        concurrency_limit=None,
    )
    gr.Button(**files).click(
        video_to_scorecard(studio),
        [video, asked, cuts, align, start],
        card,
        api_name="video_to_scorecard",
        concurrency_limit=None,
    )
    shot, context = (gr.Number(value, label=label, **files) for value, label in ((1, "shot"), (2, "context")))
    caption = gr.Textbox(None, label="caption", **files)
    gr.Button(**files).click(
        retake(studio), [video, shot, caption, seed, score], [made, facts], api_name="retake", concurrency_limit=None
    )
    gr.Button(**files).click(
        continue_video(studio),
        [video, storyboard, context, seed, score],
        [made, facts],
        api_name="continue_video",
        concurrency_limit=None,
    )
    asked_versions = gr.Textbox(None, label="versions", **files)
    count = gr.Number(versions.FEWEST, label="count", **files)
    gr.Button(**files).click(
        compare(studio),
        [storyboard, asked_versions, count],
        [gr.File(label="videos", file_count="multiple", **files), facts],
        api_name="compare",
        concurrency_limit=None,
    )
    gr.api(plan_storyboard, api_name="plan_storyboard", concurrency_limit=None)
    gr.api(surprise, api_name="surprise", concurrency_limit=None)


def storyboard_to_video(studio: Studio):
    """The endpoint that makes a video."""

    @told_whole
    async def storyboard_to_video(
        storyboard: str,
        attention: Literal["sparse", "full", "isolated"] | None = None,
        steps: float | None = None,
        guidance: float | None = None,
        seed: float | None = None,
        score: bool = True,
        progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
    ) -> tuple[str, dict[str, Any]]:
        """Make a multi-shot video from a storyboard, all shots together, with cuts on the frames that were asked for.

        Args:
            storyboard: The scene as YAML or JSON (global_caption, fps, shots with caption and num_frames), or as
                HoloCine's prompt string "[global caption] … [per shot caption] … [shot cut] …". A shot may begin from a
                picture (image) and a character be known from one (references: {character1: …}), as data URLs.
            attention: How shots see each other: "sparse" (own shot and summaries), "full" or "isolated".
            steps: Denoising steps; the model's own number if left out.
            guidance: How closely the text is followed; the model's own value if left out.
            seed: A whole number; the storyboard's own, or a drawn one, if left out.
            score: Whether to look at the video, for detected cuts and scores, too.

        Returns:
            The MP4, with storyboard and settings inside, and what is known of it: seed, cuts, detected cuts, scores.
        """
        with _sentences():
            model = find()
            limits = Limits.of(model)
            board = draft.parse(storyboard, limits)
            settings = Settings.of(model, limits, board, attention, steps, guidance, seed)
            job = studio.submit(secrets.token_urlsafe(24), board, settings, score)
            result = await _finished(studio, job, progress)
        return _video(studio, job, result, settings)

    return storyboard_to_video


def retake(studio: Studio):
    """The endpoint that makes one shot of a video anew."""

    @told_whole
    async def retake(
        video: str,
        shot: float,
        caption: str | None = None,
        seed: float | None = None,
        score: bool = True,
        progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
    ) -> tuple[str, dict[str, Any]]:
        """Make one shot of a finished video anew and keep all other shots as they are, frame for frame.

        Args:
            video: An MP4 that was made here or by the same model; it carries its storyboard and its settings inside.
            shot: The number of the shot, counted from 1.
            caption: New words for the shot; if left out, it is made from the same words with another seed.
            seed: A whole number for the noise of the new take; drawn if left out.
            score: Whether to look at the video, for detected cuts and scores, too.

        Returns:
            The MP4 with the new take, and what is known of it: seed of the take, takes of all shots, cuts, scores.
        """
        with _sentences():
            source = _source(video)
            number = _whole(shot, "shot")
            changes = {number: {"caption": caption}} if caption and caption.strip() else {}
            settings = remakes.settings_of(source, seed)
            job = remakes.submit(
                studio, secrets.token_urlsafe(24), remakes.retake(source, [number], changes), [settings], score
            )
            result = await _finished(studio, job, progress)
        return _video(studio, job, result, settings)

    return retake


def continue_video(studio: Studio):
    """The endpoint that makes more shots after the last of a video."""

    @told_whole
    async def continue_video(
        video: str,
        storyboard: str,
        context: float = remakes.CONTEXT,
        seed: float | None = None,
        score: bool = True,
        progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
    ) -> tuple[str, dict[str, Any]]:
        """Make more shots after the last of a finished video; they see its last shots, which stay as they are.

        Args:
            video: An MP4 that was made here or by the same model; it carries its storyboard and its settings inside.
            storyboard: The new shots as YAML or JSON (shots with caption and num_frames); the global caption and the
                frames a second are those of the video if they are left out.
            context: How many of the last shots the new ones see.
            seed: A whole number for the noise of the new shots; drawn if left out.
            score: Whether to look at the video, for detected cuts and scores, too.

        Returns:
            The MP4 of all shots, the old and the new, and what is known of it: seed, cuts, detected cuts, scores.
        """
        with _sentences():
            source = _source(video)
            settings = remakes.settings_of(source, seed)
            limits = Limits.of(find(settings.model))
            more = draft.parse_more(storyboard or "", source.storyboard, limits)
            remake = remakes.continuation(source, more, limits, _whole(context, "context"))
            job = remakes.submit(studio, secrets.token_urlsafe(24), remake, [settings], score)
            result = await _finished(studio, job, progress)
        return _video(studio, job, result, settings)

    return continue_video


def compare(studio: Studio):
    """The endpoint that makes several versions of a scene."""

    @told_whole
    async def compare(
        storyboard: str,
        versions: str | None = None,
        count: float = 2,
        progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
    ) -> tuple[list[str], dict[str, Any]]:
        """Make two to four versions of one scene, with other settings or other seeds, and score each of them.

        Args:
            storyboard: The scene as YAML, JSON or HoloCine's prompt string, as for storyboard_to_video.
            versions: What each version has of attention, steps, guidance, seed and model, as a YAML or JSON list such
                as [{"attention": "sparse"}, {"attention": "full", "steps": 4}]; versions without a seed share one, so
                that they begin from the same noise.
            count: How many versions to make that differ in their seed alone; it counts if versions is left out.

        Returns:
            The MP4s, and what is known of each in the same order: its name, settings, detected cuts and scores.
        """
        with _sentences():
            board = draft.parse(storyboard, Limits.of(find()))
            settings = read_versions(versions, count, board)
            for one in settings:
                studio.check(board, one)
            job = _compare(studio, board, settings)
            result = await _finished(studio, job, progress)
        return _videos(studio, job, result)

    return compare


def _compare(studio: Studio, board: Storyboard, settings: list[Settings]) -> Job:
    return versions.submit(studio, secrets.token_urlsafe(24), board, settings, blind=False)


def _videos(studio: Studio, job: Job, result: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The videos of a comparison, and what is known of them; what all have in common is said once."""
    made, folder = result["versions"], studio.outputs.files / job.id
    paths = [str(folder / one["folder"] / one["content"]["files"]["video"]) for one in made]
    known = [
        {
            "name": one["name"],
            "settings": one["content"]["settings"],
            "detected": one["content"].get("detected"),
            "scores": _scores(one["content"]),
        }
        for one in made
    ]
    common = {name: made[0]["content"][name] for name in ("storyboard", "num_frames", "fps", "cuts")}
    return paths, common | {"versions": known}


def _scores(content: dict[str, Any]) -> dict[str, float]:
    return {row["metric"]: row["number"] for row in content.get("scorecard", ()) if row["measured"]}


def _source(video: str | None):
    """A video that a program brought, to go on from; raises LimitError or `VideoError` in one sentence."""
    if not video:
        raise LimitError("there is no video; give one")
    limits = Limits.of(find())
    screening.check_upload(Path(video), limits)
    return remakes.open_video(Path(video), limits)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise LimitError(f"the {name} is {value!r}, but has to be a whole number")
    return int(value)


def _video(studio: Studio, job: Job, result: dict[str, Any], settings: Settings) -> tuple[str, dict[str, Any]]:
    """A finished video, and what is known of it."""
    known = {name: result.get(name) for name in ("storyboard", "settings", "num_frames", "fps", "cuts", "detected")}
    takes = [shot.get("take", 1) for shot in result["shots"]]
    path = studio.outputs.files / job.id / result["files"]["video"]
    return str(path), {**known, "seed": settings.seed, "takes": takes, "scores": _scores(result)}


def video_to_scorecard(studio: Studio):
    """The endpoint that scores a video."""

    @told_whole
    async def video_to_scorecard(
        video: str,
        storyboard: str | None = None,
        cuts: str | None = None,
        align: str = "auto",
        start: float = 0.0,
        progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
    ) -> dict[str, Any]:
        """Score a video: where it cuts, how steady it is, and whether it shows what its storyboard asked for.

        Args:
            video: An MP4, MOV, WebM, MKV or AVI file.
            storyboard: What it was to show, as YAML, JSON or a prompt string; left out for videos that were made here,
                which carry theirs inside, and for videos without one.
            cuts: For a prompt string, or alone, the first frame of each new shot, such as "21, 45"; optional.
            align: How shots are put on the frames of the video: "auto", "seconds", "frames" or "share" of its length.
            start: Seconds of the video before the scene begins.

        Returns:
            The scorecard: every metric with its value, what it covers and how it was measured.
        """
        from eval.scorecard import Scorecard

        with _sentences():
            limits = Limits.of(find())
            path = Path(video) if video else None
            if path is None:
                raise LimitError("there is no video; give one")
            screening.check_upload(path, limits)
            request = read_request(storyboard or "", cuts or "", path, limits, align, start)
            job = screening.submit(studio, secrets.token_urlsafe(24), path, path.name, request, limits)
            result = await _finished(studio, job, progress)
        card = Scorecard.load(studio.outputs.files / job.id / result["files"]["scorecard"])
        return card.model_dump(mode="json")

    return video_to_scorecard


@told_whole
def plan_storyboard(storyboard: str) -> dict[str, Any]:
    """Check a storyboard without making it: what was changed to make it valid, what is doubtful, tokens and cost.

    Args:
        storyboard: The scene as YAML, JSON or HoloCine's prompt string.

    Returns:
        Whether it is valid, the findings as sentences, and the plan: shots in frames, latent frames and tokens.
    """
    model = find()
    limits = Limits.of(model)
    try:
        board = draft.parse(storyboard, limits)
    except ValueError as error:
        return {"valid": False, "findings": [sentence(str(error))], "plan": None}
    found = draft.review(draft.from_storyboard(board), model, limits)
    changed = [sentence(text) for text in board.as_run().warnings]
    sentences = list(dict.fromkeys([*changed, *(finding.text for finding in found.findings)]))
    return {"valid": found.valid, "findings": sentences, "plan": found.plan and found.plan.to_dict()}


@told_whole
def surprise(seed: int = 0) -> str:
    """A valid scene of the puppet theatre, which the embedded model knows, as YAML.

    Args:
        seed: The same number gives the same scene.

    Returns:
        A storyboard to make, to change, or to learn the theatre's words from.
    """
    return vocabulary.surprise(int(seed) % 2**32).to_yaml()


async def _finished(studio: Studio, job: Job, progress: gr.Progress) -> dict[str, Any]:
    """Wait for a job and tell how far it is; raises LimitError with what the job said if nothing came of it."""
    try:
        async for now in studio.jobs.follow(job):
            told = now.progress
            which = f"Version {told.get('made', 0) + 1} of {told['count']}: " if told.get("count") else ""
            if now.state == "waiting":
                progress(0, desc=f"Waiting: {studio.jobs.place(now)} before this one")
            elif told.get("of"):
                stage = f"{which}{told.get('stage', '')}"
                progress((told["step"], told["of"]), desc=stage[:1].upper() + stage[1:], unit="steps")
            else:
                stage = f"{which}{told.get('stage', 'starting')}"
                progress(0, desc=stage[:1].upper() + stage[1:])
    finally:
        if job.live:
            studio.jobs.cancel(job)
    if job.state != "done":
        raise LimitError(job.message)
    return job.result


class _sentences:
    """Turns errors that speak for themselves into Gradio's, which show their text to the caller and no traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ValueError | OSError):
            raise gr.Error(sentence(str(error)), print_exception=False) from None
