"""Checks of the rows together that no schema of one row can say: trades, quotes, steps in a price.

A rule takes the blended rows and yields *quality* findings. `rule_from` makes one of a document, as
a node's settings hold it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from coordinator.coverage import Bools, Int64s
from provider.blend import Blended
from provider.conformance.findings import MAX_SAMPLES, Finding, FindingClass, Sampler

Reals = NDArray[np.float64]
_LAST_SECOND = 2**32 - 1
_WIDE = 0.1


class InvalidRule(ValueError):
    """A document that is no rule: `key` is where, `reason` is what."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"quality rule: {key!r} {reason}")
        self.key = key
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TickRule:
    """Trades: a price and a size above zero, at a time that a 32-bit clock can show."""

    price: str = "price"
    size: str = "size"

    def __call__(self, rows: Blended) -> Iterator[Finding]:
        seen = _Rows.of(rows, (self.price, self.size))
        yield from seen.missing
        yield from seen.times_out_of_bounds()
        for column in (self.price, self.size):
            yield from seen.not_above_zero(column)


@dataclass(frozen=True, slots=True)
class QuoteRule:
    """Quotes: both sides above zero, not crossed, less than a tenth apart."""

    bid: str = "bid"
    ask: str = "ask"
    bid_size: str = "bid_size"
    ask_size: str = "ask_size"

    def __call__(self, rows: Blended) -> Iterator[Finding]:
        columns = (self.bid, self.ask, self.bid_size, self.ask_size)
        seen = _Rows.of(rows, columns)
        yield from seen.missing
        yield from seen.times_out_of_bounds()
        for column in columns:
            yield from seen.not_above_zero(column)
        if self.bid in seen.values and self.ask in seen.values:
            bid, ask = seen.values[self.bid], seen.values[self.ask]
            yield from seen.found("crossed_quotes", bid >= ask, "quotes whose bid is not below ask")
            wide = (ask - bid) > _WIDE * bid
            yield from seen.found("wide_spread", wide, "quotes further apart than a tenth of bid")


@dataclass(frozen=True, slots=True)
class MaxReturnRule:
    """From one row of a series to its next, `column` moves by at most the share `most`.

    0.2 is 20 %. Rows without a number are passed over.
    """

    column: str
    most: float

    def __call__(self, rows: Blended) -> Iterator[Finding]:
        seen = _Rows.of(rows, (self.column,))
        yield from seen.missing
        if self.column not in seen.values:
            return
        numbered = np.flatnonzero(np.isfinite(seen.values[self.column]))
        order = numbered[np.argsort(seen.series[numbered], kind="stable")]
        values, series = seen.values[self.column][order], seen.series[order]
        before, after = values[:-1], values[1:]
        jumps = (series[1:] == series[:-1]) & (np.abs(after - before) > self.most * np.abs(before))
        chosen = np.zeros(len(seen.series), np.bool_)
        chosen[order[1:][jumps]] = True
        said = f"steps of {self.column} larger than {self.most:g} of the value before"
        yield from seen.found("max_return", chosen, said, self.column)


Rule = TickRule | QuoteRule | MaxReturnRule
_MAKERS: Mapping[str, Callable[..., Rule]] = {
    "tick": TickRule,
    "quote": QuoteRule,
    "max_return": MaxReturnRule,
}
_KEYS: Mapping[str, Sequence[str]] = {
    "tick": ("price", "size"),
    "quote": ("bid", "ask", "bid_size", "ask_size"),
    "max_return": ("column", "most"),
}


def rule_from(document: object) -> Rule:
    """The rule of `{"rule": "max_return", "column": "close", "most": 0.2}` and its like.

    Raises InvalidRule, which names the key.
    """
    if not isinstance(document, Mapping):
        raise InvalidRule("rule", f"is an object, not {document!r}")
    name = document.get("rule")
    if not isinstance(name, str) or name not in _MAKERS:
        raise InvalidRule("rule", f"is {name!r}; use {', '.join(_MAKERS)}")
    rest = {key: value for key, value in document.items() if key != "rule"}
    for key, value in rest.items():
        if key not in _KEYS[name]:
            raise InvalidRule(str(key), f"is unknown to {name}; use {', '.join(_KEYS[name])}")
        _check(key, value)
    if name == "max_return" and set(rest) != {"column", "most"}:
        raise InvalidRule("max_return", "needs column and most")
    return _MAKERS[name](**rest)


def _check(key: str, value: Any) -> None:
    if key == "most":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not isfinite(value) or value <= 0:
            raise InvalidRule(key, f"is a number above 0, not {value!r}")
    elif not isinstance(value, str) or not value:
        raise InvalidRule(key, f"is the name of a column, not {value!r}")


@dataclass(frozen=True, slots=True)
class _Rows:
    """All rows of an answer in its order, with the columns a rule looks at as numbers."""

    sampler: Sampler
    series: Int64s
    seconds: Int64s
    values: Mapping[str, Reals]
    missing: tuple[Finding, ...]

    @classmethod
    def of(cls, rows: Blended, columns: Sequence[str]) -> "_Rows":
        nothing = np.empty(0, np.int64)
        order = np.argsort(np.concatenate([nothing, *(part.places for part in rows.parts)]))
        known = {name for part in rows.parts for name in part.table.column_names}
        # An answer without a row lacks no column of it.
        absent = [column for column in columns if rows.rows and column not in known]
        return cls(
            sampler=Sampler(rows.frame, rows.keys),
            series=np.concatenate([nothing, *(part.series for part in rows.parts)])[order],
            seconds=np.concatenate([nothing, *(part.times.seconds for part in rows.parts)])[order],
            values={
                column: np.concatenate(
                    [np.empty(0), *(_numbers(part.table, column) for part in rows.parts)]
                )[order]
                for column in columns
                if column in known
            },
            missing=tuple(_missing(column) for column in absent),
        )

    def not_above_zero(self, column: str) -> Iterator[Finding]:
        if column in self.values:
            values = self.values[column]
            yield from self.found(
                f"nan_{column}", np.isnan(values), f"rows without a {column}", column
            )
            yield from self.found(
                f"invalid_{column}", values <= 0, f"rows whose {column} is not above 0", column
            )

    def times_out_of_bounds(self) -> Iterator[Finding]:
        outside = (self.seconds < 0) | (self.seconds > _LAST_SECOND)
        yield from self.found("invalid_timestamp", outside, "rows at times outside 1970 to 2106")

    def found(self, flag: str, chosen: Bools, said: str, column: str = "") -> Iterator[Finding]:
        """The finding of the chosen rows, if there are any; values are not shown."""
        count = int(chosen.sum())
        if count:
            first = np.flatnonzero(chosen)[:MAX_SAMPLES].tolist()
            yield Finding(
                FindingClass.QUALITY,
                flag,
                count,
                column=column,
                samples=tuple(
                    self.sampler.at(int(self.series[row]), int(self.seconds[row])) for row in first
                ),
                warnings=(f"detected {count} {said}",),
            )


def _missing(column: str) -> Finding:
    return Finding(
        FindingClass.QUALITY,
        "missing_column",
        1,
        column=column,
        warnings=(f"missing columns detected: {column}",),
        per_column=True,
    )


def _numbers(table: pa.Table, column: str) -> Reals:
    """The cells as doubles: null, text and absent cells are NaN."""
    absent = column not in table.column_names
    kind = None if absent else table.schema.field(column).type
    if kind is None or not (
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    ):
        return np.full(table.num_rows, np.nan)
    cells = pc.cast(table.column(column), pa.float64(), safe=False)
    numbers: Reals = cells.to_numpy()
    return numbers
