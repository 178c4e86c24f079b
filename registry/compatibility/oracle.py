"""Single strings judged by what the reference itself uses, so that prover and reference agree."""

from __future__ import annotations

from registry.formats import ASSERTED_FORMATS
from registry.patterns import compile_pattern


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text."""
    return compile_pattern(pattern).search(text)


def conforms(format_name: str, text: str) -> bool:
    """Whether the text has the asserted format."""
    return ASSERTED_FORMATS[format_name](text)


def is_asserted(format_name: object) -> bool:
    """Whether this value of `format` can refuse anything."""
    return isinstance(format_name, str) and format_name in ASSERTED_FORMATS
