"""`python -m holocine continue`: more shots after the last of a video."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from holocine.program import UsageError
from holocine.retake_command import check_new
from holocine.settings import as_made, call_options, checked, chosen, first_of, load_options


def continue_(options: argparse.Namespace) -> None:
    """Make more shots that see some of those that are there, and write one video of all."""
    from holocine.checkpoints import hide_loading_bars, load_pipeline
    from holocine.continuing import continue_video, load_more, parse_context, plan_continuation, write_continuation
    from holocine.encoding import vae_fingerprint
    from holocine.from_pictures import open_pictures
    from holocine.source import latents_beside, open_source

    out = Path(options.out)
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"the output is {str(out)!r}, but has to end in .mp4")
    source = open_source(options.video)
    board = source.storyboard
    more = load_more(options.storyboard, board)
    continuation = plan_continuation(board, more, parse_context(options.context, board.num_shots))
    for warning in (*continuation.film.moved, *continuation.scene.warnings):
        print(f"holocine: warning: {warning}", file=sys.stderr)
    if more.global_caption != board.global_caption:
        print(f"holocine: the global caption of the film is now that of {options.storyboard}", file=sys.stderr)
    settings = chosen(
        {name: value for name, value in vars(options).items() if value is not None},
        checked(source.settings, options.video),
    )
    has_latents = source.making.latents is not None
    check_new([out], options.force, has_latents)

    hide_loading_bars()
    pipeline = load_pipeline(settings["model"], **load_options(settings))
    pipeline.set_progress_bar_config(desc="denoising", unit="step", disable=options.quiet)
    latents, notes = latents_beside(source, vae_fingerprint(pipeline.vae))
    if has_latents and latents is None:
        print(f"holocine: {notes[0].partition(':')[0]}: none are written for the film", file=sys.stderr)
    call = call_options(settings) | {"negative_prompt": options.negative_prompt, "keep_every": options.keep_every}
    pixels = (
        first_of(settings["height"], pipeline.config.default_height),
        first_of(settings["width"], pipeline.config.default_width),
    )
    opened = open_pictures(continuation.scene, pixels, source.pictures)
    for note in opened.notes:
        print(f"holocine: {note}", file=sys.stderr)
    output = continue_video(pipeline, source, continuation, opened, seed=options.seed, **call)
    made = as_made(settings, pipeline.config, output.frames[0].shape[1:3], source.size)
    write_continuation(out, source, continuation, output, made, latents, opened.stored)
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in output.timings.items())
    film, seen = continuation.film, ", ".join(map(str, continuation.context))
    print(
        f"wrote {out}: {film.num_shots} shots, {continuation.num_new} of them new after seeing {seen}; "
        f"{film.num_frames} frames, {film.seconds:.1f} s, seed {output.seed} ({seconds})"
    )
