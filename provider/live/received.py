"""What a live source answers, before anybody has judged it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from coordinator.coverage import CoverageRange
from provider.live.entries import EntryForm
from provider.timeline import Key


@dataclass(frozen=True, slots=True)
class Received:
    """Entries in the order in which they came; one that is no object is no row.

    `cut`: there may be older ones of the range, which were too many to be read.
    """

    entries: Sequence[object]
    cut: bool = False


class LiveSource(Protocol):
    """Where bars arrive; `form` says how an entry becomes a row."""

    @property
    def form(self) -> EntryForm: ...

    def receive(self, span: CoverageRange, keys: Sequence[Key], deadline: float | None) -> Received:
        """What arrived for the closed range, and perhaps more.

        Raises LiveUnavailable, TimeoutError past the deadline (`time.monotonic()`), and what
        `provider.sources` raise.
        """
        ...
