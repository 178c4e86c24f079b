"""References between schemas: where they lead, and the fingerprint of everything they reach.

A `$ref` may lead into its own document, to a bundled meta-schema, or to a document that the caller
hands in (another subject's version, `seamless:///subjects/<name>/versions/<n>`). Nothing is ever
fetched, from a network or a file.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag

from referencing.exceptions import Unresolvable
from referencing.jsonschema import lookup_recursive_ref

from registry.canonical import JSON, Path, canonicalize, fingerprint, fingerprint_of_bytes
from registry.dialects import (
    DRAFT202012,
    Applies,
    Dialect,
    Schema,
    direct_subschemas,
    embedded_dialect,
    is_bare_reference,
    named_dialect,
)
from registry.evaluation.resources import resource_of, root_resolver, target_dialect
from registry.metaschemas import UnknownDialect, dialect_of, iter_faults
from registry.pointers import pointer, tokens

__all__ = [
    "Edge",
    "Place",
    "Reached",
    "References",
    "UnresolvedReference",
    "endless_references",
    "patterns_of",
    "reach",
    "resolved_fingerprint",
    "resolver_of",
    "resource_of",
    "target_dialect",
]

References = Mapping[str, JSON]

_REFERENCE_KEYWORDS = ("$ref", "$dynamicRef", "$recursiveRef")


class UnresolvedReference(ValueError):
    """A reference leads nowhere; `.pointer` is the place of the reference keyword."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{reason} (at {pointer})")
        self.pointer = pointer
        self.reason = reason


@dataclass(frozen=True)
class Edge:
    """From one subschema to another: by an applicator, or by a reference keyword."""

    target: int
    path: Path
    applies: Applies


@dataclass(frozen=True)
class Place:
    """A subschema that can be reached. `document` is "" for the schema itself, else a URI."""

    document: str
    path: Path
    schema: Schema
    dialect: Dialect
    edges: list[Edge] = field(default_factory=list, compare=False)

    @property
    def pointer(self) -> str:
        """Where it is, preceded by the URI of its document unless that is the schema itself."""
        return f"{self.document}#{pointer(self.path)}" if self.document else pointer(self.path)

    def below(self, *path: str | int) -> str:
        """The pointer of something inside this place."""
        return f"{self.pointer}{pointer(path)}"


@dataclass(frozen=True)
class Reached:
    """Every subschema of a schema and of what it refers to; the first is the schema itself."""

    places: list[Place]
    unresolved: list[UnresolvedReference]
    uris: frozenset[str]


def resolver_of(schema: JSON, dialect: Dialect, references: References | None) -> Any:
    """A `referencing` resolver that knows the schema, the bundled meta-schemas and `references`."""
    held = (references or {}).items()
    return root_resolver(
        resource_of(schema, dialect),
        [(uri, resource_of(found, _readable_dialect(found))) for uri, found in held],
    )


def _readable_dialect(schema: JSON) -> Dialect:
    try:
        return dialect_of(schema)
    except UnknownDialect:
        return DRAFT202012  # refused where it is checked, if anything refers to it


def reach(schema: Schema, dialect: Dialect, references: References | None = None) -> Reached:
    """Walk a schema and follow every reference, each subschema once, without recursion.

    Subschemas are told apart by identity: a Python document that uses one object twice must be
    copied first (`registry.canonical.own_copy`), or the second use has the place of the first.
    """
    return _Walk(schema, dialect, references or {}).run()


def patterns_of(places: Iterable[Place]) -> Iterator[tuple[Place, tuple[str, ...], str]]:
    """Every regular expression: its subschema, the path from there, the text."""
    for place in places:
        if isinstance(place.schema, dict) and not is_bare_reference(place.schema, place.dialect):
            pattern, named = place.schema.get("pattern"), place.schema.get("patternProperties")
            if isinstance(pattern, str):
                yield place, ("pattern",), pattern
            if isinstance(named, dict):
                yield from ((place, ("patternProperties", name), name) for name in named)


def endless_references(reached: Reached, *, dynamic: bool) -> Iterator[str]:
    """The pointers of references that lead back to where they stand without consuming anything.

    One for each cycle. `$dynamicRef` and `$recursiveRef`, which may lead elsewhere at run time,
    count by where they lead lexically, and only where `dynamic` is set.
    """
    done: set[int] = set()
    for start in range(len(reached.places)):
        open_places = {start}
        stack = [(start, _in_place(reached.places[start], dynamic))] if start not in done else []
        while stack:
            index, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                stack.pop()
                done.add(index)
                open_places.discard(index)
            elif edge.target in open_places:
                yield reached.places[index].below(*edge.path)
            elif edge.target not in done:
                open_places.add(edge.target)
                stack.append((edge.target, _in_place(reached.places[edge.target], dynamic)))


def _in_place(place: Place, dynamic: bool) -> Iterator[Edge]:
    for edge in place.edges:
        wanted = dynamic or edge.path[0] not in ("$dynamicRef", "$recursiveRef")
        if edge.applies is Applies.IN_PLACE and wanted:
            yield edge


