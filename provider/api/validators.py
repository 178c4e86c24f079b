"""Validators of data answers: when "not modified" may be said, and when before loading a row.

An answer is named by its bytes and its release. One that is complete, and whose store can say when
its rows change, stays the same while everything that decided it does: node, window, selection, what
the store says of its data, the version that judged, the release, the representation. This process
remembers the names of the answers that passed under such a state, so an unchanged one needs no
loading to be told.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

from provider.requests import ReadAnswer
from provider.threads import in_runs

_MOST_STATES = 10_000
_PART = 1 << 20
State = tuple[object, ...]


def name_of_answer(body: bytes, release: str) -> str:
    """Of its bytes and of the strict release it was held to, which its headers tell.

    The bytes are hashed in parts of a megabyte, and the digests of the parts again.
    """
    whole = memoryview(body)
    parts = [whole[start : start + _PART] for start in range(0, len(body), _PART)]
    digest = hashlib.sha256(b"%d:%s" % (len(body), release.encode()))
    for part in in_runs(_digests, parts, least=4):
        digest.update(part)
    return f'"{digest.hexdigest()}"'


def _digests(parts: Sequence[memoryview]) -> list[bytes]:
    return [hashlib.sha256(part).digest() for part in parts]


def stays_as_it_is(answer: ReadAnswer) -> bool:
    """Whether asking again under the same state would be answered the same."""
    return answer.is_complete and not answer.jobs and not answer.verdict.downgraded


def is_held(if_none_match: str, etag: str) -> bool:
    """Whether the caller names this very answer (RFC 9110: one of a list, compared weakly)."""
    return etag in [item.strip().removeprefix("W/") for item in if_none_match.split(",")]


def matches(if_none_match: str, etag: str) -> bool:
    """`is_held`, or `*`: any answer there is, which one has to have first."""
    return is_held(if_none_match, etag) or if_none_match.strip() == "*"


class PassedStates:
    """The names of answers by the state under which they passed; the oldest are forgotten."""

    def __init__(self, most: int = _MOST_STATES) -> None:
        self._most = most
        self._names: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def name_under(self, state: State) -> str | None:
        with self._lock:
            return self._names.get(_digest(state))

    def remember(self, state: State, etag: str) -> None:
        with self._lock:
            self._names[_digest(state)] = etag
            self._names.move_to_end(_digest(state))
            while len(self._names) > self._most:
                self._names.popitem(last=False)


def _digest(state: State) -> str:
    return hashlib.sha256(repr(state).encode()).hexdigest()


passed_states = PassedStates()
"""Of this process."""
