"""The clients for processes without our database, against a real HTTP server."""

import json
import socket
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from structlog.testing import capture_logs

from coordinator.client import (
    CoordinatorUnreachable,
    DistributedBackfillCoordinator,
    InMemoryBackfillCoordinator,
    LeaseContext,
    LeaseLost,
    coordinator_from_env,
)
from coordinator.renewing import Renewing

CONTEXT = LeaseContext("node", 10, 0, 100, "live", "2025-01-01T00:00:00Z", "w1")
GRANTED = {"lease": {"token": "s3cret-token", "lease_until_ms": 1_900_000_000_000}}


class Service:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers = {}
        self.asked = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append((self.path, body, dict(self.headers)))
                self._answer()

            def do_GET(self) -> None:
                service.asked.append((self.path, None, dict(self.headers)))
                self._answer()

            def _answer(self) -> None:
                status, body = service.answers.get(self.path.rsplit("/", 1)[1], (404, {}))
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/v1/leases/elsewhere")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service():
    running = Service()
    yield running
    running.close()


@pytest.fixture
def client(service):
    return DistributedBackfillCoordinator(f"http://desk:pa%40ss@127.0.0.1:{service.port}")


@pytest.fixture
def dead_url():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def claim(coordinator, lease_ms=120_000):
    return coordinator.claim(CONTEXT.key, lease_ms, context=CONTEXT)


def test_a_claim_and_its_completion_speak_the_protocol(service, client):
    service.answers = {
        "claim": (200, GRANTED | {"completion_ratio": 0.25}),
        "complete": (200, {"completion_ratio": 1.0}),
    }
    lease = claim(client)
    assert (lease.completion_ratio, lease.lease_until_ms) == (0.25, 1_900_000_000_000)
    assert client.complete(lease) == 1.0
    (claimed, completed) = service.asked
    key = "node:10:0:100:live:2025-01-01T00:00:00Z"
    assert claimed[:2] == ("/v1/leases/claim", {"key": key, "lease_ms": 120_000})
    assert completed[:2] == ("/v1/leases/complete", {"key": key, "token": "s3cret-token"})
    scheme, credentials = claimed[2]["Authorization"].split()
    assert (scheme, b64decode(credentials)) == ("Basic", b"desk:pa@ss")


def test_failing_sends_the_reason_and_defaults_to_zero(service, client):
    service.answers = {"claim": (200, GRANTED), "fail": (200, {})}
    assert client.fail(claim(client), "no_backfiller") == 0.0
    assert service.asked[1][1]["reason"] == "no_backfiller"


@pytest.mark.parametrize("status", [404, 409])
def test_t37_held_elsewhere_is_none(service, client, status):
    service.answers = {"claim": (status, {})}
    assert claim(client) is None


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_x20_an_answer_that_decides_nothing_is_unreachable_and_not_held_elsewhere(
    service, client, status
):
    service.answers = {"claim": (status, {})}
    with pytest.raises(CoordinatorUnreachable, match=str(status)):
        claim(client)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        {},
        {"lease": {}},
        {"lease": {"token": "", "lease_until_ms": 1}},
        {"lease": {"token": "t", "lease_until_ms": True}},
        {"lease": {"token": "t", "lease_until_ms": "soon"}},
        b'{"a":"' + b"x" * 100_000 + b'"}',
    ],
)
def test_a_body_that_grants_nothing_is_unreachable(service, client, body):
    service.answers = {"claim": (200, body)}
    with pytest.raises(CoordinatorUnreachable):
        claim(client)


def test_a_service_that_does_not_listen_is_unreachable(dead_url):
    with pytest.raises(CoordinatorUnreachable, match="QMTL_SEAMLESS_COORDINATOR_URL"):
        claim(DistributedBackfillCoordinator(dead_url))


def test_a_service_that_hangs_costs_its_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CoordinatorUnreachable, match="timed out"):
            claim(DistributedBackfillCoordinator(url, timeout=0.05))


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_x21_ending_a_lost_lease_raises_and_is_never_a_ratio(service, client, status, verb):
    service.answers = {"claim": (200, GRANTED), verb: (status, {"completion_ratio": 1.0})}
    lease = claim(client)
    end = {"complete": client.complete, "fail": lambda held: client.fail(held, "x")}[verb]
    with pytest.raises(LeaseLost, match="drop what was made"):
        end(lease)


def test_a_completion_that_could_not_be_told_is_unreachable_and_not_a_loss(service, client):
    service.answers = {"claim": (200, GRANTED), "complete": (500, {})}
    lease = claim(client)
    with capture_logs() as events, pytest.raises(CoordinatorUnreachable):
        client.complete(lease)
    assert [event["event"] for event in events] == ["seamless.coordinator.complete_status_error"]


def test_credentials_do_not_follow_a_redirect(service, client):
    service.answers = {"claim": (302, {}), "elsewhere": (200, GRANTED)}
    with pytest.raises(CoordinatorUnreachable, match="302"):
        claim(client)
    assert len(service.asked) == 1


