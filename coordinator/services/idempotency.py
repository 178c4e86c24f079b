"""A request that is sent twice is carried out once: the memory behind `Idempotency-Key`.

Scope: the caller, the method, the path and the key. Kept for 24 hours. What a caller should try
again anyway (409, 429, 5xx) is not kept.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from coordinator.models import IdempotentRequest
from registry.errors import Conflict, Unprocessable

KEPT_FOR = timedelta(hours=24)
# A process that died between its action and its answer leaves its request behind as running.
GIVEN_UP_AFTER = timedelta(minutes=2)
RETRY_AFTER = 2
_TRY_AGAIN = frozenset({409, 429})


class StillRunning(Conflict):
    code = "idempotent_request_running"
    title = "Still running"


class KeyReused(Unprocessable):
    code = "idempotency_key_reused"
    title = "Idempotency key reused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who asks for what, under which key."""

    caller: str
    method: str
    path: str
    key: str
    body_digest: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    status: int
    content_type: str
    body: str


def begin(*, attempt: Attempt, now: datetime) -> KeptAnswer | None:
    """None where the caller is to carry the request out now; else what was answered before.

    Raises KeyReused for another body under the key, and StillRunning while the first one runs.
    """
    if _started(attempt, now):
        return None
    found: IdempotentRequest | None = _rows(attempt).first()
    if found is None:  # it ended without an answer to keep, between two looks
        raise _still_running()
    if found.started_at < now - KEPT_FOR:
        _rows(attempt).filter(started_at=found.started_at).delete()
        return begin(attempt=attempt, now=now)
    if found.body_digest != attempt.body_digest:
        raise KeyReused(
            "This Idempotency-Key came with another body before; take a new key for a new request."
        )
    if found.status is not None:
        return KeptAnswer(found.status, found.content_type, found.body)
    if _taken_over(found, now):
        return None
    raise _still_running()


def keep(*, attempt: Attempt, answer: KeptAnswer) -> None:
    """Keep what was answered, or forget the request where it should be tried again."""
    row = _rows(attempt).filter(status__isnull=True)
    if answer.status in _TRY_AGAIN or answer.status >= 500:
        row.delete()
    else:
        row.update(status=answer.status, content_type=answer.content_type, body=answer.body)


def forget(*, attempt: Attempt) -> None:
    """The request crashed: whoever asks again carries it out."""
    _rows(attempt).filter(status__isnull=True).delete()


def forget_old_requests(*, now: datetime) -> int:
    return IdempotentRequest.objects.filter(started_at__lt=now - KEPT_FOR).delete()[0]


def _rows(attempt: Attempt):  # type: ignore[no-untyped-def]
    return IdempotentRequest.objects.filter(
        caller=attempt.caller, method=attempt.method, path=attempt.path, key=attempt.key
    )


def _started(attempt: Attempt, now: datetime) -> bool:
    try:
        with transaction.atomic():
            IdempotentRequest.objects.create(
                caller=attempt.caller,
                method=attempt.method,
                path=attempt.path,
                key=attempt.key,
                body_digest=attempt.body_digest,
                started_at=now,
            )
    except IntegrityError:  # the same request came before, maybe at this very moment
        return False
    return True


def _taken_over(found: IdempotentRequest, now: datetime) -> bool:
    """By compare-and-set: of many who find a request given up, one carries it out."""
    given_up = Q(pk=found.pk, status__isnull=True, started_at=found.started_at)
    stale = IdempotentRequest.objects.filter(given_up, started_at__lt=now - GIVEN_UP_AFTER)
    return stale.update(started_at=now) == 1


def _still_running() -> StillRunning:
    return StillRunning(
        "The first request with this Idempotency-Key still runs; ask again for its answer.",
        retry_after=RETRY_AFTER,
    )
