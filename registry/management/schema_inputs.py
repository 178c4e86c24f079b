"""What the schema commands read: schemas from files, standard input or the registry."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from registry.canonical import JSON, NotCanonical, load_json
from registry.models import SchemaVersion
from registry.services.references import stored_references

UNREADABLE = 65  # EX_DATAERR of sysexits.h
_VERSION = re.compile(r"seamless:///subjects/([^/#]+)/versions/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class NamedSchema:
    """A schema with the name it was asked for by, and what it refers to in the registry."""

    name: str
    text: str
    document: JSON
    references: dict[str, Any]


def read_schema(name: str) -> NamedSchema:
    """`-` is standard input, `seamless:///subjects/NAME/versions/N` a registered version.

    The registry is asked only where a schema names it. Raises CommandError with exit code 65.
    """
    text = _text_of(name)
    try:
        document = load_json(text)
    except NotCanonical as error:
        place = f" at {error.pointer}" if error.pointer else ""
        raise unreadable(f"{name}{place}: {error.reason}") from None
    if not isinstance(document, dict | bool):
        raise unreadable(f"{name} is no schema: a schema is an object, true or false")
    return NamedSchema(name, text, document, stored_references(text))


def unreadable(sentence: str) -> CommandError:
    return CommandError(sentence, returncode=UNREADABLE)


def _text_of(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    if name.startswith("seamless:"):
        return _registered(name)
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise unreadable(f"{name} cannot be read: {reason}") from None


def _registered(name: str) -> str:
    found = _VERSION.fullmatch(name)
    if found is None:
        raise unreadable(f"{name!r} is no version: write seamless:///subjects/NAME/versions/N")
    subject, number = found.groups()
    versions = SchemaVersion.objects.select_related("content")
    try:
        version = versions.filter(subject__name=subject, number=int(number)).first()
    except DatabaseError as error:
        raise unreadable(f"the registry's database cannot be read: {error}") from None
    if version is None:
        raise unreadable(f"the registry has no version {number} of {subject!r}")
    canonical: str = version.content.canonical
    return canonical
