"""References are resolved without ever fetching, and everything they reach has one fingerprint."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import fingerprint
from registry.dialects import DRAFT4, DRAFT7, DRAFT202012
from registry.references import (
    UnresolvedReference,
    endless_references,
    patterns_of,
    reach,
    resolved_fingerprint,
)

A, B, C = (f"seamless:///subjects/{name}/versions/1" for name in "abc")
REFERENCES: dict[str, Any] = {
    A: {"properties": {"b": {"$ref": f"{B}#/$defs/part"}}},
    B: {"$defs": {"part": {"type": "string", "pattern": "^b"}}},
    C: {"type": "integer"},
}


def test_a_document_without_references_to_others_has_its_content_fingerprint() -> None:
    document = {"$defs": {"a": {"type": "null"}}, "properties": {"x": {"$ref": "#/$defs/a"}}}
    assert resolved_fingerprint(document) == fingerprint(document)
    assert resolved_fingerprint(document, REFERENCES) == fingerprint(document)
    assert resolved_fingerprint(True) == fingerprint(True)


def test_meta_schemas_do_not_count_as_references() -> None:
    document = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
    assert resolved_fingerprint(document) == fingerprint(document)


def test_the_resolved_fingerprint_covers_exactly_what_is_reached() -> None:
    document = {"properties": {"a": {"$ref": A}}}
    resolved = resolved_fingerprint(document, REFERENCES)
    assert resolved == fingerprint(
        {
            "document": fingerprint(document),
            "references": [
                {"uri": A, "fingerprint": fingerprint(REFERENCES[A])},
                {"uri": B, "fingerprint": fingerprint(REFERENCES[B])},
            ],
        }
    )
    changed_far_away = {**REFERENCES, B: {"$defs": {"part": {"type": "null"}}}}
    assert resolved_fingerprint(document, changed_far_away) != resolved
    changed_elsewhere = {**REFERENCES, C: True}
    assert resolved_fingerprint(document, changed_elsewhere) == resolved


@given(st.permutations([A, B, C]))
def test_the_order_of_references_makes_no_difference(order: list[str]) -> None:
    document = {"allOf": [{"$ref": C}, {"$ref": A}]}
    shuffled = {uri: REFERENCES[uri] for uri in order}
    assert resolved_fingerprint(document, shuffled) == resolved_fingerprint(document, REFERENCES)


def test_a_reference_that_leads_nowhere_has_no_resolved_fingerprint() -> None:
    with pytest.raises(UnresolvedReference) as caught:
        resolved_fingerprint({"properties": {"a": {"$ref": A}}}, {A: REFERENCES[A]})
    assert caught.value.pointer == f"{A}#/properties/b/$ref"
    assert "nothing is ever fetched" in caught.value.reason


def test_every_subschema_is_reached_once_with_its_own_place() -> None:
    document = {
        "$defs": {"c": {"not": {"$anchor": "anchor", "items": {"$ref": "#/$defs/c"}}}},
        "properties": {"a": {"$ref": A}, "b": {"$ref": "#/x-hidden/b"}, "c": {"$ref": "#anchor"}},
        "x-hidden": {"b": {"not": {"type": "null"}}},
    }
    reached = reach(document, DRAFT202012, REFERENCES)
    assert reached.unresolved == []
    assert reached.uris == {A, B}
    assert sorted(place.pointer for place in reached.places) == sorted(
        [
            "", "/properties/a", "/properties/b", "/properties/c", "/x-hidden/b",
            "/x-hidden/b/not", "/$defs/c", "/$defs/c/not", "/$defs/c/not/items", f"{A}#",
            f"{A}#/properties/b", f"{B}#/$defs/part",
        ]
    )  # fmt: skip


def test_a_version_is_reached_by_relative_reference_and_by_its_own_id_too() -> None:
    document = {
        "$id": "seamless:///subjects/me/versions/2",
        "properties": {
            "a": {"$ref": "../../c/versions/1"},
            "b": {"$ref": "seamless:///subjects/me/versions/2#/$defs/x"},
            "c": {"$ref": "/subjects/b/versions/1#/$defs/part"},
        },
        "$defs": {"x": {}},
    }
    reached = reach(document, DRAFT202012, REFERENCES)
    assert reached.unresolved == []
    assert reached.uris == {B, C}


def test_patterns_are_found_wherever_references_lead() -> None:
    document = {"patternProperties": {"^x": {"pattern": "y"}}, "properties": {"a": {"$ref": A}}}
    reached = reach(document, DRAFT202012, REFERENCES)
    found = patterns_of(reached.places)
    assert sorted((place.below(*path), text) for place, path, text in found) == [
        ("/patternProperties/^x", "^x"),
        ("/patternProperties/^x/pattern", "y"),
        (f"{B}#/$defs/part/pattern", "^b"),
    ]


def test_siblings_of_a_reference_do_not_count_in_the_drafts_that_hide_them() -> None:
    document = {"$ref": "#/definitions/a", "pattern": "(", "definitions": {"a": {"pattern": "a"}}}
    old = reach(document, DRAFT7)
    assert [text for _, _, text in patterns_of(old.places)] == ["a"]
    new = reach({**document, "$schema": DRAFT202012.uri}, DRAFT202012)
    assert sorted(text for _, _, text in patterns_of(new.places)) == ["(", "a"]


def test_draft_4_documents_with_booleans_can_be_referred_to() -> None:
    document = {
        "id": "http://x/root",
        "additionalProperties": False,
        "properties": {"a": {"$ref": "part"}},
        "definitions": {"part": {"id": "part", "items": [{}], "additionalItems": False}},
    }
    assert reach(document, DRAFT4).unresolved == []


def test_each_cycle_without_progress_is_named_once() -> None:
    document = {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"properties": {"x": {"$ref": "#"}}}]},
            "b": {"not": {"$ref": "#/$defs/a"}},
            "c": {"items": {"$ref": "#/$defs/c"}},
        },
    }
    reached = reach(document, DRAFT202012)
    assert list(endless_references(reached, dynamic=False)) == ["/$defs/b/not/$ref"]


def test_dynamic_references_count_as_cycles_only_where_asked() -> None:
    reached = reach({"allOf": [{"$dynamicRef": "#"}]}, DRAFT202012)
    assert list(endless_references(reached, dynamic=False)) == []
    assert list(endless_references(reached, dynamic=True)) == ["/allOf/0/$dynamicRef"]
