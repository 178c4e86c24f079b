"""Exporting: the sealed records as JSON Lines that an outsider can verify."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from registry.audit.checkpoint import Checkpoint
from registry.audit.export import header_line, record_line, trailer_line
from registry.audit.merkle import Edge
from registry.errors import NotFound
from registry.models.audit import AuditCheckpoint, AuditLeaf
from registry.services.audit.head import AuditLogForked, latest_checkpoint, log_origin, stored_edge

EXPORT_PAGE = 1_000


class NoSuchCheckpoint(NotFound):
    code = "no_such_checkpoint"
    title = "No such checkpoint"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: records `first` to `first + rows - 1`, proven under `checkpoint`."""

    first: int
    rows: int
    checkpoint: Checkpoint


def export_jsonl(out: BinaryIO, *, from_seq: int = 0, to_size: int | None = None) -> Exported:
    """Write the sealed records from `from_seq` up to a checkpoint (the last one, or `to_size`).

    The lines are those of `registry.audit.export`; memory does not grow with the log. Raises
    `NoSuchCheckpoint` where the log was never sealed at `to_size`, or starts after it.
    """
    checkpoint = latest_checkpoint() if to_size is None else _checkpoint_at(to_size)
    if not 0 <= from_seq <= checkpoint.size:
        raise NoSuchCheckpoint(
            f"records from {from_seq} on: the log is sealed up to {checkpoint.size}",
            size=checkpoint.size,
        )
    out.write(header_line(checkpoint.origin, _edge_before(from_seq)))
    for line in _record_lines(from_seq, checkpoint.size):
        out.write(line)
    rows = checkpoint.size - from_seq
    out.write(trailer_line(rows, checkpoint))
    return Exported(from_seq, rows, checkpoint)


def _checkpoint_at(size: int) -> Checkpoint:
    stored = AuditCheckpoint.objects.filter(size=size).first()
    if stored is None:
        raise NoSuchCheckpoint(
            f"no checkpoint has {size} records; the last one has {latest_checkpoint().size}",
            size=size,
        )
    return Checkpoint(log_origin(), size, bytes(stored.root))


def _edge_before(seq: int) -> Edge:
    edge = stored_edge(seq)
    if edge is None:
        raise AuditLogForked(f"the stored Merkle tree has holes before record {seq}", seq=seq)
    return edge


def _record_lines(start: int, end: int) -> Iterator[bytes]:
    """Keyset pages: the same few rows in memory however long the log, on either database."""
    while start < end:
        page = list(
            AuditLeaf.objects.filter(seq__gte=start, seq__lt=end)
            .order_by("seq")
            .values_list(
                "seq", "event__payload_format", "leaf", "event__payload_canonical", named=True
            )[:EXPORT_PAGE]
        )
        if not page:
            return  # records were taken out of the table; the verifier names the first
        for row in page:
            yield record_line(
                row.seq, row.event__payload_format, bytes(row.leaf), row.event__payload_canonical
            )
        start = page[-1].seq + 1
