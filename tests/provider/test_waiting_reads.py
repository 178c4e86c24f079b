"""A read that would wait beside too many others: told to come again, while the work goes on."""

import pytest

from coordinator.models import BackfillJob, BackfillWaiter
from coordinator.services import waiting
from tests.provider.world import build_world


@pytest.mark.django_db
def test_above_half_of_the_web_threads_a_read_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = build_world(source={"type": "sample", "dataset": "stocks"})
    monkeypatch.setattr(waiting, "waiting_reads", lambda: 0)
    answer = world.reader().data()
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert answer.json()["code"] == "too_many_waiting"
    (job,) = BackfillJob.objects.all()
    assert answer.json()["jobs"] == [job.pk]
    assert job.state == "pending"
    assert not BackfillWaiter.objects.exists()
