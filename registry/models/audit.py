"""The audit log's tables. Nothing here is ever changed: triggers refuse it on both databases.

An event is written, with a pending row, by the transaction of the action it records; the sealer
(`registry.services.audit`) then gives it the next sequence number and a place in the Merkle tree.

What may leave the log again has tables of its own, whose rows are deleted whole or stay as they
are: personal fields (erasure) and payloads (retention). The leaf, which proves them, stays.
"""

import json
from typing import Any

from django.db import models
from django.db.models import F, Q

from registry.audit.events import NAME_LIMIT, OUTCOMES
from registry.triggers import AppendOnly, Refuse, WriteOnce, protect

HASH_BYTES = 32


class AuditEvent(models.Model):
    """What happened. The payload (`AuditPayload`) is what counts; the columns are for searching.

    `object_id` is empty where it points at a person (see `AuditPersonal`). `consumer` names the
    consumer that acted, was acted on, or that the record's states are about.
    """

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=8)
    action = models.CharField(max_length=NAME_LIMIT)
    object_type = models.CharField(max_length=NAME_LIMIT)
    object_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    consumer = models.CharField(max_length=NAME_LIMIT, blank=True, default="")
    outcome = models.CharField(max_length=8)
    request_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    correlation_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    payload_format = models.PositiveSmallIntegerField()
    leaf = models.BinaryField(max_length=HASH_BYTES)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=OUTCOMES), name="audit_outcome_known"),
        ]
        # Each ends in the id, so that a page of a long list is read from the index in its order.
        indexes = [
            models.Index(fields=["at", "id"], name="audit_event_at"),
            models.Index(fields=["action", "id"], name="audit_event_action"),
            models.Index(fields=["object_type", "object_id", "id"], name="audit_event_object"),
            models.Index(fields=["consumer", "id"], name="audit_event_consumer"),
            models.Index(fields=["request_id", "id"], name="audit_event_request"),
            models.Index(fields=["correlation_id", "id"], name="audit_event_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.action} {self.outcome}"

    @property
    def payload_canonical(self) -> str:
        """The text that was hashed; empty once retention dropped it."""
        kept = getattr(self, "payload", None)
        return "" if kept is None else kept.text

    @property
    def stated(self) -> dict[str, Any]:
        """The payload's fields; none once retention dropped it."""
        return json.loads(self.payload_canonical or "{}")

    @property
    def reason(self) -> str:
        return str(self.stated.get("reason", ""))

    @property
    def before(self) -> Any:
        return self.stated.get("before")

    @property
    def after(self) -> Any:
        return self.stated.get("after")

    @property
    def actor_roles(self) -> list[str]:
        return list(self.stated.get("actor", {}).get("roles", ()))

    @property
    def actor_id(self) -> str:
        return self._personal("actor_id")

    @property
    def actor_name(self) -> str:
        """Empty once erased."""
        return self._personal("actor_name")

    @property
    def source(self) -> str:
        return self._personal("source")

    @property
    def object_name(self) -> str:
        """The object's id, also where it is a person (empty once erased)."""
        return self.object_id or self._personal("object_id")

    def _personal(self, field: str) -> str:
        kept = getattr(self, "personal", None)
        return "" if kept is None else str(getattr(kept, field))


class AuditPersonal(models.Model):
    """The fields of an event that point at a person, until erasure deletes the row.

    `text` opens the payload's commitment (see `registry.audit.events`; format 1 had none); the
    other columns repeat it for searching.
    """

    event = models.OneToOneField(
        AuditEvent, models.PROTECT, primary_key=True, related_name="personal"
    )
    actor_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    actor_name = models.CharField(max_length=NAME_LIMIT, blank=True)
    source = models.CharField(max_length=NAME_LIMIT, blank=True)
    object_id = models.CharField(max_length=NAME_LIMIT, blank=True)
    text = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "audit personal fields"
        indexes = [
            models.Index(fields=["actor_name", "event"], name="audit_personal_actor"),
            models.Index(fields=["object_id", "event"], name="audit_personal_object"),
        ]

    def __str__(self) -> str:
        return f"personal fields of event {self.event_id}"


class AuditPayload(models.Model):
    """The text that an event's leaf hashes, until retention deletes the row."""

    event = models.OneToOneField(
        AuditEvent, models.PROTECT, primary_key=True, related_name="payload"
    )
    text = models.TextField()

    def __str__(self) -> str:
        return f"payload of event {self.event_id}"


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


protect(
    AppendOnly("registry.AuditEvent"),
    AppendOnly("registry.AuditKey"),
    AppendOnly("registry.AuditLeaf"),
    AppendOnly("registry.AuditNode"),
    AppendOnly("registry.AuditCheckpoint"),
    *(
        rule
        for model, what in (
            ("registry.AuditPending", "an event stays pending until it is sealed"),
            ("registry.AuditPersonal", "a record stays whole until it is sealed"),
            ("registry.AuditPayload", "a record stays whole until it is sealed"),
        )
        for rule in (
            WriteOnce(model),
            Refuse(
                model,
                name="stays_until_sealed",
                on=("delete",),
                when="NOT EXISTS (SELECT 1 FROM {registry.AuditLeaf}"
                " WHERE {registry.AuditLeaf.event} = {old.event})",
                message=what,
            ),
        )
    ),
)
