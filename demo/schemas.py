"""The two schemas of the demo, as a schema owner would write them."""

from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _price(which: str) -> dict[str, Any]:
    return {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": f"{which} price",
        "x-unit": "USD",
    }


DAILY_BARS: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Daily stock bar",
    "description": "One row a symbol and session of the New York Stock Exchange, unadjusted.",
    "type": "object",
    "properties": {
        "session": {
            "type": "string",
            "format": "date-time",
            "description": "The session's date, stamped 00:00 UTC",
        },
        "symbol": {"enum": ["AAPL", "FB", "GOOG", "IBM", "MSFT"], "description": "Ticker"},
        "open": _price("Opening"),
        "high": _price("Highest"),
        "low": _price("Lowest"),
        "close": _price("Closing"),
        "volume": {
            "type": "integer",
            "minimum": 0,
            "description": "Shares traded",
            "x-unit": "shares",
        },
    },
    "required": ["session", "symbol", "open", "high", "low", "close", "volume"],
    "additionalProperties": False,
    "x-seamless": {"time": "session", "key": ["symbol"]},
}

SEA_TEMPERATURE: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Sea surface temperature",
    "description": "Half-hourly readings of one buoy.",
    "type": "object",
    "properties": {
        "time": {"type": "string", "format": "date-time", "description": "Time of the reading"},
        "temperature": {
            "type": "number",
            "minimum": -5,
            "maximum": 40,
            "description": "Temperature of the water",
            "x-unit": "Cel",
        },
    },
    "required": ["time", "temperature"],
    "additionalProperties": False,
    "x-seamless": {"time": "time", "key": []},
}
