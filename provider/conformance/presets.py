"""Ready pipelines, by name: what they ask of rows is what clean rows have."""

from collections.abc import Callable, Mapping
from typing import Any

from coordinator.grid import Grid
from provider.conformance.pipeline import ConformancePipeline
from provider.conformance.rules import MaxReturnRule, QuoteRule, TickRule
from registry.frame import Frame

_COLUMNS = ("open", "high", "low", "close", "volume")
MINUTE_BARS: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "x-seamless": {"time": "ts", "unit": "s"},
    "properties": {"ts": {"type": "integer"}, **{name: {"type": "number"} for name in _COLUMNS}},
    "required": ["ts", *_COLUMNS],
}
_SECONDS = Frame(time="ts", unit="s")
_MINUTE = Grid(60)

PRESETS: Mapping[str, Callable[[], ConformancePipeline]] = {
    "strict-blocking": lambda: ConformancePipeline(schema=MINUTE_BARS, grid=_MINUTE),
    "permissive-dev": lambda: ConformancePipeline(frame=_SECONDS, partial_ok=True),
    "ticks": lambda: ConformancePipeline(frame=_SECONDS, rules=(TickRule(),)),
    "quotes": lambda: ConformancePipeline(frame=_SECONDS, rules=(QuoteRule(),)),
    "bounded-returns": lambda: ConformancePipeline(
        schema=MINUTE_BARS, grid=_MINUTE, rules=(MaxReturnRule("close", 0.2),)
    ),
}


def preset(name: str) -> ConformancePipeline:
    """The pipeline of that name; KeyError names those there are."""
    if name not in PRESETS:
        raise KeyError(f"there is no conformance preset {name!r}; use {', '.join(PRESETS)}")
    return PRESETS[name]()
