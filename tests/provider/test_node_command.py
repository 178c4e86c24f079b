"""`manage.py node`: what an owner types to get bars of theirs governed."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry.models import AuditEvent, Node
from registry.services import tokens
from tests.provider.world import DAY, NODE, SESSIONS, World, bars

pytestmark = pytest.mark.usefixtures("as_olive")


def token_of(world: World, name: str) -> str:
    user = world.cast.user(name)
    actor = getattr(world.cast, name)
    now = timezone.now()
    return tokens.issue_personal_token(
        actor=actor, user=user, scopes=["govern"], lifetime=timedelta(hours=1), now=now
    ).secret


@pytest.fixture
def as_olive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_TOKEN", token_of(world, "olive"))


def run(*arguments: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    out = StringIO()
    try:
        call_command("node", *arguments, stdout=out)
    except SystemExit as left:
        return int(left.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def directory(tmp_path: Path, settings: Any) -> Path:
    settings.SEAMLESS_PARQUET_ROOTS = [str(tmp_path)]
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def add(directory: Path, *more: str) -> tuple[int, str]:
    arguments = ("add", "mine", "--subject", "market.ohlc", "--store", f"parquet:{directory}")
    return run(*arguments, "--interval", str(DAY), *more)


def test_a_directory_of_bars_becomes_a_node_whose_series_are_found(directory: Path) -> None:
    pq.write_table(bars(), directory / "bars.parquet")
    code, said = add(directory, "--calendar", "XNYS", "--key", "symbol")
    assert (code, "2 series" in said) == (0, True)
    node = Node.objects.get(node_id="mine")
    assert [one["key"] for one in node.series] == [{"symbol": "AAPL"}, {"symbol": "IBM"}]
    assert AuditEvent.objects.get(action="node.register", object_id="mine").actor_name == "olive"
    code, said = run("doctor", "mine")
    assert (code, "Nothing to mend" in said) == (0, True), said
    assert "12 rows of 2 series from 2012-06-01T00:00:00Z to 2012-06-08T00:00:00Z" in said


def test_the_doctor_says_what_a_read_would_be_refused_for(world: World) -> None:
    world.write(bars(SESSIONS[:-1], close=pa.array([-1.0] * 10)))
    code, said = run("doctor", NODE)
    assert code == 1
    assert "error exclusiveMinimum" in said
    code, said = run("doctor", NODE, "--json")
    seen = json.loads(said)
    assert (code, seen["rows"], seen["coverage"]) == (1, 10, 1.0)
    assert [one["code"] for one in seen["advice"]] == ["exclusiveMinimum"]
    assert "-1" not in said.replace("2012-06-0", "")  # never the rows themselves


def test_the_doctor_looks_at_the_newest_bars_only(world: World) -> None:
    world.write(bars(SESSIONS))
    _, said = run("doctor", NODE, "--bars", "2", "--json")
    assert json.loads(said)["first"] == SESSIONS[-2]


def test_an_empty_store_is_told_as_such(world: World) -> None:
    code, said = run("doctor", NODE)
    assert (code, "no_rows" in said) == (1, True)


def test_the_key_that_one_believes_in_is_compared(directory: Path) -> None:
    pq.write_table(bars(), directory / "bars.parquet")
    with pytest.raises(CommandError, match="are symbol, not ticker"):
        add(directory, "--key", "ticker")


def test_an_empty_store_needs_named_series(directory: Path) -> None:
    with pytest.raises(CommandError, match="holds no row to take series from"):
        add(directory)
    assert add(directory, "--series", "symbol=AAPL@1338508800", "--series", "symbol=IBM")[0] == 0
    assert Node.objects.get(node_id="mine").series == [
        {"key": {"symbol": "AAPL"}, "since": 1_338_508_800},
        {"key": {"symbol": "IBM"}, "since": None},
    ]


def test_a_node_is_changed_and_shown(world: World) -> None:
    assert run("change", NODE, "--description", "Daily bars")[0] == 0
    shown = json.loads(run("show", NODE)[1])
    assert (shown["description"], shown["subject"], shown["interval"]) == (
        "Daily bars",
        "market.ohlc",
        DAY,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("add", "x", "--subject", "market.ohlc", "--store", "ftp:x", "--interval", "1"),
            "a store",
        ),
        (("change", NODE), "Nothing to change"),
        (("change", NODE, "--series", "AAPL"), "is not a series"),
        (("change", NODE, "--series", "symbol=A@soon"), "is not a series"),
        (("change", NODE, "--source", "[]"), "no JSON object"),
        (("change", NODE, "--source", "{"), "not JSON"),
        (("change", NODE, "--live", "[]"), "no JSON object"),
        (("change", NODE, "--live", '{"type": "redis"}'), "The live feed of"),
        (("change", NODE, "--calendar", "MOON"), "no exchange calendar"),
        (("doctor", "none"), "There is no node"),
        (("doctor", NODE, "--bars", "0"), "at least 1"),
        (("add", "x", "--subject", "none", "--store", "parquet", "--interval", "1"), "no subject"),
        (
            ("add", "x", "--subject", "market.ohlc", "--store", "parquet:/etc", "--interval", "1"),
            "SEAMLESS_PARQUET_ROOTS",
        ),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, tuple) else value,
)
def test_wrong_use_says_what_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run(*arguments)


def test_people_who_do_not_own_or_run_a_node_do_not_see_into_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("carl", "ravi", "ada"):
        monkeypatch.setenv("SEAMLESS_TOKEN", token_of(world, name))
        for arguments in (("doctor", NODE), ("show", NODE), ("change", NODE, "--sla", "x")):
            with pytest.raises(CommandError, match="not_allowed"):
                run(*arguments)
    monkeypatch.setenv("SEAMLESS_TOKEN", token_of(world, "oscar"))
    assert run("show", NODE)[0] == 0


def test_rules_are_set_and_printed(directory: Path) -> None:
    pq.write_table(bars(), directory / "bars.parquet")
    add(directory)
    rules = [{"rule": "max_return", "column": "close", "most": 0.2}]
    assert json.loads(run("rules", "mine")[1]) == []
    assert json.loads(run("rules", "mine", "--set", json.dumps(rules))[1]) == rules
    assert json.loads(run("rules", "mine")[1]) == rules
    with pytest.raises(CommandError, match="invalid_input"):
        run("rules", "mine", "--set", '[{"rule": "tock"}]')
    with pytest.raises(CommandError, match="no JSON list"):
        run("rules", "mine", "--set", "{}")


def test_each_change_of_a_node_is_recorded_with_its_person(directory: Path) -> None:
    pq.write_table(bars(), directory / "bars.parquet")
    add(directory)
    rules = [{"rule": "max_return", "column": "close", "most": 0.2}]
    run("change", "mine", "--description", "Daily bars")
    run("rules", "mine", "--set", json.dumps(rules))
    changed = AuditEvent.objects.get(action="node.change")
    ruled = AuditEvent.objects.get(action="node.quality_rules")
    assert (changed.before, changed.after) == (
        {"description": ""},
        {"description": "Daily bars"},
    )
    assert (ruled.before, ruled.after) == ({"rules": []}, {"rules": rules})
    for event in (changed, ruled):
        assert (event.outcome, event.object_type, event.object_id) == ("ok", "node", "mine")
        assert (event.actor_kind, event.actor_name) == ("user", "olive")
        assert event.actor_roles
