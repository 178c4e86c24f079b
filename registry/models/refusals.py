"""Refusals by the hundred: the first of a minute is recorded at once, the rest are counted."""

from django.db import models

from registry.audit.events import NAME_LIMIT


class RefusalTally(models.Model):
    """How often one kind of refusal (`key`) came again in a minute, until its summary is recorded.

    `facts` are the fields of that record.
    """

    key = models.CharField(max_length=64)
    minute = models.DateTimeField()
    action = models.CharField(max_length=NAME_LIMIT)
    repeats = models.PositiveBigIntegerField(default=0)
    facts = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "minute"], name="refusal_one_tally_a_minute")
        ]
        indexes = [models.Index(fields=["minute", "action"], name="refusal_minute")]

    def __str__(self) -> str:
        return f"{self.action} refused {self.repeats} more times at {self.minute:%H:%M}"
