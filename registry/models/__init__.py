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
from registry.models.audit_exports import AuditExport, AuditExportLink, ExportState
from registry.models.bundles import Bundle, BundleMember, Release, ReleaseMember
from registry.models.consumers import (
    AccessToken,
    Consumer,
    NodeGrant,
    Subscription,
)
from registry.models.evidence import CanaryTally, Diagnostic
from registry.models.nodes import Node, SLAPolicyDocument
from registry.models.people import Membership, Role, Team
from registry.models.refusals import RefusalTally
from registry.models.replays import ReplayRun, ReplayShard, ReplayState, ShardState
from registry.models.rollouts import (
    GateOverride,
    GatePolicy,
    Incident,
    Mode,
    PromotionApproval,
    Rollout,
)
from registry.models.state import RegistryState
from registry.models.subjects import (
    ApprovalTeam,
    Compatibility,
    Proposal,
    ProposalState,
    ReplayRule,
    Review,
    SchemaContent,
    SchemaVersion,
    Subject,
    VersionState,
)
from registry.models.unrecorded import UnrecordedChange
from registry.models.usage import RetainedSample, Usage
from registry.models.waivers import WaivedRule, Waiver

__all__ = [
    "AccessToken",
    "ApprovalTeam",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditExport",
    "AuditExportLink",
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
    "GateOverride",
    "GatePolicy",
    "Incident",
    "Membership",
    "Mode",
    "Node",
    "NodeGrant",
    "PromotionApproval",
    "Proposal",
    "ProposalState",
    "RefusalTally",
    "RegistryState",
    "Release",
    "ReleaseMember",
    "ReplayRule",
    "ReplayRun",
    "ReplayShard",
    "ReplayState",
    "RetainedSample",
    "Review",
    "Role",
    "Rollout",
    "SLAPolicyDocument",
    "SchemaContent",
    "SchemaVersion",
    "ShardState",
    "Subject",
    "Subscription",
    "Team",
    "UnrecordedChange",
    "Usage",
    "VersionState",
    "WaivedRule",
    "Waiver",
]
