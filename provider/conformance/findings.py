"""What a check found: its class, its flag, how often, and a few places to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from provider.timeline import Key
from registry.cells import json_text
from registry.frame import Frame

MAX_SAMPLES = 10
MAX_VALUE = 100


class FindingClass(StrEnum):
    """What a finding leads to.

    A *schema* finding is judged by the rollout, a *quality* finding blocks unless the caller takes
    partial answers, a *note* is only reported.
    """

    SCHEMA = "schema"
    QUALITY = "quality"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Sample:
    """One place: the key values of a series, the bar time in epoch seconds, the value as JSON.

    `time` is None where it cannot be read, `value` where there is none to show. Values are cut to
    100 characters; key values and values of sensitive columns are never here.
    """

    key: Key
    time: int | None
    value: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"key": dict(self.key), "time": self.time, "value": self.value}


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that was found: `count` times, the first few of them in `samples`.

    `column` and `keyword` say where in the schema, "" where it is not about one. `per_column` flags
    count columns, not rows. `warnings` are sentences for people.
    """

    finding_class: FindingClass
    flag: str
    count: int
    column: str = ""
    keyword: str = ""
    schema_pointer: str = ""
    samples: tuple[Sample, ...] = ()
    warnings: tuple[str, ...] = ()
    per_column: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "class": self.finding_class.value,
            "flag": self.flag,
            "count": self.count,
            "column": self.column,
            "keyword": self.keyword,
            "schema_pointer": self.schema_pointer,
            "samples": [sample.to_dict() for sample in self.samples],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Sampler:
    """Makes samples that show no value of a sensitive column."""

    frame: Frame
    keys: Sequence[Key]

    def at(self, series: int, time: int | None) -> Sample:
        """A place without a value."""
        return Sample(self.shown_key(self.keys[series]), time)

    def of(self, series: int, time: int | None, column: str | None, cell: Any) -> Sample:
        """A place and the cell that is there; `column` None says the cell is more than one."""
        shown = column is not None and column not in self.frame.sensitive
        value = json_text(cell)[:MAX_VALUE] if shown else None
        return Sample(self.shown_key(self.keys[series]), time, value)

    def shown_key(self, key: Mapping[str, Any]) -> dict[str, Any]:
        return {
            column: None if column in self.frame.sensitive else _plain(value)
            for column, value in key.items()
        }


def _plain(value: Any) -> Any:
    """A key value that any JSON writer takes, of bounded size."""
    if isinstance(value, str):
        return value[:MAX_VALUE]
    if isinstance(value, Decimal | float | list | dict):
        return json_text(value)[:MAX_VALUE]
    return value
