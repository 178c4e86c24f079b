"""The admin's first page: a few real numbers and what waits for a decision."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse

from coordinator.lease_state import ACTIVE_JOB_STATES, ShardState
from coordinator.models import BackfillJob
from registry.admin.access import is_member, may_read_audit
from registry.admin.panels import label, link, moment
from registry.models import (
    AuditCheckpoint,
    AuditPending,
    Diagnostic,
    Mode,
    Proposal,
    ProposalState,
    Rollout,
    SchemaVersion,
    Subject,
)

ROWS = 5


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK. Who is in no team gets no numbers."""
    context |= {"title": "Dashboard"}
    if not is_member(request):
        return context | {"in_no_team": True}
    cards = [_subjects(), _rollouts(), _proposals(), _backfills()]
    if may_read_audit(request):
        cards.append(_audit())
    return context | {"cards": cards, "proposals": _waiting(), "diagnostics": _diagnostics()}


def proposals_in_review(request: HttpRequest) -> int:
    return Proposal.objects.filter(state=ProposalState.IN_REVIEW).count()


def _card(title: str, figure: str, note: str, icon: str, view: str, query: str = "") -> Any:
    href = reverse(f"admin:{view}_changelist") + query
    return {"title": title, "figure": figure, "note": note, "icon": icon, "href": href}


def _subjects() -> Any:
    versions = SchemaVersion.objects.count()
    subjects = Subject.objects.count()
    note = _plural(versions, "schema version")
    return _card("Subjects", str(subjects), note, "schema", "registry_subject")


def _rollouts() -> Any:
    live = Rollout.objects.filter(ended_at__isnull=True).aggregate(
        strict=Count("pk", filter=Q(mode=Mode.STRICT)),
        canary=Count("pk", filter=Q(mode=Mode.CANARY)),
    )
    return _card(
        "Live rollouts",
        str(live["strict"] + live["canary"]),
        f"{live['strict']} strict, {live['canary']} canary",
        "rocket_launch",
        "registry_rollout",
        "?life=live",
    )


def _proposals() -> Any:
    states = Proposal.objects.aggregate(
        waiting=Count("pk", filter=Q(state=ProposalState.IN_REVIEW)),
        drafts=Count("pk", filter=Q(state=ProposalState.DRAFT)),
    )
    return _card(
        "Proposals in review",
        str(states["waiting"]),
        f"and {_plural(states['drafts'], 'draft')}",
        "rate_review",
        "registry_proposal",
        "?state__exact=in_review",
    )


def _backfills() -> Any:
    active = BackfillJob.objects.filter(state__in=ACTIVE_JOB_STATES).aggregate(
        jobs=Count("pk", distinct=True),
        planned=Count("shards"),
        done=Count("shards", filter=Q(shards__state=ShardState.DONE)),
    )
    return _card(
        "Active backfills",
        str(active["jobs"]),
        f"{active['done']} of {_plural(active['planned'], 'shard')} done"
        if active["jobs"]
        else "nothing to repair",
        "sync",
        "coordinator_backfilljob",
    )


def _audit() -> Any:
    last = AuditCheckpoint.objects.order_by("-size").first()
    waiting = AuditPending.objects.count()
    sealed = f"sealed {last.at:%Y-%m-%d %H:%M}" if last else "nothing sealed yet"
    return _card(
        "Audit records",
        str(last.size if last else 0),
        f"{waiting} pending; {sealed}",
        "gavel",
        "registry_auditevent",
    )


def _waiting() -> dict[str, Any]:
    proposals = (
        Proposal.objects.filter(state=ProposalState.IN_REVIEW)
        .select_related("subject", "author")
        .order_by("created_at")[:ROWS]
    )
    return {
        "headers": ("Proposal", "Author", "Verdict", "Created"),
        "rows": [
            (
                link(p, f"{p.pk} · {p.subject}"),
                str(p.author),
                label(str(p.compatibility_report.get("verdict", "unknown"))),
                moment(p.created_at),
            )
            for p in proposals
        ],
    }


def _diagnostics() -> dict[str, Any]:
    found = Diagnostic.objects.select_related("node", "consumer").order_by("-last_seen_at", "-pk")
    return {
        "headers": ("Finding", "Node", "Consumer", "Mode", "Count", "Last seen"),
        "rows": [
            (
                link(d, f"{d.column or '(row)'} · {d.keyword}"),
                d.node.node_id,
                str(d.consumer),
                label(d.mode),
                d.count,
                moment(d.last_seen_at),
            )
            for d in found[:ROWS]
        ],
    }


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
