"""`manage.py lease` and the client of before, against the real service on a real port."""

import threading
from base64 import b64encode
from http.client import HTTPConnection
from json import dumps, loads
from socketserver import ThreadingMixIn
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection

from coordinator.client import DistributedBackfillCoordinator, LeaseContext
from coordinator.models import ServiceLease
from coordinator.renewing import Renewing
from tests.coordinator.test_lease_service import issue

KEYS = ("node:10:0:100::", "ohlcv:x:BTC/USDT:1m:60:0:600:live:2025-01-01T00:00:00Z")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def process_request_thread(self, *arguments):
        super().process_request_thread(*arguments)
        connection.close()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def url(committed_db):
    """The service's address with the credentials of a program in it."""
    application = get_wsgi_application()
    with make_server("127.0.0.1", 0, application, Server, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://desk:{issue(['leases'])}@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class ClientOfBefore:
    """What the original's client does on the wire, as far as its server can tell: three POSTs with
    the credentials of its URL, two seconds of patience, and only these fields read.
    """

    def __init__(self, url):
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        pair = f"{parts.username}:{parts.password}".encode()
        self._authorization = f"Basic {b64encode(pair).decode()}"

    def claim(self, key, lease_ms):
        status, body = self._post("claim", {"key": key, "lease_ms": lease_ms})
        if status in (404, 409):
            return None
        assert status == 200
        lease = body["lease"]
        return key, lease["token"], lease["lease_until_ms"], body.get("completion_ratio")

    def complete(self, lease):
        status, body = self._post("complete", {"key": lease[0], "token": lease[1]})
        return None if status in (404, 409) else body.get("completion_ratio", 1.0)

    def fail(self, lease, reason):
        told = {"key": lease[0], "token": lease[1], "reason": reason}
        status, body = self._post("fail", told)
        return None if status in (404, 409) else body.get("completion_ratio", 0.0)

    def healthy(self):
        wire = HTTPConnection(self._host, self._port, timeout=2.0)
        wire.request("GET", "/healthz")
        return 200 <= wire.getresponse().status < 300

    def _post(self, verb, body):
        wire = HTTPConnection(self._host, self._port, timeout=2.0)
        headers = {"Content-Type": "application/json", "Authorization": self._authorization}
        wire.request("POST", f"/v1/leases/{verb}", dumps(body), headers)
        answer = wire.getresponse()
        return answer.status, loads(answer.read())


def recover(*arguments):
    call_command("lease", "recover", *arguments)


def test_a_client_of_before_works_unmodified(url):
    client = ClientOfBefore(url)
    assert client.healthy()
    for key in KEYS:
        lease = client.claim(key, 60_000)
        assert client.claim(key, 60_000) is None
        assert client.complete((key, "wrong")) is None
        assert client.complete(lease) == 1.0
        assert client.complete(lease) is None
        again = client.claim(key, 60_000)
        assert client.fail(again, "synchronous_backfill_failed: boom") == 0.0
    stored = ServiceLease.objects.get(key=KEYS[1])
    assert (stored.state, stored.epoch) == ("failed", 2)
    assert stored.reason == "synchronous_backfill_failed: boom"


def test_our_client_speaks_the_whole_protocol(url):
    client = DistributedBackfillCoordinator(url)
    context = LeaseContext("node", 10, 0, 100)
    lease = client.claim(context.key, 60_000, context=context)
    assert client.claim(context.key, 60_000) is None
    with Renewing(client, lease) as kept:
        assert client.renew(lease).lease_until_ms >= lease.lease_until_ms
        assert kept.lease.epoch == 1
    assert client.complete(lease) == 1.0
    assert client.healthy()


def test_t69_leases_are_released_by_the_token_after_the_last_colon(url, tmp_path, capsys):
    client = ClientOfBefore(url)
    entries = [":".join(client.claim(key, 60_000)[:2]) for key in KEYS]
    file = tmp_path / "leases"
    file.write_text(f"# left behind\n\n{entries[1]}\n")
    recover(entries[0], "--from-file", str(file), "--coordinator-url", url)
    assert capsys.readouterr().out == "processed 2, released 2, skipped 0\n"
    leases = ServiceLease.objects.order_by("key").values_list("key", "state", "reason")
    assert list(leases) == [(key, "failed", "manual_recovery") for key in KEYS]


def test_t69_without_a_token_a_lease_is_skipped_and_that_is_an_error(url, capsys):
    with pytest.raises(CommandError, match="no token"):
        recover("lonely", "--coordinator-url", url)
    assert capsys.readouterr().out == "processed 1, released 0, skipped 1\n"


def test_released_is_only_what_the_server_says_is_released(url, capsys):
    ClientOfBefore(url).claim(KEYS[0], 60_000)
    with pytest.raises(CommandError, match="does not know it as held"):
        recover(f"{KEYS[0]}:guessed", "--coordinator-url", url, "--action", "complete")
    assert "released 0, skipped 1" in capsys.readouterr().out
    assert ServiceLease.objects.get().state == "held"


def test_a_dry_run_changes_nothing(url, capsys):
    entry = ":".join(ClientOfBefore(url).claim(KEYS[0], 60_000)[:2])
    recover(entry, "--coordinator-url", url, "--dry-run")
    out = capsys.readouterr().out
    assert f"would fail {KEYS[0]}\n" in out
    assert entry not in out
    assert ServiceLease.objects.get().state == "held"


def test_the_list_names_leases_and_no_token(url, capsys):
    token = ClientOfBefore(url).claim(KEYS[1], 60_000)[1]
    call_command("lease", "list")
    out = capsys.readouterr().out
    assert KEYS[1] in out
    assert token not in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name a lease"),
        (["k:t", "--coordinator-url", ""], "Give --coordinator-url"),
        (["k:t", "--coordinator-url", "ftp://x"], "cannot be used"),
        (["--from-file", "/no/such/file"], "cannot be read"),
        (["k:t", "--coordinator-url", "http://127.0.0.1:9"], "could not fail a lease"),
    ],
)
def test_what_cannot_be_recovered_is_refused_with_a_reason(arguments, told, monkeypatch):
    monkeypatch.delenv("QMTL_SEAMLESS_COORDINATOR_URL", raising=False)
    with pytest.raises(CommandError, match=told):
        recover(*arguments)
