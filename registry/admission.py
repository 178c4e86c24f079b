"""The gate for a proposal: is this document a schema that can be reviewed, stored and run?

`is_valid` takes any valid schema. A proposal must also be one row of a table (`type: object`), have
a canonical form, fit the bounds below, keep its patterns to the linear-time subset, and refer only
to what is registered. All problems are reported at once where the document can be read at all; the
time is bounded by its size.

1. Text is read within the bounds of size and depth; what has no canonical form is refused.
2. The dialect is found; the meta-schema judges every subschema by itself.
3. The root, `x-seamless`, patterns and references are checked.
4. Where references lead somewhere, cycles and blow-up are looked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from registry.canonical import (
    JSON,
    NotCanonical,
    canonicalize,
    fingerprint_of_bytes,
    iter_refusals,
    load_json,
    own_copy,
)
from registry.dialects import Dialect, subschemas
from registry.errors import Unprocessable
from registry.evaluation.cost import excessive_work
from registry.frame import Frame, frame_of, iter_frame_faults
from registry.metaschemas import UnknownDialect, dialect_of, iter_faults
from registry.patterns import InvalidPattern, linear_refusal
from registry.pointers import pointer
from registry.references import (
    Place,
    Reached,
    References,
    endless_references,
    patterns_of,
    reach,
    resolved_fingerprint,
)

MAX_BYTES = 262_144
MAX_DEPTH = 64
MAX_SUBSCHEMAS = 5_000
MAX_REFERENCED_SUBSCHEMAS = 20_000
MAX_PATTERN_LENGTH = 1_000
MAX_PROBLEMS = 50


@dataclass(frozen=True)
class Problem:
    """One reason for a refusal: a stable code, where, what is wrong, and the usual way out."""

    code: str
    pointer: str
    message: str
    fix: str


@dataclass(frozen=True)
class Admitted:
    """A schema that may be proposed, with everything that identifies it."""

    document: dict[str, JSON]
    canonical: bytes
    fingerprint: str
    resolved_fingerprint: str
    dialect: str
    frame: Frame


class SchemaNotAdmitted(Unprocessable):
    """The document cannot be proposed; `.problems` says why, at most `MAX_PROBLEMS` of them."""

    code = "schema_not_admitted"
    title = "Schema not admitted"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first, others = problems[0], len(problems) - 1
        more = f" ({others} more)" if others else ""
        super().__init__(
            f"{first.message} at {first.pointer or 'the root'}: {first.fix}{more}",
            errors=[asdict(problem) for problem in problems],
        )
        self.problems = problems


def admit(
    text_or_document: str | bytes | JSON, *, references: References | None = None
) -> Admitted:
    """Admit a schema, as JSON text or as a document. Raises `SchemaNotAdmitted`.

    `references` maps the URIs of registered versions to their documents.
    """
    document = _read(text_or_document)
    references = {uri: own_copy(held) for uri, held in (references or {}).items()}
    dialect = _dialect(document)
    problems = tuple(islice(_problems(document, dialect, references), MAX_PROBLEMS))
    if problems or not isinstance(document, dict):
        raise SchemaNotAdmitted(problems)
    canonical = canonicalize(document)
    return Admitted(
        document=document,
        canonical=canonical,
        fingerprint=fingerprint_of_bytes(canonical),
        resolved_fingerprint=resolved_fingerprint(document, references),
        dialect=dialect.name,
        frame=frame_of(document),
    )


# -- reading ---------------------------------------------------------------------------------------

_READING_FIXES = {
    "not_json": "send one JSON document in UTF-8",
    "duplicate_name": "keep one of the two",
    "too_large": "split it into several subjects, or refer to shared parts",
    "too_deep": "flatten the document",
    "not_canonical": "write a value that RFC 8785 can hold",
}


def _read(given: str | bytes | JSON) -> JSON:
    if isinstance(given, str | bytes):
        try:
            return load_json(given, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        except NotCanonical as error:
            raise _not_read(error.code, error.pointer, error.reason) from error
    refusals = list(islice(iter_refusals(given, max_depth=MAX_DEPTH, readable=True), MAX_PROBLEMS))
    if refusals:
        raise SchemaNotAdmitted(tuple(_reading(e.code, e.pointer, e.reason) for e in refusals))
    size = len(canonicalize(given))
    if size > MAX_BYTES:
        raise _not_read("too_large", "", f"{size} bytes are more than the {MAX_BYTES} allowed")
    return own_copy(given)


def _reading(code: str, place: str, reason: str) -> Problem:
    return Problem(code, place, reason, _READING_FIXES[code])


def _not_read(code: str, place: str, reason: str) -> SchemaNotAdmitted:
    return SchemaNotAdmitted((_reading(code, place, reason),))


def _dialect(document: JSON) -> Dialect:
    try:
        return dialect_of(document)
    except UnknownDialect as error:
        fix = "name the dialect the schema is written in, or leave $schema out"
        problem = Problem("unknown_dialect", "/$schema", str(error), fix)
        raise SchemaNotAdmitted((problem,)) from error


# -- checking --------------------------------------------------------------------------------------


def _problems(document: JSON, dialect: Dialect, references: References | None) -> Iterator[Problem]:
    too_many = next(islice(subschemas(document, dialect), MAX_SUBSCHEMAS, None), None)
    if too_many is not None:
        yield Problem(
            "too_many_subschemas",
            pointer(too_many[0]),
            f"there are more than {MAX_SUBSCHEMAS} subschemas",
            "share repeated parts through $defs",
        )
        return
    faults = [
        Problem("invalid_schema", fault.pointer, fault.reason, "write what the dialect defines")
        for fault in islice(iter_faults(document, dialect), MAX_PROBLEMS)
    ]
    yield from faults
    if not isinstance(document, dict):
        if not faults:
            yield _not_a_row()
        return
    if document.get("type") != "object":
        yield _not_a_row()
    for fault in iter_frame_faults(document):
        yield Problem(fault.code, fault.pointer, fault.reason, fault.fix)
    if faults:  # too malformed to follow references in
        found = subschemas(document, dialect)
        yield from _pattern_problems(
            Place("", path, below, spoken) for path, below, spoken in found
        )
    else:
        yield from _problems_beyond(reach(document, dialect, references))


def _not_a_row() -> Problem:
    return Problem(
        "root_not_object",
        "/type",
        "a schema describes one row, which is an object",
        'write "type": "object" at the root',
    )


def _problems_beyond(reached: Reached) -> Iterator[Problem]:
    yield from _pattern_problems(reached.places)
    yield from _reference_problems(reached)
    endless = list(islice(endless_references(reached, dynamic=True), MAX_PROBLEMS))
    for place in endless:
        yield Problem(
            "endless_reference",
            place,
            "the reference leads back to itself without looking at anything inside the document",
            "put the reference below a property or an item",
        )
    excess = None if endless else excessive_work(reached)
    if excess is not None:
        yield Problem("too_much_work", excess.pointer, excess.reason, "simplify the combination")


def _pattern_problems(places: Iterable[Place]) -> Iterator[Problem]:
    for place, path, text in patterns_of(places):
        if len(text) > MAX_PATTERN_LENGTH:
            yield Problem(
                "pattern_too_long",
                place.below(*path),
                f"the pattern has {len(text)} characters, more than {MAX_PATTERN_LENGTH}",
                "use enum for a list of values, or split the column",
            )
            continue
        refusal = linear_refusal(text)
        if isinstance(refusal, InvalidPattern):
            fix = "write a regular expression of ECMA-262"
            yield Problem("invalid_pattern", place.below(*path), str(refusal), fix)
        elif refusal is not None:
            fix = "keep to what runs in linear time"
            yield Problem("pattern_not_linear", place.below(*path), str(refusal), fix)


def _reference_problems(reached: Reached) -> Iterator[Problem]:
    for unresolved in reached.unresolved:
        yield Problem(
            "unresolved_reference",
            unresolved.pointer,
            unresolved.reason,
            "refer to $defs, or to a registered version by its seamless:/// URI",
        )
    if len(reached.places) > MAX_REFERENCED_SUBSCHEMAS:
        yield Problem(
            "too_many_subschemas",
            "",
            f"the references reach more than {MAX_REFERENCED_SUBSCHEMAS} subschemas",
            "refer to smaller documents",
        )
