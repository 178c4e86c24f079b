"""The pool of formulas: complements come in pairs, whatever order the two were asked for in."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from registry.compatibility import check_compatibility
from registry.compatibility.formula import Above, Node, Pool
from registry.validity import is_valid

LITERALS = st.tuples(st.integers(0, 2), st.booleans())
FORMULAS = st.recursive(
    LITERALS,
    lambda parts: st.tuples(st.sampled_from(("and", "or", "not")), st.lists(parts, max_size=3)),
    max_leaves=12,
)


def built(pool: Pool, drawn: tuple[object, object]) -> Node:
    op, rest = drawn
    if isinstance(op, int):
        return pool.literal(Above(Fraction(op), inclusive=True), positive=bool(rest))
    parts = [built(pool, part) for part in rest]  # type: ignore[union-attr]
    if op == "not":
        return pool.negate(pool.all_of(parts))
    return pool.all_of(parts) if op == "and" else pool.any_of(parts)


@given(st.lists(FORMULAS, min_size=1, max_size=4))
def test_true_and_false_stay_each_other_s_complement(drawn: list[tuple[object, object]]) -> None:
    pool = Pool()
    for one in drawn:
        node = built(pool, one)
        pool.negate(pool.negate(node))
    assert pool.negate(pool.true) is pool.false
    assert pool.negate(pool.false) is pool.true


def test_a_literal_and_its_negation_are_nothing_together() -> None:
    pool, atom = Pool(), Above(Fraction(-1), inclusive=True)
    assert pool.all_of([pool.literal(atom), pool.literal(atom, positive=False)]) is pool.false
    assert pool.any_of([pool.literal(atom, positive=False), pool.literal(atom)]) is pool.true


def test_bounds_that_exclude_each_other_beside_unevaluated_properties_have_a_verdict() -> None:
    old = {"properties": {"a": {}}}
    new = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"a": False},
        "additionalProperties": {"minimum": -1, "exclusiveMaximum": -1},
        "unevaluatedProperties": False,
    }
    report = check_compatibility(old, new, "BACKWARD")
    assert (report.verdict, check_compatibility(new, old, "BACKWARD").verdict) == (
        "incompatible",
        "compatible",
    )
    assert report.witness is not None
    assert is_valid(old, report.witness.document)
    assert not is_valid(new, report.witness.document)
