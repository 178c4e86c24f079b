"""The dataset fingerprint: what an answer holds, named by its content.

Rows are put into blocks of `BLOCK_BARS` grid points, counted from the node's anchor, so that where
a block ends depends on the data alone and not on how it was stored. A block's checksum is SHA-256
over its rows in the order of time and key, column by column by name; the fingerprint of an answer
is SHA-256 over the checksums of its blocks. The order of rows and columns, chunks and dictionaries
change nothing. A checksum that was made when a block was written stands for the
block; only blocks that the window cuts, or that several pieces make up, are hashed again.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from coordinator.coverage import Bools, Int64s
from coordinator.grid import Grid
from provider.blend import Blended, Piece, blend
from provider.parts import Part
from provider.threads import in_runs
from provider.timeline import Key, one_array, read_times
from registry.cells import json_text, write_cells
from registry.frame import Frame

BLOCK_BARS = 256
BLOCKS_FOR_A_THREAD = 16
_FORMAT = b"seamless-dataset-1"


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one run of grid points: how many there are, and their checksum (hex)."""

    number: int
    rows: int
    checksum: str


# Blocks that were hashed when their piece was written, by the name of the piece.
KnownBlocks = Mapping[str, Mapping[int, Block]]


def dataset_fingerprint(blended: Blended, grid: Grid, known: KnownBlocks | None = None) -> str:
    """`sha256:…` over the rows of an answer as they were blended, before types were joined."""
    if blended.frame.time is None:
        return _named(_untimed(blended))
    stream = FingerprintStream(grid)
    stream.add(blended, known or {})
    return stream.name()


