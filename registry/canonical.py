"""The canonical form of a JSON document (RFC 8785) and its fingerprint.

Same content, same bytes, same fingerprint: on any machine, in any key order. What has no canonical
form is refused with the JSON Pointer of the place: NaN and infinities, lone surrogates, integers
beyond I-JSON (RFC 7493: |n| <= 2**53 - 1), property names that are not strings, values that are not
JSON, and, in text, duplicate property names.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias, Union, cast

import rfc8785

from registry.pointers import pointer

# A Union, not a string: annotations elsewhere combine it with `|` at run time.
JSON: TypeAlias = Union[bool, int, float, str, list["JSON"], dict[str, "JSON"], None]  # noqa: UP007
Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_048_576
MAX_DEPTH = 128
MAX_SAFE_INTEGER = 2**53 - 1

# RFC 8785 (by way of ECMA-262) writes whole numbers below this bound without an exponent.
_FIRST_WITH_EXPONENT = 1e21

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotCanonical(ValueError):
    """The document has no canonical form; `.pointer` says where, `.reason` says why.

    `.code` tells the kinds apart: `not_canonical`, and for text also `not_json`, `duplicate_name`,
    `too_large`, `too_deep`.
    """

    def __init__(self, pointer: str, reason: str, code: str = "not_canonical") -> None:
        super().__init__(f"{reason} (at {pointer or 'the root'})")
        self.pointer = pointer
        self.reason = reason
        self.code = code


def canonicalize(document: JSON) -> bytes:
    """The RFC 8785 bytes of a document of plain Python JSON values.

    Raises `NotCanonical` for the first place that has no canonical form or is beyond `MAX_DEPTH`.
    """
    if _is_plain(document, MAX_DEPTH):
        try:
            return _PLAIN.encode(document).encode()
        except UnicodeEncodeError:
            pass  # a lone surrogate: refused below, with its place
    for refusal in iter_refusals(document):
        raise refusal
    return rfc8785.dumps(cast(Any, document))


def fingerprint(document: JSON) -> str:
    """`sha256:` and the hexadecimal SHA-256 of the canonical bytes."""
    return fingerprint_of_bytes(canonicalize(document))


def fingerprint_of_bytes(canonical: bytes) -> str:
    """The fingerprint of bytes that `canonicalize` made."""
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def load_json(text: str | bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JSON:
    """The document of a JSON text that has a canonical form and fits the bounds.

    Unlike `canonicalize`, it also refuses a number that is written with a fraction or an exponent
    but whose canonical form is an integer beyond I-JSON (`1e16`): its canonical text could not be
    read back. Raises `NotCanonical`.
    """
    decoded = _decode(text, max_bytes)
    _refuse_too_deep(decoded, max_depth)
    document = _refuse_duplicates(_parse(decoded, _read_int))
    for refusal in iter_refusals(document, max_depth=max_depth, readable=True):
        raise refusal
    return document


def parse_json(text: str | bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The document of a JSON text, as data: numbers of any size, also what no canonical form has.

    Duplicate names, other syntax than JSON's (but NaN and infinities, which `is_valid` refuses) and
    what passes the bounds raise `NotCanonical`.
    """
    decoded = _decode(text, max_bytes)
    _refuse_too_deep(decoded, max_depth)
    return _refuse_duplicates(_parse(decoded, _read_long_int))


def own_copy(document: JSON) -> JSON:
    """A copy that shares nothing with the document, nor with itself: each part is one object.

    The document has been found free of refusals.
    """
    return cast(JSON, json.loads(json.dumps(document)))


def iter_values(document: JSON) -> Iterator[tuple[Path, JSON]]:
    """Every value of a document with its path, parents first, without recursion."""
    stack: list[tuple[Path, JSON]] = [((), document)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if isinstance(value, dict):
            stack.extend([((*path, key), value[key]) for key in reversed(value)])
        elif isinstance(value, list):
            stack.extend([((*path, i), value[i]) for i in range(len(value) - 1, -1, -1)])


def iter_refusals(
    document: JSON, *, max_depth: int = MAX_DEPTH, readable: bool = False
) -> Iterator[NotCanonical]:
    """Every reason why a document has no canonical form.

    `readable` asks for what `load_json` asks for. Where nesting passes `max_depth` that is the last
    refusal: nothing after it is read, so that a document that holds itself ends too.
    """
    for path, value in iter_values(document):
        if isinstance(value, dict | list) and len(path) >= max_depth:
            yield NotCanonical(pointer(path), _deeper(max_depth), "too_deep")
            return
        for reason in _refusals(value, readable):
            yield NotCanonical(pointer(path), reason)


# Writes what `_is_plain` lets through as RFC 8785 does, and many times as fast.
_PLAIN = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)


