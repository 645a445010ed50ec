"""Output that is either complete or absent: write under a temporary name in the same folder, then rename."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends without an exception.

    The block may create a file or a folder there. On any exception, `KeyboardInterrupt` included, it is removed and
    what was at `path` before stays untouched. A folder replaces only an empty folder or nothing. An `OSError` of the
    temporary file, or of a write that names no file, names `path` instead.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def nearest_folder(path: str | os.PathLike) -> Path:
    """The innermost folder above `path` that is there; raises NotADirectoryError if a file is in its place."""
    above = next(parent for parent in Path(path).absolute().parents if parent.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file, a folder is needed", str(above))
    return above


@contextmanager
def making_parents(path: str | os.PathLike) -> Iterator[None]:
    """Make the folders above `path` that are missing; on any exception of the block they are removed again."""
    above = nearest_folder(path)
    missing = [parent for parent in Path(path).absolute().parents if above in parent.parents]
    Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def check_writable(path: str | os.PathLike) -> None:
    """Raise the `OSError` that writing `path` would end in, for use before long work; what is there stays untouched.

    What a process that was killed left of it, which nobody else removes, is removed.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, a file name is needed", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder for it does not exist, create it first", str(path))
    try:
        tempfile.TemporaryFile(dir=path.parent, prefix=f".{path.name}.").close()
    except OSError as error:
        why = f"cannot be written there ({error.strerror}), name a file in another folder"
        raise type(error)(error.errno, why, str(path)) from None
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if left.is_file() and _is_dead(left.name.split(".")[-2]):
            left.unlink(missing_ok=True)


def _is_dead(pid: str) -> bool:
    """Whether there is no process of this number any more."""
    if os.name != "posix" or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
