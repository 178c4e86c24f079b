"""Background work of the provider."""

import socket
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from coordinator.services.database_clock import database_now
from coordinator.services.rounds import take_round
from provider.live.feeding import feed_in_the_background
from provider.reports import prune_reports
from registry.models import Node


@shared_task(ignore_result=True)
def prune_conformance_reports(**_: Any) -> None:
    """Remove reports past their retention; harmless if run twice."""
    prune_reports(now=timezone.now())


@shared_task(ignore_result=True)
def feed_live_nodes(**_: Any) -> None:
    """A task for every node with a live feed, unless somebody has just sent them."""
    seconds = settings.SEAMLESS_LIVE_FEED_SECONDS
    every, by = timedelta(seconds=seconds / 2), socket.gethostname()
    if take_round(name="live feeds", every=every, now=database_now(), by=by):
        for node in Node.objects.exclude(live={}).values_list("pk", flat=True):
            feed_live_node.apply_async(args=[node], expires=seconds)


@shared_task(ignore_result=True)
def feed_live_node(node: int, **_: Any) -> None:
    """One round of one feed; harmless if run twice."""
    feed_in_the_background(node_pk=node, now=database_now())
