"""JSON Pointers (RFC 6901): the one way a place inside a document is named."""

from collections.abc import Iterable


def pointer(tokens: Iterable[str | int]) -> str:
    """The JSON Pointer of a path of property names and array indexes; `""` is the whole document.

    A lone surrogate in a name is written as its escape, so that a pointer can always be encoded.
    """
    return "".join(f"/{_escape(str(token))}" for token in tokens)


def tokens(pointer: str) -> tuple[str, ...]:
    """The property names and indexes (as text) that a JSON Pointer is made of."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _escape(token: str) -> str:
    escaped = token.replace("~", "~0").replace("/", "~1")
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")
