"""Exporting: sealed records as an outsider can verify them, in memory that does not grow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from django.db.models import Min, Q, QuerySet

from registry.audit.bundle import BundleWriter
from registry.audit.checkpoint import Checkpoint
from registry.audit.export import ExportWriter, NamedKey, ProvenRecord, Row, Unsealed
from registry.audit.merkle import Edge
from registry.audit.removal import REMOVALS
from registry.audit.selection import EVERYTHING, Selection
from registry.audit.views import CsvWriter, OcsfWriter, ParquetWriter
from registry.errors import NotFound
from registry.models.audit import AuditCheckpoint, AuditLeaf, AuditPending
from registry.services.audit.head import AuditLogForked, as_checkpoint, empty_log
from registry.services.audit.key_history import ROTATION, named_keys, proven_records, sealed_records
from registry.services.audit.selecting import matching
from registry.services.audit.tree import consistency_proofs, inclusion_proofs, stored_edge

EXPORT_PAGE = 1_000


class RecordWriter(Protocol):
    """What turns pages of records into a file: `begin`, `rows` for each page, `end`."""

    def begin(
        self,
        origin: str,
        edge: Edge,
        *,
        keys: Sequence[NamedKey],
        removals: Sequence[ProvenRecord],
        selected: Mapping[str, Any] | None,
        consistency: Mapping[int, Sequence[bytes]],
    ) -> None: ...

    def rows(self, rows: Sequence[Row]) -> None: ...

    def end(
        self, checkpoint: Checkpoint, note: str, *, now: datetime, unsealed: Unsealed
    ) -> None: ...


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

    def pages(self) -> Iterator[list[Row]]:
        for page in _pages(self):
            yield page if self.selected is None else _with_proofs(page, self.checkpoint.size)


@dataclass(frozen=True, slots=True)
class Format:
    """How exported records are written; `proven` where the verifier can check them."""

    content_type: str
    suffix: str
    writer: Callable[[Any, Source], RecordWriter]
    proven: bool = False


FORMATS: Mapping[str, Format] = {
    "jsonl": Format("application/x-ndjson", "jsonl", lambda out, _: ExportWriter(out), proven=True),
    "bundle": Format(
        "application/zip",
        "zip",
        lambda out, source: BundleWriter(out, notes=notes_for(source)),
        proven=True,
    ),
    "csv": Format("text/csv; charset=utf-8; header=present", "csv", lambda out, _: CsvWriter(out)),
    "parquet": Format(
        "application/vnd.apache.parquet", "parquet", lambda out, _: ParquetWriter(out)
    ),
    "ocsf": Format("application/x-ndjson", "ocsf.jsonl", lambda out, _: OcsfWriter(out)),
}


def open_source(extent: Extent) -> Source:
    """Raises `NoSuchCheckpoint` where the log was never sealed at `to_size`, or starts after it."""
    stored = AuditCheckpoint.objects.order_by("-size")
    if extent.to_size is not None:
        stored = stored.filter(size=extent.to_size)
    found = stored.first()
    if found is None and extent.to_size:
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


def written(out: Any, source: Source, format: str, *, now: datetime) -> Iterator[int]:
    """Write the export piece by piece; yields after each page how many records are written.

    `out` needs `write` and `flush`, no more, so that an answer can be streamed.
    """
    writer = FORMATS[format].writer(out, source)
    selected, size = source.selected, source.checkpoint.size
    writer.begin(
        source.checkpoint.origin,
        _edge(source.extent.from_seq if selected is None else size),
        keys=named_keys(size),
        removals=list(proven_records(sealed_records(REMOVALS, size), size).values()),
        selected=selected,
        consistency=consistency_proofs(source.extent.earlier, size),
    )
    done = 0
    for page in source.pages():
        writer.rows(page)
        done += len(page)
        yield done
    writer.end(source.checkpoint, source.note, now=now, unsealed=_unsealed())
    yield done


def notes_for(source: Source) -> list[str]:
    """The checkpoints a bundle brings: the earlier ones asked for, each key's last, the head."""
    size = source.checkpoint.size
    rotated = [event.sealed.seq for event in sealed_records([ROTATION], size)]
    before = [
        AuditCheckpoint.objects.filter(size__lte=seq).order_by("-size").values_list("size").first()
        for seq in rotated
    ]
    wanted = {*source.extent.earlier, *(found[0] for found in before if found), size}
    stored = AuditCheckpoint.objects.filter(size__in=wanted).order_by("size")
    return list(stored.values_list("note", flat=True))


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


def _with_proofs(page: Sequence[Row], size: int) -> list[Row]:
    proofs = inclusion_proofs([row.seq for row in page], size)
    return [replace(row, proof=proofs[row.seq]) for row in page]
