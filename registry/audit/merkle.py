"""The Merkle tree of RFC 6962 over SHA-256, and its two proofs.

A tree of n leaves is known by its *edge*: the roots of the complete subtrees that n falls into,
largest first, one per set bit of n. The edge gives the root and takes new leaves; a complete
subtree, once hashed, never changes. A complete subtree is named (level, index): 2**level leaves,
from leaf index * 2**level on; level 0 is the leaves themselves.

Proofs follow RFC 6962 §2.1.1 and §2.1.2, their verification RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeLookup = Callable[[int, int], bytes]
"""(level, index) of a complete subtree -> its hash."""


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A complete subtree of 2**level leaves."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """A tree of `size` leaves as the roots of its complete subtrees, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"the edge of {self.size} leaves is not {len(self.hashes)} hashes")

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def edge_nodes(size: int) -> list[tuple[int, int]]:
    """(level, index) of every subtree on the edge of a tree of `size` leaves, largest first."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in levels]


def edge_at(lookup: NodeLookup, size: int) -> Edge:
    return Edge(size, tuple(lookup(level, index) for level, index in edge_nodes(size)))


def extend(edge: Edge, leaves: Iterable[bytes]) -> tuple[Edge, list[Node]]:
    """The edge after `leaves`, and the subtrees (level >= 1) that they completed, in that order."""
    size, hashes, completed = edge.size, list(edge.hashes), []
    for leaf in leaves:
        hashes.append(leaf)
        level, index = 0, size
        while index & 1:
            right, left = hashes.pop(), hashes.pop()
            level, index = level + 1, index >> 1
            hashes.append(node_hash(left, right))
            completed.append(Node(level, index, hashes[-1]))
        size += 1
    return Edge(size, tuple(hashes)), completed


def inclusion_proof(lookup: NodeLookup, index: int, size: int) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 6962. ValueError unless 0 <= index < size."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(lookup, middle, end))
            end = middle
        else:
            path.append(_range_root(lookup, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(lookup: NodeLookup, old: int, new: int) -> tuple[bytes, ...]:
    """PROOF(old, D[new]) of RFC 6962, nothing for old = 0. ValueError unless 0 <= old <= new."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves cannot continue one of {old}")
    if old == 0:
        return ()
    path: list[bytes] = []
    start, end = 0, new
    while end > old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(lookup, middle, end))
            end = middle
        else:
            path.append(_range_root(lookup, start, middle))
            start = middle
    if start > 0:  # start == 0: the old tree is a subtree of the new one, and its root is known
        path.append(_range_root(lookup, start, end))
    return tuple(reversed(path))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `leaf` is number `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            position, last = _climb_past_lone_nodes(position, last)
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `new` leaves with `new_root` begins with the one of `old` leaves."""
    if not 0 <= old <= new:
        return False
    if old == 0 or old == new:
        expected = EMPTY_ROOT if old == 0 else new_root
        return not proof and old_root == expected
    # A complete old tree is itself the first subtree, so the proof leaves it out.
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    return _replay(old, new, path) == (old_root, new_root)


def _replay(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            position, last = _climb_past_lone_nodes(position, last)
        else:
            new_root = node_hash(new_root, sibling)
        position, last = position >> 1, last >> 1
    return (old_root, new_root) if last == 0 else None


def _climb_past_lone_nodes(position: int, last: int) -> tuple[int, int]:
    """Up to the level where the node has a left sibling: between, it was carried up unhashed."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _split(width: int) -> int:
    """The largest power of two smaller than `width` (width >= 2)."""
    return 1 << (width - 1).bit_length() - 1


def _range_root(lookup: NodeLookup, start: int, end: int) -> bytes:
    """The hash over leaves [start, end), a range that RFC 6962's recursion meets."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return lookup(level, start >> level)
    middle = start + _split(width)
    return node_hash(_range_root(lookup, start, middle), _range_root(lookup, middle, end))
