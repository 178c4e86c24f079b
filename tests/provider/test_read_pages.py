"""Pages, flags, codings and validators of the read API: what is sent, and when nothing is."""

import gzip
import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow as pa
import pytest
from django.http import HttpResponse
from django.test import Client

from coordinator.models import BackfillJob
from provider.api.encoding import chosen_coding
from provider.api.validators import PassedStates
from provider.stores.parquet import ParquetStore
from registry.models import CanaryTally, Rollout
from tests.cast import NOW, OHLC, approved
from tests.provider.world import FIRST, NODE, SESSIONS, Reader, World, bars

LAST = SESSIONS[-1]
PATH = f"/api/v1/nodes/{NODE}/data"


@pytest.fixture
def pricing(world: World) -> Reader:
    world.write(bars())
    return world.reader()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been written long before: the store can say when they change."""
    monkeypatch.setattr("provider.stores.parquet.CLOCK_TICK", -1e12)


def ask(reader: Reader, *, method: str = "get", headers: Any = None, **query: Any) -> HttpResponse:
    given = {"Authorization": f"Bearer {reader.token}", **(headers or {})}
    client = Client(raise_request_exception=False)
    window = {"start": FIRST, "end": LAST} | query
    return getattr(client, method)(PATH, window, headers=given)


def code(answer: HttpResponse) -> str:
    return str(json.loads(answer.content)["code"])


# --- pages --------------------------------------------------------------------------------------


def follow(reader: Reader, link: str) -> HttpResponse:
    address = link[1 : link.index(">")]
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    return ask(reader, **query)


@pytest.mark.parametrize("limit", [1, 5, 6, 11])
def test_pages_are_slices_of_one_answer(pricing: Reader, limit: int) -> None:
    whole = json.loads(ask(pricing).content)
    rows, page = [], ask(pricing, limit=limit)
    names = {page["Seamless-Dataset-Fingerprint"]}
    while True:
        assert page.status_code == 200
        rows += json.loads(page.content)
        names.add(page["Seamless-Dataset-Fingerprint"])
        if "Link" not in page:
            break
        assert quote(page["Seamless-Next-Cursor"]) in page["Link"]
        page = follow(pricing, page["Link"])
    assert rows == whole
    assert names == {ask(pricing)["Seamless-Dataset-Fingerprint"]}


@pytest.mark.parametrize("limit", [12, 13])
def test_the_last_page_links_to_none(pricing: Reader, limit: int) -> None:
    answer = ask(pricing, limit=limit)
    assert len(json.loads(answer.content)) == 12
    assert "Link" not in answer


def test_pages_of_a_selection(pricing: Reader) -> None:
    first = ask(pricing, symbols="IBM", columns="symbol,volume", limit=4)
    second = follow(pricing, first["Link"])
    rows = json.loads(first.content) + json.loads(second.content)
    assert [row["volume"] for row in rows] == [1001, 1003, 1005, 1007, 1009, 1011]


def test_a_page_after_the_data_changed_is_refused(world: World, pricing: Reader) -> None:
    first = ask(pricing, limit=5)
    world.write(bars(close=pa.array([5.0] * 12)))
    stale = follow(pricing, first["Link"])
    assert (stale.status_code, code(stale)) == (409, "cursor_stale")
    assert "data changed" in json.loads(stale.content)["detail"]


def test_a_page_after_a_promotion_is_refused(world: World, pricing: Reader) -> None:
    """One read never straddles two releases."""
    first = ask(pricing, limit=5)
    loose = OHLC["properties"] | {"close": {"type": "number", "description": "any"}}
    approved(world.cast, OHLC | {"properties": loose})
    assert follow(pricing, first["Link"]).status_code == 200  # a canary changes nothing
    world.promote(Rollout.objects.get(mode="canary", ended_at=None))
    stale = follow(pricing, first["Link"])
    assert (stale.status_code, code(stale)) == (409, "cursor_stale")
    assert "release changed" in json.loads(stale.content)["detail"]


def test_a_forged_or_foreign_cursor_is_a_400(world: World, pricing: Reader) -> None:
    cursor = ask(pricing, limit=5)["Seamless-Next-Cursor"]
    other = world.reader("research", rollout="canary")
    for reader, query in (
        (pricing, {"cursor": "x"}),
        (pricing, {"cursor": cursor[:-2]}),
        (pricing, {"cursor": cursor, "symbols": "IBM"}),
        (pricing, {"cursor": cursor, "end": SESSIONS[-2]}),
        (pricing, {"cursor": cursor, "partial_ok": "true"}),
        (other, {"cursor": cursor}),
    ):
        answer = ask(reader, limit=5, **query)
        assert (answer.status_code, code(answer)) == (400, "invalid_input")
        assert "cursor" in json.loads(answer.content)["detail"]


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "", "1000001", "9" * 400])
def test_a_limit_is_a_whole_number(pricing: Reader, limit: str) -> None:
    answer = ask(pricing, limit=limit)
    assert (answer.status_code, json.loads(answer.content)["parameter"]) == (400, "limit")


# --- columns and flags --------------------------------------------------------------------------


def test_columns_are_an_object_of_arrays(pricing: Reader) -> None:
    answer = ask(pricing, format="columns", columns="symbol,volume")
    assert json.loads(answer.content) == {
        "symbol": ["AAPL", "IBM"] * 6,
        "volume": list(range(1000, 1012)),
    }


@pytest.mark.parametrize("form", ["json", "columns", "ndjson", "csv", "arrow", "parquet"])
def test_flags_are_a_column_of_every_format(world: World, form: str) -> None:
    world.write(pa.concat_tables([bars(SESSIONS[:4]), bars(SESSIONS[1:2])]))
    answer = ask(world.reader(), flags="true", partial_ok="true", format=form)
    assert answer.status_code == 200
    if form == "json":
        flags = [row["seamless_flags"] for row in json.loads(answer.content)]
        doubled = ["duplicate_ts", "unsorted"]
        assert flags == [[], [], doubled, doubled, [], [], [], []]


def test_flags_say_which_rows_a_recorded_schema_finding_is_about(world: World) -> None:
    world.write(bars(volume=pa.array([-1, *range(11)])))
    answer = ask(world.reader(rollout="canary"), flags="true", columns="symbol")
    rows = json.loads(answer.content)
    assert rows[0] == {"symbol": "AAPL", "seamless_flags": ["schema_invalid"]}
    assert {tuple(row["seamless_flags"]) for row in rows[1:]} == {()}


def test_flags_do_not_change_the_verdict(world: World) -> None:
    world.write(bars(volume=pa.array([-1] * 12)))
    assert ask(world.reader(), flags="true", partial_ok="true").status_code == 409


# --- codings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip;q=0", ""),
        ("br", ""),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("gzip;q=x", ""),
    ],
)
def test_the_coding_follows_the_q_values(accepted: str, coding: str) -> None:
    assert chosen_coding(accepted) == coding


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_coded_body_holds_the_same_bytes(pricing: Reader, coding: str) -> None:
    plain = ask(pricing)
    answer = ask(pricing, headers={"Accept-Encoding": coding})
    assert answer["Content-Encoding"] == coding
    assert "Accept-Encoding" in answer["Vary"]
    decoded = (
        gzip.decompress(answer.content)
        if coding == "gzip"
        else pa.CompressedInputStream(pa.BufferReader(answer.content), "zstd").read()
    )
    assert decoded == plain.content
    assert answer["ETag"] != plain["ETag"]


def test_small_bodies_and_parquet_stay_as_they_are(pricing: Reader) -> None:
    asked = {"Accept-Encoding": "gzip"}
    assert "Content-Encoding" not in ask(pricing, headers=asked, columns="symbol")
    assert "Content-Encoding" not in ask(pricing, headers=asked, format="parquet")


# --- HEAD ---------------------------------------------------------------------------------------


def test_head_says_what_get_would_without_a_body(pricing: Reader) -> None:
    got, head = ask(pricing), ask(pricing, method="head")
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Length"] == str(len(got.content))
    own = {"X-Request-ID", "Server-Timing", "Content-Length"}
    assert {k: v for k, v in head.items() if k not in own} == {
        k: v for k, v in got.items() if k not in own
    }


def test_head_starts_no_backfill(committed_world: World) -> None:
    committed_world.write(bars(SESSIONS[:3]))
    assert ask(committed_world.reader(), method="head").status_code == 409
    assert not BackfillJob.objects.exists()


# --- validators ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("settled")
class TestNotModified:
    def test_an_unchanged_state_is_304_before_a_row_is_loaded(
        self, pricing: Reader, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.SEAMLESS_CACHE_BYTES = 0
        first = ask(pricing)

        def must_not(*_: Any, **__: Any) -> Any:
            raise AssertionError("a row was loaded")

        monkeypatch.setattr(ParquetStore, "read", must_not)
        again = ask(pricing, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        listed = ask(pricing, headers={"If-None-Match": f'"x", W/{first["ETag"]}'})
        assert listed.status_code == 304

    def test_the_name_changes_with_every_form_of_the_answer(
        self, world: World, pricing: Reader
    ) -> None:
        names = [
            ask(pricing, **query, headers=headers)["ETag"]
            for query, headers in (
                ({}, {}),
                ({"end": SESSIONS[-2]}, {}),
                ({"columns": "close"}, {}),
                ({"symbols": "IBM"}, {}),
                ({"flags": "true"}, {}),
                ({"limit": 5}, {}),
                ({"format": "csv"}, {}),
                ({"format": "columns"}, {}),
                ({}, {"Accept-Encoding": "gzip"}),
            )
        ]
        world.write(bars(close=pa.array([7.0] * 12)))
        names.append(ask(pricing)["ETag"])
        assert len(set(names)) == len(names)

    def test_another_release_is_another_state(self, world: World, pricing: Reader) -> None:
        first = ask(pricing)
        loose = OHLC["properties"] | {"close": {"type": "number", "description": "any"}}
        approved(world.cast, OHLC | {"properties": loose})
        world.promote(Rollout.objects.get(mode="canary", ended_at=None))
        assert ask(pricing, headers={"If-None-Match": first["ETag"]}).status_code == 200

    def test_what_strict_refuses_is_never_not_modified(self, world: World, pricing: Reader) -> None:
        first = ask(pricing)
        world.write(bars(close=pa.array([-7.0] * 12)))
        for held in (first["ETag"], "*"):
            assert ask(pricing, headers={"If-None-Match": held}).status_code == 409

    def test_a_canary_sees_the_rows_of_an_answer_that_was_not_sent_again(
        self, world: World
    ) -> None:
        world.write(bars())
        reader = world.reader(rollout="canary")
        first = ask(reader)
        again = ask(reader, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, CanaryTally.objects.get().reads) == (304, 2)
        Rollout.objects.filter(consumer=reader.consumer).update(ended_at=NOW)
        off = ask(reader, headers={"If-None-Match": first["ETag"]})
        assert (off.status_code, off["ETag"]) == (304, first["ETag"])

    def test_an_incomplete_answer_is_always_loaded_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More may be fetched the next time, whatever the store says."""
        world.write(bars(SESSIONS[:3]))
        reader, loaded = world.reader(), []
        first = ask(reader, partial_ok="true")
        load = ParquetStore.read

        def counted(*arguments: Any, **options: Any) -> Any:
            loaded.append(1)
            return load(*arguments, **options)

        monkeypatch.setattr(ParquetStore, "read", counted)
        held = {"If-None-Match": first["ETag"]}
        assert ask(reader, partial_ok="true", headers=held).status_code == 304
        assert loaded == [1]

    def test_states_that_passed_are_bounded(self) -> None:
        states = PassedStates(most=2)
        for number in range(3):
            states.remember((number,), f'"{number}"')
        assert [states.name_under((number,)) for number in range(3)] == [None, '"1"', '"2"']


def test_a_304_has_all_headers_that_a_200_is_cached_by(world: World) -> None:
    world.write(bars())
    reader = world.reader()
    first = ask(reader)
    again = ask(reader, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    for name in ("ETag", "Vary", "Cache-Control"):
        assert again[name] == first[name]
