"""Writing, sealing and exporting the audit log.

`record` belongs to the transaction of the action it records and takes no lock: one event, one
pending row. `seal`, one process at a time, takes what is pending into the Merkle tree and publishes
the new head, signed, outside the database. `export_jsonl` writes what `registry.audit.verify`
checks. Actions of people on the log itself (key rotation, erasure, export jobs) have modules of
their own here, which build on `registry.services.actions` and so are not imported by this one.
"""

from registry.services.audit.exporting import Exported, NoSuchCheckpoint, export_jsonl
from registry.services.audit.head import AuditLogForked, latest_checkpoint
from registry.services.audit.publishing import CheckpointsUnavailable
from registry.services.audit.recording import record
from registry.services.audit.sealing import checkpoint_over, seal, wait_until_sealed
from registry.services.audit.signing import AuditKeyUnavailable

__all__ = [
    "AuditKeyUnavailable",
    "AuditLogForked",
    "CheckpointsUnavailable",
    "Exported",
    "NoSuchCheckpoint",
    "checkpoint_over",
    "export_jsonl",
    "latest_checkpoint",
    "record",
    "seal",
    "wait_until_sealed",
]
