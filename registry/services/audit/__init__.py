"""Writing, sealing and exporting the audit log.

`record` belongs to the transaction of the action it records and takes no lock: one event, one
pending row. `seal`, one process at a time, takes what is pending into the Merkle tree and publishes
the new head outside the database. `export_jsonl` writes what `registry.audit.verify` checks.
"""

from registry.services.audit.exporting import Exported, NoSuchCheckpoint, export_jsonl
from registry.services.audit.head import AuditLogForked, latest_checkpoint
from registry.services.audit.recording import record
from registry.services.audit.sealing import CheckpointsUnavailable, seal

__all__ = [
    "AuditLogForked",
    "CheckpointsUnavailable",
    "Exported",
    "NoSuchCheckpoint",
    "export_jsonl",
    "latest_checkpoint",
    "record",
    "seal",
]
