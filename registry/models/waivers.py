"""Rules that two people suspended for one change."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from registry.models.subjects import Proposal


class WaivedRule(models.TextChoices):
    """What may be suspended for one change. What a row is (its frame) never is."""

    COMPATIBILITY = "compatibility"
    REPLAY = "replay"


class Waiver(models.Model):
    """A rule suspended for one revision of one proposal, by two people and until an instant.

    It says nothing until the second person grants it, and ends by itself: at `expires_at`, with
    the revision it was asked for, or when somebody ends it before.
    """

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="waivers")
    revision = models.PositiveIntegerField()
    rule = models.CharField(max_length=13, choices=WaivedRule)
    reason = models.TextField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    granted_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rule__in=WaivedRule.values), name="waiver_rule_known"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="waiver_has_a_reason"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at")), name="waiver_expires_later"
            ),
            models.CheckConstraint(
                condition=Q(granted_by__isnull=True, granted_at__isnull=True)
                | Q(granted_by__isnull=False, granted_at__isnull=False),
                name="waiver_granted_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(granted_by__isnull=True) | ~Q(granted_by=F("requested_by")),
                name="waiver_of_two_people",
            ),
            models.CheckConstraint(
                condition=Q(granted_at__isnull=True) | Q(granted_at__lt=F("expires_at")),
                name="waiver_granted_in_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} waived for {self.proposal}"
