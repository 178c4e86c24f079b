"""A governed read beside the read of its store: ratios of one run, the fastest of several rounds.

    python benchmarks/reading.py [--rounds 7] [--bars 100000] [--export 20000000]

Everything runs in this process over a database and Parquet files of its own, made anew and removed
afterwards: ten symbols, one-minute bars, nine columns. "Over HTTP" is the view with its middleware,
without sockets. Windows are not kept in memory unless the line says "warm".
"""

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SYMBOLS = [f"S{number:02d}" for number in range(10)]
PRICES = ["open", "high", "low", "close"]
START = 1_600_000_020
MINUTE = 60
PRICE = {"type": "number", "minimum": 0, "maximum": 1e9, "description": "USD"}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Bar",
    "type": "object",
    "x-seamless": {"time": "ts", "key": ["symbol"]},
    "required": ["ts", "symbol", *PRICES, "volume", "exchange", "vwap"],
    "additionalProperties": False,
    "properties": {
        "ts": {"type": "string", "format": "date-time", "description": "Start of the bar"},
        "symbol": {"type": "string", "pattern": "^[A-Z0-9]{2,12}$", "description": "Ticker"},
        **dict.fromkeys(PRICES, PRICE),
        "volume": {"type": "integer", "minimum": 0, "description": "Units"},
        "exchange": {"enum": ["BINANCE", "KRAKEN"], "description": "Venue"},
        "vwap": {"type": ["number", "null"], "minimum": 0, "description": "USD"},
    },
}
NODE = "bench:1m"
Run = Callable[[], object]


def table_of(first: int, bars: int) -> pa.Table:
    """`bars` minutes of every symbol from the first on, in time order."""
    rows, random = bars * len(SYMBOLS), np.random.default_rng(first)
    price = np.round(random.random(rows) * 1000, 2)
    seconds = np.repeat(np.arange(first, first + bars) * MINUTE + START, len(SYMBOLS))
    return pa.table(
        {
            "ts": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")),
            "symbol": pa.array(np.tile(np.array(SYMBOLS, object), bars)),
            **{name: price + shift for shift, name in enumerate(PRICES)},
            "volume": random.integers(0, 10**9, rows),
            "exchange": pa.array(np.where(price < 500, "BINANCE", "KRAKEN").astype(object)),
            "vwap": pa.array(price, mask=random.random(rows) < 0.05),
        }
    )


