"""Prometheus' programs for the tests of rules and dashboards, and the queries of a dashboard."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RULES = PROJECT / "ops" / "prometheus"
WITHOUT = "Prometheus is not installed (Debian: apt-get install prometheus)"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=WITHOUT)
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason=WITHOUT)

# What Grafana puts in where a person chose nothing.
VARIABLES = {"$__rate_interval": "1m", "$node_id": ".*"}


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(panel and query, PromQL) of every query."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", filled(target["expr"])


def filled(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


_SERIES = re.compile(r"\b(?:seamless|backfill|lease|coverage|live|gap)[a-z0-9_:]*\b(?=[\[{ )\n]|$)")


def series_in(expression: str) -> set[str]:
    """The names of the series that a PromQL expression reads."""
    without_labels = re.sub(r"\b(?:by|on|without) *\([^)]*\)", "", expression)
    without_values = re.sub(r'"[^"]*"', '""', without_labels)
    return set(_SERIES.findall(without_values))
