"""Check an exported audit log, offline, with nothing but Python (3.11 or later).

    python -m registry.audit.verify EXPORT [--checkpoint FILE] [--key KEY] [--max-unsealed SECONDS]

EXPORT is a JSON Lines file, a bundle (.zip) or an unpacked bundle. A bundle brings this package
along (`python verify.py` inside it does the same).

It proves that every record has the bytes that were hashed, that none is missing, added or moved
(in an export of selected records: that each is in the log), that all of them lie under the root on
the last line, and which key signed that root. Whoever can rewrite the log can also sign a new root
with a new key: only a checkpoint or key that you got earlier, or from another place, shows that.

Exit codes: 0 all of it holds; 1 a record, or another line or file, was changed; 2 records are
missing, added or out of order; 3 a signature is bad, or its key is not one you trust; 4 the log
does not continue the given checkpoint; 5 records had waited longer than --max-unsealed for their
seal; 64 wrong use; 66 no such file.

This package is written apart from the code that makes the log, and imports none of it, so that it
can be read, copied and run alone. RFC 6962 defines the tree, C2SP signed-note and tlog-checkpoint
the checkpoint, RFC 8032 the signature (computed here in plain Python).
"""

from .export import Demands, verify_export
from .findings import (
    CHANGED,
    INCONSISTENT,
    MISSING,
    NO_INPUT,
    OK,
    SHOWN,
    SIGNATURE,
    STALE,
    USAGE,
    Finding,
    Report,
    describe,
)
from .notes import Head, Key, Note, read_key, read_note

__all__ = [
    "CHANGED",
    "INCONSISTENT",
    "MISSING",
    "NO_INPUT",
    "OK",
    "SHOWN",
    "SIGNATURE",
    "STALE",
    "USAGE",
    "Demands",
    "Finding",
    "Head",
    "Key",
    "Note",
    "Report",
    "describe",
    "read_key",
    "read_note",
    "verify_export",
]