@contextmanager
def house() -> Iterator[Any]:
    """A project of its own with one node and one strict reader."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SEAMLESS_VAR": folder,
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "SEAMLESS_LOG_LEVEL": "ERROR",
            "SEAMLESS_CACHE_BYTES": "0",
            "SEAMLESS_ALLOWED_HOSTS": "testserver",
            "SEAMLESS_MAX_WINDOW_BARS": "100000000",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield House()


class House:
    """Who and what a read needs, made through the services."""

    def __init__(self) -> None:
        from django.utils import timezone

        from registry.actors import Actor
        from registry.services import (
            consumers,
            gate_policies,
            nodes,
            people,
            releases,
            subjects,
            tokens,
        )

        self.actor, self.now = Actor.system("benchmark"), timezone.now()
        said: dict[str, Any] = {"actor": self.actor, "now": self.now}
        people.create_team(name="bench", **said)
        self.people = [self._person(name) for name in ("ada", "ben", "cid")]
        subjects.create_subject(name="bench.bar", owner_team="bench", **said)
        self._approve()
        gate_policies.save_gate_policy(
            name="open",
            observation=timedelta(0),
            minimum_reads=0,
            required_approvals=2,
            **said,
        )
        releases.create_bundle(
            name="bench", owner_team="bench", subjects=["bench.bar"], gate_policy="open", **said
        )
        self.node = nodes.register_node(
            node_id=NODE,
            subject="bench.bar",
            interval=MINUTE,
            anchor=START,
            series=[{"key": {"symbol": symbol}, "since": None} for symbol in SYMBOLS],
            store={"type": "parquet"},
            source={},
            **said,
        )
        self.consumer = consumers.create_consumer(name="reader", owner_team="bench", **said)
        self._strict()
        issued = tokens.issue_consumer_token(
            actor=self.people[0],
            consumer=self.consumer,
            scopes=("read",),
            lifetime=timedelta(days=1),
            now=self.now,
        )
        self.token = issued.secret

    def _person(self, name: str) -> Any:
        from registry.actors import Actor
        from registry.models import Role
        from registry.services import people

        said: dict[str, Any] = {"actor": self.actor, "now": self.now}
        made = people.create_person(username=name, password="measured, not guarded", **said)
        for role in Role.values:
            people.add_member(team="bench", username=name, role=role, **said)
        return Actor(kind="user", id=str(made.pk), name=name)

    def _approve(self) -> None:
        import json

        from registry.services import proposals

        author, reviewer, _ = self.people
        outcome = proposals.propose_schema(
            actor=author, subject="bench.bar", document=json.dumps(SCHEMA), now=self.now
        )
        assert outcome.proposal is not None
        number = outcome.proposal.pk
        proposals.submit_proposal(actor=author, proposal_id=number, now=self.now)
        proposals.approve_proposal(actor=reviewer, proposal_id=number, now=self.now)

    def _strict(self) -> None:
        from registry.services import consumers, rollouts
        from registry.services.evidence import record_check
        from registry.services.resolution import resolve

        canary = consumers.subscribe(
            actor=self.people[0], consumer="reader", bundle="bench", now=self.now
        )
        assert canary is not None
        seen = resolve(self.consumer, self.node).canary
        assert seen is not None
        record_check(
            consumer=self.consumer,
            node=self.node,
            version=seen,
            mode="canary",
            rows=1,
            findings=(),
            now=self.now,
        )
        for person in self.people[:2]:
            rollouts.approve_promotion(actor=person, rollout_id=canary.pk, now=self.now)
        rollouts.promote_rollout(actor=self.people[2], rollout_id=canary.pk, now=self.now)

    def write(self, first: int, bars: int, rows_per_file: int = 10**7) -> None:
        from django.conf import settings

        from provider.stores.parquet import directory_name

        folder = Path(settings.SEAMLESS_BARS_DIR) / directory_name(NODE)
        folder.mkdir(parents=True, exist_ok=True)
        step = max(1, rows_per_file // len(SYMBOLS))
        for begin in range(first, first + bars, step):
            table = table_of(begin, min(step, first + bars - begin))
            name = folder / f"{begin:012d}.parquet"
            pq.write_table(table, name, compression="zstd")
            os.utime(name, (START, START))

    def request(self, bars: int) -> Any:
        from coordinator.coverage import Window
        from provider.requests import ReadRequest
        from registry.services.resolution import resolve

        return ReadRequest(
            resolution=resolve(self.consumer, self.node),
            window=Window(START, START + (bars - 1) * MINUTE, MINUTE),
            actor=self.actor,
            now=self.now,
        )

    def get(self, bars: int, **query: Any) -> Any:
        from django.test import Client

        window = {"start": START, "end": START + (bars - 1) * MINUTE, **query}
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = Client().get(f"/api/v1/nodes/{NODE}/data", window, headers=headers)
        assert answer.status_code == 200, b"".join(answer)[:500]
        return answer


# --- what is timed ------------------------------------------------------------------------------


@contextmanager
def without(*names: str) -> Iterator[None]:
    """The same read with these parts switched off."""
    from provider.conformance.temporal import TemporalRollup

    off: Mapping[str, tuple[str, Any]] = {
        "schema": ("provider.conformance.pipeline.check_schema", lambda *_, **__: ()),
        "values": ("provider.conformance.pipeline.check_values", lambda *_: ()),
        "time": (
            "provider.conformance.pipeline.check_time",
            lambda *_: TemporalRollup((), (), 1.0, None, {}),
        ),
    }
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch(*off[name]))
        yield


def contenders(made: House, bars: int) -> dict[str, Run]:
    from provider.seamless import SeamlessDataProvider
    from provider.serialise import serialise
    from provider.stores.opening import open_store
    from registry.frame import frame_of

    store = open_store(made.node, frame_of(SCHEMA))
    end = START + (bars - 1) * MINUTE

    def arrow(*switched_off: str, named: bool = False) -> bytes:
        with without(*switched_off):
            answer = SeamlessDataProvider().read(made.request(bars))
            assert not named or answer.fingerprint
            return serialise(answer.rows, "arrow")

    checks = ("schema", "values", "time")
    return {
        "the store itself": lambda: store.read(START, end, ()),
        "read in process": lambda: SeamlessDataProvider().read(made.request(bars)),
        "read, no check": lambda: arrow(*checks),
        "read, governed": arrow,
        "read, governed + fingerprint": lambda: arrow(named=True),
        "read, governed, over HTTP": lambda: made.get(bars, format="arrow"),
    }


def formats(made: House, bars: int) -> dict[str, Run]:
    """One checked answer written in every format, beside what DRF would do with its rows."""
    from rest_framework import serializers
    from rest_framework.renderers import JSONRenderer

    from provider.seamless import SeamlessDataProvider
    from provider.serialise import FORMATS, serialise

    rows = SeamlessDataProvider().read(made.request(bars)).rows
    fields: dict[str, Any] = {
        "ts": serializers.DateTimeField(),
        "symbol": serializers.CharField(),
        **{name: serializers.FloatField() for name in PRICES},
        "volume": serializers.IntegerField(),
        "exchange": serializers.CharField(),
        "vwap": serializers.FloatField(allow_null=True),
    }
    bar = type("Bar", (serializers.Serializer,), fields)

    def drf() -> bytes:
        return JSONRenderer().render(bar(rows.table().to_pylist(), many=True).data)

    return {
        "DRF serializer over row dicts": drf,
        **{name: (lambda n=name: serialise(rows, n)) for name in FORMATS},
    }


def fastest(runs: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """Milliseconds, the least over rounds that take turns."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = perf_counter()
            run()
            found[name].append((perf_counter() - began) * 1000)
    return {name: min(times) for name, times in found.items()}


