"""The output folder: one folder a finished video, under a name that cannot be guessed, with a record beside it.

    FOLDER/records/ID.json   what the visitor made, and whose it is (a hash); never served
    FOLDER/files/ID/…        the files that the visitor may fetch
    FOLDER/uploads/…         what visitors bring, until it is too old or too much

Nothing that a client sends is ever used as a path: an id is looked up among the records that are there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from holocine.files import check_writable, replacing

logger = logging.getLogger(__name__)

VARIABLE = "HOLOCINE_OUTPUTS"


@dataclass(frozen=True)
class Record:
    """A finished video: `content` is what the stage shows, with files as names inside the video's own folder."""

    id: str
    owner: str
    created: float  # seconds since 1970
    content: dict[str, Any]


class Outputs:
    """Finished videos on disk, kept up to `most_seconds` and, the oldest leaving first, up to `most_bytes` in all.

    Raises ValueError for a folder that cannot be written.
    """

    def __init__(self, folder: str | os.PathLike | None, most_bytes: int, most_seconds: float) -> None:
        folder = folder or os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "holocine-desk"
        self.folder = Path(folder).resolve()
        self.most_bytes, self.most_seconds = most_bytes, most_seconds
        self._lock = threading.Lock()
        try:
            for place in (self.files, self._records_folder):
                place.mkdir(parents=True, exist_ok=True)
                check_writable(place / "anything")
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ValueError(
                f"finished videos cannot be kept in {self.folder} ({why}): name another folder in {VARIABLE}"
            ) from None
        self._records = {record.id: record for record in self._read_all()}

    @property
    def files(self) -> Path:
        """The only folder that is served."""
        return self.folder / "files"

    @property
    def uploads(self) -> Path:
        """Where what visitors bring lies until it is scored."""
        return self.folder / "uploads"

    @property
    def _records_folder(self) -> Path:
        return self.folder / "records"

    def new_folder(self, identifier: str) -> Path:
        """Make the folder of a new video. `identifier` is the server's own, never a client's."""
        folder = self.files / identifier
        folder.mkdir()
        return folder

    def keep(self, identifier: str, visitor: str, content: dict[str, Any]) -> Record:
        """Record a finished video, or record it anew when it has more to show."""
        with self._lock:
            created = self._records[identifier].created if identifier in self._records else time.time()
            record = Record(identifier, owner_of(visitor), created, content)
            with replacing(self._records_folder / f"{identifier}.json") as temporary:
                temporary.write_text(json.dumps(asdict(record), ensure_ascii=False), encoding="utf-8")
            self._records[identifier] = record
        return record

    def drop(self, identifier: str) -> None:
        """Remove a video's folder and record."""
        with self._lock:
            self._remove(identifier)

    def of(self, visitor: str) -> list[Record]:
        """A visitor's own videos, the newest first."""
        owner = owner_of(visitor)
        with self._lock:
            mine = [record for record in self._records.values() if record.owner == owner]
        return sorted(mine, key=lambda record: record.created, reverse=True)

    def find(self, identifier: Any, visitor: str) -> Record | None:
        """The visitor's own video of that id, or None."""
        record = self._records.get(identifier) if isinstance(identifier, str) else None
        return record if record is not None and record.owner == owner_of(visitor) else None

    def shared(self, identifier: Any) -> Record | None:
        """A video for whoever knows its id, which is as hard to guess as a visitor's secret; None if there is none."""
        record = self._records.get(identifier) if isinstance(identifier, str) else None
        return record if record is not None and record.content.get("kind") == "made" else None

    def clean(self, now: float | None = None) -> int:
        """Remove what is too old and, the oldest first, what is too much; return how many videos were removed.

        Folders without a record (of a job that was interrupted) go when they are too old, too, and so does what was
        brought, with the same bounds.
        """
        clean_uploads(self.uploads, self.most_bytes, self.most_seconds, now)
        now = time.time() if now is None else now
        with self._lock:
            kept = []
            before = len(self._records)
            for record in sorted(self._records.values(), key=lambda record: record.created, reverse=True):
                if now - record.created > self.most_seconds:
                    self._remove(record.id)
                else:
                    kept.append(record)
            total = 0
            for record in kept:
                total += _size(self.files / record.id)
                if total > self.most_bytes:
                    self._remove(record.id)
            for folder in self.files.iterdir():
                if folder.name not in self._records and now - folder.stat().st_mtime > self.most_seconds:
                    shutil.rmtree(folder, ignore_errors=True)
            return before - len(self._records)

    def _remove(self, identifier: str) -> None:
        self._records.pop(identifier, None)
        (self._records_folder / f"{identifier}.json").unlink(missing_ok=True)
        shutil.rmtree(self.files / identifier, ignore_errors=True)

    def _read_all(self) -> list[Record]:
        records = []
        for path in self._records_folder.glob("*.json"):
            try:
                record = Record(**json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                logger.warning("the record %s cannot be read and is left out", path.name)
                continue
            if record.id == path.stem and (self.files / record.id).is_dir():
                records.append(record)
        return records


def clean_uploads(folder: Path, most_bytes: int, most_seconds: float, now: float | None = None) -> int:
    """Remove uploads that are too old and, the oldest first, too much, whole or broken off; return how many."""
    now = time.time() if now is None else now
    files = [(path.stat().st_mtime, path.stat().st_size, path) for path in folder.rglob("*") if path.is_file()]
    total = removed = 0
    for changed, size, path in sorted(files, reverse=True):
        total += size
        if now - changed > most_seconds or total > most_bytes:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def owner_of(visitor: str) -> str:
    """What stands for a visitor on disk: the hash of a secret that only the visitor's browser keeps."""
    return hashlib.sha256(visitor.encode()).hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
