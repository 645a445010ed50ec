"""The command line of `python -m holocine`: commands, their options, and what their values may be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

from holocine.attention import KERNEL_NAMES
from holocine.checkpoints import DTYPES
from holocine.families import NAMES as FAMILIES
from holocine.interchange.endings import FORMATS, PICTURES
from holocine.interchange.timebase import TIMELINE_RATES
from holocine.presets import PRESETS, listed
from holocine.program import Parser, add_command, whole_number
from holocine.team import SPLITS

MOST_TAKES = 100


def parser(run: Mapping[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """The parser of the whole command line; the options that it returns hold the function in `run` as `run`."""
    parser = Parser(
        prog="python -m holocine",
        description="Multi-shot video from a storyboard, by a diffusion model that denoises all shots together.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_generate(commands, run["generate"])
    _add_retake(commands, run["retake"])
    _add_continue(commands, run["continue"])
    _add_plan(commands, run["plan"])
    _add_show(commands, run["show"])
    _add_export(commands, run["export"])
    _add_import(commands, run["import"])
    _add_convert(commands, run["convert"])
    _add_command(commands, "schema", run["schema"], "print the JSON Schema of storyboard files")
    return parser


def _add_command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    command = add_command(commands, name, text, allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def _add_generate(commands, run) -> None:
    command = _add_command(commands, "generate", run, "make a video, and a contact sheet beside it, of a storyboard")
    _add_storyboard(command)
    _add_out(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_strict(command)
    command.add_argument("--first-frame", metavar="PICTURE", help="begin the first shot from this picture")
    sampling = _add_sampling(command)
    _add_pixels(sampling)

    output = command.add_argument_group("output")
    output.add_argument(
        "--size",
        metavar="WxH",
        help="enlarge the video, in its shape; native is none, auto (default) enlarges what is too small to see",
    )
    output.add_argument(
        "--resample", choices=("lanczos", "nearest"), help="how to enlarge: smooth (default) or as blocks"
    )
    output.add_argument("--fps", type=_fps, help="frames a second, instead of the storyboard's")
    output.add_argument(
        "--keep-latents",
        action="store_true",
        help="write the latents beside, OUT.latents.safetensors: retakes are exact",
    )

    command.add_argument(
        "--split",
        choices=SPLITS,
        default="auto",
        help="what several processes (torchrun --nproc-per-node N -m holocine …) share: the tokens, or guidance first, "
        "a branch for each half of them; auto (default) is guidance where there is any and N is even",
    )
    going_on = command.add_argument_group("runs that are interrupted (state: OUT.unfinished.safetensors)")
    going_on.add_argument(
        "--checkpoint",
        type=whole_number,
        metavar="N",
        help="write the state after every N steps; when all are done it is written anyway, until there is the video",
    )
    going_on.add_argument(
        "--resume", action="store_true", help="go on from the state, if there is one, to the same video"
    )
    _add_loading(command)


def _add_strict(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--strict",
        action="store_true",
        help="refuse what the storyboard has that the model did not learn or is not given, and probable mistakes",
    )


def _add_retake(commands, run) -> None:
    command = _add_command(commands, "retake", run, "make new takes of shots of a video, the others kept")
    command.add_argument("video", metavar="VIDEO.mp4", help="a video made by this program")
    command.add_argument(
        "--shot", action="append", type=whole_number, required=True, metavar="N", help="shot to retake; may be repeated"
    )
    command.add_argument(
        "--caption",
        action="append",
        metavar="TEXT",
        help="what the shot shall show, instead of its caption; one for each --shot, or none",
    )
    _add_strict(command)
    command.add_argument("--takes", type=_takes, default=1, metavar="N", help="how many, OUT-1.mp4 to OUT-N.mp4")
    _add_going_on(command)
    command.add_argument(
        "--keep-latents",
        action="store_true",
        default=None,
        help="write the latents beside each take; done anyway if the video has them",
    )
    _add_sampling(command)
    _add_loading(command)


def _add_continue(commands, run) -> None:
    command = _add_command(commands, "continue", run, "make more shots after the last of a video, all in one video")
    command.add_argument("video", metavar="VIDEO.mp4", help="a video made by this program")
    command.add_argument(
        "storyboard",
        metavar="MORE",
        help=".yaml or .json file of the new shots; its global caption is the video's if it has none",
    )
    _add_strict(command)
    command.add_argument(
        "--context",
        metavar="SHOTS",
        help="shots of the video that the new ones see: 2 (default) is the last two, 1,4,5 are these, 4, is this one",
    )
    _add_going_on(command)
    _add_sampling(command)
    _add_loading(command)


def _add_going_on(command) -> None:
    """The options of all commands that keep shots of a video."""
    _add_out(command)
    command.add_argument("--force", action="store_true", help="replace files that exist")
    command.add_argument(
        "--exact",
        dest="keep_every",
        action="store_const",
        const=1,
        help="look at kept shots in every step, which takes longer, not only in some",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_out(command) -> None:
    command.add_argument(
        "-o", "--out", required=True, metavar="OUT.mp4", help="video to write; OUT.png is its contact sheet"
    )


def _add_sampling(command):
    """The options of one run of a model, but for the size of its pictures."""
    sampling = command.add_argument_group("sampling (if not given, as remembered in a video, or the model's defaults)")
    _add_passes(sampling)
    sampling.add_argument(
        "--guidance-2", dest="guidance_scale_2", type=_scale, metavar="S", help="guidance scale of the low-noise expert"
    )
    sampling.add_argument(
        "--distilled-below",
        type=_share,
        metavar="SIGMA",
        help="no step-distilled LoRA in noisier steps than this, which are guided; 1 is none",
    )
    sampling.add_argument(
        "--eta",
        type=_share,
        metavar="E",
        help="fresh noise in the noisiest steps, 0 to 1: shots agree on more; 0 is none",
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
    return sampling


def _add_passes(command) -> None:
    """The options that decide how many passes a run takes, but for those that need two experts or a LoRA."""
    command.add_argument("--steps", dest="num_inference_steps", type=whole_number, metavar="N", help="denoising steps")
    command.add_argument(
        "--guidance", dest="guidance_scale", type=_scale, metavar="S", help="guidance scale; 1 is none"
    )
    command.add_argument(
        "--guidance-below",
        type=_share,
        metavar="SIGMA",
        help="no guidance in noisier steps than this, 0 to 1; 1 is all",
    )
    command.add_argument(
        "--shot-guidance",
        type=_scale,
        metavar="S",
        help="2 or so: shots agree on more that no text says, for a pass more in the noisiest steps; 1 is none",
    )
    command.add_argument(
        "--shot-guidance-above",
        type=_share,
        metavar="SIGMA",
        help="shot guidance only in noisier steps than this, 0 to 1",
    )


def _add_loading(command) -> None:
    loading = command.add_argument_group("model and memory")
    _add_model(loading)
    loading.add_argument(
        "--lora", action="append", metavar="FILE[:SCALE]", help="LoRA for both experts, or HIGH,LOW; may be repeated"
    )
    _add_preset(command, loading)
    loading.add_argument(
        "--distilled", metavar="HIGH,LOW", help="step-distilled LoRA for few steps without guidance; see --preset fast"
    )
    loading.add_argument("--shift", type=_positive, metavar="S", help="of the noise schedule; default: the model's")
    loading.add_argument(
        "--gguf", metavar="HIGH,LOW", help="GGUF files of the experts, in place of the model's (needs the package gguf)"
    )
    loading.add_argument("--dtype", choices=DTYPES, help="default: bfloat16 on a GPU, float32 on a CPU")
    loading.add_argument(
        "--vae-dtype", choices=DTYPES, help="default: float32; bfloat16 is quicker where a processor knows it"
    )
    loading.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")
    for flag, text in (
        ("--vae-tiling", "decode in tiles, for less memory"),
        ("--model-cpu-offload", "keep on the GPU only the model that is running"),
        ("--group-offload", "keep on the GPU only the layers that are running"),
        ("--layerwise-casting", "store the transformers in fp8"),
        ("--int8", "store the transformers in int8"),
        ("--compile", "fuse what runs between the layers of the blocks: quicker steps, after a minute of compiling"),
        ("--drop-text-encoder", "have the text encoder in memory only while it reads"),
    ):
        loading.add_argument(flag, action="store_const", const=True, help=text)


def _add_plan(commands, run) -> None:
    command = _add_command(
        commands, "plan", run, "print shots, tokens, text windows and attention cost of a storyboard"
    )
    _add_storyboard(command)
    _add_attention(command)
    _add_pixels(command)
    command.add_argument(
        "-o", "--out", metavar="FILE", help="write the storyboard, with --fix put right, to a .yaml or .json file"
    )
    _add_passes(command)
    _add_strict(command)
    command.add_argument(
        "--memory", action="store_true", help="memory and time, too; told anyway with a preset for a GPU's memory"
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    _add_loading(command)


def _add_show(commands, run) -> None:
    command = _add_command(commands, "show", run, "print the storyboard and the settings inside a video")
    command.add_argument("video", metavar="VIDEO.mp4")
    command.add_argument("--json", action="store_true", help="as JSON")


def _add_export(commands, run) -> None:
    command = _add_command(
        commands, "export", run, "write a storyboard, or a finished video, as files of film tools or pictures to post"
    )
    command.add_argument("file", metavar="FILE", help=".yaml, .json or .txt storyboard, or a video")
    command.add_argument(
        "-o",
        "--out",
        action="append",
        required=True,
        metavar="FILE",
        help=f"{', '.join(FORMATS)}, .yaml or .json; of a video also {', '.join(PICTURES)}; may be repeated",
    )
    _add_timeline_rate(command, "default: the storyboard's own if it is one of these, else the next")


def _add_import(commands, run) -> None:
    command = _add_command(commands, "import", run, "make a storyboard of a file of a film tool")
    command.add_argument("file", metavar="FILE", help=f"{', '.join(FORMATS)}, or what other commands read")
    command.add_argument("-o", "--out", required=True, metavar="FILE", help="storyboard to write, .yaml or .json")
    command.add_argument("--fps", type=_fps, help="frames a second of the storyboard; default: as the file says")
    command.add_argument("--global-caption", metavar="TEXT", help="in place of the file's, or where it has none")
    _add_timeline_rate(command, "of an EDL that does not say it")


def _add_timeline_rate(command, default: str) -> None:
    command.add_argument(
        "--timeline-rate",
        choices=TIMELINE_RATES,
        metavar="RATE",
        help=f"frames a second of a timeline: {', '.join(TIMELINE_RATES)} (df: drop frame); {default}",
    )


def _add_convert(commands, run) -> None:
    command = _add_command(commands, "convert", run, "turn released files of HoloCine or others into a model folder")
    command.add_argument("--high", metavar="FILE", help="HoloCine's full_ or sparse_high_noise.safetensors")
    command.add_argument("--low", metavar="FILE", help="HoloCine's full_ or sparse_low_noise.safetensors")
    command.add_argument("--family", choices=FAMILIES, help="another model, in place of HoloCine")
    command.add_argument("--weights", metavar="FILE", help="what that family publishes; of storymem a folder")
    command.add_argument(
        "--base",
        metavar="FILE",
        help="what a LoRA is for: Wan2.1-T2V-1.3B's diffusion_pytorch_model.safetensors for cinetrans, the folder of "
        "Wan2.2-I2V-A14B for storymem",
    )
    command.add_argument("--opening", metavar="FOLDER", help="Wan2.2-T2V-A14B, for storymem's first shot")
    command.add_argument(
        "--image-encoder", metavar="FOLDER", help="openai/clip-vit-base-patch32, for what storymem remembers"
    )
    command.add_argument(
        "--vae",
        required=True,
        metavar="FILE",
        help="Wan2.1_VAE.pth; for longlive the folder vae of Wan2.2-TI2V-5B-Diffusers",
    )
    command.add_argument("--text-encoder", required=True, metavar="FILE", help="models_t5_umt5-xxl-enc-bf16.pth")
    command.add_argument("out", metavar="OUT", help="folder to make")
    command.add_argument(
        "--tokenizer", metavar="FOLDER", help="Wan's google/umt5-xxl; default: beside the text encoder, as Wan has it"
    )
    command.add_argument("--dtype", choices=DTYPES, help="default: as in the files")
    command.add_argument(
        "--attention",
        metavar="MODE",
        help="default mode of the model; from the file names (full_ or sparse_) if not given",
    )
    command.add_argument(
        "--attention-head-dim", type=whole_number, default=128, metavar="N", help="128 for all Wan models"
    )


def _add_storyboard(command) -> None:
    command.add_argument(
        "storyboard",
        metavar="STORYBOARD",
        help=".yaml or .json file, HoloCine's prompt in a .txt, or a video made by this program",
    )
    command.add_argument(
        "--fix", action="store_true", help="put right a wrong number in 'This scene contains N shots.'"
    )


def _add_model(command) -> None:
    command.add_argument(
        "--model", metavar="NAME", help="folder or hub id; default: the embedded model; for a plan also 14B"
    )


def _add_preset(command, group) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = f"presets (options that are given win):\n{listed()}"
    group.add_argument(
        "--preset",
        action="append",
        metavar="NAME[,NAME]",
        help=f"settings that belong together, one for speed, one for a GPU's memory: {', '.join(PRESETS)} (see below)",
    )


def _add_attention(command) -> None:
    command.add_argument(
        "--attention",
        metavar="MODE",
        help="full, isolated, sparse, or sparse:SUMMARY with first, first+last, linspace:N, mean",
    )


def _add_pixels(command) -> None:
    command.add_argument("--height", type=whole_number, metavar="PIXELS")
    command.add_argument("--width", type=whole_number, metavar="PIXELS")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def _takes(text: str) -> int:
    if (number := whole_number(text)) > MOST_TAKES:
        raise argparse.ArgumentTypeError(f"{text} takes are more than are made in one go, which is {MOST_TAKES}")
    return number


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def _positive(text: str) -> float:
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return number


def _scale(text: str) -> float:
    if (scale := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is below 0")
    return scale


def _share(text: str) -> float:
    if not 0 <= (share := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} does not lie between 0 and 1")
    return share


def _fps(text: str) -> float:
    if not 1 <= (fps := _number(text)) <= 240:
        raise argparse.ArgumentTypeError(f"{text!r} does not lie between 1 and 240")
    return fps
