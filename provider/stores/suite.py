"""What every store of bars must pass: subclass `StoreSuite` in a pytest module of yours.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def harness(self, tmp_path):
            return MyHarness(tmp_path)

The harness opens a store of one empty node (twice: the same node) and writes rows as others do.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pyarrow as pa
import pytest

from provider.stores.protocol import SegmentExists, Store, StoreUnreadable

LONG_PAST, FAR_FUTURE = 0.0, 1e11
DAY = 86_400


class StoreHarness(Protocol):
    def open(self, *, time: str | None = "ts", unit: str | None = "s") -> Store: ...

    def write_as_others(self, table: pa.Table) -> None:
        """Put the rows where other writers of this node put theirs."""
        ...


def bars(*times: int, value: float = 1.0) -> pa.Table:
    return pa.table(
        {
            "ts": pa.array(times, pa.int64()),
            "symbol": pa.array(["A"] * len(times), pa.string()),
            "v": pa.array([value] * len(times), pa.float64()),
        }
    )


def times_of(store: Store, start: int, end: int, committed: Any = ()) -> list[list[int]]:
    return [piece.table.column("ts").to_pylist() for piece in store.read(start, end, committed)]


class StoreSuite:
    """The promises of `provider.stores.protocol.Store`, one test each."""

    @pytest.fixture
    def store(self, harness: StoreHarness) -> Store:
        return harness.open()

    def test_an_empty_store_has_no_rows(self, store: Store) -> None:
        assert store.read(0, 100, []) == []
        assert store.sweep([], before=FAR_FUTURE) == []

    def test_only_committed_segments_are_read_in_the_order_given(self, store: Store) -> None:
        first, second = store.stage(bars(0, 10), 7, 1), store.stage(bars(20), 8, 1)
        assert (first.rows, second.rows) == (2, 1)
        assert times_of(store, 0, 100) == []
        assert times_of(store, 0, 100, [second.name]) == [[20]]
        assert times_of(store, 0, 100, [second.name, first.name]) == [[20], [0, 10]]

    def test_rows_of_others_come_after_the_segments(
        self, store: Store, harness: StoreHarness
    ) -> None:
        staged = store.stage(bars(0, value=1.0), 1, 1)
        harness.write_as_others(bars(0, 10, value=2.0))
        values = [p.table.column("v").to_pylist() for p in store.read(0, 10, [staged.name])]
        assert values == [[1.0], [2.0, 2.0]]

    @pytest.mark.parametrize("by_others", [False, True], ids=["segment", "others"])
    @pytest.mark.parametrize(
        "column",
        [
            pa.array([10, 20, 30], pa.int64()),
            pa.array([10, 20, 30], pa.int32()),
            pa.array([10.0, 20.0, 30.0]),
            pa.array([10_000, 20_000, 30_000], pa.timestamp("ms", "UTC")),
            pa.array([10, 20, 30], pa.timestamp("s")),
            pa.array(["1970-01-01T00:00:10Z", "1970-01-01T01:00:20+01:00", "1970-01-01T00:00:30Z"]),
        ],
        ids=lambda column: str(column.type),
    )
    def test_a_range_is_closed_whatever_the_type_of_the_time(
        self, store: Store, harness: StoreHarness, column: pa.Array, by_others: bool
    ) -> None:
        table, committed = pa.table({"ts": column, "n": [1, 2, 3]}), []
        if by_others:
            harness.write_as_others(table)
        else:
            committed = [store.stage(table, 1, 1).name]

        def numbers(start: int, end: int) -> list[int]:
            pieces = store.read(start, end, committed)
            return sorted(n for piece in pieces for n in piece.table.column("n").to_pylist())

        assert numbers(10, 20) == [1, 2]
        assert numbers(11, 29) == [2]
        assert numbers(30, 30) == [3]
        assert numbers(31, 99) == []
        assert numbers(-(2**62), 2**62) == [1, 2, 3]

    def test_a_row_between_two_seconds_is_in_the_range_that_holds_it(self, store: Store) -> None:
        column = pa.array([9_999, 10_000, 20_000, 20_001], pa.timestamp("ms", "UTC"))
        staged = store.stage(pa.table({"ts": column, "n": [0, 1, 2, 3]}), 1, 1)
        (piece,) = store.read(10, 20, [staged.name])
        assert piece.table.column("n").to_pylist() == [1, 2]

    def test_rows_without_a_time_belong_to_every_range(
        self, store: Store, harness: StoreHarness
    ) -> None:
        table = pa.table({"ts": pa.array([None, 500], pa.int64()), "n": [1, 2]})
        harness.write_as_others(table)
        staged = store.stage(table, 1, 1)
        pieces = store.read(10, 100, [staged.name])
        assert [piece.table.column("n").to_pylist() for piece in pieces] == [[1], [1]]

    def test_bars_of_many_months_and_years_come_back(self, store: Store) -> None:
        times = [-400 * DAY, -1, 0, 31 * DAY, 59 * DAY, 800 * DAY, 20_000 * DAY]
        staged = store.stage(bars(*times), 1, 1)
        assert times_of(store, times[0], times[-1], [staged.name]) == [times]
        assert times_of(store, -1, 31 * DAY, [staged.name]) == [[-1, 0, 31 * DAY]]

    def test_only_the_columns_asked_for_are_read(self, store: Store, harness: StoreHarness) -> None:
        harness.write_as_others(bars(0, 10))
        staged = store.stage(bars(0), 1, 1)
        for columns, kept in ((["ts", "x"], ["ts"]), (["v"], ["v"])):
            pieces = store.read(0, 0, [staged.name], columns=columns)
            assert [piece.table.column_names for piece in pieces] == [kept, kept]
            assert [piece.table.num_rows for piece in pieces] == [1, 1]

    def test_cells_come_back_as_they_were(self, store: Store) -> None:
        table = pa.table(
            {
                "ts": pa.array([0, 10], pa.int64()),
                "text": pa.chunked_array([["x"], ["é\n\t\"'\\"]]),
                "coded": pa.chunked_array(
                    [pa.array(["x"]).dictionary_encode(), pa.array(["y"]).dictionary_encode()]
                ),
                "price": pa.array([1, None], pa.decimal128(10, 2)),
                "real": pa.array([float("inf"), -0.0]),
                "flag": pa.array([True, None]),
                "at": pa.array([1, 2**40], pa.timestamp("us", "UTC")),
                "several": [[1, 2], []],
            }
        )
        staged = store.stage(table, 1, 1)
        (piece,) = store.read(0, 10, [staged.name])
        got = {name: piece.table.column(name).to_pylist() for name in piece.table.column_names}
        assert got == {name: table.column(name).to_pylist() for name in table.column_names}

    def test_a_column_that_a_segment_has_not_is_absent_and_not_null(self, store: Store) -> None:
        old = store.stage(bars(0), 1, 1)
        new = store.stage(bars(10).append_column("extra", pa.array([5])), 2, 1)
        null = store.stage(bars(20).append_column("extra", pa.nulls(1)), 3, 1)
        first, second, third = store.read(0, 20, [old.name, new.name, null.name])
        assert "extra" not in first.table.column_names
        assert second.table.column("extra").to_pylist() == [5]
        assert third.table.column("extra").to_pylist() == [None]

    def test_a_column_of_nulls_alone_comes_back_as_nulls(self, store: Store) -> None:
        staged = store.stage(bars(0).append_column("extra", pa.nulls(1)), 1, 1)
        (piece,) = store.read(0, 0, [staged.name], columns=["ts", "extra"])
        assert piece.table.to_pylist() == [{"ts": 0, "extra": None}]

    def test_staging_again_is_allowed_for_the_same_rows_only(self, store: Store) -> None:
        staged = store.stage(bars(0), 1, 1)
        again = store.stage(bars(0), 1, 1)
        assert (again.name, again.checksum, again.rows) == (staged.name, staged.checksum, 1)
        with pytest.raises(SegmentExists):
            store.stage(bars(10), 1, 1)
        assert times_of(store, 0, 100, [staged.name]) == [[0]]

    def test_the_checksum_tells_rows_apart(self, store: Store) -> None:
        first, second = store.stage(bars(0), 1, 1), store.stage(bars(10), 1, 2)
        assert first.checksum.startswith("sha256:")
        assert first.checksum != second.checksum

    def test_a_segment_may_be_empty(self, store: Store) -> None:
        staged = store.stage(bars(), 1, 1)
        assert (staged.rows, store.read(0, 10, [staged.name])) == (0, [])

    def test_a_committed_segment_that_is_gone_is_named_not_skipped(self, store: Store) -> None:
        staged = store.stage(bars(0), 1, 1)
        store.discard(staged.name)
        with pytest.raises(StoreUnreadable, match=r"1\.1"):
            store.read(0, 100, [staged.name])

    def test_discarding_twice_is_fine(self, store: Store) -> None:
        staged = store.stage(bars(0), 1, 1)
        store.discard(staged.name)
        store.discard(staged.name)
        assert store.sweep([], before=FAR_FUTURE) == []

    def test_sweeping_removes_old_orphans_and_nothing_else(
        self, store: Store, harness: StoreHarness
    ) -> None:
        harness.write_as_others(bars(50))
        kept, orphan = store.stage(bars(0), 1, 1), store.stage(bars(0), 1, 2)
        assert store.sweep([kept.name], before=LONG_PAST) == []
        assert store.sweep([kept.name], before=FAR_FUTURE) == [orphan.name]
        assert times_of(store, 0, 100, [kept.name]) == [[0], [50]]

    def test_the_version_changes_with_what_can_be_read(
        self, store: Store, harness: StoreHarness
    ) -> None:
        """A store that cannot tell says None, and never the same text for other rows."""
        seen = [store.version([], now=FAR_FUTURE)]
        harness.write_as_others(bars(0))
        seen.append(store.version([], now=FAR_FUTURE))
        harness.write_as_others(bars(10))
        seen.append(store.version([], now=FAR_FUTURE))
        seen.append(store.version(["1.1.parquet"], now=FAR_FUTURE))
        told = [version for version in seen if version is not None]
        assert len(set(told)) == len(told)

    @pytest.mark.parametrize("name", ["../1.1", "/etc/1.1", "1.1/..", "1", "", "a\n.1", "'; --.1"])
    def test_what_cannot_be_a_segment_s_name_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(ValueError, match="not the name of a segment"):
            store.read(0, 1, [name])
        with pytest.raises(ValueError, match="not the name of a segment"):
            store.discard(name)

    def test_shard_ids_are_made_safe(self, store: Store) -> None:
        staged = store.stage(bars(0), "../x:0.1'", 3)
        assert times_of(store, 0, 0, [staged.name]) == [[0]]

    def test_many_threads_may_stage_and_read_at_once(self, harness: StoreHarness) -> None:
        def work(shard: int) -> tuple[str, list[list[int]]]:
            store = harness.open()
            name = store.stage(bars(shard * 10), shard, 1).name
            return name, times_of(store, 0, 100, [name])

        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(work, range(8)))
        assert [found for _, found in done] == [[[shard * 10]] for shard in range(8)]
        names = [name for name, _ in done]
        assert times_of(harness.open(), 0, 100, names) == [[shard * 10] for shard in range(8)]
