"""What was noted when a segment was written: the checksums of its blocks, how it was aligned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordinator.coverage import CoverageRange
from coordinator.grid import Grid
from provider.blend import Piece
from provider.fingerprints import Block, KnownBlocks, piece_blocks
from provider.stores.protocol import SEGMENT_SOURCE, Store
from registry.frame import Frame


def blocks_of_segment(
    store: Store, name: str, span: CoverageRange, frame: Frame, grid: Grid
) -> list[list[Any]]:
    """What a segment will be read back as, hashed: the store may hold numbers as another type."""
    pieces: Sequence[Piece] = store.read(span.start, span.end, [name])
    tables = [piece.table for piece in pieces if piece.source == _source(name)]
    blocks = piece_blocks(tables[0], frame, grid) if tables else []
    return [[block.number, block.rows, block.checksum] for block in blocks]


@dataclass(frozen=True, slots=True)
class ReadSegments:
    """By the name of the piece that a segment is read as: its blocks, and how it was aligned."""

    blocks: KnownBlocks = field(default_factory=dict)
    alignment: Mapping[str, str] = field(default_factory=dict)


def segments_by_source(segments: Iterable[tuple[str, list[list[Any]], str]]) -> ReadSegments:
    read = list(segments)
    return ReadSegments(
        {
            _source(file): {number: Block(number, *rest) for number, *rest in blocks}
            for file, blocks, _ in read
        },
        {_source(file): alignment for file, _, alignment in read if alignment},
    )


def _source(name: str) -> str:
    return f"{SEGMENT_SOURCE}/{name}"
