"""A checkpoint: how many records the log holds and the root over them.

Written as the body of a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint): three lines,

    origin
    size, decimal
    base64 of the root

A body becomes a signed note by an empty line and signature lines after it (see
`registry.audit.signed_notes`).
"""

import base64
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the log `origin` at `size` records; `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a body or a signed note (whose signatures are not looked at).

        Raises ValueError where the text is not exactly what `body` writes.
        """
        body = text.partition("\n\n")[0].rstrip("\n") + "\n"
        try:
            origin, size, root, _end = body.split("\n")
            found = cls(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError:
            found = None
        if found is None or found.body() != body or not found._plausible():
            raise ValueError(f"not a checkpoint (origin, size, base64 root): {text[:120]!r}")
        return found

    def _plausible(self) -> bool:
        return bool(self.origin) and self.size >= 0 and len(self.root) == 32
