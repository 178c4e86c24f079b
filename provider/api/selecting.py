"""What of the checked rows is sent: columns, series, pages, flags. It never changes the verdict."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.core import signing

from provider.blend import Blended, Marks
from provider.conformance import ConformanceReport, FindingClass
from provider.requests import ReadAnswer, ReadRequest
from provider.row_flags import FLAGS_COLUMN, with_flags
from registry.canonical import fingerprint
from registry.errors import Conflict, InvalidInput
from registry.services.resolution import BoundVersion

_SALT = "seamless.cursor"


class StaleCursor(Conflict):
    """The pages so far and the next one would not be slices of one checked window."""

    code = "cursor_stale"
    title = "Cursor stale"


@dataclass(frozen=True, slots=True)
class Selection:
    """`columns` and `symbols`: None is everything. `flags` adds the column of row flags."""

    columns: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None
    flags: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins, and what it has to be a slice of.

    `question` names consumer, node, window and selection; `release` is the fingerprint of the
    strict release ("" without one) and `dataset` that of the rows.
    """

    question: str
    release: str
    dataset: str
    offset: int

    def sign(self) -> str:
        return signing.dumps(asdict(self), salt=_SALT, compress=True)


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows (None: all) from where `cursor` points (None: the first)."""

    limit: int | None = None
    cursor: Cursor | None = None

    @property
    def offset(self) -> int:
        return 0 if self.cursor is None else self.cursor.offset


@dataclass(frozen=True, slots=True)
class Selected:
    """The rows that are sent, and where the rows after them begin."""

    rows: Blended
    next: Cursor | None


def read_cursor(text: str | None, question: str) -> Cursor | None:
    """The cursor of a query. Raises InvalidInput where we did not make it for this question."""
    if text is None:
        return None
    try:
        cursor = Cursor(**signing.loads(text, salt=_SALT))
    except (signing.BadSignature, TypeError, ValueError):
        raise InvalidInput(
            "This cursor is not one of ours; take it from the answer before, unchanged.",
            parameter="cursor",
        ) from None
    if cursor.question != question:
        raise InvalidInput(
            "This cursor belongs to another question: keep every other parameter as it was.",
            parameter="cursor",
        )
    return cursor


def question_of(consumer_id: int, request: ReadRequest, selection: Selection) -> str:
    """What a cursor is bound to: who asks for which window and which part of it."""
    document: dict[str, Any] = {
        "consumer": consumer_id,
        "node": request.node.node_id,
        "window": [str(request.window.start), str(request.window.end)],
        "partial_ok": request.partial_ok,
        "viewpoint": list(request.viewpoint.to_text()),
        "columns": None if selection.columns is None else list(selection.columns),
        "symbols": None if selection.symbols is None else list(selection.symbols),
        "flags": selection.flags,
    }
    return hashlib.sha256(fingerprint(document).encode()).hexdigest()[:32]


def select(answer: ReadAnswer, selection: Selection, page: Page, question: str) -> Selected:
    """Raises InvalidInput for what is not there, and StaleCursor where the window changed."""
    release = release_of(answer.request)
    cursor = page.cursor
    if cursor is not None and (cursor.release, cursor.dataset) != (release, answer.fingerprint):
        changed = "release" if cursor.release != release else "data"
        raise StaleCursor(
            f"The {changed} changed since the first page was sent; begin again without a cursor."
        )
    judge = answer.request.judge
    rows = apply_selection(answer.rows, selection, answer.marks, answer.report, judge)
    if page.limit is None and not page.offset:
        return Selected(rows, None)
    length = rows.rows if page.limit is None else page.limit
    end = page.offset + length
    more = Cursor(question, release, answer.fingerprint, end) if end < rows.rows else None
    return Selected(rows.slice(page.offset, length), more)


def release_of(request: ReadRequest) -> str:
    strict = request.resolution.strict
    return "" if strict is None else strict.release_fingerprint


def apply_selection(
    rows: Blended,
    selection: Selection,
    marks: Mapping[str, Marks],
    report: ConformanceReport,
    judge: BoundVersion,
) -> Blended:
    """Raises InvalidInput for columns and symbols that are not there."""
    if selection.flags:
        schema = judge.document if report.of_class(FindingClass.SCHEMA) else None
        rows = with_flags(rows, marks, schema, judge.references)
    rows = _of_series(rows, selection.symbols)
    return _of_columns(rows, selection.columns)


def _of_columns(rows: Blended, columns: tuple[str, ...] | None) -> Blended:
    if columns is None:
        return rows
    known = {name for part in rows.parts for name in part.table.column_names}
    if unknown := sorted(set(columns) - known):
        raise InvalidInput(
            f"Unknown columns {', '.join(unknown)[:200]}; there are {', '.join(sorted(known))}.",
            parameter="columns",
        )
    return rows.select({*columns, FLAGS_COLUMN} & known)


def _of_series(rows: Blended, symbols: tuple[str, ...] | None) -> Blended:
    """The series whose (single) key column has one of the values."""
    if symbols is None:
        return rows
    if len(rows.frame.key) != 1:
        raise InvalidInput("This node has no single key column to select by.", parameter="symbols")
    column = rows.frame.key[0]
    values = [str(key[column]) for key in rows.keys]
    if unknown := sorted(set(symbols) - set(values)):
        raise InvalidInput(f"Unknown symbols {', '.join(unknown)[:200]}.", parameter="symbols")
    return rows.only([number for number, value in enumerate(values) if value in symbols])
