"""Rules of the rows together, and presets: clean rows pass every one of them."""

from dataclasses import replace

import pyarrow as pa
import pytest

from provider.blend import Piece
from provider.conformance import ConformancePipeline, ConformancePipelineError
from provider.conformance.presets import PRESETS, preset
from provider.conformance.rules import InvalidRule, MaxReturnRule, QuoteRule, TickRule, rule_from
from registry.frame import Frame

SECONDS = Frame(time="ts", unit="s")
KEYED = Frame(time="ts", unit="s", key=("symbol",))
NAN = float("nan")


def flags(table, *rules, frame=SECONDS):
    return ConformancePipeline(frame=frame, partial_ok=True, rules=rules).run(table).report.flags


def ticks(**columns):
    return pa.table({"ts": [1, 2, 3], "price": [1.0, 2.0, 3.0], "size": [1, 1, 1], **columns})


def quotes(**columns):
    given = {"ts": [1, 2], "bid": [10.0, 10.0], "ask": [10.5, 10.5]}
    return pa.table({**given, "bid_size": [1, 1], "ask_size": [1, 1], **columns})


CLEAN = {
    "ts": [0, 60, 120],
    **{name: [1.0, 1.1, 1.2] for name in ("open", "high", "low", "close", "volume")},
    "price": [1.0, 1.1, 1.2],
    "size": [1, 2, 3],
    "bid": [1.0, 1.1, 1.2],
    "ask": [1.05, 1.15, 1.25],
    "bid_size": [1, 1, 1],
    "ask_size": [1, 1, 1],
}


@pytest.mark.parametrize("name", PRESETS)
def test_x11_w14_a_clean_frame_passes_every_shipped_preset(name):
    conformed = preset(name).run(pa.table(CLEAN))
    assert conformed.blended.rows == 3
    assert conformed.report.is_clean


def test_w14_presets_keep_their_interval_and_block_or_not():
    strict = preset("strict-blocking")
    assert (strict.partial_ok, strict.grid.interval) == (False, 60)
    assert preset("permissive-dev").partial_ok
    with pytest.raises(ConformancePipelineError):
        strict.run(pa.table(CLEAN).take([0, 2]))


def test_an_unknown_preset_is_a_key_error_that_names_them():
    with pytest.raises(KeyError, match="strict-blocking"):
        preset("lenient")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, {}),
        ({"price": [1.0, 0.0, -1.0]}, {"invalid_price": 2}),
        ({"size": [0, 1, 1]}, {"invalid_size": 1}),
        ({"price": [1.0, NAN, None]}, {"nan_price": 2, "non_finite": 2}),
        ({"size": ["1", "2", "3"]}, {"nan_size": 3}),
        ({"ts": [-1, 2, 2**32]}, {"invalid_timestamp": 2}),
        ({"ts": [2, 1, 3]}, {"unsorted": 1}),
        ({"ts": [1, 1, 3]}, {"duplicate_ts": 1}),
    ],
)
def test_t28_the_tick_rule(columns, found):
    assert flags(ticks(**columns), TickRule()) == found


def test_t28_missing_columns_are_said():
    assert flags(ticks().drop_columns(["size"]), TickRule()) == {"missing_column": 1}
    assert flags(pa.table({"ts": [1]}), QuoteRule()) == {"missing_column": 4}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, {}),
        ({"ask": [10.0, 10.5]}, {"crossed_quotes": 1}),
        ({"ask": [11.01, 11.0]}, {"wide_spread": 1}),
        ({"bid_size": [0, -1]}, {"invalid_bid_size": 2}),
        ({"bid": [NAN, 10.0]}, {"nan_bid": 1, "non_finite": 1}),
    ],
)
def test_t28_the_quote_rule(columns, found):
    assert flags(quotes(**columns), QuoteRule()) == found


def test_a_step_of_a_series_is_bounded_and_series_do_not_meet():
    table = pa.table(
        {
            "ts": [0, 0, 60, 60, 120, 120],
            "symbol": ["A", "B"] * 3,
            "close": [100.0, 1.0, 119.0, 1.1, None, 2.0],
        }
    )
    rule = MaxReturnRule("close", 0.2)
    report = ConformancePipeline(frame=KEYED, partial_ok=True, rules=(rule,)).run(table).report
    (found,) = [finding for finding in report.findings if finding.flag == "max_return"]
    assert found.count == 1
    assert [(dict(s.key), s.time, s.value) for s in found.samples] == [({"symbol": "B"}, 120, None)]


def test_a_rule_of_rows_in_parts_sees_them_in_order():
    pieces = [pa.table({"ts": [0, 120], "v": [1, 4]}), pa.table({"ts": [60], "v": ["x"]})]
    pipeline = ConformancePipeline(frame=SECONDS, partial_ok=True, rules=(MaxReturnRule("v", 0.5),))
    report = pipeline.run([Piece(str(n), table) for n, table in enumerate(pieces)]).report
    assert report.flags["max_return"] == 1


def test_a_broken_rule_blocks_unless_partial_answers_are_taken():
    strict = replace(preset("ticks"))
    with pytest.raises(ConformancePipelineError, match="flags=1"):
        strict.run(ticks(size=[0, 1, 1]))


def test_a_rule_is_made_of_its_document():
    assert rule_from({"rule": "tick"}) == TickRule()
    assert rule_from({"rule": "quote", "bid": "b"}) == QuoteRule(bid="b")
    made = rule_from({"rule": "max_return", "column": "close", "most": 0.5})
    assert made == MaxReturnRule("close", 0.5)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ("tick", "rule"),
        ({}, "rule"),
        ({"rule": "tock"}, "rule"),
        ({"rule": "tick", "pric": "p"}, "pric"),
        ({"rule": "tick", "price": 1}, "price"),
        ({"rule": "max_return"}, "max_return"),
        ({"rule": "max_return", "column": "c", "most": 0}, "most"),
        ({"rule": "max_return", "column": "c", "most": True}, "most"),
        ({"rule": "max_return", "column": "c", "most": NAN}, "most"),
    ],
)
def test_what_is_no_rule_is_refused_by_name(document, key):
    with pytest.raises(InvalidRule) as refused:
        rule_from(document)
    assert refused.value.key == key


def test_an_answer_without_a_row_lacks_no_column():
    assert flags(pa.table({"ts": pa.array([], pa.int64())}), TickRule(), QuoteRule()) == {}
