"""Rows that backfills set aside: who may look, how they are released, when they are forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from coordinator.lease_state import UNFINISHED_SHARD_STATES
from coordinator.models import BackfillShard, Quarantine
from coordinator.services.job_rows import locked_job, require_operator, visible_nodes
from coordinator.services.requesting import BackfillRequest, Wish, carry_out, outline_of
from coordinator.services.shard_rows import SYSTEM
from coordinator.services.steering import open_again
from registry.actors import Actor
from registry.errors import Conflict, NotFound
from registry.frame import frame_of
from registry.models import Role
from registry.services.access import require_any_team
from registry.services.actions import audited_action
from registry.services.audit import record
from registry.services.proposals import latest_version

HIDDEN = "(sensitive)"


class NoSuchQuarantinedRow(NotFound):
    code = "no_such_quarantined_row"


class AlreadyReleased(Conflict):
    code = "already_released"


@dataclass(frozen=True, slots=True)
class QuarantinedView:
    """A row as it may be shown: without the values of sensitive columns."""

    kept: Quarantine
    row: Mapping[str, Any]


def quarantined_rows(*, actor: Actor) -> QuerySet[Quarantine]:
    """The rows of the actor's nodes set aside, newest first, for those who own, run or audit.

    Raises NotAllowed.
    """
    require_any_team(actor, Role.OPERATOR, Role.OWNER, Role.AUDITOR)
    rows = Quarantine.objects.select_related("shard__job__node__subject__owner_team")
    return rows.filter(shard__job__node__in=visible_nodes(actor)).order_by("-pk")


def quarantined_row(*, actor: Actor, row_id: int) -> QuarantinedView:
    """One row with what may be shown of it. Raises NotAllowed and NoSuchQuarantinedRow."""
    kept = (
        quarantined_rows(actor=actor)
        .select_related("shard__job__bound_version__content")
        .filter(pk=row_id)
        .first()
    )
    if kept is None:
        raise _no_such_row(row_id)
    sensitive = frame_of(kept.shard.job.bound_version.content.document).sensitive
    shown = {name: HIDDEN if name in sensitive else value for name, value in kept.row.items()}
    return QuarantinedView(kept, shown)


def release_quarantine(*, actor: Actor, row_id: int, reason: str, now: datetime) -> BackfillRequest:
    """Do the shard of a row again, after what was wrong with it has been put right.

    Under the subject's latest version: in the same job where that is the one it is bound to, else
    in a new job. All rows that the shard set aside count as released. Raises NoSuchQuarantinedRow,
    NotAllowed and AlreadyReleased.
    """
    with audited_action(
        "backfill.quarantine.release",
        actor=actor,
        object_type="quarantine",
        object_id=row_id,
        now=now,
        reason=reason,
    ) as entry:
        kept = Quarantine.objects.select_related("shard").filter(pk=row_id).first()
        if kept is None:
            raise _no_such_row(row_id)
        job = locked_job(kept.shard.job_id)
        require_operator(actor, job.node)
        shard = BackfillShard.objects.select_for_update().get(pk=kept.shard_id)
        if kept.released_at is not None or shard.state in UNFINISHED_SHARD_STATES:
            raise AlreadyReleased(f"The shard of quarantined row {row_id} is being done again.")
        rows = Quarantine.objects.filter(shard=shard, released_at__isnull=True)
        released = rows.update(released_at=now, released_by=actor.name)
        latest = latest_version(job.node.subject)
        if latest is None or latest.pk == job.bound_version_id:
            open_again(job, job.shards.filter(pk=shard.pk), now=now)
            request = BackfillRequest(created=(), joined=(job.pk,))
        else:
            wish = Wish(job.node, [shard.range], latest, job.priority, origin=job.origin)
            request = carry_out(outline_of(wish), actor=actor, now=now, requested_by=actor.name)
        entry.after = {"rows": released, "shard": shard.pk, "jobs": request.job_ids}
        return request


def forget_old_rows(*, now: datetime, kept_for: timedelta) -> int:
    """Delete what was set aside longer ago; the diagnostics stay with the shards."""
    old = Quarantine.objects.filter(created_at__lt=now - kept_for)
    with transaction.atomic():
        forgotten = old.delete()[0]
        if forgotten:
            record(
                actor=Actor.system(SYSTEM),
                action="backfill.quarantine.forget",
                object_type="quarantine",
                object_id="",
                now=now,
                after={"rows": forgotten, "older_than_days": kept_for.days},
            )
    return forgotten


def _no_such_row(row_id: int) -> NoSuchQuarantinedRow:
    return NoSuchQuarantinedRow(f"There is no quarantined row {row_id}.")
