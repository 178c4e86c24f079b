"""What the database refuses about the registry's tables, whoever asks. See `registry.triggers`."""

from registry.triggers import AppendOnly, Immutable, Refuse, protect

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
    Refuse(
        "registry.Review",
        name="author_reviews",
        message="an author never reviews their own proposal",
        when="{new.reviewer} = (SELECT {registry.Proposal.author} FROM {registry.Proposal}"
        " WHERE {registry.Proposal.id} = {new.proposal})",
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
        when="(SELECT COUNT(*) FROM {registry.Review}"
        " WHERE {registry.Review.proposal} = {new.proposal}"
        " AND {registry.Review.content} = {new.content}"
        " AND {registry.Review.decision} = 'approve')"
        " < (SELECT {registry.Subject.required_approvals} FROM {registry.Subject}"
        " WHERE {registry.Subject.id} = {new.subject})",
        on=("insert",),
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
