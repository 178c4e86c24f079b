"""Conformance reports: named by their content, kept where they say something."""

from datetime import datetime

from django.db import IntegrityError, transaction

from provider.conformance import ConformanceReport, regression_digest
from provider.models import StoredReport
from registry.audit.events import recordable
from registry.canonical import fingerprint
from registry.errors import NotFound
from registry.models import Node


def report_digest(node: Node, report: ConformanceReport) -> str:
    """`sha256:…` over the report's canonical JSON: equal findings, equal name."""
    return fingerprint({"node": node.node_id, "report": report.to_dict()})


def is_worth_keeping(report: ConformanceReport) -> bool:
    return bool(report.findings)


def store_report(
    *, node: Node, version_id: int, report: ConformanceReport, request_id: str, now: datetime
) -> StoredReport:
    """Keep a report once, with its regression digest against the node's last of this version."""
    digest = report_digest(node, report)
    existing = StoredReport.objects.filter(node=node, digest=digest).first()
    if existing is not None:
        return existing
    last = StoredReport.objects.filter(node=node, version_id=version_id).order_by("-pk").first()
    try:
        with transaction.atomic():
            return StoredReport.objects.create(
                node=node,
                version_id=version_id,
                digest=digest,
                report=recordable(report.to_dict()),
                regression=regression_digest(report, last.report if last else None).to_dict(),
                request_id=request_id,
                created_at=now,
            )
    except IntegrityError:  # another reader stored the same report first
        return StoredReport.objects.get(node=node, digest=digest)


def stored_report(node: Node, digest: str) -> StoredReport:
    found = StoredReport.objects.filter(node=node, digest=digest).first()
    if found is None:
        raise NotFound(f"There is no report {digest!r} of {node.node_id}.")
    return found
