"""A node is added over REST and in the admin as on the command line: one service, its refusals."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from registry.models import AuditEvent, Node
from registry.services import tokens
from tests.provider.world import DAY, World, bars

HTMX = {"HX-Request": "true"}
ADD = "admin:registry_node_register"


@pytest.fixture
def directory(world: World, tmp_path: Path, settings: Any) -> Path:
    settings.SEAMLESS_PARQUET_ROOTS = [str(tmp_path)]
    folder = tmp_path / "mine"
    folder.mkdir()
    pq.write_table(bars(), folder / "bars.parquet")
    return folder


def post(world: World, who: str, fields: dict[str, Any]) -> Any:
    token = tokens.issue_personal_token(
        actor=getattr(world.cast, who),
        user=world.cast.user(who),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=timezone.now(),
    )
    headers = {"Authorization": f"Bearer {token.secret}"}
    return Client().post(
        "/api/v1/nodes", json.dumps(fields), content_type="application/json", headers=headers
    )


def fields(directory: Path, **more: Any) -> dict[str, Any]:
    store = {"type": "parquet", "path": str(directory)}
    return {
        "node_id": "mine",
        "subject": "market.ohlc",
        "interval": DAY,
        "store": store,
        **more,
    }


def test_without_series_rest_takes_those_of_the_store(world: World, directory: Path) -> None:
    answer = post(world, "olive", fields(directory, calendar="XNYS"))
    assert answer.status_code == 201, answer.content
    keys = [one["key"] for one in json.loads(answer.content)["series"]]
    assert keys == [{"symbol": "AAPL"}, {"symbol": "IBM"}]


def test_an_empty_store_has_to_be_told_its_series(world: World, tmp_path: Path) -> None:
    asked = {"node_id": "mine", "subject": "market.ohlc", "interval": DAY}
    answer = post(world, "olive", asked | {"store": {"type": "parquet"}})
    assert answer.status_code == 400
    assert "name them" in json.loads(answer.content)["detail"]
    assert post(world, "ravi", asked | {"store": {"type": "parquet"}}).status_code == 403


def test_a_live_feed_is_checked_and_kept(world: World, directory: Path, settings: Any) -> None:
    live = {"type": "redis", "stream": "bars"}
    answer = post(world, "olive", fields(directory, live=live))
    assert answer.status_code == 400
    said = json.loads(answer.content)
    assert (said["code"], said["setting"]) == ("wrong_live_settings", "server")
    settings.SEAMLESS_LIVE_SERVERS = {"default": "redis://127.0.0.1/"}
    assert post(world, "olive", fields(directory, live=live)).status_code == 201
    assert Node.objects.get(node_id="mine").live == live
    client, answer = submit(world, "olive", fields(directory) | {"node_id": "other", "live": live})
    assert "Live feed" in client.get(answer["HX-Redirect"]).content.decode()
    assert Node.objects.get(node_id="other").live == live


def submit(world: World, who: str, form: dict[str, Any]) -> Any:
    client = Client()
    client.force_login(world.cast.user(who))
    given = {
        name: json.dumps(value) if isinstance(value, dict | list) else value
        for name, value in form.items()
    }
    return client, client.post(reverse(ADD), {"_form_submitted": "True", **given}, headers=HTMX)


def test_the_admin_s_dialog_registers_a_node(world: World, directory: Path) -> None:
    client, answer = submit(world, "olive", fields(directory, description="Of ours"))
    node = Node.objects.get(node_id="mine")
    assert answer["HX-Redirect"] == reverse("admin:registry_node_change", args=[node.pk])
    assert (len(node.series), node.description) == (2, "Of ours")
    assert "mine is registered" in client.get(answer["HX-Redirect"]).content.decode()
    event = AuditEvent.objects.get(action="node.register", object_id="mine")
    assert event.outcome == "ok"


def test_the_admin_shows_a_refusal_and_keeps_nothing(world: World, directory: Path) -> None:
    client, answer = submit(world, "olive", fields(directory, calendar="NOWHERE"))
    page = client.get(answer["HX-Redirect"]).content.decode()
    assert "no exchange calendar" in page
    for wrong in (
        {"store": "["},
        {"store": [1]},
        {"live": [1]},
        {"series": {"a": 1}},
        {"interval": 0},
    ):
        _, shown = submit(world, "olive", fields(directory) | wrong)
        assert "HX-Redirect" not in shown
    assert not Node.objects.filter(node_id="mine").exists()


@pytest.mark.parametrize("who", ["ravi", "oscar", "stan"])
def test_only_owners_see_the_button_and_may_press_it(
    world: World, directory: Path, who: str
) -> None:
    client, answer = submit(world, who, fields(directory))
    assert answer.status_code in (302, 403)
    page = client.get(reverse("admin:registry_node_changelist")).content.decode()
    assert reverse(ADD) not in page
    owner = Client()
    owner.force_login(world.cast.user("olive"))
    assert reverse(ADD) in owner.get(reverse("admin:registry_node_changelist")).content.decode()
    assert not Node.objects.filter(node_id="mine").exists()
