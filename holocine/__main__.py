"""`python -m holocine`: generate, retake, continue, plan, show, export, import, convert, schema.

Every failure that the input can cause is one line on stderr and exit code 2; Ctrl-C is exit code 130, SIGTERM 143.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, in which Ctrl-C would otherwise be a traceback
    from holocine.starting import expect_interrupt

    expect_interrupt("holocine")

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from holocine import team
from holocine.command_line import parser
from holocine.continue_command import continue_
from holocine.plurals import counted
from holocine.program import UsageError, check_strict, exit_code, mp4_path, tell
from holocine.program import program as program_of
from holocine.retake_command import retake
from holocine.settings import (
    as_made,
    call_options,
    checked,
    chosen,
    first_of,
    fitted_size,
    load_options,
    output_size,
    pixels_of,
    took,
)

if TYPE_CHECKING:
    from holocine.from_pictures import Opened
    from holocine.pipeline import HoloCineOutput
    from holocine.storyboard import Storyboard


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""

    def work() -> None:
        options = parser(COMMANDS).parse_args(argv)
        options.run(options)

    remedies = (
        "--model-cpu-offload, --group-offload, --layerwise-casting, --vae-tiling, fewer pixels (generate: --height and "
        "--width) or a smaller --context (continue)"
    )
    too_large = f"there is not enough memory for this video: try {remedies}"
    code = exit_code("holocine", work, "interrupted, nothing was written", too_large)
    if code:
        team.let_first_speak()
    return code


def program() -> NoReturn:
    """Run the command line that this process was started with."""
    team.hush()
    program_of("holocine", main)


# Commands


def generate(options: argparse.Namespace) -> None:
    """Generate a video from a storyboard, or again from a video, and write it with a contact sheet beside it."""
    from holocine.checkpoints import describe, hide_loading_bars, load_pipeline
    from holocine.files import check_writable
    from holocine.from_pictures import Opened, open_pictures, run_with_pictures
    from holocine.latents_file import latents_path, remove_stale
    from holocine.loading import check_loading
    from holocine.plan_command import refused
    from holocine.resuming import Run
    from holocine.takes import check_takes_stay, takes_left_out
    from holocine.unread import unread

    out = mp4_path(options.out)
    sheet, beside = out.with_suffix(".png"), latents_path(out)
    check_takes_stay(out)
    storyboard, remembered, pictures = _read_storyboard(options.storyboard, options.fix)
    is_first = team.rank() == 0
    for path in (out, sheet, *([beside] if options.keep_latents else [])):
        if is_first:
            check_writable(path)
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = chosen(given, remembered)
    facts = describe(settings["model"])
    if facts.family is not None:
        from holocine.families.options import family_settings

        settings = family_settings(given, remembered, settings["model"], facts)
    changes = {name: given[name] for name in ("seed", "negative_prompt", "fps") if name in given}
    if options.first_frame is not None:
        first, *others = storyboard.shots
        changes["shots"] = [first.model_copy(update={"image": options.first_frame}), *others]
    if changes:
        storyboard = storyboard.model_copy(update=changes)
    pixels = pixels_of(settings, (facts.height, facts.width))
    size, size_notes = fitted_size(output_size(settings["size"]), pixels)
    check_loading(facts, load_options(settings))
    facts.check_positions(storyboard, settings["height"], settings["width"])
    run = Run.open(out, storyboard, settings, facts, options.checkpoint, options.resume, is_first)
    storyboard = run.with_its_seed(storyboard)
    doubts = (*facts.doubts(storyboard, settings["height"], settings["width"]), *unread(storyboard, facts, settings))
    check_strict(options.strict, refused(storyboard, facts.family, doubts))
    warnings = (*_warnings(storyboard, facts.family), *doubts, *takes_left_out(options.storyboard), *run.warnings)
    tell("holocine", (f"warning: {warning}" for warning in warnings))
    opened = Opened()
    if facts.family is None:  # the others begin from no picture, which was said
        opened = open_pictures(storyboard.as_run(), pixels, pictures)
    tell("holocine", (*size_notes, *opened.notes))

    written = ""
    # Loading takes a moment only; the bar that matters is the one of the denoising steps.
    hide_loading_bars()
    with run.kept_until_written():
        guidance = first_of(settings["guidance_scale"], facts.guidance)
        settings["device"] = team.device_here(settings["device"])
        with team.joined(options.split, guidance > 1) as others:
            pipeline = load_pipeline(settings["model"], **load_options(settings))
            pipeline.set_progress_bar_config(desc="denoising", unit="step", disable=options.quiet or not is_first)
            if others is not None:
                from holocine.pipeline_call import with_seed

                pipeline.share(others)
                storyboard = others.broadcast(with_seed(storyboard, None))
            how = call_options(settings) | run.options()
            output = run_with_pictures(pipeline, storyboard, opened, output_type="stream", **how)
        if is_first:
            written = _write_video(pipeline, output, opened, settings, size, out, options.keep_latents)
    if is_first and not options.keep_latents:
        tell("holocine", remove_stale(out))
    if written:  # after the run is put away: who reads this may be gone
        print(written)


def _write_video(
    pipeline,
    output: HoloCineOutput,
    opened: Opened,
    settings: dict[str, Any],
    size: tuple[int, int] | str | None,
    out: Path,
    keep_latents: bool,
) -> str:
    """Decode what was denoised and write it with what goes beside it, all or nothing; returns what is to be said."""
    from holocine.files import replacing
    from holocine.frame_stream import watched
    from holocine.latents_file import latents_path, write_latents
    from holocine.making import Making
    from holocine.video import Thumbnails, contact_sheet, visible_size, write_video

    storyboard, frames, sheet = output.storyboards[0], output.frames[0], out.with_suffix(".png")
    if size == "auto":
        size = visible_size(frames)
    made = as_made(settings, pipeline.config, frames.shape[1:3], size)
    making = Making.in_one_go(storyboard.num_shots, storyboard.seed, output.made_by)
    thumbnails = Thumbnails(storyboard, frames.shape)
    with ExitStack() as files:  # so that there is either everything or nothing
        unseen_sheet, unseen_video = (files.enter_context(replacing(path)) for path in (sheet, out))
        if keep_latents:
            unseen = files.enter_context(replacing(latents_path(out)))
            making = replace(making, latents=write_latents(unseen, output.latents[0], output.made_by))
        frames, resample = watched(frames, thumbnails.see), settings["resample"] or "lanczos"
        write_video(unseen_video, frames, storyboard.fps, storyboard, made, size, resample, making, opened.stored)
        contact_sheet(thumbnails, storyboard, unseen_sheet)
    what = f"{counted(len(frames), 'frame')}, {storyboard.seconds:.1f} s, seed {output.seed} ({took(output.timings)})"
    return f"wrote {out} and {sheet}: {what}"


def plan(options: argparse.Namespace) -> None:
    """Print what a storyboard will be for a model; with --out, write the storyboard as well."""
    from holocine.files import check_writable
    from holocine.plan_command import plan

    if options.out is not None:
        check_writable(options.out)
    found = _read_storyboard(options.storyboard, options.fix, keeps=options.out is not None)
    plan(options, *found)
    if options.out is not None:
        found[0].save(options.out)
        tell("holocine", [f"wrote {options.out}: the storyboard, as it was asked for"])


def show(options: argparse.Namespace) -> None:
    """Print the storyboard inside a video, as YAML with the settings in comments, or as JSON."""
    from holocine.video import read_embedded, storyboard_of

    embedded = read_embedded(options.video)
    storyboard = storyboard_of(embedded, options.video)
    settings, making = embedded.settings or {}, embedded.making
    moved, storyboard = storyboard.moved, storyboard.asked
    if options.json:
        content = {"storyboard": json.loads(storyboard.to_json()), "settings": settings}
        print(json.dumps(content | ({"making": making.to_plain()} if making else {}), ensure_ascii=False))
        return
    enlarged = settings.get("size") not in (None, "native")
    whose = {"height": "made", "width": "made", "size": "of the picture, which was enlarged"} if enlarged else {}
    for name, value in settings.items():
        said = f" ({whose[name]})" if name in whose else ""
        print(f"# {name}: {json.dumps(value, ensure_ascii=False)}{said}")
    for sentence in (*moved, *(making.sentences() if making else ())):
        print(f"# {sentence}")
    print(storyboard.to_yaml(), end="")


def export(options: argparse.Namespace) -> None:
    """Write a storyboard or a video as files of film tools, or a video as pictures to post."""
    from holocine.interchange.commands import export

    export(options)


def import_(options: argparse.Namespace) -> None:
    """Make a storyboard of a file of a film tool."""
    from holocine.interchange.commands import import_

    import_(options)


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
    if options.family == "storymem":
        from holocine.families.storymem.conversion import convert_storymem

        more = {name: getattr(options, name) for name in ("base", "opening", "image_encoder")}
        out = convert_storymem(options.weights, *files, **more, **how)
    elif options.family is not None:
        from holocine.families.conversion import convert_family

        out = convert_family(options.family, options.weights, *files, base=options.base, **how)
    else:
        from holocine.conversion import convert

        out = convert(options.high, options.low, *files, attention=options.attention, **how)
    print(f"wrote {out}: use it with `python -m holocine generate STORYBOARD --model {out} -o OUT.mp4`")


def _check_convert(options: argparse.Namespace) -> None:
    """Raise UsageError unless the files that were named are those of one kind of model."""
    ours, theirs, storymems = ("high", "low"), ("weights",), ("opening", "image_encoder")
    if options.family == "storymem":
        needed, foreign = (*theirs, "base", *storymems), (*ours, "attention")
    elif options.family:
        needed, foreign = theirs, (*ours, "attention", *storymems)
    else:
        needed, foreign = ours, (*theirs, "base", *storymems)
    which = f"--family {options.family}" if options.family else "HoloCine's own files (there is no --family)"
    for name in needed:
        if getattr(options, name) is None:
            shown = name.replace("_", "-")
            raise UsageError(f"--{shown} is missing, which {which} needs (see `python -m holocine convert --help`)")
    for name in foreign:
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with {which}: leave it out")


def schema(options: argparse.Namespace) -> None:
    """Print the JSON Schema of storyboards."""
    from holocine.storyboard import Storyboard

    print(json.dumps(Storyboard.model_json_schema(), indent=2))


COMMANDS = {
    "generate": generate,
    "retake": retake,
    "continue": continue_,
    "plan": plan,
    "show": show,
    "export": export,
    "import": import_,
    "convert": convert,
    "schema": schema,
}


# Their parts


def _read_storyboard(
    path: str, fix: bool, keeps: bool = True
) -> tuple[Storyboard, dict[str, Any], dict[str, Any] | None]:
    """The storyboard in a YAML or JSON file, or in a video together with the settings and pictures that made the video.

    With `fix`, a wrong number of shots in its global caption is put right, and said on stderr; how to keep that, too,
    unless the command `keeps` it.
    """
    storyboard, settings, pictures = _storyboard_in(path)
    if not fix:
        return storyboard, settings, pictures
    fixed = storyboard.with_stated_shots()
    tell("holocine", (f"fixed: {warning}" for warning in storyboard.warnings if warning not in fixed.warnings))
    if fixed != storyboard and not keeps:
        tell("holocine", [f"{path} is as it was: -o FILE.yaml writes the storyboard with that put right"])
    return fixed, settings, pictures


def _storyboard_in(path: str) -> tuple[Storyboard, dict[str, Any], dict[str, Any] | None]:
    from holocine.storyboard import Storyboard

    if Path(path).suffix.lower() != ".mp4":
        return Storyboard.load(path), {}, None
    from holocine.video import read_embedded, storyboard_of

    embedded = read_embedded(path)
    storyboard = storyboard_of(embedded, path).asked
    return storyboard, checked(embedded.settings or {}, path), embedded.pictures


def _warnings(storyboard: Storyboard, family: str | None) -> Sequence[str]:
    """What in a storyboard probably is a mistake, and what the model makes otherwise."""
    if family is None:
        return storyboard.as_run().warnings
    from holocine.families import find_family

    return (*storyboard.mistakes, *find_family(family).translate(storyboard).notes)


if __name__ == "__main__":
    program()
