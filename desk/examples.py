"""Make and score the example videos anew with the weights that are in the repository."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from desk.studio.limits import Limits
from desk.studio.models import EMBEDDED_NAME, find
from desk.studio.scoring import Scorer, shown_scores
from desk.studio.settings import Settings
from desk.tabs.examples import FOLDER, VIDEOS
from holocine.checkpoints import hide_loading_bars, load_pipeline
from holocine.files import replacing
from holocine.storyboard import Storyboard
from holocine.video import write_video

_SIZE_FACTOR = 2


def make(names: list[str] | None = None) -> list[Path]:
    """Generate and score the videos of the theatre's storyboards among the examples; return their paths."""
    model = find(EMBEDDED_NAME)
    hide_loading_bars()
    pipeline, scorer = load_pipeline(), Scorer()
    VIDEOS.mkdir(exist_ok=True)
    made = []
    for path in sorted(FOLDER.glob("*.yaml")):
        if names and path.stem not in names:
            continue
        board = Storyboard.load(path)
        settings = Settings.of(model, Limits.of(model), board)
        output = pipeline(board, seed=settings.seed)
        frames, board = output.frames[0], output.storyboards[0]
        size = (frames.shape[2] * _SIZE_FACTOR, frames.shape[1] * _SIZE_FACTOR)
        target = VIDEOS / f"{path.stem}.mp4"
        seconds = round(sum(output.timings.values()), 2)
        write_video(target, frames, board.fps, board, {**asdict(settings), "seconds": seconds}, size=size)
        shown = shown_scores(scorer.score(target, board)[0])
        with replacing(target.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(shown, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        made.append(target)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m desk.examples", description=__doc__)
    parser.add_argument("names", nargs="*", help="stems of examples/*.yaml; all of the theatre's if none is named")
    for path in make(parser.parse_args().names):
        print(path)


if __name__ == "__main__":
    main()
