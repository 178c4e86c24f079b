"""The structural difference of two schemas."""

from hypothesis import given
from hypothesis import strategies as st

from registry.diff import SchemaChange, diff


def test_equal_schemas_do_not_differ() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert diff(schema, {**schema}) == ()


def test_a_changed_value_is_given_before_and_after_with_its_pointers() -> None:
    old = {"properties": {"a": {"maxLength": 5}}}
    new = {"properties": {"a": {"maxLength": 3}}}
    place = "/properties/a/maxLength"
    assert diff(old, new) == (SchemaChange("changed", place, place, 5, 3),)


def test_annotations_are_told_apart() -> None:
    [change] = diff({"title": "a"}, {"title": "b"})
    assert change.annotation
    [change] = diff({}, {"x-owner": "team"})
    assert change.annotation
    [change] = diff({}, {"x-seamless": {"time": "t"}})
    assert not change.annotation


def test_a_property_called_like_an_annotation_is_a_property() -> None:
    [change] = diff({"properties": {}}, {"properties": {"title": {"type": "string"}}})
    assert change == SchemaChange("added", None, "/properties/title", None, {"type": "string"})


def test_members_of_required_and_enum_come_and_go_one_by_one() -> None:
    old = {"required": ["a", "b"], "enum": [1, 2]}
    new = {"required": ["b", "c"], "enum": [2, True]}
    assert {(one.kind, one.before, one.after) for one in diff(old, new)} == {
        ("removed", "a", None),
        ("added", None, "c"),
        ("removed", 1, None),
        ("added", None, True),
    }


def test_the_order_of_required_is_no_difference() -> None:
    assert diff({"required": ["a", "b"]}, {"required": ["b", "a"]}) == ()


def test_a_moved_branch_is_the_same_branch() -> None:
    one, two = {"type": "string"}, {"type": "integer", "minimum": 1}
    old = {"anyOf": [one, two]}
    new = {"anyOf": [{**two, "minimum": 2}, one]}
    [change] = diff(old, new)
    assert (change.old_pointer, change.new_pointer) == ("/anyOf/1/minimum", "/anyOf/0/minimum")


def test_a_likely_rename_is_suggested_on_the_added_property() -> None:
    old = {"properties": {"price_usd": {"type": "number"}, "note": {"type": "string"}}}
    new = {"properties": {"priceUsd": {"type": "number"}, "note": {"type": "string"}}}
    removed, added = diff(old, new)
    assert (removed.kind, removed.old_pointer) == ("removed", "/properties/price_usd")
    assert added.renamed_from == "/properties/price_usd"


def test_a_property_of_another_type_is_no_rename() -> None:
    old = {"properties": {"price": {"type": "number"}}}
    new = {"properties": {"prices": {"type": "array"}}}
    assert all(one.renamed_from is None for one in diff(old, new))


def test_one_old_property_is_suggested_for_one_new_property_only() -> None:
    old = {"properties": {"price": {"type": "number"}}}
    new = {"properties": {"price1": {"type": "number"}, "price2": {"type": "number"}}}
    suggested = [one for one in diff(old, new) if one.renamed_from is not None]
    assert len(suggested) == 1


def test_true_and_one_are_different_values() -> None:
    [change] = diff({"const": 1}, {"const": True})
    assert (change.before, change.after) == (1, True)


def test_boolean_schemas_are_compared_as_a_whole() -> None:
    [change] = diff({"items": True}, {"items": {"type": "string"}})
    assert (change.old_pointer, change.before, change.after) == ("/items", True, {"type": "string"})


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=5,
)
_KEYWORDS = ["type", "properties", "items", "enum", "required", "title", "anyOf", "not", "x-a"]
_ANYTHING = st.dictionaries(st.sampled_from(_KEYWORDS), _VALUES, max_size=5)


@given(_ANYTHING, _ANYTHING)
def test_any_two_objects_can_be_compared_and_none_differs_from_itself(old: dict, new: dict) -> None:
    assert diff(old, old) == ()
    if old != new and not _only_reordered(old, new):
        assert diff(old, new)


def _only_reordered(old: dict, new: dict) -> bool:
    """Whether both hold the same, in another order or more than once."""
    return set(map(str, _flat(old))) == set(map(str, _flat(new)))


def _flat(value: object) -> list[object]:
    if isinstance(value, dict):
        return [piece for key in value for piece in (key, *_flat(value[key]))]
    if isinstance(value, list):
        return [piece for one in value for piece in _flat(one)]
    return [value]
