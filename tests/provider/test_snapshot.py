"""Promise 12: a decision reaches every process by itself; nothing old serves long."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import AccessToken, CanaryTally, Diagnostic, Incident
from registry.services import consumers, evidence, last_used, rollouts, snapshot, tokens
from registry.services.resolution import readable_node, resolve
from tests.cast import NOW, Cast, approved, with_property
from tests.databases import CommittedDatabase
from tests.provider.world import NODE, Reader, World, bars, build_world

PATIENCE_SECONDS = 30
PROJECT = Path(__file__).resolve().parents[2]

# Another process: for each line it says what it would answer now, from its own snapshot.
ANOTHER = """
import json, os, sys
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from django.utils import timezone
from registry.errors import SeamlessError
from registry.services.resolution import readable_node, resolve
from registry.services.tokens import known_token
secret, node_id = sys.argv[1:]
for line in sys.stdin:
    token = known_token(secret, timezone.now())
    strict = None
    if token is not None:
        try:
            found = resolve(token.consumer, readable_node(token.consumer, node_id))
            strict = found.strict and found.strict.release
        except SeamlessError as refusal:
            strict = refusal.code
    print(json.dumps([token is not None, strict]), flush=True)
"""


class Process:
    def __init__(self, secret: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ANOTHER, secret, NODE],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> list[Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.communicate(timeout=PATIENCE_SECONDS)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def shared(committed_db: CommittedDatabase, own_storage: None) -> World:
    return build_world()


@pytest.fixture
def reader(shared: World) -> Reader:
    shared.write(bars())
    return shared.reader()


@pytest.fixture
def processes(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Process]]:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")  # nobody is there
    started = [Process(reader.token) for _ in range(2)]
    yield started
    for process in started:
        process.end()


def test_a_rollback_and_a_revocation_reach_every_process_with_redis_down(
    shared: World, reader: Reader, processes: list[Process]
) -> None:
    assert [process.says() for process in processes] == [[True, 1], [True, 1]]
    approved(shared.cast, with_property("vwap", {"type": ["number", "null"]}))
    canary = reader.consumer.rollouts.get(mode="canary", ended_at=None)
    strict = shared.promote(canary)
    assert eventually(lambda: all(p.says() == [True, 2] for p in processes))
    rollouts.roll_back_rollout(
        actor=shared.cast.carl, rollout_id=strict.pk, now=NOW, reason="vwap is wrong"
    )
    assert eventually(lambda: all(p.says() == [True, 1] for p in processes))
    tokens.revoke_token(
        actor=shared.cast.carl,
        prefix=AccessToken.objects.get(consumer=reader.consumer).prefix,
        now=timezone.now(),
        reason="it leaked",
    )
    assert eventually(lambda: all(p.says() == [False, None] for p in processes))


@pytest.fixture
def running(settings: Any) -> None:
    """As a process runs: rounds in the background. They are too far apart to happen in a test."""
    settings.SEAMLESS_SNAPSHOT_SECONDS = 3_600.0
    settings.SEAMLESS_EVIDENCE_SECONDS = 3_600.0
    snapshot.forget()


def test_a_warm_process_authenticates_and_resolves_without_a_query(
    reader: Reader, running: None, django_assert_num_queries: Any
) -> None:
    snapshot.current()
    with django_assert_num_queries(0):
        token = tokens.known_token(reader.token, timezone.now())
        assert token is not None
        assert token.consumer is not None
        seen = resolve(token.consumer, readable_node(token.consumer, NODE), (0, 1))
    assert seen.strict is not None


def test_a_decision_is_effective_at_once_in_the_process_that_made_it(
    shared: World, running: None
) -> None:
    snapshot.current()
    reader = shared.reader("second", rollout="canary")
    seen = resolve(reader.consumer, readable_node(reader.consumer, NODE))
    assert (seen.governed, seen.canary is not None) == (True, True)


def test_a_warm_read_asks_nothing_of_the_governance_tables(reader: Reader, running: None) -> None:
    assert reader.data().status_code == 200
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert reader.data().status_code == 200
    read = " ".join(query["sql"] for query in asked.captured_queries)
    for table in ("rollout", "accesstoken", "consumer", "release", "schemaversion", "bundle"):
        assert f"registry_{table}" not in read, table


@pytest.mark.parametrize("rows", [1, 20])
def test_loading_asks_the_same_number_of_queries_however_much_there_is(
    shared: World, rows: int
) -> None:
    for number in range(rows):
        shared.reader(f"reader-{number}", rollout="canary")
    snapshot.forget()
    with CaptureQueriesContext(connection) as asked:
        snapshot.current()
    assert len(asked.captured_queries) == 11


def test_an_expired_token_is_refused_from_memory_too(reader: Reader, running: None) -> None:
    snapshot.current()
    assert tokens.known_token(reader.token, timezone.now()) is not None
    assert tokens.known_token(reader.token, timezone.now() + timedelta(days=31)) is None


def test_a_consumer_that_is_switched_off_is_refused(shared: World, reader: Reader) -> None:
    assert reader.data().status_code == 200
    consumers.switch_consumer(
        actor=shared.cast.carl,
        consumer=reader.consumer.name,
        active=False,
        now=NOW,
        reason="retired",
    )
    assert reader.data().status_code == 401


def test_with_the_database_away_the_last_snapshot_serves_for_a_minute_then_nothing(
    reader: Reader, running: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    snapshot.current()

    def away() -> int:
        raise DatabaseError("connection refused")

    monkeypatch.setattr(snapshot, "read_version", away)
    began = time.monotonic()
    monkeypatch.setattr(snapshot, "monotonic", lambda: began + 59)
    assert snapshot.current()
    monkeypatch.setattr(snapshot, "monotonic", lambda: began + 61)
    with pytest.raises(snapshot.RegistryUnavailable):
        snapshot.current()
    answer = reader.data()
    assert (answer.status_code, json.loads(answer.content)["code"]) == (
        503,
        "registry_unavailable",
    )


def test_what_is_decided_while_it_loads_is_loaded_too(
    shared: World, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is read before and after; a torn snapshot is read again."""
    snapshot.forget()
    load, decided = snapshot._tokens, []

    def decide_meanwhile() -> Any:
        found = load()
        if not decided:
            decided.append(shared.reader("late", rollout="canary").consumer)
        return found

    monkeypatch.setattr(snapshot, "_tokens", decide_meanwhile)
    loaded = snapshot.current()
    assert AccessToken.objects.get(consumer__name="late").digest in loaded.tokens


