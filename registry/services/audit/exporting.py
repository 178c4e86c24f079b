"""Exporting: sealed records as an outsider can verify them, in memory that does not grow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO

from django.db.models import Min, Q, QuerySet

from registry.audit.checkpoint import Checkpoint
from registry.audit.export import ExportWriter, Row, Unsealed
from registry.audit.merkle import Edge
from registry.audit.selection import EVERYTHING, Selection
from registry.errors import NotFound
from registry.models.audit import AuditCheckpoint, AuditLeaf, AuditPending
from registry.services.audit.head import AuditLogForked, as_checkpoint, empty_log
from registry.services.audit.key_history import named_keys
from registry.services.audit.selecting import matching
from registry.services.audit.tree import consistency_proofs, inclusion_proofs, stored_edge

EXPORT_PAGE = 1_000

Progress = Callable[[int], None]


class NoSuchCheckpoint(NotFound):
    code = "no_such_checkpoint"
    title = "No such checkpoint"


@dataclass(frozen=True, slots=True)
class Extent:
    """What to export: the records from `from_seq` up to a checkpoint, those that `selection` takes.

    to_size: the checkpoint's size, None for the last one. earlier: sizes of checkpoints that the
    export proves to be continued.
    """

    selection: Selection = EVERYTHING
    from_seq: int = 0
    to_size: int | None = None
    earlier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """An extent bound to the log as it is now: the checkpoint it is proven under, and its rows."""

    extent: Extent
    checkpoint: Checkpoint
    note: str

    @property
    def selected(self) -> Mapping[str, Any] | None:
        given = self.extent.selection.given()
        if given and self.extent.from_seq:
            return {**given, "from_seq": self.extent.from_seq}
        return given or None

    def count(self) -> int:
        if self.selected is None:
            return self.checkpoint.size - self.extent.from_seq
        return _leaves(self).count()

    def rows(self) -> Iterator[Row]:
        for page in _pages(self):
            if self.selected is None:
                yield from page
            else:
                yield from _with_proofs(page, self.checkpoint.size)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: `rows` records, proven under `checkpoint`."""

    rows: int
    checkpoint: Checkpoint


def open_source(extent: Extent) -> Source:
    """Raises `NoSuchCheckpoint` where the log was never sealed at `to_size`, or starts after it."""
    stored = AuditCheckpoint.objects.order_by("-size")
    if extent.to_size is not None:
        stored = stored.filter(size=extent.to_size)
    found = stored.first()
    if found is None and extent.to_size is not None:
        last = AuditCheckpoint.objects.order_by("-size").values_list("size", flat=True).first()
        raise NoSuchCheckpoint(
            f"no checkpoint has {extent.to_size} records; the last one has {last or 0}",
            size=extent.to_size,
        )
    checkpoint = empty_log() if found is None else as_checkpoint(found)
    for seq in (extent.from_seq, *extent.earlier):
        if not 0 <= seq <= checkpoint.size:
            raise NoSuchCheckpoint(
                f"record or size {seq}: the log is sealed up to {checkpoint.size}",
                size=checkpoint.size,
            )
    return Source(extent, checkpoint, checkpoint.body() if found is None else found.note)


def write_records(
    out: BinaryIO, source: Source, *, now: datetime, progress: Progress = lambda _: None
) -> Exported:
    """Write the lines of `registry.audit.export`; `progress` hears of every page's rows."""
    writer = ExportWriter(out)
    selected, size = source.selected, source.checkpoint.size
    writer.begin(
        source.checkpoint.origin,
        _edge(source.extent.from_seq if selected is None else size),
        keys=named_keys(size),
        selected=selected,
        consistency=consistency_proofs(source.extent.earlier, size),
    )
    for row in source.rows():
        writer.row(row)
        if writer.rows % EXPORT_PAGE == 0:
            progress(writer.rows)
    writer.end(source.checkpoint, source.note, now=now, unsealed=_unsealed())
    progress(writer.rows)
    return Exported(writer.rows, source.checkpoint)


def export_jsonl(
    out: BinaryIO, *, now: datetime, from_seq: int = 0, to_size: int | None = None
) -> Exported:
    """All sealed records from `from_seq` up to a checkpoint (the last one, or `to_size`)."""
    return write_records(out, open_source(Extent(from_seq=from_seq, to_size=to_size)), now=now)


def _edge(seq: int) -> Edge:
    edge = stored_edge(seq)
    if edge is None:
        raise AuditLogForked(f"the stored Merkle tree has holes before record {seq}", seq=seq)
    return edge


def _unsealed() -> Unsealed:
    waiting = AuditPending.objects.all()
    return Unsealed(waiting.count(), waiting.aggregate(oldest=Min("event__at"))["oldest"])


def _leaves(source: Source) -> QuerySet[AuditLeaf]:
    asked = matching(source.extent.selection, "event__")
    within = Q(seq__gte=source.extent.from_seq, seq__lt=source.checkpoint.size)
    return AuditLeaf.objects.filter(within, asked)


def _pages(source: Source) -> Iterator[list[Row]]:
    """Keyset pages: the same few rows in memory however long the log, on either database."""
    last = -1
    columns = ("event__payload_format", "leaf", "event__payload__text", "event__personal__text")
    while True:
        found = _leaves(source).filter(seq__gt=last).order_by("seq")
        page = [
            Row(seq, version, bytes(leaf), payload, personal or None)
            for seq, version, leaf, payload, personal in found.values_list("seq", *columns)[
                :EXPORT_PAGE
            ]
        ]
        if not page:
            return  # records taken out of the table end it early; the verifier names the first
        yield page
        last = page[-1].seq


def _with_proofs(page: Sequence[Row], size: int) -> Iterator[Row]:
    proofs = inclusion_proofs([row.seq for row in page], size)
    for row in page:
        yield replace(row, proof=proofs[row.seq])
