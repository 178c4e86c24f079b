"""The sealer is killed at any point, runs in several processes at once, meets a restored database.

12 kills at points drawn anew, 50 with HYPOTHESIS_PROFILE=long; SEAMLESS_SEED=… draws the same.
"""

import os
import random
import secrets
from pathlib import Path

import pytest
from django.db.models import Max
from pytest_django import Settings

from registry.audit.checkpoint import Checkpoint
from registry.audit.verify import OK
from registry.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending
from registry.services.audit import (
    AuditLogForked,
    latest_checkpoint,
    seal,
    seal_all,
    wait_until_sealed,
)
from tests.databases import CommittedDatabase, fresh_copy
from tests.registry.audit_world import NOW, exported, record_many, recorded, verified
from tests.registry.sealing_processes import sealing_processes

KILLS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 12
NEVER = 0
POINTS = 60  # more than a sealing has, so that the last ones are drawn too


@pytest.fixture
def checkpoints(settings: Settings, tmp_path: Path) -> Path:
    settings.SEAMLESS_CHECKPOINT_DIR = tmp_path / "checkpoints"
    return tmp_path / "checkpoints"


def published(folder: Path) -> Checkpoint | None:
    file = folder / "checkpoint"
    return Checkpoint.parse(file.read_text()) if file.exists() else None


def check_numbering() -> None:
    """No gap, no fork, nothing twice: what is sealed is 0, 1, 2 …, the rest is pending."""
    count = AuditLeaf.objects.count()
    last = AuditLeaf.objects.aggregate(last=Max("seq"))["last"]
    assert count == (0 if last is None else last + 1)
    assert count == latest_checkpoint().size
    assert count + AuditPending.objects.count() == AuditEvent.objects.count()
    sizes = list(AuditCheckpoint.objects.order_by("size").values_list("previous_size", "size"))
    assert [before for before, _ in sizes] == [0, *(size for _, size in sizes)][: len(sizes)]


def test_a_sealer_killed_at_any_point_leaves_no_gap_and_no_fork(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    seed = int(os.environ.get("SEAMLESS_SEED", "0")) or secrets.randbits(32)
    print(f"SEAMLESS_SEED={seed}")
    draw, killed, seen = random.Random(seed), 0, []
    with sealing_processes(checkpoints) as sealers:
        while killed < KILLS:
            record_many(draw.randint(1, 5))
            (died,) = sealers.seal(draw.randint(1, POINTS))
            killed += died
            check_numbering()
            if (head := published(checkpoints)) is not None:
                assert head.size <= latest_checkpoint().size  # never ahead of what is committed
                seen.append(head)
        assert sealers.seal(NEVER) == [False]
    check_numbering()
    assert not AuditPending.objects.exists()
    assert published(checkpoints) == latest_checkpoint()
    assert verified(exported(), *seen) == OK


def test_many_sealers_at_once_number_every_record_once(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    with sealing_processes(checkpoints) as sealers:
        for _ in range(5):
            record_many(10)
            assert not any(sealers.seal(*[NEVER] * 4))
            check_numbering()
    seal_all(now=NOW)
    check_numbering()
    assert not AuditPending.objects.exists()
    assert published(checkpoints) == latest_checkpoint()
    assert verified(exported()) == OK


def test_an_older_database_brought_back_is_a_fork_and_nothing_is_sealed(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    record_many(3)
    seal(now=NOW)
    with fresh_copy():  # work goes on in one copy, the other is the backup
        record_many(2)
        seal(now=NOW)
    assert latest_checkpoint().size == 3
    late = recorded()
    before = published(checkpoints)
    assert wait_until_sealed(late.pk) is None  # a request that waits seals nothing either
    for _ in range(2):
        with pytest.raises(AuditLogForked, match="does not continue it"):
            seal(now=NOW)
    assert latest_checkpoint().size == 3
    assert AuditPending.objects.count() == 1
    assert published(checkpoints) == before


def test_a_backup_that_grew_as_long_as_the_lost_log_is_a_fork_too(
    committed_db: CommittedDatabase, checkpoints: Path
) -> None:
    record_many(3)
    seal(now=NOW)
    with fresh_copy():
        record_many(2)
        seal(now=NOW)
    notes = {file: file.read_bytes() for file in checkpoints.rglob("*") if file.is_file()}
    (checkpoints / "checkpoint").write_bytes(AuditCheckpoint.objects.get(size=3).note.encode())
    record_many(4)
    seal(now=NOW)  # somebody hid what was published, and brings it back later
    for file, content in notes.items():
        file.write_bytes(content)
    recorded()
    with pytest.raises(AuditLogForked):
        seal(now=NOW)
