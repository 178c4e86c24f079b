"""Patterns mean what ECMA-262 says, in linear time where RE2 can, and say why where it cannot."""

import re
from itertools import product

import jsonschema_rs
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from registry.patterns import InvalidPattern, NotLinear, compile_pattern, linear_refusal
from registry.patterns.characters import Property, complement, merged, ranges_of
from registry.patterns.printers import to_python, to_re2
from registry.patterns.syntax import parse

# pattern, texts it finds something in, texts it does not
MEANINGS = [
    ("^a$", ["a"], ["a\n", "ab", "\na", ""]),
    ("b", ["abc"], ["ac"]),
    ("", ["", "x"], []),
    (r"^\d+$", ["0123456789"], ["٣", "1a", ""]),
    (r"^\D$", ["٣", "a"], ["1"]),
    (r"^\w+$", ["aZ_9"], ["é", "\u017f", "\u212a", "-"]),
    (r"^\W$", ["é", "-"], ["a"]),
    (r"^\s+$", ["\t\n\v\f\r \u00a0\ufeff\u2028\u2029\u3000\u1680"], ["\u0085", "\u001c", "\u200b"]),
    (r"^\S$", ["\u0085", "\u001c", "x"], [" ", "\ufeff"]),
    ("^.$", ["a", "😀", "\u0085", "\v"], ["\n", "\r", "\u2028", "\u2029", ""]),
    (r"^[\s\S]$", ["\n", "a", "😀"], [""]),
    ("^[^a]$", ["b", "\n", "😀"], ["a", ""]),
    ("^[]$", [], ["", "a"]),
    ("^[^]$", ["a", "\n"], [""]),
    (r"^[\d\-x]+$", ["1-x"], ["y"]),
    ("^[a-]$", ["a", "-"], ["b"]),
    ("^[-a]$", ["a", "-"], ["b"]),
    (r"^[\w-]$", ["a", "-"], ["."]),
    (r"^[\b]$", ["\b"], ["b"]),
    (r"\bfoo\b", ["a foo b", "éfooé"], ["afoo", "foo1"]),
    (r"^\Boo", [], ["oo"]),
    (r"o\B", ["oo"], ["o"]),
    (r"^\cC\cc\x41\u0042\u{43}\0$", ["\x03\x03ABC\0"], [""]),
    (r"^\ud83d\ude00$", ["😀"], ["😁"]),
    (r"^[\u{1F600}-\u{1F64F}]$", ["😀"], ["😀😀", "a"]),
    (r"^[\ud83d\ude00]$", ["😀"], ["a"]),
    (r"^\ud83d$", [], ["😀", "a"]),
    (r"^\p{L}+$", ["aéЖ漢"], ["1", "_"]),
    (r"^\p{Lu}\P{Lu}$", ["Éa"], ["aÉ"]),
    (r"^\p{General_Category=Decimal_Number}$", ["٣", "3"], ["a"]),
    (r"^\p{gc=Nd}$", ["٣"], ["½"]),
    (r"^\p{digit}+$", ["42", "߄߂"], ["-%#"]),
    (r"^\p{Script=Greek}$", ["\u03b1"], ["a"]),
    (r"^\p{sc=Grek}$", ["\u03b1"], ["a"]),
    (r"^\p{Script=Old_Italic}$", ["\U00010300"], ["a"]),
    (r"^\p{ASCII}$", ["a"], ["é"]),
    (r"^\P{ASCII}$", ["é"], ["a"]),
    (r"^\p{Any}$", ["😀", "\n"], [""]),
    (r"^\p{AHex}+$", ["09afAF"], ["g"]),
    (r"^\p{LC}$", ["a", "A"], ["漢"]),
    (r"^\P{LC}$", ["漢"], ["a"]),
    (r"^\p{Cn}$", ["\u0378", "\U000e0fff"], ["a", "\ue000"]),
    (r"^\p{C}$", ["\u0378", "\x00", "\ue000"], ["a"]),
    (r"^\p{Assigned}$", ["a", "\ue000"], ["\u0378"]),
    (r"^[^\p{L}\d]$", ["-"], ["é", "1"]),
    (r"^[\P{L}a]$", ["a", "1"], ["b"]),
    ("^a{2}$", ["aa"], ["a", "aaa"]),
    ("^a{2,}$", ["aa", "aaa"], ["a"]),
    ("^a{1,2}$", ["a", "aa"], ["", "aaa"]),
    ("^(?:ab)+?c*?$", ["abab", "abcc"], ["c"]),
    ("^(a|)b$", ["ab", "b"], ["a"]),
    ("^(?<year>[0-9]{4})$", ["2012"], ["212"]),
    ("^{a}$", ["{a}"], ["a"]),
    ("^a{,2}$", ["a{,2}"], ["aa"]),
    ("^]$", ["]"], [""]),
    (r"^\-\@\/\_\"\ $", ['-@/_" '], [""]),
    ("a|^$", ["xa", ""], ["x"]),
]
BEYOND_LINEAR = [
    ("^(?=.*a)b", ["ba"], ["b", "a"]),
    ("^(?!x)", ["a", ""], ["x"]),
    ("(?<=a)b", ["ab"], ["b"]),
    ("(?<!a)b", ["b", "cb"], ["ab"]),
    (r"^(a|b)\1$", ["aa", "bb"], ["ab"]),
    (r"^(?<x>\p{Lu})\k<x>$", ["ÉÉ"], ["ÉE"]),
    (r"^(a)?\1b$", ["b", "aab"], ["ab"]),
    (r"^(?!\p{Cn})[^\s\S]?$", [""], ["a"]),
    (r"^(?=\b)\w$", ["a"], ["é"]),
    ("^a{2000}$", ["a" * 2000], ["a" * 1999]),
    (r"^(?!\P{Script=Greek})", ["\u03b1", ""], ["a"]),
]
NOT_ECMA = [
    ("(", 0),
    (")", 0),
    ("a(?:b", 1),
    ("[a", 0),
    ("a**", 3),
    ("*a", 0),
    ("a|{2}", 2),
    ("a{2,1}", 1),
    ("[b-a]", 1),
    (r"[\d-z]", 1),
    (r"\a", 0),
    (r"\Z", 0),
    (r"\A", 0),
    (r"x\h", 1),
    (r"\x4", 0),
    (r"\u00", 0),
    (r"\u{110000}", 0),
    (r"\u{}", 0),
    (r"\c1", 0),
    (r"\01", 0),
    (r"\1", 0),
    (r"\k<a>", 0),
    (r"\k", 0),
    (r"\p{Foo}", 0),
    (r"\p{Greek}", 0),
    (r"\p{Script=Nowhere}", 0),
    (r"\p{Script_Extensions=Greek}", 0),
    (r"\p{sc=L}", 0),
    (r"\pL", 0),
    (r"\p{L", 0),
    (r"[\B]", 1),
    ("(?i)a", 0),
    ("(?i:a)", 0),
    ("(?P<a>b)", 0),
    ("(?>a)", 0),
    ("(?<>a)", 3),
    ("(?<a>x)(?<a>y)", 7),
    ("^*", 0),
    ("(?=a)*", 0),
    ("\\", 1),
    ("(" * 51, 50),
]


