"""The last checkpoint, kept in a folder outside the database.

Whoever restores or rewrites the database does not thereby rewrite this file, so that the next
sealing sees the fork. The one place of the audit core that touches a disk.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from registry.audit.checkpoint import Checkpoint


class CheckpointFolder:
    """`checkpoint` in this folder is the last published one; it is only ever replaced in whole."""

    setting = "SEAMLESS_CHECKPOINT_DIR"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "checkpoint"

    @property
    def place(self) -> str:
        return str(self.file)

    def last(self) -> Checkpoint | None:
        """The last published checkpoint, None before the first. ValueError where it is damaged."""
        try:
            return Checkpoint.parse(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return None

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """One publisher at a time, over all processes that share the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def is_due(self, now: datetime) -> bool:
        return True

    def write(self, note: str) -> None:
        """Replace the file, durably, by this checkpoint's signed note. Call within `publishing`."""
        new = self.folder / "checkpoint.new"
        with new.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
