"""Prints what a run of the failure suite left in its results file, as a table.

python -m tests.chaos.table FILE
"""

import json
import statistics
import sys
from itertools import groupby
from typing import Any


def table(lines: list[dict[str, Any]]) -> str:
    head = "| fault | database | injected | duplicates | lost | p50 | p95 | max | seeds |"
    rows = [head, "|---" * 9 + "|"]
    for (fault, database), group in groupby(sorted(lines, key=_key), key=_key):
        runs = list(group)
        times = [seconds for run in runs for seconds in run["recovery"]]
        seeds = ", ".join(sorted({str(run["seed"]) for run in runs}))
        sums = " | ".join(str(sum(run[n] for run in runs)) for n in _COUNTED)
        rows.append(f"| {fault} | {database} | {sums} | {_spread(times)} | {seeds} |")
    return "\n".join(rows)


_COUNTED = ("injected", "duplicates", "lost")


def _key(line: dict[str, Any]) -> tuple[str, str]:
    return line["fault"], line["database"]


def _spread(times: list[float]) -> str:
    """Seconds: median, 95th percentile, maximum."""
    if not times:
        return "- | - | -"
    ninety_fifth = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    most = max(times)
    return f"{statistics.median(times):.1f} | {min(ninety_fifth, most):.1f} | {most:.1f}"


if __name__ == "__main__":
    with open(sys.argv[1]) as results:
        print(table([json.loads(line) for line in results]))
