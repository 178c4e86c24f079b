"""Real workers, a Redis of their own and a database that others use too; faults, and the verdict.

Everything listens on loopback or a Unix socket, has a guardian, and is ended by its process id.
"""

import json
import os
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from config.stack import valkey
from config.stack.processes import Guardian, ManagedProcess, stop_all
from coordinator.lease_state import UNFINISHED_SHARD_STATES, ShardState
from coordinator.models import BackfillShard
from coordinator.queue import RUN_SHARD
from registry.models import AuditEvent
from registry.models.audit import AuditPending
from registry.services.audit import seal
from tests.coordinator.backfills import House
from tests.databases import as_owner
from tests.registry.audit_world import exported, judged
from tests.servers import ValkeyServer

TTL = 3.0
PATIENCE_SECONDS = 180
EVERYTHING = os.environ.get("SEAMLESS_CHAOS") == "all"
SEED = int(os.environ.get("SEAMLESS_CHAOS_SEED", "0")) or time.time_ns() % 1_000_000
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Size:
    workers: int
    shards: int
    bars: int
    repeats: int


SMALL = Size(workers=2, shards=40, bars=50, repeats=4)
WHOLE = Size(workers=4, shards=200, bars=500, repeats=20)
SIZE = WHOLE if EVERYTHING and "SEAMLESS_CHAOS_SMALL" not in os.environ else SMALL


@dataclass(frozen=True)
class Hit:
    """A fault that was met: by whom, on which shard, when."""

    deed: str
    point: str
    start: int
    pid: int
    at: float


