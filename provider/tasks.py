"""Background work of the provider."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from provider.reports import prune_reports


@shared_task(ignore_result=True)
def prune_conformance_reports(**_: Any) -> None:
    """Remove reports past their retention; harmless if run twice."""
    prune_reports(now=timezone.now())
