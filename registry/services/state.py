"""The registry's version: moved by every decision, re-read by every process."""

from django.db import transaction
from django.db.models import F

from registry.models import RegistryState

_own_moves = 0


def move_version() -> None:
    """Inside the deciding transaction, as its last write: the row stays locked until it ends."""
    if not RegistryState.objects.filter(pk=RegistryState.THE_ROW).update(version=F("version") + 1):
        RegistryState.objects.create(pk=RegistryState.THE_ROW, version=1)
    transaction.on_commit(_count_own_move)


def own_moves() -> int:
    """How many decisions this process has committed: its own it knows at once."""
    return _own_moves


def _count_own_move() -> None:
    global _own_moves
    _own_moves += 1


def read_version() -> int:
    found = RegistryState.objects.filter(pk=RegistryState.THE_ROW).values_list("version", flat=True)
    return found.first() or 0
