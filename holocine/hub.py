"""What is here of the Hugging Face Hub, and whether it answers."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

_PATIENCE = 4.0  # seconds in which it has to answer


def hub_problem() -> str | None:
    """Why nothing can be had from the Hub, in a few words; None if it answers within some seconds.

    Its own library would try again and again for a minute, and print that.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    problem: list[Exception] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
        except Exception as error:
            problem.append(error)

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, which forbids it"
    asking = Thread(target=ask, daemon=True)  # names may be looked up for longer than a request waits
    asking.start()
    asking.join(2 * _PATIENCE)
    if not asking.is_alive() and not problem:
        return None
    why = f" ({str(problem[0]).splitlines()[0]})" if problem and str(problem[0]) else ""
    return f"{constants.ENDPOINT} cannot be reached{why}"


def cached_file(repository: str, names: tuple[str, ...]) -> Path | None:
    """A file of a Hub repository in the local cache, the first of `names` that is there; asks no server."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    return None
