"""A real HTTP server on loopback that plays an upstream, faults included."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as the upstream saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Reply:
    """What is sent: a body, with faults. `drip`: seconds between single bytes."""

    def __init__(
        self,
        body: Any = b"",
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        cut_at: int | None = None,
        drip: float = 0.0,
        hang: float = 0.0,
    ) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers or {}
        self.cut_at, self.drip, self.hang = cut_at, drip, hang


@dataclass
class Upstream:
    """`answer` is asked for every request; `asked` is what came."""

    url: str
    answer: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class _Handler(BaseHTTPRequestHandler):
    upstream: Upstream

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(parts.path, query, dict(self.headers))
        self.upstream.asked.append(asked)
        reply = self.upstream.answer(asked)
        time.sleep(reply.hang)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self._send(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        body = reply.body if reply.cut_at is None else reply.body[: reply.cut_at]
        if not reply.drip:
            self.wfile.write(body)
        else:
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(reply.drip)
        self.close_connection = reply.cut_at is not None

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that left early is what some tests are about."""


def bars_of(upstream: Upstream) -> dict[str, Any]:
    """Settings of an HTTP source or feed that asks it for bars, which lie in `data`."""
    return {
        "type": "http",
        "url": f"{upstream.url}/bars?from={{start}}&to={{end}}",
        "times": "seconds",
        "rows": "/data",
    }


@contextmanager
def serving(answer: Callable[[Asked], Reply]) -> Iterator[Upstream]:
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        upstream = Upstream(f"http://127.0.0.1:{server.server_port}", answer)
        handler.upstream = upstream  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join()
