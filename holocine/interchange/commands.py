"""`python -m holocine export` and `import`: storyboards and videos to the files of film tools, and back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from holocine.files import check_writable
from holocine.interchange.endings import FORMATS, PICTURES
from holocine.plurals import counted
from holocine.program import UsageError, tell


def export(options: argparse.Namespace) -> None:
    """Write a storyboard, or what is in a video, to every file that was named."""
    from holocine.interchange.formats import save
    from holocine.interchange.scene import Media
    from holocine.storyboard import WRITTEN, Storyboard

    source, files = Path(options.file), _files(options.out, (*FORMATS, *WRITTEN, *PICTURES))
    is_video = source.suffix.lower() == ".mp4"
    for file in files:
        if file.suffix.lower() in PICTURES and not is_video:
            raise UsageError(f"{file} is of a video, but {source} is none: generate it first")
        check_writable(file)
    storyboard = media = None
    if any(file.suffix.lower() not in PICTURES for file in files):
        if is_video:
            from holocine.video import read_embedded, storyboard_of

            embedded = read_embedded(source)
            storyboard, media = storyboard_of(embedded, source), Media.of(source, embedded.size)
        else:
            storyboard = Storyboard.load(source)
    for file in files:
        ending, notes = file.suffix.lower(), ()
        if ending in PICTURES:
            from holocine.interchange.posting import write_picture

            notes = write_picture(source, file)
        elif ending in WRITTEN:
            storyboard.save(file)
        else:
            notes = save(storyboard, file, media, options.timeline_rate)
        tell("holocine", (f"{file}: {note}" for note in notes))
        print(f"wrote {file}")


def import_(options: argparse.Namespace) -> None:
    """Write the storyboard that a file of a film tool holds."""
    from holocine.interchange.formats import load
    from holocine.storyboard import WRITTEN, Storyboard
    from holocine.video import read_storyboard

    source, (out,) = Path(options.file), _files([options.out], WRITTEN)
    check_writable(out)
    notes: Sequence[str] = ()
    if source.suffix.lower() in FORMATS:
        storyboard, notes = load(source, options.fps, options.global_caption, options.timeline_rate)
    elif source.suffix.lower() in (".yaml", ".yml", ".json", ".txt", ".mp4"):
        if options.timeline_rate is not None:
            raise UsageError(f"--timeline-rate has no meaning for {source}: leave it out")
        storyboard = read_storyboard(source).asked if source.suffix.lower() == ".mp4" else Storyboard.load(source)
        changes = {"fps": options.fps, "global_caption": options.global_caption}
        storyboard = storyboard.model_copy(update={k: v for k, v in changes.items() if v is not None})
    else:
        raise UsageError(f"{source} ends in none of {', '.join(FORMATS)}, .yaml, .yml, .json, .txt, .mp4")
    tell("holocine", (f"{source}: {note}" for note in notes))
    storyboard.save(out)
    shots, frames = counted(storyboard.num_shots, "shot"), counted(storyboard.num_frames, "frame")
    print(f"wrote {out}: {shots}, {frames}, {storyboard.seconds:.1f} s")


def _files(names: Sequence[str], endings: Sequence[str]) -> list[Path]:
    """The files to write; raises UsageError for one that is named twice or ends in nothing that is known."""
    files = [Path(name) for name in names]
    for file in files:
        if file.suffix.lower() not in endings:
            raise UsageError(f"the output is {str(file)!r}, but has to end in one of {', '.join(endings)}")
        if files.count(file) > 1:
            raise UsageError(f"{file} is named twice")
    return files
