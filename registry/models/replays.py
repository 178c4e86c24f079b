"""Shadow replays: a candidate against stored data, in shards that survive their worker."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from registry.models.nodes import Node
from registry.models.subjects import Proposal, SchemaContent


class ReplayState(models.TextChoices):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ReplayRun(models.Model):
    """One replay of one revision of a proposal; it ends with its last shard, or cancelled."""

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="replays")
    revision = models.PositiveIntegerField()
    content = models.ForeignKey(SchemaContent, models.PROTECT, related_name="+")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    days = models.PositiveSmallIntegerField(help_text="How far back stored data is replayed.")
    state = models.CharField(max_length=9, choices=ReplayState, default=ReplayState.RUNNING)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="running", finished_at__isnull=True)
                | Q(state__in=["done", "cancelled", "failed"], finished_at__isnull=False),
                name="replay_finished_when_it_ends",
            ),
            models.UniqueConstraint(
                fields=["proposal"], condition=Q(state="running"), name="one_replay_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk} of {self.proposal}"


class ShardState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ReplayShard(models.Model):
    """A part of a replay: a range of a node's bars, or (without a node) the retained samples.

    Whoever runs it holds it until `held_until`; `attempt` fences out a holder that was too late.
    """

    run = models.ForeignKey(ReplayRun, models.PROTECT, related_name="shards")
    number = models.PositiveIntegerField()
    node = models.ForeignKey(Node, models.PROTECT, null=True, blank=True, related_name="+")
    start = models.BigIntegerField(null=True, blank=True)
    end = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=7, choices=ShardState, default=ShardState.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0)
    held_until = models.DateTimeField(null=True, blank=True)
    rows = models.PositiveBigIntegerField(default=0)
    invalid = models.PositiveBigIntegerField(default=0)
    failures = models.JSONField(default=list)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="one_replay_shard_per_number"),
            models.CheckConstraint(
                condition=Q(state__in=ShardState.values), name="replay_shard_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="running", held_until__isnull=False) | ~Q(state="running"),
                name="running_replay_shard_is_held",
            ),
        ]

    def __str__(self) -> str:
        return f"shard {self.number} of {self.run}"
