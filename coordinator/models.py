"""What is being repaired: backfill jobs, their shards with leases, quarantine, service leases."""

from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import Exact

from coordinator.coverage import CoverageRange
from coordinator.lease_state import (
    ACTIVE_JOB_STATES,
    UNFINISHED_SHARD_STATES,
    JobState,
    ShardLease,
    ShardState,
    ViolationCode,
)
from coordinator.origins import Origin
from registry.models import Node, SchemaVersion

# Plain texts in a fixed order, since migrations repeat them.
_ACTIVE_JOBS = sorted(state.value for state in ACTIVE_JOB_STATES)
_ENDED_JOBS = sorted(state.value for state in set(JobState) - ACTIVE_JOB_STATES)
_UNFINISHED_SHARDS = sorted(state.value for state in UNFINISHED_SHARD_STATES)


class BackfillJob(models.Model):
    """A closed range of one node to be filled under one bound schema version.

    No two active jobs of one (node, interval, bound version) overlap: an exclusion constraint on
    PostgreSQL (`coordinator.exclusion`), a trigger on SQLite (`coordinator.protections`).
    `expected_bars` counts bars of every series; `lease_key` names the job in metrics and logs.
    """

    node = models.ForeignKey(Node, models.PROTECT, related_name="backfill_jobs")
    interval = models.PositiveIntegerField(help_text="Seconds between bars.")
    bound_version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="backfill_jobs")
    range_start = models.BigIntegerField(help_text="First bar time, epoch seconds.")
    range_end = models.BigIntegerField(help_text="Last bar time, epoch seconds, included.")
    lease_key = models.CharField(max_length=64)
    state = models.CharField(
        max_length=10,
        choices=[(s.value, s.value) for s in JobState],
        default=JobState.PENDING.value,
    )
    priority = models.IntegerField(default=0)
    source = models.CharField(max_length=300, blank=True, help_text="Whose limits it is under.")
    origin = models.CharField(
        max_length=10,
        choices=[(o.value, o.value) for o in Origin],
        default=Origin.SOURCE.value,
        help_text="Whether rows come from the node's source or its live feed.",
    )
    failure_budget = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many shards may end as violations; empty: all."
    )
    expected_bars = models.PositiveBigIntegerField()
    requested_by = models.CharField(max_length=200)
    request_id = models.CharField(max_length=64, blank=True)
    traceparent = models.CharField(
        max_length=55, blank=True, default="", help_text="The trace of who asked (W3C)."
    )
    world = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["node", "interval", "bound_version", "range_start"]),
            models.Index(
                fields=["state"],
                condition=Q(state__in=_ACTIVE_JOBS),
                name="backfill_job_active",
            ),
            models.Index(fields=["ended_at"]),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(interval__gte=1), name="job_interval_positive"),
            models.CheckConstraint(condition=Q(expected_bars__gte=1), name="job_expects_something"),
            models.CheckConstraint(
                condition=Q(range_start__lte=F("range_end")), name="job_range_not_reversed"
            ),
            models.CheckConstraint(
                condition=Exact((F("range_end") - F("range_start")) % F("interval"), 0),
                name="job_range_whole_bars",
            ),
            models.CheckConstraint(
                condition=Q(state__in=_ACTIVE_JOBS, ended_at__isnull=True)
                | Q(state__in=_ENDED_JOBS, ended_at__isnull=False),
                name="job_ended_when_it_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"backfill job {self.pk} of {self.node} [{self.range_start}, {self.range_end}]"

    @property
    def range(self) -> CoverageRange:
        return CoverageRange(self.range_start, self.range_end)


class BackfillShard(models.Model):
    """A bar-aligned piece of a job, with the lease under which it is run.

    A shard that has not ended has a live expiry or a time of the next attempt; one that has ended
    has `done_at` and neither. `epoch` only ever rises. `rank` is its place in the queue
    (`lease_state.queue_rank`), `held_back` counts how often its source asked for patience.
    """

    job = models.ForeignKey(BackfillJob, models.PROTECT, related_name="shards")
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    expected_bars = models.PositiveBigIntegerField()
    state = models.CharField(
        max_length=10,
        choices=[(s.value, s.value) for s in ShardState],
        default=ShardState.PENDING.value,
    )
    priority = models.IntegerField(default=0)
    rank = models.BigIntegerField(default=0, help_text="Place in the queue, lowest first.")
    wanted_now = models.BooleanField(default=False, help_text="A reader waits for it.")
    epoch = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True)
    leased_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    held_back = models.PositiveIntegerField(default=0)
    n_rows = models.PositiveBigIntegerField(null=True, blank=True)
    checksum = models.CharField(max_length=71, blank=True)
    violation = models.CharField(
        max_length=40, blank=True, help_text=", ".join(code.value for code in ViolationCode)
    )
    last_error = models.TextField(blank=True)
    diagnostics = models.JSONField(default=list, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["rank", "id"],
                condition=Q(state__in=_UNFINISHED_SHARDS),
                name="backfill_shard_to_do",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(state=ShardState.LEASED.value),
                name="backfill_shard_leased",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job", "range_start"], name="one_shard_per_start"),
            models.CheckConstraint(
                condition=Q(range_start__lte=F("range_end")), name="shard_range_not_reversed"
            ),
            models.CheckConstraint(
                condition=Q(
                    state=ShardState.LEASED.value,
                    expires_at__isnull=False,
                    leased_at__isnull=False,
                    done_at__isnull=True,
                    epoch__gte=1,
                )
                & ~Q(holder="")
                | Q(
                    state__in=[ShardState.PENDING.value, ShardState.FAILED.value],
                    next_attempt_at__isnull=False,
                    expires_at__isnull=True,
                    done_at__isnull=True,
                )
                | Q(
                    state__in=[ShardState.DONE.value, ShardState.VIOLATION.value],
                    next_attempt_at__isnull=True,
                    expires_at__isnull=True,
                    done_at__isnull=False,
                ),
                name="shard_lease_consistent",
            ),
            models.CheckConstraint(
                condition=~Q(state=ShardState.DONE.value)
                | Q(n_rows__isnull=False, epoch__gte=1) & ~Q(checksum=""),
                name="shard_done_says_what",
            ),
            models.CheckConstraint(
                condition=~Q(state=ShardState.VIOLATION.value) | ~Q(violation=""),
                name="shard_violation_says_why",
            ),
        ]

    def __str__(self) -> str:
        return f"shard {self.pk} [{self.range_start}, {self.range_end}]"

    @property
    def range(self) -> CoverageRange:
        return CoverageRange(self.range_start, self.range_end)

    @property
    def lease(self) -> ShardLease:
        """The lease part of the row, as the pure rules know it."""
        return ShardLease(
            state=ShardState(self.state),
            epoch=self.epoch,
            attempts=self.attempts,
            holder=self.holder,
            expires_at=self.expires_at,
            next_attempt_at=self.next_attempt_at,
        )


