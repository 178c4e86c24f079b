"""`x-seamless` is read as declared, and each way to get it wrong has a name and a place."""

from typing import Any

import pytest

from registry.frame import FRAME_SCHEMA, Frame, InvalidFrame, frame_of, iter_frame_faults
from registry.validity import check_schema

COLUMNS = {
    "t": {"type": "integer"},
    "when": {"type": "string", "format": "date-time"},
    "symbol": {"type": "string"},
    "account": {"type": "string"},
    "anything": {},
    "later": {"type": ["integer", "null"]},
    "number": {"type": "number"},
}


def with_frame(frame: Any) -> dict[str, Any]:
    return {"type": "object", "properties": COLUMNS, "x-seamless": frame}


def test_a_full_frame_is_read_as_declared() -> None:
    schema = with_frame(
        {"time": "t", "unit": "ms", "key": ["symbol"], "sensitive": ["account", "symbol"]}
    )
    assert frame_of(schema) == Frame("t", "ms", ("symbol",), frozenset({"account", "symbol"}))
    assert list(iter_frame_faults(schema)) == []


@pytest.mark.parametrize("schema", [True, {}, {"type": "object"}, with_frame({})])
def test_nothing_declared_is_an_empty_frame(schema: Any) -> None:
    assert frame_of(schema) == Frame(None, None, (), frozenset())
    assert list(iter_frame_faults(schema)) == []


def test_the_order_of_key_columns_is_kept() -> None:
    assert frame_of(with_frame({"key": ["symbol", "account"]})).key == ("symbol", "account")


@pytest.mark.parametrize(
    ("frame", "code", "place"),
    [
        ([], "frame_malformed", "/x-seamless"),
        ({"time": 5}, "frame_malformed", "/x-seamless/time"),
        ({"time": ""}, "frame_malformed", "/x-seamless/time"),
        ({"time": "t", "unit": "m"}, "frame_malformed", "/x-seamless/unit"),
        ({"unit": "s"}, "frame_malformed", "/x-seamless"),
        ({"key": "symbol"}, "frame_malformed", "/x-seamless/key"),
        ({"key": ["symbol", 5]}, "frame_malformed", "/x-seamless/key/1"),
        ({"key": ["symbol", "symbol"]}, "frame_malformed", "/x-seamless/key"),
        ({"sensitive": ["symbol", "symbol"]}, "frame_malformed", "/x-seamless/sensitive"),
        ({"keys": []}, "frame_malformed", "/x-seamless/keys"),
    ],
)
def test_a_malformed_frame_is_refused_with_its_place(frame: Any, code: str, place: str) -> None:
    (fault,) = iter_frame_faults(with_frame(frame))
    assert (fault.code, fault.pointer) == (code, place)
    assert fault.reason
    assert fault.fix
    with pytest.raises(InvalidFrame) as caught:
        frame_of(with_frame(frame))
    assert caught.value.fault == fault


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        ({"time": "no"}, [("frame_column_missing", "/x-seamless/time")]),
        (
            {"key": ["symbol", "no"], "sensitive": ["nor"]},
            [
                ("frame_column_missing", "/x-seamless/key/1"),
                ("frame_column_missing", "/x-seamless/sensitive"),
            ],
        ),
        ({"time": "t"}, [("frame_unit_mismatch", "/x-seamless/time")]),
        ({"time": "when", "unit": "s"}, [("frame_unit_mismatch", "/x-seamless/time")]),
        (
            {"time": "when", "key": ["symbol", "when"]},
            [("frame_time_in_key", "/x-seamless/key/1")],
        ),
        ({"time": "when"}, []),
        ({"time": "t", "unit": "ns"}, []),
        ({"time": "later", "unit": "s"}, []),
        ({"time": "number", "unit": "s"}, []),
        ({"time": "anything"}, []),
    ],
)
def test_a_frame_that_contradicts_the_columns_is_refused(frame: Any, found: Any) -> None:
    faults = iter_frame_faults(with_frame(frame))
    assert [(fault.code, fault.pointer) for fault in faults] == found


def test_columns_are_not_looked_for_where_properties_is_no_object() -> None:
    schema: dict[str, Any] = {"properties": 5, "x-seamless": {"time": "t"}}
    assert [fault.code for fault in iter_frame_faults(schema)] == ["frame_column_missing"]


def test_the_meta_schema_of_frames_is_a_valid_schema() -> None:
    check_schema(FRAME_SCHEMA)
