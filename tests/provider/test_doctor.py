"""`manage.py doctor` says what is wrong and the fix, and only looks."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import redis
from django.core.management import call_command
from django.db import connection

from registry import health
from registry.models import Node, Subject, Team
from registry.triggers import AppendOnly
from tests.databases import as_owner


def findings(expect_failure: bool = False) -> dict[str, dict[str, str]]:
    out = StringIO()
    if expect_failure:
        with pytest.raises(SystemExit) as ended:
            call_command("doctor", "--json", stdout=out)
        assert ended.value.code == 1
    else:
        call_command("doctor", "--json", stdout=out)
    return {one["name"]: one for one in json.loads(out.getvalue())}


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, settings: object) -> None:
    settings.SEAMLESS_AUDIT_KEY_FILE = str(tmp_path / "audit-key.pem")


def test_every_part_answers_and_a_missing_worker_is_named(
    committed_db: object, redis_client: redis.Redis
) -> None:
    found = findings(expect_failure=True)
    failed = {name for name, one in found.items() if one["state"] == "failed"}
    assert failed == {"workers"}
    assert found["workers"]["fix"] == "Start one: celery -A config worker --beat"
    assert found["database"]["detail"] == f"{connection.vendor} answers"


def test_looking_makes_no_audit_key(committed_db: object, settings: object) -> None:
    settings.SEAMLESS_AUDIT_KEY_GENERATE = True
    settings.SEAMLESS_AUDIT_KEY = ""
    found = findings(expect_failure=True)
    assert found["audit key"]["state"] == "warning"
    assert not Path(settings.SEAMLESS_AUDIT_KEY_FILE).exists()


def test_a_database_that_was_not_migrated_ends_the_questions(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        env=os.environ
        | {"DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3", "SEAMLESS_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FAILED  migrations:" in done.stdout
    assert "-> manage.py migrate" in done.stdout
    assert "audit" not in done.stdout


def test_a_dropped_trigger_is_found(committed_db: object, redis_client: redis.Redis) -> None:
    gone = AppendOnly("registry.AuditLeaf").triggers(connection.vendor)[0]
    place = f' ON "{gone.table}"' if connection.vendor == "postgresql" else ""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(f'DROP TRIGGER "{gone.name}"{place}')
    found = findings(expect_failure=True)["triggers"]
    assert (found["state"], gone.name in found["detail"]) == ("failed", True)


def test_redis_away_is_named_with_what_it_means(committed_db: object, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = findings(expect_failure=True)
    assert "`degraded`" in found["redis"]["fix"]
    assert "workers" not in found


def test_wrong_settings_of_a_node_and_an_unwritable_directory(
    committed_db: object, redis_client: redis.Redis, settings: object, tmp_path: Path
) -> None:
    team = Team.objects.create(name="risk")
    subject = Subject.objects.create(name="market.x", owner_team=team)
    store = {"type": "postgresql", "database": "gone", "table": "bars"}
    Node.objects.create(node_id="x:1m", subject=subject, interval=60, store=store)
    file = tmp_path / "file"
    file.write_text("")
    settings.SEAMLESS_BARS_DIR = file / "bars"
    found = findings(expect_failure=True)
    assert "'gone'" in found["nodes"]["detail"]
    assert found["bars directory"]["state"] == "failed"


def test_a_store_database_that_is_away(
    committed_db: object, redis_client: redis.Redis, settings: object
) -> None:
    settings.SEAMLESS_STORE_DATABASES = {"bars": "postgresql://u:hunter2@127.0.0.1:1/x"}
    one = findings(expect_failure=True)["store database bars"]
    assert (one["state"], "hunter2" in json.dumps(one)) == ("failed", False)


def test_a_published_log_that_this_database_does_not_continue(
    committed_db: object, redis_client: redis.Redis, settings: object, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "checkpoint").write_text(f"{settings.SEAMLESS_AUDIT_ORIGIN}\n7\n{'A' * 43}=\n")
    settings.SEAMLESS_CHECKPOINT_DIR = folder
    found = findings(expect_failure=True)["audit checkpoints"]
    assert (found["state"], "does not continue" in found["detail"]) == ("failed", True)


@pytest.mark.django_db
def test_an_old_pending_record_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.audit_seal().state == "ok"
    monkeypatch.setattr(health, "SEAL_LAG_SECONDS", -1.0)
    assert health.audit_seal().state == "warning"


def test_people_read_marks_and_fixes(committed_db: object, redis_client: redis.Redis) -> None:
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    text = out.getvalue()
    assert "FAILED  workers: no worker answers\n        -> Start one:" in text
    assert text.endswith("to look at.\n")
