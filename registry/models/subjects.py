"""Subjects, proposals and the immutable schema versions they become."""

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from registry.models.people import Team


class Compatibility(models.TextChoices):
    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class ReplayRule(models.TextChoices):
    OPTIONAL = "optional", "Optional"
    REQUIRED = "required", "Required: the candidate was replayed, whatever came of it"
    CLEAN = "clean", "Clean: the candidate was replayed and refused no row"


class Subject(models.Model):
    """A named line of schemas, for instance `market.ohlcv`."""

    name = models.CharField(max_length=200, unique=True)
    owner_team = models.ForeignKey(Team, models.PROTECT, related_name="subjects")
    description = models.TextField(blank=True)
    compatibility = models.CharField(
        max_length=20, choices=Compatibility, default=Compatibility.BACKWARD
    )
    required_approvals = models.PositiveSmallIntegerField(default=1)
    replay = models.CharField(
        max_length=8,
        choices=ReplayRule,
        default=ReplayRule.OPTIONAL,
        help_text="What a shadow replay must have shown before an approval.",
    )
    tags = models.JSONField(default=list, blank=True)
    contact = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(required_approvals__gte=1), name="subject_needs_an_approval"
            ),
            models.CheckConstraint(
                condition=Q(replay__in=ReplayRule.values), name="subject_replay_rule_known"
            ),
            models.CheckConstraint(
                condition=Q(compatibility__in=Compatibility.values),
                name="subject_compatibility_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApprovalTeam(models.Model):
    """So many of a subject's approvals must come from reviewers of this team."""

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="approval_teams")
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    approvals = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject", "team"], name="one_rule_per_team"),
            models.CheckConstraint(
                condition=Q(approvals__gte=1), name="team_approves_at_least_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} needs {self.approvals} of {self.team}"


class SchemaContent(models.Model):
    """One document, once: its primary key is the global schema id. Never changed."""

    fingerprint = models.CharField(max_length=71, unique=True)
    canonical = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"schema {self.pk} {self.fingerprint[:19]}"

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.canonical)


class ProposalState(models.TextChoices):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Proposal(models.Model):
    """A draft of a subject's next version, with its own id.

    `revision` counts its contents: what was said of an earlier one counts for nothing.
    """

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="proposals")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="proposals")
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="proposals")
    resolved_fingerprint = models.CharField(max_length=71)
    revision = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=ProposalState, default=ProposalState.DRAFT)
    reason = models.TextField(blank=True, help_text="Why the schema changes.")
    verdict = models.CharField(max_length=12, default="compatible")
    compatibility_report = models.JSONField(default=dict)
    lint = models.JSONField(default=list)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ProposalState.values), name="proposal_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "in_review"], decided_at__isnull=True)
                | Q(state__in=["approved", "rejected", "withdrawn"], decided_at__isnull=False),
                name="proposal_decided_when_it_ends",
            ),
            models.CheckConstraint(condition=Q(revision__gte=1), name="proposal_revisions_from_1"),
            models.CheckConstraint(
                condition=Q(verdict__in=["compatible", "incompatible", "not_proven"]),
                name="proposal_verdict_known",
            ),
        ]

    def __str__(self) -> str:
        return f"proposal {self.pk} of {self.subject}"


class Review(models.Model):
    """One person's word on one revision of a proposal, for one of their teams.

    Triggers refuse the proposal's author, and a team in which the reviewer does not review.
    """

    class Decision(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="reviews")
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="reviews")
    revision = models.PositiveIntegerField(default=1)
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="+")
    decision = models.CharField(max_length=7, choices=Decision)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "reviewer", "revision"],
                name="one_review_per_person_and_revision",
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["approve", "reject"]), name="review_decision_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.decision} {self.proposal}"


class VersionState(models.TextChoices):
    APPROVED = "approved"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class SchemaVersion(models.Model):
    """Version 1, 2, 3 … of a subject, numbered without holes; only its state ever changes."""

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="versions")
    resolved_fingerprint = models.CharField(max_length=71)
    proposal = models.OneToOneField(Proposal, models.PROTECT, related_name="version")
    state = models.CharField(max_length=10, choices=VersionState, default=VersionState.APPROVED)
    created_at = models.DateTimeField()
    deprecated_at = models.DateTimeField(null=True, blank=True)
    sunset_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["subject", "number"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "number"], name="one_version_per_number"),
            models.UniqueConstraint(fields=["subject", "content"], name="one_version_per_content"),
            models.CheckConstraint(condition=Q(number__gte=1), name="version_numbers_from_one"),
            models.CheckConstraint(
                condition=Q(state__in=VersionState.values), name="version_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="approved", deprecated_at__isnull=True, sunset_at__isnull=True)
                | Q(
                    state__in=["deprecated", "retired"],
                    deprecated_at__isnull=False,
                    sunset_at__gte=F("deprecated_at"),
                ),
                name="version_deprecated_with_a_sunset",
            ),
            models.CheckConstraint(
                condition=Q(state="retired", retired_at__isnull=False)
                | Q(state__in=["approved", "deprecated"], retired_at__isnull=True),
                name="version_retired_at_an_instant",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} version {self.number}"
