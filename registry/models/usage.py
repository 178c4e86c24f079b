"""Who read what, and samples of what was read: evidence that is counted, bounded and forgotten."""

from django.db import models
from django.db.models import Q

from registry.models.consumers import Consumer
from registry.models.nodes import Node
from registry.models.subjects import SchemaVersion


class Usage(models.Model):
    """How often one consumer read one set of columns of a node, under one version, on one day.

    Kept per *set* of columns: counts per column could not say how many reads touched either of
    two. `columns` is the sorted JSON list, or `*` for a read of all of them. `release` is
    `bundle/number`, empty where no rollout governed the read.
    """

    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="usage")
    node = models.ForeignKey(Node, models.PROTECT, related_name="usage")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="usage")
    release = models.CharField(max_length=220, blank=True)
    columns = models.CharField(max_length=1000)
    day = models.DateField()
    reads = models.PositiveBigIntegerField()
    last_read_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "node", "version", "release", "columns", "day"],
                name="one_usage_per_kind_and_day",
            ),
            models.CheckConstraint(condition=Q(reads__gte=1), name="usage_counts_reads"),
        ]
        indexes = [models.Index(fields=["node", "day"], name="usage_of_a_node")]

    def __str__(self) -> str:
        return f"{self.reads} reads of {self.node} by {self.consumer} on {self.day}"


class RetainedSample(models.Model):
    """A few rows of one recent response, kept so that a candidate can be tried on them.

    `rows` is JSON text, written as the response wrote them and never shown to anyone; the columns
    in `withheld` are not in it. A node and version have a fixed number of places.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="samples")
    version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="samples")
    place = models.PositiveSmallIntegerField()
    rows = models.TextField()
    row_count = models.PositiveSmallIntegerField()
    withheld = models.JSONField(default=list)
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["node", "version", "place"], name="one_sample_per_place"
            )
        ]
        indexes = [models.Index(fields=["taken_at"], name="samples_by_age")]

    def __str__(self) -> str:
        return f"{self.row_count} rows of {self.node}"
