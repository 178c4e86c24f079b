"""What checks found and how much was read: aggregated, never a row of data in whole."""

from django.db import models
from django.db.models import F, Q

from registry.models.bundles import Release
from registry.models.consumers import Consumer
from registry.models.nodes import Node
from registry.models.rollouts import Mode, Rollout
from registry.models.subjects import SchemaVersion


class Diagnostic(models.Model):
    """One kind of finding for one consumer, release (none: ungoverned), node, version and mode."""

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="diagnostics")
    node = models.ForeignKey(Node, models.PROTECT, related_name="diagnostics")
    release = models.ForeignKey(
        Release, models.PROTECT, null=True, blank=True, related_name="diagnostics"
    )
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="diagnostics")
    mode = models.CharField(max_length=6, choices=Mode)
    column = models.CharField(max_length=200, blank=True)
    keyword = models.CharField(max_length=60)
    count = models.PositiveBigIntegerField(default=0)
    samples = models.JSONField(default=list)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "node", "release", "version", "mode", "column", "keyword"],
                condition=Q(release__isnull=False),
                name="one_diagnostic_per_kind",
            ),
            models.UniqueConstraint(
                fields=["consumer", "node", "version", "mode", "column", "keyword"],
                condition=Q(release__isnull=True),
                name="one_ungoverned_diagnostic_per_kind",
            ),
            models.CheckConstraint(
                condition=Q(last_seen_at__gte=F("first_seen_at")), name="diagnostic_times_ordered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} x {self.column or '(row)'} {self.keyword} on {self.node}"


class CanaryTally(models.Model):
    """What a canary rollout has seen so far on one node: the evidence its gates judge."""

    rollout = models.ForeignKey(Rollout, models.PROTECT, related_name="tallies")
    node = models.ForeignKey(Node, models.PROTECT, related_name="+")
    reads = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    violations = models.PositiveBigIntegerField(default=0)
    unchecked = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rollout", "node"], name="one_tally_per_rollout_node")
        ]
        verbose_name_plural = "canary tallies"

    def __str__(self) -> str:
        return f"{self.reads} reads of {self.node} under {self.rollout}"
