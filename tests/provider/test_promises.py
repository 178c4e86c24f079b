"""Promises 1 and 2 of the house, over HTTP: strict never leaks, a canary never shows."""

import json
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.http import HttpResponse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.serialise import FORMATS
from registry.models import AuditEvent, CanaryTally, Diagnostic, Rollout
from registry.services import rollouts, snapshot
from registry.services.audit import refusing
from registry.services.audit.refusing import summarise_refusals
from registry.validity import is_valid
from tests.cast import NOW, OHLC, approved, with_property
from tests.provider.world import NODE, Reader, World, bars

OWN_TO_A_RESPONSE = {"Date", "X-Request-ID", "Server-Timing", "Seamless-Canary"}

DRIFTS: dict[str, dict[str, Any]] = {
    "a column changes type": {"close": pa.array([f"{n}.5-drifted" for n in range(12)])},
    "an enum gains a value": {"symbol": pa.array(["AAPL", "drifted"] * 6)},
    "a number leaves its range": {"close": pa.array([-77.25] * 12)},
    "a column appears": {"drifted": pa.array(["drifted"] * 12)},
}


def drifted(name: str) -> pa.Table:
    return bars(**DRIFTS[name])


def shown(answer: HttpResponse) -> tuple[int, bytes, dict[str, str]]:
    """Everything of a response that must not depend on a canary."""
    kept = {k: v for k, v in answer.headers.items() if k not in OWN_TO_A_RESPONSE}
    return answer.status_code, answer.content, kept


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", DRIFTS)
def test_strict_refuses_drift_in_every_format_and_sends_no_row(
    world: World, name: str, form: str
) -> None:
    world.write(drifted(name))
    answer = world.reader().data(format=form, partial_ok="true")
    body = json.loads(answer.content)
    assert (answer.status_code, body["code"]) == (409, "schema_refused")
    assert answer["Content-Type"] == "application/problem+json"
    assert all(len(finding["samples"]) <= 10 for finding in body["findings"])
    # Volumes were never wrong, so none of them may be in the answer: no whole row is shown. Whole
    # words only: a request id is random and may hold the same digits.
    words = set(re.findall(rb"\w+", answer.content))
    assert not words & {str(volume).encode() for volume in range(1_000, 1_012)}


def test_a_missing_column_is_refused(world: World) -> None:
    world.write(bars().drop_columns(["volume"]))
    body = json.loads(world.reader().data(partial_ok="true").content)
    assert body["code"] == "schema_refused"
    assert body["findings"][0]["keyword"] == "required"


def test_one_bad_row_of_many_refuses_the_whole_response(world: World) -> None:
    world.write(bars(close=pa.array([100.0] * 11 + [-1.0])))
    assert world.reader().data(partial_ok="true").status_code == 409


def test_a_crash_of_the_strict_check_refuses_and_tells_nothing_of_the_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(bars(close=pa.array([987.125] * 12)))
    reader = world.reader()

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("987.125 could not be judged")

    monkeypatch.setattr("provider.conformance.schema.compile_schema", crash)
    answer = reader.data(partial_ok="true")
    assert answer.status_code == 409
    assert b"987.125" not in answer.content


def test_a_crash_of_the_canary_check_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(bars())
    reader = world.reader(rollout="canary")
    before = shown(reader.data())

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("the canary died")

    monkeypatch.setattr("provider.api.reading.check_schema", crash)
    assert shown(reader.data()) == before


@pytest.mark.parametrize("name", DRIFTS)
def test_a_canary_lets_drift_pass_and_records_it(world: World, name: str) -> None:
    world.write(drifted(name))
    reader = world.reader(rollout="canary")
    answer = reader.data(partial_ok="true")
    assert (answer.status_code, answer["Seamless-Canary"]) == (200, "market/1")
    found = Diagnostic.objects.get()
    assert found.consumer == reader.consumer
    assert found.count > 0
    assert CanaryTally.objects.get().violations == found.count


@pytest.mark.parametrize("name", [*DRIFTS, "no drift"])
def test_the_answer_is_equal_with_the_canary_on_and_off(world: World, name: str) -> None:
    """The same consumer, node and window; between the two reads only the canary ends."""
    world.write(bars() if name == "no drift" else drifted(name))
    reader = world.reader(rollout="canary")
    on = reader.data(partial_ok="true")
    Rollout.objects.filter(consumer=reader.consumer).update(ended_at=NOW)
    snapshot.forget()  # no service was asked, so the version stands still
    off = reader.data(partial_ok="true")
    assert on["Seamless-Canary"] != off["Seamless-Canary"]
    assert shown(on) == shown(off)


