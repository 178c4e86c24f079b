"""Files that must outlive a crash, and be known again by their bytes."""

import hashlib
import os
from pathlib import Path

# Seconds: two writes within a tick of the file system's clock have one time of change.
CLOCK_TICK = 2.0


def sha256_of(path: Path) -> str:
    """`sha256:` and the digest of the file in hex."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def sync(path: Path) -> None:
    """Return once what a file holds, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
