"""The Space: a storyboard in, its plan and warnings at once, a multi-shot video and its contact sheet out.

The model is the embedded one, or what the environment variable HOLOCINE_MODEL names: a folder or a hub id.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import gradio as gr

from holocine import Storyboard, contact_sheet, load_pipeline, write_video
from holocine.checkpoints import describe, hide_loading_bars
from holocine.plan import make_plan
from holocine.video import visible_size

EXAMPLE = Path(__file__).parent / "examples" / "beach.yaml"
ATTENTION = ("sparse", "full", "isolated")
CSS = "#storyboard textarea { font-family: monospace; font-size: 0.9em } #plan { min-height: 8em }"

_cancelled: dict[str, threading.Event] = {}
_importing = threading.Lock()


def read_storyboard(text: str, num_frames: float | None = None, cuts: str = "") -> Storyboard:
    """A storyboard from YAML, or from HoloCine's prompt string with a frame count and cuts ("21, 45"; evenly if empty).

    Raises ValueError, in one sentence, for anything else.
    """
    if not text.lstrip().lower().startswith("[global caption]"):
        return Storyboard.from_yaml(text)
    words = cuts.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"cuts are {cuts!r}, but have to be frame numbers such as 21, 45")
    frames = {"num_frames": int(num_frames)} if num_frames else {}
    return Storyboard.from_prompt(text, [int(word) for word in words] or None, **frames)


def show_plan(text: str, num_frames: float | None, cuts: str, attention: str) -> str:
    """The plan of a storyboard as Markdown, or the sentence that says what is wrong with it."""
    import_libraries()
    try:
        plan = make_plan(read_storyboard(text, num_frames, cuts), describe(model_name()), attention=attention)
    except (ValueError, OSError) as error:
        return f"**This storyboard cannot be made:** {_plain(str(error))}"
    rows = [
        f"| {number} | {shot.first_frame}–{shot.last_frame} | {shot.seconds:.1f} s | {shot.num_tokens:,} "
        f"| {_plain(shot.caption)} |"
        for number, shot in enumerate(plan.shots, start=1)
    ]
    return "\n".join(
        [
            f"**{plan.num_frames} frames, {plan.seconds:.1f} s at {plan.fps:g} fps, {plan.width}×{plan.height}**: "
            f"{plan.num_tokens:,} video tokens, {plan.num_text_tokens} of {plan.max_text_tokens} text tokens; "
            f"self-attention does {plan.attention_share:.0%} of full attention's work.",
            "",
            "| shot | frames | length | tokens | caption |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *(f"- **Note:** {_plain(warning)}" for warning in plan.warnings),
        ]
    )


def generate(
    text: str,
    num_frames: float | None,
    cuts: str,
    seed: float | None,
    steps: float | None,
    guidance: float | None,
    attention: str,
    request: gr.Request,
    progress=gr.Progress(),  # noqa: B008  gradio finds the progress bar in the default
):
    """Paths of the video and its contact sheet, and the storyboard as run; raises `gr.Error` with a sentence."""
    import_libraries()
    from holocine import Cancelled

    cancelled = _cancelled[request.session_hash] = threading.Event()
    try:
        storyboard = read_storyboard(text, num_frames, cuts)
        progress(0, desc="Loading the model")
        pipeline = load_model()
        total = int(steps or pipeline.config.default_num_inference_steps)

        def step_end(pipeline, step: int, timestep, tensors: dict) -> dict:
            progress((step + 1, total), desc="Denoising", unit="steps")
            return {"cancel": cancelled.is_set()}

        output = pipeline(
            storyboard,
            num_inference_steps=total,
            guidance_scale=guidance,
            attention=attention,
            seed=None if seed is None else int(seed),
            callback_on_step_end=step_end,
        )
        return *write_files(output.frames[0], output.storyboards[0]), output.storyboards[0].to_yaml()
    except Cancelled:
        gr.Info("Cancelled.")
        return gr.skip(), gr.skip(), gr.skip()
    except (ValueError, OSError) as error:
        raise gr.Error(_plain(str(error)), print_exception=False) from None
    finally:
        _cancelled.pop(request.session_hash, None)


def cancel(request: gr.Request) -> None:
    """Stop this visitor's generation after the step that is running."""
    if event := _cancelled.get(request.session_hash):
        event.set()