class BackfillWaiter(models.Model):
    """A reader that waits for a range of a job, until its budget ends: then it counts no more."""

    job = models.ForeignKey(BackfillJob, models.CASCADE, related_name="waiters")
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["until"])]

    def __str__(self) -> str:
        return f"waits for [{self.range_start}, {self.range_end}] of job {self.job_id}"


class SourceLimit(models.Model):
    """What a source allows all workers together, and the token bucket that they share.

    `name` is a job's `source`, or `*` for all sources together. A token is one shard fetched.
    """

    EVERY_SOURCE = "*"

    name = models.CharField(max_length=300, unique=True)
    max_running = models.PositiveIntegerField(null=True, blank=True, help_text="Shards at once.")
    per_minute = models.FloatField(null=True, blank=True, help_text="Shards begun per minute.")
    burst = models.PositiveIntegerField(default=1, help_text="Shards begun at once after a pause.")
    tokens = models.FloatField(default=0.0)
    refilled_at = models.DateTimeField()
    blocked_until = models.DateTimeField(null=True, blank=True, help_text="It asked for patience.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(per_minute__isnull=True) | Q(per_minute__gt=0),
                name="source_limit_rate_positive",
            ),
            models.CheckConstraint(
                condition=Q(max_running__isnull=True) | Q(max_running__gte=1),
                name="source_limit_lets_one_run",
            ),
            models.CheckConstraint(condition=Q(burst__gte=1), name="source_limit_burst_positive"),
        ]

    def __str__(self) -> str:
        return "all sources" if self.name == self.EVERY_SOURCE else self.name


class PeriodicRound(models.Model):
    """When a periodic duty was last taken up: whoever moves `at` on has the round."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.name} by {self.by}"


class IdempotentRequest(models.Model):
    """A request that came with an Idempotency-Key, and its answer once there is one."""

    caller = models.CharField(max_length=80)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=200)
    body_digest = models.CharField(max_length=71)
    started_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["started_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["caller", "method", "path", "key"], name="one_request_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} with key {self.key}"


class Quarantine(models.Model):
    """A row that a backfill set aside, with what was found in it.

    Released: its shard was opened again after a fix, whatever came of it.
    """

    shard = models.ForeignKey(BackfillShard, models.PROTECT, related_name="quarantine")
    epoch = models.PositiveBigIntegerField()
    row = models.JSONField()
    diagnostics = models.JSONField(default=list)
    created_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "quarantined row"
        indexes = [models.Index(fields=["created_at"])]

    def __str__(self) -> str:
        return f"row of {self.shard} set aside under epoch {self.epoch}"


class ServiceLease(models.Model):
    """A lease on an opaque key, held by a program without our database.

    Keys are never split; the token is known to its holder alone, only its SHA-256 is kept. `node`
    is whose metrics it counts in: the longest registered id that begins the key, if there is one.
    """

    class State(models.TextChoices):
        HELD = "held"
        COMPLETED = "completed"
        FAILED = "failed"

    key = models.CharField(max_length=500, unique=True)
    node = models.ForeignKey(
        Node, models.SET_NULL, related_name="+", null=True, blank=True, editable=False
    )
    state = models.CharField(max_length=9, choices=State)
    epoch = models.PositiveBigIntegerField()
    token_digest = models.CharField(max_length=64)
    holder = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    completion_ratio = models.FloatField(default=0.0)
    reason = models.TextField(blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["holder", "id"]),
            models.Index(fields=["updated_at"]),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(key=""), name="service_lease_has_a_key"),
            models.CheckConstraint(condition=Q(epoch__gte=1), name="service_lease_epoch_from_one"),
            models.CheckConstraint(
                condition=Q(completion_ratio__gte=0) & Q(completion_ratio__lte=1),
                name="service_lease_ratio_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.state} at epoch {self.epoch}"
