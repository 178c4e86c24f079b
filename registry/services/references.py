"""Other subjects' versions that a document refers to, read from the database only."""

import re
from typing import Any

from registry.models import SchemaVersion

_REFERENCE = re.compile(r'"(seamless:///subjects/([^"/#]+)/versions/([0-9]{1,9}))(?:#[^"]*)?"')


def stored_references(document: str) -> dict[str, Any]:
    """The stored documents behind every `seamless:///subjects/<name>/versions/<n>` in the text.

    Follows references inside them too. What is not stored is left out: admission names it.
    """
    found: dict[str, Any] = {}
    texts = [document]
    while texts:
        for uri, subject, number in _REFERENCE.findall(texts.pop()):
            if uri in found:
                continue
            version = (
                SchemaVersion.objects.select_related("content")
                .filter(subject__name=subject, number=int(number))
                .first()
            )
            if version is not None:
                found[uri] = version.content.document
                texts.append(version.content.canonical)
    return found
