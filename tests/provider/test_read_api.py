"""The read API: what comes back, in which form, and how bad questions are answered."""

import io
import json
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from provider.serialise import FORMATS, Format
from registry.models import AccessToken, AuditEvent, AuditPayload
from registry.services import consumers, tokens
from tests.cast import NOW, SYSTEM
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, Reader, World, bars


@pytest.fixture
def pricing(world: World) -> Reader:
    world.write(bars())
    return world.reader()


def code_of(answer: Any) -> str:
    assert answer["Content-Type"] == "application/problem+json", answer.content[:300]
    body = json.loads(answer.content)
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer["X-Request-ID"]
    assert body["detail"]
    return str(body["code"])


def test_a_complete_window_comes_back_whole_with_its_facts(pricing: Reader) -> None:
    answer = pricing.data()
    assert answer.status_code == 200
    rows = json.loads(answer.content)
    assert len(rows) == 12
    assert rows[0] == {
        "session": "2012-06-01T00:00:00Z",
        "symbol": "AAPL",
        "close": 100.0,
        "volume": 1000,
    }
    facts = {name: answer[name] for name in answer.headers if name.startswith("Seamless-")}
    assert facts["Seamless-Subject"] == "market.ohlc"
    assert facts["Seamless-Schema-Version"] == "1"
    assert facts["Seamless-Schema-Fingerprint"].startswith("sha256:")
    assert facts["Seamless-Release"] == "market/1"
    assert facts["Seamless-Coverage"] == "1"
    assert facts["Seamless-Report"] == "clean"
    assert facts["Seamless-Canary"] == "none"
    assert facts["Seamless-Window"] == f"{SESSIONS[0]}/{SESSIONS[-1]}"


def test_the_window_snaps_inward_and_is_echoed(pricing: Reader) -> None:
    answer = pricing.data(FIRST - 5, FIRST + DAY + 5)
    assert answer["Seamless-Window"] == f"{FIRST}/{FIRST + DAY}"
    assert len(json.loads(answer.content)) == 2


def test_rfc_3339_and_epoch_seconds_ask_the_same(pricing: Reader) -> None:
    by_text = pricing.data(start="2012-06-01T02:00:00+02:00", end="2012-06-08")
    assert by_text.content == pricing.data().content


def test_a_single_bar_window_is_served(pricing: Reader) -> None:
    answer = pricing.data(FIRST, FIRST)
    assert len(json.loads(answer.content)) == 2


@pytest.mark.parametrize("name", ["json", "ndjson", "csv", "arrow", "parquet"])
def test_every_format_holds_the_same_rows(pricing: Reader, name: str) -> None:
    answer = pricing.data(format=name)
    assert answer.status_code == 200
    assert rows_in(name, answer.content) == 12


def rows_in(name: str, content: bytes) -> int:
    match name:
        case "json":
            return len(json.loads(content))
        case "ndjson":
            return len(content.splitlines())
        case "csv":
            return len(content.splitlines()) - 1
        case "arrow":
            return pa.ipc.open_stream(content).read_all().num_rows
        case _:
            return pq.read_table(io.BytesIO(content)).num_rows


def test_accept_decides_with_its_q_values(pricing: Reader) -> None:
    path = f"/api/v1/nodes/{NODE}/data"
    window = {"start": SESSIONS[0], "end": SESSIONS[-1]}
    accept = "application/vnd.apache.arrow.stream;q=0.9, application/json;q=0.5"
    arrow = pricing.get(path, accept=accept, **window)
    assert arrow["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert "Accept" in arrow["Vary"]
    refused = pricing.get(path, accept="text/html", **window)
    assert (refused.status_code, code_of(refused)) == (406, "not_acceptable")


@pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))
def test_a_caller_may_accept_one_representation_alone(pricing: Reader, form: Format) -> None:
    path = f"/api/v1/nodes/{NODE}/data"
    alone = form.content_type.partition(";")[0]
    answer = pricing.get(path, accept=alone, start=SESSIONS[0], end=SESSIONS[-1])
    assert (answer.status_code, answer["Content-Type"]) == (200, form.content_type)


