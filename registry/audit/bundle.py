"""A bundle: all that an auditor needs in one zip, written front to back (so it can be streamed).

events.jsonl        the records as hashed, with their proofs (`registry.audit.export`)
checkpoints.jsonl   signed checkpoints: {"note": …} a line
keys.txt            the public keys, oldest first
README.txt          how to check all this
verify.py           checks it, with nothing but Python; its parts are in seamless_verify/
manifest.json       the SHA-256 of every other file
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from registry.audit.checkpoint import Checkpoint
from registry.audit.export import ExportWriter, NamedKey, Row, Unsealed
from registry.audit.merkle import Edge
from registry.audit.verify import bundle as layout

_VERIFIER = Path(layout.__file__).parent
_PACKAGE = "seamless_verify"
_LEVEL = 3  # of zlib: half the time of its default for a tenth more bytes

VERIFY = f'''"""Check this bundle: python verify.py [--checkpoint FILE] [--key KEY]."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # also under python -I, which leaves the script's folder out
sys.dont_write_bytecode = True

from {_PACKAGE}.command import main  # noqa: E402

sys.exit(main(default=HERE))
'''

README = """Audit log of {origin}
{rule}

This bundle holds {what}, proven under the checkpoint of {size} records
that the log's key signed. Made at {at}.

Check it
    Unpack it, and with Python 3.11 or later (no packages, no network):

        python verify.py --key KEY --checkpoint FILE

    KEY is the log's public key, FILE a checkpoint that you kept from last time. Both should come
    to you on another way than this bundle: whoever can rewrite a log can also make a bundle that
    agrees with itself. keys.txt shows what to compare.

    Do not trust verify.py from this bundle? The same program is in Seamless itself
    (python -m registry.audit.verify BUNDLE.zip), some 1,000 lines of plain Python without imports
    from outside the standard library. Ed25519 signatures are checked by ed25519.py (RFC 8032), in
    integers; public values only, so that its timing tells nobody anything.

Exit codes
    0   all of it holds
    1   a record, another line or a file was changed
    2   records or files are missing, added or out of order
    3   a signature is bad, or its key is not one you trust
    4   the log does not continue the checkpoint you gave
    5   records had waited too long for their seal (--max-unsealed)
    64  wrong use          66  no such file

What is in it
    events.jsonl        one record a line: its number, the text that was hashed, the leaf
    checkpoints.jsonl   signed checkpoints (C2SP tlog-checkpoint)
    keys.txt            public keys, oldest first; each later one was named by a record that the
                        one before signed
    manifest.json       the SHA-256 of every file

Proofs
    {proofs}
    The tree is RFC 6962's over SHA-256; a leaf is SHA-256(0x00 || format || text). The first line
    of events.jsonl also proves that the log continues these earlier checkpoints: {earlier}.

Keep for next time
    The last line of checkpoints.jsonl. Ask for the next export with --earlier {size}.

Empty fields
    "personal": null    who did it was erased; the record's commitment to it stays
    "payload": null     past its retention; its leaf stays
    Both only where a record of the log says so; verify.py finds any other.
"""


class BundleWriter:
    def __init__(self, out: BinaryIO, *, notes: Sequence[str]) -> None:
        """`notes`: signed checkpoints to bring along, the head's last."""
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._notes = notes
        self._digests: dict[str, str] = {}

    def begin(
        self,
        origin: str,
        edge: Edge,
        *,
        keys: Sequence[NamedKey],
        selected: Mapping[str, Any] | None = None,
        consistency: Mapping[int, Sequence[bytes]] | None = None,
        **rest: Any,
    ) -> None:
        self._origin, self._keys, self._selected = origin, keys, selected
        self._earlier = sorted(consistency or {})
        self._member = _Member(self._zip, layout.EVENTS)
        self._lines = ExportWriter(self._member)
        self._lines.begin(
            origin, edge, keys=keys, selected=selected, consistency=consistency, **rest
        )

    def rows(self, rows: Sequence[Row]) -> None:
        self._lines.rows(rows)

    def end(self, checkpoint: Checkpoint, note: str, *, now: datetime, unsealed: Unsealed) -> None:
        self._lines.end(checkpoint, note, now=now, unsealed=unsealed)
        self._digests[layout.EVENTS] = self._member.end()
        notes = [json.dumps({"note": note}, ensure_ascii=False) + "\n" for note in self._notes]
        files = {
            layout.CHECKPOINTS: "".join(notes),
            "keys.txt": "".join(f"{key.key}\n" for key in self._keys),
            "README.txt": self._readme(checkpoint, now),
            "verify.py": VERIFY,
            **{f"{_PACKAGE}/{f.name}": f.read_text() for f in sorted(_VERIFIER.glob("*.py"))},
        }
        for name, text in files.items():
            self._add(name, text)
        self._add(layout.MANIFEST, layout.manifest_text(self._digests))
        self._zip.close()

    def _add(self, name: str, text: str) -> None:
        member = _Member(self._zip, name)
        member.write(text.encode())
        self._digests[name] = member.end()

    def _readme(self, checkpoint: Checkpoint, now: datetime) -> str:
        count = self._lines.counted
        title = f"Audit log of {self._origin}"
        return README.format(
            origin=self._origin,
            rule="=" * len(title),
            what=f"{count} records" if self._selected is None else f"{count} selected records",
            size=checkpoint.size,
            at=f"{now:%Y-%m-%d %H:%M:%S} UTC",
            proofs=_ALL if self._selected is None else _SELECTED,
            earlier=", ".join(map(str, self._earlier)) or "none was asked for",
        )


_ALL = "The records make the whole tree (with the hashes before the first one, on line 1)."
_SELECTED = "Each record has its own inclusion proof: the hashes beside its way to the root."


class _Member:
    """One file of the zip, hashed on its way in."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        info = zipfile.ZipInfo(name)  # 1980: the same content gives the same bytes
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        self._file: IO[bytes] = archive.open(info, "w", force_zip64=True)
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def end(self) -> str:
        self._file.close()
        return self._digest.hexdigest()