class FingerprintStream:
    """The fingerprint of rows that come in batches, none of which cuts a block."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._digest = hashlib.sha256(_FORMAT)

    def add(self, blended: Blended, known: KnownBlocks) -> None:
        """The rows of the next batch in time."""
        for block in _blocks(blended, self._grid, known):
            self._digest.update(f"{block.number}:{block.rows}:{block.checksum}\n".encode())

    def name(self) -> str:
        return _named(self._digest.hexdigest())


def piece_blocks(table: pa.Table, frame: Frame, grid: Grid) -> list[Block]:
    """The blocks of a piece that is about to be written; none where rows would be dropped."""
    if frame.time is None:
        return []
    blended = blend([Piece("", table)], frame, grid=grid)
    whole = blended.rows == table.num_rows
    return _blocks(blended, grid, {}) if whole else []


def _named(hexadecimal: str) -> str:
    return f"sha256:{hexadecimal}"


def _untimed(blended: Blended) -> str:
    """Rows without a declared time have no blocks: their lines, sorted."""
    lines = []
    for part in blended.parts:
        names = sorted(part.table.column_names)
        cells = [write_cells(part.table.column(name)) for name in names]
        lines += [json_text(dict(zip(names, row, strict=True))) for row in zip(*cells, strict=True)]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


# --- blocks -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rows:
    """The rows of one part in canonical order, cut into blocks; columns are encoded when needed."""

    part: Part
    order: Int64s | None
    frame: Frame
    numbers: Int64s
    starts: Int64s
    ends: Int64s
    encoded: "list[_Column] | None" = None
    encoding: threading.Lock = field(default_factory=threading.Lock)

    def columns(self) -> "list[_Column]":
        with self.encoding:
            if self.encoded is None:
                self.encoded = list(_encoded_columns(self.part, self.frame, self.order))
        return self.encoded


def _blocks(blended: Blended, grid: Grid, known: KnownBlocks) -> list[Block]:
    """In the order of time; many of them by several threads, which SHA-256 lets run at once."""
    ranks = _ranks(blended.keys)
    cut = [_cut(part, ranks, blended.frame, grid) for part in blended.parts]
    where: dict[int, list[tuple[_Rows, int]]] = {}
    for rows in cut:
        for place, number in enumerate(rows.numbers.tolist()):
            where.setdefault(number, []).append((rows, place))
    numbers = sorted(where)

    def name(some: Sequence[int]) -> list[Block]:
        return [
            _known(blended.sources, where[number], number, known) or _hashed(where[number], number)
            for number in some
        ]

    return in_runs(name, numbers, least=BLOCKS_FOR_A_THREAD)


def _cut(part: Part, ranks: Int64s, frame: Frame, grid: Grid) -> _Rows:
    rank, seconds, nanos = ranks[part.series], part.times.seconds, part.times.nanos
    later, finer = np.diff(seconds), np.diff(nanos)
    behind = (later < 0) | ((later == 0) & ((finer < 0) | ((finer == 0) & (np.diff(rank) < 0))))
    order = np.lexsort((rank, nanos, seconds)) if behind.any() else None
    ordered = seconds if order is None else seconds[order]
    number = (ordered - grid.anchor) // (grid.interval * BLOCK_BARS)
    starts = np.flatnonzero(np.concatenate(([True], np.diff(number) != 0)))[: len(number)]
    ends = np.append(starts[1:], len(number))[: len(starts)]
    return _Rows(part, order, frame, number[starts], starts, ends)


def _ranks(keys: Sequence[Key]) -> Int64s:
    """Where each series stands among rows of one time, by what its key says alone."""
    order = sorted(range(len(keys)), key=lambda n: json_text(dict(sorted(keys[n].items()))))
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys))
    return ranks


def _known(
    sources: Sequence[str], found: Sequence[tuple[_Rows, int]], number: int, known: KnownBlocks
) -> Block | None:
    """The checksum of a block all of whose rows, and no others, came with one piece."""
    if len(found) != 1 or not known:
        return None
    rows, place = found[0]
    start, end = int(rows.starts[place]), int(rows.ends[place])
    pieces = rows.part.pieces if rows.order is None else rows.part.pieces[rows.order]
    inside = pieces[start:end]
    if inside[0] != inside[-1] or (inside != inside[0]).any():
        return None
    block = known.get(sources[int(inside[0])], {}).get(number)
    return block if block is not None and block.rows == end - start else None


def _hashed(found: Sequence[tuple[_Rows, int]], number: int) -> Block:
    spans = [(rows, int(rows.starts[place]), int(rows.ends[place])) for rows, place in found]
    digests = sorted(_hash_rows(*span) for span in spans)
    checksum = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return Block(number, sum(end - start for _, start, end in spans), checksum.hex())


def _hash_rows(rows: _Rows, start: int, end: int) -> bytes:
    digest = hashlib.sha256()
    for column in rows.columns():
        column.add_to(digest, start, end)
    return digest.digest()


# --- columns ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    """The cells of a column as bytes, equal for equal content; nulls are marked and blank.

    Cells of one width lie in `values`. Texts lie in `data` from `offsets[n]` to `offsets[n + 1]`,
    and `values` are their lengths.
    """

    header: bytes
    values: NDArray[np.generic]
    nulls: Bools | None = None
    offsets: Int64s | None = None
    data: bytes | memoryview = b""

    def add_to(self, digest: "hashlib._Hash", start: int, end: int) -> None:
        nulls = None if self.nulls is None else self.nulls[start:end]
        if nulls is not None and nulls.any():
            if nulls.all():
                digest.update(_sized(self.header.rpartition(b"\0")[0] + b"\0null"))
                return
            digest.update(_sized(self.header + b"\0nulls"))
            digest.update(np.packbits(nulls).data)
        else:
            digest.update(_sized(self.header))
        digest.update(self.values[start:end].data)
        if self.offsets is not None:
            digest.update(self.data[int(self.offsets[start]) : int(self.offsets[end])])


@dataclass(frozen=True, slots=True)
class _Nanos(_Column):
    """The fractions of the seconds: most blocks have none, and say so in one word."""

    def add_to(self, digest: "hashlib._Hash", start: int, end: int) -> None:
        if self.values[start:end].any():
            _Column.add_to(self, digest, start, end)
        else:
            digest.update(_sized(self.header + b"\0zero"))


def _sized(header: bytes) -> bytes:
    return len(header).to_bytes(4) + header


def _encoded_columns(part: Part, frame: Frame, order: Int64s | None) -> Iterator[_Column]:
    for name in sorted(part.table.column_names):
        if name == frame.time:
            seconds, nanos = part.times.seconds, part.times.nanos
            if order is not None:
                seconds, nanos = seconds[order], nanos[order]
            yield _Column(name.encode() + b"\0time", np.ascontiguousarray(seconds))
            yield _Nanos(name.encode() + b"\0nanos", np.ascontiguousarray(nanos))
            continue
        array = one_array(part.table.column(name))
        yield _encoded(name.encode(), array if order is None else array.take(order))


def _encoded(name: bytes, array: pa.Array) -> _Column:
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind, nulls = array.type, None
    if array.null_count:
        nulls = array.is_null().to_numpy(zero_copy_only=False)
    if types.is_floating(kind):
        return _Column(name + b"\0real", _reals(array), nulls)
    if types.is_integer(kind):
        family, values = _integers(array)
        return _Column(name + b"\0" + family, values, nulls)
    if types.is_boolean(kind):
        values = array.cast(pa.int8()).fill_null(0).to_numpy(zero_copy_only=False)
        return _Column(name + b"\0boolean", values, nulls)
    if types.is_timestamp(kind):
        times = read_times(pa.chunked_array([array]), None)
        both = np.empty(len(array), np.dtype("i8,i8"))
        both["f0"], both["f1"] = times.seconds, times.nanos
        return _Column(name + b"\0instant", both, nulls)
    return _texts(name, array, nulls)


def _integers(array: pa.Array) -> tuple[bytes, NDArray[np.generic]]:
    filled = array.fill_null(0) if array.null_count else array
    if types.is_uint64(array.type) and (pc.max(filled).as_py() or 0) >= 2**63:
        return b"large integer", filled.to_numpy()
    return b"integer", filled.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _reals(array: pa.Array) -> NDArray[np.generic]:
    filled = (array.fill_null(0.0) if array.null_count else array).cast(pa.float64())
    values: NDArray[np.generic] = filled.to_numpy(zero_copy_only=False)
    nan = np.isnan(values)
    return np.where(nan, np.nan, values) if nan.any() else values  # one NaN of the many


def _texts(name: bytes, array: pa.Array, nulls: Bools | None) -> _Column:
    """Texts as they are, and everything else by its JSON text."""
    family = b"text" if _is_text(array.type) else str(array.type).encode()
    if not _is_text(array.type):
        texts = [cell if isinstance(cell, str) else json_text(cell) for cell in write_cells(array)]
        array = pa.array(texts, pa.large_string(), mask=nulls)
    cells = array.cast(pa.large_string())
    if nulls is not None:
        cells = cells.fill_null("")
    _, offsets_buffer, data = cells.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[cells.offset : cells.offset + len(cells) + 1]
    if len(offsets) == 0:
        offsets = np.zeros(1, np.int64)
    lengths = np.diff(offsets).astype(np.int32)
    held = b"" if data is None else memoryview(data)
    return _Column(name + b"\0" + family, lengths, nulls, offsets, held)


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
