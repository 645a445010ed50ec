"""`python -m holocine retake`: new takes of shots of a video, the others kept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.program import UsageError, check_strict, mp4_path, tell
from holocine.settings import as_made, call_options, checked, chosen, load_options, took

if TYPE_CHECKING:
    from holocine.checkpoints import ModelFacts


def retake(options: argparse.Namespace) -> None:
    """Make and write takes one after the other: those that are done are there when a later one is interrupted."""
    from holocine.checkpoints import describe, hide_loading_bars, load_pipeline
    from holocine.encoding import vae_fingerprint
    from holocine.retaking import open_pictures_of, retake, shots_to_retake, with_captions, write_retake
    from holocine.source import open_source, read_source
    from holocine.unread import unread
    from holocine.video import read_embedded, storyboard_of

    embedded = read_embedded(options.video)
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings = chosen(given, checked(embedded.settings or {}, options.video))
    facts = describe(settings["model"])
    check_keeps(settings["model"], facts)
    storyboard = storyboard_of(embedded, options.video)
    shots = shots_to_retake(storyboard, options.shot)
    captions = _captions(options.shot, options.caption)
    negative = options.negative_prompt or storyboard.negative_prompt
    worded = with_captions(storyboard, captions).model_copy(update={"negative_prompt": negative})
    doubts = facts.card.doubts_of_shots(worded, captions) if facts.card is not None else ()
    doubts = (*doubts, *unread(worded, facts, settings))
    check_strict(options.strict, (*worded.mistakes, *doubts))
    warnings = (*worded.warnings, *doubts)
    tell("holocine", (f"warning: {warning}" for warning in warnings))
    outs = take_paths(mp4_path(options.out), options.takes)
    keep_latents = bool(options.keep_latents or (embedded.making and embedded.making.latents))
    check_new(outs, options.force, keep_latents)
    opened = open_pictures_of(open_source(options.video), shots)
    tell("holocine", opened.notes)

    hide_loading_bars()
    pipeline = load_pipeline(settings["model"], **load_options(settings))
    source = read_source(options.video, vae_fingerprint(pipeline.vae))
    tell("holocine", source.notes)
    call, written = call_options(settings) | {"negative_prompt": options.negative_prompt}, []
    call |= {"keep_every": options.keep_every}
    call |= {"height": source.frames.shape[1], "width": source.frames.shape[2]}
    made = as_made(settings, pipeline.config, source.frames.shape[1:3], source.size)
    made |= of_the_take(options, storyboard.negative_prompt)
    try:
        for take, out in enumerate(outs, start=1):
            desc = "denoising" if len(outs) == 1 else f"take {take} of {len(outs)}"
            pipeline.set_progress_bar_config(desc=desc, unit="step", disable=options.quiet)
            seed = None if options.seed is None else options.seed + take - 1
            output = retake(pipeline, source, shots, captions, opened, seed=seed, output_type="stream", **call)
            tell("holocine", write_retake(out, source, shots, output, made, take, keep_latents))
            written.append(out)
            print(f"wrote {out}: {_shots(shots)} taken anew, seed {output.seed} ({took(output.timings)})", flush=True)
    except KeyboardInterrupt as stop:
        names = ", ".join(map(str, written))
        done = f"{len(written)} of {len(outs)} takes are there: {names}" if written else "nothing was written"
        stop.args = (f"interrupted, {done}",)
        raise


def of_the_take(options: argparse.Namespace, negative_prompt: str | None) -> dict[str, Any]:
    """What takes were made with that no setting says; negative_prompt: the storyboard's."""
    other = options.negative_prompt not in (None, negative_prompt)
    found = {"negative_prompt": options.negative_prompt if other else None, "keep_every": options.keep_every}
    return {name: value for name, value in found.items() if value is not None}


def take_paths(out: Path, takes: int) -> list[Path]:
    """Where takes are written: to `out` if there is one, else to OUT-1.mp4, OUT-2.mp4, …"""
    return [out] if takes == 1 else [out.with_name(f"{out.stem}-{take}{out.suffix}") for take in range(1, takes + 1)]


def check_keeps(model: str | None, facts: ModelFacts) -> None:
    """Raise UsageError, before it is loaded, for a model that keeps nothing."""
    if facts.family is not None:
        raise UsageError(
            f"{model} is a model of {facts.family}, which makes whole scenes and keeps no shots of a video: generate "
            "the scene anew, or name a HoloCine model with --model"
        )


def check_new(outs: Sequence[Path], force: bool, keep_latents: bool) -> None:
    """Raise before long work if a file cannot be written, or exists and is not to be replaced."""
    from holocine.files import check_writable
    from holocine.latents_file import latents_path

    for out in outs:
        for path in (out, out.with_suffix(".png"), *([latents_path(out)] if keep_latents else [])):
            check_writable(path)
            if path.exists() and not force:
                raise UsageError(f"{path} exists: name another output, or add --force to replace it")


def _captions(shots: Sequence[int], captions: Sequence[str] | None) -> dict[int, str]:
    if captions is None:
        return {}
    if len(captions) != len(shots):
        raise UsageError(
            f"--caption is given {len(captions)} times and --shot {len(shots)} times: give one for each, or none"
        )
    if len(set(shots)) < len(shots):
        raise UsageError("a shot is named twice: name each once")
    return dict(zip(shots, captions, strict=True))


def _shots(shots: Sequence[int]) -> str:
    return f"shot{'s'[: len(shots) != 1]} {', '.join(map(str, shots))}"
