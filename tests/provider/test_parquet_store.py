"""Parquet files as the bars of a node: ranges, commits, safety of names, damage."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.stores.parquet import ParquetStore, UnreadableFile, directory_name
from provider.stores.protocol import SegmentExists


@pytest.fixture
def store(tmp_path):
    return ParquetStore(tmp_path / "bars" / "node", time="ts", unit="s")


def bars(*times, value=1.0):
    return pa.table({"ts": pa.array(times, pa.int64()), "v": [value] * len(times)})


def write(store, name, table):
    store.directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, store.directory / name)


def read(store, start, end, committed=()):
    return [
        (piece.source, piece.table.column("ts").to_pylist())
        for piece in store.read(start, end, committed)
    ]


def test_a_store_without_files_has_no_rows_and_makes_no_directory(store):
    assert store.read(0, 100, []) == []
    assert not store.directory.exists()


def test_only_committed_segments_are_read(store):
    first = store.stage(bars(0, 10), 7, 1)
    second = store.stage(bars(20), 8, 1)
    assert (first.name, first.rows) == ("7.1.parquet", 2)
    assert read(store, 0, 100) == []
    assert read(store, 0, 100, [second.name]) == [("segments/8.1.parquet", [20])]
    assert read(store, 0, 100, [second.name, first.name]) == [
        ("segments/8.1.parquet", [20]),
        ("segments/7.1.parquet", [0, 10]),
    ]


def test_files_of_others_come_after_the_segments_in_the_order_of_their_names(store):
    staged = store.stage(bars(0), 1, 1)
    for name in ("b.parquet", "a.parquet", "_ignored.parquet", ".hidden.parquet", "notes.txt"):
        write(store, name, bars(0))
    assert [source for source, _ in read(store, 0, 0, [staged.name])] == [
        "segments/1.1.parquet",
        "a.parquet",
        "b.parquet",
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([10, 20, 30], pa.int64()),
        pa.array([10, 20, 30], pa.uint32()),
        pa.array([10.0, 20.0, 30.0]),
        pa.array([10, 20, 30], pa.timestamp("s", "UTC")),
        pa.array([10, 20, 30], pa.timestamp("s")),
        pa.array([10_000_000, 20_000_000, 30_000_000], pa.timestamp("us", "Asia/Seoul")),
        pa.array(["1970-01-01T00:00:10Z", "1970-01-01T01:00:20+01:00", "1970-01-01T00:00:30Z"]),
    ],
    ids=lambda column: str(column.type),
)
def test_a_range_is_closed_whatever_the_type_of_the_time_column(store, column):
    write(store, "a.parquet", pa.table({"ts": column, "n": [1, 2, 3]}))

    def numbers(start, end):
        return [n for p in store.read(start, end, []) for n in p.table.column("n").to_pylist()]

    assert numbers(10, 20) == [1, 2]
    assert numbers(11, 29) == [2]
    assert numbers(30, 30) == [3]
    assert numbers(31, 99) == []
    assert numbers(-(2**62), 2**62) == [1, 2, 3]


def test_a_row_between_two_seconds_is_in_the_range_that_holds_it(store):
    column = pa.array([9_999, 10_000, 20_000, 20_001], pa.timestamp("ms", "UTC"))
    write(store, "a.parquet", pa.table({"ts": column, "n": [0, 1, 2, 3]}))
    (piece,) = store.read(10, 20, [])
    assert piece.table.column("n").to_pylist() == [1, 2]


@pytest.mark.parametrize("column", [pa.array([None, 500], pa.int64()), pa.array(["bad", "1970"])])
def test_rows_without_a_readable_time_belong_to_every_range(store, column):
    write(store, "a.parquet", pa.table({"ts": column, "n": [1, 2]}))
    (piece,) = store.read(10, 100, [])
    assert 1 in piece.table.column("n").to_pylist()


def test_a_file_without_the_time_column_is_handed_on_whole(store):
    write(store, "a.parquet", pa.table({"n": [1, 2]}))
    assert [piece.table.num_rows for piece in store.read(0, 1, [])] == [2]


def test_only_the_columns_asked_for_are_read(store):
    write(store, "a.parquet", bars(0, 10))
    (piece,) = store.read(0, 0, [], columns=["ts", "symbol"])
    assert piece.table.column_names == ["ts"]
    (piece,) = store.read(0, 0, [], columns=["v"])
    assert (piece.table.column_names, piece.table.num_rows) == (["v"], 1)


def test_data_columns_keep_their_types(store):
    table = pa.table(
        {
            "ts": pa.array([0], pa.int64()),
            "s": pa.array(["x"]).dictionary_encode(),
            "d": pa.array([1], pa.decimal128(10, 2)),
            "l": [[1, 2]],
        }
    )
    staged = store.stage(table, 1, 1)
    (piece,) = store.read(0, 0, [staged.name])
    assert piece.table.schema.remove_metadata() == table.schema


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not a parquet file at all"])
def test_a_half_written_file_is_named(store, damage):
    store.directory.mkdir(parents=True)
    (store.directory / "half.parquet").write_bytes(damage)
    with pytest.raises(UnreadableFile, match=r"half\.parquet") as caught:
        store.read(0, 100, [])
    assert caught.value.file == "half.parquet"
    assert str(store.directory) not in str(caught.value)


def test_a_truncated_segment_is_named(store):
    staged = store.stage(bars(*range(0, 5000, 10)), 1, 1)
    staged.path.write_bytes(staged.path.read_bytes()[:-20])
    with pytest.raises(UnreadableFile, match=r"segments/1\.1\.parquet"):
        store.read(0, 100, [staged.name])


def test_a_flipped_byte_in_a_segment_is_noticed(store):
    staged = store.stage(bars(*range(0, 5000, 10)), 1, 1)
    content = bytearray(staged.path.read_bytes())
    content[60] ^= 0xFF
    staged.path.write_bytes(content)
    with pytest.raises(UnreadableFile):
        store.read(0, 5000, [staged.name])


def test_a_committed_segment_that_is_gone_is_named_not_skipped(store):
    with pytest.raises(UnreadableFile, match=r"9\.1\.parquet"):
        store.read(0, 100, ["9.1.parquet"])


def test_the_checksum_is_the_digest_of_the_file(store):
    first, second = store.stage(bars(0), 1, 1), store.stage(bars(10), 1, 2)
    assert first.checksum.startswith("sha256:")
    assert first.checksum != second.checksum


def test_staging_again_is_allowed_for_the_same_rows_only(store):
    staged = store.stage(bars(0), 1, 1)
    assert store.stage(bars(0), 1, 1) == staged
    with pytest.raises(SegmentExists, match=r"1\.1\.parquet"):
        store.stage(bars(10), 1, 1)
    assert read(store, 0, 100, [staged.name]) == [("segments/1.1.parquet", [0])]


def test_a_failed_stage_leaves_nothing_behind(store, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        store.stage(bars(0), 1, 1)
    assert list((store.directory / "segments").iterdir()) == []


def test_discarding_twice_is_fine(store):
    staged = store.stage(bars(0), 1, 1)
    store.discard(staged.name)
    store.discard(staged.name)
    assert not staged.path.exists()


def test_sweeping_removes_old_orphans_and_nothing_else(store):
    kept, orphan = store.stage(bars(0), 1, 1), store.stage(bars(0), 1, 2)
    young = store.stage(bars(0), 1, 3)
    (orphan.path.parent / ".5.1.parquet.abc.tmp").write_bytes(b"")
    write(store, "a.parquet", bars(0))
    for path in orphan.path.parent.iterdir():
        os.utime(path, (100, 100))
    os.utime(young.path, (300, 300))
    assert store.sweep([kept.name], before=200) == [".5.1.parquet.abc.tmp", "1.2.parquet"]
    assert sorted(path.name for path in orphan.path.parent.iterdir()) == [
        "1.1.parquet",
        "1.3.parquet",
    ]
    assert (store.directory / "a.parquet").exists()


def test_sweeping_a_store_without_segments_finds_nothing(store):
    assert store.sweep([], before=10**12) == []


@pytest.mark.parametrize(
    "name",
    ["../1.1.parquet", "/etc/1.1.parquet", "1.1.parquet/..", "1.parquet", "", "a\n.1.parquet"],
)
def test_a_committed_name_cannot_leave_the_directory(store, name):
    with pytest.raises(ValueError, match="not the name of a segment"):
        store.read(0, 1, [name])


def test_shard_ids_are_made_safe(store):
    staged = store.stage(bars(0), "../x:0.1", 3)
    assert staged.path.parent == store.directory / "segments"
    assert read(store, 0, 0, [staged.name])


@pytest.mark.parametrize("node_id", ["..", ".", "a/../b", "/etc", "%2E%2E", "a:b/c", "x" * 1000])
def test_a_node_s_directory_lies_directly_below_the_root(tmp_path, node_id):
    directory = tmp_path / directory_name(node_id)
    assert directory.parent == tmp_path
    assert directory.resolve().parent == tmp_path.resolve()
    assert len(directory.name.encode()) <= 255


@given(st.lists(st.text(min_size=1, max_size=300), min_size=2, max_size=5, unique=True))
def test_different_nodes_have_different_directories(node_ids):
    def named(node_id):
        try:
            return directory_name(node_id)
        except UnicodeEncodeError:  # a lone surrogate is no node id
            return node_id

    assert len({named(node_id) for node_id in node_ids}) == len(node_ids)


def test_a_node_has_an_id():
    with pytest.raises(ValueError, match="not empty"):
        directory_name("")
