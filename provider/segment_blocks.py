"""The checksums of blocks that were made when a segment was written: in the database, and back."""

from collections.abc import Iterable, Sequence
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


def blocks_by_source(segments: Iterable[tuple[str, list[list[Any]]]]) -> KnownBlocks:
    return {
        _source(file): {number: Block(number, *rest) for number, *rest in blocks}
        for file, blocks in segments
    }


def _source(name: str) -> str:
    return f"{SEGMENT_SOURCE}/{name}"
