"""Periodic duties that any process may take up, one at a time and not too often."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from coordinator.models import PeriodicRound


def take_round(*, name: str, every: timedelta, now: datetime, by: str) -> bool:
    """Whether this process has the round: nobody else has had it within `every`.

    A compare-and-set on the time of the last one, so it is the lock as well. Looked at first: most
    of those who ask find it taken, and must not write for that. A clock set back by more than
    `every` does not stop the rounds.
    """
    last = PeriodicRound.objects.filter(pk=name).values_list("at", flat=True).first()
    if last is None:
        return _first(name, now, by)
    if abs(now - last) < every:
        return False
    taken = PeriodicRound.objects.filter(pk=name, at=last).update(at=now, by=by)
    return taken == 1


def _first(name: str, now: datetime, by: str) -> bool:
    try:
        with transaction.atomic():
            PeriodicRound.objects.create(pk=name, at=now, by=by)
    except IntegrityError:  # somebody else was first
        return False
    return True
