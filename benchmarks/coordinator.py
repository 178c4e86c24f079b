"""What leases, fences and audit records cost: shards per second beside bare Celery tasks.

    python -m benchmarks.coordinator

Starts a PostgreSQL and a Valkey of its own (durable), and workers of one pool child each.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.stack import valkey
from config.stack.processes import Guardian, ManagedProcess, stop_all

PROJECT = Path(__file__).resolve().parents[1]
INTERVAL = 10
REQUEST = 20_000  # shards: the largest request that is taken
CLAIMS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=150, help="of each job, and bare tasks")
    parser.add_argument(
        "--bars", type=int, nargs="+", default=[900, 10_000], help="of a shard; the default, a lot"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--many", type=int, default=100_000, help="shards for the claims' part")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="seamless-bench-"))
    folder.chmod(0o755)
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        guardian = Guardian(grace=5, lock_descriptor=None)
        cleanup.callback(guardian.close)
        _start_servers(folder, guardian, cleanup)
        _set_up_django()
        print("| bars | workers | bare tasks/s | shards/s | ratio |\n|---|---|---|---|---|")
        for workers in chosen.workers:
            with _running(workers, folder, guardian):
                for bars in chosen.bars:
                    bare = _bare(bars, chosen.shards)
                    ours = _shards(f"bench:{workers}:{bars}", bars, chosen.shards)
                    rates = f"{bare:.1f} | {ours:.1f} | {ours / bare:.2f}"
                    print(f"| {bars:,} | {workers} | {rates} |", flush=True)
        _many(chosen.many)


def _start_servers(folder: Path, guardian: Guardian, cleanup: ExitStack) -> None:
    from tests.servers import PostgresServer, ValkeyServer

    redis = ValkeyServer(folder, guardian, persistence=valkey.DURABLE)
    cleanup.callback(redis.process.stop)
    redis.start()
    postgres = PostgresServer(folder, guardian, durable=True)
    cleanup.callback(postgres.stop)
    postgres.start()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "REDIS_URL": redis.url,
        "DATABASE_URL": postgres.url,
        "SEAMLESS_VAR": str(folder / "var"),
        "SEAMLESS_LOG_LEVEL": "ERROR",
    }


def _set_up_django() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_bar (shard bigint, ts bigint, v double precision)")
        cursor.execute(
            "CREATE TABLE bench_done (shard bigint PRIMARY KEY, began double precision,"
            " done double precision)"
        )


def _bare(bars: int, shards: int) -> float:
    """Tasks per second, from the first one's begin to the last one's end."""
    from celery import current_app
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE bench_done")
    for shard in range(shards):
        start = shard * bars * INTERVAL
        end = start + (bars - 1) * INTERVAL
        current_app.send_task("benchmarks.bare", [shard, start, end])

    def figures() -> tuple[int, float, float]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), min(began), max(done) FROM bench_done")
            return cursor.fetchone()  # type: ignore[no-any-return]

    _wait(lambda: figures()[0] == shards)
    _, began, done = figures()
    return shards / (done - began)


def _shards(node_id: str, bars: int, count: int) -> float:
    """Shards per second, from the first one's lease to the last one's commit."""
    from django.conf import settings

    from coordinator.models import BackfillShard

    settings.SEAMLESS_SHARD_BARS = bars
    shards = BackfillShard.objects.filter(job=_request(node_id, count, bars))
    _wait(lambda: not shards.exclude(state="done").exists())
    times = list(shards.values_list("leased_at", "done_at"))
    first, last = min(leased for leased, _ in times), max(done for _, done in times)
    return count / (last - first).total_seconds()


def _many(count: int) -> None:
    """Claims and one idle round of the reconciler, with so many shards to do."""
    from django.conf import settings
    from django.utils import timezone

    from coordinator.services.claiming import claim_shard
    from coordinator.services.database_clock import database_now
    from coordinator.services.reconciling import reconcile

    settings.SEAMLESS_SHARD_BARS = 1
    began = time.perf_counter()
    for first in range(0, count, REQUEST):
        _request(f"bench:many:{first}", min(REQUEST, count - first), 1)
    print(f"\nasking for {count:,} shards: {time.perf_counter() - began:.1f} s")
    claims = []
    for _ in range(min(CLAIMS, count)):
        began = time.perf_counter()
        claim_shard(holder="bench", now=timezone.now())
        claims.append((time.perf_counter() - began) * 1000)
    percents = statistics.quantiles(claims, n=100)
    print(f"claim: p50 {percents[49]:.1f} ms, p99 {percents[98]:.1f} ms ({len(claims)} claims)")
    reconcile(now=database_now())  # fills the queue
    rounds = []
    for _ in range(10):
        began = time.perf_counter()
        reconcile(now=database_now())
        rounds.append((time.perf_counter() - began) * 1000)
    print(f"reconciler: {statistics.median(rounds):.0f} ms a round, {max(rounds):.0f} ms at most")


def _request(node_id: str, shards: int, bars: int) -> int:
    from django.utils import timezone

    from tests.coordinator.backfills import House, make_node, make_version

    version = make_version(node_id)
    house = House(version=version, node=make_node(version, node_id))
    end = (shards * bars - 1) * INTERVAL
    (job,) = house.request((0, end), now=timezone.now()).created
    return job


@contextmanager
def _running(workers: int, folder: Path, guardian: Guardian) -> Iterator[None]:
    command = [
        *(sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "1"),
        *("--include", "benchmarks.coordinator_worker", "--without-gossip", "--without-mingle"),
        *("--loglevel", "WARNING"),
    ]
    processes = [
        ManagedProcess(
            f"w{number}",
            [*command, "--hostname", f"w{number}@bench"],
            log=folder / f"w{number}.log",
            environment=os.environ,
            folder=PROJECT,
            guardian=guardian,
        )
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        _wait(lambda: _ready(workers))
        yield
    finally:
        stop_all(processes)


def _ready(workers: int) -> bool:
    from celery import current_app

    return len(current_app.control.ping(timeout=1) or []) == workers


def _wait(reached: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit("not reached in time; see the workers' logs")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
