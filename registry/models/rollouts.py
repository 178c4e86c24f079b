"""Under which release and mode a consumer reads, and what may change that."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from registry.models.bundles import Bundle, Release
from registry.models.consumers import Consumer
from registry.models.nodes import Node


def _share(**options: Any) -> models.DecimalField:
    return models.DecimalField(max_digits=7, decimal_places=6, **options)


class GatePolicy(models.Model):
    """What a canary must have shown before its release may become strict."""

    name = models.SlugField(unique=True)
    description = models.TextField(blank=True)
    observation = models.DurationField(default=timedelta(hours=48))
    minimum_reads = models.PositiveIntegerField(default=100)
    minimum_rows = models.PositiveBigIntegerField(default=0)
    maximum_violation_rate = _share(default=0, help_text="Violations a row that was checked.")
    maximum_unchecked_share = _share(default=Decimal("0.05"), help_text="Of all mirrored reads.")
    minimum_node_coverage = _share(default=1, help_text="Of the nodes the consumer usually reads.")
    required_approvals = models.PositiveSmallIntegerField(default=2)
    promotes_itself = models.BooleanField(
        default=False, help_text="Promote as soon as every gate is open."
    )

    class Meta:
        verbose_name_plural = "gate policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(required_approvals__gte=1), name="gate_needs_an_approval"
            ),
            models.CheckConstraint(
                condition=Q(
                    maximum_violation_rate__range=(0, 1),
                    maximum_unchecked_share__range=(0, 1),
                    minimum_node_coverage__range=(0, 1),
                ),
                name="gate_shares_from_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Mode(models.TextChoices):
    CANARY = "canary"
    STRICT = "strict"


class Rollout(models.Model):
    """One release offered to one consumer, mirrored (canary) or enforced (strict).

    `ramp_percent` of a canary: the share of requests that it judges as strict already.
    """

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="rollouts")
    bundle = models.ForeignKey(Bundle, models.PROTECT, related_name="rollouts")
    release = models.ForeignKey(Release, models.PROTECT, related_name="rollouts")
    mode = models.CharField(max_length=6, choices=Mode)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ramp_percent = models.PositiveSmallIntegerField(default=0)
    promoted_from = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="promoted_to"
    )

    restores = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="restored_by"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(mode="canary")
                | Q(promoted_from__isnull=False)
                | Q(restores__isnull=False),
                name="strict_only_by_promotion_or_rollback",
            ),
            models.UniqueConstraint(
                fields=["consumer", "bundle", "mode"],
                condition=Q(ended_at__isnull=True),
                name="one_live_rollout_per_mode",
            ),
            models.CheckConstraint(condition=Q(mode__in=Mode.values), name="rollout_mode_known"),
            models.CheckConstraint(
                condition=Q(ramp_percent=0) | Q(mode="canary", ramp_percent__lte=99),
                name="only_a_canary_ramps",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="rollout_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.release} {self.mode} for {self.consumer}"


class PromotionApproval(models.Model):
    """One person's word that a canary rollout may become strict."""

    rollout = models.ForeignKey(Rollout, models.PROTECT, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rollout", "approver"], name="one_approval_per_person_and_rollout"
            )
        ]

    def __str__(self) -> str:
        return f"{self.approver} approves {self.rollout}"


class GateOverride(models.Model):
    """Two people's word that a rollout's gates do not count until `expires_at`."""

    rollout = models.ForeignKey(Rollout, models.PROTECT, related_name="overrides")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("requested_by")),
                name="override_by_two_people",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True, confirmed_at__isnull=True)
                | Q(confirmed_by__isnull=False, confirmed_at__isnull=False),
                name="override_confirmed_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at")), name="override_expires_later"
            ),
        ]

    def __str__(self) -> str:
        return f"override of the gates of rollout {self.rollout_id}"


class Incident(models.Model):
    """Something is wrong for a consumer: a strict refusal (`opened_by` empty) or a person's word.

    While one is open, nothing of its bundle becomes strict for its consumer by the gates.
    """

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="incidents")
    bundle = models.ForeignKey(Bundle, models.PROTECT, related_name="incidents")
    release = models.ForeignKey(
        Release, models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    node = models.ForeignKey(Node, models.PROTECT, null=True, blank=True, related_name="incidents")
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.TextField()
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    closing = models.TextField(blank=True, help_text="Why it was closed.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "bundle", "node"],
                condition=Q(opened_by__isnull=True, closed_at__isnull=True),
                name="one_open_refusal_incident",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=False) | Q(closed_by__isnull=True),
                name="incident_closed_by_when_closed",
            ),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk} of {self.consumer} on {self.bundle}"
