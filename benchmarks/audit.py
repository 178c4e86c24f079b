"""What an audit record costs: beside two bare INSERTs and beside a hash chain with a locked head.

    python -m benchmarks.audit
    python -m benchmarks.audit --export 1000000

Starts a durable PostgreSQL of its own. Clients are threads of two processes; the sealer is a third.
With `--export` it measures exports of a log of so many records instead, in SQLite.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import audit_clients, audit_export
from benchmarks.audit_clients import ACTIONS, Load
from config.stack.processes import Guardian

PROCESSES = 2
CLIENTS = (1, 8, 32)
SETTLE, ROUNDS = 1.0, 2
SLOW_FLUSH = 2_000  # microseconds
WORK = 0.01  # seconds
CONTENDERS = ("bare", "searchable", "chain", "append")
COLUMNS = (
    *("two INSERTs", "the same with indexes", "chain head", "append + sealer"),
    *("time / INSERTs", "time / indexed", "rate / chain", "lag p99"),
)
SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Cell:
    """What was measured of one contender.

    The milliseconds of its transactions, the seconds of processor time that they took (of clients,
    server and sealer), the seconds from a record to the checkpoint over it.
    """

    seconds: float
    taken: list[float] = field(default_factory=list)
    processor: float = 0.0
    lags: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.taken) / (self.seconds * ROUNDS)

    def shown(self) -> str:
        p50, p99 = (_percentile(self.taken, percent) for percent in (50, 99))
        return f"{self.rate:,.0f} ({p50:.1f}, {p99:.0f}, {self.cost:.2f})"

    @property
    def cost(self) -> float:
        """Milliseconds of processor time for each transaction."""
        return 1000 * self.processor / len(self.taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--export", type=int, help="measure exports of so many records")
    parser.add_argument("--formats", nargs="+", default=audit_export.FORMATS, help="of them")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--first", action="store_true", help="the first table alone")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="seamless-bench-"))
    folder.chmod(0o755)
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        if given.export:
            audit_export.measure(folder, given.export, given.formats)
            return
        guardian = Guardian(grace=5, lock_descriptor=None)
        cleanup.callback(guardian.close)
        server = _start_postgres(folder, guardian, cleanup)
        person = _set_up_database()
        clients = cleanup.enter_context(SPAWN.Pool(PROCESSES, audit_clients.set_up))
        clients.map(time.sleep, [SETTLE] * PROCESSES, chunksize=1)  # until both are up
        bench = Bench(clients, person, server, given.clients, given.seconds)
        bench.table("nothing else in the transaction", business=False)
        if given.first:
            return
        bench.table("with a row of the caller's updated in it", business=True)
        bench.extra()
        bench.decisions()
        _flush_slowly()
        bench.table(f"the same, a flush takes {SLOW_FLUSH / 1000:g} ms more", business=True)


@dataclass
class Bench:
    clients: Any
    person: int
    server: int
    counts: Sequence[int]
    seconds: float

    def table(self, title: str, *, business: bool) -> None:
        print(f"\n{title}\n\n| clients | {' | '.join(COLUMNS)} |\n{'|---' * (len(COLUMNS) + 1)}|")
        for count in self.counts:
            cells = self._measured(CONTENDERS, count, business)
            append = cells["append"]
            ratios = [
                *(_times(append, cells[than]) for than in ("bare", "searchable")),
                f"{append.rate / cells['chain'].rate:.2f}",
                f"{_percentile(append.lags, 99):.2f} s",
            ]
            row = [cell.shown() for cell in cells.values()]
            print(f"| {count} | {' | '.join(row + ratios)} |", flush=True)

    def decisions(self) -> None:
        print("\ndecisions of the registry, which also move its version")
        for count in self.counts[-2:]:
            (cell,) = self._measured(("decision",), count, business=True).values()
            print(f"{count} clients: {cell.shown()}", flush=True)

    def extra(self) -> None:
        """What a transaction of 10 ms takes longer for its record, at the median."""
        print(
            f"\nwith {1000 * WORK:g} ms of work in the transaction: median ms more than without a"
            f" record\n\n| clients | without | {' | '.join(COLUMNS[:4])} | append / INSERTs"
            f" | append / indexed |\n{'|---' * 8}|"
        )
        for count in self.counts:
            cells = self._measured(("none", *CONTENDERS), count, business=True, work=WORK)
            without, *more = (_percentile(cell.taken, 50) for cell in cells.values())
            bare, searchable, chain, append = (median - without for median in more)
            shown = [f"{one:.2f}" for one in (without, bare, searchable, chain, append)]
            ratios = [f"{append / bare:.2f}", f"{append / searchable:.2f}"]
            print(f"| {count} | {' | '.join(shown + ratios)} |", flush=True)

    def _measured(
        self, kinds: Sequence[str], clients: int, business: bool, work: float = 0
    ) -> dict[str, Cell]:
        """The contenders take turns, so that a busy moment of the machine hits all of them."""
        cells = {kind: Cell(self.seconds) for kind in kinds}
        for _ in range(ROUNDS):
            for kind, cell in cells.items():
                with _sealer(cell) if kind in ACTIONS else nullcontext():
                    self._run(cell, kind, clients, business, work)
        return cells

    def _run(self, cell: Cell, kind: str, clients: int, business: bool, work: float) -> None:
        processes = min(clients, PROCESSES)
        each, begin = clients // processes, time.time() + SETTLE
        loads = [
            Load(
                kind, business, work, number * each, each, self.person, begin, begin + self.seconds
            )
            for number in range(processes)
        ]
        running = self.clients.map_async(audit_clients.write, loads, chunksize=1)
        time.sleep(SETTLE)
        before = processor_seconds(self.server)
        for taken, processor in running.get():
            cell.taken += taken
            cell.processor += processor
        cell.processor += processor_seconds(self.server) - before


@contextmanager
def _sealer(cell: Cell) -> Iterator[None]:
    """A sealer beside the clients; then each record's seconds to its published checkpoint."""
    stop, sealed = SPAWN.Event(), SPAWN.Queue()
    process = SPAWN.Process(target=audit_clients.seal_until, args=(stop, sealed))
    process.start()
    before, _, began = sealed.get()  # it is up
    yield
    stop.set()
    reports = list(iter(sealed.get, None))
    process.join()
    cell.lags += _lags(before, [(size, at) for size, at, _ in reports])
    cell.processor += reports[-1][2] - began


