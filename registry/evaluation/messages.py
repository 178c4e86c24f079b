"""The sentence of a finding: what the schema asks for, never what the document holds."""

from collections.abc import Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

_LONGEST = 100

# What follows one of these keywords in a schema pointer is a name or an index, not a keyword.
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "dependentRequired"})
_NAMED |= {"dependencies", "$defs", "definitions"}
_INDEXED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})

_SENTENCES = {
    "type": "is not of type {}",
    "enum": "is none of the allowed values: {}",
    "minLength": "is shorter than {} characters",
    "maxLength": "is longer than {} characters",
    "minItems": "holds fewer than {} items",
    "maxItems": "holds more than {} items",
    "minProperties": "holds fewer than {} properties",
    "maxProperties": "holds more than {} properties",
    "anyOf": "is valid under no branch",
    "not": "is valid under what it must not be",
}


def keyword_of(path: Sequence[str | int]) -> str:
    """The last keyword on the way to a violation; `"false"` for the schema `false` itself."""
    keyword, at = "false", 0
    while at < len(path):
        keyword = str(path[at])
        follows = path[at + 1] if at + 1 < len(path) else None
        named = keyword in _NAMED or (keyword in _INDEXED and isinstance(follows, int))
        at += 2 if named else 1
    return keyword


def sentence_of(error: ValidationError) -> str:
    """The sentence for a violation."""
    if error.validator is None:
        return "nothing is allowed here"
    if error.validator == "oneOf":
        return _one_of(error)
    template = _SENTENCES.get(str(error.validator))
    text = template.format(_shown(error.validator_value)) if template else error.message
    return text if len(text) <= 2 * _LONGEST else f"{text[: 2 * _LONGEST]}…"


def _one_of(error: ValidationError) -> str:
    # `jsonschema` gives the errors of the branches exactly where none was valid.
    return f"is valid under {'no branch' if error.context else 'more than one branch'}"


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
