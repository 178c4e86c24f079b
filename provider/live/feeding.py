"""Live bars become stored ones: what has settled and storage lacks, by ordinary backfill shards.

A round looks which settled bars have arrived and are not stored, and requests a backfill for them
whose shards fetch from the feed; all else is the coordinator's, as for any backfill. A round that
is repeated, or runs beside another, finds nothing left to ask for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings

from coordinator.coverage import CoverageRange, Window, merge_coverage, subtract
from coordinator.origins import Origin
from coordinator.services.requesting import request_backfill
from coordinator.services.settled import live_refused_since
from provider.blend import Piece
from provider.live import LiveUnavailable
from provider.live.feed import NodeTail, tail_of
from provider.live.stored import stored_times
from provider.node_view import expected_series, grid_of, newest_final_bar
from provider.observing import observe_no_live
from provider.planning import Coverage, measure_coverage
from provider.stores.protocol import StoreUnreadable
from registry.actors import Actor
from registry.frame import frame_of
from registry.models import Node, SchemaVersion
from registry.services.proposals import latest_version

SECONDS_A_READ = 10.0


@dataclass(frozen=True, slots=True)
class Fed:
    """What a round asked for: settled bars of these ranges, by these jobs (others' included).

    `settled` is the newest bar that a round may store, in epoch seconds.
    """

    settled: int
    ranges: tuple[CoverageRange, ...] = ()
    job_ids: tuple[int, ...] = ()


def feed_node(*, actor: Actor, node: Node, now: datetime) -> Fed:
    """Request a backfill from the feed for the settled bars that it has and storage lacks.

    What the schema refused within SEAMLESS_ASK_AGAIN_SECONDS is left alone: the feed would say the
    same. Raises NoLiveFeed, LiveUnavailable, TimeoutError after ten
    seconds, and StoreUnreadable.
    """
    version, settled = latest_version(node.subject), newest_final_bar(node, now)
    if version is None:
        return Fed(settled)
    tail = tail_of(node, frame_of(version.content.document))
    window = Window(settled - tail.reach_seconds, settled, node.interval)
    wanted = _arrived(tail, version, window, now)
    if not wanted:
        return Fed(settled)
    request = request_backfill(
        actor=actor,
        node=node,
        missing=wanted,
        bound_version=version,
        now=now,
        requested_by=f"live feed of {node.node_id}"[:200],
        origin=Origin.LIVE,
    )
    return Fed(settled, tuple(wanted), tuple(request.job_ids))


def feed_in_the_background(*, node_pk: int, now: datetime) -> Fed | None:
    """`feed_node` for a round that repeats: None where the feed or the store did not answer."""
    node = Node.objects.select_related("subject").filter(pk=node_pk).first()
    if node is None or not node.live:
        return None
    try:
        return feed_node(actor=Actor.system("live feed"), node=node, now=now)
    except (LiveUnavailable, TimeoutError, StoreUnreadable) as error:
        settled = newest_final_bar(node, now)
        observe_no_live(node, settled, settled, f"{type(error).__name__}: {error}")
        return None


def _arrived(
    tail: NodeTail, version: SchemaVersion, window: Window, now: datetime
) -> list[CoverageRange]:
    """The ranges of bars that some series lacks in storage and has in the feed."""
    node = tail.node
    stored = stored_times(node, tail.frame, window)
    lacking = _coverage(tail, stored, window, now)
    left_alone = live_refused_since(
        node=node,
        bound_version_id=version.pk,
        window=window,
        since=now - timedelta(seconds=settings.SEAMLESS_ASK_AGAIN_SECONDS),
    )
    gaps = lacking.missing_ranges()
    if not gaps:
        return []
    live = tail.read(gaps[0].start, gaps[-1].end, deadline=monotonic() + SECONDS_A_READ)
    still = _coverage(tail, [*stored, *live.pieces], window, now)
    gained = [
        run
        for before, after in zip(lacking.series, still.series, strict=True)
        for run in subtract(before.missing, after.missing, node.interval)
    ]
    return subtract(merge_coverage(gained, node.interval), left_alone, node.interval)


def _coverage(tail: NodeTail, pieces: Sequence[Piece], window: Window, now: datetime) -> Coverage:
    expected = expected_series(tail.node, window, now)
    return measure_coverage(pieces, tail.frame, expected, grid_of(tail.node))
