"""Which requests a growing rollout judges as strict: the same question, the same answer."""

import hashlib

_SLOTS = 10_000


def in_ramp(consumer: str, node_id: str, window: tuple[int, int], percent: int) -> bool:
    """Whether a request lies in the first `percent` of all.

    A request that is in at some percentage stays in at every higher one.
    """
    start, end = window
    key = f"{len(consumer)}:{consumer}|{node_id}|{start}|{end}"
    slot = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % _SLOTS
    return slot < percent * _SLOTS // 100
