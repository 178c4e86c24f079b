"""Rows set aside: looked at without their secrets, released after a fix, forgotten in time."""

from datetime import timedelta

import pytest

from coordinator.models import BackfillJob, BackfillShard, Quarantine
from coordinator.ports import QuarantinedRow, ShardRefused
from coordinator.services.claiming import claim_shard
from coordinator.services.progress import progress
from coordinator.services.quarantine import (
    HIDDEN,
    AlreadyReleased,
    NoSuchQuarantinedRow,
    forget_old_rows,
    quarantined_row,
    quarantined_rows,
    release_quarantine,
)
from coordinator.services.running import run_shard
from registry.errors import NotAllowed
from registry.models import AuditEvent
from tests.coordinator import backfills
from tests.coordinator.backfills import NOW, READER, make_next_version, make_operator, pointers

FINDING = {"keyword": "type", "column": "v", "count": 2}


@pytest.fixture
def refused(house, handler):
    """One shard refused, two of its rows set aside."""
    rows = [QuarantinedRow(row={"t": t, "v": "x"}, diagnostics=[FINDING]) for t in (0, 10)]

    def refuse(*_):
        raise ShardRefused("schema_refused", [FINDING], rows)

    handler.on_stage = refuse
    house.request((0, 100))
    run_shard(claim=claim_shard(holder="w", now=NOW))
    handler.on_stage = lambda *_: None
    return BackfillShard.objects.get()


def release(actor, row_id=None):
    row_id = row_id or Quarantine.objects.order_by("pk")[0].pk
    return release_quarantine(actor=actor, row_id=row_id, reason="source fixed", now=NOW)


def test_a_release_does_the_shard_again_and_marks_all_its_rows(refused, handler, oscar):
    request = release(oscar)
    assert request.job_ids == [refused.job_id]
    assert {(row.released_by, row.released_at) for row in Quarantine.objects.all()} == {
        ("oscar", NOW)
    }
    run_shard(claim=claim_shard(holder="w", now=NOW))
    assert progress(refused.job_id).state == "done"
    assert pointers() == [(refused.pk, 3, 11)]
    event = AuditEvent.objects.get(action="backfill.quarantine.release")
    assert (event.reason, event.after["rows"]) == ("source fixed", 2)


def test_after_a_new_version_the_release_is_judged_by_that_one(house, refused, handler, oscar):
    newer = make_next_version(house.version)
    (made,) = release(oscar).created
    assert BackfillJob.objects.get(pk=made).bound_version == newer
    assert BackfillShard.objects.get(pk=refused.pk).state == "violation"


def test_what_is_done_again_already_is_not_released_twice(refused, oscar):
    release(oscar)
    with pytest.raises(AlreadyReleased):
        release(oscar)


def test_rows_of_a_shard_that_is_refused_again_can_be_released_again(refused, handler, oscar):
    release(oscar)
    shard = BackfillShard.objects.get()

    def refuse(*_):
        raise ShardRefused("schema_refused", [FINDING], [QuarantinedRow({"t": 0}, [FINDING])])

    handler.on_stage = refuse
    run_shard(claim=claim_shard(holder="w", now=NOW))
    newest = Quarantine.objects.order_by("-pk")[0]
    assert (newest.epoch, newest.released_at) == (3, None)
    release(oscar, newest.pk)
    shard.refresh_from_db()
    assert shard.state == "pending"


def test_a_row_is_shown_without_the_values_of_sensitive_columns(db, handler, monkeypatch):
    monkeypatch.setitem(backfills.DOCUMENT, "x-seamless", {"sensitive": ["v"]})
    backfills.create_pointer_table()
    version = backfills.make_version()
    house = backfills.House(version, backfills.make_node(version))
    house.request((0, 0))
    kept = Quarantine.objects.create(
        shard=BackfillShard.objects.get(), epoch=1, row={"t": 0, "v": "secret"}, created_at=NOW
    )
    seen = quarantined_row(actor=make_operator(), row_id=kept.pk)
    assert seen.row == {"t": 0, "v": HIDDEN}


def test_only_those_who_run_own_or_audit_see_rows_and_only_operators_release(refused):
    with pytest.raises(NotAllowed):
        quarantined_rows(actor=READER)
    with pytest.raises(NotAllowed):
        release(READER)
    with pytest.raises(NotAllowed):
        release(make_operator("olaf", team="another team"))
    assert not Quarantine.objects.filter(released_at__isnull=False).exists()


def test_a_row_that_is_not_there(house, oscar):
    with pytest.raises(NoSuchQuarantinedRow):
        quarantined_row(actor=oscar, row_id=404)
    with pytest.raises(NoSuchQuarantinedRow):
        release(oscar, 404)


def test_old_rows_are_forgotten_and_their_diagnostics_stay(refused):
    kept_for = timedelta(days=90)
    Quarantine.objects.update(created_at=NOW)
    assert forget_old_rows(now=NOW + kept_for, kept_for=kept_for) == 0
    assert not AuditEvent.objects.filter(action="backfill.quarantine.forget").exists()
    assert forget_old_rows(now=NOW + timedelta(days=91), kept_for=kept_for) == 2
    assert BackfillShard.objects.get().diagnostics == [FINDING]
    event = AuditEvent.objects.get(action="backfill.quarantine.forget")
    assert event.after == {"rows": 2, "older_than_days": 90}
