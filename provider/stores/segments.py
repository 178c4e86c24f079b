"""What stores that keep segments in tables have in common: names, checksums, plain arrays."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import types

_NAME = re.compile(r"[A-Za-z0-9_%~-]{1,150}\.[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StagedRows:
    """A segment whose rows lie in a table; see `provider.stores.protocol.Staged`."""

    name: str
    checksum: str
    rows: int


def segment_name(shard_id: int | str, epoch: int) -> str:
    """`<shard>.<epoch>`; what is no letter, digit, `_` or `-` of the shard is written in hex."""
    safe = "".join(
        one if re.fullmatch(r"[A-Za-z0-9_-]", one, re.ASCII) else f"%{one.encode().hex()}"
        for one in str(shard_id)
    )
    return checked_segment_name(f"{safe}.{epoch}")


def checked_segment_name(name: str) -> str:
    """The name; ValueError for what cannot be one."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a segment")
    return name


def checksum_of(rows: pa.Table) -> str:
    """Of the rows in their order and their types; each column must be one chunk."""
    digest = hashlib.sha256()
    with pa.ipc.new_stream(_Digesting(digest), rows.schema) as stream:
        stream.write_table(rows)
    return f"sha256:{digest.hexdigest()}"


class _Digesting:
    """A file that keeps nothing but the digest of what is written to it."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def one_plain_array(values: pa.ChunkedArray) -> pa.Array:
    """One array without a dictionary. Arrow's own joining of nested chunks is not relied on."""
    kind = values.type.value_type if types.is_dictionary(values.type) else values.type
    chunks = [
        one.dictionary_decode() if types.is_dictionary(one.type) else one for one in values.chunks
    ]
    if types.is_nested(kind) and len(chunks) > 1:
        return pa.array([cell for one in chunks for cell in one.to_pylist()], kind)
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)
