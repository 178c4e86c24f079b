"""The audit log's safety net: changes of governed tables that no record explains (yet).

Triggers (`registry.safety_net`) write a row for each statement that changes a governed table, and
the audit record of the same transaction takes the rows away again. What a committed transaction
leaves here was changed past the services: raw SQL, `bulk_create`, `update()`, a forgotten record.
"""

from django.db import models


class UnrecordedChange(models.Model):
    """`rows` of `table` were changed; empty for TRUNCATE, which tells no number."""

    at = models.DateTimeField()
    table = models.CharField(max_length=63)
    operation = models.CharField(max_length=8)
    rows = models.PositiveBigIntegerField(null=True)
    # PostgreSQL's; SQLite has neither.
    transaction = models.BigIntegerField(null=True)
    role = models.CharField(max_length=63, blank=True)

    class Meta:
        indexes = [models.Index(fields=["transaction"], name="unrecorded_transaction")]

    def __str__(self) -> str:
        return f"{self.operation} on {self.table} without an audit record"
