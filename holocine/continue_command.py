"""`python -m holocine continue`: more shots after the last of a video."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holocine.program import check_strict, mp4_path, tell
from holocine.retake_command import check_keeps, check_new, of_the_take
from holocine.settings import as_made, call_options, checked, chosen, load_options, pixels_of, took

if TYPE_CHECKING:
    from holocine.continuing import Continuation
    from holocine.model_card import ModelCard
    from holocine.storyboard import Storyboard


def continue_(options: argparse.Namespace) -> None:
    """Make more shots that see some of those that are there, and write one video of all."""
    from holocine.checkpoints import describe, hide_loading_bars, load_pipeline
    from holocine.continuing import continue_video, load_more, parse_context, plan_continuation, write_continuation
    from holocine.encoding import vae_fingerprint
    from holocine.from_pictures import open_pictures
    from holocine.latents_file import remove_stale
    from holocine.source import latents_beside, open_source
    from holocine.unread import unread
    from holocine.video import read_embedded

    out = mp4_path(options.out)
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = chosen(given, checked(read_embedded(options.video).settings or {}, options.video))
    facts = describe(settings["model"])
    check_keeps(settings["model"], facts)
    source = open_source(options.video)
    board = source.storyboard
    more = load_more(options.storyboard, board)
    continuation = plan_continuation(board, more, parse_context(options.context, board.num_shots))
    if more.global_caption != board.global_caption:
        tell("holocine", [f"the global caption of the film is now that of {options.storyboard}"])
    film = continuation.film
    asked = film.model_copy(update={"negative_prompt": options.negative_prompt or film.negative_prompt})
    doubts = (*_doubts(facts.card, continuation, asked), *unread(asked, facts, settings))
    check_strict(options.strict, (*continuation.scene.mistakes, *doubts))
    warnings = (*film.moved, *continuation.scene.warnings, *doubts)
    tell("holocine", (f"warning: {warning}" for warning in warnings))
    has_latents = source.making.latents is not None
    check_new([out], options.force, has_latents)
    opened = open_pictures(continuation.scene, pixels_of(settings, (facts.height, facts.width)), source.pictures)
    tell("holocine", opened.notes)

    hide_loading_bars()
    pipeline = load_pipeline(settings["model"], **load_options(settings))
    pipeline.set_progress_bar_config(desc="denoising", unit="step", disable=options.quiet)
    latents, notes = latents_beside(source, vae_fingerprint(pipeline.vae))
    if has_latents and latents is None:
        tell("holocine", [f"{notes[0].partition(':')[0]}: none are written for the film"])
    call = call_options(settings) | {"negative_prompt": options.negative_prompt, "keep_every": options.keep_every}
    output = continue_video(pipeline, source, continuation, opened, seed=options.seed, output_type="stream", **call)
    made = as_made(settings, pipeline.config, output.frames[0].shape[1:3], source.size)
    made |= of_the_take(options, film.negative_prompt)
    write_continuation(out, source, continuation, output, made, latents, opened.stored)
    if latents is None:
        tell("holocine", remove_stale(out))
    seen = ", ".join(map(str, continuation.context))
    print(
        f"wrote {out}: {film.num_shots} shots, {continuation.num_new} of them new after seeing {seen}; "
        f"{film.num_frames} frames, {film.seconds:.1f} s, seed {output.seed} ({took(output.timings)})"
    )


def _doubts(card: ModelCard | None, continuation: Continuation, asked: Storyboard) -> Iterator[str]:
    """What the model did not learn: of the new shots, by their numbers in the film, and of what it is given at once.

    asked: the film with the negative prompt that was asked for.
    """
    if card is None:
        return
    count = asked.num_shots
    yield from card.doubts_of_shots(asked, range(count - continuation.num_new + 1, count + 1))
    for doubt in card.doubts(continuation.scene.model_copy(update={"negative_prompt": None})):
        if doubt.shot is None and not doubt.word:
            yield f"with the shots that the new ones see, {doubt.text}"