def processor_seconds(server: int) -> float:
    """Of PostgreSQL's first process, its children, and those that have ended."""
    own = _ticks(server)
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    ticks = sum(own) + sum(sum(_ticks(int(child))[:2]) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> list[int]:
    """Of itself in user and kernel mode, and of its ended children."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return [0, 0, 0, 0]
    return [int(ticks) for ticks in fields[11:15]]


def _lags(before: int, sealed: list[tuple[int, float]]) -> list[float]:
    from registry.models.audit import AuditLeaf

    found, known = [], before
    for size, at in sealed:
        leaves = AuditLeaf.objects.filter(seq__gte=known, seq__lt=size)
        found += [at - then.timestamp() for then in leaves.values_list("event__at", flat=True)]
        known = size
    return found


def _start_postgres(folder: Path, guardian: Guardian, cleanup: ExitStack) -> int:
    from tests.servers import PostgresServer

    postgres = PostgresServer(folder, guardian, durable=True)
    cleanup.callback(postgres.stop)
    postgres.start()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": postgres.url,
        "SEAMLESS_VAR": str(folder / "var"),
        "SEAMLESS_LOG_LEVEL": "ERROR",
    }
    return postgres.pid


def _set_up_database() -> int:
    """Migrated, with the tables of the others; the id of a person with a role."""
    audit_clients.set_up()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from registry.models import Membership, Role, Team

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        for statement in audit_clients.TABLES:
            cursor.execute(statement)
    ada, team = User.objects.create(username="ada"), Team.objects.create(name="market")
    Membership.objects.create(user=ada, team=team, role=Role.OWNER)
    return ada.pk


def _flush_slowly() -> None:
    """As on a network disk: who flushes the log waits first, and takes the others along."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET commit_delay = {SLOW_FLUSH}")
        cursor.execute("ALTER SYSTEM SET commit_siblings = 0")
        cursor.execute("SELECT pg_reload_conf()")


def _times(append: Cell, other: Cell) -> str:
    return f"{other.rate / append.rate:.2f} ({append.cost / other.cost:.2f})"


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    main()
