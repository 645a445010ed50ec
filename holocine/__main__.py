"""`python -m holocine`: generate, plan, show, convert, schema.

Every failure that the input can cause is one line on stderr and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from holocine.command_line import parser
from holocine.program import UsageError, exit_code
from holocine.program import program as program_of

# What a video remembers of how it was made, and the type that each value has to have when it is read back from a file.
# The storyboard holds the rest: captions, cuts, frames a second, negative prompt and seed.
SETTINGS = {
    "model": str,
    "height": int,
    "width": int,
    "num_inference_steps": int,
    "guidance_scale": (int, float),
    "guidance_scale_2": (int, float),
    "guidance_below": (int, float),
    "eta": (int, float),
    "attention": str,
    "window": bool,
    "leak_free": bool,
    "kernel": str,
    "dtype": str,
    "vae_dtype": str,
    "layerwise_casting": bool,
    "vae_tiling": bool,
    "lora": list,
    "size": str,
    "resample": str,
}
CALL_SETTINGS = (
    "height",
    "width",
    "num_inference_steps",
    "guidance_scale",
    "guidance_scale_2",
    "guidance_below",
    "eta",
    "attention",
    "window",
    "leak_free",
    "kernel",
)
LOAD_SETTINGS = (
    "dtype",
    "vae_dtype",
    "device",
    "layerwise_casting",
    "vae_tiling",
    "model_cpu_offload",
    "group_offload",
    "lora",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""

    def work() -> None:
        options = parser(COMMANDS).parse_args(argv)
        options.run(options)

    remedies = (
        "--model-cpu-offload, --group-offload, --layerwise-casting, --vae-tiling or a smaller --height and --width"
    )
    too_large = f"there is not enough memory for this video: try {remedies}"
    return exit_code("holocine", work, "interrupted, nothing was written", too_large)


def program() -> NoReturn:
    """Run the command line that this process was started with."""
    program_of(main, SystemExit(143))  # SIGTERM cleans up as Ctrl-C does


# Commands


def generate(options: argparse.Namespace) -> None:
    """Generate a video from a storyboard, or again from a video, and write it with a contact sheet beside it."""
    from holocine.checkpoints import describe, hide_loading_bars, load_pipeline
    from holocine.files import check_writable, replacing
    from holocine.video import contact_sheet, visible_size, write_video

    out = Path(options.out)
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"the output is {str(out)!r}, but has to end in .mp4")
    sheet = out.with_suffix(".png")
    storyboard, remembered = _read_storyboard(options.storyboard, options.fix)
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = {name: given.get(name, remembered.get(name)) for name in (*SETTINGS, *LOAD_SETTINGS)}
    changes = {name: given[name] for name in ("seed", "negative_prompt", "fps") if name in given}
    if changes:
        storyboard = storyboard.model_copy(update=changes)
    size = _size(settings["size"])
    check_writable(out)
    check_writable(sheet)
    doubts = describe(settings["model"]).doubts(storyboard, settings["height"], settings["width"])
    if doubts and options.strict:
        raise UsageError(f"{'; '.join(doubts)} (without --strict it is made all the same)")
    _warn((*storyboard.as_run().warnings, *doubts))

    # Loading takes a moment only; the bar that matters is the one of the denoising steps.
    hide_loading_bars()
    load_options = {name: settings[name] for name in LOAD_SETTINGS if settings[name] is not None}
    pipeline = load_pipeline(settings["model"], **load_options)
    pipeline.set_progress_bar_config(desc="denoising", unit="step", disable=options.quiet)
    output = pipeline(storyboard, **{name: settings[name] for name in CALL_SETTINGS})
    storyboard, frames = output.storyboards[0], output.frames[0]
    if size == "auto":
        size = visible_size(frames)
    resolved = settings | {
        "height": frames.shape[1],
        "width": frames.shape[2],
        "num_inference_steps": settings["num_inference_steps"] or pipeline.config.default_num_inference_steps,
        "guidance_scale": _first(settings["guidance_scale"], pipeline.config.default_guidance_scale),
        "guidance_below": _first(settings["guidance_below"], pipeline.config.default_guidance_below),
        "eta": _first(settings["eta"], pipeline.config.default_eta),
        "attention": settings["attention"] or pipeline.config.default_attention,
        "size": f"{size[0]}x{size[1]}" if size else "native",
    }
    embedded = {name: resolved[name] for name in SETTINGS if resolved[name] is not None}
    with replacing(sheet) as unseen:  # so that there is either both or nothing
        contact_sheet(frames, storyboard, unseen)
        write_video(out, frames, storyboard.fps, storyboard, embedded, size, settings["resample"] or "lanczos")
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in output.timings.items())
    print(f"wrote {out} and {sheet}: {len(frames)} frames, {storyboard.seconds:.1f} s, seed {output.seed} ({seconds})")


def plan(options: argparse.Namespace) -> None:
    """Print what a storyboard will be for a model."""
    from holocine.checkpoints import describe
    from holocine.plan import format_plan, make_plan

    storyboard, remembered = _read_storyboard(options.storyboard, options.fix)
    settings = {
        name: _first(getattr(options, name), remembered.get(name)) for name in ("model", "height", "width", "attention")
    }
    made = make_plan(storyboard, describe(settings.pop("model")), **settings)
    print(json.dumps(made.to_dict(), ensure_ascii=False, indent=2) if options.json else format_plan(made))


def show(options: argparse.Namespace) -> None:
    """Print the storyboard inside a video, as YAML with the settings in comments, or as JSON."""
    from holocine.video import read_settings, read_storyboard

    storyboard, settings = read_storyboard(options.video), read_settings(options.video)
    moved, storyboard = storyboard.moved, storyboard.asked
    if options.json:
        print(json.dumps({"storyboard": json.loads(storyboard.to_json()), "settings": settings}, ensure_ascii=False))
        return
    for name, value in settings.items():
        print(f"# {name}: {json.dumps(value, ensure_ascii=False)}")
    for sentence in moved:
        print(f"# {sentence}")
    print(storyboard.to_yaml(), end="")


def convert(options: argparse.Namespace) -> None:
    """Turn released files into a folder in diffusers layout."""
    import torch

    from holocine.conversion import convert

    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("holocine").setLevel(logging.INFO)
    out = convert(
        options.high,
        options.low,
        options.vae,
        options.text_encoder,
        options.out,
        tokenizer=options.tokenizer,
        dtype=options.dtype and getattr(torch, options.dtype),
        attention_head_dim=options.attention_head_dim,
        attention=options.attention,
    )
    print(f"wrote {out}: use it with `python -m holocine generate STORYBOARD --model {out} -o OUT.mp4`")


def schema(options: argparse.Namespace) -> None:
    """Print the JSON Schema of storyboards."""
    from holocine.storyboard import Storyboard

    print(json.dumps(Storyboard.model_json_schema(), indent=2))


COMMANDS = {"generate": generate, "plan": plan, "show": show, "convert": convert, "schema": schema}


# Their parts


def _read_storyboard(path: str, fix: bool) -> tuple[Any, dict[str, Any]]:
    """The storyboard in a YAML or JSON file, or in a video together with the settings that made the video.

    With `fix`, a wrong number of shots in its global caption is put right, and said on stderr.
    """
    storyboard, settings = _storyboard_in(path)
    if not fix:
        return storyboard, settings
    fixed = storyboard.with_stated_shots()
    for warning in storyboard.warnings:
        if warning not in fixed.warnings:
            print(f"holocine: fixed: {warning}", file=sys.stderr)
    return fixed, settings


def _storyboard_in(path: str) -> tuple[Any, dict[str, Any]]:
    from holocine.storyboard import Storyboard

    if Path(path).suffix.lower() != ".mp4":
        return Storyboard.load(path), {}
    from holocine.video import VideoError, read_settings, read_storyboard

    storyboard = read_storyboard(path).asked
    settings = {name: value for name, value in read_settings(path).items() if name in SETTINGS}
    for name, value in settings.items():
        if not isinstance(value, SETTINGS[name]):
            raise VideoError(f"the settings in {path} are damaged: {name} is {value!r}")
    return storyboard, settings


def _size(text: str | None) -> tuple[int, int] | str | None:
    """(width, height) for "WxH", None for "native", and "auto" for the default."""
    if text is None or text == "auto":
        return "auto"
    if text == "native":
        return None
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if not match:
        raise UsageError(f"size is {text!r}, but has to be WIDTHxHEIGHT as in 784x448, or native, or auto")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise UsageError(f"size is {text}, but both have to lie between 16 and 8192 pixels")
    return width, height


def _first(*values):
    return next((value for value in values if value is not None), None)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"holocine: warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    program()
