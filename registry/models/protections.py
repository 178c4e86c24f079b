"""What the database refuses about the registry's tables, whoever asks. See `registry.triggers`."""

from registry.safety_net import Governed, Settling
from registry.triggers import AppendOnly, Immutable, Refuse, protect

_REVISION = (
    "(SELECT {registry.Proposal.revision} FROM {registry.Proposal}"
    " WHERE {registry.Proposal.id} = {new.proposal})"
)
# The reviews that count for a version about to be made: those of the content as it is now.
_COUNTS = (
    "{registry.Review.proposal} = {new.proposal}"
    " AND {registry.Review.content} = {new.content}"
    f" AND {{registry.Review.revision}} = {_REVISION}"
    " AND {registry.Review.decision} = 'approve'"
)
# What changes by recorded actions alone. Not what processes write by themselves: evidence, tallies,
# the audit log's own tables.
GOVERNED = (
    "auth.User",
    "registry.AccessToken",
    "registry.ApprovalTeam",
    "registry.AuditExportLink",
    "registry.Bundle",
    "registry.BundleMember",
    "registry.Consumer",
    "registry.GateOverride",
    "registry.GatePolicy",
    "registry.Membership",
    "registry.Node",
    "registry.NodeGrant",
    "registry.PromotionApproval",
    "registry.Proposal",
    "registry.Release",
    "registry.ReleaseMember",
    "registry.Review",
    "registry.Rollout",
    "registry.SLAPolicyDocument",
    "registry.SchemaContent",
    "registry.SchemaVersion",
    "registry.Subject",
    "registry.Subscription",
    "registry.Team",
    "registry.Waiver",
)
protect(*map(Governed, GOVERNED), Settling("registry.AuditEvent"))

