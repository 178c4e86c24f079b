"""Under which keys checked windows and answers are kept: all that decides what they say."""

import json

from django.conf import settings

from provider.domains import bound_to_artifact
from provider.requests import ReadRequest
from provider.sla import SLAClock
from provider.stages import Plan, plan
from provider.window_cache import Key, WindowCache

_cache: WindowCache | None = None


def windows() -> WindowCache:
    """The windows of this process."""
    global _cache
    if _cache is None:
        _cache = WindowCache(settings.SEAMLESS_CACHE_BYTES, settings.SEAMLESS_CACHE_SECONDS)
    return _cache


def window_key(request: ReadRequest, planned: Plan) -> Key | None:
    """Everything that decides what a check finds of stored rows; None where no window is kept.

    Up to the present a bar may be asked of a live feed that storage will have none of for a while.
    """
    if planned.data_version is None or (planned.tail is not None and planned.reaches_present):
        return None
    node, judge = request.node, request.judge
    return (
        node.pk,
        node.interval,
        node.anchor,
        node.calendar,
        json.dumps([node.series, node.store, planned.rules], sort_keys=True),
        request.window,
        request.viewpoint.to_text(),
        planned.newest_expected,
        judge.version_id,
        judge.resolved_fingerprint,
        request.resolution.strict is not None,
        planned.data_version,
    )


def state_of(request: ReadRequest, clock: SLAClock) -> Key | None:
    """What decides the answer to a request, found without reading a row."""
    bound = bound_to_artifact(request)
    return state_key(bound, plan(bound, clock))


def state_key(request: ReadRequest, planned: Plan) -> Key | None:
    """None also where the answer grows late by itself, or where an `as_of` may have gone back."""
    late_counts = request.node.sla is not None and planned.reaches_present
    advances = request.as_of is not None and request.artifact is None
    return None if late_counts or advances else window_key(request, planned)
