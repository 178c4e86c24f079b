"""The dashboards render, are what Grafana imports, and read only what we emit or record."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.metric_reference import exposed_series
from scripts.render_dashboards import main, render, sources
from tests.ops.prometheus import RULES, queries, series_in

DASHBOARDS = {source.stem: render(source) for source in sources()}

dashboards = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))


def recorded() -> set[str]:
    groups = yaml.safe_load((RULES / "recording.rules.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def test_the_four_that_were_promised() -> None:
    assert set(DASHBOARDS) == {
        "seamless-sla-overview",
        "seamless-backfill-health",
        "seamless-conformance-quality",
        "seamless-schema-governance",
    }


@dashboards
def test_it_has_the_form_that_grafana_imports(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 36
    assert dashboard["uid"]
    source, *_ = dashboard["templating"]["list"]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    assert "id" not in dashboard
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert panel["description"].endswith("."), panel["title"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@dashboards
def test_panels_fill_their_rows_and_never_overlap(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    for a, b in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart or below
    for y in {place["y"] for place in places}:
        assert sum(place["w"] for place in places if place["y"] == y) == 24


@pytest.mark.django_db
@dashboards
def test_every_query_reads_series_that_exist(dashboard: dict[str, Any]) -> None:
    known = exposed_series() | recorded()
    for where, expression in queries(dashboard):
        assert series_in(expression), where
        assert series_in(expression) <= known, where


@pytest.mark.django_db
def test_every_rule_reads_series_that_exist() -> None:
    known = exposed_series() | recorded()
    for file in RULES.glob("*.rules.yml"):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                unknown = series_in(rule["expr"]) - known
                assert not unknown, (rule.get("alert") or rule.get("record"), unknown)


@pytest.mark.django_db
def test_a_misspelt_series_would_be_noticed() -> None:
    assert series_in('sum(rate(seamless_slla_total{a="b"}[5m])) by (node_id)') == {
        "seamless_slla_total"
    }
    assert "seamless_slla_total" not in exposed_series()


def test_they_are_written_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(tmp_path / "dashboards")
    written = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*/*.json")}
    assert written == DASHBOARDS
    assert len(capsys.readouterr().out.splitlines()) == len(DASHBOARDS)