# --- what is written behind reads ----------------------------------------------------------------


def test_a_read_writes_nothing_until_the_batches_are_flushed(shared: World, running: None) -> None:
    shared.write(bars(close=pa.array([-1.0] * 12)))
    canary = shared.reader("mirrored", rollout="canary")
    assert canary.data(partial_ok="true").status_code == 200
    with CaptureQueriesContext(connection) as asked:
        for _ in range(3):
            assert canary.data(partial_ok="true").status_code == 200
    written = [
        query["sql"]
        for query in asked.captured_queries
        if query["sql"].startswith(("INSERT", "UPDATE")) and "report" not in query["sql"]
    ]
    assert written == []
    assert not CanaryTally.objects.exists()
    evidence.flush()
    last_used.flush()
    tally = CanaryTally.objects.get()
    assert (tally.reads, tally.rows, tally.violations, tally.unchecked) == (4, 48, 48, 0)
    found = Diagnostic.objects.get()
    assert (found.count, found.release.number, len(found.samples)) == (48, 1, 10)
    assert AccessToken.objects.get(consumer=canary.consumer).last_used_at is not None


def test_what_the_database_did_not_take_is_kept_for_the_next_round(
    shared: World, running: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write(bars())
    canary = shared.reader("mirrored", rollout="canary")
    canary.data()
    with monkeypatch.context() as away:
        away.setattr(evidence, "_tally", lambda *_: (_ for _ in ()).throw(DatabaseError()))
        with pytest.raises(DatabaseError):
            evidence.flush()
    canary.data()
    evidence.flush()
    assert CanaryTally.objects.get().reads == 2


def test_a_read_that_finds_no_place_is_counted_as_unchecked(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write(bars())
    canary = shared.reader("mirrored", rollout="canary")
    canary.data()
    monkeypatch.setattr("provider.api.reading.after_response", lambda _: False)
    canary.data()
    tally = CanaryTally.objects.get()
    assert (tally.reads, tally.unchecked) == (1, 1)


def test_a_canary_check_that_crashes_is_a_diagnostic_and_an_unchecked_read(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write(bars())
    canary = shared.reader("mirrored", rollout="canary")

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("the canary died")

    monkeypatch.setattr("provider.api.reading.check_schema", crash)
    assert canary.data().status_code == 200
    assert CanaryTally.objects.get().unchecked == 1
    assert Diagnostic.objects.get().keyword == "check_crashed"


def test_a_strict_refusal_opens_an_incident_that_counts(shared: World) -> None:
    shared.write(bars(close=pa.array([-1.0] * 12)))
    strict = shared.reader()
    for _ in range(3):
        assert strict.data(partial_ok="true").status_code == 409
    incident = Incident.objects.get()
    assert (incident.consumer, incident.count) == (strict.consumer, 3)
    assert (incident.release.number, incident.node.node_id) == (1, NODE)


# --- ramps over HTTP -----------------------------------------------------------------------------


def ramped(shared: World, reader: Reader, percent: int, cast: Cast) -> None:
    canary = reader.consumer.rollouts.get(mode="canary", ended_at=None)
    seen = resolve(reader.consumer, shared.node)
    assert seen.canary is not None
    evidence.record_check(
        consumer=reader.consumer,
        node=shared.node,
        version=seen.canary,
        mode="canary",
        rows=1,
        findings=(),
        now=NOW,
    )
    for person in (cast.ravi, cast.sofia):
        rollouts.approve_promotion(actor=person, rollout_id=canary.pk, now=NOW)
    rollouts.ramp_rollout(actor=cast.carl, rollout_id=canary.pk, percent=percent, now=NOW)


def test_a_ramp_refuses_in_its_share_only_and_the_rest_cannot_tell_that_it_is_there(
    shared: World, reader: Reader
) -> None:
    """Release 2 wants closes above 105, which half of the bars are not."""
    narrow = with_property("close", {"type": "number", "minimum": 105})
    windows = [
        (start, end)
        for start in range(1_338_508_800, 1_338_508_800 + 604_800, 86_400)
        for end in range(start + 86_400 * 3, 1_339_113_600 + 1, 86_400)
    ]
    before = {w: reader.data(*w, partial_ok="true") for w in windows}
    assert {answer.status_code for answer in before.values()} == {200}
    subject = shared.node.subject
    subject.compatibility = "NONE"
    subject.save(update_fields=["compatibility"])
    approved(shared.cast, narrow)
    ramped(shared, reader, 50, shared.cast)
    after = {w: reader.data(*w, partial_ok="true") for w in windows}
    refused = [w for w in windows if after[w].status_code == 409]
    assert 0 < len(refused) < len(windows)
    for window in windows:
        if window not in refused and after[window]["Seamless-Release"] == "market/1":
            assert after[window].content == before[window].content
            assert after[window]["ETag"] == before[window]["ETag"]
            assert after[window]["Seamless-Canary"] == "market/2"
    again = {w: reader.data(*w, partial_ok="true").status_code for w in windows}
    assert again == {w: after[w].status_code for w in windows}
