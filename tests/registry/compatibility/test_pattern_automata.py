"""Patterns as automata and formats by outline: both must agree with what judges documents."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from registry.compatibility import lore
from registry.compatibility.budget import Budget
from registry.compatibility.pattern_automaton import SearchedPattern, UnsupportedPatternError
from registry.compatibility.word_search import WordSearch
from registry.formats import ASSERTED_FORMATS
from registry.patterns import InvalidPattern, compile_pattern

ATOMS = [
    *("a", "b", ".", "^", "$", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\S", r"\b", r"\B", "é"),
    *(r"\u00e9", "(a|b)", "(?:ab)", "(?<n>a)", r"\.", "[a-c-]", r"[\d_]", r"\p{Lu}", "\n"),
]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "+?"]
LETTERS = "abcA01_ é.\n-"

pieces = st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)).map("".join)
patterns = st.lists(st.lists(pieces, max_size=4).map("".join), min_size=1, max_size=2).map("|".join)
words = st.text(LETTERS, max_size=6)


def automaton(pattern: str) -> SearchedPattern:
    try:
        compile_pattern(pattern)
        return SearchedPattern(pattern)
    except (InvalidPattern, UnsupportedPatternError):
        assume(False)
        raise


def found(pattern: SearchedPattern, word: str) -> bool:
    budget, state = Budget(10**6), pattern.start
    for char in word:
        state = pattern.move(state, ord(char), budget)
    return pattern.accepts(state)


@given(patterns, st.lists(words, min_size=5, max_size=5))
@example(r"^a$|\bb", ["a\n", "b", "ab", "a b", ""])
def test_an_automaton_finds_what_the_validator_finds(pattern: str, drawn: list[str]) -> None:
    searched, judge = automaton(pattern), compile_pattern(pattern).search
    for word in drawn:
        assert found(searched, word) == judge(word)


@given(
    patterns, patterns, st.frozensets(words, max_size=3), st.lists(words, min_size=5, max_size=5)
)
def test_a_word_is_found_exactly_where_one_exists(
    wanted: str, refused: str, excluded: frozenset[str], drawn: list[str]
) -> None:
    search = WordSearch([automaton(wanted)], [automaton(refused)], excluded, Budget(10**6))
    word = search.shortest(0, 6)

    def fits(one: str) -> bool:
        judged = compile_pattern(wanted).search(one) and not compile_pattern(refused).search(one)
        return judged and one not in excluded

    if word is None:
        assert not any(fits(one) for one in drawn)
    else:
        assert fits(word)


@pytest.mark.parametrize(("least", "most", "length"), [(0, None, 2), (5, None, 6), (5, 5, None)])
def test_lengths_bound_the_search(least: int, most: int | None, length: int | None) -> None:
    search = WordSearch([SearchedPattern("^(ab)+$")], [], frozenset(), Budget(10**5))
    word = search.shortest(least, most)
    assert (None if word is None else len(word)) == length


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<!a)b", r"(a)\1", "a{2000}"])
def test_what_has_no_automaton_is_refused_not_guessed(pattern: str) -> None:
    with pytest.raises(UnsupportedPatternError):
        SearchedPattern(pattern)


# -- formats ------------------------------------------------------------------------------------

near = st.text("0123456789abcdefT:Z.+-/@PYMDHSx~#?[] %{}", max_size=12)


def candidates(name: str) -> st.SearchStrategy[str]:
    """Samples of the format, cut and changed, and words of the patterns around and inside it."""
    samples = st.sampled_from([*lore.samples(name), ""])
    changed = st.builds(
        lambda one, at, more: one[:at] + more + one[at + 1 :],
        samples,
        st.integers(0, 30),
        st.text("0-9aZ:.@/~ \u00e4", max_size=1),
    )
    drawn = [
        st.from_regex(pattern, fullmatch=False)
        for pattern in (lore.outline(name, True), lore.outline(name, False))
        if pattern
    ]
    return st.one_of(samples, changed, near, *drawn)


@pytest.mark.parametrize("name", sorted(ASSERTED_FORMATS))
def test_outlines_enclose_the_format_and_are_enclosed_by_it(name: str) -> None:
    @given(candidates(name))
    def check(text: str) -> None:
        inside = ASSERTED_FORMATS[name](text)
        outer, inner = lore.outline(name, True), lore.outline(name, False)
        if inside and outer:
            assert compile_pattern(outer).search(text)
        if inner and compile_pattern(inner).search(text):
            assert inside
        if lore.is_regular(name):
            assert outer
            assert compile_pattern(outer).search(text) == inside

    check()


@pytest.mark.parametrize("name", sorted(ASSERTED_FORMATS))
def test_a_format_that_implies_another_does_so_for_every_candidate(name: str) -> None:
    implied = [other for other in ASSERTED_FORMATS if lore.implies(name, other)]

    @given(candidates(name))
    def check(text: str) -> None:
        if ASSERTED_FORMATS[name](text):
            assert all(ASSERTED_FORMATS[other](text) for other in implied)

    check()


@pytest.mark.parametrize("name", sorted(ASSERTED_FORMATS))
def test_every_asserted_format_has_samples_of_both_kinds(name: str) -> None:
    judged = {ASSERTED_FORMATS[name](one) for one in lore.samples(name)}
    assert judged == {True, False}