def test_a_second_release_in_canary_does_not_show_in_the_strict_answer(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    alone = reader.data()
    approved(world.cast, with_property("vwap", {"type": ["number", "null"]}))
    both = reader.data()
    assert (alone["Seamless-Canary"], both["Seamless-Canary"]) == ("none", "market/2")
    assert shown(alone) == shown(both)
    assert both["Seamless-Schema-Version"] == "1"


def test_a_strict_refusal_is_the_same_with_a_canary_beside_it(world: World) -> None:
    world.write(drifted("a number leaves its range"))
    reader = world.reader()
    alone = json.loads(reader.data().content)
    approved(world.cast, with_property("vwap", {"type": ["number", "null"]}))
    both = json.loads(reader.data().content)
    for body in (alone, both):
        body.pop("request_id")
    assert alone == both


def test_a_promotion_and_a_rollback_are_effective_on_the_next_read(world: World) -> None:
    """Within one process and one database the next request sees the change."""
    world.write(bars(close=pa.array([5.0] * 12)))
    reader = world.reader()
    assert reader.data().status_code == 200
    loose = OHLC["properties"] | {"close": {"type": "number", "description": "any"}}
    approved(world.cast, OHLC | {"properties": loose})
    second = world.promote(Rollout.objects.get(mode="canary", ended_at=None))
    world.write(bars(close=pa.array([-5.0] * 12)))
    assert reader.data().status_code == 200
    rollouts.roll_back_rollout(
        actor=world.cast.carl, rollout_id=second.pk, now=NOW, reason="negative prices"
    )
    assert reader.data().status_code == 409


def test_a_refusal_is_recorded_with_its_request_id(world: World) -> None:
    world.write(drifted("an enum gains a value"))
    reader = world.reader()
    answer = reader.data()
    event = AuditEvent.objects.filter(action="data.read").get()
    assert (event.outcome, event.actor_name) == ("refused", "pricing")
    assert event.request_id == answer["X-Request-ID"]
    report = reader.get(json.loads(answer.content)["report"])
    assert report.status_code == 200


CELLS = st.one_of(
    st.floats(), st.integers(-5, 5), st.sampled_from(["1", "x", ""]), st.none(), st.booleans()
)


@given(cells=st.lists(CELLS, min_size=2, max_size=2), kind=st.sampled_from(["f", "i", "s", "b"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_is_stored_a_strict_answer_is_valid_row_by_row(
    strict_reader: tuple[World, Reader], cells: list[Any], kind: str
) -> None:
    """Promise 1 as a property: 200 only with rows that the reference accepts, all of them."""
    world, reader = strict_reader
    types = {"f": pa.float64(), "i": pa.int64(), "s": pa.string(), "b": pa.bool_()}
    fits = {"f": float, "i": int, "s": str, "b": bool}
    column = [cell if type(cell) is fits[kind] else None for cell in cells]
    day = bars(sessions=[1_338_508_800], close=pa.array(column, types[kind]))
    world.write(day)
    answer = reader.data(1_338_508_800, 1_338_508_800, partial_ok="true")
    expected = [is_valid(OHLC["properties"]["close"], cell) for cell in column]
    assert (answer.status_code == 200) == all(expected)
    if answer.status_code == 200:
        assert all(is_valid(OHLC, row) for row in json.loads(answer.content))


@pytest.fixture
def strict_reader(world: World) -> tuple[World, Reader]:
    return world, world.reader()


def test_of_equal_refusals_the_first_of_a_minute_is_recorded_and_the_rest_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The minute is a day here, however slow the machine is."""
    monkeypatch.setattr(refusing, "minute_of", lambda now: datetime.combine(now, time.min, UTC))
    world.write(bars(close=pa.array(["x"] * 12)))
    pricing, risk = world.reader("pricing"), world.reader("risk")
    answers = [pricing.data() for _ in range(4)]
    risk.data()
    events = AuditEvent.objects.filter(action="data.read", outcome="refused").order_by("pk")
    assert [event.consumer for event in events] == ["pricing", "risk"]
    assert events[0].request_id == answers[0]["X-Request-ID"]
    summarise_refusals(now=timezone.now() + timedelta(days=1))
    summary = events.select_related("payload").last()
    assert summary is not None
    assert (summary.consumer, summary.object_id) == ("pricing", NODE)
    assert summary.after["repeated"] == 3
    assert summary.after["first_request_id"] == answers[0]["X-Request-ID"]


def test_a_node_that_a_program_may_not_read_is_not_found_and_that_is_recorded(
    world: World,
) -> None:
    stranger = world.reader("stranger", rollout="none")
    assert stranger.data().status_code == 404
    event = AuditEvent.objects.select_related("payload").get(action="request.deny")
    assert (event.outcome, event.consumer) == ("denied", "stranger")
    assert NODE in event.reason
