"""`python -m eval.encoders`: train and measure the theatre's CLIP and locator, and find characters in a video."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from holocine.storyboard import StoryboardError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("eval").setLevel(logging.INFO)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.encoders", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train-puppet-clip", help="train the theatre's CLIP; the same command again goes on")
    train.add_argument("folder", type=Path, help="holds the checkpoint")
    train.add_argument("--minutes", type=float, default=40.0, help="minutes of computing in all (default: 40)")
    train.add_argument("--out", type=Path, help="the model's folder (default: FOLDER/puppet_clip)")
    train.add_argument("--start", type=Path, help="begin with the weights of this folder, such as eval/puppet_clip")
    train.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    train.set_defaults(run=_train)
    measure = commands.add_parser("measure-puppet-clip", help="retrieval on scenes that were not trained on")
    measure.add_argument("--model", type=Path, help="the model's folder (default: the embedded one)")
    measure.add_argument("--scenes", type=int, default=200)
    measure.add_argument("--out", type=Path, help="write the counts to this JSON file")
    measure.set_defaults(run=_measure)
    locator = commands.add_parser("train-locator", help="train the theatre's locator; the same command again goes on")
    locator.add_argument("folder", type=Path, help="holds the checkpoint")
    locator.add_argument("--minutes", type=float, default=20.0, help="minutes of computing in all (default: 20)")
    locator.add_argument("--out", type=Path, help="the weights' folder (default: FOLDER/puppet_locator)")
    locator.add_argument("--start", type=Path, help="begin with the weights of this folder, eval/puppet_locator say")
    locator.set_defaults(run=_train_locator)
    found = commands.add_parser("measure-locator", help="what it finds in scenes that it was not trained on")
    found.add_argument("--model", type=Path, help="the weights' folder (default: the embedded one)")
    found.add_argument("--scenes", type=int, default=100)
    found.add_argument("--out", type=Path, help="write the counts to this JSON file")
    found.set_defaults(run=_measure_locator)
    boxes = commands.add_parser("find-boxes", help="where a video's characters are, by their descriptions (OWLv2)")
    boxes.add_argument("video", type=Path)
    boxes.add_argument("--storyboard", type=Path, help="default: the one in the video")
    boxes.add_argument("--model", required=True, help="a folder, or a Hub id: google/owlv2-base-patch16-ensemble")
    boxes.add_argument("--threshold", type=float, default=0.2, help="least score of a box (default: 0.2)")
    boxes.add_argument("-o", "--out", type=Path, required=True, help="JSON for `python -m eval score --boxes`")
    boxes.set_defaults(run=_find_boxes)
    return parser


def _train(options: argparse.Namespace) -> None:
    import torch

    from eval.encoders.puppet_training import train_puppet_clip

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    out = options.out or options.folder / "puppet_clip"
    train_puppet_clip(options.folder, options.minutes, out, device=device, start=options.start)


def _measure(options: argparse.Namespace) -> None:
    from eval.encoders.loading import PUPPET_FOLDER
    from eval.encoders.puppet_measure import measure_puppet_clip, save_counts, table

    counts = measure_puppet_clip(options.model or PUPPET_FOLDER, options.scenes)
    print(table(counts))
    if options.out:
        save_counts(counts, options.out)


def _train_locator(options: argparse.Namespace) -> None:
    from eval.encoders.locator_training import train_locator

    train_locator(
        options.folder, options.minutes, options.out or options.folder / "puppet_locator", start=options.start
    )


def _measure_locator(options: argparse.Namespace) -> None:
    from eval.encoders.locator_measure import measure_locator, save_findings, table
    from eval.encoders.puppet_locator import LOCATOR_FOLDER, load_locator

    findings = measure_locator(load_locator(options.model or LOCATOR_FOLDER), options.scenes)
    print(table(findings))
    if options.out:
        save_findings(findings, options.out)


def _find_boxes(options: argparse.Namespace) -> None:
    from eval.encoders.open_vocabulary import find_boxes, load_box_finder
    from eval.gathering import NO_STORYBOARD, storyboard_of
    from holocine.files import check_writable, replacing

    check_writable(options.out)
    storyboard = storyboard_of(options.video, options.storyboard)
    if storyboard is None:
        raise StoryboardError(NO_STORYBOARD)
    boxes = find_boxes(options.video, storyboard, load_box_finder(options.model, options.threshold))
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(boxes) + "\n")
    for tag, frames in boxes.items():
        print(f"{tag}: {len(frames)} frames")


if __name__ == "__main__":
    sys.exit(main())
