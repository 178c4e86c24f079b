"""Looking records up: newest first, by keyset, each with how far it is sealed."""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import OuterRef, QuerySet, Subquery

from registry.audit.checkpoint import Checkpoint
from registry.audit.merkle import Edge
from registry.audit.selection import Selection
from registry.errors import InvalidInput, NotFound
from registry.models.audit import AuditCheckpoint, AuditEvent
from registry.services.audit.exporting import NoSuchCheckpoint
from registry.services.audit.head import AuditLogForked, latest_checkpoint
from registry.services.audit.selecting import matching
from registry.services.audit.tree import consistency_proofs, inclusion_proofs, stored_edge

_SALT = "seamless.audit.cursor"


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, newest first, and the cursor of those before them (None: there are none)."""

    events: list[AuditEvent]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a record is number `seq` of the first `size`; `note` is a checkpoint of that size."""

    seq: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    note: str | None


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    old: Checkpoint
    new: Checkpoint
    hashes: tuple[bytes, ...]


def with_seals(events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
    """With `sealed` (its place) and `checkpoint`, the size of the first one that covers it."""
    over_it = AuditCheckpoint.objects.filter(size__gt=OuterRef("sealed__seq")).order_by("size")
    return events.select_related("sealed", "personal", "payload").annotate(
        checkpoint=Subquery(over_it.values("size")[:1])
    )


def search(selection: Selection, *, limit: int, before: int | None = None) -> Page:
    """One page; `before`: only records with a lower id."""
    found = with_seals(AuditEvent.objects.filter(matching(selection))).order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    events = list(found[: limit + 1])
    shown = events[:limit]
    more = len(events) > limit
    return Page(shown, _cursor(selection, shown[-1].pk) if more else None)


def search_on(cursor: str, *, limit: int) -> Page:
    """The page that a cursor stands for; it carries what was asked for."""
    try:
        carried: dict[str, Any] = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature:
        raise InvalidInput(
            "This cursor is not one of ours, or of another installation; search again without it."
        ) from None
    return search(Selection.read(carried["filter"]), limit=limit, before=carried["before"])


def record_with_seal(event_id: int) -> AuditEvent:
    found = with_seals(AuditEvent.objects.filter(pk=event_id)).first()
    if found is None:
        raise NotFound(f"There is no audit record {event_id}.")
    return found


def prove_inclusion(event: AuditEvent, *, size: int | None = None) -> InclusionProof | None:
    """In the tree of `size` records (all that are sealed); None while it is only recorded."""
    sealed = getattr(event, "sealed", None)
    if sealed is None:
        return None
    chosen = latest_checkpoint().size if size is None else size
    if chosen <= sealed.seq:
        raise NoSuchCheckpoint(
            f"record {sealed.seq} is not among the first {chosen}; ask for a size above it",
            size=chosen,
        )
    root = _edge(chosen).root()
    note = AuditCheckpoint.objects.filter(size=chosen).values_list("note", flat=True).first()
    proofs = inclusion_proofs([sealed.seq], chosen)
    return InclusionProof(sealed.seq, chosen, root, proofs[sealed.seq], note)


def prove_consistency(old: int, new: int) -> ConsistencyProof:
    """That the log of `new` records begins with that of `old`; checkpoints or not."""
    if not 0 <= old <= new:
        raise InvalidInput(f"A log of {new} records cannot continue one of {old}; from <= to.")
    origin = latest_checkpoint().origin
    heads = [Checkpoint(origin, size, _edge(size).root()) for size in (old, new)]
    return ConsistencyProof(heads[0], heads[1], consistency_proofs([old], new)[old])


def _edge(size: int) -> Edge:
    held = latest_checkpoint().size
    if size > held:
        raise NoSuchCheckpoint(f"the log is sealed up to {held} records, not {size}", size=size)
    edge = stored_edge(size)
    if edge is None:
        raise AuditLogForked(f"the stored Merkle tree has holes before record {size}", size=size)
    return edge


def _cursor(selection: Selection, before: int) -> str:
    return signing.dumps({"filter": selection.given(), "before": before}, salt=_SALT)
