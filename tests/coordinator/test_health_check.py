"""`manage.py health_check` against real HTTP servers."""

import json

import pytest
from django.core.management import CommandError, call_command

from tests.coordinator.test_client import Service

SERIES = {"data": {"result": [{"metric": {}, "value": [0, "1"]}]}}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.delenv("QMTL_SEAMLESS_COORDINATOR_URL", raising=False)
    running = Service()
    yield running
    running.close()


def check(*arguments):
    call_command("health_check", *arguments)


def url_of(service):
    return f"http://127.0.0.1:{service.port}"


@pytest.mark.parametrize("status", ["ok", "healthy", "pass", "OK"])
def test_t68_a_healthy_coordinator_passes(service, status, capsys):
    service.answers = {"healthz": (200, {"status": status})}
    check("--coordinator-url", url_of(service))
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"status": "fail"}), "'fail', not healthy"),
        ((200, {"status": "degraded"}), "'degraded', not healthy"),
        ((200, []), "not healthy"),
        ((302, {}), "answered 302"),
        ((503, {"status": "ok"}), "answered 503"),
    ],
)
def test_t68_anything_else_fails(service, answer, told):
    service.answers = {"healthz": answer}
    with pytest.raises(CommandError, match=told):
        check("--coordinator-url", url_of(service))


def test_t68_a_missing_variable_fails(service, monkeypatch):
    monkeypatch.setenv("SET_ONE", "x")
    monkeypatch.delenv("UNSET_ONE", raising=False)
    with pytest.raises(CommandError, match="Missing environment variable UNSET_ONE") as failed:
        check("--required-env", "SET_ONE", "--required-env", "UNSET_ONE")
    assert "SET_ONE" not in str(failed.value).replace("UNSET_ONE", "")


def test_t68_every_metric_must_have_a_series(service):
    arguments = ["--prometheus-url", url_of(service), "--prometheus-metric", "coverage_ratio"]
    service.answers = {"query?query=coverage_ratio": (200, SERIES)}
    check(*arguments)
    service.answers = {"query?query=coverage_ratio": (200, {"data": {"result": []}})}
    with pytest.raises(CommandError, match="Missing series coverage_ratio"):
        check(*arguments)
    for odd in (b"not json", json.dumps({"data": None}).encode()):
        service.answers = {"query?query=coverage_ratio": (200, odd)}
        with pytest.raises(CommandError, match="no result for coverage_ratio"):
            check(*arguments)


def test_what_is_asked_wrongly_is_said_without_the_credentials(service):
    with pytest.raises(CommandError, match="needs --prometheus-url"):
        check("--prometheus-metric", "x")
    with pytest.raises(CommandError, match="cannot be used") as refused:
        check("--coordinator-url", "ftp://me:s3cret@host")
    assert "s3cret" not in str(refused.value)
