"""Background work of the registry."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from registry.services.audit import seal
from registry.services.audit.export_jobs import expire_exports, run_next_export

EXPORT_SECONDS = 3_600


@shared_task
def seal_audit_log(**_: Any) -> None:
    """Number what was recorded since the last run; harmless if run twice or by two workers."""
    seal(now=timezone.now())


@shared_task(soft_time_limit=EXPORT_SECONDS, time_limit=EXPORT_SECONDS + 60)
def tend_audit_exports(**_: Any) -> None:
    """Delete what expired, then write the next export that waits, or whose worker is gone.

    One at a time, so that a long one leaves the other workers to sealing and backfills.
    """
    expire_exports(now=timezone.now())
    run_next_export(clock=timezone.now)
