"""Scenes that are there at once: shipped videos of the embedded model, each with its storyboard inside.

`python -m desk.examples` makes and scores them anew with the weights that are in the repository: beside each MP4 lies a
JSON file with what the stage shows of its scores.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from desk import stage
from desk.preview import picture_url
from desk.scoring import Scorer, shown_scores
from desk.studio import planned
from holocine.files import replacing
from holocine.storyboard import Storyboard
from holocine.video import VideoError, read_video, write_video

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "examples"
VIDEOS = FOLDER / "videos"
NOTE = "An example, made earlier by the embedded model. Edit its storyboard, or make it again."
_SIZE_FACTOR = 2


@dataclass(frozen=True)
class Example:
    """A storyboard, and what the stage shows of its video; `content` is None for one without a video."""

    id: str
    storyboard: Storyboard
    content: dict[str, Any] | None

    def stage_value(self) -> stage.Value:
        """The video on the stage, or an empty stage."""
        return stage.empty() if self.content is None else stage.finished(self.content, VIDEOS, NOTE)


@lru_cache(maxsize=2)
def load_examples(theatre: bool) -> tuple[Example, ...]:
    """The examples for the embedded model, or for other models: storyboards for HoloCine's 14B weights."""
    if not theatre:
        boards = {path.stem: Storyboard.load(path) for path in sorted(FOLDER.glob("*.yaml"))}
        return tuple(Example(name, board, None) for name, board in boards.items() if board.num_frames > 200)
    examples = []
    for path in sorted(VIDEOS.glob("*.mp4")):
        try:
            examples.append(_read(path))
        except VideoError as error:
            logger.warning("the example %s is left out: %s", path.name, error)
    return tuple(examples)


def _read(path: Path) -> Example:
    video = read_video(path)
    if video.storyboard is None:
        raise VideoError(f"{path} has no storyboard in it")
    content = planned(video.storyboard)
    for shot, span in zip(content["shots"], video.storyboard.shot_ranges, strict=True):
        shot["picture"] = picture_url(video.frames[span[len(span) // 2]])
    content |= {
        "aspect": video.frames.shape[2] / video.frames.shape[1],
        "files": {"video": path.name},
        "settings": video.settings,
    }
    scores = path.with_suffix(".json")
    if scores.exists():
        content |= json.loads(scores.read_text(encoding="utf-8"))
    return Example(path.stem, video.storyboard, content)


def make(names: list[str] | None = None) -> list[Path]:
    """Generate and score the videos of the theatre's storyboards among the examples; return their paths."""
    from dataclasses import asdict

    from desk.limits import Limits
    from desk.models import EMBEDDED_NAME, find
    from desk.studio import Settings
    from holocine.checkpoints import hide_loading_bars, load_pipeline

    model = find(EMBEDDED_NAME)
    hide_loading_bars()
    pipeline, scorer = load_pipeline(), Scorer()
    VIDEOS.mkdir(exist_ok=True)
    made = []
    for path in sorted(FOLDER.glob("*.yaml")):
        board = Storyboard.load(path)
        if board.num_frames > 200 or (names and path.stem not in names):
            continue
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
    parser = argparse.ArgumentParser(prog="python -m desk.examples", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="stems of examples/*.yaml; all of the theatre's if none is named")
    for path in make(parser.parse_args().names):
        print(path)


if __name__ == "__main__":
    main()
