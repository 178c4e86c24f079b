"""Writing and sealing the audit log.

`record` belongs to the transaction of the action it records and takes no lock. `seal`, one process
at a time, takes what is pending into the Merkle tree and publishes the new head, signed, outside
the database. What people do with the log itself (exporting, key rotation, removals) has modules of
its own here, which build on `registry.services.actions` and so are not imported by this one.
"""

from registry.services.audit.head import AuditLogForked, latest_checkpoint
from registry.services.audit.publishing import CheckpointsUnavailable
from registry.services.audit.recording import record
from registry.services.audit.sealing import checkpoint_over, seal, seal_all, wait_until_sealed
from registry.services.audit.signing import AuditKeyUnavailable

__all__ = [
    "AuditKeyUnavailable",
    "AuditLogForked",
    "CheckpointsUnavailable",
    "checkpoint_over",
    "latest_checkpoint",
    "record",
    "seal",
    "seal_all",
    "wait_until_sealed",
]
