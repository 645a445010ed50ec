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
    _warn(_warnings(storyboard, describe(settings["model"]).family))

    # Loading takes a moment only; the bar that matters is the one of the denoising steps.
    hide_loading_bars()
    load_options = {name: settings[name] for name in LOAD_SETTINGS if settings[name] is not None}
    pipeline = load_pipeline(settings["model"], **load_options)
    pipeline.set_progress_bar_config(desc="denoising", unit="step", disable=options.quiet)
    output = pipeline(storyboard, **{name: settings[name] for name in CALL_SETTINGS})
    storyboard, frames = output.storyboards[0], output.frames[0]
    if size == "auto":
        size = visible_size(frames)
    defaults = {
        name: _first(settings[name], pipeline.config.get(f"default_{name}"))
        for name in ("num_inference_steps", "guidance_scale", "guidance_below", "eta", "attention")
    }
    resolved = settings | {
        "height": frames.shape[1],
        "width": frames.shape[2],
        **defaults,
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

    storyboard, remembered = _read_storyboard(options.storyboard, options.fix)
    settings = {
        name: _first(getattr(options, name), remembered.get(name)) for name in ("model", "height", "width", "attention")
    }
    facts = describe(settings.pop("model"))
    if facts.family is not None:
        from holocine.families.plan import format_family_plan as format_plan
        from holocine.families.plan import make_family_plan as make_plan

        if settings.pop("attention") is not None:
            raise UsageError(f"{facts.family} has no attention to choose: leave it out")
    else:
        from holocine.plan import format_plan, make_plan
    made = make_plan(storyboard, facts, **settings)
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

    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("holocine").setLevel(logging.INFO)
    _check_convert(options)
    files = (options.vae, options.text_encoder, options.out)
    how = {
        "tokenizer": options.tokenizer,
        "dtype": options.dtype and getattr(torch, options.dtype),
        "attention_head_dim": options.attention_head_dim,
    }
    if options.family is not None:
        from holocine.families.conversion import convert_family

        out = convert_family(options.family, options.weights, *files, base=options.base, **how)
    else:
        from holocine.conversion import convert

        out = convert(options.high, options.low, *files, attention=options.attention, **how)
    print(f"wrote {out}: use it with `python -m holocine generate STORYBOARD --model {out} -o OUT.mp4`")


def _check_convert(options: argparse.Namespace) -> None:
    """Raise UsageError unless the files that were named are those of one kind of model."""
    ours, theirs = ("high", "low"), ("weights",)
    needed, foreign = (theirs, (*ours, "attention")) if options.family else (ours, (*theirs, "base"))
    which = f"--family {options.family}" if options.family else "HoloCine's own files (there is no --family)"
    for name in needed:
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing, which {which} needs (see `python -m holocine convert --help`)")
    for name in foreign:
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} has no meaning with {which}: leave it out")


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


def _warnings(storyboard: Any, family: str | None) -> Sequence[str]:
    """What in a storyboard probably is a mistake, and what the model makes otherwise."""
    if family is None:
        return storyboard.as_run().warnings
    from holocine.families import find_family

    return (*storyboard.warnings, *find_family(family).translate(storyboard).notes)


def _first(*values):
    return next((value for value in values if value is not None), None)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"holocine: warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    program()
