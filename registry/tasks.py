"""Background work of the registry."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from registry.services.audit import seal
from registry.services.audit.export_jobs import expire_exports, run_next_export
from registry.services.audit.reconciling import report_unrecorded_changes
from registry.services.audit.refusing import summarise_refusals
from registry.services.incidents import close_clean_incidents
from registry.services.replays import run_replays
from registry.services.rollouts import promote_ready
from registry.services.samples import prune_samples
from registry.services.usage import prune_usage

EXPORT_SECONDS = 3_600
REPLAY_SECONDS = 20


@shared_task
def seal_audit_log(**_: Any) -> None:
    """Number what was recorded since the last run; harmless if run twice or by two workers.

    What changed without a record, and what was refused again and again, is recorded first.
    """
    summarise_refusals(now=timezone.now())
    report_unrecorded_changes(now=timezone.now())
    seal(now=timezone.now())


@shared_task(soft_time_limit=EXPORT_SECONDS, time_limit=EXPORT_SECONDS + 60)
def tend_audit_exports(**_: Any) -> None:
    """Delete what expired, then write the next export that waits, or whose worker is gone.

    One at a time, so that a long one leaves the other workers to sealing and backfills.
    """
    expire_exports(now=timezone.now())
    run_next_export(clock=timezone.now)


@shared_task
def tend_replays(**_: Any) -> None:
    """Run shards of shadow replays for a while, those of a lost worker too."""
    for _progress in run_replays(clock=timezone.now, seconds=REPLAY_SECONDS):
        pass


@shared_task
def tend_rollouts(**_: Any) -> None:
    """Close incidents that stayed clean, promote what promotes itself; harmless if run twice."""
    now = timezone.now()
    close_clean_incidents(now=now)
    promote_ready(now=now)


@shared_task
def prune_evidence(**_: Any) -> None:
    """Forget usage and samples that are past their time; harmless if run twice."""
    now = timezone.now()
    prune_usage(now=now)
    prune_samples(now=now)