def test_a_proxy_of_the_environment_is_not_used(service, client, monkeypatch, dead_url):
    monkeypatch.setenv("http_proxy", dead_url)
    service.answers = {"claim": (200, GRANTED)}
    fresh = DistributedBackfillCoordinator(f"http://127.0.0.1:{service.port}")
    assert claim(fresh) is not None


def test_t38_the_events_carry_their_fields_and_no_secret(service, client):
    service.answers = {
        "claim": (200, GRANTED | {"completion_ratio": 0.5}),
        "complete": (200, {}),
        "fail": (200, {"completion_ratio": 0.0}),
    }
    with capture_logs() as events:
        client.complete(claim(client))
        client.fail(claim(client), "no_backfiller")
    names = [event["event"].removeprefix("seamless.backfill.coordinator_") for event in events]
    assert names == ["claimed", "completed", "claimed", "failed"]
    assert [event["completion_ratio"] for event in events] == [0.5, 1.0, 0.5, 0.0]
    assert events[-1]["reason"] == "no_backfiller"
    for event in events:
        assert event["coordinator_id"] == f"127.0.0.1:{service.port}"
        assert event["lease_key"] == CONTEXT.key
        assert (event["node_id"], event["interval"], event["batch_end"]) == ("node", 10, 100)
        assert (event["world"], event["worker"]) == ("live", "w1")
    told = str(events) + repr(client) + repr(claim(client))
    assert "s3cret-token" not in told
    assert "pa@ss" not in told


def test_health_follows_the_service(service, client, dead_url):
    service.answers = {"healthz": (200, b"fine")}
    assert client.healthy()
    service.answers = {"healthz": (503, {})}
    assert not client.healthy()
    service.answers = {"healthz": (302, {})}
    assert not client.healthy()
    assert not DistributedBackfillCoordinator(dead_url).healthy()


def test_x24_keys_with_colons_and_slashes_travel_whole(service, client):
    service.answers = {"claim": (200, GRANTED)}
    context = LeaseContext("ohlcv:binance:BTC/USDT:1m", 60, 0, 60)
    client.claim(context.key, 1, context=context)
    assert service.asked[0][1]["key"] == "ohlcv:binance:BTC/USDT:1m:60:0:60::"
    assert LeaseContext("node", 10, 0, 100).key == "node:10:0:100::"


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://", "file:///etc/passwd"])
def test_a_url_that_cannot_work_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="QMTL_SEAMLESS_COORDINATOR_URL") as refused:
        DistributedBackfillCoordinator(url)
    assert url not in str(refused.value)


def test_t53_t55_without_a_url_the_guard_of_the_process_is_used_and_said_so():
    with capture_logs() as events:
        coordinator = coordinator_from_env({})
    assert isinstance(coordinator, InMemoryBackfillCoordinator)
    assert [e["event"] for e in events] == ["seamless.coordinator.unset_falling_back_inmemory"]


def test_t56_t57_x27_with_a_url_the_service_is_used_and_nothing_is_asked_before_a_claim(service):
    coordinator = coordinator_from_env(
        {"QMTL_SEAMLESS_COORDINATOR_URL": f"http://127.0.0.1:{service.port}"}
    )
    assert isinstance(coordinator, DistributedBackfillCoordinator)
    assert service.asked == []
    service.answers = {"claim": (200, GRANTED)}
    lease = claim(coordinator)
    assert not lease.is_local
    assert not coordinator.is_degraded


def test_t40_t54_an_unreachable_service_falls_back_to_the_process_visibly(dead_url):
    coordinator = coordinator_from_env({"QMTL_SEAMLESS_COORDINATOR_URL": dead_url})
    with capture_logs() as events:
        lease = claim(coordinator)
        assert claim(coordinator) is None
        assert coordinator.complete(lease) == 1.0
    assert lease.is_local
    assert coordinator.is_degraded
    names = [event["event"] for event in events]
    assert names[:2] == [
        "seamless.coordinator.claim_failed",
        "seamless.coordinator.unhealthy_falling_back_inmemory",
    ]


def test_held_elsewhere_never_falls_back(service):
    service.answers = {"claim": (409, {})}
    coordinator = DistributedBackfillCoordinator(
        f"http://127.0.0.1:{service.port}", fallback=InMemoryBackfillCoordinator()
    )
    assert claim(coordinator) is None
    assert not coordinator.is_degraded


def test_in_memory_one_thread_wins():
    coordinator, start = InMemoryBackfillCoordinator(), threading.Barrier(8)

    def race(_):
        start.wait()
        return claim(coordinator)

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for lease in pool.map(race, range(8)) if lease is not None]
    assert len(leases) == 1


def test_t42_in_memory_a_lease_blocks_until_its_end_and_no_longer():
    now = [100.0]
    coordinator = InMemoryBackfillCoordinator(clock=lambda: now[0])
    first = claim(coordinator, lease_ms=1_000)
    now[0] = 100.999
    assert claim(coordinator) is None
    now[0] = 101.0
    second = claim(coordinator)
    assert second is not None
    with pytest.raises(LeaseLost):
        coordinator.complete(first)
    assert coordinator.complete(second) == 1.0


