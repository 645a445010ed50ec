"""What a program asks of several versions of a scene: the settings of each, from text or from a number."""

from __future__ import annotations

import secrets
from typing import Any

from desk.studio.limits import LimitError, Limits
from desk.studio.models import find
from desk.studio.settings import MOST_SEED, Settings
from desk.tabs.versions import FEWEST, MOST
from holocine.storyboard import Storyboard
from holocine.storyboard_files import parse_yaml

FIELDS = ("attention", "steps", "guidance", "seed", "model")


def read_versions(text: str | None, count: Any, board: Storyboard) -> list[Settings]:
    """The settings of two to four versions of a scene.

    text: a YAML or JSON list with what each version has of `FIELDS`; those without a seed share one, so that they begin
    from the same noise. Without it there are `count` versions, which differ in their seed alone.

    Raises LimitError, StoryboardError or ValueError in one sentence, which names the version.
    """
    shared = secrets.randbelow(MOST_SEED) if board.seed is None else board.seed
    asked = _listed(text) if text and text.strip() else [{"seed": shared + more} for more in range(_number_of(count))]
    settings = []
    for number, fields in enumerate(asked, start=1):
        try:
            settings.append(_settings({"seed": shared} | fields, board))
        except ValueError as error:
            raise LimitError(f"version {number} of {len(asked)}: {error}") from None
    return settings


def _listed(text: str) -> list[dict[str, Any]]:
    Limits.of(find()).check_text(text)
    asked = parse_yaml(text)
    if not isinstance(asked, list):
        raise LimitError('the versions are no list; write one such as [{"attention": "sparse"}, {"attention": "full"}]')
    _check_number(len(asked))
    for number, fields in enumerate(asked, start=1):
        which = f"version {number} of {len(asked)}"
        if not isinstance(fields, dict):
            raise LimitError(f"{which} is {_short(fields)}, but has to say what it has of {', '.join(FIELDS)}")
        if unknown := [name for name in fields if name not in FIELDS]:
            raise LimitError(f"{which}: {_short(unknown[0])} is unknown; it can have {', '.join(FIELDS)}")
    return [{name: value for name, value in fields.items() if value is not None} for fields in asked]


def _settings(fields: dict[str, Any], board: Storyboard) -> Settings:
    model = find(fields.get("model"))
    own = {name: value for name, value in fields.items() if name != "model"}
    return Settings.of(model, Limits.of(model), board, **own)


def _number_of(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int | float) or count != count // 1:
        raise LimitError(f"the count is {_short(count)}, but has to be a whole number")
    _check_number(int(count))
    return int(count)


def _check_number(count: int) -> None:
    if not FEWEST <= count <= MOST:
        raise LimitError(f"{FEWEST} to {MOST} versions can be compared, not {count}")


def _short(value: Any) -> str:
    return repr(value)[:40]
