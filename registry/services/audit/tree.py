"""Proofs from the tree as the database holds it: few queries for many proofs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from registry.audit.merkle import Edge, NodeLookup, consistency_proof, edge_at, inclusion_proof
from registry.models.audit import AuditLeaf, AuditNode

Proof = tuple[bytes, ...]
Place = tuple[int, int]
Answer = TypeVar("Answer")


def stored_edge(size: int) -> Edge | None:
    """The right edge of the first `size` records, None where the tree does not reach so far."""
    try:
        return _from_stored_nodes(lambda lookup: edge_at(lookup, size))
    except LookupError:
        return None


def inclusion_proofs(seqs: Sequence[int], size: int) -> dict[int, Proof]:
    """Each record's proof in the tree of `size`. LookupError where stored nodes are missing."""
    return _from_stored_nodes(
        lambda lookup: {seq: inclusion_proof(lookup, seq, size) for seq in seqs}
    )


def consistency_proofs(olds: Iterable[int], size: int) -> dict[int, Proof]:
    """The proofs that the tree of `size` continues each old one, by old size."""
    sizes = sorted(set(olds))
    return _from_stored_nodes(
        lambda lookup: {old: consistency_proof(lookup, old, size) for old in sizes}
    )


def _from_stored_nodes(compute: Callable[[NodeLookup], Answer]) -> Answer:
    """Run `compute` twice: to learn which nodes it asks for, then with those nodes."""
    wanted: set[Place] = set()

    def noted(level: int, index: int) -> bytes:
        wanted.add((level, index))
        return b""

    compute(noted)
    found = _stored(wanted)
    return compute(lambda level, index: found[level, index])


def _stored(wanted: set[Place]) -> dict[Place, bytes]:
    """The wanted nodes that exist, in one query a level."""
    levels: dict[int, list[int]] = defaultdict(list)
    for level, index in wanted:
        levels[level].append(index)
    found: dict[Place, bytes] = {}
    for level, indexes in levels.items():
        found |= {(level, index): bytes(hash_) for index, hash_ in _row(level, indexes)}
    return found


def _row(level: int, indexes: Sequence[int]) -> Iterable[tuple[int, bytes | memoryview]]:
    if level == 0:
        return AuditLeaf.objects.filter(seq__in=indexes).values_list("seq", "leaf")
    nodes = AuditNode.objects.filter(level=level, idx__in=indexes)
    return nodes.values_list("idx", "hash")
