"""Documents as `referencing` holds them, and the way between them. Nothing is ever fetched."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import uses_netloc, uses_relative

from jsonschema_specifications import (  # type: ignore[import-untyped]
    REGISTRY as SPECIFICATIONS,
)
from referencing import Resource, Specification
from referencing.jsonschema import specification_with

from registry.canonical import JSON
from registry.dialects import DRAFT4, Dialect, named_dialect

SCHEME = "seamless"
"""The scheme of registered versions: `seamless:///subjects/<name>/versions/<n>`."""

# `referencing` takes URIs apart with `urllib`, which turns `seamless:///a#b` into `seamless:/a` and
# joins no relative reference to it unless it knows the scheme.
for _known in (uses_netloc, uses_relative):
    if SCHEME not in _known:
        _known.append(SCHEME)


def root_resolver(root: Resource[Any], others: Iterable[tuple[str, Resource[Any]]] = ()) -> Any:
    """A resolver that starts at a document and knows others by URI, and the meta-schemas."""
    return SPECIFICATIONS.with_resources(others).resolver_with_root(root)


def _tolerant_draft4() -> Specification[Any]:
    """Draft-04 as `referencing` has it, but for its crash on `"additionalProperties": false`."""
    stock: Any = specification_with(DRAFT4.uri)
    build: Any = Specification
    made: Specification[Any] = build(
        name="draft-04",
        id_of=lambda contents: stock.id_of(contents) if isinstance(contents, dict) else None,
        subresources_of=lambda contents: [
            found for found in stock.subresources_of(contents) if isinstance(found, dict)
        ],
        anchors_in=lambda _, contents: stock.anchors_in(contents),
        maybe_in_subresource=stock.maybe_in_subresource,
    )
    return made


_DRAFT4 = _tolerant_draft4()


def resource_of(schema: JSON, dialect: Dialect) -> Resource[Any]:
    """A schema as `referencing` holds it; a boolean has neither an id nor anything inside."""
    if not isinstance(schema, dict):
        return Resource.opaque(schema)
    specification: Any = specification_with(dialect.uri)
    return (_DRAFT4 if dialect is DRAFT4 else specification).create_resource(schema)


def target_dialect(resolved: Any, current: Dialect) -> Dialect:
    """The dialect of what a reference resolved to: that of the resource it is in."""
    root = resolved.resolver.lookup("#").contents
    named = named_dialect(root.get("$schema")) if isinstance(root, dict) else None
    return named or current
