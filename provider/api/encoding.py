"""Content codings: what `Accept-Encoding` asks for, where it is worth the work."""

import gzip
from collections.abc import Callable, Mapping

import pyarrow as pa

_WORTH_IT = 512
_GZIP_LEVEL = 4


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def _zstd(body: bytes) -> bytes:
    return bytes(pa.Codec("zstd", 3).compress(body, asbytes=True))


CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "gzip": _gzip}
"""In our order of preference."""


def chosen_coding(accept_encoding: str) -> str:
    """The coding with the best q-value, "" for none."""
    weights = dict(_weights(accept_encoding))
    best, most = "", 0.0
    for name in CODINGS:
        weight = weights.get(name, weights.get("*", 0.0))
        if weight > most:
            best, most = name, weight
    return best


def encode(body: bytes, coding: str) -> tuple[bytes, str]:
    """The body in the coding, and the coding that was used: small bodies stay as they are."""
    if not coding or len(body) < _WORTH_IT:
        return body, ""
    return CODINGS[coding](body), coding


def _weights(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if name:
            found.append((name.lower(), weight))
    return found
