"""The registry's version: moved by every decision, re-read by every process."""

from django.db.models import F

from registry.models import RegistryState


def move_version() -> None:
    """Inside the deciding transaction, as its last write: the row stays locked until it ends."""
    if not RegistryState.objects.filter(pk=RegistryState.THE_ROW).update(version=F("version") + 1):
        RegistryState.objects.create(pk=RegistryState.THE_ROW, version=1)


def read_version() -> int:
    found = RegistryState.objects.filter(pk=RegistryState.THE_ROW).values_list("version", flat=True)
    return found.first() or 0
