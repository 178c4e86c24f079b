"""What blocks an answer and what is only said: the vectors of the original, and ours."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coverage import Window
from coordinator.grid import Grid, expected_bars
from provider.blend import Piece
from provider.conformance import (
    ConformancePipeline,
    ConformancePipelineError,
    ConformanceReport,
    Enforcement,
    ExpectedSeries,
    Finding,
    FindingClass,
    SchemaRefused,
    regression_digest,
)
from provider.conformance import pipeline as pipeline_module
from provider.conformance.findings import Sampler
from registry.errors import SeamlessError
from registry.frame import Frame
from registry.policies import PRESETS, OnViolation, SLAPolicy

SECONDS = Frame(time="ts", unit="s")
TEXT = Frame(time="ts")
KEYED = Frame(time="ts", unit="s", key=("symbol",))
NUMBER = {"type": "number"}


def schema(unit="s", key=(), sensitive=(), **properties):
    stated = {"time": "ts", "key": list(key), "sensitive": list(sensitive)}
    if unit:
        stated["unit"] = unit
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "x-seamless": stated,
        "properties": {"ts": {"type": "integer" if unit else "string"}, **properties},
        "required": ["ts", *properties],
    }


def table(**columns):
    return pa.table(columns)


def partial(pieces, **settings):
    """The answer and the report of a caller who takes partial answers."""
    return ConformancePipeline(partial_ok=True, **settings).run(pieces)


def examined(pieces, **settings):
    settings.setdefault("frame", SECONDS)
    return partial(pieces, **settings).report


def blocked(pieces, **settings):
    with pytest.raises(ConformancePipelineError) as caught:
        ConformancePipeline(**settings).run(pieces)
    return caught.value


def classes(report):
    return {finding.flag: finding.finding_class.value for finding in report.findings}


# --- the vectors of the original ----------------------------------------------------------------


def test_vector_duplicates_count_dropped_rows_and_the_last_stays():
    answer = partial(
        table(ts=[1, 2, 2, 3], v=[10.0, 11.0, 12.5, 13.0]), frame=SECONDS, grid=Grid(1)
    )
    assert answer.blended.table().to_pydict() == {"ts": [1, 2, 3], "v": [10.0, 12.5, 13.0]}
    assert answer.report.flags == {"duplicate_ts": 1}
    assert answer.report.warnings == ("dropped 1 duplicate bars",)


def test_vector_unsorted_duplicates():
    answer = partial(table(ts=[2, 1, 2], v=[1, 2, 3]), frame=SECONDS, grid=Grid(1))
    assert answer.blended.table().to_pydict() == {"ts": [1, 2], "v": [2, 3]}
    assert answer.report.flags == {"duplicate_ts": 1, "unsorted": 1}


@pytest.mark.parametrize(
    ("interval", "times", "gap", "warnings"),
    [
        (1000, [1000, 4000, 7000], 4, ["detected 4 missing bars for interval=1000"]),
        (
            60,
            [0, 150],
            1,
            [
                "detected 1 missing bars for interval=60",
                "detected 1 gaps with misaligned boundaries for interval=60",
            ],
        ),
        (60, [0, 90], 0, ["detected 1 gaps with misaligned boundaries for interval=60"]),
        (60, [0, 60, 120], 0, []),
    ],
)
def test_vector_gaps_by_the_steps_between_rows(interval, times, gap, warnings):
    report = examined(table(ts=times), grid=Grid(interval))
    assert report.flags.get("gap", 0) == gap
    assert [warning for warning in report.warnings if "off the grid" not in warning] == warnings


def test_vector_the_bars_of_a_gap_are_named():
    report = examined(table(ts=[1000, 4000, 7000]), grid=Grid(1000))
    (finding,) = report.findings
    assert [sample.time for sample in finding.samples] == [2000, 3000, 5000, 6000]


@pytest.mark.parametrize(
    ("times", "dense"),
    [([1, 2, 3], 2), ([0, 30, 60, 90], 3), ([0, 60, 61], 1), ([0, 60, 120], 0)],
)
def test_vector_bars_closer_than_the_interval_are_flagged(times, dense):
    report = examined(table(ts=times), grid=Grid(60))
    assert report.flags.get("dense", 0) == dense


def test_vector_rows_out_of_order_are_sorted_and_flagged():
    answer = partial(table(ts=[120, 0, 60]), frame=SECONDS, grid=Grid(60))
    assert answer.blended.table().column("ts").to_pylist() == [0, 60, 120]
    assert answer.report.flags == {"unsorted": 1}


def test_vector_w1_symbols_are_separate_series():
    report = examined(
        table(ts=[0, 0, 60, 60], symbol=["A", "B", "A", "B"]), frame=KEYED, grid=Grid(60)
    )
    assert report.rows == 4
    assert report.flags == {}


def test_vector_a_number_column_of_integers_is_valid():
    assert examined(table(ts=[0], price=[1]), schema=schema(price=NUMBER)).flags == {}


@pytest.mark.parametrize("values", [["oops", "nope"], ["1.5", "oops"]])
def test_vector_t27_text_where_numbers_were_agreed_is_a_mismatch_and_is_not_cast(values):
    answer = partial(table(ts=[0, 60], price=values), schema=schema(price=NUMBER))
    assert answer.report.flags == {"dtype_mismatch": 1}
    assert any("dtype mismatch: price" in warning for warning in answer.report.warnings)
    assert answer.blended.table().column("price").to_pylist() == values
    (finding,) = answer.report.of_class(FindingClass.SCHEMA)
    assert (finding.column, finding.keyword, finding.count) == ("price", "type", 2)


def test_vector_a_missing_column_is_flagged_once_with_two_warnings():
    report = examined(table(ts=[1, 2]), schema=schema(price=NUMBER))
    assert report.flags == {"missing_column": 1}
    assert report.warnings == ("missing columns detected: price", "missing columns: ['price']")


def test_vector_several_missing_columns_share_their_warnings():
    report = examined(table(ts=[1, 2]), schema=schema(price=NUMBER, size=NUMBER))
    assert report.flags == {"missing_column": 2}
    assert report.warnings == (
        "missing columns detected: price, size",
        "missing columns: ['price', 'size']",
    )


def test_vector_other_zones_are_normalised_and_noted():
    texts = ["2025-01-01T00:00:00+02:00", "2025-01-01T00:01:00+02:00"]
    answer = ConformancePipeline(frame=SECONDS, grid=Grid(60)).run(table(ts=texts))
    assert answer.blended.table().column("ts").to_pylist() == [1735682400, 1735682460]
    assert answer.report.flags == {"ts_cast": 2, "ts_timezone_normalized": 2}
    assert set(classes(answer.report).values()) == {"note"}


def test_vector_naive_timestamps_are_utc_and_noted():
    column = pa.array([1735689600, 1735689660], pa.timestamp("s"))
    answer = ConformancePipeline(frame=SECONDS, grid=Grid(60)).run(table(ts=column))
    assert answer.blended.table().column("ts").to_pylist() == [1735689600, 1735689660]
    assert answer.report.flags == {"ts_cast": 2}


def test_vector_unreadable_times_are_dropped_and_flagged():
    answer = partial(table(ts=["2025-01-01T00:00:00Z", "bad"]), frame=SECONDS)
    assert answer.blended.table().column("ts").to_pylist() == [1735689600]
    assert answer.report.flags == {"invalid_timestamp": 1, "ts_cast": 1}
    assert "dropped 1 rows with invalid timestamps" in answer.report.warnings


def test_vector_a_null_time_is_invalid_and_not_finite():
    report = examined(table(ts=[0, None, 60]), grid=Grid(60))
    assert report.flags == {"invalid_timestamp": 1, "non_finite": 1}


def test_vector_numbers_that_are_none_are_flagged_and_only_infinity_is_said():
    report = examined(table(ts=[0, 60, 120], price=[1.0, float("inf"), float("nan")]))
    assert report.flags == {"non_finite": 2}
    (warning,) = report.warnings
    assert "inf" in warning


def test_vector_a_null_number_blocks_without_a_word_where_no_schema_allows_it():
    error = blocked(table(ts=[0, 60], v=[None, 1]), frame=SECONDS)
    assert error.report.flags == {"non_finite": 1}
    assert error.report.warnings == ()


def test_vector_an_empty_frame_is_clean():
    empty = pa.table({"ts": pa.array([], pa.int64()), "v": pa.array([], pa.float64())})
    answer = ConformancePipeline(schema=schema(v=NUMBER), grid=Grid(60)).run(empty)
    assert answer.report.flags == {}
    assert answer.blended.table().num_rows == 0


@pytest.mark.parametrize(("unit", "factor"), [("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_vector_integers_of_the_declared_unit_are_one_interval_apart(unit, factor):
    times = [second * factor for second in (1_700_000_040, 1_700_000_100, 1_700_000_160)]
    frame = Frame(time="ts", unit=unit)
    answer = ConformancePipeline(frame=frame, grid=Grid(60)).run(table(ts=times))
    assert answer.report.flags == {}
    assert answer.blended.table().column("ts").to_pylist() == times


def test_vector_seconds_are_not_taken_for_milliseconds():
    answer = ConformancePipeline(frame=SECONDS, grid=Grid(60, 40)).run(
        table(ts=[10**10, 10**10 + 60])
    )
    assert answer.blended.table().column("ts").to_pylist() == [10**10, 10**10 + 60]


def test_vector_two_moments_of_one_second_are_off_the_grid_and_both_kept():
    texts = ["2025-01-01T00:00:00.1Z", "2025-01-01T00:00:00.9Z"]
    report = examined(table(ts=texts), frame=TEXT, grid=Grid(60))
    assert report.rows == 2
    assert report.flags["off_grid"] == 2
    assert "duplicate_ts" not in report.flags


def test_vector_a_missing_time_column_is_said():
    report = examined(table(v=[1]), grid=Grid(60))
    assert report.flags["missing_time"] == 1
    assert "missing ts column; skipping temporal normalization" in report.warnings


# --- what blocks --------------------------------------------------------------------------------


def test_t25_duplicates_block():
    error = blocked(table(ts=[0, 0]), frame=SECONDS)
    assert "duplicate" in error.report.warnings[0]
    assert str(error) == "conformance pipeline blocked response (warnings=1, flags=1)"
    assert isinstance(error, RuntimeError)
    assert isinstance(error, SeamlessError)
    assert (error.code, error.status) == ("conformance_blocked", 409)


def test_t26_partial_ok_serves_the_rows_with_their_flags():
    answer = partial(table(ts=[0, 0], v=[1, 2]), frame=SECONDS)
    assert answer.blended.table().to_pylist() == [{"ts": 0, "v": 2}]
    assert answer.report.flags == {"duplicate_ts": 1}


WRONG = table(ts=[0, 60], price=["x", "y"])


def test_a_strict_schema_refuses_and_partial_ok_does_not_lift_it():
    for partial_ok in (False, True):
        error = blocked(
            WRONG,
            schema=schema(price=NUMBER),
            enforcement=Enforcement.STRICT,
            partial_ok=partial_ok,
        )
        assert isinstance(error, SchemaRefused)
        assert (error.code, error.status) == ("schema_refused", 409)


def test_a_schema_given_directly_blocks_unless_partial_answers_are_taken():
    error = blocked(WRONG, schema=schema(price=NUMBER))
    assert not isinstance(error, SchemaRefused)
    assert partial(WRONG, schema=schema(price=NUMBER)).blended.rows == 2


def test_without_a_strict_rollout_schema_findings_are_only_recorded():
    answer = ConformancePipeline(schema=schema(price=NUMBER), enforcement=Enforcement.RECORD).run(
        WRONG
    )
    assert answer.blended.table().equals(WRONG)
    assert classes(answer.report) == {"dtype_mismatch": "schema"}


@pytest.mark.parametrize("enforcement", list(Enforcement))
def test_quality_blocks_under_every_enforcement(enforcement):
    error = blocked(table(ts=[0, 0]), schema=schema(), enforcement=enforcement)
    assert not isinstance(error, SchemaRefused)


def test_notes_never_block():
    pieces = [
        Piece("a", table(ts=pa.array([0, 60], pa.timestamp("s")), v=[1, None])),
        Piece("b", table(ts=pa.array([60], pa.timestamp("s")), v=[None])),
    ]
    nullable = schema(v={"type": ["number", "null"]})
    answer = ConformancePipeline(schema=nullable, grid=Grid(60)).run(pieces)
    assert classes(answer.report) == {"non_finite": "note", "overlap": "note", "ts_cast": "note"}


def test_a_null_that_the_schema_refuses_is_a_schema_finding():
    report = examined(table(ts=[0, 60], v=[1, None]), schema=schema(v=NUMBER))
    assert {finding.finding_class.value for finding in report.findings} == {"schema", "quality"}


def test_rows_with_unreadable_times_reach_the_schema_check():
    report = examined(table(ts=["bad"], v=["x"]), schema=schema(v=NUMBER))
    assert {finding.column for finding in report.of_class(FindingClass.SCHEMA)} == {"ts", "v"}


def test_times_are_judged_as_they_are_written():
    column = pa.array([0, 60_000_000], pa.timestamp("us", "UTC"))
    assert examined(table(ts=column), schema=schema()).of_class(FindingClass.SCHEMA) == ()
    assert (
        examined(table(ts=column), schema=schema(unit=None), frame=TEXT).of_class(
            FindingClass.SCHEMA
        )
        == ()
    )


def test_pieces_of_other_types_are_checked_apart_and_served_as_they_are():
    pieces = [
        Piece("a", table(ts=[0], price=[1.5])),
        Piece("b", table(ts=[60], price=["x"])),
    ]
    answer = partial(pieces, schema=schema(price=NUMBER))
    assert [part.table.schema.field("price").type for part in answer.blended.parts] == [
        pa.float64(),
        pa.string(),
    ]
    (finding,) = answer.report.findings
    assert (finding.count, finding.samples[0].time) == (1, 60)


def test_what_is_refused_in_several_parts_is_one_finding_with_places_of_each():
    pieces = [
        Piece("a", table(ts=[0], price=[True])),
        Piece("b", table(ts=[60], price=["x"])),
    ]
    (finding,) = examined(pieces, schema=schema(price=NUMBER)).findings
    assert finding.count == 2
    assert [sample.value for sample in finding.samples] == ["true", '"x"']


# --- X10: a crash refuses -----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["blend", "check_values", "check_time"])
@pytest.mark.parametrize("enforcement", list(Enforcement))
def test_x10_w2_a_crash_of_the_pipeline_refuses_even_partial_answers(
    monkeypatch, stage, enforcement
):
    def crash(*args, **kwargs):
        raise ZeroDivisionError("secret value 42")

    monkeypatch.setattr(pipeline_module, stage, crash)
    error = blocked(table(ts=[0]), schema=schema(), enforcement=enforcement, partial_ok=True)
    assert error.report.crashed
    assert "ZeroDivisionError" in error.report.warnings[0]
    assert "secret" not in json.dumps(error.report.to_dict())


@pytest.fixture
def crashing_check(monkeypatch):
    def crash(*args, **kwargs):
        raise ZeroDivisionError("secret value 42")

    monkeypatch.setattr(pipeline_module, "check_schema", crash)


@pytest.mark.parametrize(
    ("enforcement", "refusal"),
    [
        (Enforcement.STRICT, SchemaRefused),
        (Enforcement.DIRECT, ConformancePipelineError),
    ],
)
def test_x10_w2_a_crash_of_a_binding_schema_check_refuses(crashing_check, enforcement, refusal):
    error = blocked(table(ts=[0]), schema=schema(), enforcement=enforcement, partial_ok=True)
    assert type(error) is refusal
    assert error.report.crashed
    assert "secret" not in json.dumps(error.report.to_dict())


def test_x10_a_crash_of_a_check_that_binds_nobody_is_recorded(crashing_check):
    answer = ConformancePipeline(schema=schema(), enforcement=Enforcement.RECORD).run(table(ts=[0]))
    assert classes(answer.report) == {"check_crashed": "schema"}
    assert answer.report.crashed


def test_x10_a_column_that_cannot_be_judged_is_refused_by_name():
    error = blocked(table(ts=[0], v=[b"x"]), schema=schema(v={}), enforcement=Enforcement.STRICT)
    assert isinstance(error, SchemaRefused)
    assert error.report.findings[0].column == "v"


# --- X11, X12: presets, enum, leading and trailing gaps ------------------------------------------


def days(start, end):
    return expected_bars("XNYS", Grid(86_400), Window(start, end, 86_400))


@pytest.mark.parametrize("policy", [SLAPolicy(), *PRESETS.values()])
def test_x11_a_clean_frame_passes_every_preset(policy):
    bars = np.arange(0, 600, 60)
    clean = pa.table({"ts": bars, "price": np.ones(10)})
    answer = ConformancePipeline(
        schema=schema(price=NUMBER),
        enforcement=Enforcement.STRICT,
        grid=Grid(60),
        expected=[ExpectedSeries({}, bars)],
        policy=policy,
    ).run(clean)
    assert answer.report.findings == ()
    assert answer.report.coverage == 1.0
    assert answer.blended.table().equals(clean)


def test_x12_an_enum_breach_is_a_schema_finding_with_its_places():
    report = examined(
        table(ts=[0, 60], side=["buy", "sideways"]),
        schema=schema(side={"enum": ["buy", "sell"]}),
    )
    (finding,) = report.of_class(FindingClass.SCHEMA)
    assert (finding.flag, finding.column, finding.count) == ("schema_enum", "side", 1)
    (sample,) = finding.samples
    assert (sample.key, sample.time, sample.value) == ({}, 60, '"sideways"')


def expect(*bars, key=None):
    return ExpectedSeries(key or {}, np.array(bars, np.int64))


def test_x12_leading_inner_and_trailing_gaps_are_flagged():
    report = examined(table(ts=[20, 40]), grid=Grid(10), expected=[expect(0, 10, 20, 30, 40, 50)])
    assert report.flags == {"gap": 1, "leading_gap": 2, "trailing_gap": 1}
    (series,) = report.series
    assert (series.expected, series.observed, series.completeness) == (6, 2, 2 / 6)
    assert series.gaps == ((0, 10), (30, 30), (50, 50))
    assert report.coverage == pytest.approx(2 / 6)


def test_bars_the_calendar_excludes_are_neither_missing_nor_in_a_ratio():
    bars = days(1357171200, 1357689600)  # 2013-01-03 to 2013-01-09, over a weekend
    saturday = 1357344000
    report = examined(
        table(ts=sorted([*bars.tolist(), saturday])),
        grid=Grid(86_400),
        expected=[ExpectedSeries({}, bars)],
    )
    assert classes(report) == {"unexpected_bar": "note"}
    assert (report.coverage, report.series[0].expected) == (1.0, len(bars))


def test_a_series_that_is_not_there_at_all_is_missing():
    report = examined(
        table(ts=[0, 10], symbol=["A", "A"]),
        frame=KEYED,
        grid=Grid(10),
        expected=[expect(0, 10, key={"symbol": "A"}), expect(0, 10, key={"symbol": "B"})],
    )
    assert report.flags == {"missing_series": 2}
    assert report.coverage == 0.0
    assert [series.completeness for series in report.series] == [1.0, 0.0]


def test_a_bar_covers_the_node_only_where_every_series_expecting_it_has_it():
    report = examined(
        table(ts=[0, 10, 20, 20], symbol=["A", "A", "A", "B"]),
        frame=KEYED,
        grid=Grid(10),
        expected=[expect(0, 10, 20, key={"symbol": "A"}), expect(10, 20, key={"symbol": "B"})],
    )
    assert report.coverage == pytest.approx(2 / 3)
    assert report.expected_bars == 5


def test_a_series_nobody_expected_is_noted():
    report = examined(
        table(ts=[0, 0], symbol=["A", "Z"]),
        frame=KEYED,
        grid=Grid(10),
        expected=[expect(0, key={"symbol": "A"})],
    )
    assert classes(report) == {"unexpected_series": "note"}


HALF = {"grid": Grid(10), "expected": [expect(*range(0, 100, 10))], "frame": SECONDS}
HALF_ROWS = table(ts=list(range(0, 50, 10)))


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        (SLAPolicy(), False),
        (SLAPolicy(min_coverage=0.6), False),
        (SLAPolicy(min_coverage=0.5), True),
        (SLAPolicy(on_violation=OnViolation.PARTIAL_FILL), True),
        (SLAPolicy(on_violation=OnViolation.HOLD, min_coverage=0.9), True),
    ],
)
def test_missing_bars_block_unless_the_policy_says_otherwise(policy, passes):
    if passes:
        answer = ConformancePipeline(policy=policy, **HALF).run(HALF_ROWS)
        assert (answer.blended.rows, answer.report.coverage) == (5, 0.5)
    else:
        assert blocked(HALF_ROWS, policy=policy, **HALF).report.coverage == 0.5


def test_a_tolerant_policy_excuses_nothing_but_missing_bars():
    policy = SLAPolicy(on_violation=OnViolation.PARTIAL_FILL)
    assert blocked(table(ts=[0, 0]), policy=policy, **HALF).report.flags["duplicate_ts"] == 1


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_every_expected_bar_is_observed_or_in_exactly_one_flagged_gap(wanted, given_bars):
    bars = np.array(sorted(wanted), np.int64) * 10
    rows = pa.table({"ts": pa.array(sorted(bar * 10 for bar in given_bars), pa.int64())})
    report = examined(rows, grid=Grid(10), expected=[ExpectedSeries({}, bars)])
    missing_flags = ("gap", "leading_gap", "trailing_gap", "missing_series")
    missing = sum(report.flags.get(flag, 0) for flag in missing_flags)
    (series,) = report.series
    assert missing == len(wanted - given_bars)
    assert series.observed + missing == series.expected == len(wanted)
    in_gaps = sum(1 for gap in series.gaps for bar in bars if gap.start <= bar <= gap.end)
    assert in_gaps == missing


# --- what a report shows ------------------------------------------------------------------------


def test_at_most_ten_places_are_shown_and_values_are_cut():
    rows = table(ts=list(range(50)), v=["x" * 500] * 50)
    (finding,) = examined(rows, schema=schema(v=NUMBER)).of_class(FindingClass.SCHEMA)
    assert finding.count == 50
    assert len(finding.samples) == 10
    assert all(len(sample.value) == 100 for sample in finding.samples)


def test_no_value_of_a_sensitive_column_is_shown():
    rows = table(ts=[0, 0], account=["secret-1", "secret-1"], v=["secret-2", "secret-3"])
    sensitive = schema(
        key=["account"], sensitive=["account", "v"], account={"type": "string"}, v=NUMBER
    )
    report = examined(rows, frame=None, schema=sensitive, grid=Grid(60))
    assert {"dtype_mismatch", "duplicate_ts"} <= set(report.flags)
    assert "secret" not in json.dumps(report.to_dict())
    assert report.findings[0].samples[0].key == {"account": None}


def test_a_finding_about_a_whole_row_shows_no_value():
    rows = table(ts=[0], a=["secret"])
    closed = schema() | {"maxProperties": 1}
    report = examined(rows, schema=closed)
    assert report.of_class(FindingClass.SCHEMA)
    assert "secret" not in json.dumps(report.to_dict())


def test_a_sample_of_more_than_one_cell_shows_no_value():
    sample = Sampler(SECONDS, [{}]).of(0, 60, None, {"a": "secret"})
    assert (sample.time, sample.value) == (60, None)


def test_a_report_is_plain_json_and_counts_per_series():
    report = examined(
        table(ts=[0, 0, 10], symbol=["A", "A", "B"], v=[1.0, 2.0, float("nan")]),
        frame=KEYED,
        grid=Grid(10),
        expected=[expect(0, 10, key={"symbol": "A"}), expect(0, 10, key={"symbol": "B"})],
    )
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["rows"] == 2
    assert document["expected_bars"] == 4
    a, b = document["series"]
    assert a["counts"] == {"duplicate_ts": 1, "trailing_gap": 1}
    assert b["counts"] == {"leading_gap": 1}
    assert a["gaps"] == [[10, 10]]


# --- the regression digest ----------------------------------------------------------------------


def reported(rows, **flags):
    findings = tuple(Finding(FindingClass.QUALITY, flag, count) for flag, count in flags.items())
    return ConformanceReport(rows=rows, findings=findings)


def test_the_first_report_is_compared_with_nothing():
    digest = regression_digest(reported(1000, gap=2), None)
    assert digest.verdict == "first"
    assert digest.flags[0].rate == 2.0


@pytest.mark.parametrize(
    ("now", "before", "change", "verdict"),
    [
        ({"gap": 2}, {}, "new", "worse"),
        ({"gap": 2}, {"gap": 1}, "worse", "worse"),
        ({"gap": 1}, {"gap": 1}, "same", "same"),
        ({"gap": 1}, {"gap": 2}, "better", "better"),
        ({}, {"gap": 2}, "gone", "better"),
    ],
)
def test_a_flag_is_better_worse_new_or_gone(now, before, change, verdict):
    digest = regression_digest(reported(1000, **now), reported(1000, **before).to_dict())
    assert (digest.verdict, digest.flags[0].change.value) == (verdict, change)
    assert json.dumps(digest.to_dict())


def test_rates_are_per_thousand_bars_so_windows_of_other_lengths_compare():
    digest = regression_digest(reported(500, gap=1), reported(1000, gap=2).to_dict())
    assert digest.verdict == "same"


def test_worse_outweighs_better():
    digest = regression_digest(
        reported(1000, gap=1, dense=5), reported(1000, gap=2, dense=1).to_dict()
    )
    assert digest.verdict == "worse"
