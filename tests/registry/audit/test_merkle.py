"""The Merkle tree is RFC 6962's: reference values, a slow oracle, and both proofs."""

import hashlib
from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from registry.audit.merkle import (
    EMPTY_ROOT,
    Edge,
    consistency_proof,
    edge_at,
    edge_nodes,
    extend,
    inclusion_proof,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots of the Certificate Transparency reference implementations' tests.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 130)


def hash_leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def mth(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash, word for word from RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def leaves_of(size: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(size)]


class Nodes:
    """Every complete subtree of a tree, as a database would hold them."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.edge, completed = extend(Edge(), leaves)
        self.held = {(0, index): leaf for index, leaf in enumerate(leaves)}
        self.held |= {(node.level, node.index): node.hash for node in completed}

    def __call__(self, level: int, index: int) -> bytes:
        return self.held[level, index]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_implementations(size: int) -> None:
    edge, _ = extend(Edge(), map(hash_leaf, INPUTS[:size]))
    assert edge.root().hex() == ROOTS[size]


def test_the_inclusion_proofs_are_those_of_the_rfc_example() -> None:
    """RFC 6962 §2.1.3: seven leaves d0 … d6, inner nodes g h i j k l."""
    a, b, c, d, e, f, j = leaves = leaves_of(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, last = node_hash(g, h), node_hash(i, j)
    nodes = Nodes(leaves)
    assert inclusion_proof(nodes, 0, 7) == (b, h, last)
    assert inclusion_proof(nodes, 3, 7) == (c, g, last)
    assert inclusion_proof(nodes, 4, 7) == (f, j, k)
    assert inclusion_proof(nodes, 6, 7) == (i, k)


def test_the_consistency_proofs_are_those_of_the_rfc_example() -> None:
    a, b, c, d, e, f, j = leaves = leaves_of(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, last = node_hash(g, h), node_hash(i, j)
    nodes = Nodes(leaves)
    assert consistency_proof(nodes, 3, 7) == (c, d, g, last)
    assert consistency_proof(nodes, 4, 7) == (last,)
    assert consistency_proof(nodes, 6, 7) == (i, j, k)
    assert consistency_proof(nodes, 7, 7) == ()


@given(st.lists(st.binary(max_size=4), max_size=130), st.data())
def test_the_edge_has_the_root_of_the_rfc_however_the_leaves_arrive(
    inputs: list[bytes], data: st.DataObject
) -> None:
    leaves = [hash_leaf(item) for item in inputs]
    cut = data.draw(st.integers(0, len(leaves)))
    half, _ = extend(Edge(), leaves[:cut])
    whole, _ = extend(half, leaves[cut:])
    assert (whole.size, whole.root()) == (len(leaves), mth(leaves))
    assert half.root() == mth(leaves[:cut])


@given(sizes)
def test_completed_subtrees_are_all_complete_subtrees_each_once(size: int) -> None:
    leaves = leaves_of(size)
    _, completed = extend(Edge(), leaves)
    expected = {
        (level, index): mth(leaves[index << level : index + 1 << level])
        for level in range(1, size.bit_length())
        for index in range(size >> level)
    }
    assert len(completed) == len(expected)
    assert {(node.level, node.index): node.hash for node in completed} == expected


@given(st.integers(0, 130), st.data())
def test_an_edge_is_read_back_at_every_earlier_size(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    earlier = data.draw(st.integers(0, size))
    assert edge_at(Nodes(leaves), earlier).root() == mth(leaves[:earlier])
    assert sum(1 << level for level, _ in edge_nodes(earlier)) == earlier


@given(sizes, st.data())
def test_every_leaf_is_proven_and_nothing_else_is(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    root, proof = mth(leaves), inclusion_proof(Nodes(leaves), index, size)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(hash_leaf(b"other"), index, size, proof, root)
    assert not verify_inclusion(leaves[index], index, size, [*proof, root], root)
    assert not verify_inclusion(leaves[index], index, size, proof, hash_leaf(b"other"))
    if proof:
        assert not verify_inclusion(leaves[index], index, size, proof[:-1], root)
        assert not verify_inclusion(leaves[index], index, size, _flip(data, proof), root)
    if size > 1:
        other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
        assert not verify_inclusion(leaves[index], other, size, proof, root)


@given(sizes, st.data())
def test_a_continued_tree_is_proven_and_a_rewritten_one_is_not(
    new: int, data: st.DataObject
) -> None:
    leaves = leaves_of(new)
    old = data.draw(st.integers(0, new))
    old_root, new_root = mth(leaves[:old]), mth(leaves)
    proof = consistency_proof(Nodes(leaves), old, new)
    assert verify_consistency(old, old_root, new, new_root, proof)
    assert not verify_consistency(old, old_root, new, new_root, [*proof, new_root])
    assert not verify_consistency(old, hash_leaf(b"other"), new, new_root, proof)
    if old:
        assert not verify_consistency(old, old_root, new, hash_leaf(b"other"), proof)
    if proof:
        assert not verify_consistency(old, old_root, new, new_root, proof[:-1])
        assert not verify_consistency(old, old_root, new, new_root, _flip(data, proof))
    if old and old < new:
        rewritten = [hash_leaf(b"other"), *leaves[1:]]
        forged = consistency_proof(Nodes(rewritten), old, new)
        assert not verify_consistency(old, old_root, new, mth(rewritten), forged)


def _flip(data: st.DataObject, proof: Sequence[bytes]) -> list[bytes]:
    place = data.draw(st.integers(0, len(proof) - 1))
    return [bytes([n[0] ^ 1]) + n[1:] if i == place else n for i, n in enumerate(proof)]


def test_what_is_outside_the_tree_is_refused() -> None:
    nodes = Nodes(leaves_of(5))
    for index in (-1, 5):
        with pytest.raises(ValueError, match="not in a tree of 5"):
            inclusion_proof(nodes, index, 5)
        assert not verify_inclusion(nodes(0, 0), index, 5, (), nodes.edge.root())
    with pytest.raises(ValueError, match="cannot continue"):
        consistency_proof(nodes, 6, 5)
    assert not verify_consistency(6, EMPTY_ROOT, 5, nodes.edge.root(), ())
    assert not verify_consistency(3, mth(leaves_of(3)), 5, nodes.edge.root(), ())


def test_a_proof_has_exactly_the_length_of_its_sizes() -> None:
    """Each of these computes the stated roots, but of trees with other sizes than stated."""
    a, b, c, d = leaves_of(4)
    ab, cd = node_hash(a, b), node_hash(c, d)
    assert not verify_inclusion(a, 0, 1, (b,), node_hash(b, a))
    assert not verify_inclusion(a, 0, 4, (b,), ab)
    three, four = node_hash(ab, c), node_hash(ab, cd)
    assert verify_consistency(3, three, 4, four, (c, d, ab))
    assert not verify_consistency(3, node_hash(a, three), 4, node_hash(a, four), (c, d, ab, a))
    assert not verify_consistency(3, three, 7, four, (c, d, ab))


def test_an_edge_has_one_hash_per_complete_subtree() -> None:
    with pytest.raises(ValueError, match="the edge of 3 leaves is not 1 hashes"):
        Edge(3, (EMPTY_ROOT,))


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70), st.data())
def test_another_implementation_makes_the_same_roots_and_proofs(
    entries: list[bytes], data: st.DataObject
) -> None:
    """pymerkle, from PyPI. Its consistency proofs are laid out otherwise, but prove the same."""
    other = InmemoryTree.init_from_entries(entries, algorithm="sha256")
    nodes, size = Nodes([hash_leaf(entry) for entry in entries]), len(entries)
    assert other.get_root() == nodes.edge.root()
    place = data.draw(st.integers(0, size - 1))
    assert tuple(other.prove_inclusion(place + 1).path[1:]) == inclusion_proof(nodes, place, size)
    old = data.draw(st.integers(1, size))
    old_root = edge_at(nodes, old).root()
    assert other.get_root(old) == old_root
    pymerkle.verify_consistency(old_root, nodes.edge.root(), other.prove_consistency(old, size))
