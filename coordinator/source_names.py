"""The name under which a source is limited: what counts as one upstream for all nodes."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

ADDRESSES = ("url", "base_url", "address", "host")
LONGEST = 300


def source_name(source: Mapping[str, Any]) -> str:
    """`http:api.example.com` for a source with an address, else its type; "" for none.

    Nodes that fetch from one host share its limits, whatever else their settings say.
    """
    kind = source.get("type")
    if not isinstance(kind, str) or not kind:
        return ""
    host = next((_host(source[key]) for key in ADDRESSES if key in source), "")
    return (f"{kind}:{host}" if host else kind)[:LONGEST]


def _host(address: Any) -> str:
    if not isinstance(address, str):
        return ""
    parts = urlsplit(address if "//" in address else f"//{address}")
    return parts.netloc.rpartition("@")[2].lower()
