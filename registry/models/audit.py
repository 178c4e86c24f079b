"""The audit log's tables. Nothing here is ever changed: triggers refuse it on both databases.

An event is written, with a pending row, by the transaction of the action it records; the sealer
(`registry.services.audit`) then gives it the next sequence number and a place in the Merkle tree.
"""

from django.db import models
from django.db.models import F, Q

from registry.audit.events import NAME_LIMIT, OUTCOMES
from registry.triggers import AppendOnly, Immutable, Refuse, protect

HASH_BYTES = 32


class AuditEvent(models.Model):
    """What happened. `payload_canonical` is what counts; the other columns are for searching.

    `personal` opens the payload's commitment (see `registry.audit.events`). Only erasure may empty
    it, together with the columns that repeat it, and only retention may empty the payload; the leaf
    stays.
    """

    at = models.DateTimeField(db_index=True)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    actor_name = models.CharField(max_length=NAME_LIMIT, blank=True)
    actor_roles = models.JSONField(default=list)
    action = models.CharField(max_length=NAME_LIMIT)
    object_type = models.CharField(max_length=NAME_LIMIT)
    object_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    outcome = models.CharField(max_length=8)
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    correlation_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    source = models.CharField(max_length=NAME_LIMIT, blank=True)
    payload_format = models.PositiveSmallIntegerField()
    payload_canonical = models.TextField(blank=True)
    personal = models.TextField(blank=True, default="")
    leaf = models.BinaryField(max_length=HASH_BYTES)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=OUTCOMES), name="audit_outcome_known"),
        ]
        indexes = [
            models.Index(fields=["object_type", "object_id"], name="audit_event_object"),
            models.Index(fields=["actor_kind", "actor_id"], name="audit_event_actor"),
            models.Index(fields=["action"], name="audit_event_action"),
            models.Index(fields=["correlation_id"], name="audit_event_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.action} {self.outcome}"


class AuditPending(models.Model):
    """An event that the sealer has not taken yet."""

    event = models.OneToOneField(
        AuditEvent, models.PROTECT, primary_key=True, related_name="pending"
    )

    def __str__(self) -> str:
        return f"event {self.event_id} waits for its seal"


class AuditLeaf(models.Model):
    """An event's place in the tree: sequence numbers 0, 1, 2 … without holes."""

    seq = models.PositiveBigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, models.PROTECT, related_name="sealed")
    leaf = models.BinaryField(max_length=HASH_BYTES)

    class Meta:
        verbose_name_plural = "audit leaves"

    def __str__(self) -> str:
        return f"record {self.seq}"


class AuditNode(models.Model):
    """The hash of a complete subtree of 2**level leaves (level >= 1; the leaves are level 0)."""

    pk = models.CompositePrimaryKey("level", "idx")
    level = models.PositiveSmallIntegerField()
    idx = models.PositiveBigIntegerField()
    hash = models.BinaryField(max_length=HASH_BYTES)

    def __str__(self) -> str:
        return f"node {self.level}/{self.idx}"


class AuditCheckpoint(models.Model):
    """The head of the log at `size` records; `note` is its C2SP tlog-checkpoint, signed."""

    size = models.PositiveBigIntegerField(primary_key=True)
    previous_size = models.PositiveBigIntegerField()
    root = models.BinaryField(max_length=HASH_BYTES)
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(size__gt=F("previous_size")), name="audit_checkpoint_grows"
            ),
        ]

    def __str__(self) -> str:
        return f"checkpoint at {self.size}"


class AuditKey(models.Model):
    """A public key of the log; the last one signs. Each but the first was named by a record."""

    key = models.CharField(max_length=NAME_LIMIT, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


_ERASABLE = ("actor_id", "actor_name", "source", "personal")
_DROPPABLE = ("payload_canonical", "reason", "object_id")
_JSON = ("before", "after")

protect(
    Immutable(
        "registry.AuditEvent",
        fields=(
            "at",
            "actor_kind",
            "actor_roles",
            "action",
            "object_type",
            "outcome",
            "request_id",
            "correlation_id",
            "payload_format",
            "leaf",
        ),
    ),
    Refuse(
        "registry.AuditEvent",
        name="only_emptied",
        on=("update",),
        when=" OR ".join(
            [f"({{new.{f}}} <> {{old.{f}}} AND {{new.{f}}} <> '')" for f in _ERASABLE + _DROPPABLE]
            + [f"({{new.{f}}} IS NOT NULL AND {{old.{f}}} IS NULL)" for f in _JSON]
            + [f"({{new.{f}}} IS NOT NULL AND {{new.{f}}} <> {{old.{f}}})" for f in _JSON]
        ),
        message="a record is append-only; erasure and retention may only empty it",
    ),
    AppendOnly("registry.AuditKey"),
    AppendOnly("registry.AuditLeaf"),
    AppendOnly("registry.AuditNode"),
    AppendOnly("registry.AuditCheckpoint"),
    Refuse(
        "registry.AuditPending",
        name="pending_goes_when_sealed",
        on=("delete",),
        when="NOT EXISTS (SELECT 1 FROM {registry.AuditLeaf}"
        " WHERE {registry.AuditLeaf.event} = {old.event})",
        message="an event stays pending until it is sealed",
    ),
    Refuse(
        "registry.AuditPending",
        name="pending_never_changes",
        on=("update",),
        when="1 = 1",
        message="a pending row never changes",
    ),
)
