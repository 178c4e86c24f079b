"""What every source of bars must pass: subclass `SourceSuite` in a pytest module of yours.

class TestMySource(SourceSuite):
    @pytest.fixture
    def source(self): return MySource(...)
    time, unit = "ts", "s"
    span = CoverageRange(0, 600)      # a range in which the source has rows
    keys = ({"symbol": "A"},)         # series it has
"""

import time as clock
from collections.abc import Sequence
from typing import ClassVar

import pyarrow as pa
import pytest

from coordinator.coverage import CoverageRange
from provider.sources import Source
from provider.timeline import Key, read_times


class SourceSuite:
    """The promises of `provider.sources.Source`, one test each."""

    time: ClassVar[str]
    unit: ClassVar[str | None] = None
    span: ClassVar[CoverageRange]
    keys: ClassVar[Sequence[Key]] = ()

    def _seconds(self, table: pa.Table) -> list[int]:
        read = read_times(table.column(self.time), self.unit)
        assert read.readable.all(), "a time that cannot be read"
        return [int(second) for second in read.seconds]

    def test_it_has_rows_with_readable_times_in_the_closed_range(self, source: Source) -> None:
        seconds = self._seconds(source.fetch(self.span, self.keys, None))
        assert seconds
        assert all(self.span.start <= second <= self.span.end for second in seconds)

    def test_both_ends_of_a_range_belong_to_it(self, source: Source) -> None:
        seconds = sorted(set(self._seconds(source.fetch(self.span, self.keys, None))))
        inner = CoverageRange(seconds[0], seconds[-1])
        assert sorted(set(self._seconds(source.fetch(inner, self.keys, None)))) == seconds

    def test_one_bar_can_be_asked_for(self, source: Source) -> None:
        first = min(self._seconds(source.fetch(self.span, self.keys, None)))
        one = source.fetch(CoverageRange(first, first), self.keys, None)
        assert set(self._seconds(one)) == {first}

    def test_parts_make_the_whole(self, source: Source) -> None:
        whole = source.fetch(self.span, self.keys, None)
        middle = (self.span.start + self.span.end) // 2
        parts = [
            source.fetch(CoverageRange(self.span.start, middle), self.keys, None),
            source.fetch(CoverageRange(middle + 1, self.span.end), self.keys, None),
        ]
        assert sum(part.num_rows for part in parts) == whole.num_rows

    def test_only_the_series_asked_for(self, source: Source) -> None:
        for key in self.keys:
            rows = source.fetch(self.span, [key], None)
            for column, value in key.items():
                assert set(rows.column(column).to_pylist()) <= {value}

    def test_a_deadline_that_has_passed_is_kept(self, source: Source) -> None:
        with pytest.raises(TimeoutError):
            source.fetch(self.span, self.keys, clock.monotonic() - 1)