@pytest.mark.parametrize(("pattern", "found", "not_found"), MEANINGS)
def test_a_pattern_of_the_subset_means_what_ecma_says(
    pattern: str, found: list[str], not_found: list[str]
) -> None:
    compiled = compile_pattern(pattern)
    assert [text for text in found if not compiled.search(text)] == []
    assert [text for text in not_found if compiled.search(text)] == []
    assert compiled.re2 is not None
    assert linear_refusal(pattern) is None


@pytest.mark.parametrize(("pattern", "found", "not_found"), MEANINGS)
def test_the_slow_engine_gives_the_same_answers(
    pattern: str, found: list[str], not_found: list[str]
) -> None:
    program = re.compile(to_python(parse(pattern)))
    assert [text for text in found if not program.search(text)] == []
    assert [text for text in not_found if program.search(text)] == []


@pytest.mark.parametrize(("pattern", "found", "not_found"), BEYOND_LINEAR)
def test_a_pattern_beyond_the_subset_still_has_its_meaning_and_is_refused_by_name(
    pattern: str, found: list[str], not_found: list[str]
) -> None:
    compiled = compile_pattern(pattern)
    assert [text for text in found if not compiled.search(text)] == []
    assert [text for text in not_found if compiled.search(text)] == []
    assert compiled.re2 is None
    assert isinstance(linear_refusal(pattern), NotLinear)


