"""What is read of a shard that was done again: its newest rows and no others."""

from typing import Any

import pyarrow as pa
import pytest

from coordinator.coverage import Window
from coordinator.models import BackfillJob
from coordinator.services.claiming import claim_shard
from coordinator.services.database_clock import database_now
from coordinator.services.requesting import request_backfill
from coordinator.services.running import run_shard
from coordinator.services.steering import Again, reprocess_job
from provider.models import Segment
from provider.node_view import committed_segments
from provider.sources.sample import SampleSource
from registry.services.proposals import latest_version
from tests.provider.world import DAY, SESSIONS, build_world

WINDOW = Window(SESSIONS[0], SESSIONS[-1], DAY)


def run_all() -> None:
    while (claim := claim_shard(holder="w", now=database_now())) is not None:
        assert run_shard(claim=claim).state == "done"


@pytest.mark.django_db
def test_a_row_that_the_source_has_withdrawn_does_not_shine_through(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any
) -> None:
    settings.SEAMLESS_BARS_DIR = tmp_path
    world = build_world(source={"type": "sample", "dataset": "stocks"})
    version = latest_version(world.node.subject)
    assert version is not None
    request_backfill(
        actor=world.cast.oscar,
        node=world.node,
        missing=[(WINDOW.start, WINDOW.end)],
        bound_version=version,
        now=database_now(),
        requested_by="test",
    )
    run_all()
    (before,) = committed_segments(world.node, WINDOW)
    fetch = SampleSource.fetch

    def withdrawn(*arguments: Any) -> pa.Table:
        return fetch(*arguments).slice(1)

    monkeypatch.setattr(SampleSource, "fetch", withdrawn)
    job = BackfillJob.objects.get()
    reprocess_job(actor=world.cast.oscar, job_id=job.pk, again=Again.ALL, now=database_now())
    assert committed_segments(world.node, WINDOW) == [before]  # served until the new one is there
    run_all()
    (after,) = committed_segments(world.node, WINDOW)
    assert after != before
    old, new = Segment.objects.order_by("epoch")
    assert (new.epoch, new.rows) == (old.epoch + 2, old.rows - 1)
