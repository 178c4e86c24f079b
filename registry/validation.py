"""Every record of a file against a schema, with what fails summed up and a few places shown."""

from dataclasses import asdict, dataclass, field
from typing import Any

from registry.canonical import JSON
from registry.cells import Cell, json_text
from registry.columnar import FrameValidator, compile_schema
from registry.frame import frame_of
from registry.pointers import tokens
from registry.references import References
from registry.tables import Batch, Records
from registry.validity import iter_findings

MOST_PLACES = 10
MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A refused value: the number of its record (of its line in JSON Lines), its pointer in it.

    `value` is JSON, cut to 100 characters; None where it is the record as a whole, or sensitive.
    """

    record: int
    pointer: str
    value: str | None


@dataclass(slots=True)
class Failure:
    """What one keyword refuses in one column; `column` is None where it is about whole records."""

    column: str | None
    keyword: str
    schema_pointer: str
    sentence: str
    count: int = 0
    places: list[Place] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class FileCheck:
    """Adds up the verdicts on the batches of a file."""

    def __init__(self, schema: JSON, *, references: References | None = None) -> None:
        self.records = 0
        self.invalid = 0
        self._schema = schema
        self._references = references
        self._validator: FrameValidator = compile_schema(schema, references=references)
        self._sensitive = frame_of(schema).sensitive if isinstance(schema, dict) else frozenset()
        self._failures: dict[tuple[str | None, str, str], Failure] = {}

    @property
    def failures(self) -> list[Failure]:
        """The most frequent first, the places of each in the order of the file."""
        for failure in self._failures.values():
            failure.places.sort(key=lambda place: place.record)
        return sorted(self._failures.values(), key=lambda one: -one.count)

    def add(self, batch: Batch) -> None:
        for group in batch.groups:
            self.records += len(group.numbers)
            if group.table is not None:
                self._table(group)
            else:
                self._documents(group)

    def _table(self, group: Records) -> None:
        verdict = self._validator.check(group.table)
        self.invalid += len(verdict.row_valid) - int(verdict.row_valid.sum())
        for found in verdict.violations:
            failure = self._failure(
                found.column, found.keyword, found.schema_pointer, found.sentence
            )
            failure.count += found.count
            for sample in found.samples[: MOST_PLACES - len(failure.places)]:
                record = int(group.numbers[sample.row])
                failure.places.append(
                    self._place(record, found.column, sample.instance_pointer, sample.value)
                )

    def _documents(self, group: Records) -> None:
        for number, document in zip(group.numbers.tolist(), group.documents, strict=True):
            findings = list(iter_findings(self._schema, document, references=self._references))
            self.invalid += bool(findings)
            for found in findings:
                path = tokens(found.instance_pointer)
                column = path[0] if path else None
                failure = self._failure(column, found.keyword, found.schema_pointer, found.message)
                failure.count += 1
                if len(failure.places) < MOST_PLACES:
                    value = _at(document, path) if path else None
                    failure.places.append(
                        self._place(number, column, found.instance_pointer, value)
                    )

    def _failure(
        self, column: str | None, keyword: str, schema_pointer: str, sentence: str
    ) -> Failure:
        made = Failure(column, keyword, schema_pointer, sentence)
        return self._failures.setdefault((column, keyword, schema_pointer), made)

    def _place(self, record: int, column: str | None, pointer: str, value: Cell) -> Place:
        hidden = column in self._sensitive or value is None or isinstance(value, dict)
        return Place(record, pointer, None if hidden else json_text(value)[:MOST_CHARACTERS])


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for token in path:
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document