@pytest.mark.parametrize(("pattern", "position"), NOT_ECMA)
def test_what_is_not_ecma_is_refused_where_it_goes_wrong(pattern: str, position: int) -> None:
    with pytest.raises(InvalidPattern) as caught:
        compile_pattern(pattern)
    assert caught.value.position == position
    assert caught.value.reason


@pytest.mark.parametrize(
    ("pattern", "position", "word"),
    [
        ("ab(?=c)", 2, "look-ahead"),
        ("ab(?<!c)", 2, "look-behind"),
        (r"(a)b\1", 4, "back-reference"),
        ("ab{1001}", 1, "maxLength"),
        ("(a{100}){100}", 0, "too large"),
        (r"\p{L}{1000}", 0, "too large"),
        (r"^\p{Script=Greek}{400}$", 0, "steps"),
    ],
)
def test_a_refusal_of_the_subset_names_place_and_way_out(
    pattern: str, position: int, word: str
) -> None:
    refusal = linear_refusal(pattern)
    assert isinstance(refusal, NotLinear)
    assert refusal.position == position
    assert word in refusal.reason


def test_an_invalid_pattern_is_no_member_of_the_subset() -> None:
    assert isinstance(linear_refusal("("), InvalidPattern)


def test_a_look_behind_that_no_engine_runs_is_refused_not_misread() -> None:
    with pytest.raises(InvalidPattern, match="no engine here can run it"):
        compile_pattern("(?<=a+)b")


atoms = st.sampled_from(
    ["a", "b", "é", ".", r"\d", r"\W", r"\s", "[a-c]", "[^b]", r"[\w-]", r"\p{L}", r"\b", "^", "$"]
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        inner.map(lambda part: f"({part})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)
texts = st.text(alphabet="abcé1_ \n\u2028-", max_size=8)


@given(patterns, st.lists(texts, min_size=1, max_size=5))
def test_both_engines_find_the_same(pattern: str, candidates: list[str]) -> None:
    tree = parse(pattern)
    fast, slow = re2.compile(to_re2(tree)), re.compile(to_python(tree))
    for text in candidates:
        assert (fast.search(text) is None) == (slow.search(text) is None)


@given(patterns, st.lists(texts, min_size=1, max_size=5))
def test_an_independent_validator_finds_the_same(pattern: str, candidates: list[str]) -> None:
    if r"\b" in pattern:  # jsonschema-rs has a Unicode word boundary, ECMA-262 an ASCII one
        return
    oracle = jsonschema_rs.Draft202012Validator({"pattern": pattern})
    for text in candidates:
        if any(character in text for character in "\u2028"):
            continue  # jsonschema-rs lets `.` match it
        assert compile_pattern(pattern).search(text) == oracle.is_valid(text)


def test_ranges_and_their_complement_share_all_code_points() -> None:
    samples = [(0x41, 0x5A), (0x50, 0x60), (0x10FFFF, 0x10FFFF), (0, 0)]
    inside, outside = merged(samples), complement(tuple(samples))
    assert merged([*inside, *outside]) == ((0, 0x10FFFF),)
    assert not any(a <= d and c <= b for (a, b), (c, d) in product(inside, outside))
    assert complement(((0, 0x10FFFF),)) == ()


def test_surrogates_are_a_property_of_no_character() -> None:
    assert ranges_of(Property("Cs")) == ((0xD800, 0xDFFF),)
