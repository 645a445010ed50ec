"""`python -m holocine`: generate, plan, show, convert, schema.

Every failure that the input can cause is one line on stderr and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

# What a video remembers of how it was made, and the type that each value has to have when it is read back from a file.
# The storyboard holds the rest: captions, cuts, frames a second, negative prompt and seed.
SETTINGS = {
    "model": str,
    "height": int,
    "width": int,
    "num_inference_steps": int,
    "guidance_scale": (int, float),
    "guidance_scale_2": (int, float),
    "attention": str,
    "window": bool,
    "leak_free": bool,
    "kernel": str,
    "dtype": str,
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
    "attention",
    "window",
    "leak_free",
    "kernel",
)
LOAD_SETTINGS = ("dtype", "device", "layerwise_casting", "vae_tiling", "model_cpu_offload", "group_offload", "lora")


class UsageError(ValueError):
    """A command line that cannot be understood."""


def program() -> NoReturn:
    """Run the command line that this process was started with."""
    signal.signal(signal.SIGTERM, _terminate)  # clean up as for Ctrl-C
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    try:
        options = _parser().parse_args(argv)
        options.run(options)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return _complain("interrupted, nothing was written", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ImportError) as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or "out of memory" in str(error)):
            raise
        remedies = (
            "--model-cpu-offload, --group-offload, --layerwise-casting, --vae-tiling or a smaller --height and --width"
        )
        return _complain(f"there is not enough memory for this video: try {remedies}", 2)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(143)


def _complain(message: str, code: int) -> int:
    print("holocine: " + " ".join(message.split()), file=sys.stderr)
    return code


# Commands


def generate(options: argparse.Namespace) -> None:
    """Generate a video from a storyboard, or again from a video, and write it with a contact sheet beside it."""
    from holocine.checkpoints import hide_loading_bars, load_pipeline
    from holocine.files import check_writable
    from holocine.video import contact_sheet, visible_size, write_video

    out = Path(options.out)
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"the output is {str(out)!r}, but has to end in .mp4")
    sheet = out.with_suffix(".png")
    storyboard, remembered = _read_storyboard(options.storyboard)
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = {name: given.get(name, remembered.get(name)) for name in (*SETTINGS, *LOAD_SETTINGS)}
    changes = {name: given[name] for name in ("seed", "negative_prompt", "fps") if name in given}
    if changes:
        storyboard = storyboard.model_copy(update=changes)
    _warn(storyboard.warnings)
    size = _size(settings["size"])
    check_writable(out)
    check_writable(sheet)

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
        "attention": settings["attention"] or pipeline.config.default_attention,
        "size": f"{size[0]}x{size[1]}" if size else "native",
    }
    embedded = {name: resolved[name] for name in SETTINGS if resolved[name] is not None}
    write_video(out, frames, storyboard.fps, storyboard, embedded, size, settings["resample"] or "lanczos")
    contact_sheet(frames, storyboard, sheet)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in output.timings.items())
    print(f"wrote {out} and {sheet}: {len(frames)} frames, {storyboard.seconds:.1f} s, seed {output.seed} ({seconds})")


def plan(options: argparse.Namespace) -> None:
    """Print what a storyboard will be for a model."""
    from holocine.checkpoints import describe
    from holocine.plan import format_plan, make_plan

    storyboard, remembered = _read_storyboard(options.storyboard)
    settings = {
        name: _first(getattr(options, name), remembered.get(name)) for name in ("model", "height", "width", "attention")
    }
    made = make_plan(storyboard, describe(settings.pop("model")), **settings)
    print(json.dumps(made.to_dict(), ensure_ascii=False, indent=2) if options.json else format_plan(made))


def show(options: argparse.Namespace) -> None:
    """Print the storyboard inside a video, as YAML with the settings in comments, or as JSON."""
    from holocine.video import read_settings, read_storyboard

    storyboard, settings = read_storyboard(options.video), read_settings(options.video)
    if options.json:
        print(json.dumps({"storyboard": json.loads(storyboard.to_json()), "settings": settings}, ensure_ascii=False))
        return
    for name, value in settings.items():
        print(f"# {name}: {json.dumps(value, ensure_ascii=False)}")
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


# Their parts


def _read_storyboard(path: str) -> tuple[Any, dict[str, Any]]:
    """The storyboard in a YAML or JSON file, or in a video together with the settings that made the video."""
    from holocine.storyboard import Storyboard

    if Path(path).suffix.lower() != ".mp4":
        return Storyboard.load(path), {}
    from holocine.video import VideoError, read_settings, read_storyboard

    storyboard = read_storyboard(path)
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


# The command line


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m holocine",
        description="Multi-shot video from a storyboard, by a diffusion model that denoises all shots together.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_generate(commands)
    _add_plan(commands)
    _add_show(commands)
    _add_convert(commands)
    _add_command(commands, "schema", schema, "print the JSON Schema of storyboard files")
    return parser


def _add_command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def _add_generate(commands) -> None:
    from holocine.attention import KERNEL_NAMES

    command = _add_command(
        commands, "generate", generate, "make a video, and a contact sheet beside it, of a storyboard"
    )
    _add_storyboard(command)
    command.add_argument(
        "-o", "--out", required=True, metavar="OUT.mp4", help="video to write; OUT.png is its contact sheet"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    sampling = command.add_argument_group("sampling (the model's defaults if not given)")
    sampling.add_argument("--steps", dest="num_inference_steps", type=_count, metavar="N", help="denoising steps")
    sampling.add_argument(
        "--guidance", dest="guidance_scale", type=_scale, metavar="S", help="guidance scale; 1 is none"
    )
    sampling.add_argument(
        "--guidance-2", dest="guidance_scale_2", type=_scale, metavar="S", help="guidance scale of the low-noise expert"
    )
    sampling.add_argument("--negative-prompt", metavar="TEXT", help="what the video should not show")
    sampling.add_argument("--seed", type=_seed, help="seed of the noise; drawn if neither given nor in the storyboard")
    _add_attention(sampling)
    sampling.add_argument(
        "--no-window", dest="window", action="store_const", const=False, help="every shot sees all captions"
    )
    sampling.add_argument(
        "--leak-free", action="store_const", const=True, help="no text token beyond the end of a shot's own caption"
    )
    sampling.add_argument(
        "--kernel",
        choices=("auto", *KERNEL_NAMES),
        help="how attention is computed; same result",
    )
    _add_pixels(sampling)

    output = command.add_argument_group("output")
    output.add_argument(
        "--size",
        metavar="WxH",
        help="enlarge the video; native is none, auto (default) enlarges what is too small to see",
    )
    output.add_argument(
        "--resample", choices=("lanczos", "nearest"), help="how to enlarge: smooth (default) or as blocks"
    )
    output.add_argument("--fps", type=_fps, help="frames a second, instead of the storyboard's")

    loading = command.add_argument_group("model and memory")
    _add_model(loading)
    loading.add_argument(
        "--lora", action="append", metavar="FILE[:SCALE]", help="LoRA for both experts, or HIGH,LOW; may be repeated"
    )
    loading.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: bfloat16 on a GPU, float32 on a CPU"
    )
    loading.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")
    for flag, text in (
        ("--vae-tiling", "decode in tiles, for less memory"),
        ("--model-cpu-offload", "keep on the GPU only the model that is running"),
        ("--group-offload", "keep on the GPU only the layers that are running"),
        ("--layerwise-casting", "store the transformers in fp8"),
    ):
        loading.add_argument(flag, action="store_const", const=True, help=text)


def _add_plan(commands) -> None:
    command = _add_command(
        commands, "plan", plan, "print shots, tokens, text windows and attention cost of a storyboard"
    )
    _add_storyboard(command)
    _add_model(command)
    _add_attention(command)
    _add_pixels(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def _add_show(commands) -> None:
    command = _add_command(commands, "show", show, "print the storyboard and the settings inside a video")
    command.add_argument("video", metavar="VIDEO.mp4")
    command.add_argument("--json", action="store_true", help="as JSON")


def _add_convert(commands) -> None:
    command = _add_command(commands, "convert", convert, "turn released HoloCine and Wan files into a model folder")
    command.add_argument("--high", required=True, metavar="FILE", help="full_ or sparse_high_noise.safetensors")
    command.add_argument("--low", required=True, metavar="FILE", help="full_ or sparse_low_noise.safetensors")
    command.add_argument("--vae", required=True, metavar="FILE", help="Wan2.1_VAE.pth")
    command.add_argument("--text-encoder", required=True, metavar="FILE", help="models_t5_umt5-xxl-enc-bf16.pth")
    command.add_argument("out", metavar="OUT", help="folder to make")
    command.add_argument(
        "--tokenizer", metavar="FOLDER", help="Wan's google/umt5-xxl; default: beside the text encoder, as Wan has it"
    )
    command.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="default: as in the files")
    command.add_argument(
        "--attention",
        metavar="MODE",
        help="default mode of the model; from the file names (full_ or sparse_) if not given",
    )
    command.add_argument("--attention-head-dim", type=_count, default=128, metavar="N", help="128 for all Wan models")


def _add_storyboard(command) -> None:
    command.add_argument(
        "storyboard", metavar="STORYBOARD", help=".yaml or .json file, or a video made by this program"
    )


def _add_model(command) -> None:
    command.add_argument("--model", metavar="NAME", help="folder or hub id; default: the embedded model")


def _add_attention(command) -> None:
    command.add_argument(
        "--attention",
        metavar="MODE",
        help="full, isolated, sparse, or sparse:SUMMARY with first, first+last, linspace:N, mean",
    )


def _add_pixels(command) -> None:
    command.add_argument("--height", type=_count, metavar="PIXELS")
    command.add_argument("--width", type=_count, metavar="PIXELS")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def _scale(text: str) -> float:
    if (scale := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return scale


def _fps(text: str) -> float:
    if not 1 <= (fps := _number(text)) <= 240:
        raise argparse.ArgumentTypeError(f"{text!r} does not lie between 1 and 240")
    return fps


if __name__ == "__main__":
    program()
