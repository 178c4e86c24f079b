"""The one JSON parser of the API: what has no canonical form is refused where it stands."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from registry.canonical import NotCanonical, load_json
from registry.errors import InvalidInput


class StrictJSONParser(BaseParser):
    """JSON without duplicate keys, NaN, lone surrogates or absurd depth; refused with a pointer."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return load_json(stream.read())
        except NotCanonical as error:
            raise InvalidInput(
                f"The body is refused as JSON: {error.reason} (at {error.pointer or 'the root'})",
                errors=[{"pointer": error.pointer, "code": "not_canonical"}],
            ) from None
