"""`qmtl://observability/seamless/<node>`: what a node's quality is now, and what it was."""

from dataclasses import dataclass
from typing import Any

from provider.models import PublishedReport
from provider.reports import reports_of
from registry.errors import InvalidInput, NotFound
from registry.models import Consumer, Node
from registry.services.resolution import readable_node

ADDRESS = "qmtl://observability/seamless/"
_ARCHIVED = 20


@dataclass(frozen=True, slots=True)
class PublishedQuality:
    """The newest report of the node's newest version that was read, against the one before it."""

    address: str
    node_id: str
    published: PublishedReport
    archive: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        report = self.published.report
        return {
            "address": self.address,
            "node": self.node_id,
            "version": self.published.version.number,
            "published_at": self.published.published_at,
            "report": report.digest,
            "rows": report.report["rows"],
            "coverage": report.report["coverage"],
            "flags": report.report["flags"],
            "regression": self.published.regression,
            "archive": list(self.archive),
        }


def published_quality(node: Node) -> PublishedQuality | None:
    """What is published of a node; None before its first read."""
    published = (
        PublishedReport.objects.filter(node=node)
        .select_related("report", "version")
        .order_by("-version__number")
        .first()
    )
    if published is None:
        return None
    archive = [
        {
            "report": stored.digest,
            "version": stored.version.number,
            "created_at": stored.created_at,
            "regression": stored.regression,
        }
        for stored in reports_of(node, limit=_ARCHIVED)
    ]
    return PublishedQuality(f"{ADDRESS}{node.node_id}", node.node_id, published, tuple(archive))


def resolve_address(consumer: Consumer, address: str) -> PublishedQuality:
    """What an address names, for a consumer that may read the node.

    Raises InvalidInput for another kind of address, NotFound where there is nothing to see.
    """
    if not address.startswith(ADDRESS):
        raise InvalidInput(f"{address[:100]!r} is no address of ours: use {ADDRESS}<node>.")
    found = published_quality(readable_node(consumer, address.removeprefix(ADDRESS)))
    if found is None:
        raise NotFound(f"Nothing is published at {address} yet.")
    return found
