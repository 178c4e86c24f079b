"""Records that say which others were emptied: of personal fields (erasure), of all (retention).

Such a record's `after` holds `records`, the sequence numbers as runs: `0-4,7`. The verifier accepts
an empty record only where one of these names it.
"""

from collections.abc import Iterable, Iterator

ERASURE = "audit.erase_person"
RETENTION = "audit.drop_payloads"
REMOVALS = (ERASURE, RETENTION)


def runs(seqs: Iterable[int]) -> str:
    """Ascending numbers as text; consecutive ones as `first-last`."""
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in _pairs(seqs)
    )


def _pairs(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for seq in seqs:
        if first is not None and last is not None and seq != last + 1:
            yield first, last
            first = seq
        first, last = seq if first is None else first, seq
    if first is not None and last is not None:
        yield first, last
