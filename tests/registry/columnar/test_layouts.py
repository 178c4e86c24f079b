"""Tables in the layouts that the check works on: the same cells, in arrays that are whole."""

import pyarrow as pa
import pytest
from hypothesis import given

from registry.cells import write_rows
from registry.columnar.layouts import as_table
from registry.frame import Frame
from tests.registry.columnar.drawing import tables
from tests.registry.columnar.test_agreement import CALM, assert_agreement

VIEWS = pa.array(["a", "b", "c", "d"], pa.string_view())


def beside_a_view(child: pa.Array) -> pa.Table:
    """A slice of a struct of a string view, which is cast, and a child of four that is not."""
    return pa.table({"s": pa.StructArray.from_arrays([VIEWS, child], ["v", "w"]).slice(1, 3)})


SIX = pa.array([f"cell {number}" for number in range(6)])


@pytest.mark.parametrize(
    "child",
    [
        pa.StructArray.from_arrays([SIX], ["t"]).slice(2),
        pa.StructArray.from_arrays([pa.nulls(6)], ["t"]).slice(2),
        pa.array([[None] * n for n in range(6)], pa.list_(pa.null())).slice(2),
        pa.array([[n, n] for n in range(6)], pa.list_(pa.int64())).slice(2),
        pa.array([[n, n] for n in range(6)], pa.large_list(pa.int64())).slice(2),
        pa.array([[n, n] for n in range(6)], pa.list_(pa.int64(), 2)).slice(2),
        pa.array([["x"], None, [], ["y", None], [], ["z"]], pa.list_(pa.string_view())).slice(2),
        SIX.dictionary_encode().slice(2),
    ],
    ids=lambda child: str(child.type),
)
def test_a_slice_of_nested_slices_keeps_its_cells(child: pa.Array) -> None:
    """Arrow's own cast reads such a child beyond its end, and ends the process."""
    table = beside_a_view(child)
    laid_out = as_table(table)
    laid_out.validate(full=True)
    assert laid_out.column("s").type.field(0).type == pa.large_string()
    assert laid_out.to_pylist() == table.to_pylist()
    assert_agreement({"properties": {"s": {"properties": {"w": {"const": "cell 4"}}}}}, table)


@CALM
@given(tables())
def test_every_table_keeps_its_cells(table: pa.Table) -> None:
    laid_out = as_table(table)
    laid_out.validate(full=True)
    assert repr(list(write_rows(laid_out, Frame()))) == repr(list(write_rows(table, Frame())))