def resolved_fingerprint(document: JSON, references: References | None = None) -> str:
    """The fingerprint of a document and of all the documents that its references reach.

    Without such references it is the content fingerprint; else the fingerprint of
    `{"document": <content fingerprint>, "references": [{"fingerprint", "uri"} sorted by uri]}`.
    Bundled meta-schemas do not count: they never change.
    Raises `UnresolvedReference` and `NotCanonical`.
    """
    content = fingerprint(document)
    if not isinstance(document, dict):
        return content
    reached = reach(document, dialect_of(document), references)
    if reached.unresolved:
        raise reached.unresolved[0]
    if not reached.uris:
        return content
    held = references or {}
    closure: list[JSON] = [
        {"uri": uri, "fingerprint": fingerprint(held[uri])} for uri in sorted(reached.uris)
    ]
    return fingerprint_of_bytes(canonicalize({"document": content, "references": closure}))


class _Walk:
    def __init__(self, schema: Schema, dialect: Dialect, references: References) -> None:
        self.references = references
        self.places: list[Place] = []
        self.unresolved: list[UnresolvedReference] = []
        self.uris: set[str] = set()
        self.known: dict[int, int] = {}
        self.unread: list[tuple[int, Any]] = []
        self.unfollowed: list[tuple[int, Any]] = []
        self._visit(Place("", (), schema, dialect), resolver_of(schema, dialect, references))

    def run(self) -> Reached:
        while self.unread or self.unfollowed:
            # Read whole documents first, so that a place has the path that leads down to it.
            reading = bool(self.unread)
            index, resolver = (self.unread if reading else self.unfollowed).pop()
            place = self.places[index]
            if reading:
                place.edges.extend(self._applied(place, resolver))
                self.unfollowed.append((index, resolver))
            else:
                place.edges.extend(self._referred(place, resolver))
        return Reached(self.places, self.unresolved, frozenset(self.uris))

    def _visit(self, place: Place, resolver: Any) -> int:
        # Subschemas are told apart by identity: the same content may mean different things in
        # different places. Booleans have no identity, and nothing below them to lose.
        known = self.known.get(id(place.schema)) if isinstance(place.schema, dict) else None
        if known is not None:
            return known
        index = len(self.places)
        self.places.append(place)
        if isinstance(place.schema, dict):
            self.known[id(place.schema)] = index
            self.unread.append((index, resolver))
        return index

    def _applied(self, place: Place, resolver: Any) -> Iterator[Edge]:
        for sub in direct_subschemas(place.schema, place.dialect):
            dialect = embedded_dialect(sub.schema, place.dialect)
            below = Place(place.document, (*place.path, *sub.path), sub.schema, dialect)
            try:
                inner = resolver.in_subresource(resource_of(sub.schema, dialect))
            except ValueError as error:  # an identifier, its own or one above, is no address
                reason = f"its identifier makes no address: {error}"
                self.unresolved.append(UnresolvedReference(below.pointer, reason))
                inner = resolver
            yield Edge(self._visit(below, inner), sub.path, sub.applies)

    def _referred(self, place: Place, resolver: Any) -> Iterator[Edge]:
        assert isinstance(place.schema, dict)
        for keyword in _REFERENCE_KEYWORDS:
            reference = place.schema.get(keyword)
            if not isinstance(reference, str):
                continue
            try:
                resolved = _look_up(resolver, keyword, reference)
            except UnresolvedReference as error:
                self.unresolved.append(UnresolvedReference(place.below(keyword), error.reason))
                continue
            target = self._target(resolved, place, urldefrag(reference).fragment)
            if target is not None:
                yield Edge(target, (keyword,), Applies.IN_PLACE)

    def _target(self, resolved: Any, origin: Place, fragment: str) -> int | None:
        root = resolved.resolver.lookup("#").contents
        uri = next((uri for uri, held in self.references.items() if held is root), None)
        if uri is not None:
            self.uris.add(uri)
        document = uri if uri is not None else origin.document
        path = tokens(unquote(fragment)) if fragment.startswith("/") else ()
        dialect = target_dialect(resolved, origin.dialect)
        target = Place(document, path, resolved.contents, dialect)
        if id(target.schema) not in self.known and not self._is_sound(target, root):
            return None
        return self._visit(target, resolved.resolver)

    def _is_sound(self, target: Place, root: JSON) -> bool:
        """Whether something found by reference only is a schema; if not, what is wrong is kept."""
        named = root.get("$schema") if isinstance(root, dict) else None
        if named is not None and named_dialect(named) is None:
            at = f"{target.document}#/$schema"
            self.unresolved.append(UnresolvedReference(at, str(UnknownDialect(named))))
            return False
        fault = next(iter_faults(target.schema, target.dialect), None)
        if fault is not None:
            at = f"{target.pointer}{fault.pointer}"
            self.unresolved.append(UnresolvedReference(at, fault.reason))
        return fault is None


def _look_up(resolver: Any, keyword: str, reference: str) -> Any:
    """What a reference leads to. Raises `UnresolvedReference` (without its place)."""
    try:
        resolved = (
            lookup_recursive_ref(resolver)
            if keyword == "$recursiveRef"
            else resolver.lookup(reference)
        )
    except Unresolvable as error:
        raise UnresolvedReference("", _unresolved(reference)) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnresolvedReference("", f"{reference[:200]!r} is no usable reference") from error
    if not isinstance(resolved.contents, dict | bool):
        raise UnresolvedReference("", f"{reference[:200]!r} does not lead to a schema")
    return resolved


def _unresolved(reference: str) -> str:
    shown = repr(reference[:200])
    if reference.startswith("#"):
        return f"{shown} leads nowhere in this document"
    return f"{shown} is not known here, and nothing is ever fetched: register it, or use $defs"
