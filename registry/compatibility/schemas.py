"""Subschemas as numbered handles: the same meaning gives the same number where that is cheap.

A handle remembers its contents, its draft and its place for resolving references. Two subschemas
share a handle when their asserting keywords, and those of everything they refer to within a simple
document, are equal: annotations, key order and the order of `required` are not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from referencing.exceptions import Unresolvable
from referencing.jsonschema import lookup_recursive_ref

from registry.compatibility.keywords import (
    ONE_SCHEMA,
    REFERENCES,
    SCHEMA_LIST,
    SCHEMA_MAP,
    asserting,
)
from registry.compatibility.values import Json
from registry.dialects import (
    DRAFT202012,
    Dialect,
    direct_subschemas,
    embedded_dialect,
)
from registry.references import References, resolver_of, resource_of, target_dialect
from registry.validity import dialect_of

_PLACING = frozenset({"$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$schema"})
_AT_THE_ROOT = frozenset({"$id", "id", "$schema"})  # harmless there: nothing else refers by them
_DYNAMIC = frozenset({"$dynamicRef", "$recursiveRef"})


@dataclass(frozen=True)
class Handle:
    """One subschema: contents, draft, and the resolver that knows where it stands."""

    number: int
    contents: Json
    dialect: Dialect
    resolver: Any  # referencing's Resolver has no public type
    document: _Document


class _Document:
    """What one root document allows to be concluded from the text of a reference.

    In a *simple* document every reference is a pointer from the root, so equal text means equal
    target. In a *dynamic* one the target depends on the way taken.
    """

    def __init__(self, root: Json, dialect: Dialect, *, kept: bool = True) -> None:
        self.kept = kept  # its parts live as long as the question, so their ids may be keys
        self.dynamic = False
        self.simple = True
        self.digests: dict[tuple[int, Dialect], tuple[str, frozenset[str]]] = {}
        pending: list[tuple[Json, frozenset[str]]] = [(root, _AT_THE_ROOT)]
        while pending:
            schema, allowed = pending.pop()
            if isinstance(schema, dict):
                self._inspect(schema, allowed)
                below = direct_subschemas(schema, dialect)
                pending += [(one.schema, frozenset()) for one in below]
        self.simple = self.simple and not self.dynamic

    def _inspect(self, schema: dict[str, Json], allowed: frozenset[str]) -> None:
        self.dynamic = self.dynamic or bool(_DYNAMIC & schema.keys())
        reference = schema.get("$ref", "#")
        pointing = isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))
        self.simple = self.simple and pointing and not (_PLACING & schema.keys()) - allowed


class Schemas:
    """All subschemas met in one compatibility question."""

    def __init__(self, references: References | None = None) -> None:
        self._handles: list[Handle] = []
        self._numbers: dict[Hashable, int] = {}
        self._references = references
        self._constants = _Document(True, DRAFT202012, kept=False)
        self._elsewhere: dict[str, _Document] = {}
        self._kept: list[Json] = []  # what is known by its id must not be forgotten

    def __getitem__(self, number: int) -> Handle:
        return self._handles[number]

    def root(self, contents: Json) -> Handle:
        """The handle of a whole document."""
        dialect = dialect_of(contents)
        resolver = resolver_of(contents, dialect, self._references)
        return self._handle(contents, dialect, resolver, _Document(contents, dialect))

    def constant(self, value: Json) -> Handle:
        """The handle of `{"const": value}`."""
        return self._handle({"const": value}, DRAFT202012, None, self._constants)

    def child(self, parent: Handle, contents: Json) -> Handle:
        """The handle of a subschema written inside `parent`."""
        dialect = embedded_dialect(contents, parent.dialect)
        resolver = parent.resolver
        if resolver is not None and isinstance(contents, dict):
            resolver = resolver.in_subresource(resource_of(contents, dialect))
        return self._handle(contents, dialect, resolver, parent.document)

    def beside(self, other: Handle, contents: Json) -> Handle:
        """The handle of contents that stand where `other` stands (kept alive by the handle)."""
        self._kept.append(contents)
        return self._handle(contents, other.dialect, other.resolver, other.document)

    def follow(self, parent: Handle, keyword: str) -> Handle:
        """The handle a reference keyword of `parent` points to; may raise `Unresolvable`."""
        if keyword == "$recursiveRef":
            resolved = lookup_recursive_ref(parent.resolver)
        else:
            resolved = parent.resolver.lookup(parent.contents[keyword])
        dialect = target_dialect(resolved, parent.dialect)
        document = self._document_of(resolved, parent, dialect)
        return self._handle(resolved.contents, dialect, resolved.resolver, document)

    def _document_of(self, resolved: Any, parent: Handle, dialect: Dialect) -> _Document:
        uri = resolved.resolver._base_uri
        if uri == parent.resolver._base_uri or not parent.document.simple:
            return parent.document
        if uri not in self._elsewhere:
            root = resolved.resolver.lookup("#").contents
            self._elsewhere[uri] = _Document(root, dialect)
        return self._elsewhere[uri]

    def _handle(
        self, contents: Json, dialect: Dialect, resolver: Any, document: _Document
    ) -> Handle:
        key = self._key(contents, dialect, resolver, document)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._handles)
            self._handles.append(Handle(number, contents, dialect, resolver, document))
        known = self._handles[number]
        if known.contents is contents:
            return known
        return Handle(number, contents, dialect, resolver, document)

    def _key(
        self, contents: Json, dialect: Dialect, resolver: Any, document: _Document
    ) -> Hashable:
        digest, targets = _digest(contents, dialect, document)
        if not targets:
            return ("closed", dialect, digest)
        if document.simple:
            closure = _closure(targets, dialect, resolver, document)
            if closure is not None:
                return ("local", dialect, digest, closure)
        scope: tuple[str, ...] = ()
        if document.dynamic:
            scope = tuple(dict.fromkeys(uri for uri, _ in resolver.dynamic_scope()))
        return ("open", dialect, id(contents), resolver._base_uri, scope)


def _closure(
    targets: frozenset[str], dialect: Dialect, resolver: Any, document: _Document
) -> Hashable | None:
    """Digests of everything reachable through local references, or None where one dangles."""
    known: dict[str, str] = {}
    pending = list(targets)
    while pending:
        reference = pending.pop()
        if reference in known:
            continue
        try:
            contents = resolver.lookup(reference).contents
        except Unresolvable:
            return None
        known[reference], further = _digest(contents, dialect, document)
        pending.extend(further)
    return tuple(sorted(known.items()))


def _digest(contents: Json, dialect: Dialect, document: _Document) -> tuple[str, frozenset[str]]:
    """The asserting content as text, and the references in it."""
    cached = document.digests.get((id(contents), dialect))
    if cached is None:
        targets: set[str] = set()
        shape = _shape(contents, dialect, targets)
        cached = json.dumps(shape, sort_keys=True), frozenset(targets)
        if document.kept:
            document.digests[(id(contents), dialect)] = cached
    return cached


def _shape(contents: Json, dialect: Dialect, targets: set[str]) -> Json:
    if isinstance(contents, bool):
        return contents
    shape: dict[str, Json] = {}
    own = embedded_dialect(contents, dialect)
    if own is not dialect:
        shape["$schema"], dialect = own.uri, own
    for name, value in asserting(contents, dialect).items():
        shape[name] = _keyword_shape(name, value, dialect, targets)
    return shape


def _keyword_shape(name: str, value: Json, dialect: Dialect, targets: set[str]) -> Json:
    if name in REFERENCES:
        targets.add(value)
        return value
    if name in ONE_SCHEMA and isinstance(value, (dict, bool)):
        return _shape(value, dialect, targets)
    if name in SCHEMA_LIST and isinstance(value, list):
        return [_shape(one, dialect, targets) for one in value]
    if name in SCHEMA_MAP:
        return {
            at: sorted(one) if isinstance(one, list) else _shape(one, dialect, targets)
            for at, one in value.items()
        }
    if name == "required" or (name == "type" and isinstance(value, list)):
        return sorted(value)
    return _plain(value)


def _plain(value: Json) -> Json:
    """Data with 1.0 written as 1, so that equal data gives equal text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
