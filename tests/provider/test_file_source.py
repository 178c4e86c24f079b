"""Files that are dropped into a folder: picked up whole, in range, or not at all."""

import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coordinator.coverage import CoverageRange
from provider.sources import InvalidSourceSettings, Source, SourceEnvironment, open_source
from provider.sources.files import FileSource
from provider.sources.rows import WrongRows

SPAN = CoverageRange(0, 120)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def source(drop: Path, **settings: Any) -> Source:
    given = {"type": "files", "path": str(drop), "time": "ts", "unit": "s"}
    return open_source(given | settings, SourceEnvironment(folders=[drop.parent]))


def rows(drop: Path, **settings: Any) -> list[dict[str, Any]]:
    return source(drop, **settings).fetch(SPAN, [], None).to_pylist()


def test_parquet_and_csv_are_read_in_the_order_of_their_names(drop: Path) -> None:
    pq.write_table(pa.table({"ts": [0, 500], "close": [1.0, 9.0]}), drop / "a.parquet")
    (drop / "b.csv").write_text("ts,close\n60,2.5\n")
    types = {"ts": "int64", "close": "float64"}
    assert rows(drop, types=types) == [{"ts": 0, "close": 1.0}, {"ts": 60, "close": 2.5}]


def test_a_row_that_two_files_repeat_counts_once(drop: Path) -> None:
    for name in ("a", "b"):
        pq.write_table(pa.table({"ts": [0], "close": [1.0]}), drop / f"{name}.parquet")
    assert rows(drop) == [{"ts": 0, "close": 1.0}]


@pytest.mark.parametrize("name", [".a.csv", "_a.csv", "a.csv.tmp", "a.csv.part", "a.txt"])
def test_what_has_no_final_name_is_not_there_yet(drop: Path, name: str) -> None:
    (drop / name).write_text("ts,close\n60,")
    assert rows(drop) == []


def test_a_file_that_appears_by_renaming_is_whole(drop: Path) -> None:
    half = drop / ".a.csv.tmp"
    half.write_text("ts,close\n60,2.5\n")
    half.rename(drop / "a.csv")
    assert rows(drop, types={"ts": "int64"}) == [{"ts": 60, "close": "2.5"}]


def test_a_half_written_file_with_a_final_name_is_named(drop: Path) -> None:
    pq.write_table(pa.table({"ts": [0]}), drop / "a.parquet")
    content = (drop / "a.parquet").read_bytes()
    (drop / "a.parquet").write_bytes(content[:-20])
    with pytest.raises(WrongRows, match=r"'a\.parquet' cannot be read"):
        rows(drop)


def test_a_file_that_changes_while_it_is_read_is_not_believed(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop / "a.csv").write_text("ts\n60\n")
    real = FileSource._read_csv

    def meddled(self: FileSource, path: Path) -> pa.Table:
        table = real(self, path)
        os.utime(path, ns=(1, 1))
        return table

    monkeypatch.setattr(FileSource, "_read_csv", meddled)
    with pytest.raises(WrongRows, match="changed while it was read"):
        rows(drop)


@pytest.mark.parametrize(
    ("content", "complaint"), [("ts\nx\n", "cannot be read"), ("ts,a\n1\n", "cannot be read")]
)
def test_cells_and_lines_that_do_not_fit_are_named(
    drop: Path, content: str, complaint: str
) -> None:
    (drop / "a.csv").write_text(content)
    with pytest.raises(WrongRows, match=complaint):
        rows(drop, types={"ts": "int64"})


def test_files_of_different_types_are_not_mixed(drop: Path) -> None:
    pq.write_table(pa.table({"ts": [0], "close": [1.0]}), drop / "a.parquet")
    pq.write_table(pa.table({"ts": [60], "close": ["x"]}), drop / "b.parquet")
    with pytest.raises(WrongRows, match="two pages have different types"):
        rows(drop)


def test_columns_are_renamed(drop: Path) -> None:
    pq.write_table(pa.table({"t": [0], "c": [1.0]}), drop / "a.parquet")
    assert rows(drop, columns={"ts": "t", "close": "c"}) == [{"ts": 0, "close": 1.0}]


def test_a_deadline_ends_it_between_files(drop: Path) -> None:
    pq.write_table(pa.table({"ts": [0]}), drop / "a.parquet")
    with pytest.raises(TimeoutError):
        source(drop).fetch(SPAN, [], time.monotonic() - 1)


def test_a_folder_that_is_gone(drop: Path) -> None:
    made = source(drop)
    drop.rmdir()
    with pytest.raises(FileNotFoundError, match="'drop' is not there"):
        made.fetch(SPAN, [], None)


@pytest.mark.parametrize("path", ["/etc", "{drop}/../..", "{drop}/../../elsewhere"])
def test_folders_that_the_operator_did_not_name_are_refused(drop: Path, path: str) -> None:
    with pytest.raises(InvalidSourceSettings, match="SEAMLESS_SOURCE_FOLDERS"):
        source(drop, path=path.format(drop=drop))


@pytest.mark.parametrize(
    ("settings", "key"), [({"time": ""}, "time"), ({"unit": "h"}, "unit"), ({"x": 1}, "x")]
)
def test_settings_nobody_understands_are_refused(
    drop: Path, settings: dict[str, Any], key: str
) -> None:
    with pytest.raises(InvalidSourceSettings) as refused:
        source(drop, **settings)
    assert refused.value.key == key
