"""Loaded by `benchmarks/audit.py --export`: a log of many records, exported and verified."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import audit_clients

BATCH = 10_000
EARLY = 0.1  # of the records: memory is read then, and at the end
SPAWN = multiprocessing.get_context("spawn")
FORMATS = ("jsonl", "jsonl, selected", "bundle", "csv", "parquet", "ocsf")


def measure(folder: Path, count: int, formats: Sequence[str]) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{folder}/seamless.sqlite3",
        "SEAMLESS_VAR": str(folder / "var"),
        "SEAMLESS_LOG_LEVEL": "ERROR",
    }
    audit_clients.set_up()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    _fill(count)
    filled = time.perf_counter()
    _seal()
    sealed = time.perf_counter() - filled
    print(f"{count:,} records written in {filled - began:.0f} s, sealed in {sealed:.0f} s\n")
    print("| export | s (processor) | records/s | MB | MB resident at 10 % | at the end |")
    print("|---|---|---|---|---|---|")
    for name in formats:
        print(f"| {name} | {_apart(_export, folder, name, count)} |", flush=True)
    if "jsonl" in formats:
        print(f"\nverified: {_apart(_verify, folder, 'jsonl', count)}")


def _apart(work: Any, *arguments: Any) -> str:
    """In a process of its own, whose memory holds nothing else."""
    with SPAWN.Pool(1) as pool:
        return str(pool.apply(work, arguments))


def _fill(count: int) -> None:
    """Records as `record` writes them, many in one transaction."""
    from django.db import transaction

    from registry.actors import Actor
    from registry.audit.events import Event, leaf_hash, sealable
    from registry.models.audit import AuditEvent, AuditPayload, AuditPending, AuditPersonal
    from registry.services.audit.bulk import insert_rows

    at = datetime(2026, 1, 1, tzinfo=UTC)
    for first in range(1, count + 1, BATCH):
        numbers = range(first, min(first + BATCH, count + 1))
        events, personal, payloads = [], [], []
        for number in numbers:
            event = Event(
                at=at + timedelta(seconds=number),
                actor=Actor("user", "7", "ada", request_id=f"{number:032x}", source="192.0.2.7"),
                action="rollout.promote",
                object_type="rollout",
                object_id=str(number),
                reason=audit_clients.REASON,
                before=audit_clients.STATE,
                after=audit_clients.STATE,
            )
            texts = sealable(event)
            row = (event.at, "user", event.action, "rollout", str(number), "pricing", "ok")
            leaf = leaf_hash(texts.payload)
            events.append((number, *row, event.actor.request_id, "", 2, leaf))
            personal.append((number, "7", "ada", "192.0.2.7", "", texts.personal.decode()))
            payloads.append((number, texts.payload.decode()))
        with transaction.atomic():
            insert_rows(AuditEvent, EVENT, events)
            insert_rows(AuditPersonal, PERSONAL, personal)
            insert_rows(AuditPayload, ("event", "text"), payloads)
            insert_rows(AuditPending, ("event",), [(number,) for number in numbers])


EVENT = (
    *("id", "at", "actor_kind", "action", "object_type", "object_id", "consumer", "outcome"),
    *("request_id", "correlation_id", "payload_format", "leaf"),
)
PERSONAL = ("event", "actor_id", "actor_name", "source", "object_id", "text")


def _seal() -> None:
    from django.utils import timezone

    from registry.services.audit import seal

    while seal(now=timezone.now()):
        pass


def _export(folder: Path, name: str, count: int) -> str:
    audit_clients.set_up()
    from django.utils import timezone

    from registry.audit.selection import Selection
    from registry.services.audit.exporting import Extent, open_source, written

    format, _, selected = name.partition(", ")
    extent = Extent(Selection(actor="ada")) if selected else Extent()
    path, early, began = folder / f"export.{name}", 0.0, time.perf_counter()
    with path.open("wb") as out:
        for done in written(out, open_source(extent), format, now=timezone.now()):
            if not early and done >= EARLY * count:
                early = _resident()
    taken = time.perf_counter() - began
    size = path.stat().st_size / 1e6
    spent = f"{taken:.0f} ({time.process_time():.0f})"
    return f"{spent} | {count / taken:,.0f} | {size:,.0f} | {early:.0f} | {_resident():.0f}"


def _verify(folder: Path, name: str, count: int) -> str:
    from registry.audit.verify import OK
    from registry.audit.verify.command import check_file

    began = time.perf_counter()
    code, told = check_file(folder / f"export.{name}")
    assert code == OK, told
    spent = f"{time.perf_counter() - began:.0f} s ({time.process_time():.0f} of the processor)"
    return f"{spent}, {_resident():.0f} MB resident"


def _resident() -> float:
    """Megabytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
