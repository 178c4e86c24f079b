"""What the registry keeps: people, schemas, bundles, consumers, nodes, evidence, the audit log."""

from registry.models.audit import (
    AuditCheckpoint,
    AuditEvent,
    AuditKey,
    AuditLeaf,
    AuditNode,
    AuditPayload,
    AuditPending,
    AuditPersonal,
)
from registry.models.audit_exports import AuditExport, ExportState
from registry.models.bundles import Bundle, BundleMember, Release, ReleaseMember
from registry.models.consumers import (
    AccessToken,
    Consumer,
    GatePolicy,
    Mode,
    NodeGrant,
    PromotionApproval,
    Rollout,
    Subscription,
)
from registry.models.evidence import CanaryTally, Diagnostic
from registry.models.nodes import Node, SLAPolicyDocument
from registry.models.people import Membership, Role, Team
from registry.models.subjects import (
    Compatibility,
    Proposal,
    ProposalState,
    Review,
    SchemaContent,
    SchemaVersion,
    Subject,
    VersionState,
)

__all__ = [
    "AccessToken",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditExport",
    "AuditKey",
    "AuditLeaf",
    "AuditNode",
    "AuditPayload",
    "AuditPending",
    "AuditPersonal",
    "Bundle",
    "BundleMember",
    "CanaryTally",
    "Compatibility",
    "Consumer",
    "Diagnostic",
    "ExportState",
    "GatePolicy",
    "Membership",
    "Mode",
    "Node",
    "NodeGrant",
    "PromotionApproval",
    "Proposal",
    "ProposalState",
    "Release",
    "ReleaseMember",
    "Review",
    "Role",
    "Rollout",
    "SLAPolicyDocument",
    "SchemaContent",
    "SchemaVersion",
    "Subject",
    "Subscription",
    "Team",
    "VersionState",
]
