"""One number that every decision moves, so that processes know when to read anew."""

from django.db import models


class RegistryState(models.Model):
    """One row. `version` grows inside each deciding transaction, as its last write.

    A plain counter, not a sequence: its row lock makes the versions appear in the order of the
    commits, so nobody who has seen a version can miss what an earlier one changed.
    """

    THE_ROW = 1

    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "registry state"

    def __str__(self) -> str:
        return f"registry version {self.version}"
