"""Subjects, proposals and the immutable schema versions they become."""

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
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


class Subject(models.Model):
    """A named line of schemas, for instance `market.ohlcv`."""

    name = models.CharField(max_length=200, unique=True)
    owner_team = models.ForeignKey(Team, models.PROTECT, related_name="subjects")
    description = models.TextField(blank=True)
    compatibility = models.CharField(
        max_length=20, choices=Compatibility, default=Compatibility.BACKWARD
    )
    required_approvals = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(required_approvals__gte=1), name="subject_needs_an_approval"
            ),
            models.CheckConstraint(
                condition=Q(compatibility__in=Compatibility.values),
                name="subject_compatibility_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


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
    """A draft of a subject's next version, with its own id."""

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="proposals")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="proposals")
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="proposals")
    resolved_fingerprint = models.CharField(max_length=71)
    state = models.CharField(max_length=10, choices=ProposalState, default=ProposalState.DRAFT)
    reason = models.TextField(blank=True, help_text="Why the schema changes.")
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
        ]

    def __str__(self) -> str:
        return f"proposal {self.pk} of {self.subject}"


class Review(models.Model):
    """One person's word on one content of a proposal. A trigger refuses the proposal's author."""

    class Decision(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="reviews")
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="reviews")
    decision = models.CharField(max_length=7, choices=Decision)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "reviewer", "content"], name="one_review_per_person_and_content"
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

    class Meta:
        ordering = ["subject", "number"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "number"], name="one_version_per_number"),
            models.UniqueConstraint(fields=["subject", "content"], name="one_version_per_content"),
            models.CheckConstraint(condition=Q(number__gte=1), name="version_numbers_from_one"),
            models.CheckConstraint(
                condition=Q(state__in=VersionState.values), name="version_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} version {self.number}"
