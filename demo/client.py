"""A caller of the API with one token: status, headers and body, nothing hidden."""

import json
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message  # looked up without regard to case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class UnexpectedAnswer(Exception):
    """The stack answered something the tour does not expect."""

    def __init__(self, request: str, expected: int, answer: Answer) -> None:
        text = answer.body.decode(errors="replace")[:2_000]
        super().__init__(f"{request}: expected {expected}, got {answer.status}\n{text}")


class Client:
    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url).netloc
        self.token = token

    def get(self, path: str, *, expect: int = 200, **parameters: str) -> Answer:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self._call("GET", path + query, None, expect)

    def post(self, path: str, body: Any = None, *, expect: int = 201) -> Answer:
        return self._call("POST", path, json.dumps({} if body is None else body), expect)

    def read(self, node_id: str, start: str, end: str, *, expect: int = 200, **more: str) -> Answer:
        path = f"/api/v1/nodes/{quote(node_id)}/data"
        return self.get(path, expect=expect, start=start, end=end, **more)

    def _call(self, method: str, path: str, body: str | None, expect: int) -> Answer:
        connection = HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if answer.status != expect:
            raise UnexpectedAnswer(f"{method} {path}", expect, answer)
        return answer
