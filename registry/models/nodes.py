"""Governed data sets and the SLA policies they are read under."""

from django.db import models
from django.db.models import Q

from registry.models.subjects import Subject


class SLAPolicyDocument(models.Model):
    """A named SLA policy; `document` is what `registry.policies.SLAPolicy` reads."""

    name = models.SlugField(unique=True)
    document = models.JSONField(default=dict)

    class Meta:
        verbose_name = "SLA policy"
        verbose_name_plural = "SLA policies"

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """One governed data set: its subject, grid, series, store, source, live feed and SLA policy.

    `series` lists the expected keys as `{"key": {"symbol": "FB"}, "since": epoch seconds or null}`;
    a node without key columns has the one entry `{"key": {}, "since": null}`.
    """

    node_id = models.CharField(max_length=300, unique=True)
    subject = models.ForeignKey(Subject, models.PROTECT, related_name="nodes")
    description = models.TextField(blank=True)
    interval = models.PositiveIntegerField(help_text="Seconds between bars.")
    anchor = models.BigIntegerField(default=0, help_text="A point of the grid, epoch seconds.")
    calendar = models.CharField(max_length=20, blank=True, help_text="Empty: every grid point.")
    series = models.JSONField(default=list)
    store = models.JSONField(default=dict)
    source = models.JSONField(default=dict)
    live = models.JSONField(default=dict, help_text="Where the newest bars come from.")
    sla = models.ForeignKey(
        SLAPolicyDocument, models.PROTECT, null=True, blank=True, related_name="nodes"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(interval__gte=1), name="node_interval_positive")
        ]

    def __str__(self) -> str:
        return self.node_id
