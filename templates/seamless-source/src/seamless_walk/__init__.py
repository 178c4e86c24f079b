"""A random walk with a bar a minute: stands for the upstream that your package asks."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

import pyarrow as pa

from coordinator.coverage import CoverageRange
from provider.sources import InvalidSourceSettings, SourceEnvironment

MINUTE = 60
SYMBOLS = ("A", "B")


@dataclass(frozen=True, slots=True)
class WalkSource:
    """The same prices for the same seed, whenever it is asked."""

    seed: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], environment: SourceEnvironment) -> Self:
        """From `{"seed": 7}`. `environment` says which hosts, folders and secrets it may use."""
        seed = settings.get("seed")
        if not isinstance(seed, int) or set(settings) != {"seed"}:
            raise InvalidSourceSettings("seed", "must be a whole number, and all there is")
        return cls(seed)

    def fetch(
        self, span: CoverageRange, keys: Sequence[Mapping[str, Any]], deadline: float | None
    ) -> pa.Table:
        """Rows of the closed range, of the series in `keys` (none: all).

        Raise TimeoutError past `deadline` (a time of `time.monotonic()`), and
        `coordinator.ports.SourceBusy` where the upstream asks for patience.
        """
        wanted = [key["symbol"] for key in keys] or list(SYMBOLS)
        rows: list[tuple[int, str, float]] = []
        for minute in range(-(-span.start // MINUTE), span.end // MINUTE + 1):
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError("the deadline passed")
            rows += [(minute * MINUTE, symbol, self._price(minute, symbol)) for symbol in wanted]
        times, symbols, prices = zip(*rows, strict=True) if rows else ((), (), ())
        return pa.table(
            {
                "ts": pa.array(times, pa.int64()),
                "symbol": pa.array(symbols, pa.string()),
                "close": pa.array(prices, pa.float64()),
            }
        )

    def _price(self, minute: int, symbol: str) -> float:
        return round(100 + Random(f"{self.seed} {minute} {symbol}").gauss(0, 1), 2)
