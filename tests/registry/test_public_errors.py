"""However odd a schema's identifiers: a public function raises what it documents or nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.admission import SchemaNotAdmitted, admit
from registry.canonical import NotCanonical, fingerprint
from registry.columnar import compile_schema
from registry.compatibility import check_compatibility
from registry.diff import diff
from registry.lint import lint
from registry.metaschemas import UnknownDialect
from registry.references import UnresolvedReference, resolved_fingerprint
from registry.validity import InvalidSchema, TooDeep, is_valid

URIS = [
    *("", "#", "#a", "#/$defs/x", "#/$defs/x/$defs/x", "x.json", "x.json#a", "sub/x.json", "../x"),
    *("http://h/x.json", "http://h/x.json#a", "http://h/", "urn:x:y", "urn:x:y#a", "//h/x", "?q"),
    *("seamless:///subjects/s/versions/1", "seamless:///subjects/s/versions/1#a", "seamless:///z"),
    *("http://[", "%", "#%", "#/%ZZ", "\u0000", "a b", "http://h:x/", "tag:a,b:c", "file:///etc"),
]
DIALECTS = [
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-04/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "x.json",
]
KEYWORDS = ["$id", "id", "$ref", "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"]


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(KEYWORDS), st.sampled_from(URIS) | st.just("a"))
    nested = st.fixed_dictionaries(
        {},
        optional={
            "$schema": st.sampled_from(DIALECTS),
            "$recursiveAnchor": st.booleans(),
            "type": st.sampled_from(["object", "integer", 5]),
            "$defs": st.dictionaries(st.sampled_from(["x", "a"]), inner, max_size=2),
            "definitions": st.dictionaries(st.sampled_from(["x", "a"]), inner, max_size=2),
            "properties": st.dictionaries(st.sampled_from(["x", "q"]), inner, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "items": inner,
        },
    )
    return st.builds(lambda one, other: one | other, named, nested)


SCHEMAS = st.recursive(st.booleans() | st.just({}), schemas, max_leaves=5)
REFERENCES = st.dictionaries(
    st.sampled_from(["seamless:///subjects/s/versions/1", "http://h/x.json", "urn:x:y"]),
    SCHEMAS,
    max_size=2,
)
DOCUMENTED = (InvalidSchema, SchemaNotAdmitted, TooDeep, NotCanonical)
NAMED = (*DOCUMENTED, UnresolvedReference, UnknownDialect)


def asked(schema: Any, references: dict[str, Any]) -> dict[str, tuple[Callable[[], Any], Any]]:
    table = pa.table({"x": [1], "q": ["a"]})
    return {
        "admit": (lambda: admit(schema, references=references), SchemaNotAdmitted),
        "is_valid": (lambda: is_valid(schema, {"x": 1}, references=references), DOCUMENTED),
        "check": (
            lambda: compile_schema(schema, references=references).check(table),
            DOCUMENTED,
        ),
        "compatibility": (
            lambda: check_compatibility(schema, schema, "FULL", references=references),
            DOCUMENTED,
        ),
        "lint": (lambda: list(lint(schema)), NAMED),
        "diff": (lambda: diff(schema, {"$defs": {"x": schema}}), ()),
        "fingerprint": (lambda: fingerprint(schema), ()),
        "resolved_fingerprint": (lambda: resolved_fingerprint(schema, references), NAMED),
    }


@pytest.mark.parametrize("name", sorted(asked({}, {})))
@given(schema=SCHEMAS, references=REFERENCES)
def test_only_documented_errors_are_raised(
    name: str, schema: Any, references: dict[str, Any]
) -> None:
    call, documented = asked(schema, references)[name]
    with suppress(documented):
        call()
