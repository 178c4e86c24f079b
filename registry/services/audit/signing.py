"""The key that signs checkpoints: from SEAMLESS_AUDIT_KEY, or a file that is made on first run.

During a rotation there are two: the next one is in SEAMLESS_AUDIT_NEXT_KEY, or in a file beside the
first, and takes over from the checkpoint on that covers the rotation's record.
"""

import base64
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from registry.audit.signed_notes import Signer
from registry.errors import Unavailable
from registry.services.audit.head import log_origin
from registry.services.audit.key_history import adopt, current_key

log = structlog.get_logger("seamless.audit")


class AuditKeyUnavailable(Unavailable):
    """No usable signing key: nothing can be sealed, records wait."""

    code = "audit_key_unavailable"
    title = "Audit key unavailable"


def signer_in_force(*, now: datetime) -> Signer:
    """The signer of the next checkpoint; the log's first one is adopted by its first sealing.

    Call under the sealer's lock. Raises `AuditKeyUnavailable` where no key at hand is the one that
    the log's history asks for.
    """
    # The next one first: a file that takes its place meanwhile is then read twice, not missed.
    held = [signer for signer in (next_signer(), configured_signer()) if signer]
    current = current_key()
    if current is None:
        adopt(held[-1].public, now=now)
        return held[-1]
    for signer in held:
        if signer.public == current:
            return signer
    raise AuditKeyUnavailable(
        f"the log is signed with {current}, this process holds {held[-1].public}: give it the"
        " right key (SEAMLESS_AUDIT_KEY or SEAMLESS_AUDIT_KEY_FILE). Records wait unsealed."
    )


def configured_signer() -> Signer:
    """The private key of this process, under the log's name."""
    if text := settings.SEAMLESS_AUDIT_KEY:
        return Signer(log_origin(), read_private_key(text, "SEAMLESS_AUDIT_KEY"))
    file = key_file()
    if not file.exists() and settings.SEAMLESS_AUDIT_KEY_GENERATE:
        _make_first_key(file)
    return Signer(log_origin(), read_private_key(_text_of(file), str(file)))


def next_signer() -> Signer | None:
    """The private key that a rotation brings in, None where none is prepared."""
    if text := settings.SEAMLESS_AUDIT_NEXT_KEY:
        return Signer(log_origin(), read_private_key(text, "SEAMLESS_AUDIT_NEXT_KEY"))
    file = next_key_file()
    if settings.SEAMLESS_AUDIT_KEY or not file.exists():
        return None
    with suppress(FileNotFoundError):  # it took its place just now
        return Signer(log_origin(), read_private_key(file.read_text("utf-8"), str(file)))
    return None


def prepare_next_signer() -> Signer:
    """The next key, made where keys are files. An earlier one that was never used is used now."""
    if settings.SEAMLESS_AUDIT_KEY and not settings.SEAMLESS_AUDIT_NEXT_KEY:
        raise AuditKeyUnavailable(
            "the key comes from SEAMLESS_AUDIT_KEY: give the new one in SEAMLESS_AUDIT_NEXT_KEY, to"
            " every process that seals, then rotate"
        )
    if not settings.SEAMLESS_AUDIT_NEXT_KEY:
        try:
            write_new_key(next_key_file())
        except OSError as error:
            raise AuditKeyUnavailable(f"cannot write {next_key_file()}: {error}") from error
    prepared = next_signer()
    assert prepared is not None
    return prepared


def read_private_key(text: str, where: str) -> Ed25519PrivateKey:
    """An Ed25519 key as PEM (PKCS 8), or its 32 bytes as base64."""
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_private_key(text.encode(), password=None)
        else:
            seed = base64.b64decode(text.strip(), validate=True)
            key = Ed25519PrivateKey.from_private_bytes(seed)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditKeyUnavailable(
            f"{where} holds no Ed25519 private key (PEM, or 32 bytes in base64);"
            " make one with: openssl genpkey -algorithm ed25519"
        )
    return key


def key_file() -> Path:
    return Path(settings.SEAMLESS_AUDIT_KEY_FILE)


def next_key_file() -> Path:
    """Where a rotation keeps the new key until the log names it."""
    file = key_file()
    return file.with_name(f"{file.name}.next")


def promote_next_key() -> None:
    """The next key's file takes the old one's place, once a committed checkpoint is signed with it.

    Not earlier: a sealing that is rolled back still needs the old key. Another process may be
    faster.
    """
    upcoming = None if settings.SEAMLESS_AUDIT_NEXT_KEY else next_signer()
    if upcoming is not None and upcoming.public == current_key():
        with suppress(FileNotFoundError):
            next_key_file().replace(key_file())


def write_new_key(file: Path) -> None:
    """Make a key, readable for this account alone. An existing file stays as it is."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
    try:
        with suppress(FileExistsError):
            os.link(own, file)  # whole or not at all, and the first of several processes wins
    finally:
        own.unlink()


def _make_first_key(file: Path) -> None:
    try:
        write_new_key(file)
    except OSError as error:
        raise AuditKeyUnavailable(f"cannot write the audit key {file}: {error}") from error
    log.warning(
        "audit_key_made",
        file=str(file),
        advice="keep a copy, and for production give a key of your own (SEAMLESS_AUDIT_KEY_FILE)",
    )


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditKeyUnavailable(f"the audit key {file} cannot be read: {error}") from error
