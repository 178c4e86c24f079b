"""The share of recent reads that a proposal touches, counted by reads over the API."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from registry.models import Proposal, Usage
from registry.services.behind_reads import flush_all
from registry.services.impact import Impact, impact_of
from tests.cast import OHLC, with_property
from tests.provider.world import World, bars
from tests.registry.test_acting import personal_token
from tests.registry.test_governance_api import Person
from tests.registry.test_lifecycle import drafted

pytestmark = pytest.mark.django_db
VOLUME = OHLC | {"properties": OHLC["properties"] | {"volume": {"type": "integer", "minimum": 10}}}


@pytest.fixture
def read(world: World) -> World:
    """Four reads: two of `pricing` (all columns, volume), two of `research` (close)."""
    world.write(bars())
    pricing, research = world.reader(), world.reader("research", rollout="granted")
    pricing.data()
    pricing.data(columns="volume,symbol")
    research.data(columns="close")
    research.data(columns="close")
    flush_all()
    return world


def impact(world: World, document: dict[str, Any]) -> tuple[Proposal, Impact]:
    proposal = drafted(world.cast, document)
    return proposal, impact_of(proposal, now=timezone.now())


def test_the_reads_of_a_changed_property_are_touched(read: World) -> None:
    _, found = impact(read, VOLUME)
    assert found.properties == ["volume"]
    assert (found.reads, found.touching_reads, found.touching_share) == (4, 2, 0.5)
    assert found.touching_consumers == ("pricing",)


def test_a_new_property_touches_those_who_read_all(read: World) -> None:
    _, found = impact(read, with_property("vwap", {"type": "number"}))
    assert (found.touching_reads, found.touching_consumers) == (1, ("pricing",))


def test_a_rule_of_the_row_touches_every_read(read: World) -> None:
    _, found = impact(read, OHLC | {"minProperties": 2})
    assert found.every_property
    assert (found.touching_reads, found.touching_share) == (4, 1.0)
    assert found.touching_consumers == ("pricing", "research")


def test_another_description_touches_no_read(read: World) -> None:
    _, found = impact(read, OHLC | {"title": "Bar of a day"})
    assert (found.reads, found.touching_reads) == (4, 0)


def test_reads_of_more_than_thirty_days_ago_do_not_count(read: World) -> None:
    Usage.objects.filter(columns="*").update(day=timezone.now().date() - timedelta(days=31))
    _, found = impact(read, VOLUME)
    assert (found.reads, found.touching_reads) == (3, 1)


def test_api_shell_and_page_say_the_same(read: World, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal, _ = impact(read, VOLUME)
    ravi = Person(read.cast, "ravi")
    shown = ravi.get(f"proposals/{proposal.pk}/impact").json()
    assert (shown["touching_reads"], shown["touching_share"]) == (2, 0.5)
    monkeypatch.setenv("SEAMLESS_TOKEN", personal_token(read.cast, "ravi"))
    out = io.StringIO()
    call_command("proposal", "impact", str(proposal.pk), "--json", stdout=out)
    assert json.loads(out.getvalue()) == shown
    client = Client()
    client.force_login(read.cast.user("ravi"))
    page = client.get(f"/admin/registry/proposal/{proposal.pk}/change/").content.decode()
    assert "2 of 4 in 30 days (50.0%): pricing" in page