def _is_plain(value: object, depth: int) -> bool:
    """Whether it is without refusals but for its texts, without fractions, its names all ASCII.

    Names of other characters may sort another way, by UTF-16 code units.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -MAX_SAFE_INTEGER <= cast(int, value) <= MAX_SAFE_INTEGER
    if depth == 0:
        return False
    if kind is dict:
        return all(
            type(name) is str and name.isascii() and _is_plain(item, depth - 1)
            for name, item in cast(dict[object, object], value).items()
        )
    return kind is list and all(_is_plain(item, depth - 1) for item in cast(list[object], value))


def _is_unsafe_integer(number: int | float) -> bool:
    """Whether the canonical text of a number is an integer beyond I-JSON."""
    size = abs(number)
    return size > MAX_SAFE_INTEGER and (isinstance(number, int) or size < _FIRST_WITH_EXPONENT)


def _deeper(max_depth: int) -> str:
    return f"nests deeper than {max_depth} levels: flatten the document"


def _refusals(value: object, readable: bool) -> Iterator[str]:
    match value:
        case None | bool() | list():
            return
        case str():
            yield from _text_refusals(value)
        case float() if not math.isfinite(value):
            yield f"{value} is not a JSON number"
        case int() | float():
            if _is_unsafe_integer(value) and (readable or isinstance(value, int)):
                yield _beyond_ijson(value)
        case dict():
            for key in value:
                yield from _name_refusals(key)
        case _:
            yield f"a Python {type(value).__name__} is not a JSON value: convert it first"


def _name_refusals(name: object) -> Iterator[str]:
    if isinstance(name, str):
        yield from _text_refusals(name)
    else:
        yield f"the property name {name!r} is not a string"


def _text_refusals(text: str) -> Iterator[str]:
    if not text.isascii() and (found := _SURROGATE.search(text)):
        yield f"the lone surrogate U+{ord(found.group()):04X} is not a Unicode character"


def _beyond_ijson(number: int | float) -> str:
    # Python refuses to write very long integers.
    short = isinstance(number, float) or number.bit_length() <= 128
    shown = str(number) if short else "this"
    return f"{shown} is an integer beyond I-JSON (2^53 - 1 at most): write it as a string"


def _decode(text: str | bytes, max_bytes: int) -> str:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > max_bytes:
        raise NotCanonical(
            "", f"{len(raw)} bytes are more than the {max_bytes} allowed", "too_large"
        )
    if isinstance(text, str):
        return text
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"the text is not UTF-8: byte {error.start} is invalid"
        raise NotCanonical("", reason, "not_json") from error


def _refuse_too_deep(text: str, max_depth: int) -> None:
    """Refuse over-deep text before a recursive parser sees it, naming where it gets too deep."""
    path: list[str | int] = []
    last_string = ""
    for token in _TOKEN.finditer(text):
        match token.group()[0]:
            case '"':
                last_string = token.group()
                if path and not isinstance(path[-1], int):
                    path[-1] = path[-1] or last_string
            case "{" | "[" as opening:
                if len(path) >= max_depth:
                    raise NotCanonical(
                        pointer(map(_unquoted, path)),
                        _deeper(max_depth),
                        "too_deep",
                    )
                path.append("" if opening == "{" else 0)
            case "}" | "]" if path:
                path.pop()
            case "," if path:
                path[-1] = path[-1] + 1 if isinstance(path[-1], int) else ""


def _unquoted(token: str | int) -> str | int:
    if isinstance(token, int):
        return token
    try:
        return str(json.loads(token))
    except ValueError:
        return token


_LONGEST_INTEGER = 4_000


class _Object(list[tuple[str, Any]]):
    """A JSON object as the parser found it: pairs, duplicates and all."""


def _parse(text: str, read_int: Callable[[str], int]) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object, parse_int=read_int)
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise NotCanonical("", reason, "not_json") from error


def _read_int(digits: str) -> int:
    # Python refuses to read very long integers; cut ones are refused as beyond I-JSON all the same.
    return int(digits[:400])


def _read_long_int(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise NotCanonical("", f"an integer has more than {_LONGEST_INTEGER} digits", "not_json")
    return int(digits)


def _refuse_duplicates(value: Any, path: Path = ()) -> JSON:
    if isinstance(value, _Object):
        _refuse_duplicate_names(value, path)
        return {key: _refuse_duplicates(item, (*path, key)) for key, item in value}
    if isinstance(value, list):
        return [_refuse_duplicates(item, (*path, i)) for i, item in enumerate(value)]
    return cast(JSON, value)


def _refuse_duplicate_names(pairs: _Object, path: Path) -> None:
    for name, following in pairwise(sorted(key for key, _ in pairs)):
        if name == following:
            raise NotCanonical(
                pointer((*path, name)),
                f"the property name {name!r} is written twice",
                "duplicate_name",
            )