def warm_first_byte(made: House, bars: int, rounds: int) -> float:
    """A window over HTTP that was read before, as JSON."""
    with mock.patch("provider.window_keys._cache", None), _kept_in_memory():
        made.get(bars)
        return fastest({"": lambda: made.get(bars)}, rounds)[""]


@contextmanager
def _kept_in_memory() -> Iterator[None]:
    from django.test import override_settings

    with override_settings(SEAMLESS_CACHE_BYTES=256 << 20):
        yield


def peak_of_export(made: House, bars: int) -> tuple[float, float, int]:
    """Seconds, MB above what the process held before, and bytes sent."""
    before, began = _peak(), perf_counter()
    answer = made.get(bars, format="arrow")
    sent = sum(len(chunk) for chunk in answer)
    return perf_counter() - began, _peak() - before, sent


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bars", type=int, default=100_000, help="minutes; ten bars each")
    parser.add_argument("--export", type=int, default=0, help="bars of the large export")
    arguments = parser.parse_args()
    with house() as made:
        small = min(10_000, arguments.bars)
        made.write(0, small)
        found = fastest(contenders(made, small), arguments.rounds * 3)
        _print_ratios(f"{small * 10:,} bars as Arrow", found, "read, no check")
        made.write(small, arguments.bars - small)
        _print_ratios(
            f"{arguments.bars * 10:,} bars as Arrow",
            fastest(contenders(made, arguments.bars), arguments.rounds),
            "read, no check",
        )
        written = fastest(formats(made, small), max(2, arguments.rounds // 2))
        _print_ratios(f"{small * 10:,} bars written", written, "json")
        warm = min(1_000, arguments.bars)
        spent = warm_first_byte(made, warm, 9)
        print(f"\nwarm window of {warm * 10:,} bars over HTTP, JSON: {spent:.1f} ms")
        if arguments.export:
            minutes = arguments.export // len(SYMBOLS)
            if minutes > arguments.bars:
                made.write(arguments.bars, minutes - arguments.bars, rows_per_file=10**6)
            seconds, peak, sent = peak_of_export(made, minutes)
            print(
                f"export of {arguments.export:,} bars as Arrow: {seconds:.1f} s, "
                f"{sent / 2**20:,.0f} MB sent, peak {peak:,.0f} MB above the start"
            )


def _print_ratios(title: str, found: Mapping[str, float], base: str) -> None:
    print(f"\n{title:40}{'ms':>10}{'/ ' + base:>20}")
    for name, milliseconds in found.items():
        print(f"{name:40}{milliseconds:10,.1f}{milliseconds / found[base]:20.2f}")


if __name__ == "__main__":
    main()
