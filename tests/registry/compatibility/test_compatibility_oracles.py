"""Two independent engines beside ours. Where they disagree, the reason is known and written here.

`jsonschema_rs` (set algebra of schemas) treats `format` as an annotation: the only disagreement.
`jsoncompat` answers yes or no only, and its "no" also means "not shown"; its "yes" is wrong where
only keywords differ that it does not compare, and there we show the document.
"""

import json
from typing import Any

import jsoncompat
import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.compatibility import InvalidSchema, check_compatibility
from registry.validity import check_schema
from tests.registry.compatibility.drawn_schemas import mutations, roots
from tests.registry.compatibility.test_compatibility_cases import ROWS

PAIRS = [(name, old, new) for name, old, new, _ in ROWS]
PAIRS += [(f"{name}, reversed", new, old) for name, old, new, _ in ROWS]


def set_algebra(old: Any, new: Any) -> str:
    """What `jsonschema_rs` says: yes, no or unknown; "none" where it does not take the schemas."""
    try:
        answer = jsonschema_rs.canonicalize(new).covers(jsonschema_rs.canonicalize(old))
    except (ValueError, jsonschema_rs.ReferencingError):
        return "none"
    return str(answer)


def speaks_of_formats(*schemas: Any) -> bool:
    return any('"format"' in json.dumps(schema) for schema in schemas)


@pytest.mark.parametrize(("old", "new"), [pair[1:] for pair in PAIRS], ids=[p[0] for p in PAIRS])
def test_jsonschema_rs_disagrees_about_formats_only(old: Any, new: Any) -> None:
    verdict = check_compatibility(old, new, "BACKWARD").verdict
    disagreement = (verdict, set_algebra(old, new))
    if disagreement in (("compatible", "no"), ("incompatible", "yes")):
        assert speaks_of_formats(old, new)


@given(st.data(), roots())
def test_jsonschema_rs_disagrees_about_no_drawn_pair_without_formats(
    data: st.DataObject, root: tuple[Any, str]
) -> None:
    old, dialect = root
    new = data.draw(mutations(old, dialect))
    assume(not speaks_of_formats(old, new))
    # Its 2019-09 and draft-04 readings of unevaluated and exclusive keywords are not ours.
    assume(dialect not in ("2019-09", "draft4"))
    try:
        check_schema(old)
        check_schema(new)
    except InvalidSchema:
        assume(False)
    verdict = check_compatibility(old, new, "BACKWARD").verdict
    assert (verdict, set_algebra(old, new)) not in (
        ("compatible", "no"),
        ("incompatible", "yes"),
    )


def jsoncompat_says_yes(old: Any, new: Any) -> bool | None:
    try:
        return jsoncompat.check_compat(json.dumps(old), json.dumps(new), "deserializer")
    except ValueError:
        return None


JSONCOMPAT_DOES_NOT_COMPARE = ("pattern", "format", "dependentSchemas", "unevaluatedProperties")


@pytest.mark.parametrize(("old", "new"), [pair[1:] for pair in PAIRS], ids=[p[0] for p in PAIRS])
def test_jsoncompat_accepts_wrongly_only_what_it_does_not_compare(old: Any, new: Any) -> None:
    verdict = check_compatibility(old, new, "BACKWARD").verdict
    if verdict == "incompatible" and jsoncompat_says_yes(old, new):
        text = json.dumps([old, new])
        assert any(f'"{keyword}"' in text for keyword in JSONCOMPAT_DOES_NOT_COMPARE)
