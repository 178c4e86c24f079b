"""The Merkle tree of RFC 6962, as much of it as checking an export needs."""

import hashlib
from collections.abc import Sequence


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The right edge of a tree: (leaves below, hash) of its complete subtrees, largest first."""

    def __init__(self, size: int, edge: Sequence[bytes]) -> None:
        """ValueError unless `edge` has one hash per complete subtree of `size` leaves."""
        widths = [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
        self.size = size
        self.subtrees = list(zip(widths, edge, strict=True))

    def append(self, leaf: bytes) -> None:
        width, top = 1, leaf
        while self.subtrees and self.subtrees[-1][0] == width:
            left = self.subtrees.pop()[1]
            width, top = 2 * width, node(left, top)
        self.subtrees.append((width, top))
        self.size += 1

    def root(self) -> bytes:
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        *rest, (_width, root) = self.subtrees
        for _, left in reversed(rest):
            root = node(left, root)
        return root


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is number `index` of the tree of `size` leaves with this root.

    From the leaf upwards: at each level its sibling stands left, right, or is missing at the edge.
    """
    if not 0 <= index < size:
        return False
    siblings, top, last = list(proof), leaf, size - 1
    while last:
        if index & 1:
            if not siblings:
                return False
            top = node(siblings.pop(0), top)
        elif index < last:
            if not siblings:
                return False
            top = node(top, siblings.pop(0))
        index, last = index >> 1, last >> 1
    return not siblings and top == root


def continues(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `size` leaves begins with that of `old_size` (RFC 6962, 2.1.2).

    The proof is taken apart as the RFC's SUBPROOF builds it, from its last hash to its first.
    """
    if not 0 < old_size <= size:
        return old_size == 0 and not proof and old_root == hashlib.sha256(b"").digest()
    rest = list(proof)
    try:
        roots = _both_roots(old_size, size, True, old_root, rest)
    except IndexError:
        return False
    return not rest and roots == (old_root, root)


def _both_roots(
    old: int, size: int, whole: bool, old_root: bytes, proof: list[bytes]
) -> tuple[bytes, bytes]:
    """The roots over the first `old` and over all `size` leaves of one subtree."""
    if old == size:
        top = old_root if whole else proof.pop(0)
        return top, top
    split = 1 << (size - 1).bit_length() - 1
    if old <= split:
        old_top, left = _both_roots(old, split, whole, old_root, proof)
        return old_top, node(left, proof.pop(0))
    old_right, right = _both_roots(old - split, size - split, False, old_root, proof)
    left = proof.pop(0)
    return node(left, old_right), node(left, right)
