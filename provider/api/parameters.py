"""The parameters of a query string: known, given once, and of the right form."""

from collections.abc import Mapping
from typing import Any

from registry.errors import InvalidInput

_FLAG_VALUES = {"true": True, "1": True, "false": False, "0": False}


def checked_query(query: Any, known: set[str]) -> Mapping[str, str]:
    """The parameters, none unknown and none doubled. Raises InvalidInput, which names one."""
    if unknown := sorted(set(query) - known):
        raise InvalidInput(
            f"Unknown parameters {', '.join(unknown)[:200]}; there are {', '.join(sorted(known))}.",
            parameter=unknown[0][:60],
        )
    if doubled := [name for name in query if len(query.getlist(name)) > 1]:
        raise InvalidInput(f"The parameter {doubled[0]} is given twice.", parameter=doubled[0])
    return {name: query[name] for name in query}


def flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in _FLAG_VALUES:
        raise InvalidInput(f"{name} is true or false, not {text[:60]!r}.", parameter=name)
    return _FLAG_VALUES[text]


def names(query: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    if name not in query:
        return None
    found = tuple(part.strip() for part in query[name].split(",") if part.strip())
    if not found:
        raise InvalidInput(f"{name} is empty; leave it out for everything.", parameter=name)
    return found


def count(query: Mapping[str, str], name: str, *, most: int, default: int | None) -> int | None:
    """A whole number from 1 to `most`."""
    if name not in query:
        return default
    text = query[name].strip()
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:20]) <= most:
        raise InvalidInput(
            f"{name} is a whole number from 1 to {most}, not {text[:60]!r}.", parameter=name
        )
    return int(text)