def test_the_etag_answers_304_after_the_check_and_changes_with_the_body(
    world: World, pricing: Reader
) -> None:
    first = pricing.data()
    path = f"/api/v1/nodes/{NODE}/data?start={SESSIONS[0]}&end={SESSIONS[-1]}"
    headers = {"Authorization": f"Bearer {pricing.token}", "If-None-Match": first["ETag"]}
    again = Client().get(path, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    world.write(bars(close=pa.array([200.0] * 12)))
    assert Client().get(path, headers=headers).status_code == 200


def test_columns_and_symbols_select_from_what_was_checked(pricing: Reader) -> None:
    answer = pricing.data(columns="symbol,close", symbols="IBM")
    rows = json.loads(answer.content)
    assert len(rows) == 6
    assert set(rows[0]) == {"symbol", "close"}
    assert {row["symbol"] for row in rows} == {"IBM"}


def test_leaving_the_bad_column_out_does_not_lift_the_refusal(world: World) -> None:
    world.write(bars(close=pa.array(["x"] * 12)))
    answer = world.reader().data(columns="symbol,volume", symbols="IBM", partial_ok="true")
    assert (answer.status_code, code_of(answer)) == (409, "schema_refused")


BAD_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"start": SESSIONS[-1], "end": SESSIONS[0]}, "reversed"),
    ({"start": "yesterday"}, "neither epoch seconds nor RFC 3339"),
    ({"start": "2012-06-01T00:00:00"}, "no zone"),
    ({"start": "2012-06-01T00:00:00.5Z"}, "whole seconds"),
    ({"start": ""}, "missing"),
    ({"start": "9" * 12}, "years 1 to 9999"),
    ({"start": "9" * 400}, "neither"),
    ({"start": FIRST + 1, "end": FIRST + 2}, "No bar lies in"),
    ({"format": "xml"}, "Unknown format"),
    ({"partial_ok": "perhaps"}, "true or false"),
    ({"partialok": "true"}, "Unknown parameters partialok"),
    ({"columns": "close,secret"}, "Unknown columns secret"),
    ({"columns": ","}, "empty"),
    ({"symbols": "TSLA"}, "Unknown symbols TSLA"),
]


@pytest.mark.parametrize(("query", "says"), BAD_QUESTIONS)
def test_a_bad_question_is_a_400_that_says_what_is_wrong(
    pricing: Reader, query: dict[str, Any], says: str
) -> None:
    answer = pricing.data(**query)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_input")
    assert says in json.loads(answer.content)["detail"]


def test_an_absurd_window_is_413_with_the_largest_that_fits(pricing: Reader, settings: Any) -> None:
    settings.SEAMLESS_MAX_WINDOW_BARS = 1_000_000
    answer = pricing.data(start=-60_000_000_000, end=200_000_000_000)
    assert (answer.status_code, code_of(answer)) == (413, "window_too_large")
    largest = json.loads(answer.content)["largest_window"]
    assert (largest["end"] - largest["start"]) // DAY + 1 == 1_000_000


@pytest.mark.parametrize("node_id", ["ohlc:us:2d", "a/b/../c", "x" * 300, "é"])
def test_an_unknown_node_is_404(pricing: Reader, node_id: str) -> None:
    answer = pricing.get(f"/api/v1/nodes/{node_id}/data", start=FIRST, end=FIRST)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("path", ["nodes/a%00b/data", "nodes/x/data?start=%00"])
def test_a_nul_in_the_address_is_400(pricing: Reader, path: str) -> None:
    headers = {"Authorization": f"Bearer {pricing.token}"}
    assert Client().get(f"/api/v1/{path}", headers=headers).status_code == 400


def test_a_foreign_node_is_404_like_one_that_does_not_exist(world: World) -> None:
    world.write(bars())
    world.reader()
    stranger = consumers.create_consumer(
        actor=world.cast.carl, name="stranger", owner_team="trading", now=NOW
    )
    made = tokens.issue_consumer_token(
        actor=world.cast.carl,
        consumer=stranger,
        scopes=["read"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    reader = Reader(stranger, made.secret)
    known, unknown = reader.data(), reader.get("/api/v1/nodes/nope/data", start=FIRST, end=FIRST)
    assert known.status_code == unknown.status_code == 404
    details = [json.loads(a.content)["detail"] for a in (known, unknown)]
    assert details[0].replace(NODE, "nope") == details[1]


def test_without_a_token_401_says_how_to_sign_in(world: World) -> None:
    answer = Client().get(f"/api/v1/nodes/{NODE}/data?start={FIRST}&end={FIRST}")
    assert (answer.status_code, code_of(answer)) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    ["Bearer nonsense", "Bearer ", "Bearer smls_000000000000_" + "x" * 43, "Basic !!!", "Bearer é"],
)
def test_an_unknown_token_is_401_and_nothing_is_told_of_others(world: World, header: str) -> None:
    answer = Client().get(
        f"/api/v1/nodes/{NODE}/data?start={FIRST}&end={FIRST}", headers={"Authorization": header}
    )
    assert (answer.status_code, code_of(answer)) == (401, "not_authenticated")
    assert "not known here" in json.loads(answer.content)["detail"]


def test_a_revoked_token_is_401_at_once_and_recorded(world: World, pricing: Reader) -> None:
    prefix = AccessToken.objects.get(consumer=pricing.consumer).prefix
    tokens.revoke_token(actor=world.cast.carl, prefix=prefix, now=NOW, reason="laptop lost")
    answer = pricing.data()
    assert (answer.status_code, code_of(answer)) == (401, "not_authenticated")
    assert "revoked" in json.loads(answer.content)["detail"]
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.outcome, event.object_id) == ("token.use", "denied", prefix)
    assert event.request_id == answer["X-Request-ID"]


