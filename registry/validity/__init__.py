"""What *valid* means: a slow, obvious reference over `jsonschema`, and the only meaning there is.

It departs from `jsonschema` in what follows; everything else is `jsonschema`'s answer.

1. **Dialects**: 2020-12, 2019-09, 7, 6 and 4, by `$schema`; without it 2020-12, or draft-07 where
   the schema is valid only there or uses `dependencies` or `additionalItems` (`dialect_of` tells).
   An embedded or referenced document is judged in its own dialect. Another `$schema` is invalid.
2. **A document is JSON.** One that holds NaN, an infinity or a lone surrogate anywhere is valid
   under no schema, not even `true`: no JSON text says it. A Python value of another type (tuple,
   datetime, numpy integer) is a `TypeError`: convert first. `Decimal` counts as a number.
3. **A number is what its shortest text says**: 0.1 is one tenth. So `multipleOf` is decimal (0.3 is
   a multiple of 0.1), and comparisons are exact for integers of any size.
4. **1.0 is an integer and equals 1** in every dialect, draft-04 too; `true` is neither a number nor
   equal to 1, at any depth, in `enum`, `const` and `uniqueItems`.
5. **Patterns are ECMA-262** in `u` mode (`registry.patterns`): `^a$` does not match "a\\n", `\\d`
   and `\\w` are ASCII, `\\p{…}` works. They run in linear time on RE2; what it cannot run
   (look-around, back-references) runs on Python's `re`, in whatever time that takes. A pattern that
   is not ECMA-262, or that neither engine can run, makes the schema invalid.
6. **`format` is asserted** for the values listed in `registry.formats`, in every dialect; any other
   value is an annotation.
7. **References** lead into the schema, to bundled meta-schemas or to `references`, and never to a
   network or a file. One that leads nowhere makes the schema invalid, used or not; so does a cycle
   of references that consumes nothing of the document (`{"$ref": "#"}`).
8. **Evaluated properties and items** follow the specification through `$id`, `$dynamicRef` and
   `dependentSchemas`, where `jsonschema` takes short cuts.
9. **Findings** are placed as precisely as the specification allows: `false` as
   `additionalProperties`, `items` or `unevaluated…` is a finding at each property or item,
   `minContains` and `maxContains` are keywords of their own, a schema pointer holds the `$ref` it
   went through. `anyOf` and `oneOf` give one finding, without those of the branches. Sentences
   never quote the document.
10. **Depth**: documents and schemas beyond 128 levels raise `TooDeep` or `InvalidSchema`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

from registry.canonical import JSON
from registry.evaluation.messages import keyword_of, sentence_of
from registry.evaluation.values import TooDeep, iter_not_json
from registry.metaschemas import dialect_of
from registry.pointers import pointer
from registry.references import References
from registry.validity.schemas import InvalidSchema, compiled

__all__ = [
    "Finding",
    "InvalidSchema",
    "TooDeep",
    "check_schema",
    "dialect_of",
    "is_valid",
    "iter_findings",
]

NOT_JSON = "json"
"""The keyword of a finding about a value that no JSON text says."""


@dataclass(frozen=True)
class Finding:
    """One violation: which keyword, where in the document, where in the schema.

    `schema_pointer` follows the way that was taken, `$ref` included; `keyword` is the last keyword
    on it, `"false"` where the schema itself is `false`, `"json"` where the document is not JSON.
    """

    keyword: str
    instance_pointer: str
    schema_pointer: str
    message: str


def is_valid(schema: JSON, document: Any, *, references: References | None = None) -> bool:
    """Whether a document is valid under a schema.

    `references` maps absolute URIs to the documents that the schema may refer to. Raises
    `InvalidSchema`, `TypeError` for a Python value that is not JSON, `TooDeep`.
    """
    return next(iter_findings(schema, document, references=references), None) is None


def iter_findings(
    schema: JSON, document: Any, *, references: References | None = None
) -> Iterator[Finding]:
    """Every violation, in the order of the schema; none where the document is valid.

    Raises as `is_valid` does, when it is first asked for a finding.
    """
    validator = compiled(schema, references)
    not_json = [
        Finding(NOT_JSON, pointer(path), "", reason) for path, reason in iter_not_json(document)
    ]
    if not_json:
        yield from not_json
        return
    try:
        for error in validator.iter_errors(document):
            yield _finding(error)
    except RecursionError as error:
        raise TooDeep("schema and document together nest too deeply to be judged") from error


def check_schema(schema: JSON, *, references: References | None = None) -> None:
    """Raise `InvalidSchema` where `is_valid` would, without a document."""
    compiled(schema, references)


def _finding(error: ValidationError) -> Finding:
    path = list(error.absolute_schema_path)
    return Finding(
        keyword=keyword_of(path),
        instance_pointer=pointer(error.absolute_path),
        schema_pointer=pointer(path),
        message=sentence_of(error),
    )
