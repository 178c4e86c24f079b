"""Whatever a feed sends: no entry breaks the decoding, and none costs another its row."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import CoverageRange
from provider.live.entries import EntryForm, decode, parsed_json
from provider.sources.rows import read_types
from registry.frame import Frame

FRAME = Frame(time="ts", unit="s", key=("symbol",))
ALWAYS = CoverageRange(-(2**40), 2**40)
FORMS = [
    EntryForm(types=read_types(kinds), later_wins=later_wins)
    for kinds in ({}, {"close": "float64", "volume": "int64"}, {"ts": "timestamp[s]"})
    for later_wins in (True, False)
]

cells: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
names = st.sampled_from(["ts", "symbol", "close", "volume", "more"])
anything = st.dictionaries(names, cells) | cells


def good(number: int) -> dict[str, Any]:
    return {"ts": number, "symbol": f"good {number}", "close": 1.5, "volume": number}


@given(
    st.lists(anything, max_size=12), st.sampled_from(FORMS), st.sampled_from([FRAME, Frame("ts")])
)
def test_what_others_send_costs_a_good_row_nothing(
    others: list[Any], form: EntryForm, frame: Frame
) -> None:
    mixed = [good(1), *others, good(2)] + [good(number) for number in range(3, 14)]
    found = decode(mixed, form, frame, ALWAYS)
    rows = [row for table in found.tables for row in table.to_pylist()]
    if frame.unit is not None or "ts" in form.types:
        seen = [row.get("symbol") for row in rows]
        assert all(f"good {number}" in seen for number in range(1, 14))
    assert len(rows) + sum(found.malformed.values()) <= len(mixed)


@given(st.binary(max_size=30) | st.text(max_size=30))
def test_what_is_no_json_is_no_row(sent: str | bytes) -> None:
    found = parsed_json(sent)
    if found is None:
        return
    assert isinstance(found, dict | list | str | int | float | bool)


@given(st.lists(st.dictionaries(names, st.text(max_size=8)), max_size=8))
def test_texts_become_cells_or_stay_texts(sent: list[dict[str, str]]) -> None:
    kinds = read_types({"close": "float64", "volume": "int64", "more": "decimal(9,2)"})
    form = EntryForm(types=kinds, texts=True)
    entry = {"ts": "60", "symbol": "A", "close": "1.5", "volume": "7", "more": "1.25"}
    found = decode([*sent, *[entry] * (len(sent) + 1)], form, FRAME, ALWAYS)
    rows = [row for table in found.tables for row in table.to_pylist()]
    row = next(row for row in rows if (row["ts"], row.get("symbol")) == (60, "A"))
    assert json.dumps([row["close"], row["volume"], str(row["more"])]) == '[1.5, 7, "1.25"]'
