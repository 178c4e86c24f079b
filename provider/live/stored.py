"""What storage has of a range, beside what a feed has of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from coordinator.coverage import Window
from provider.blend import Piece, ReadPiece, read_pieces
from provider.node_view import committed_segments
from provider.stores.opening import open_store
from registry.frame import Frame
from registry.models import Node


def stored_times(node: Node, frame: Frame, window: Window) -> list[Piece]:
    """Times and keys of the stored rows."""
    columns = [name for name in (frame.time, *frame.key) if name]
    committed = committed_segments(node, window)
    return open_store(node, frame).read(window.start, window.end, committed, columns=columns)


def unstored(live: Sequence[Piece], stored: Sequence[Piece], frame: Frame) -> list[Piece]:
    """The live rows of bars that no stored row has: a stored row stands."""
    read = read_pieces([*stored, *live], frame).read
    known = {bar for piece in read[: len(stored)] for bar in _bars(piece)}
    kept = []
    for piece in read[len(stored) :]:
        new = np.array([bar not in known for bar in _bars(piece)], np.bool_)
        if new.any():
            kept.append(Piece(piece.source, piece.table.filter(pa.array(new))))
    return kept


def _bars(piece: ReadPiece) -> list[tuple[Any, ...]]:
    times = piece.times
    columns = (piece.series.tolist(), times.seconds.tolist(), times.nanos.tolist())
    return list(zip(*columns, strict=True))
