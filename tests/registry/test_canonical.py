"""Same content, same bytes; and what has no canonical form is refused with its place."""

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import JSON, NotCanonical, canonicalize, fingerprint, load_json

# RFC 8785, appendix B: the bits of a double and its text.
RFC_NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

safe_integers = st.integers(-(2**53) + 1, 2**53 - 1)
# Whole floats beyond I-JSON have a canonical text that cannot be read back as they were.
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number) < 2**53 or abs(number) >= 1e21
)
scalars = st.none() | st.booleans() | safe_integers | floats | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("bits", "text"), RFC_NUMBERS)
def test_numbers_are_written_as_appendix_b_of_the_rfc_says(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonicalize(number) == text.encode()


def test_properties_are_sorted_by_utf16_code_units_as_in_the_rfc() -> None:
    document: JSON = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "😀": "Emoji: Grinning Face",
        "\u0080": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    assert list(json.loads(canonicalize(document)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_strings_are_escaped_as_the_rfc_says() -> None:
    document = {"string": '€$\x0f\nA\'B"\\\\"/', "literals": [None, True, False]}
    expected = r'{"literals":[null,true,false],"string":"€$\u000f\nA' + r"'B\"\\\\\"/" + '"}'
    assert canonicalize(document) == expected.encode()


def test_fingerprints_never_change() -> None:
    """Golden values: stored fingerprints must be found again by every later version."""
    assert fingerprint({}) == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert fingerprint({"type": "object", "maximum": 1.50, "$id": "é"}) == (
        "sha256:833802d8941367481ea4cdc79f297a4753e1444ceeb70c8fb7af49461ebabba2"
    )


@given(st.dictionaries(st.text(), documents, max_size=6), st.randoms())
def test_the_order_of_properties_makes_no_difference(document: dict[str, Any], random: Any) -> None:
    names = list(document)
    random.shuffle(names)
    shuffled = {name: document[name] for name in names}
    assert fingerprint(shuffled) == fingerprint(document)


ascii_names = st.text(st.characters(max_codepoint=127), max_size=8)
plain_scalars = st.none() | st.booleans() | safe_integers | st.text()
plain = st.recursive(
    plain_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_names, inner, max_size=4),
    max_leaves=20,
)


@given(documents | plain)
def test_what_is_written_the_fast_way_is_written_as_the_independent_library_does(
    document: Any,
) -> None:
    assert canonicalize(document) == rfc8785.dumps(document)


@given(documents)
def test_canonical_bytes_are_read_back_and_are_their_own_canonical_form(document: Any) -> None:
    canonical = canonicalize(document)
    assert canonicalize(load_json(canonical)) == canonical


@given(documents)
def test_load_json_reads_what_the_standard_library_reads(document: Any) -> None:
    text = json.dumps(document)
    assert canonicalize(load_json(text)) == canonicalize(json.loads(text))


def test_one_and_one_point_zero_are_the_same_content() -> None:
    assert fingerprint({"a": 1}) == fingerprint({"a": 1.0})
    assert fingerprint({"a": 1}) != fingerprint({"a": True})


@pytest.mark.parametrize(
    ("document", "place", "part_of_reason"),
    [
        ({"a": [0, math.nan]}, "/a/1", "nan is not a JSON number"),
        ({"a": -math.inf}, "/a", "-inf is not a JSON number"),
        ({"a": {"b/c~d": 2**53}}, "/a/b~1c~0d", "beyond I-JSON"),
        ([-(2**53)], "/0", "beyond I-JSON"),
        ([10**5000], "/0", "beyond I-JSON"),
        ({"a": "x\ud800"}, "/a", "U+D800"),
        ({"a": {"\udfff": 1}}, "/a", "U+DFFF"),
        ({"a": {1: 2}}, "/a", "not a string"),
        ({"a": (1, 2)}, "/a", "tuple is not a JSON value"),
        ({"a": b"x"}, "/a", "bytes is not a JSON value"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_pointer(
    document: Any, place: str, part_of_reason: str
) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonicalize(document)
    assert caught.value.pointer == place
    assert part_of_reason in caught.value.reason
    assert caught.value.code == "not_canonical"


def test_the_largest_safe_integers_are_kept_exactly() -> None:
    assert canonicalize([2**53 - 1, -(2**53) + 1]) == b"[9007199254740991,-9007199254740991]"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"a": {"b": 1, "b": 1}}', "duplicate_name", "/a/b"),
        ('[{"": 0, "": 1}]', "duplicate_name", "/0/"),
        ('{"a": [NaN]}', "not_canonical", "/a/0"),
        ('{"a": -Infinity}', "not_canonical", "/a"),
        ('{"a": 1e999}', "not_canonical", "/a"),
        ('["\\ud800"]', "not_canonical", "/0"),
        ("[9007199254740992]", "not_canonical", "/0"),
        ("[1e16]", "not_canonical", "/0"),
        ("[" + "9" * 5000 + "]", "not_canonical", "/0"),
        ('{"a": 1', "not_json", ""),
        ("", "not_json", ""),
        ("[1,]", "not_json", ""),
        (b'"\xff"', "not_json", ""),
        ("\ufeff{}", "not_json", ""),
        ('{"a": 1} x', "not_json", ""),
    ],
)
def test_text_is_refused_with_kind_and_pointer(text: str | bytes, code: str, place: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        load_json(text)
    assert (caught.value.code, caught.value.pointer) == (code, place)


def test_text_beyond_the_size_is_refused() -> None:
    assert load_json('"1234567"', max_bytes=9) == "1234567"
    with pytest.raises(NotCanonical) as caught:
        load_json('"12345678"', max_bytes=9)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": {"b": [[]]}}', "/a/b/0"),
        ('{"a": {"b": ["]", {"c\\"": 1}]}}', "/a/b/1"),
        ('{"a{": 1, "b,": {"c": [2, [3]]}}', "/b,/c/1"),
        ("[[[" + "[" * 100_000, "/0/0/0"),
    ],
)
def test_text_that_nests_too_deeply_is_refused_where_it_does(text: str, place: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        load_json(text, max_depth=3)
    assert (caught.value.code, caught.value.pointer) == ("too_deep", place)


def test_depth_counts_the_same_in_text_and_in_documents() -> None:
    for depth in (127, 128):
        nested = load_json("[" * depth + "]" * depth)
        assert canonicalize(nested) == b"[" * depth + b"]" * depth
    too_deep: list[Any] = []
    for _ in range(128):
        too_deep = [too_deep]
    for refused in (lambda: load_json("[" * 129 + "]" * 129), lambda: canonicalize(too_deep)):
        with pytest.raises(NotCanonical) as caught:
            refused()
        assert (caught.value.code, caught.value.pointer) == ("too_deep", "/0" * 128)


def test_a_document_that_holds_itself_is_refused() -> None:
    document: dict[str, Any] = {}
    document["self"] = document
    with pytest.raises(NotCanonical, match="nests deeper"):
        canonicalize(document)


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    text = json.dumps({"a": "[" * 1000 + '"{'})
    assert load_json(text, max_depth=1) == {"a": "[" * 1000 + '"{'}