def test_in_memory_expired_leases_are_forgotten():
    now = [0.0]
    coordinator = InMemoryBackfillCoordinator(clock=lambda: now[0])
    for number in range(100):
        coordinator.claim(f"k{number}", 10)
    now[0] = 1.0
    coordinator.claim("last", 10)
    assert len(coordinator._held) == 1


def test_in_memory_a_finished_key_is_free_again_and_ends_once():
    coordinator = InMemoryBackfillCoordinator()
    lease = claim(coordinator)
    assert coordinator.fail(lease, "no_backfiller") == 0.0
    with pytest.raises(LeaseLost):
        coordinator.fail(lease, "no_backfiller")
    assert claim(coordinator) is not None
    with pytest.raises(ValueError, match="lease_ms"):
        coordinator.claim("k", 0)


def test_t41_a_service_that_goes_away_before_the_end_harms_nobody_and_nothing_is_called_done(
    service,
):
    url = f"http://127.0.0.1:{service.port}"
    coordinator = coordinator_from_env({"QMTL_SEAMLESS_COORDINATOR_URL": url})
    service.answers = {
        "claim": (200, GRANTED | {"completion_ratio": 0.25}),
        "complete": (500, {}),
        "fail": (500, {}),
    }
    with capture_logs() as events:
        assert coordinator.complete(claim(coordinator)) == 0.25
        assert coordinator.fail(claim(coordinator), "no_backfiller") == 0.25
    assert coordinator.is_degraded
    assert "seamless.backfill.coordinator_completed" not in [event["event"] for event in events]


def test_t43_a_failed_backfill_tells_its_key_and_reason_once(service, client):
    service.answers = {"claim": (200, GRANTED), "fail": (200, {})}
    context = LeaseContext("node", 10, 0, 100)
    lease = client.claim(context.key, 1_000, context=context)
    client.fail(lease, "background_backfill_failed (ValueError): boom")
    failed = [body for path, body, _ in service.asked if path.endswith("/fail")]
    assert [(body["key"], body["reason"]) for body in failed] == [
        ("node:10:0:100::", "background_backfill_failed (ValueError): boom")
    ]


def test_t44_success_is_one_claim_and_one_complete(service, client):
    service.answers = {"claim": (200, GRANTED), "complete": (200, {})}
    client.complete(claim(client))
    assert [path.rsplit("/", 1)[1] for path, _, _ in service.asked] == ["claim", "complete"]


def test_a_lease_knows_its_epoch_where_the_service_gives_one(service, client):
    service.answers = {"claim": (200, {"lease": GRANTED["lease"] | {"epoch": 7}})}
    assert claim(client).epoch == 7
    service.answers = {"claim": (200, GRANTED)}
    assert claim(client).epoch is None


def test_renewing_in_the_background_outlives_the_lease(service, client):
    service.answers = {"claim": (200, GRANTED), "renew": (200, GRANTED)}
    with Renewing(client, claim(client, lease_ms=90)) as kept:
        wait_for(lambda: len(service.asked) > 4)
        assert not kept.is_lost
    asked = service.asked[1]
    key = CONTEXT.key
    assert asked[:2] == (
        "/v1/leases/renew",
        {"key": key, "token": "s3cret-token", "lease_ms": 90},
    )


@pytest.mark.parametrize("status", [404, 409])
def test_a_lease_lost_on_the_way_raises(service, client, status):
    service.answers = {"claim": (200, GRANTED), "renew": (status, {})}
    with (
        pytest.raises(LeaseLost),
        Renewing(client, claim(client, lease_ms=60)) as kept,
    ):
        wait_for(lambda: kept.is_lost)


def test_a_service_away_is_no_loss_before_the_lease_has_run_out(service, client):
    now = [0.0]
    service.answers = {"claim": (200, GRANTED), "renew": (503, {})}
    kept = Renewing(client, claim(client, lease_ms=60), clock=lambda: now[0])
    with kept:
        wait_for(lambda: len(service.asked) > 3)
        assert not kept.is_lost
    now[0] = 0.06
    with pytest.raises(LeaseLost):
        kept.raise_if_lost()


def test_the_error_of_the_work_itself_is_not_replaced_by_the_loss(service, client):
    service.answers = {"claim": (200, GRANTED), "renew": (409, {})}
    lease = claim(client, lease_ms=60)

    def work():
        with Renewing(client, lease) as kept:
            wait_for(lambda: kept.is_lost)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_in_memory_a_renewed_lease_blocks_longer():
    now = [100.0]
    coordinator = InMemoryBackfillCoordinator(clock=lambda: now[0])
    lease = claim(coordinator, lease_ms=1_000)
    now[0] = 100.9
    renewed = coordinator.renew(lease)
    now[0] = 101.5
    assert claim(coordinator) is None
    assert coordinator.complete(renewed) == 1.0
    with pytest.raises(LeaseLost):
        coordinator.renew(renewed)


def wait_for(reached):
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.005)
