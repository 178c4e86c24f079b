"""Exports of the audit log that take longer than an answer may."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from registry.triggers import Immutable, Refuse, protect


class ExportState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class AuditExport(models.Model):
    """An export that a worker writes to a file, which can be fetched until it expires.

    `request` is what was asked for (`registry.services.audit.exporting.Extent`), `size` the
    checkpoint it is proven under. `attempt` fences: a worker that was given up for dead and writes
    on finds another number here, and stops.
    """

    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    format = models.CharField(max_length=16)
    request = models.JSONField()
    size = models.PositiveBigIntegerField()
    total = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=ExportState, default=ExportState.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    done = models.PositiveBigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ExportState.values), name="audit_export_state_known"
            ),
        ]
        indexes = [models.Index(fields=["state", "id"], name="audit_export_state")]

    def __str__(self) -> str:
        return f"export {self.pk} ({self.format})"

    @property
    def percent(self) -> int:
        if self.state in (ExportState.DONE, ExportState.EXPIRED) or not self.total:
            return 100
        return min(100 * self.done // self.total, 99)


class AuditExportLink(models.Model):
    """The right to fetch one export's file without signing in, for who holds the secret.

    The secret has the shape of a token (`registry.tokens`), so that logs redact it; kept is its
    digest alone.
    """

    export = models.ForeignKey(AuditExport, models.PROTECT, related_name="links")
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"link {self.prefix} to {self.export}"


protect(
    Immutable(
        "registry.AuditExportLink",
        fields=("export", "prefix", "digest", "made_by", "made_at", "expires_at"),
    ),
    Refuse(
        "registry.AuditExportLink",
        name="revoked",
        message="a revoked link stays revoked",
        when="{old.revoked_at} IS NOT NULL",
        on=("update",),
    ),
)

protect(
    Immutable(
        "registry.AuditExport",
        fields=("requested_by", "format", "request", "size", "total", "created_at"),
    ),
)
