"""The listings of governance over REST: in pages, filtered, with as many queries for many rows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.services import people, tokens
from tests.registry.admin_world import SYSTEM, World

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LISTINGS = {
    "subjects": ("name", ["market.a", "market.b", "market.c"]),
    "bundles": ("name", ["bundle-a", "bundle-b", "bundle-c"]),
    "consumers": ("name", ["consumer-a", "consumer-b", "consumer-c"]),
    "rollouts": ("consumer", ["consumer-c", "consumer-b", "consumer-a"]),
    "incidents?closed=true": ("consumer", ["consumer-c", "consumer-b", "consumer-a"]),
    "proposals?state=approved": ("subject", ["market.c", "market.b", "market.a"]),
    "bundles/bundle-a/releases": ("release", [1]),
}


@pytest.fixture
def world() -> World:
    made = World(NOW)
    for mark in ("b", "c"):
        made.grow(mark)
    return made


class Reader:
    def __init__(self, name: str) -> None:
        made = tokens.issue_personal_token(
            actor=SYSTEM,
            user=people.User.objects.get(username=name),
            scopes=["govern"],
            lifetime=timedelta(days=1),
            now=timezone.now(),
        )
        self.headers = {"Authorization": f"Bearer {made.secret}"}

    def get(self, path: str) -> HttpResponse:
        return Client().get(path, headers=self.headers)

    def rows(self, path: str) -> tuple[list[dict[str, Any]], str | None]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        following = body.pop("next")
        ((_, rows),) = body.items()
        return rows, following


def all_of(reader: Reader, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following:
        rows, following = reader.rows(following)
        assert len(rows) == 1
        found += rows
    return found


@pytest.mark.parametrize("listing", LISTINGS)
def test_pages_hold_each_row_once_in_order(world: World, listing: str) -> None:
    column, expected = LISTINGS[listing]
    limited = f"/api/v1/{listing}{'&' if '?' in listing else '?'}limit=1"
    reader = Reader("di")
    assert [row[column] for row in all_of(reader, limited)] == expected
    rows, following = reader.rows(f"/api/v1/{listing}")
    assert ([row[column] for row in rows], following) == (expected, None)


def test_what_comes_in_between_two_pages_moves_nothing(world: World) -> None:
    reader = Reader("di")
    first, following = reader.rows("/api/v1/rollouts?limit=2")
    world.grow("d")
    assert following is not None
    second, end = reader.rows(following)
    assert [row["consumer"] for row in first + second] == LISTINGS["rollouts"][1]
    assert end is None


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("proposals?state=draft", ["market.a"]),
        ("proposals?subject=market.b", ["market.b"]),
        ("proposals?author=bo", []),
        ("bundles?subject=market.b", ["bundle-b"]),
        ("bundles?team=research", []),
        ("consumers?bundle=bundle-c", ["consumer-c"]),
        ("consumers?active=false", []),
        ("consumers?team=research&limit=1", ["consumer-a"]),
        ("rollouts?mode=canary&subject=market.b", ["consumer-b"]),
        ("rollouts?mode=strict", []),
        ("rollouts?bundle=bundle-a&consumer=consumer-b", []),
        ("rollouts?consumer=consumer-b&ended=true", ["consumer-b"]),
        ("incidents?closed=true&bundle=bundle-b", ["consumer-b"]),
        ("incidents?consumer=consumer-b", []),
        ("subjects?team=market&limit=1", ["market.a"]),
    ],
)
def test_filters_select(world: World, path: str, names: list[str]) -> None:
    rows, _ = Reader("di").rows(f"/api/v1/{path}")
    column = {"proposals": "subject", "rollouts": "consumer", "incidents": "consumer"}
    assert [row[column.get(path.partition("?")[0], "name")] for row in rows] == names


@pytest.mark.parametrize(
    "path",
    [
        "proposals?state=odd",
        "rollouts?mode=lax",
        "rollouts?consumer=a&consumer=b",
        "rollouts?comsumer=a",
        "consumers?active=perhaps",
        "bundles?limit=0",
        "bundles?limit=501",
        "bundles?cursor=forged",
        "bundles/bundle-a/releases?page=2",
    ],
)
def test_a_wrong_question_is_refused(world: World, path: str) -> None:
    answer = Reader("di").get(f"/api/v1/{path}")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "invalid_input")


def test_a_cursor_belongs_to_its_listing_and_filters(world: World) -> None:
    reader = Reader("di")
    _, following = reader.rows("/api/v1/rollouts?mode=canary&limit=1")
    assert following is not None
    for other in (
        following.replace("rollouts", "proposals"),
        following.replace("mode=canary", "mode=strict"),
    ):
        assert reader.get(other).status_code == 400


def test_pages_show_no_more_than_may_be_seen(world: World) -> None:
    """cy keeps research's consumers: the drafts and bundles are those that they read."""
    people.create_team(actor=SYSTEM, name="empty", now=NOW)
    people.create_person(
        actor=SYSTEM, username="guest", password="a-long-enough-passphrase", now=NOW
    )
    people.add_member(actor=SYSTEM, team="empty", username="guest", role="owner", now=NOW)
    for listing in set(LISTINGS) - {"bundles/bundle-a/releases"}:
        assert Reader("guest").rows(f"/api/v1/{listing}") == ([], None)
        assert Reader("cy").rows(f"/api/v1/{listing}")[0] != []


@pytest.mark.parametrize("listing", LISTINGS)
def test_more_rows_cost_no_more_queries(world: World, listing: str) -> None:
    readers = [Reader("cy"), Reader("ada")]
    paths = [f"/api/v1/{listing}{'&' if '?' in listing else '?'}limit={size}" for size in (1, 500)]
    for reader in readers:
        reader.rows(paths[0])  # the process knows the token from now on
        counts = []
        for path in paths:
            with CaptureQueriesContext(connection) as queries:
                reader.rows(path)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 9
