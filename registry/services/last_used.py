"""When a token was last used: gathered in memory, written once a second, all tokens at once."""

from datetime import datetime
from threading import Lock

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from registry.models import AccessToken
from registry.services.background import Rounds

_lock = Lock()
_used: dict[int, datetime] = {}


def note_use(token_id: int, now: datetime) -> None:
    with _lock:
        _used[token_id] = now
    if settings.SEAMLESS_EVIDENCE_SECONDS:
        _rounds.start()
    else:
        flush()


def flush() -> None:
    """Write the uses since the last time; an older one never replaces a newer one."""
    with _lock:
        used = dict(_used)
        _used.clear()
    if not used:
        return
    try:
        with transaction.atomic():
            for token_id, at in sorted(used.items()):
                AccessToken.objects.filter(
                    Q(last_used_at__isnull=True) | Q(last_used_at__lt=at), pk=token_id
                ).update(last_used_at=at)
    except Exception:
        with _lock:
            _used.update({token: at for token, at in used.items() if token not in _used})
        raise


def forget() -> None:
    """Start anew, as a process does: what was gathered is not written."""
    _rounds.stop()
    with _lock:
        _used.clear()


_rounds = Rounds("last-used", flush, lambda: settings.SEAMLESS_EVIDENCE_SECONDS)
