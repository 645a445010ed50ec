"""Which code made a result: the commit of the repository it was run from, or the version of the package."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@cache
def code_version(root: Path = _ROOT) -> str:
    """`commit HASH`, `commit HASH with changes` where tracked files differ from it, or without a repository
    `version X`.
    """
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit is None:
        from holocine import __version__

        return f"version {__version__}"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}{' with changes' if changed else ''}"


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, None if it cannot be asked."""
    try:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