def test_an_expired_token_is_401(world: World) -> None:
    reader = world.reader()
    late = tokens.issue_consumer_token(
        actor=world.cast.carl,
        consumer=reader.consumer,
        scopes=["read"],
        lifetime=timedelta(seconds=1),
        now=timezone.now() - timedelta(days=1),
    )
    answer = Reader(reader.consumer, late.secret).data()
    assert answer.status_code == 401
    assert "expired" in json.loads(answer.content)["detail"]


def test_a_token_without_the_scope_is_403(world: World) -> None:
    reader = world.reader()
    other = tokens.issue_consumer_token(
        actor=world.cast.carl,
        consumer=reader.consumer,
        scopes=["leases"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    answer = Reader(reader.consumer, other.secret).data()
    assert (answer.status_code, code_of(answer)) == (403, "not_allowed")
    assert "'read'" in json.loads(answer.content)["detail"]


def test_a_persons_token_reads_no_data(world: World) -> None:
    olive = world.cast.user("olive")
    made = tokens.issue_personal_token(
        actor=SYSTEM,
        user=olive,
        scopes=["read", "govern"],
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    answer = Client().get(
        f"/api/v1/nodes/{NODE}/data?start={FIRST}&end={FIRST}",
        headers={"Authorization": f"Bearer {made.secret}"},
    )
    assert answer.status_code == 404


def test_the_secret_of_a_token_is_nowhere_in_the_database(world: World) -> None:
    reader = world.reader()
    stored = AccessToken.objects.get(consumer=reader.consumer)
    assert stored.prefix in reader.token
    assert reader.token not in json.dumps(
        {name: str(value) for name, value in vars(stored).items()}
    )
    payloads = "".join(AuditPayload.objects.values_list("text", flat=True))
    assert reader.token.split("_", 2)[2] not in payloads


def test_a_window_without_a_row_is_no_data(world: World) -> None:
    answer = world.reader().data()
    assert (answer.status_code, code_of(answer)) == (404, "no_data")


def test_missing_bars_block_and_are_served_in_part_with_their_coverage(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    reader = world.reader()
    blocked = reader.data()
    assert (blocked.status_code, code_of(blocked)) == (409, "conformance_blocked")
    assert json.loads(blocked.content)["flags"] == {"trailing_gap": 6}
    partial = reader.data(partial_ok="true")
    assert (partial.status_code, partial["Seamless-Coverage"]) == (200, "0.5")
    report = reader.get(partial["Seamless-Report"])
    assert report.status_code == 200
    assert json.loads(report.content)["flags"] == {"trailing_gap": 6}


def test_bars_the_calendar_excludes_are_not_missing(world: World) -> None:
    world.write(bars())
    weekend = world.reader().data(FIRST + DAY, FIRST + 2 * DAY)
    assert weekend.status_code == 200
    assert (json.loads(weekend.content), weekend["Seamless-Coverage"]) == ([], "1")


def test_coverage_says_what_each_series_lacks_and_fetches_nothing(world: World) -> None:
    world.write(bars(SESSIONS[:2] + SESSIONS[3:], symbols=["AAPL"]))
    answer = world.reader().get(
        f"/api/v1/nodes/{NODE}/coverage", start=SESSIONS[0], end=SESSIONS[-1]
    )
    body = json.loads(answer.content)
    assert (body["expected_bars"], body["missing_bars"]) == (12, 7)
    missing = {one["key"]["symbol"]: one["missing"] for one in body["series"]}
    assert [(m["start"], m["end"]) for m in missing["AAPL"]] == [(SESSIONS[2], SESSIONS[2])]
    assert [(m["start"], m["end"]) for m in missing["IBM"]] == [(SESSIONS[0], SESSIONS[-1])]


def test_a_half_written_file_is_named_and_nothing_is_leaked(world: World) -> None:
    world.write(bars())
    (world.folder / "zz.parquet").write_bytes(b"PAR1 half a file")
    answer = world.reader().data()
    assert (answer.status_code, code_of(answer)) == (503, "store_unreadable")
    assert "zz.parquet" in json.loads(answer.content)["detail"]
    assert str(world.folder.parent) not in answer.content.decode()


def test_a_read_asks_the_database_a_fixed_number_of_times(
    world: World, django_assert_max_num_queries: Any
) -> None:
    world.write(bars())
    reader = world.reader()
    reader.data()
    with django_assert_max_num_queries(10):
        assert reader.data().status_code == 200


def test_with_the_database_away_503_says_so(
    pricing: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("connection refused by 10.1.2.3")

    monkeypatch.setattr("provider.api.views.resolve", away)
    answer = pricing.data()
    assert (answer.status_code, code_of(answer)) == (503, "registry_unavailable")
    assert answer["Retry-After"] == "5"
    assert b"10.1.2.3" not in answer.content


def test_an_internal_crash_answers_500_without_its_inside(
    pricing: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("secret path /etc/shadow")

    monkeypatch.setattr("provider.api.views.resolve", crash)
    answer = pricing.data()
    assert (answer.status_code, code_of(answer)) == (500, "internal_error")
    assert b"shadow" not in answer.content
