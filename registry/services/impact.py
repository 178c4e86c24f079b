"""What a proposal changes, and whom that touches: properties, bundles, nodes, consumers, reads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from registry.diff import SchemaChange, diff
from registry.models import Bundle, Consumer, Node, Proposal, SchemaVersion
from registry.pointers import tokens
from registry.services.candidates import latest_version
from registry.services.usage import reads_touching

USAGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Impact:
    """Who has to do with the subject, and the properties of a row that change.

    `every_property`: something outside `properties` changes, which may touch all of them, and so
    every read. `reads` and those of them that touch a changed property are of the last
    `usage_days` days; `touching_consumers` made the latter.
    """

    compared_to: int | None
    properties: Sequence[str]
    every_property: bool
    bundles: Sequence[str]
    nodes: Sequence[str]
    consumers: Sequence[str]
    usage_days: int
    reads: int
    touching_reads: int
    touching_share: float
    touching_consumers: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def changes_of(proposal: Proposal) -> tuple[SchemaVersion | None, tuple[SchemaChange, ...]]:
    """The semantic diff to the newest approved version; everything is new where there is none."""
    before = _version_before(proposal)
    document = {} if before is None else before.content.document
    return before, diff(document, proposal.content.document)


def impact_of(proposal: Proposal, *, now: datetime) -> Impact:
    before, changes = changes_of(proposal)
    substantial = [change for change in changes if not change.annotation]
    touched = {name for change in substantial for name in _properties(change)}
    every_property = any(not _properties(change) for change in substantial)
    subject = proposal.subject
    used = reads_touching(
        subject=subject,
        columns=None if every_property else touched,
        since=now - timedelta(days=USAGE_DAYS),
    )
    readers = Consumer.objects.filter(subscriptions__bundle__members__subject=subject)
    granted = Consumer.objects.filter(grants__node__subject=subject)
    consumers = (readers | granted).distinct().order_by("name")
    return Impact(
        compared_to=None if before is None else before.number,
        properties=sorted(touched),
        every_property=every_property,
        bundles=_names(Bundle.objects.filter(members__subject=subject).order_by("name"), "name"),
        nodes=_names(Node.objects.filter(subject=subject).order_by("node_id"), "node_id"),
        consumers=_names(consumers, "name"),
        usage_days=USAGE_DAYS,
        reads=used.total_reads,
        touching_reads=used.touching_reads,
        touching_share=used.share,
        touching_consumers=used.consumers,
    )


def _version_before(proposal: Proposal) -> SchemaVersion | None:
    """The version it would follow; the one before it, where it has become a version."""
    made = SchemaVersion.objects.filter(proposal=proposal).first()
    if made is None:
        return latest_version(proposal.subject)
    earlier = proposal.subject.versions.filter(number__lt=made.number).select_related("content")
    return earlier.order_by("-number").first()


def _properties(change: SchemaChange) -> set[str]:
    """The row's properties at the change's places; none where it lies outside of them."""
    places = [tokens(p) for p in (change.old_pointer, change.new_pointer) if p is not None]
    found = {path[1] for path in places if len(path) > 1 and path[0] == "properties"}
    if not found and any(path[:1] == ("required",) for path in places):
        found = {value for value in (change.before, change.after) if isinstance(value, str)}
    return found


def _names(found: Any, field: str) -> list[str]:
    return list(found.values_list(field, flat=True))
