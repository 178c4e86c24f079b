"""Processes that serve do not visit what they have loaded at every full collection."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("start", "loaded"),
    [
        ("import config.wsgi", "provider.api.views"),
        (
            "from celery import signals; import config.celery; "
            "config.celery.app.loader.init_worker(); signals.worker_init.send(sender='worker')",
            "provider.tasks",
        ),
    ],
    ids=["web server", "worker"],
)
def test_what_is_loaded_is_spared(start: str, loaded: str) -> None:
    code = f"{start}; import gc, sys; print({loaded!r} in sys.modules, gc.get_freeze_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    there, spared = done.stdout.split()
    assert there == "True"
    assert int(spared) > 100_000  # objects
