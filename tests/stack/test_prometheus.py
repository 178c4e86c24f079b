"""A real Prometheus scrapes a live instance under load; every query of every dashboard has data."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import Request as HTTPRequest
from urllib.request import urlopen

import pytest
import yaml

from config.stack.ports import find_free_port
from demo import storage
from demo.client import Client
from demo.tour import SEA_DUPLICATE, SEA_UPSTREAM_HOLE
from scripts.render_dashboards import render, sources
from tests.ops.prometheus import PROJECT, RULES, needs_prometheus, queries

pytestmark = [pytest.mark.stack, needs_prometheus]

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Observed:
    url: str
    tokens: dict[str, str]

    def client(self, name: str) -> Client:
        return Client(self.url, self.tokens[name])

    def limit_a_source(self) -> None:
        """So that its tokens have a series."""
        body = {"source": "http:api.example", "per_minute": 60.0, "burst": 5}
        headers = {
            "Authorization": f"Bearer {self.tokens['oscar']}",
            "Content-Type": "application/json",
            "Idempotency-Key": "limit-1",
        }
        address = f"{self.url}/api/v1/source-limits"
        asked = HTTPRequest(address, json.dumps(body).encode(), headers)
        with urlopen(asked, timeout=30) as answer:
            assert answer.status == 200

    def load(self) -> None:
        """What the panels are about: complete, partial, blocked and refused reads."""
        drifted = (storage.DRIFTS[0].first, storage.DRIFTS[0].last)
        self.client("pricing").read(storage.STOCKS, "2012-06-04", "2012-07-27")
        self.client("research").read(storage.STOCKS, *drifted, partial_ok="true")
        self.client("pricing").read(storage.STOCKS, *drifted, expect=409, partial_ok="true")
        self.client("ocean-app").read(storage.SEA, *SEA_DUPLICATE, expect=409)
        self.client("ocean-app").read(storage.SEA, *SEA_UPSTREAM_HOLE, partial_ok="true")


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL"} and not name.startswith("SEAMLESS_")
    }
    command = [sys.executable, "-m", "tests.stack.observed", str(folder / "var")]
    with subprocess.Popen(
        command, cwd=PROJECT, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said, "the stack did not start"
            yield Observed(**json.loads(said))
        finally:
            process.stdin.close()
            process.wait(timeout=PATIENCE_SECONDS)


@dataclass(frozen=True)
class Prometheus:
    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask("query", query=expression)["result"]

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if found := self.query(expression):
                    return found
            except OSError:
                pass  # it is still starting
            time.sleep(0.25)
        raise AssertionError(f"no data for {expression}")


@pytest.fixture(scope="module")
def prometheus(
    observed: Observed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder, port = tmp_path_factory.mktemp("prometheus"), find_free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in sorted(RULES.glob("*.rules.yml"))],
        "scrape_configs": [
            {
                "job_name": "seamless",
                "authorization": {"credentials": observed.tokens["oscar"]},
                "static_configs": [{"targets": [urlsplit(observed.url).netloc]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [
        *("prometheus", f"--config.file={folder}/prometheus.yml"),
        *(f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        server.wait_for('up{job="seamless"} == 1')
        # A rate needs two scrapes of a series, with what happened between them.
        observed.limit_a_source()
        observed.load()
        time.sleep(3)
        observed.load()
        server.wait_for('changes(seamless_sla_deadline_seconds_count{phase="total"}[1m]) > 0')
        server.wait_for("seamless:sla_errors:ratio_rate3d")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


DASHBOARDS = {source.stem: render(source) for source in sources()}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))
def test_every_query_of_a_dashboard_returns_data(
    prometheus: Prometheus, dashboard: dict[str, Any]
) -> None:
    empty = [
        f"{where}: {expression}"
        for where, expression in queries(dashboard)
        if not prometheus.query(expression)
    ]
    assert empty == []


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))
def test_its_variables_have_values(prometheus: Prometheus, dashboard: dict[str, Any]) -> None:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["definition"][len("label_values(") : -1].split(", ")
            assert prometheus.ask(f"label/{label}/values", **{"match[]": metric})


def test_rules_are_healthy_and_the_refusals_of_the_load_fire(prometheus: Prometheus) -> None:
    groups = prometheus.ask("rules")["groups"]
    assert [rule for group in groups for rule in group["rules"] if rule["health"] == "err"] == []
    prometheus.wait_for('ALERTS{alertname="SeamlessSchemaRefusals", alertstate="firing"}')
    assert prometheus.query('ALERTS{alertname="SeamlessDown"}') == []


def test_only_a_token_of_its_scope_may_scrape(observed: Observed) -> None:
    observed.client("pricing").get("/metrics", expect=403)