@dataclass
class Arena:
    folder: Path
    database_url: str
    house: House
    persistence: str = valkey.DURABLE
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    workers: list[ManagedProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("armed", "taken", "hit", "poison", "metrics", "redis"):
            (self.folder / name).mkdir(exist_ok=True)
        self.guardian = Guardian(grace=0.5, lock_descriptor=None)
        self.redis = ValkeyServer(
            self.folder / "redis", self.guardian, persistence=self.persistence
        )
        self.redis.start()
        self.redis_url = self.redis.url

    def close(self) -> None:
        for worker in self.workers:
            worker.grace = 0.1
        stop_all([*self.workers, self.redis.process])
        self.guardian.close()

    # --- what runs

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SEAMLESS_CHAOS_FOLDER": str(self.folder),
            "SEAMLESS_CHAOS_WORKER": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder / "metrics"),
            "SEAMLESS_CHECKPOINT_DIR": str(settings.SEAMLESS_CHECKPOINT_DIR),
            "SEAMLESS_LEASE_TTL_SECONDS": str(TTL),
            "SEAMLESS_SHARD_BARS": str(SIZE.bars),
            "SEAMLESS_RECONCILE_SECONDS": "1",
            "SEAMLESS_RETRY_BASE_SECONDS": "1",
            "SEAMLESS_MAX_ATTEMPTS": "20",
            "SEAMLESS_SOFT_SHUTDOWN_SECONDS": "10",
            "SEAMLESS_LOG_LEVEL": "WARNING",
            **more,
        }

    def start_workers(self, count: int = SIZE.workers, *, beat: int = 1, **more: str) -> None:
        for number in range(count):
            self.add_worker(beat=number < beat, **more)

    def add_worker(self, *, beat: bool = False, **more: str) -> ManagedProcess:
        name = f"w{len(self.workers)}"
        command = [
            *(sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2"),
            *("--include", "tests.chaos.worker_side", "--hostname", f"{name}@chaos"),
            *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
            *(("--beat", "--schedule", str(self.folder / f"{name}.beat")) if beat else ()),
        ]
        worker = ManagedProcess(
            name,
            command,
            log=self.folder / f"{name}.log",
            environment=self.environment(**more),
            folder=PROJECT,
            guardian=self.guardian,
        )
        worker.start()
        self.workers.append(worker)
        return worker

    def tend(self) -> None:
        """Start again what has ended, as a process manager would."""
        for worker in self.workers:
            if not worker.running:
                worker.stop()
                worker.start()

    # --- what is asked for

    def request(self, shards: int = SIZE.shards, bars: int = SIZE.bars, first: int = 0) -> int:
        """A job of so many shards; the setting SEAMLESS_SHARD_BARS is the caller's."""
        end = first + (shards * bars - 1) * 10
        (job_id,) = self.house.request((first, end), now=timezone.now()).created
        return job_id

    def put_tickets(self, count: int) -> None:
        """As the workers' reconciler does: the broker of this process is another one."""
        with current_app.connection_for_write(self.redis_url) as broker:
            for _ in range(count):
                current_app.send_task(RUN_SHARD, connection=broker, ignore_result=True)

    def wait_until(self, reached: Callable[[], bool], *, tending: bool = True) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            if tending:
                self.tend()
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached; seed {SEED}\n{self._logs()}")
            time.sleep(0.05)

    def wait_for_end(self, job_id: int) -> None:
        unfinished = BackfillShard.objects.filter(job=job_id, state__in=UNFINISHED_SHARD_STATES)
        self.wait_until(lambda: not unfinished.exists())

    def wait_for_commits(self, job_id: int, at_least: int = 1) -> None:
        done = BackfillShard.objects.filter(job=job_id, state=ShardState.DONE)
        self.wait_until(lambda: done.count() >= at_least)

    def audit_tree_holds(self) -> bool:
        """Whether the verifier for outsiders finds every record of it, sealed, in its place."""

        def all_sealed() -> bool:
            seal(now=timezone.now())  # the workers seal too
            return not AuditPending.objects.exists()

        self.wait_until(all_sealed)
        report = judged(exported())
        return report.code == 0 and report.complete and report.rows >= _claims().count() > 0

    def _logs(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-3_000:]}" for log in logs)

    # --- faults

    def arm(self, deed: str, starts: Iterable[int], points: Iterable[str]) -> int:
        choice, armed = list(points), 0
        for start in starts:
            (self.folder / "armed" / f"{start}.{self.rng.choice(choice)}").write_text(deed)
            armed += 1
        return armed

    def poison(self, start: int, how: str) -> None:
        (self.folder / "poison" / str(start)).write_text(how)

    def runs_of(self, start: int) -> int:
        return len((self.folder / "poison" / f"{start}.runs").read_text().splitlines())

    def some_starts(self, job_id: int, count: int) -> list[int]:
        starts = BackfillShard.objects.filter(job=job_id).order_by("pk")
        return self.rng.sample(list(starts.values_list("range_start", flat=True)), count)

    def hits(self) -> list[Hit]:
        notes = sorted((self.folder / "hit").iterdir())
        return [Hit(**json.loads(note.read_text())) for note in notes]

    def wake_after(self, seconds: float) -> None:
        """SIGCONT to whoever stopped itself so long ago, until all armed stops have been met."""
        woken: set[int] = set()
        armed = self.folder / "armed"

        def all_awake() -> bool:
            hits = [hit for hit in self.hits() if hit.deed == "stop"]
            for index, hit in enumerate(hits):
                if index not in woken and time.time() - hit.at > seconds:
                    os.kill(hit.pid, signal.SIGCONT)
                    woken.add(index)
            return not any(armed.iterdir()) and len(woken) == len(hits)

        self.wait_until(all_awake)

    # --- what came of it

    def recoveries(self, job_id: int) -> list[float]:
        """From each fault to the commit of the shard that it hit."""
        done = dict(
            BackfillShard.objects.filter(job=job_id, state=ShardState.DONE).values_list(
                "range_start", "done_at"
            )
        )
        return [done[hit.start].timestamp() - hit.at for hit in self.hits() if hit.start in done]

    def counted(self, name: str) -> float:
        """A counter over all worker processes, dead ones included."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self.folder / "metrics"))
        return sum(
            sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name
        )

    def deliveries(self) -> Counter[str]:
        return Counter((self.folder / "deliveries").read_text().split())


@dataclass(frozen=True)
class Verdict:
    duplicates: int
    lost: int
    regressions: int
    unexplained: int
    stuck: int
    states: dict[str, int]

    @property
    def is_clean(self) -> bool:
        return not (self.duplicates or self.lost or self.regressions or self.unexplained) and (
            self.stuck == 0
        )


def create_table() -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE chaos_bar (job_id bigint, shard_id bigint, epoch bigint, ts bigint)"
        )
        if connection.vendor == "postgresql":  # the workers run as the application
            cursor.execute("GRANT SELECT, INSERT ON chaos_bar TO PUBLIC")


def verdict(job_id: int) -> Verdict:
    shards = list(BackfillShard.objects.filter(job=job_id))
    rows = _rows_of(job_id)
    epochs = _granted_epochs([shard.pk for shard in shards])
    return Verdict(
        duplicates=_duplicates(job_id),
        lost=sum(
            shard.state in UNFINISHED_SHARD_STATES
            or (shard.state == ShardState.DONE and rows.get(shard.pk, 0) != shard.expected_bars)
            for shard in shards
        ),
        regressions=sum(sorted(set(seen)) != seen for seen in epochs.values()),
        unexplained=sum(s.state == ShardState.VIOLATION and not s.last_error for s in shards),
        stuck=BackfillShard.objects.filter(state=ShardState.LEASED).count(),
        states=dict(Counter(shard.state for shard in shards)),
    )


def _rows_of(job_id: int) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shard_id, count(DISTINCT ts) FROM chaos_bar WHERE job_id = %s GROUP BY 1",
            [job_id],
        )
        return dict(cursor.fetchall())


def _duplicates(job_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) - count(DISTINCT ts) FROM chaos_bar WHERE job_id = %s", [job_id]
        )
        return int(cursor.fetchone()[0])


def _granted_epochs(shard_ids: list[int]) -> dict[str, list[int]]:
    claims = _claims().order_by("pk")
    seen: dict[str, list[int]] = {str(pk): [] for pk in shard_ids}
    for event in claims.select_related("payload").iterator():
        if event.object_id in seen:
            seen[event.object_id].append(event.after["epoch"])
    return seen


def _claims() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(action="backfill.shard.claim")


def report(fault: str, job_id: int, injected: int, recovered: list[float]) -> None:
    """A line for the table of `make chaos`."""
    if not (file := os.environ.get("SEAMLESS_CHAOS_RESULTS")):
        return
    found = verdict(job_id)
    line = {
        "fault": fault,
        "database": connection.vendor,
        "injected": injected,
        "duplicates": found.duplicates,
        "lost": found.lost,
        "states": found.states,
        "recovery": [round(seconds, 2) for seconds in recovered],
        "seed": SEED,
    }
    with open(file, "a") as results:
        results.write(json.dumps(line) + "\n")


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]
