"""Conformance reports: named by their content, kept where they say something, for a while.

The newest of a node and version is *published*: `qmtl://observability/seamless/<node>` names it
with its regression digest, what got better, worse or new since the one before it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from provider.conformance import ConformanceReport, RegressionDigest, regression_digest
from provider.metrics import DIGESTS
from provider.models import PublishedReport, RepairRequest, StoredReport
from registry.audit.events import recordable
from registry.canonical import fingerprint
from registry.errors import NotFound
from registry.models import Node


def report_digest(node: Node, report: ConformanceReport) -> str:
    """`sha256:…` over the report's canonical JSON: equal findings, equal name."""
    return fingerprint({"node": node.node_id, "report": report.to_dict()})


def has_something_to_say(report: ConformanceReport) -> bool:
    return bool(report.findings)


def keep_report(
    *,
    node: Node,
    version_id: int,
    report: ConformanceReport,
    request_id: str,
    now: datetime,
    repairs: Sequence[RepairRequest] = (),
    published: bool = True,
) -> StoredReport | None:
    """Store and publish a report that has findings or differs from the node's last of its version.

    A clean report after a clean one differs in nothing that matters: None. Not `published`: what it
    tells of is not the node as it is now, so it is kept only for who asks for it by its name.
    """
    if not published:
        return _kept_aside(node, version_id, report, request_id, now)
    last = _published(node, version_id)
    if last is not None and last.is_clean and not has_something_to_say(report):
        return None
    digest = report_digest(node, report)
    if last is not None and last.report.digest == digest:
        last.report.repairs.add(*repairs)
        return last.report
    regression = regression_digest(report, last.report.report if last else None)
    DIGESTS.labels(node.node_id, str(node.interval), regression.verdict).inc()
    stored = _stored_once(node, version_id, digest, report, regression, request_id, now)
    stored.repairs.add(*repairs)
    PublishedReport.objects.update_or_create(
        node=node,
        version_id=version_id,
        defaults={
            "report": stored,
            "regression": regression.to_dict(),
            "is_clean": not has_something_to_say(report),
            "published_at": now,
        },
    )
    return stored


def stored_report(node: Node, digest: str) -> StoredReport:
    found = StoredReport.objects.filter(node=node, digest=digest).first()
    if found is None:
        raise NotFound(f"There is no report {digest!r} of {node.node_id}.")
    return found


def reports_of(node: Node, *, before: int | None = None, limit: int) -> list[StoredReport]:
    """The node's stored reports, newest first."""
    found = StoredReport.objects.filter(node=node).select_related("node", "version")
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found.order_by("-pk")[:limit])


def newest_report(node: Node, version_id: int) -> StoredReport | None:
    """The published report of a version."""
    last = _published(node, version_id)
    return None if last is None else last.report


def prune_reports(*, now: datetime) -> int:
    """Remove reports past their retention, but for published ones; how many."""
    oldest = now - timedelta(days=settings.SEAMLESS_REPORT_DAYS)
    outdated = StoredReport.objects.filter(created_at__lt=oldest, publications=None)
    return outdated.delete()[1].get("provider.StoredReport", 0)


def _published(node: Node, version_id: int) -> PublishedReport | None:
    published = PublishedReport.objects.filter(node=node, version_id=version_id)
    return published.select_related("report").first()


def _kept_aside(
    node: Node, version_id: int, report: ConformanceReport, request_id: str, now: datetime
) -> StoredReport | None:
    if not has_something_to_say(report):
        return None
    digest, alone = report_digest(node, report), regression_digest(report, None)
    return _stored_once(node, version_id, digest, report, alone, request_id, now)


def _stored_once(
    node: Node,
    version_id: int,
    digest: str,
    report: ConformanceReport,
    regression: RegressionDigest,
    request_id: str,
    now: datetime,
) -> StoredReport:
    existing = StoredReport.objects.filter(node=node, digest=digest).first()
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            return StoredReport.objects.create(
                node=node,
                version_id=version_id,
                digest=digest,
                report=recordable(report.to_dict()),
                regression=regression.to_dict(),
                request_id=request_id,
                created_at=now,
            )
    except IntegrityError:  # another reader stored the same report first
        return StoredReport.objects.get(node=node, digest=digest)