def write_files(frames, storyboard: Storyboard) -> tuple[str, str]:
    """Write the video, large enough to be seen, and its contact sheet; return their paths."""
    folder = Path(tempfile.mkdtemp(prefix="holocine-"))
    video, sheet = folder / "video.mp4", folder / "contact_sheet.png"
    write_video(video, frames, storyboard.fps, storyboard, size=visible_size(frames))
    contact_sheet(frames, storyboard, sheet)
    return str(video), str(sheet)


def import_libraries() -> None:
    """Import the model's libraries, which takes seconds, in one thread at a time, as diffusers needs it."""
    with _importing:
        importlib.import_module("holocine.pipeline")


def model_name() -> str | None:
    return os.environ.get("HOLOCINE_MODEL") or None


@lru_cache(maxsize=1)
def load_model():
    """The pipeline, loaded when the first visitor asks for a video."""
    hide_loading_bars()
    pipeline = load_pipeline(model_name())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _plain(text: str) -> str:
    """Text that Markdown and HTML show as it is, on one line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
    return " ".join(escaped.replace("*", "\\*").replace("[", "\\[").split())


def build() -> gr.Blocks:
    """The interface, without the model."""
    with gr.Blocks(title="HoloCine", delete_cache=(3600, 24 * 3600)) as demo:
        gr.Markdown(
            "# HoloCine\n"
            "A storyboard becomes a multi-shot video: one diffusion model makes all shots together, so cuts fall where "
            "you put them and characters come back from shot to shot."
        )
        with gr.Row():
            with gr.Column():
                text = gr.Textbox(
                    value=EXAMPLE.read_text(encoding="utf-8") if EXAMPLE.exists() else "",
                    label="Storyboard: YAML, or HoloCine's prompt string",
                    elem_id="storyboard",
                    lines=18,
                    max_lines=30,
                )
                with gr.Accordion("For a prompt string: its timeline", open=False), gr.Row():
                    num_frames = gr.Number(65, label="Frames", precision=0, minimum=1)
                    cuts = gr.Textbox("", label="First frame of each new shot", placeholder="21, 45 (evenly if empty)")
                with gr.Accordion("Options", open=False):
                    with gr.Row():
                        seed = gr.Number(
                            None, label="Seed", precision=0, minimum=0, placeholder="storyboard's, or drawn"
                        )
                        steps = gr.Number(None, label="Steps", precision=0, minimum=1, placeholder="model's default")
                        guidance = gr.Number(None, label="Guidance", minimum=0, placeholder="model's default")
                    attention = gr.Radio(ATTENTION, value="sparse", label="Attention between shots")
                with gr.Row():
                    run = gr.Button("Generate", variant="primary")
                    stop = gr.Button("Cancel")
            with gr.Column():
                video = gr.Video(label="Video", autoplay=True, loop=True)
                sheet = gr.Image(label="Contact sheet", type="filepath")
                with gr.Accordion("Storyboard as run, with its seed", open=False):
                    as_run = gr.Code(language="yaml", interactive=False)
        plan = gr.Markdown(elem_id="plan")

        timeline = [text, num_frames, cuts]
        gr.on(
            [demo.load, *(part.change for part in (*timeline, attention))],
            show_plan,
            [*timeline, attention],
            plan,
            show_progress="hidden",
            trigger_mode="always_last",
        )
        run.click(generate, [*timeline, seed, steps, guidance, attention], [video, sheet, as_run], concurrency_limit=1)
        stop.click(cancel, queue=False)
    return demo


if __name__ == "__main__":
    threading.Thread(target=import_libraries, daemon=True).start()
    build().launch(theme=gr.themes.Soft(primary_hue="amber"), css=CSS)
