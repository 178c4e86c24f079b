"""Asking a lease service over HTTP: an address that may hold credentials, JSON in and out."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

MAX_ANSWER = 65_536


class ServiceAddress:
    """`https://user:token@host:port/path`; nothing is asked before `call`.

    Raises ValueError, which does not repeat the address, for one that cannot work.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must be an http or https URL with a host")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.name = f"{host}:{port}"
        self._root = f"{parts.scheme}://{self.name}{parts.path.rstrip('/')}"
        self._headers = {
            "Content-Type": "application/json",
            **_basic(parts.username, parts.password),
        }
        self._timeout = timeout
        # Credentials go to this host alone: no proxy of the environment, no redirect.
        self._opener = build_opener(ProxyHandler({}), _NoRedirect())

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON object of a 2xx answer. HTTPError, OSError, HTTPException or ValueError."""
        answer = json.loads(self._call("POST", path, json.dumps(body).encode()))
        if not isinstance(answer, dict):
            raise ValueError("the answer is not a JSON object")
        return answer

    def get(self, path: str) -> bytes:
        """The body of a 2xx answer. HTTPError, OSError or HTTPException."""
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, data: bytes | None) -> bytes:
        request = Request(self._root + path, data=data, headers=self._headers, method=method)
        with self._opener.open(request, timeout=self._timeout) as response:
            text: bytes = response.read(MAX_ANSWER)
            return text


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def _basic(user: str | None, password: str | None) -> dict[str, str]:
    if user is None and password is None:
        return {}
    pair = f"{unquote(user or '')}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}
