"""What an answer is named by: every byte of it, and the release."""

import pytest

from provider.api.validators import name_of_answer

MEGABYTE = 1 << 20


@pytest.mark.parametrize("size", [1, MEGABYTE, MEGABYTE + 1, 9 * MEGABYTE + 5])
def test_each_byte_counts_wherever_it_lies(size: int) -> None:
    body = bytes(size)
    places = {0, size // 2, size - 1}
    changed = [body[:place] + b"x" + body[place + 1 :] for place in places]
    others = [*changed, body[:-1], body + b"\0"]
    assert len({name_of_answer(one, "market/1") for one in (body, *others)}) == 1 + len(others)
    assert name_of_answer(body, "market/1") != name_of_answer(body, "market/2")


def test_parts_keep_their_order() -> None:
    one, other = bytes(MEGABYTE), b"x" * MEGABYTE
    assert name_of_answer(one + other, "") != name_of_answer(other + one, "")


def test_a_name_does_not_depend_on_who_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"bar" * 5 * MEGABYTE
    names = set()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr("provider.threads.THREADS", threads)
        names.add(name_of_answer(body, "market/1"))
    assert len(names) == 1