protect(
    AppendOnly("registry.SchemaContent"),
    AppendOnly("registry.Review"),
    AppendOnly("registry.Release"),
    AppendOnly("registry.ReleaseMember"),
    AppendOnly("registry.PromotionApproval"),
    Immutable(
        "registry.SchemaVersion",
        fields=("subject", "number", "content", "resolved_fingerprint", "proposal", "created_at"),
    ),
    Immutable("registry.Proposal", fields=("subject", "author", "created_at")),
    Immutable(
        "registry.AccessToken",
        fields=("prefix", "digest", "user", "consumer", "scopes", "created_by", "expires_at"),
    ),
    Immutable(
        "registry.Rollout",
        fields=("consumer", "bundle", "release", "mode", "started_at", "promoted_from", "restores"),
    ),
    Immutable(
        "registry.GateOverride",
        fields=("rollout", "requested_by", "reason", "requested_at", "expires_at"),
    ),
    Immutable(
        "registry.Incident",
        fields=("consumer", "bundle", "release", "node", "opened_by", "opened_at"),
    ),
    Refuse(
        "registry.GateOverride",
        name="confirmed",
        message="a confirmed override stays as it is",
        when="{old.confirmed_at} IS NOT NULL",
        on=("update",),
    ),
    Refuse(
        "registry.Incident",
        name="closed",
        message="a closed incident stays closed",
        when="{old.closed_at} IS NOT NULL",
        on=("update",),
    ),
    Refuse(
        "registry.Review",
        name="author_reviews",
        message="an author never reviews their own proposal",
        when="{new.reviewer} = (SELECT {registry.Proposal.author} FROM {registry.Proposal}"
        " WHERE {registry.Proposal.id} = {new.proposal})",
    ),
    Refuse(
        "registry.Review",
        name="stale_review",
        message="a review speaks of what is in review now",
        when="NOT EXISTS (SELECT 1 FROM {registry.Proposal}"
        " WHERE {registry.Proposal.id} = {new.proposal}"
        " AND {registry.Proposal.state} = 'in_review'"
        " AND {registry.Proposal.revision} = {new.revision}"
        " AND {registry.Proposal.content} = {new.content})",
        on=("insert",),
    ),
    Refuse(
        "registry.Review",
        name="of_another_team",
        message="a reviewer speaks for a team in which they review",
        when="{new.team} IS NULL OR NOT EXISTS (SELECT 1 FROM {registry.Membership}"
        " WHERE {registry.Membership.team} = {new.team}"
        " AND {registry.Membership.user} = {new.reviewer}"
        " AND {registry.Membership.role} = 'reviewer')",
        on=("insert",),
    ),
    Refuse(
        "registry.Proposal",
        name="content_without_revision",
        message="another content is another revision, and a draft",
        when="({new.content} <> {old.content} OR {new.revision} <> {old.revision})"
        " AND ({new.revision} <> {old.revision} + 1 OR {new.state} <> 'draft')",
        on=("update",),
    ),
    Refuse(
        "registry.Proposal",
        name="starts_as_a_draft",
        message="a proposal starts as a draft",
        when="{new.state} <> 'draft'",
        on=("insert",),
    ),
    Refuse(
        "registry.Proposal",
        name="state_skipped",
        message="a draft is decided in review only",
        when="{old.state} = 'draft' AND {new.state} IN ('approved', 'rejected')",
        on=("update",),
    ),
    Refuse(
        "registry.Proposal",
        name="approved_without_version",
        message="a proposal is approved by becoming a version",
        when="{old.decided_at} IS NULL AND {new.state} = 'approved'"
        " AND NOT EXISTS (SELECT 1 FROM {registry.SchemaVersion}"
        " WHERE {registry.SchemaVersion.proposal} = {new.id}"
        " AND {registry.SchemaVersion.content} = {new.content})",
        on=("update",),
    ),
    Refuse(
        "registry.Proposal",
        name="decided",
        message="a decided proposal stays as it is",
        when="{old.decided_at} IS NOT NULL",
        on=("update",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="number_has_a_hole",
        message="versions are numbered 1, 2, 3 … without holes",
        when="{new.number} <> 1 + (SELECT COALESCE(MAX({registry.SchemaVersion.number}), 0)"
        " FROM {registry.SchemaVersion}"
        " WHERE {registry.SchemaVersion.subject} = {new.subject})",
        on=("insert",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="too_few_approvals",
        message="a version needs its subject's approvals, of its own content",
        when=f"(SELECT COUNT(*) FROM {{registry.Review}} WHERE {_COUNTS})"
        " < (SELECT {registry.Subject.required_approvals} FROM {registry.Subject}"
        " WHERE {registry.Subject.id} = {new.subject})",
        on=("insert",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="a_team_is_missing",
        message="a version needs the approvals of each team that its subject names",
        when="EXISTS (SELECT 1 FROM {registry.ApprovalTeam}"
        " WHERE {registry.ApprovalTeam.subject} = {new.subject}"
        " AND {registry.ApprovalTeam.approvals} > (SELECT COUNT(*) FROM {registry.Review}"
        f" WHERE {_COUNTS} AND {{registry.Review.team}} = {{registry.ApprovalTeam.team}}))",
        on=("insert",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="breaks_compatibility",
        message="a version is compatible, or two people waived that for it",
        when="(SELECT {registry.Proposal.verdict} FROM {registry.Proposal}"
        " WHERE {registry.Proposal.id} = {new.proposal}) <> 'compatible'"
        " AND NOT EXISTS (SELECT 1 FROM {registry.Waiver}"
        " WHERE {registry.Waiver.proposal} = {new.proposal}"
        f" AND {{registry.Waiver.revision}} = {_REVISION}"
        " AND {registry.Waiver.rule} = 'compatibility'"
        " AND {registry.Waiver.granted_at} IS NOT NULL"
        " AND {registry.Waiver.ended_at} IS NULL"
        " AND {registry.Waiver.expires_at} > {new.created_at})",
        on=("insert",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="state_backwards",
        message="a version goes from approved to deprecated to retired, and never back",
        when="{new.state} <> {old.state} AND NOT ({old.state} = 'approved'"
        " AND {new.state} = 'deprecated') AND NOT ({old.state} = 'deprecated'"
        " AND {new.state} = 'retired')",
        on=("update",),
    ),
    Refuse(
        "registry.SchemaVersion",
        name="retired_in_use",
        message="a version that a live rollout uses is not retired",
        when="{new.state} = 'retired' AND {old.state} <> 'retired' AND EXISTS ("
        "SELECT 1 FROM {registry.ReleaseMember} JOIN {registry.Rollout}"
        " ON {registry.Rollout.release} = {registry.ReleaseMember.release}"
        " WHERE {registry.ReleaseMember.version} = {new.id}"
        " AND {registry.Rollout.ended_at} IS NULL)",
        on=("update",),
    ),
    Immutable(
        "registry.Waiver",
        fields=(
            "proposal",
            "revision",
            "rule",
            "reason",
            "requested_by",
            "requested_at",
            "expires_at",
        ),
    ),
    Refuse(
        "registry.Waiver",
        name="author_waives",
        message="an author never waives a rule for their own proposal",
        when="(SELECT {registry.Proposal.author} FROM {registry.Proposal}"
        " WHERE {registry.Proposal.id} = {new.proposal})"
        " IN ({new.requested_by}, {new.granted_by})",
    ),
    Refuse(
        "registry.Waiver",
        name="granted_again",
        message="a waiver that was granted or ended stays so",
        when="({old.granted_at} IS NOT NULL AND ({new.granted_at} IS NULL"
        " OR {new.granted_at} <> {old.granted_at} OR {new.granted_by} <> {old.granted_by}))"
        " OR ({old.ended_at} IS NOT NULL AND ({new.ended_at} IS NULL"
        " OR {new.ended_at} <> {old.ended_at}))",
        on=("update",),
    ),
    Immutable(
        "registry.ReplayRun",
        fields=("proposal", "revision", "content", "requested_by", "days", "created_at"),
    ),
    Refuse(
        "registry.ReplayRun",
        name="finished",
        message="a finished replay stays as it is",
        when="{old.finished_at} IS NOT NULL",
        on=("update",),
    ),
    Refuse(
        "registry.ReplayShard",
        name="finished_run",
        message="a shard of a finished replay stays as it is",
        when="(SELECT {registry.ReplayRun.finished_at} FROM {registry.ReplayRun}"
        " WHERE {registry.ReplayRun.id} = {old.run}) IS NOT NULL",
        on=("update", "delete"),
    ),
    Refuse(
        "registry.ReleaseMember",
        name="other_subject",
        message="a member's subject is its version's",
        when="{new.subject} <> (SELECT {registry.SchemaVersion.subject}"
        " FROM {registry.SchemaVersion}"
        " WHERE {registry.SchemaVersion.id} = {new.version})",
        on=("insert",),
    ),
    Refuse(
        "registry.Rollout",
        name="other_bundle",
        message="a rollout's release belongs to its bundle",
        when="{new.bundle} <> (SELECT {registry.Release.bundle} FROM {registry.Release}"
        " WHERE {registry.Release.id} = {new.release})",
        on=("insert",),
    ),
    Refuse(
        "registry.Rollout",
        name="ended",
        message="an ended rollout stays ended",
        when="{old.ended_at} IS NOT NULL",
        on=("update",),
    ),
    Refuse(
        "registry.Rollout",
        name="promoted_from_elsewhere",
        message="a strict rollout is promoted from the same consumer's canary of the same release",
        when="{new.promoted_from} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {r:registry.Rollout}"
        " WHERE {r:registry.Rollout.id} = {new.promoted_from}"
        " AND {r:registry.Rollout.mode} = 'canary'"
        " AND {r:registry.Rollout.consumer} = {new.consumer}"
        " AND {r:registry.Rollout.release} = {new.release})",
        on=("insert",),
    ),
    Refuse(
        "registry.Rollout",
        name="too_few_approvals",
        message="a promotion needs its policy's approvals, or an override by two people",
        when="{new.promoted_from} IS NOT NULL"
        " AND (SELECT COUNT(*) FROM {registry.PromotionApproval}"
        " WHERE {registry.PromotionApproval.rollout} = {new.promoted_from})"
        " < (SELECT {registry.GatePolicy.required_approvals} FROM {registry.GatePolicy}"
        " JOIN {registry.Bundle} ON {registry.Bundle.gate_policy} = {registry.GatePolicy.id}"
        " WHERE {registry.Bundle.id} = {new.bundle})"
        " AND NOT EXISTS (SELECT 1 FROM {registry.GateOverride}"
        " WHERE {registry.GateOverride.rollout} = {new.promoted_from}"
        " AND {registry.GateOverride.confirmed_at} IS NOT NULL"
        " AND {registry.GateOverride.expires_at} > {new.started_at})",
        on=("insert",),
    ),
    Refuse(
        "registry.Rollout",
        name="ramp_without_approvals",
        message="a ramp grows with its policy's approvals, or an override by two people",
        when="{new.ramp_percent} > {old.ramp_percent}"
        " AND (SELECT COUNT(*) FROM {registry.PromotionApproval}"
        " WHERE {registry.PromotionApproval.rollout} = {new.id})"
        " < (SELECT {registry.GatePolicy.required_approvals} FROM {registry.GatePolicy}"
        " JOIN {registry.Bundle} ON {registry.Bundle.gate_policy} = {registry.GatePolicy.id}"
        " WHERE {registry.Bundle.id} = {new.bundle})"
        " AND NOT EXISTS (SELECT 1 FROM {registry.GateOverride}"
        " WHERE {registry.GateOverride.rollout} = {new.id}"
        " AND {registry.GateOverride.confirmed_at} IS NOT NULL)",
        on=("update",),
    ),
    Refuse(
        "registry.BundleMember",
        name="shared_subject",
        message="a consumer's bundles share no subject",
        when="EXISTS (SELECT 1 FROM {mine:registry.Subscription}"
        " JOIN {other:registry.Subscription}"
        " ON {other:registry.Subscription.consumer} = {mine:registry.Subscription.consumer}"
        " JOIN {held:registry.BundleMember}"
        " ON {held:registry.BundleMember.bundle} = {other:registry.Subscription.bundle}"
        " WHERE {mine:registry.Subscription.bundle} = {new.bundle}"
        " AND {other:registry.Subscription.bundle} <> {new.bundle}"
        " AND {held:registry.BundleMember.subject} = {new.subject})",
        on=("insert",),
    ),
    Refuse(
        "registry.Subscription",
        name="shared_subject",
        message="a consumer's bundles share no subject",
        when="EXISTS (SELECT 1 FROM {registry.Subscription}"
        " JOIN {held:registry.BundleMember}"
        " ON {held:registry.BundleMember.bundle} = {registry.Subscription.bundle}"
        " JOIN {wanted:registry.BundleMember}"
        " ON {wanted:registry.BundleMember.subject} = {held:registry.BundleMember.subject}"
        " WHERE {registry.Subscription.consumer} = {new.consumer}"
        " AND {wanted:registry.BundleMember.bundle} = {new.bundle})",
        on=("insert",),
    ),
)
