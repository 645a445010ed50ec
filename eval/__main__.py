"""`python -m eval`: score, detect, report, encoders, schema, calibrate, theatre.

Bad usage is one line on stderr and exit code 2. A video that cannot be scored is one line on stderr, never stops the
others, and makes the exit code 1; Ctrl-C is exit code 130 and keeps what is finished.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, in which Ctrl-C would otherwise be a traceback
    from holocine.starting import expect_interrupt

    expect_interrupt("eval")

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn

from holocine.program import Parser, UsageError, add_command, complain, exit_code
from holocine.program import program as program_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.ERROR)

    def work() -> int | None:
        options = _parser().parse_args(argv)
        return options.run(options)

    return exit_code("eval", work, "interrupted")


def program() -> NoReturn:
    """Run the command line that this process was started with."""
    program_of("eval", main)


# Commands


def score(options: argparse.Namespace) -> int:
    """Score videos and print tables, or JSON lines; with --out, keep scorecards there and resume."""
    from eval.batch import Options, check, score_all
    from eval.score_table import check_table, write_table
    from eval.table import format_scorecard

    asked = Options(
        storyboard=options.storyboard,
        prompt=options.prompt,
        cuts=options.cuts,
        fps=options.fps,
        align=options.align,
        start=options.start,
        encoders=options.encoders,
        dino=options.dino,
        aesthetic=options.aesthetic,
        device=options.device,
        cache=options.cache,
        detector=options.detector,
        boxes=options.boxes,
        out=options.out,
    )
    if options.download:
        _download()
    check(asked)
    for table in options.table:
        check_table(table)
    videos = _all_videos(options.videos)
    jobs = min(options.jobs, len(videos))
    cards, failed, kept, done = [], 0, 0, {}
    with _Bar(videos, jobs, options.quiet, goes_on=bool(options.out or options.table)) as bar:
        try:
            with closing(score_all(videos, asked, jobs, bar.follow)) as outcomes:
                for outcome in outcomes:
                    bar.finish(outcome.video)
                    done[outcome.video] = outcome
                    kept += outcome.kept
                    if outcome.error is not None:
                        failed += 1
                        bar.write(f"eval: {_named(outcome.video, outcome.error)}", sys.stderr)
                        continue
                    cards.append(outcome.scorecard)
                    if options.json:
                        bar.write(outcome.scorecard.to_json(indent=None))
                    elif len(videos) == 1 or (options.out is None and not options.table):
                        bar.write(format_scorecard(outcome.scorecard) + "\n")
        except KeyboardInterrupt as stop:
            stop.args = (_interrupted(len(done), len(videos), options.out),)
            raise
    for table in options.table:
        write_table(table, [done[video] for video in videos])
    if not options.json:
        _summarise(cards, len(videos), failed, kept, options.out)
    return 1 if failed else 0


def detect(options: argparse.Namespace) -> int:
    """Print, or write, where the shots of videos begin."""
    from eval.cut_list import cut_list
    from eval.footage import observe
    from eval.shots import load_detector
    from holocine.files import check_writable, replacing
    from holocine.interchange.timebase import timebase_for

    videos = _all_videos(options.videos)
    many = len(videos) > 1
    options.format = _cut_list_format(options.format, options.out)
    files = _cut_list_files(videos, options)
    if options.format == "edl" and many and options.out is None:
        raise UsageError("an EDL is of one video: give --out DIR for several")
    if options.timeline_rate is not None:
        if options.format != "edl":
            raise UsageError("--timeline-rate goes with --format edl: json and csv are in frames and seconds")
        timebase_for(1.0, options.timeline_rate)
    for file in files:
        check_writable(file)
    detector = load_detector(options.detector)
    failed, printed = 0, False
    with _Bar(videos, 1, options.quiet) as bar:
        for video, file in zip(videos, files or [None] * len(videos), strict=True):
            try:
                footage = observe(video, options.fps, progress=lambda *done: bar.follow("frames", *done))
                text = cut_list(
                    detector.detect(footage.thumbnails),
                    footage.fps,
                    Path(video).name,
                    options.format,
                    times=[*footage.times, footage.duration],
                    timeline_rate=options.timeline_rate,
                    timecode=footage.timecode,
                    row=printed if many and file is None else None,
                )
                if file is not None:
                    with replacing(file) as temporary:
                        temporary.write_text(text, encoding="utf-8")
            except (ValueError, OSError, MemoryError) as error:
                failed += 1
                bar.write(f"eval: {_named(video, ' '.join(str(error).split()))}", sys.stderr)
                continue
            finally:
                bar.finish(video)
            for note in footage.notes:
                bar.write(f"eval: note: {_named(video, note)}", sys.stderr)
            if file is None:
                bar.write(text.removesuffix("\n"))
                printed = True
    return 1 if failed else 0


def _cut_list_format(given: str | None, out: str | None) -> str:
    """The format that was asked for, or else the one that the name of the file tells."""
    from eval.cut_list import FORMATS

    ending = Path(out or "").suffix.lower().lstrip(".")
    told = ending if ending in FORMATS and not Path(out).is_dir() else None
    if given is not None and told not in (None, given):
        raise UsageError(f"{out} ends in .{told}, but --format is {given}: name another file, or leave --format out")
    return given or told or "json"


def _cut_list_files(videos: Sequence[str], options: argparse.Namespace) -> list[Path]:
    """A file for each video, none where they are printed; makes the folder. One video may have a file of any name."""
    if options.out is None:
        return []
    out = Path(options.out)
    if len(videos) == 1 and not out.is_dir():
        return [out]
    if out.is_file():
        raise UsageError(f"{out} is a file, but the shots of {len(videos)} videos need a folder: name a new one")
    out.mkdir(parents=True, exist_ok=True)
    stems = [Path(video).stem for video in videos]
    wholes = [stem if stems.count(stem) == 1 else Path(video).name for stem, video in zip(stems, videos, strict=True)]
    names = [f"{name}.{options.format}" for name in wholes]
    for name, alike in ((name, [v for v, n in zip(videos, names, strict=True) if n == name]) for name in names):
        if len(alike) > 1:
            raise UsageError(f"{' and '.join(alike)} would both be written to {out / name}: detect one at a time")
    return [out / name for name in names]


def report(options: argparse.Namespace) -> None:
    """Write one HTML page about all scorecards in a folder."""
    from eval.report import write_report
    from eval.table import counted

    out, number = write_report(options.folder, options.out)
    print(f"wrote {out}: {counted(number, 'video')}")


def encoders(options: argparse.Namespace) -> None:
    """Print which encoders can be used here, and what is missing for the others."""
    from eval.encoders import list_encoders
    from eval.table import format_encoders

    if options.download:
        _download()
    print(format_encoders(list_encoders()))


def schema(options: argparse.Namespace) -> None:
    """Print the JSON Schema of scorecards."""
    from eval.scorecard import Scorecard

    print(json.dumps(Scorecard.model_json_schema(), indent=2))


# Their parts


def _all_videos(places: Sequence[str]) -> list[str]:
    """The videos that files and folders on the command line stand for; says how many a folder holds."""
    from eval.batch import find_videos
    from eval.table import counted

    videos, folders = find_videos(places)
    for folder, number in folders.items():
        complain("eval", f"{folder}: {counted(number, 'video')}", 0)
    return videos


def _download() -> None:
    """Get the recommended encoders of roles that nothing is here for."""
    from eval.encoders.known import check_hub, fetch, wanting

    wanted = wanting()
    if wanted:
        check_hub(" and ".join(f"{encoder.spec} ({encoder.megabytes} MB)" for encoder in wanted))
    for encoder in wanted:
        print(f"downloading {encoder.spec}: {encoder.megabytes} MB, {encoder.licence}", file=sys.stderr)
        fetch(encoder)


class _Bar:
    """Progress on stderr: the videos that are finished, or the frames of a single one; silent where nobody looks."""

    def __init__(self, videos: Sequence[str], jobs: int, quiet: bool, goes_on: bool = False) -> None:
        """goes_on: whether there is something to do when nobody reads what is printed any more."""
        from tqdm import tqdm

        self._goes_on = goes_on
        self._many = len(videos) > 1
        unit = "video" if self._many else "frame"
        self._bar = tqdm(total=len(videos) if self._many else None, unit=unit, disable=quiet or None, leave=self._many)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def follow(self, stage: str, done: int, whole: int | None) -> None:
        if not self._many and stage == "frames":
            self._bar.total = whole
            self._bar.update(done - self._bar.n)

    def finish(self, video: str) -> None:
        if self._many:
            self._bar.set_postfix_str(Path(video).name, refresh=False)
            self._bar.update()

    def write(self, text: str, file=None) -> None:
        try:
            self._bar.write(text, file=file or sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:
            if not self._goes_on:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _named(video: str, error: str) -> str:
    return error if video in error else f"{video}: {error}"


def _interrupted(done: int, whole: int, out: str | None) -> str:
    if out is None:
        return f"interrupted after {done} of {whole} videos; with --out the finished ones are kept"
    return f"interrupted: {done} of {whole} videos are finished in {out}, the same command goes on from there"


def _summarise(cards: list, number: int, failed: int, kept: int, out: str | None) -> None:
    from eval.combining import combine
    from eval.scorecard import ScorecardError
    from eval.table import counted, format_combined

    if len(cards) > 1:
        try:
            print(format_combined(combine(cards), [card.video.name for card in cards]))
        except ScorecardError as error:
            complain("eval", str(error), 0)
    if out is not None:
        parts = [f"{len(cards)} of {counted(number, 'video')} scored"]
        parts += [f"{kept} of them before"] * bool(kept) + [f"{failed} failed"] * bool(failed)
        print(f"\n{', '.join(parts)}; scorecards in {out}, `python -m eval report {out}` shows them")


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m eval", description="Score multi-shot videos against their storyboards.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_score(commands)
    _add_detect(commands)
    command = _add_command(commands, "report", report, "make one HTML page of all scorecards in a folder")
    command.add_argument("folder", metavar="DIR", help="folder that `score --out DIR` filled")
    command.add_argument("-o", "--out", metavar="FILE.html", help="default: DIR/report.html")
    command = _add_command(
        commands, "encoders", encoders, "list the encoders that can be used here and what is missing"
    )
    _add_download(command)
    _add_command(commands, "schema", schema, "print the JSON Schema of scorecards")
    text = "measure how far each metric can be trusted, on rendered truth with known damage"
    _add_module(commands, "calibrate", "eval.calibration.calibrate", text)
    text = "measure the puppet theatre's model and the shot detectors against the world's truth"
    _add_module(commands, "theatre", "eval.theatre", text)
    return parser


def _add_command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    command = add_command(commands, name, text, allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def _add_module(commands, name: str, module: str, text: str) -> None:
    """A command whose arguments and work are those of a module of its own."""
    from importlib import import_module

    loaded = import_module(module)
    loaded.add_arguments(_add_command(commands, name, loaded.run, text))


def _add_download(group) -> None:
    group.add_argument(
        "--download", action="store_true", help="get a CLIP and a DINO for real footage, if none is here"
    )


def _add_score(commands) -> None:
    from eval.request import POLICIES

    command = _add_command(commands, "score", score, "score videos on every metric in one pass each")
    command.add_argument("videos", nargs="+", metavar="VIDEO|DIR", help="files, or folders with all videos in them")
    asked = command.add_argument_group("what was asked for (default: the storyboard inside videos made by holocine)")
    either = asked.add_mutually_exclusive_group()
    either.add_argument(
        "--storyboard", metavar="FILE|DIR", help=".yaml or .json file, or a folder with one named like each video"
    )
    either.add_argument("--prompt", metavar="TEXT", help="HoloCine's prompt string: [global caption] … [shot cut] …")
    asked.add_argument(
        "--cuts", type=_cuts, metavar="17,33", help="first frame of each new shot, as far as it is known"
    )
    asked.add_argument(
        "--align",
        choices=POLICIES,
        default="auto",
        help="compare shots by seconds, by frames, or by share of the duration (auto: frames where the rates or the "
        "numbers of frames are the same, else seconds)",
    )
    asked.add_argument(
        "--start", type=_seconds, default=0.0, metavar="SECONDS", help="of the video before the scene begins (0)"
    )
    asked.add_argument(
        "--boxes",
        metavar="FILE.json|owlv2|DIR",
        help="where characters are: tag -> frame -> [x0, y0, x1, y1]; or OWLv2, by name or from a folder, which finds "
        "them by their descriptions (default: the theatre's own locator in the theatre, nobody elsewhere)",
    )
    _add_fps(asked)
    models = command.add_argument_group("models (see `python -m eval encoders`)")
    models.add_argument(
        "--encoders", default="auto", metavar="SPEC", help="CLIP: puppet, MODEL:WEIGHTS, hf-hub:OWNER/NAME or a folder"
    )
    models.add_argument(
        "--dino", default="auto", metavar="SPEC", help="timm's name, with :FILE for weights of your own"
    )
    models.add_argument("--aesthetic", metavar="FILE", help="weights of LAION's predictor for CLIP ViT-L/14")
    models.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")
    _add_download(models)
    models.add_argument("--cache", metavar="DIR", help="keep embeddings here from one run to the next")
    _add_detector(models)
    output = command.add_argument_group("output")
    output.add_argument("--out", metavar="DIR", help="keep scorecards and stills here; the same command resumes")
    output.add_argument("--json", action="store_true", help="print a scorecard as JSON on a line for each video")
    output.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="FILE.csv|.parquet",
        help="write a row a video: every metric with its coverage and reasons; may be given twice",
    )
    output.add_argument(
        "--jobs",
        type=_count,
        default=1,
        metavar="N",
        help="videos that are scored at a time; any number gives the same values within 1e-6, and exactly the same "
        "where OMP_NUM_THREADS is set",
    )
    output.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_detect(commands) -> None:
    from eval.cut_list import FORMATS
    from holocine.interchange.timebase import TIMELINE_RATES

    command = _add_command(commands, "detect", detect, "find the shots of videos")
    command.add_argument("videos", nargs="+", metavar="VIDEO|DIR", help="files, or folders with all videos in them")
    command.add_argument(
        "--format", choices=FORMATS, help="default: as --out ends, or else json, a line each for several"
    )
    command.add_argument(
        "--timeline-rate",
        choices=TIMELINE_RATES,
        metavar="RATE",
        help=f"frames a second of the timeline of an EDL: {', '.join(TIMELINE_RATES)} (df: drop frame); default: the "
        "nearest of 24, 25, 30 that is at least as fast as the video, or 60",
    )
    command.add_argument("-o", "--out", metavar="FILE|DIR", help="a folder for several videos; default: print")
    _add_detector(command)
    _add_fps(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_detector(command) -> None:
    text = "transnetv2 (default) or pyscenedetect"
    command.add_argument("--detector", default="transnetv2", metavar="NAME", help=text)


def _add_fps(command) -> None:
    command.add_argument("--fps", type=_fps, metavar="N", help="frames a second, instead of what the file says")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _cuts(text: str) -> tuple[int, ...]:
    words = [word for part in text.split(",") for word in part.split() or [""]]
    if not words or not all(word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of frame numbers such as 17,33; a cut at 1.5 s of 24 frames a second is 36"
        )
    return tuple(map(int, words))


def _fps(text: str) -> float:
    number = math.nan
    with suppress(ValueError):
        number = float(text)
    if not 0 < number <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and at most 1000")
    return number


def _seconds(text: str) -> float:
    number = math.nan
    with suppress(ValueError):
        number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 up")
    return number


if __name__ == "__main__":
    program()
